//! Some members of an object. The others are read as strictly, and no copy is made of them.

use super::Seed;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// So many names are compared each with each: that is cheaper than a set of them, and tokens seldom have more claims.
const FEW: usize = 32;

/// Reads one JSON object, of whose members those with a chosen name are kept.
///
/// # Errors
/// As for [`parse`](super::parse), or it is not an object.
pub fn chosen(text: &str, is_chosen: &dyn Fn(&str) -> bool) -> Result<Map<String, Value>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(Chosen(is_chosen))?;
    reader.end()?;
    Ok(members)
}

struct Chosen<'a>(&'a dyn Fn(&str) -> bool);

impl<'de> Visitor<'de> for Chosen<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::with_capacity(FEW);
        let mut kept = Map::new();
        while let Some(name) = members.next_key_seed(Name)? {
            let is_chosen = self.0(&name);
            let value = members.next_value_seed(Seed { kept: is_chosen })?;
            if is_chosen {
                kept.insert(name.clone().into_owned(), value);
            }
            names.push(name);
        }
        unique(&names)?;
        Ok(kept)
    }
}

/// Reads an object and keeps nothing of it.
pub(super) fn pass<'de, A: MapAccess<'de>>(mut members: A) -> Result<(), A::Error> {
    let mut names = Vec::new();
    while let Some(name) = members.next_key_seed(Name)? {
        members.next_value_seed(Seed { kept: false })?;
        names.push(name);
    }
    unique(&names)
}

/// A member's name, borrowed where it stands without escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

fn unique<E: de::Error>(names: &[Cow<'_, str>]) -> Result<(), E> {
    let twice = if names.len() <= FEW {
        let stands_after = |name: &Cow<'_, str>, place| names.get(place..).is_some_and(|after| after.contains(name));
        names.iter().zip(1..).find(|(name, next)| stands_after(name, *next)).map(|(name, _)| name)
    } else {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        names.iter().find(|name| !seen.insert(name))
    };
    twice.map_or(Ok(()), |name| Err(E::custom(format_args!("the member `{name}` stands twice"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn chosen_members_are_kept_whole() {
        let text = r#" {"a":{"b":[1,null,"x"]},"c":"\u00e9","\u0064":2.5,"e":-1,"f":[{"g":true}]} "#;
        let kept = |names: &'static [&str]| Value::Object(chosen(text, &|name| names.contains(&name)).unwrap());
        assert_eq!(kept(&["a", "d"]), json!({"a": {"b": [1, null, "x"]}, "d": 2.5}));
        assert_eq!(kept(&["c", "none"]), json!({"c": "é"}));
        assert_eq!(kept(&[]), json!({}));
    }

    #[test]
    fn what_is_not_chosen_is_read_as_strictly() {
        let bad = [
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"a":1,"\u0061":3}"#,
            r#"{"a":[{"b":1,"c":2,"b":1}]}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":01}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":1} x"#,
            r#"{"a":1,}"#,
            r#"["a"]"#,
            "null",
            "",
        ];
        let many = |last: usize| {
            let members = (0..=3 * FEW).map(|number| format!(r#""{}":{number}"#, number % last));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        assert!(chosen(&many(1_000), &|_| false).is_ok());
        assert!(chosen(&many(3 * FEW), &|_| false).is_err());
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(126), "]".repeat(126));
        let deeper = format!(r#"{{"a":{}{}}}"#, "[".repeat(127), "]".repeat(127));
        for text in bad.into_iter().chain([&*deep, &*deeper]) {
            let whole = super::super::parse(text.as_bytes()).is_ok_and(|value| value.is_object());
            assert_eq!(chosen(text, &|_| true).is_ok(), whole, "{text}");
            assert_eq!(chosen(text, &|_| false).is_ok(), whole, "{text}");
            assert_eq!(whole, text == deep, "{text}");
        }
    }
}
