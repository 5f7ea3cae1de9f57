//! Filters: `[?(@.a == 'x' && @.b)]`.

use super::parse::{operand, quoted};
use super::{Found, JsonPath, PathError};
use serde_json::Value;
use std::cmp::Ordering;

/// Alternatives (`||`) of conditions that must all hold (`&&`).
#[derive(Clone, Debug)]
pub(super) struct Filter(Vec<Vec<Condition>>);

#[derive(Clone, Debug)]
enum Condition {
    Exists { path: JsonPath, wanted: bool },
    Compare { path: JsonPath, operator: Operator, literal: Value },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    pub(super) fn holds(&self, value: &Value) -> bool {
        self.0.iter().any(|all| all.iter().all(|condition| condition.holds(value)))
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Exists { path, wanted } => (path.find(value) != Found::Missing) == *wanted,
            Self::Compare { path, operator, literal } => match path.find(value) {
                Found::One(found) => operator.holds(found, literal),
                _ => *operator == Operator::NotEqual,
            },
        }
    }
}

impl Operator {
    fn holds(self, found: &Value, literal: &Value) -> bool {
        let order = compare(found, literal);
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// Jayway compares a number with a string by the string's number.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    let number = |v: &Value| match v {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    };
    match (left, right) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(_), Value::Number(_) | Value::String(_)) | (Value::String(_), Value::Number(_)) => {
            number(left)?.partial_cmp(&number(right)?)
        }
        _ => (left == right).then_some(Ordering::Equal),
    }
}

/// A condition after `(`, up to and including its `)`.
pub(super) fn parse(text: &str) -> Result<(Filter, &str), PathError> {
    let mut any = Vec::new();
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let (one, tail) = condition(rest.trim_start())?;
        all.push(one);
        let tail = tail.trim_start();
        if let Some(next) = tail.strip_prefix("&&") {
            rest = next;
        } else if let Some(next) = tail.strip_prefix("||") {
            any.push(std::mem::take(&mut all));
            rest = next;
        } else if let Some(next) = tail.strip_prefix(')') {
            any.push(all);
            return Ok((Filter(any), next));
        } else if tail.is_empty() {
            return Err(PathError::Broken("a filter is not closed"));
        } else {
            return Err(PathError::Unsupported("this kind of filter is not supported"));
        }
    }
}

fn condition(text: &str) -> Result<(Condition, &str), PathError> {
    if let Some(path) = text.strip_prefix('!') {
        let (path, rest) = operand_or_unsupported(path.trim_start())?;
        return Ok((Condition::Exists { path, wanted: false }, rest));
    }
    let (path, rest) = operand_or_unsupported(text)?;
    let rest = rest.trim_start();
    let operators = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    for (sign, operator) in operators {
        if let Some(value) = rest.strip_prefix(sign) {
            let (literal, rest) = literal(value.trim_start())?;
            return Ok((Condition::Compare { path, operator, literal }, rest));
        }
    }
    Ok((Condition::Exists { path, wanted: true }, rest))
}

fn operand_or_unsupported(text: &str) -> Result<(JsonPath, &str), PathError> {
    if text.starts_with('@') { operand(text) } else { Err(PathError::Unsupported("a filter must begin with `@`")) }
}

fn literal(text: &str) -> Result<(Value, &str), PathError> {
    if text.starts_with(['\'', '"']) {
        let (content, rest) = quoted(text)?;
        return Ok((Value::String(content), rest));
    }
    let end = text.find(|c: char| ")&| ".contains(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    match serde_json::from_str::<Value>(word) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Ok((value, rest)),
        _ => Err(PathError::Unsupported("a filter can compare with texts, numbers, true, false and null only")),
    }
}
