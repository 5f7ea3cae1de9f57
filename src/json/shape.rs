//! A type from a JSON value, and where in the value it does not fit.
//!
//! What a type is made of is data here, gone through by one reader: code that is written out for each
//! type, as serde derives it, was a tenth of the module.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A type that can be read from a value.
pub trait Shape {
    /// Takes on what a value says, in place of what stands there by default.
    ///
    /// # Errors
    /// The value does not have the type's shape.
    fn take(&mut self, value: Value) -> Result<(), Misshapen>;
}

/// Reads a value into a type, strictly: an object is never taken from a list of its members'
/// values, nor a name from an object.
///
/// # Errors
/// The value does not have the type's shape.
pub fn shape<T: Shape + Default>(value: Value) -> Result<T, Misshapen> {
    let mut shaped = T::default();
    shaped.take(value)?;
    Ok(shaped)
}

/// A member of an object, and what takes its value.
pub struct Member<'a> {
    /// Its name, and others that it may have instead.
    pub names: &'static [&'static str],
    /// It must be there.
    pub required: bool,
    /// What takes its value.
    pub into: &'a mut dyn Shape,
}

/// Says how the members of an object are called that a struct is read from, of each whether it is
/// `required`, and what else it may be called.
macro_rules! members {
    ($shape:ident { $($field:ident: $need:ident $name:literal $(or $other:literal)*),+ $(,)? }) => {
        impl $crate::json::Shape for $shape {
            fn take(&mut self, value: serde_json::Value) -> Result<(), $crate::json::Misshapen> {
                let Self { $($field),+ } = self;
                $crate::json::object(value, &mut [$($crate::json::Member {
                    names: &[$name $(, $other)*],
                    required: $crate::json::members!(@$need),
                    into: $field,
                }),+])
            }
        }
    };
    (@required) => { true };
    (@optional) => { false };
}

/// Says how the variants of an enum are called.
macro_rules! words {
    ($shape:ident { $($variant:ident: $word:literal),+ $(,)? }) => {
        impl $crate::json::Shape for $shape {
            fn take(&mut self, value: serde_json::Value) -> Result<(), $crate::json::Misshapen> {
                let all = [$(Self::$variant),+];
                let place = $crate::json::word(&value, &[$($word),+])?;
                all.get(place).inspect(|variant| *self = **variant);
                Ok(())
            }
        }
    };
}

pub(crate) use {members, words};

/// Reads an object.
///
/// # Errors
/// The value is none, has a member too many or too few, or one that has not the shape it should have.
pub fn object(value: Value, members: &mut [Member<'_>]) -> Result<(), Misshapen> {
    let Value::Object(given) = value else { return Err(Misshapen::invalid(&value, "an object")) };
    let mut seen = vec![false; members.len()];
    for (name, value) in given {
        let found = members.iter_mut().zip(&mut seen).find(|(member, _)| member.names.contains(&&*name));
        let taken = match found {
            None => {
                let names: Vec<&str> = members.iter().flat_map(|member| member.names).copied().collect();
                Err(Misshapen::new(format!("unknown field `{name}`, expected {}", one_of(&names))))
            }
            Some((member, true)) => Err(Misshapen::new(format!("duplicate field {}", one_of(member.names)))),
            Some((member, seen)) => {
                *seen = true;
                member.into.take(value)
            }
        };
        taken.map_err(|error| error.within(Step::Member(name)))?;
    }
    let missing = members.iter().zip(seen).find(|(member, seen)| member.required && !seen);
    let missing = missing.and_then(|(member, _)| member.names.first());
    missing.map_or(Ok(()), |name| Err(Misshapen::new(format!("missing field `{name}`"))))
}

/// Which of some words a value is.
///
/// # Errors
/// It is none of them.
pub fn word(value: &Value, words: &[&str]) -> Result<usize, Misshapen> {
    let Value::String(given) = value else { return Err(Misshapen::invalid(value, &one_of(words))) };
    let place = words.iter().position(|word| word == given);
    place.ok_or_else(|| Misshapen::new(format!("unknown variant `{given}`, expected {}", one_of(words))))
}

fn one_of(words: &[&str]) -> String {
    match words {
        [one, other] => format!("`{one}` or `{other}`"),
        [one] => format!("`{one}`"),
        all => format!("one of `{}`", all.join("`, `")),
    }
}

/// A value that does not have the shape of a type.
#[derive(Debug)]
pub struct Misshapen {
    /// From the inside out.
    steps: Vec<Step>,
    reason: String,
}

/// A step into a value.
#[derive(Debug)]
pub enum Step {
    /// To a member of an object.
    Member(String),
    /// To an item of a list.
    Item(usize),
}

impl Misshapen {
    /// For a reason.
    #[must_use]
    pub fn new(reason: String) -> Self {
        Self { steps: Vec::new(), reason }
    }

    /// Because something else should stand there.
    #[must_use]
    pub fn invalid(found: &Value, expected: &str) -> Self {
        Self::new(format!("invalid type: {}, expected {expected}", Found(found)))
    }

    /// Because the number that stands there is none of those that should.
    #[must_use]
    pub fn out_of_range(found: &Value, expected: &str) -> Self {
        Self::new(format!("invalid value: {}, expected {expected}", Found(found)))
    }

    /// Where: `issuers[0].audiences`; empty where it is the value itself.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Item(number) => path.push_str(&format!("[{number}]")),
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => path.extend([".", name]),
            }
        }
        path
    }

    /// What does not fit there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same, seen from further outside.
    #[must_use]
    pub fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if path.is_empty() { f.write_str(&self.reason) } else { write!(f, "{path}: {}", self.reason) }
    }
}

impl std::error::Error for Misshapen {}

/// What stands there, in the words that serde has for it.
struct Found<'a>(&'a Value);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "boolean `{value}`"),
            Value::Number(number) if number.is_f64() => write!(f, "floating point `{number}`"),
            Value::Number(number) => write!(f, "integer `{number}`"),
            Value::String(text) => write!(f, "string {text:?}"),
            Value::Array(_) => f.write_str("sequence"),
            Value::Object(_) => f.write_str("map"),
        }
    }
}

impl Shape for String {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        let Value::String(text) = value else { return Err(Misshapen::invalid(&value, "a string")) };
        *self = text;
        Ok(())
    }
}

impl Shape for bool {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        let Value::Bool(flag) = value else { return Err(Misshapen::invalid(&value, "a boolean")) };
        *self = flag;
        Ok(())
    }
}

/// A whole number; control planes turn `1` into `1.0`.
impl Shape for u64 {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        let expected = "a whole number";
        let Value::Number(number) = &value else { return Err(Misshapen::invalid(&value, expected)) };
        let from_float = || number.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9e15).contains(f));
        #[cfg_attr(not(test), expect(clippy::as_conversions, reason = "checked just above"))]
        let whole = number.as_u64().or_else(|| from_float().map(|f| f as u64));
        *self = whole.ok_or_else(|| Misshapen::out_of_range(&value, expected))?;
        Ok(())
    }
}

impl Shape for f64 {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        *self = value.as_f64().ok_or_else(|| Misshapen::invalid(&value, "a number"))?;
        Ok(())
    }
}

impl Shape for Value {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        *self = value;
        Ok(())
    }
}

impl Shape for Map<String, Value> {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        let Value::Object(members) = value else { return Err(Misshapen::invalid(&value, "a map")) };
        *self = members;
        Ok(())
    }
}

impl<T: Shape + Default> Shape for Option<T> {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        *self = None;
        if value.is_null() { Ok(()) } else { self.insert(T::default()).take(value) }
    }
}

impl<T: Shape + Default> Shape for Vec<T> {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        let Value::Array(items) = value else { return Err(Misshapen::invalid(&value, "a sequence")) };
        self.clear();
        self.reserve_exact(items.len());
        for (number, item) in items.into_iter().enumerate() {
            let mut shaped = T::default();
            shaped.take(item).map_err(|error| error.within(Step::Item(number)))?;
            self.push(shaped);
        }
        Ok(())
    }
}

impl<T: Shape + Default> Shape for BTreeMap<String, T> {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        let Value::Object(members) = value else { return Err(Misshapen::invalid(&value, "a map")) };
        self.clear();
        for (name, value) in members {
            let mut shaped = T::default();
            match shaped.take(value) {
                Ok(()) => self.insert(name, shaped),
                Err(error) => return Err(error.within(Step::Member(name))),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Clone, Copy, Default, Debug, PartialEq)]
    enum Kind {
        #[default]
        One,
        Other,
    }

    words!(Kind { One: "one", Other: "other" });

    #[derive(Default, Debug, PartialEq)]
    struct Outer {
        list: Vec<Inner>,
        map: BTreeMap<String, u64>,
        kind: Kind,
        part: Option<f64>,
    }

    members!(Outer { list: required "list" or "items", map: optional "map", kind: optional "kind", part: optional "part" });

    #[derive(Default, Debug, PartialEq)]
    struct Inner {
        number: u64,
    }

    members!(Inner { number: required "number" });

    #[test]
    fn what_fits_is_read() {
        let given = json!({"items": [{"number": 1}, {"number": 2.0}], "map": {"a": 3}, "kind": "other", "part": 1});
        let expected = Outer {
            list: vec![Inner { number: 1 }, Inner { number: 2 }],
            map: BTreeMap::from([("a".into(), 3)]),
            kind: Kind::Other,
            part: Some(1.0),
        };
        assert_eq!(shape::<Outer>(given).unwrap(), expected);
        let absent = Outer { list: Vec::new(), map: BTreeMap::new(), kind: Kind::One, part: None };
        assert_eq!(shape::<Outer>(json!({"list": [], "part": null})).unwrap(), absent);
    }

    #[test]
    fn an_error_says_where_and_what() {
        for (value, expected) in [
            (json!(null), "invalid type: null, expected an object"),
            (json!([[]]), "invalid type: sequence, expected an object"),
            (json!({}), "missing field `list`"),
            (json!({"list": {}}), "list: invalid type: map, expected a sequence"),
            (json!({"list": [], "items": []}), "list: duplicate field `list` or `items`"),
            (
                json!({"list": [{"number": 1}, {"number": null}]}),
                "list[1].number: invalid type: null, expected a whole number",
            ),
            (json!({"list": [{"number": -1}]}), "list[0].number: invalid value: integer `-1`, expected a whole number"),
            (json!({"list": [{"nunber": 1}]}), "list[0].nunber: unknown field `nunber`, expected `number`"),
            (json!({"list": [[1]]}), "list[0]: invalid type: sequence, expected an object"),
            (json!({"list": [], "map": {"a": true}}), "map.a: invalid type: boolean `true`, expected a whole number"),
            (json!({"list": [], "kind": 1}), "kind: invalid type: integer `1`, expected `one` or `other`"),
            (json!({"list": [], "kind": "One"}), "kind: unknown variant `One`, expected `one` or `other`"),
            (json!({"list": [], "part": "x"}), "part: invalid type: string \"x\", expected a number"),
        ] {
            assert_eq!(shape::<Outer>(value.clone()).unwrap_err().to_string(), expected, "{value}");
        }
    }
}
