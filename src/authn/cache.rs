//! Verified tokens, kept so that a token is taken apart and checked once.
//!
//! An entry is found by two words of its signature and then compared whole: no hash ever stands for
//! a token. Only verified tokens enter. What can change is checked again on every hit. The memory is
//! bounded: there are two generations; when the younger is full, the older is dropped.

use super::token::{Validity, Verified};
use super::{Identity, Refused, UnixSeconds};
#[cfg_attr(
    not(test),
    expect(clippy::disallowed_types, reason = "its hasher has no seed, and nothing goes by its order")
)]
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// How many bytes of tokens and identities a cache keeps by default: half of it is surely kept,
/// which is 5,000 tokens of 1.5 KB with what belongs to them.
pub const DEFAULT_BYTES: usize = 24 * 1024 * 1024;
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

impl<A: Clone> Entry<A> {
    fn hit(&self, now: UnixSeconds) -> Result<Hit<A>, Refused> {
        self.validity.check(now)?;
        Ok(Hit { identity: Rc::clone(&self.identity), attachment: self.attachment.clone() })
    }
}

/// Entries by their slots.
#[cfg_attr(
    not(test),
    expect(clippy::disallowed_types, reason = "its hasher has no seed, and nothing goes by its order")
)]
type Generation<A> = HashMap<Slot, Entry<A>, BuildHasherDefault<AsItIs>>;

/// A bounded store of verified tokens of one set of issuers. `A` is what a later part attaches to
/// a token: the principal that a table makes of its bearer.
#[derive(Debug)]
pub struct TokenCache<A> {
    young: Generation<A>,
    old: Generation<A>,
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
        Self { young: Generation::default(), old: Generation::default(), young_bytes: 0, max_bytes }
    }

    /// The identity of a token that was verified before. What is asked for need not be a token at
    /// all.
    ///
    /// # Errors
    /// The token was verified, but its time is over.
    pub fn get(&mut self, token: &[u8], now: UnixSeconds) -> Result<Option<Hit<A>>, Refused> {
        let Some(slot) = slot(token) else {
            return Ok(None);
        };
        let is_it = |entry: &Entry<A>| same(entry.token.as_bytes(), token);
        if let Some(entry) = self.young.get(&slot) {
            return if is_it(entry) { entry.hit(now).map(Some) } else { Ok(None) };
        }
        if !self.old.get(&slot).is_some_and(is_it) {
            return Ok(None);
        }
        let Some(entry) = self.old.remove(&slot) else { return Ok(None) };
        let hit = entry.hit(now);
        self.put(slot, entry);
        hit.map(Some)
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
        if let Some(slot) = slot(token.as_bytes()) {
            self.put(slot, entry);
        }
        identity
    }

    /// Attaches something of roughly `size` bytes to a token that is kept.
    pub fn attach(&mut self, token: &str, attachment: A, size: usize) {
        let Some(slot) = slot(token.as_bytes()) else { return };
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

    fn put(&mut self, slot: Slot, entry: Entry<A>) {
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

/// Two words from within the signature: they differ between tokens, and whoever could choose them
/// would need a verified token for each choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot([u64; 2]);

fn slot(token: &[u8]) -> Option<Slot> {
    let (head, last) = token.split_last_chunk::<8>()?;
    let before = head.last_chunk::<8>()?;
    Some(Slot([u64::from_le_bytes(*before), u64::from_le_bytes(*last)]))
}

impl std::hash::Hash for Slot {
    /// Signatures are as good as random, but for the bits that base64 never sets.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self([before, last]) = self;
        let mixed = (before ^ last.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hasher.write_u64(mixed ^ mixed.wrapping_shr(32));
    }
}

/// A hasher of what is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Whether two texts are the same, word by word: in wasm several times as fast as `==`, which goes
/// byte by byte there.
fn same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let differs = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
    one.len() == other.len()
        && words.iter().zip(other_words).map(differs).fold(0, |all, word| all | word) == 0
        && rest == other_rest
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
        cache.insert("one.payload.signature-12345678", verified("one", 10));
        assert_eq!(name(cache.get(b"two.payload.signature-12345678", 0).unwrap()), None);
        cache.insert("two.payload.signature-12345678", verified("two", 10));
        assert_eq!(name(cache.get(b"two.payload.signature-12345678", 0).unwrap()), Some(Subject::User("two".into())));
        assert_eq!(name(cache.get(b"one.payload.signature-12345678", 0).unwrap()), None);
    }

    #[test]
    fn an_expired_token_ends_at_once() {
        let mut cache = TokenCache::<()>::default();
        cache.insert("a.b.signature1234", verified("a", 10));
        assert!(cache.get(b"a.b.signature1234", 9).unwrap().is_some());
        assert_eq!(cache.get(b"a.b.signature1234", 10).unwrap_err().reason, crate::reason::Reason::TokenExpired);
    }

    #[test]
    fn memory_is_bounded_and_used_tokens_stay() {
        let mut cache = TokenCache::<()>::new(20_000);
        cache.insert("used.b.signature-used", verified("used", 10));
        for number in 0..1_000 {
            cache.insert(&format!("a.b.signature-{number:08}"), verified("x", 10));
            assert!(cache.get(b"used.b.signature-used", 0).unwrap().is_some());
            assert!(cache.bytes() <= 20_000);
        }
        assert!(cache.get(b"a.b.signature-00000000", 0).unwrap().is_none());
    }

    #[test]
    fn an_issuer_is_forgotten_as_a_whole() {
        let mut cache = TokenCache::<()>::default();
        cache.insert("one.b.signature-of-one", verified("one", 10));
        cache.insert("two.b.signature-of-two", verified("two", 10));
        cache.forget(0);
        assert!(cache.get(b"one.b.signature-of-one", 0).unwrap().is_none());
        assert!(cache.get(b"two.b.signature-of-two", 0).unwrap().is_some());
    }

    #[test]
    fn a_token_is_compared_to_the_last_byte() {
        let token: Vec<u8> = (0..100).map(|n| b'a' + n % 26).collect();
        for length in [0, 7, 8, 9, 63, 64, 100] {
            let token = &token[..length];
            assert!(same(token, token));
            for place in 0..length {
                let mut other = token.to_vec();
                other[place] ^= 1;
                assert!(!same(token, &other), "{length} {place}");
            }
            assert!(!same(token, &[token, b"x"].concat()));
        }
    }
}
