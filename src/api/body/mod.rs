//! The body, read as it streams by: only the members that decide are kept.

mod json;

use crate::request::Request;
use json::Reader;
pub use json::{Member, Members};

/// Why a body cannot be read as the cluster would read it; for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable(pub &'static str);

/// What is known of the body when a decision is made.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// It has not been read.
    Unread,
    /// What stands in it stays unknown: it is longer than `body.maxBytes`, or cannot be read where
    /// reading it would only have made the decision surer.
    Unknown,
    /// Its members.
    Read(&'a Members),
}

/// A body on its way in.
#[derive(Debug)]
pub struct Incoming {
    reader: Reader,
    length: u64,
    max_bytes: u64,
}

/// How far an incoming body is.
#[derive(Debug)]
pub enum Progress {
    /// More is to come.
    More(Incoming),
    /// It has ended; its members.
    End(Members),
    /// It is longer than allowed; what is still to come need not be read.
    TooLong,
}

impl Incoming {
    /// Prepares to read `members` of the outermost object.
    ///
    /// # Errors
    /// The headers announce something else than plain JSON in UTF-8.
    pub fn new(request: &Request<'_>, members: &'static [&'static str], max_bytes: u64) -> Result<Self, Unreadable> {
        check_headers(request)?;
        Ok(Self { reader: Reader::new(members), length: 0, max_bytes })
    }

    /// Takes the next part; `end` with the last one, which may be empty.
    ///
    /// # Errors
    /// The body is not one JSON object that every reader reads alike.
    pub fn push(mut self, chunk: &[u8], end: bool) -> Result<Progress, Unreadable> {
        self.length = self.length.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if self.length > self.max_bytes {
            return Ok(Progress::TooLong);
        }
        self.reader.push(chunk)?;
        if end { Ok(Progress::End(self.reader.finish()?)) } else { Ok(Progress::More(self)) }
    }

    /// Whether nothing has come of it yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the object is closed: a reader could act on it without waiting for the end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reader.is_closed()
    }
}

/// The cluster takes JSON; it undoes no content encoding, and Jackson guesses UTF-16 and UTF-32
/// by themselves, which this reader does not know.
fn check_headers(request: &Request<'_>) -> Result<(), Unreadable> {
    let single = |name: &'static [u8], why| request.single_header(name).map_err(|_| Unreadable(why));
    if let Some(encoding) = single(b"content-encoding", "content-encoding is repeated")?
        && !encoding.eq_ignore_ascii_case(b"identity")
    {
        return Err(Unreadable("the body has a content encoding"));
    }
    let content_type = single(b"content-type", "content-type is repeated")?.unwrap_or(b"");
    let mut parts = content_type.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let media_type = parts.next().unwrap_or(b"").to_ascii_lowercase();
    if media_type != b"application/json" && !(media_type.starts_with(b"application/") && media_type.ends_with(b"+json"))
    {
        return Err(Unreadable("the content type is not JSON"));
    }
    for parameter in parts {
        let parameter = parameter.to_ascii_lowercase();
        let charset = parameter.strip_prefix(b"charset=").map(|v| v.strip_prefix(b"\"").unwrap_or(v));
        let charset = charset.map(|v| v.strip_suffix(b"\"").unwrap_or(v));
        if charset.is_some_and(|v| v != b"utf-8" && v != b"us-ascii") {
            return Err(Unreadable("the charset is not UTF-8"));
        }
    }
    Ok(())
}
