//! Operations that a configuration adds to the catalogue: what a newer cluster has.
//!
//! They are asked only where the catalogue has no operation of the API's version, so none of them can
//! stand in the place of one that is built in, whatever its path.

use super::catalogue::{Method, Operation, OperationRef};
use super::path::{Ambiguous, Segment};
use super::route::ESCAPED_LITERAL;
use std::rc::Rc;

/// The most segments that a template may have; the longest of the catalogue has seven.
const MAX_SEGMENTS: usize = 16;

/// A path with `{parameters}`, or with `**` at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template(Vec<Part>);

/// A segment of a template; in the order in which they are tried.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Literal(String),
    Parameter,
    Rest,
}

impl Template {
    /// The template of a path of the catalogue.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let part = |segment: &str| match segment {
            "**" => Part::Rest,
            _ if segment.starts_with('{') => Part::Parameter,
            literal => Part::Literal(literal.to_owned()),
        };
        Self(path.split('/').skip(1).filter(|segment| !segment.is_empty()).map(part).collect())
    }

    /// Reads a path that a configuration gives; it has no `**`. With the names of its parameters.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str) -> Result<(Self, Vec<String>), String> {
        let Some(inside) = path.strip_prefix('/') else {
            return Err("does not begin with a slash".into());
        };
        let mut names: Vec<String> = Vec::new();
        let mut count: usize = 0;
        for segment in inside.split('/') {
            count = count.saturating_add(1);
            if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                if !is_name(name) {
                    return Err(format!("`{segment}` is not a parameter: its name has letters and digits alone"));
                }
                if names.iter().any(|other| other == name) {
                    return Err(format!("has `{segment}` twice"));
                }
                names.push(name.to_owned());
            } else if segment.is_empty() || matches!(segment, "." | "..") {
                return Err("has an empty segment, a dot segment or a slash at its end".into());
            } else if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
                return Err(format!(
                    "has the segment `{segment}`, which is neither fixed (letters, digits, `-._~`) nor a `{{parameter}}`"
                ));
            }
        }
        if count > MAX_SEGMENTS {
            return Err(format!("has more than {MAX_SEGMENTS} segments"));
        }
        Ok((Self::of(path), names))
    }

    /// Whether some path fits both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.iter(), other.0.iter());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(Part::Rest), _) | (_, Some(Part::Rest)) | (None, None) => return true,
                (Some(Part::Literal(one)), Some(Part::Literal(other))) if one != other => return false,
                (Some(_), Some(_)) => {}
                (None, Some(_)) | (Some(_), None) => return false,
            }
        }
    }

    /// Whether the segments of a path fit.
    fn fits(&self, segments: &[Segment<'_>]) -> Result<bool, Ambiguous> {
        for (part, segment) in self.0.iter().zip(segments) {
            match part {
                Part::Literal(literal) if segment.raw == literal => {}
                // Readers that decode first would take it for the literal.
                Part::Literal(literal) if segment.text == *literal => return Err(ESCAPED_LITERAL),
                Part::Literal(_) => return Ok(false),
                Part::Parameter => {}
                Part::Rest => return Ok(true),
            }
        }
        Ok(self.0.len() == segments.len())
    }
}

/// Whether a text is a name of letters and digits, as the API's specification has them.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let letter_first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    letter_first && text.len() <= 100 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The operations that a configuration adds.
#[derive(Clone, Debug, Default)]
pub struct ExtraOperations(Vec<(Template, Rc<Operation>)>);

impl ExtraOperations {
    /// Of these operations; among them a fixed segment beats a parameter, as in the catalogue.
    #[must_use]
    pub fn new(operations: Vec<Operation>) -> Self {
        let with_template = |operation: Operation| (Template::of(&operation.path), Rc::new(operation));
        let mut all: Vec<_> = operations.into_iter().map(with_template).collect();
        all.sort_by(|(one, _), (other, _)| one.0.cmp(&other.0));
        Self(all)
    }

    /// The operation of this name.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&Operation> {
        self.iter().find(|operation| operation.id == id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.0.iter().map(|(_, operation)| &**operation)
    }

    /// The operation that method and path name, with the path's parameters.
    pub(super) fn find<'a>(
        &self,
        method: Method,
        segments: &[Segment<'a>],
    ) -> Result<Option<(OperationRef, Vec<Segment<'a>>)>, Ambiguous> {
        for (template, operation) in &self.0 {
            if template.fits(segments)? && operation.method == method {
                let is_parameter = |(part, _): &(&Part, &Segment<'a>)| **part == Part::Parameter;
                let parameters = template.0.iter().zip(segments).filter(is_parameter).map(|(_, s)| s.clone());
                return Ok(Some((OperationRef::Extra(Rc::clone(operation)), parameters.collect())));
            }
        }
        Ok(None)
    }
}
