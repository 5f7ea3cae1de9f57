//! Keys that an identity provider publishes: when to fetch them, and what to make of the answer.
//!
//! Nothing here does the fetching: whoever has a network asks [`KeyStore::due`] what to fetch and
//! gives the answer to [`KeyStore::receive`].

use super::{KeySet, MAX_KEYS, Skipped};
use crate::authn::{Issuers, UnixSeconds};
use crate::json;
use serde_json::Value;

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// How many seconds lie between two fetches at least, whatever asks for one: tokens with made-up
/// key ids must not make the edge a hammer.
const COOL_DOWN: UnixSeconds = 10;
/// The longest pause after failures, in seconds.
const MAX_BACKOFF: UnixSeconds = 60;
/// After how many seconds beyond its timeout a fetch without an answer is given up.
const GRACE: UnixSeconds = 5;

/// An absolute `http` or `https` URI, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uri {
    /// `http` or `https`.
    pub scheme: String,
    /// Host and perhaps port.
    pub authority: String,
    /// Path and perhaps query.
    pub path: String,
}

impl Uri {
    /// Reads a URI; `None` where it is not an absolute one of `http` or `https`, has user
    /// information, a fragment, or characters that must not stand in one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}#".contains(&b));
        if !matches!(scheme, "http" | "https") || authority.is_empty() || authority.contains(['@', '?']) || !plain(rest)
        {
            return None;
        }
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { scheme: scheme.into(), authority: authority.into(), path: path.into() })
    }
}

/// How an issuer's keys are fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    /// The proxy's cluster to fetch from.
    pub cluster: String,
    /// Where to begin.
    pub start: Start,
    /// How long an answer may take, in milliseconds.
    pub timeout: u32,
    /// After how many seconds keys are fetched again.
    pub refresh: UnixSeconds,
    /// For how many seconds keys stay good while none can be fetched.
    pub max_stale: UnixSeconds,
}

/// Where fetching begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// At the key set.
    Keys(Uri),
    /// At the issuer's metadata (RFC 8414 section 3; OpenID Connect Discovery section 4).
    Discovery {
        /// Where it stands.
        uri: Uri,
        /// The issuer that it must name.
        issuer: String,
    },
}

/// Something to fetch now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// For which issuer, by its number.
    pub issuer: usize,
    /// The proxy's cluster.
    pub cluster: String,
    /// What to get.
    pub uri: Uri,
    /// How long it may take, in milliseconds.
    pub timeout: u32,
}

/// What came of a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// The metadata came; the keys are due now.
    Metadata,
    /// Keys came.
    Keys {
        /// They differ from those before: what was verified with those must be verified again.
        changed: bool,
        /// Keys that cannot be used.
        skipped: Vec<Skipped>,
    },
    /// Nothing usable came; what was there before stays.
    Failed(&'static str),
}

/// The fetched keys of all issuers.
#[derive(Debug, Default)]
pub struct KeyStore(Vec<State>);

#[derive(Debug)]
struct State {
    remote: Option<Remote>,
    document: Option<Value>,
    keys: KeySet,
    fetched: Option<UnixSeconds>,
    /// Fetches begun so far, and which of them brought the keys.
    begun: u64,
    brought: u64,
    next: UnixSeconds,
    last: Option<UnixSeconds>,
    failures: u32,
    in_flight: Option<UnixSeconds>,
    jwks_uri: Option<Uri>,
}

/// How an issuer's fetched keys stand.
#[derive(Clone, Copy, Debug)]
pub enum Standing<'a> {
    /// The issuer fetches none.
    Nothing,
    /// None have come yet, or they are too old.
    Missing,
    /// These are good; the fetch of this number brought them.
    Good(&'a KeySet, u64),
}

impl KeyStore {
    /// A store for these issuers, with nothing fetched.
    #[must_use]
    pub fn new(issuers: &Issuers) -> Self {
        let state = |remote: Option<Remote>| State {
            remote,
            document: None,
            keys: KeySet::default(),
            fetched: None,
            begun: 0,
            brought: 0,
            next: UnixSeconds::MIN,
            last: None,
            failures: 0,
            in_flight: None,
            jwks_uri: None,
        };
        Self(issuers.iter().map(|issuer| state(issuer.remote.clone())).collect())
    }

    /// Takes over what another store has fetched from the very same place, where it is newer: a
    /// change of one issuer must not cost the others their keys.
    pub fn adopt(&mut self, other: &Self) {
        let place = |state: &State| state.remote.as_ref().map(|remote| (remote.cluster.clone(), remote.start.clone()));
        for state in &mut self.0 {
            let here = place(state);
            let same = other.0.iter().find(|o| here.is_some() && o.fetched > state.fetched && place(o) == here);
            let Some(same) = same else { continue };
            state.document.clone_from(&same.document);
            state.keys = same.keys.clone();
            state.fetched = same.fetched;
            state.last = same.last;
            state.next = same.next;
            // As if its own first fetch had brought them.
            state.begun = 1;
            state.brought = 1;
        }
    }

    /// How the keys of an issuer stand now.
    #[must_use]
    pub fn standing(&self, issuer: usize, now: UnixSeconds) -> Standing<'_> {
        match self.0.get(issuer) {
            Some(State { remote: Some(remote), fetched, keys, brought, .. }) => match fetched {
                Some(at) if now.saturating_sub(*at) <= remote.max_stale => Standing::Good(keys, *brought),
                _ => Standing::Missing,
            },
            _ => Standing::Nothing,
        }
    }

    /// The issuers, by number, that fetch keys and have no good ones now.
    #[must_use]
    pub fn without_good_keys(&self, now: UnixSeconds) -> Vec<usize> {
        (0..self.0.len()).filter(|issuer| matches!(self.standing(*issuer, now), Standing::Missing)).collect()
    }

    /// Asks for an early fetch: a token names a key that is not there. It is made as soon as the
    /// cool-down is over. The answer is the number of the last fetch so far: only a later one can
    /// settle that there is no such key, one under way may have begun before the key was made.
    pub fn ask(&mut self, issuer: usize, now: UnixSeconds) -> u64 {
        let Some(state) = self.0.get_mut(issuer) else { return 0 };
        let earliest = state.last.map_or(now, |last| last.saturating_add(COOL_DOWN));
        state.next = state.next.min(earliest.max(now));
        state.begun
    }

    /// What is to be fetched now. Each is given out once, until its answer has come.
    pub fn due(&mut self, now: UnixSeconds) -> Vec<Fetch> {
        let mut due = Vec::new();
        for (issuer, state) in self.0.iter_mut().enumerate() {
            let Some(remote) = &state.remote else { continue };
            if state.in_flight.is_some_and(|until| now <= until) || now < state.next {
                continue;
            }
            let uri = match (&remote.start, &state.jwks_uri) {
                (Start::Keys(uri), _) | (Start::Discovery { .. }, Some(uri)) | (Start::Discovery { uri, .. }, None) => {
                    uri
                }
            };
            let seconds = UnixSeconds::from(remote.timeout).checked_div(1_000).unwrap_or(0);
            state.in_flight = Some(now.saturating_add(seconds).saturating_add(GRACE));
            state.last = Some(now);
            state.begun = state.begun.saturating_add(1);
            due.push(Fetch { issuer, cluster: remote.cluster.clone(), uri: uri.clone(), timeout: remote.timeout });
        }
        due
    }

    /// A fetch will have no answer: whoever made it is gone.
    pub fn lose(&mut self, issuer: usize) {
        if let Some(state) = self.0.get_mut(issuer) {
            state.in_flight = None;
            state.next = UnixSeconds::MIN;
        }
    }

    /// Takes the answer to a fetch: status and body, or `None` where there was none. `chance` is
    /// any number; it spreads the fetches of many workers.
    pub fn receive(&mut self, issuer: usize, answer: Option<(u16, &[u8])>, now: UnixSeconds, chance: u32) -> Received {
        let Some(State { remote: Some(remote), .. }) = self.0.get(issuer) else {
            return Received::Failed("nothing was to be fetched");
        };
        let remote = remote.clone();
        let Some(state) = self.0.get_mut(issuer) else { return Received::Failed("nothing was to be fetched") };
        state.in_flight = None;
        let received = state.read(&remote, answer);
        match &received {
            Received::Metadata => state.next = now,
            Received::Keys { .. } => {
                state.fetched = Some(now);
                state.brought = state.begun;
                state.failures = 0;
                state.next = now.saturating_add(spread(remote.refresh, chance));
                // The metadata may name another place next time.
                state.jwks_uri = None;
            }
            Received::Failed(_) => {
                let backoff = 1_i64.checked_shl(state.failures.min(6)).unwrap_or(MAX_BACKOFF).min(MAX_BACKOFF);
                state.failures = state.failures.saturating_add(1);
                state.next = now.saturating_add(spread(backoff, chance).max(1));
                state.jwks_uri = None;
            }
        }
        received
    }
}

impl State {
    fn read(&mut self, remote: &Remote, answer: Option<(u16, &[u8])>) -> Received {
        let (status, body) = match answer {
            None => return Received::Failed("no answer"),
            Some(answer) => answer,
        };
        if status != 200 {
            return Received::Failed("the status is not 200");
        }
        if body.len() > MAX_ANSWER {
            return Received::Failed("the answer is too long");
        }
        let Ok(document) = json::parse(body) else {
            return Received::Failed("the answer is not JSON without duplicates");
        };
        if let (Start::Discovery { issuer, .. }, None) = (&remote.start, &self.jwks_uri) {
            if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
                return Received::Failed("the metadata is of another issuer");
            }
            let Some(uri) = document.get("jwks_uri").and_then(Value::as_str).and_then(Uri::parse) else {
                return Received::Failed("the metadata has no usable jwks_uri");
            };
            self.jwks_uri = Some(uri);
            return Received::Metadata;
        }
        let Some(list) = document.get("keys").and_then(Value::as_array) else {
            return Received::Failed("the answer is not a key set");
        };
        if list.len() > MAX_KEYS {
            return Received::Failed("the key set has too many keys");
        }
        let (keys, skipped) = KeySet::read(list);
        // An empty set is more likely a fault of the provider than its wish to lock everyone out.
        if keys.is_empty() {
            return Received::Failed("the key set has no usable key");
        }
        let changed = self.document.as_ref() != Some(&document);
        self.keys = keys;
        self.document = Some(document);
        Received::Keys { changed, skipped }
    }
}

/// A length of time, shortened by up to a fifth.
fn spread(seconds: UnixSeconds, chance: u32) -> UnixSeconds {
    let fifth = seconds.checked_div(5).unwrap_or(0);
    let off = UnixSeconds::from(chance).checked_rem(fifth.saturating_add(1)).unwrap_or(0);
    seconds.saturating_sub(off)
}

#[cfg(test)]
mod tests;
