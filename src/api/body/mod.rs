//! The body, read as it streams by: only the members that decide are kept.
//!
//! [`json`] reads objects, [`frame`] gRPC messages ([`message`] their protobuf), [`multipart`]
//! deployments. What readers could read differently is refused.

mod frame;
mod json;
mod members;
mod message;
mod multipart;
#[cfg(test)]
mod tests;

use super::catalogue::{Form, Operation, Surface};
use crate::request::Request;
use frame::Flow;
pub use members::{Member, Members};

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

#[derive(Debug)]
enum Reader {
    Json(json::Reader),
    Message(Box<frame::Reader>),
    Multipart(Box<multipart::Reader>),
}

/// How far an incoming body is.
#[derive(Debug)]
pub enum Progress {
    /// More is to come.
    More(Incoming),
    /// It has ended; its members.
    End(Members),
    /// It is longer than allowed, or coded as the edge cannot read it; what is still to come need
    /// not be read.
    Unknown,
}

/// Whether a request has the form that its surface asks for, whatever its body says.
///
/// # Errors
/// It is sent to the gRPC API and is no gRPC call.
pub fn check_kind(request: &Request<'_>, operation: &Operation) -> Result<(), Unreadable> {
    if operation.surface == Surface::Grpc { frame::check_headers(request) } else { Ok(()) }
}

impl Incoming {
    /// Prepares to read what may decide of a body in this form.
    ///
    /// # Errors
    /// The headers announce another form, or one that the edge does not read.
    pub fn new(request: &Request<'_>, form: &Form, max_bytes: u64) -> Result<Self, Unreadable> {
        check_encoding(request)?;
        let reader = match form {
            Form::Json(members) => {
                json::check_headers(request)?;
                Reader::Json(json::Reader::new(members.clone()))
            }
            Form::Message(fields) => Reader::Message(Box::new(frame::Reader::new(request, fields, max_bytes)?)),
            Form::Multipart(part) => Reader::Multipart(Box::new(multipart::Reader::new(request, part.clone())?)),
        };
        Ok(Self { reader, length: 0, max_bytes })
    }

    /// Takes the next part; `end` with the last one, which may be empty.
    ///
    /// # Errors
    /// The body is not one that every reader reads alike.
    pub fn push(mut self, chunk: &[u8], end: bool) -> Result<Progress, Unreadable> {
        // What is within the limit is read also where the rest is not: however a body is cut, the same
        // comes of it.
        let left = usize::try_from(self.max_bytes.saturating_sub(self.length)).unwrap_or(usize::MAX);
        let within = chunk.get(..left).unwrap_or(chunk);
        self.length = self.length.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if self.reader.push(within)? == Flow::Unknown || within.len() < chunk.len() {
            return Ok(Progress::Unknown);
        }
        if end { Ok(Progress::End(self.reader.finish()?)) } else { Ok(Progress::More(self)) }
    }

    /// Whether nothing has come of it yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether all that a reader needs has come: it could act without waiting for the end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.reader {
            Reader::Json(reader) => reader.is_closed(),
            Reader::Message(reader) => reader.is_closed(),
            Reader::Multipart(reader) => reader.is_closed(),
        }
    }
}

impl Reader {
    fn push(&mut self, chunk: &[u8]) -> Result<Flow, Unreadable> {
        match self {
            Self::Json(reader) => reader.push(chunk).map(|()| Flow::On),
            Self::Message(reader) => reader.push(chunk),
            Self::Multipart(reader) => reader.push(chunk).map(|()| Flow::On),
        }
    }

    fn finish(self) -> Result<Members, Unreadable> {
        match self {
            Self::Json(reader) => reader.finish(),
            Self::Message(reader) => reader.finish(),
            Self::Multipart(reader) => reader.finish(),
        }
    }
}

/// The only value of a header. Where it stands twice, `why` is what one joined value would be called:
/// a proxy may join them before.
fn single<'a>(request: &Request<'a>, name: &[u8], why: &'static str) -> Result<Option<&'a [u8]>, Unreadable> {
    request.single_header(name).map_err(|_| Unreadable(why))
}

/// The cluster undoes no content encoding.
fn check_encoding(request: &Request<'_>) -> Result<(), Unreadable> {
    match single(request, b"content-encoding", "the body has a content encoding")? {
        Some(encoding) if !encoding.eq_ignore_ascii_case(b"identity") => {
            Err(Unreadable("the body has a content encoding"))
        }
        _ => Ok(()),
    }
}
