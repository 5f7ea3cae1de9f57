//! Requests that wait for something that may never come: how many may, and for what.
//!
//! Whoever can make requests wait must leave room for others. Anybody can make up a key id, so of
//! those that wait for keys there are fewer than of all, and fewer still for one issuer.

use crate::authn::UnixSeconds;
use std::collections::BTreeMap;

/// How many may wait at once.
const MOST: usize = 1_024;
/// How many of them may wait for keys: tokens with made-up key ids must leave room for bodies.
const MOST_FOR_KEYS: usize = 768;
/// How many of those may wait for the keys of one issuer: the others must have room, too.
const MOST_FOR_AN_ISSUER: usize = 512;

/// An issuer whose keys are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeysOf {
    /// A number that the `issuers` section has in which it stands, and no other that is in use.
    pub issuers: usize,
    /// Its number there.
    pub issuer: usize,
}

/// What a request waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// The first part of its body.
    Body,
    /// Its issuer's keys.
    Keys(KeysOf),
    /// The end of the proxy's call that it is in.
    Turn,
}

/// A request that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<T> {
    /// The request.
    pub request: T,
    /// What it waits for.
    pub wait: Wait,
    /// Until when.
    pub until: UnixSeconds,
}

/// All requests that wait, by their numbers.
#[derive(Debug)]
pub struct WaitingRoom<T>(BTreeMap<u32, Waiting<T>>);

impl<T> WaitingRoom<T> {
    /// Nobody waits yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Lets a request wait; `false` where too many do.
    #[must_use]
    pub fn enter(&mut self, number: u32, waiting: Waiting<T>) -> bool {
        let count = |which: &dyn Fn(&Wait) -> bool| self.0.values().filter(|w| which(&w.wait)).count();
        let room = match waiting.wait {
            Wait::Keys(_) => {
                count(&|wait| matches!(wait, Wait::Keys(_))) < MOST_FOR_KEYS
                    && count(&|wait| *wait == waiting.wait) < MOST_FOR_AN_ISSUER
            }
            Wait::Body | Wait::Turn => true,
        };
        let enters = room && self.0.len() < MOST;
        if enters {
            self.0.insert(number, waiting);
        }
        enters
    }

    /// A request waits no longer.
    pub fn leave(&mut self, number: u32) {
        self.0.remove(&number);
    }

    /// Takes out all that `which` names.
    pub fn take(&mut self, which: impl Fn(&Waiting<T>) -> bool) -> Vec<(u32, Waiting<T>)> {
        let numbers: Vec<u32> =
            self.0.iter().filter(|(_, waiting)| which(waiting)).map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| Some((number, self.0.remove(&number)?))).collect()
    }
}

impl<T> Default for WaitingRoom<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many requests may wait.
    fn enter(room: &mut WaitingRoom<()>, from: u32, count: u32, wait: Wait) -> usize {
        (from..from + count).filter(|number| room.enter(*number, Waiting { request: (), wait, until: 0 })).count()
    }

    fn keys(issuers: usize, issuer: usize) -> Wait {
        Wait::Keys(KeysOf { issuers, issuer })
    }

    #[test]
    fn those_who_wait_for_keys_leave_room_for_bodies() {
        let mut room = WaitingRoom::new();
        assert_eq!(enter(&mut room, 0, 500, keys(0, 0)) + enter(&mut room, 1_000, 500, keys(0, 1)), 768);
        assert_eq!(enter(&mut room, 2_000, 500, Wait::Body), 256);
        assert_eq!(enter(&mut room, 3_000, 1, Wait::Turn), 0);
        // Whoever leaves makes room again.
        assert_eq!(room.take(|waiting| waiting.wait == keys(0, 0)).len(), 500);
        assert_eq!(enter(&mut room, 4_000, 1_000, keys(0, 1)), 244);
        room.leave(2_000);
        assert_eq!(enter(&mut room, 5_000, 1_000, Wait::Turn), 257);
    }

    #[test]
    fn bodies_may_take_all_the_room() {
        assert_eq!(enter(&mut WaitingRoom::new(), 0, 2_000, Wait::Body), 1_024);
    }

    #[test]
    fn made_up_key_ids_of_one_issuer_leave_room_for_the_others() {
        let mut room = WaitingRoom::new();
        assert_eq!(enter(&mut room, 0, 10_000, keys(0, 0)), 512);
        // The same number in another configuration is another issuer.
        assert_eq!(enter(&mut room, 10_000, 100, keys(0, 1)), 100);
        assert_eq!(enter(&mut room, 20_000, 100, keys(1, 0)), 100);
        assert_eq!(enter(&mut room, 30_000, 100, keys(0, 0)), 0);
        assert_eq!(enter(&mut room, 40_000, 100, keys(1, 1)), 56);
    }
}
