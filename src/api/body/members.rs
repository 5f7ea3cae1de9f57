//! What is kept of a body: the members that may decide.

use crate::api::catalogue::Text;

/// The longest text that is kept; no id of the cluster is as long.
pub(super) const MAX_TEXT: usize = 4_096;
/// How many texts of a list are kept.
pub(super) const MAX_ITEMS: usize = 1_024;

/// The value of a wanted member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Member {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`, which the cluster reads as absent.
    Null,
    /// A list of strings.
    Texts(Vec<String>),
    /// Anything else, or a string too long to be kept.
    Other,
}

/// The wanted members that a body has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members(pub(super) Vec<(Text, Member)>);

impl Members {
    /// A member's value; `None` where it is absent or null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, m)| m).filter(|m| **m != Member::Null)
    }

    /// Sets a member in place of the one that was there; `None` takes it away.
    pub(super) fn set(&mut self, name: Text, value: Option<Member>) {
        self.0.retain(|(n, _)| *n != name);
        self.0.extend(value.map(|value| (name, value)));
    }

    /// Adds a text to a list; `None` for one too long to be kept.
    pub(super) fn add(&mut self, name: Text, text: Option<String>) {
        let kept = match self.0.iter().position(|(n, _)| *n == name) {
            Some(number) => self.0.swap_remove(number).1,
            None => Member::Texts(Vec::new()),
        };
        let kept = match (kept, text) {
            (Member::Texts(mut items), Some(text)) if items.len() < MAX_ITEMS => {
                items.push(text);
                Member::Texts(items)
            }
            _ => Member::Other,
        };
        self.0.push((name, kept));
    }
}
