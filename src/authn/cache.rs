//! Verified tokens, kept so that a token is taken apart and checked once.
//!
//! An entry is found by bytes of its signature and then compared whole: no hash ever stands for a
//! token. Only verified tokens enter. What can change is checked again on every hit. The memory is
//! bounded: there are two generations; when the younger is full, the older is dropped.

use super::token::{Validity, Verified};
use super::{Identity, Refused, UnixSeconds};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many bytes of tokens and identities a cache keeps by default.
pub const DEFAULT_BYTES: usize = 4 * 1024 * 1024;
/// What an entry costs besides its token and identity, roughly.
const OVERHEAD: usize = 256;

/// A verified token.
#[derive(Debug)]
struct Entry<A> {
    token: Box<str>,
    identity: Rc<Identity>,
    validity: Validity,
    attachment: Option<A>,
    issuer: usize,
    size: usize,
}

/// A bounded store of verified tokens of one set of issuers. `A` is what a later part attaches to
/// a token: the principal that a table makes of its bearer.
#[derive(Debug)]
pub struct TokenCache<A> {
    young: BTreeMap<[u8; 8], Entry<A>>,
    old: BTreeMap<[u8; 8], Entry<A>>,
    young_bytes: usize,
    max_bytes: usize,
}

/// A token found in the cache.
#[derive(Clone, Debug)]
pub struct Hit<A> {
    /// Who it speaks of.
    pub identity: Rc<Identity>,
    /// What a later part attached to it.
    pub attachment: Option<A>,
}

impl<A: Clone> Default for TokenCache<A> {
    fn default() -> Self {
        Self::new(DEFAULT_BYTES)
    }
}

impl<A: Clone> TokenCache<A> {
    /// A cache of at most about this many bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), young_bytes: 0, max_bytes }
    }

    /// The identity of a token that was verified before.
    ///
    /// # Errors
    /// The token was verified, but its time is over.
    pub fn get(&mut self, token: &str, now: UnixSeconds) -> Result<Option<Hit<A>>, Refused> {
        let Some(slot) = slot(token) else {
            return Ok(None);
        };
        if self.old.get(&slot).is_some_and(|e| &*e.token == token)
            && let Some(entry) = self.old.remove(&slot)
        {
            self.put(slot, entry);
        }
        let Some(entry) = self.young.get(&slot).filter(|e| &*e.token == token) else {
            return Ok(None);
        };
        entry.validity.check(now)?;
        Ok(Some(Hit { identity: Rc::clone(&entry.identity), attachment: entry.attachment.clone() }))
    }

    /// Keeps a token that was just verified.
    pub fn insert(&mut self, token: &str, verified: Verified) -> Rc<Identity> {
        let identity = Rc::new(verified.identity);
        let entry = Entry {
            token: token.into(),
            identity: Rc::clone(&identity),
            validity: verified.validity,
            attachment: None,
            issuer: verified.issuer,
            size: token.len().saturating_add(identity.size()).saturating_add(OVERHEAD),
        };
        if let Some(slot) = slot(token) {
            self.put(slot, entry);
        }
        identity
    }

    /// Attaches something of roughly `size` bytes to a token that is kept.
    pub fn attach(&mut self, token: &str, attachment: A, size: usize) {
        let Some(slot) = slot(token) else { return };
        let Some(mut entry) = self.young.remove(&slot) else {
            return;
        };
        self.young_bytes = self.young_bytes.saturating_sub(entry.size);
        if &*entry.token == token {
            entry.size =
                token.len().saturating_add(entry.identity.size()).saturating_add(OVERHEAD).saturating_add(size);
            entry.attachment = Some(attachment);
        }
        self.put(slot, entry);
    }

    /// Drops every token of an issuer, by its number: its keys have changed.
    pub fn forget(&mut self, issuer: usize) {
        self.old.retain(|_, entry| entry.issuer != issuer);
        self.young.retain(|_, entry| entry.issuer != issuer);
        self.young_bytes = self.young.values().map(|e| e.size).sum();
    }

    /// Roughly how many bytes are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.old.values().chain(self.young.values()).map(|e| e.size).sum()
    }

    fn put(&mut self, slot: [u8; 8], entry: Entry<A>) {
        let size = entry.size;
        let half = self.max_bytes.checked_div(2).unwrap_or(0);
        if size > half {
            return;
        }
        if self.young_bytes.saturating_add(size) > half {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes = self.young_bytes.saturating_add(size);
        if let Some(replaced) = self.young.insert(slot, entry) {
            self.young_bytes = self.young_bytes.saturating_sub(replaced.size);
        }
    }
}

/// Eight bytes near the end of the signature: they differ between tokens, and whoever could choose
/// them would need a verified token for each choice.
fn slot(token: &str) -> Option<[u8; 8]> {
    let (head, _) = token.as_bytes().split_last_chunk::<4>()?;
    head.last_chunk::<8>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::Subject;
    use serde_json::json;

    fn verified(name: &str, expires: UnixSeconds) -> Verified {
        let identity = Identity::assumed(Subject::User(name.into()), None, &json!({}));
        Verified { identity, validity: Validity::new(None, expires), issuer: usize::from(name == "two") }
    }

    fn name(hit: Option<Hit<()>>) -> Option<Subject> {
        hit.map(|h| h.identity.subject().clone())
    }

    #[test]
    fn no_two_tokens_are_taken_for_each_other() {
        let mut cache = TokenCache::<()>::default();
        cache.insert("one.payload.signature1234", verified("one", 10));
        assert_eq!(name(cache.get("two.payload.signature1234", 0).unwrap()), None);
        cache.insert("two.payload.signature1234", verified("two", 10));
        assert_eq!(name(cache.get("two.payload.signature1234", 0).unwrap()), Some(Subject::User("two".into())));
        assert_eq!(name(cache.get("one.payload.signature1234", 0).unwrap()), None);
    }

    #[test]
    fn an_expired_token_ends_at_once() {
        let mut cache = TokenCache::<()>::default();
        cache.insert("a.b.signature1234", verified("a", 10));
        assert!(cache.get("a.b.signature1234", 9).unwrap().is_some());
        assert_eq!(cache.get("a.b.signature1234", 10).unwrap_err().reason, crate::reason::Reason::TokenExpired);
    }

    #[test]
    fn memory_is_bounded_and_used_tokens_stay() {
        let mut cache = TokenCache::<()>::new(20_000);
        cache.insert("used.b.signature-used", verified("used", 10));
        for number in 0..1_000 {
            cache.insert(&format!("a.b.signature-{number:08}"), verified("x", 10));
            assert!(cache.get("used.b.signature-used", 0).unwrap().is_some());
            assert!(cache.bytes() <= 20_000);
        }
        assert!(cache.get("a.b.signature-00000000", 0).unwrap().is_none());
    }

    #[test]
    fn an_issuer_is_forgotten_as_a_whole() {
        let mut cache = TokenCache::<()>::default();
        cache.insert("one.b.signature-of-one", verified("one", 10));
        cache.insert("two.b.signature-of-two", verified("two", 10));
        cache.forget(0);
        assert!(cache.get("one.b.signature-of-one", 0).unwrap().is_none());
        assert!(cache.get("two.b.signature-of-two", 0).unwrap().is_some());
    }
}
