//! Policies as JSON, taken item by item: no more than one item is ever held as it is read.

use super::Collector;
use crate::json::{Misshapen, Shape, Step, Strict, shape};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

impl Collector {
    /// Takes a policy that is written as JSON.
    ///
    /// # Errors
    /// It is not JSON, not a policy, or says something that could be read in two ways, or not at
    /// all.
    pub fn json(&mut self, bytes: &[u8]) -> Result<(), serde_json::Error> {
        self.begin();
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        Document(self).deserialize(&mut reader)?;
        reader.end()
    }
}

const SECTIONS: [&str; 5] = ["authorizations", "roles", "groups", "mappingRules", "tenants"];

struct Document<'a>(&'a mut Collector);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut sections: A) -> Result<(), A::Error> {
        let mut seen: Vec<&str> = Vec::new();
        while let Some(name) = sections.next_key::<String>()? {
            let section = SECTIONS.iter().find(|section| **section == name);
            let section = *section.ok_or_else(|| A::Error::unknown_field(&name, &SECTIONS))?;
            if seen.contains(&section) {
                return Err(A::Error::duplicate_field(section));
            }
            seen.push(section);
            let mut begun = false;
            let list = Begun(section, &mut begun);
            let taken = match section {
                "authorizations" => sections.next_value_seed(Items::new(list, |n, i| self.0.authorization(n, &i))),
                "roles" => sections.next_value_seed(Items::new(list, |n, i| self.0.role(n, &i))),
                "groups" => sections.next_value_seed(Items::new(list, |n, i| self.0.group(n, &i))),
                "mappingRules" => sections.next_value_seed(Items::new(list, |n, i| self.0.rule(n, &i))),
                _ => sections.next_value_seed(Items::new(list, |n, i| self.0.tenant(n, &i))),
            };
            // Within a list it is the items that say where they stand.
            taken.map_err(|e| if begun { e } else { A::Error::custom(format_args!("{section}: {e}")) })?;
        }
        Ok(())
    }
}

/// The name of a section, and where it is told that its list has begun.
struct Begun<'a>(&'static str, &'a mut bool);

/// A list whose items are taken one by one.
struct Items<'a, T, F> {
    list: Begun<'a>,
    take: F,
    item: PhantomData<T>,
}

impl<'a, T, E, F: FnMut(usize, T) -> Result<(), E>> Items<'a, T, F> {
    fn new(list: Begun<'a>, take: F) -> Self {
        Self { list, take, item: PhantomData }
    }
}

impl<'de, T, E, F> DeserializeSeed<'de> for Items<'_, T, F>
where
    T: Shape + Default,
    E: fmt::Display,
    F: FnMut(usize, T) -> Result<(), E>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T, E, F> Visitor<'de> for Items<'_, T, F>
where
    T: Shape + Default,
    E: fmt::Display,
    F: FnMut(usize, T) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let Begun(section, begun) = self.list;
        *begun = true;
        for number in 0_usize.. {
            let value = items.next_element::<Strict>();
            let value = value.map_err(|e| A::Error::custom(format_args!("{section}[{number}]: {e}")))?;
            let Some(Strict(value)) = value else { break };
            let within = |e: Misshapen| e.within(Step::Item(number)).within(Step::Member(section.into()));
            let item = shape(value).map_err(|e| A::Error::custom(within(e)))?;
            (self.take)(number, item).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
