//! A body that comes in parts.

use portcullis::api::body::{Incoming, Members, Progress};

/// What came of a body.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Its members.
    Read(Members),
    /// It cannot be known.
    Unknown,
    /// It is refused, for this reason.
    Unreadable(&'static str),
}

/// Where two things are wrong, either may be said.
impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read(members), Self::Read(others)) => members == others,
            (Self::Unknown, Self::Unknown) | (Self::Unreadable(_), Self::Unreadable(_)) => true,
            _ => false,
        }
    }
}

/// Reads a body in these parts.
pub fn read<'a>(mut incoming: Incoming, chunks: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut was_closed = false;
    for chunk in chunks {
        incoming = match incoming.push(chunk, false) {
            Ok(Progress::More(incoming)) => incoming,
            Ok(Progress::Unknown) => return Outcome::Unknown,
            Ok(Progress::End(_)) => panic!("it has not ended"),
            Err(why) => return Outcome::Unreadable(why.0),
        };
        assert!(incoming.is_closed() || !was_closed, "open again");
        was_closed = incoming.is_closed();
    }
    match incoming.push(&[], true) {
        Ok(Progress::End(members)) => {
            assert!(was_closed, "it was whole, and not closed");
            Outcome::Read(members)
        }
        Ok(Progress::Unknown) => Outcome::Unknown,
        Ok(Progress::More(_)) => panic!("it has ended"),
        Err(why) => Outcome::Unreadable(why.0),
    }
}

/// However a body is cut, the same comes of it.
pub fn cut_alike(outcome: &Outcome, incoming: &dyn Fn() -> Incoming, body: &[u8], cut: u8) {
    let size = usize::from(cut % 16) + 1;
    assert_eq!(*outcome, read(incoming(), body.chunks(size)), "in parts of {size} bytes");
    let at = usize::from(cut) * body.len() / 256;
    assert_eq!(*outcome, read(incoming(), [&body[..at], &[], &body[at..], &[]].into_iter()), "cut at {at}");
}
