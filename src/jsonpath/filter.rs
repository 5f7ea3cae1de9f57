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
    /// Of one type as well.
    Same,
    NotSame,
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
                _ if path.lacks_its_leaf(value) => operator.holds(&Value::Null, literal),
                // What is nowhere is not equal to anything.
                _ => matches!(operator, Operator::NotEqual | Operator::NotSame),
            },
        }
    }
}

impl Operator {
    fn holds(self, found: &Value, literal: &Value) -> bool {
        let order = || compare(found, literal);
        match self {
            Self::Equal => equal(found, literal),
            Self::NotEqual => !equal(found, literal),
            Self::Same => is_of_one_type(found, literal) && equal(found, literal),
            Self::NotSame => !(is_of_one_type(found, literal) && equal(found, literal)),
            Self::Less => order() == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// Jayway takes one side for what the claim is, a number or a text, before it says whether they are equal.
fn equal(found: &Value, literal: &Value) -> bool {
    match (found, literal) {
        (Value::Number(number), Value::String(text)) => text.parse::<f64>().ok() == number.as_f64(),
        (Value::String(text), Value::Number(number)) => *text == number.to_string(),
        (Value::Number(_), Value::Number(_)) => compare(found, literal) == Some(Ordering::Equal),
        _ => found == literal,
    }
}

fn is_of_one_type(left: &Value, right: &Value) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

/// Which of two texts or two numbers comes first; a text is neither before nor after a number.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        _ => None,
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
        ("===", Operator::Same),
        ("!==", Operator::NotSame),
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
