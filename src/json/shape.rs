//! A type from a JSON value, and where in the value it does not fit.
//!
//! It does less than serde's own readers of values, and so is smaller: each type that is read adds
//! its code to the module.

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::{Map, Value, map};
use std::{fmt, vec};

/// Reads a value into a type, strictly: an object is never taken from a list of its members'
/// values, nor a name from an object, as serde would.
///
/// # Errors
/// The value does not have the type's shape.
pub fn shape<T: DeserializeOwned>(value: Value) -> Result<T, Misshapen> {
    T::deserialize(Shape(value))
}

/// A value that does not have the shape of a type.
#[derive(Debug)]
pub struct Misshapen {
    /// From the inside out.
    steps: Vec<Step>,
    reason: String,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

impl Misshapen {
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

    fn within(mut self, step: Step) -> Self {
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

impl de::Error for Misshapen {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self { steps: Vec::new(), reason: reason.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // What serde calls a unit value is called null in JSON.
        if found == Unexpected::Unit {
            return Self::custom(format_args!("invalid type: null, expected {expected}"));
        }
        Self::custom(format_args!("invalid type: {found}, expected {expected}"))
    }
}

/// What stands there, in the words of serde's messages.
pub(crate) fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(b) => Unexpected::Bool(*b),
        Value::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(number), _) => Unexpected::Unsigned(number),
            (None, Some(number)) => Unexpected::Signed(number),
            (None, None) => Unexpected::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(s) => Unexpected::Str(s),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Shape(Value);

impl<'de> Deserializer<'de> for Shape {
    type Error = Misshapen;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misshapen> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                let count = items.len();
                let mut items = Items { items: items.into_iter(), next: 0 };
                let list = visitor.visit_seq(&mut items)?;
                if items.items.len() == 0 { Ok(list) } else { Err(de::Error::invalid_length(count, &"fewer items")) }
            }
            Value::Object(members) => visitor.visit_map(Members::of(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misshapen> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misshapen> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misshapen> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members::of(members)),
            other => Err(de::Error::invalid_type(unexpected(&other), &"an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misshapen> {
        match &self.0 {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            _ => {
                let expected = variants.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" or ");
                Err(de::Error::invalid_type(unexpected(&self.0), &&*expected))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items {
    items: vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for &mut Items {
    type Error = Misshapen;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misshapen> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let at = self.next;
        self.next = at.saturating_add(1);
        seed.deserialize(Shape(item)).map(Some).map_err(|error| error.within(Step::Item(at)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members {
    members: map::IntoIter,
    /// Of the member whose name was read last.
    name: String,
    value: Value,
}

impl Members {
    fn of(object: Map<String, Value>) -> Self {
        Self { members: object.into_iter(), name: String::new(), value: Value::Null }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = Misshapen;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misshapen> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        (self.name, self.value) = (name, value);
        let key = seed.deserialize(self.name.as_str().into_deserializer());
        key.map(Some).map_err(|error: Misshapen| error.within(Step::Member(self.name.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misshapen> {
        let value = std::mem::take(&mut self.value);
        seed.deserialize(Shape(value)).map_err(|error| error.within(Step::Member(std::mem::take(&mut self.name))))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only how it is read counts")]
    struct Outer {
        list: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, (u8, u8)>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only how it is read counts")]
    struct Inner {
        number: u64,
    }

    #[test]
    fn an_error_says_where_and_what() {
        for (value, expected) in [
            (json!(null), "invalid type: null, expected an object"),
            (json!([[]]), "invalid type: sequence, expected an object"),
            (json!({}), "missing field `list`"),
            (json!({"list": {}}), "list: invalid type: map, expected a sequence"),
            (json!({"list": [{"number": 1}, {"number": null}]}), "list[1].number: invalid type: null, expected u64"),
            (json!({"list": [{"nunber": 1}]}), "list[0].nunber: unknown field `nunber`, expected `number`"),
            (json!({"list": [[1]]}), "list[0]: invalid type: sequence, expected an object"),
            (json!({"list": [], "map": {"a": [1, 256]}}), "map.a[1]: invalid value: integer `256`, expected u8"),
            (json!({"list": [], "map": {"a": [1, 2, 3]}}), "map.a: invalid length 3, expected fewer items"),
        ] {
            assert_eq!(shape::<Outer>(value.clone()).unwrap_err().to_string(), expected, "{value}");
        }
    }
}
