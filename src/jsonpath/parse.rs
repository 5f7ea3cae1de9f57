//! Text -> path.

use super::filter::{self, Filter};
use super::{JsonPath, PathError, Step};

const NOT_CLOSED: PathError = PathError::Broken("a bracket or quote is not closed");

pub(super) fn path(text: &str) -> Result<JsonPath, PathError> {
    let mut steps = Vec::new();
    match text.trim_start().strip_prefix(['$', '@']) {
        Some(rest) if rest.is_empty() || rest.starts_with(['.', '[']) => tail(rest.trim_end(), &mut steps)?,
        Some(_) => return Err(PathError::Broken("`$` or `@` must be followed by `.` or `[`")),
        // As if `$.` stood before it, a blank and all.
        None => tail(&format!(".{}", text.trim_end()), &mut steps)?,
    }
    let all = |steps: &[Step]| matches!(steps, [Step::Descend, Step::Wildcard, _, ..]);
    if (0..steps.len()).any(|from| steps.get(from..).is_some_and(all)) {
        return Err(PathError::Broken("a wildcard after `..` finds nothing where more follows"));
    }
    Ok(JsonPath { steps })
}

fn tail(mut rest: &str, steps: &mut Vec<Step>) -> Result<(), PathError> {
    while !rest.is_empty() {
        rest = if let Some(below) = rest.strip_prefix("..") {
            steps.push(Step::Descend);
            if below.starts_with('[') { bracket(below, steps)? } else { property(below, steps)? }
        } else if let Some(name) = rest.strip_prefix('.').filter(|name| !name.starts_with('[')) {
            property(name, steps)?
        } else {
            bracket(rest.trim_start_matches('.'), steps)?
        };
    }
    Ok(())
}

/// A name up to the next `.` or `[`.
fn property<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    let end = text.find(['.', '[', '(', ' ', ']']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if rest.starts_with('(') {
        return Err(PathError::Unsupported("functions are not supported"));
    }
    if name.is_empty() || rest.starts_with([' ', ']']) {
        return Err(PathError::Broken("a name is missing, or has a space or `]` in it"));
    }
    steps.push(if name == "*" { Step::Wildcard } else { Step::Child(name.to_owned()) });
    Ok(rest)
}

fn bracket<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    let inner = text.strip_prefix('[').ok_or(PathError::Broken("expected `.` or `[`"))?.trim_start();
    if inner.starts_with(['\'', '"']) {
        let (name, rest) = quoted(inner)?;
        steps.push(Step::Child(name));
        return match rest.trim_start() {
            rest if rest.starts_with(',') => {
                Err(PathError::Unsupported("several names in one bracket are not supported"))
            }
            rest => rest.strip_prefix(']').ok_or(NOT_CLOSED),
        };
    }
    if let Some(condition) = inner.strip_prefix('?') {
        let condition = condition.trim_start().strip_prefix('(').ok_or(PathError::Broken("a filter needs `(`"))?;
        let (filter, rest): (Filter, &str) = filter::parse(condition)?;
        steps.push(Step::Filter(filter));
        return rest.trim_start().strip_prefix(']').ok_or(NOT_CLOSED);
    }
    let (inner, rest) = inner.split_once(']').ok_or(NOT_CLOSED)?;
    steps.push(indexes(inner.trim())?);
    Ok(rest)
}

fn indexes(text: &str) -> Result<Step, PathError> {
    let number = |s: &str| match s.parse::<i64>() {
        Ok(number) if !s.starts_with('+') => Ok(number),
        _ => Err(PathError::Broken("an index is not a number")),
    };
    if text == "*" {
        return Ok(Step::Wildcard);
    }
    if let Some((from, to)) = text.split_once(':') {
        if to.contains(':') {
            return Err(PathError::Unsupported("slices with a step are not supported"));
        }
        if from.is_empty() && to.is_empty() {
            return Err(PathError::Broken("a slice needs a bound"));
        }
        let bound = |s: &str| {
            if s.is_empty() { Ok(None) } else { number(s).map(Some) }
        };
        return Ok(Step::Slice(bound(from)?, bound(to)?));
    }
    text.split(',').map(|index| number(index.trim())).collect::<Result<_, _>>().map(Step::Indexes)
}

/// A quoted text at the start, and what follows it.
pub(super) fn quoted(text: &str) -> Result<(String, &str), PathError> {
    let mut characters = text.chars();
    let quote = characters.next().ok_or(NOT_CLOSED)?;
    let mut content = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => content.push(characters.next().ok_or(NOT_CLOSED)?),
            c if c == quote => return Ok((content, characters.as_str())),
            c => content.push(c),
        }
    }
    Err(NOT_CLOSED)
}

/// A path inside a filter: from `@` to the next character that cannot belong to it.
pub(super) fn operand(text: &str) -> Result<(JsonPath, &str), PathError> {
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('@').ok_or(PathError::Broken("expected `@`"))?;
    loop {
        rest = if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(|c: char| ".[]()=!<>&|, ".contains(c)).unwrap_or(name.len());
            let (name, rest) = name.split_at_checked(end).unwrap_or((name, ""));
            if rest.starts_with('(') {
                return Err(PathError::Unsupported("functions are not supported"));
            }
            property(name, &mut steps)?;
            rest
        } else if rest.starts_with('[') {
            bracket(rest, &mut steps)?
        } else {
            return Ok((JsonPath { steps }, rest));
        };
    }
}
