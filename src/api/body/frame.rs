//! The body of a gRPC call: one message with a length before it, compressed or not (gRPC over
//! HTTP/2, Length-Prefixed-Message). All calls of the gateway send just one.

use super::members::Members;
use super::{Unreadable, message, single};
use crate::api::catalogue::Field;
use crate::request::Request;
use flate2::write::GzDecoder;
use std::io::{self, Write};

/// A reader of the one message.
#[derive(Debug)]
pub(super) struct Reader {
    is_gzip: bool,
    max_bytes: u64,
    /// What is to read the message, until it begins.
    message: Option<message::Reader>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before the message: whether it is compressed, and its length.
    Head([u8; 5], usize),
    /// In the message, with so many bytes left.
    Inside(u64, Content),
    /// After it.
    Closed(Members),
}

#[derive(Debug)]
enum Content {
    Plain(message::Reader),
    Gzip(Box<GzDecoder<Inflated>>),
}

/// How far a part of a body has led.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// To what comes next.
    On,
    /// To where it cannot be read, or only at too high a price.
    Unknown,
}

/// Whether a request is a call that the gateway takes: protobuf, without any coding of its own.
///
/// # Errors
/// It is something else, or each reader could take it for something else.
pub(super) fn check_headers(request: &Request<'_>) -> Result<(), Unreadable> {
    match single(request, b"content-type", "the content type is not gRPC")? {
        Some(b"application/grpc" | b"application/grpc+proto") => Ok(()),
        _ => Err(Unreadable("the content type is not gRPC")),
    }
}

impl Reader {
    pub(super) fn new(request: &Request<'_>, fields: &'static [Field], max_bytes: u64) -> Result<Self, Unreadable> {
        check_headers(request)?;
        let encoding = single(request, b"grpc-encoding", "grpc-encoding is repeated")?;
        let message = Some(message::Reader::new(fields));
        Ok(Self { is_gzip: encoding == Some(b"gzip"), max_bytes, message, state: State::Head([0; 5], 0) })
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    pub(super) fn push(&mut self, mut chunk: &[u8]) -> Result<Flow, Unreadable> {
        while let Some((byte, rest)) = chunk.split_first() {
            match &mut self.state {
                State::Head(head, have) => {
                    if let Some(place) = head.get_mut(*have) {
                        *place = *byte;
                    }
                    *have = have.saturating_add(1);
                    chunk = rest;
                    if *have == head.len() {
                        let head = *head;
                        if self.begin(head)? == Flow::Unknown {
                            return Ok(Flow::Unknown);
                        }
                    }
                }
                State::Inside(left, content) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
                    let (part, rest) = chunk.split_at_checked(here).unwrap_or((chunk, &[]));
                    if content.push(part)? == Flow::Unknown {
                        return Ok(Flow::Unknown);
                    }
                    *left = left.saturating_sub(u64::try_from(part.len()).unwrap_or(u64::MAX));
                    chunk = rest;
                    if self.end()? == Flow::Unknown {
                        return Ok(Flow::Unknown);
                    }
                }
                State::Closed(_) => return Err(Unreadable("something follows the message")),
            }
        }
        Ok(Flow::On)
    }

    pub(super) fn finish(self) -> Result<Members, Unreadable> {
        match self.state {
            State::Closed(members) => Ok(members),
            State::Head(_, 0) => Err(Unreadable("there is no message")),
            _ => Err(Unreadable("the message is cut short")),
        }
    }

    /// The message begins.
    fn begin(&mut self, [flag, length @ ..]: [u8; 5]) -> Result<Flow, Unreadable> {
        let length = u64::from(u32::from_be_bytes(length));
        let Some(message) = self.message.take().filter(|_| length <= self.max_bytes) else { return Ok(Flow::Unknown) };
        let content = match (flag, self.is_gzip) {
            (0, _) => Content::Plain(message),
            (1, true) => Content::Gzip(Box::new(GzDecoder::new(Inflated::new(message, self.max_bytes)))),
            (1, false) => return Ok(Flow::Unknown),
            _ => return Err(Unreadable("a message begins with a flag that there is not")),
        };
        self.state = State::Inside(length, content);
        self.end()
    }

    /// The message ends, if it does.
    fn end(&mut self) -> Result<Flow, Unreadable> {
        let placeholder = State::Closed(Members::default());
        self.state = match std::mem::replace(&mut self.state, placeholder) {
            State::Inside(0, content) => match content.finish()? {
                Some(members) => State::Closed(members),
                None => return Ok(Flow::Unknown),
            },
            state => state,
        };
        Ok(Flow::On)
    }
}

impl Content {
    fn push(&mut self, part: &[u8]) -> Result<Flow, Unreadable> {
        match self {
            Self::Plain(message) => message.push(part).map(|()| Flow::On),
            Self::Gzip(decoder) => inflate(decoder, part),
        }
    }

    /// The wanted fields; `None` where they are not known.
    fn finish(self) -> Result<Option<Members>, Unreadable> {
        match self {
            Self::Plain(message) => message.finish().map(Some),
            Self::Gzip(mut decoder) => match decoder.try_finish() {
                Err(_) => stopped(&decoder).map(|_| None),
                Ok(()) => decoder.finish().map_err(|_| NOT_GZIP)?.message.finish().map(Some),
            },
        }
    }
}

fn inflate(decoder: &mut GzDecoder<Inflated>, mut part: &[u8]) -> Result<Flow, Unreadable> {
    while !part.is_empty() {
        match decoder.write(part) {
            Ok(0) => return Err(Unreadable("something follows the compressed message")),
            Ok(taken) => part = part.get(taken..).unwrap_or(&[]),
            Err(_) => return stopped(decoder),
        }
    }
    Ok(Flow::On)
}

/// Why inflating has stopped.
fn stopped(decoder: &GzDecoder<Inflated>) -> Result<Flow, Unreadable> {
    match decoder.get_ref().stopped {
        Some(Stopped::Unreadable(why)) => Err(why),
        Some(Stopped::TooLong) => Ok(Flow::Unknown),
        None => Err(NOT_GZIP),
    }
}

/// What comes out of a compressed message: it goes straight into the reader.
#[derive(Debug)]
struct Inflated {
    message: message::Reader,
    left: u64,
    stopped: Option<Stopped>,
}

/// Why no more is wanted of it.
#[derive(Clone, Copy, Debug)]
enum Stopped {
    Unreadable(Unreadable),
    TooLong,
}

impl Inflated {
    fn new(message: message::Reader, max_bytes: u64) -> Self {
        Self { message, left: max_bytes, stopped: None }
    }
}

impl Write for Inflated {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let within = part.get(..usize::try_from(self.left).unwrap_or(usize::MAX)).unwrap_or(part);
        self.left = self.left.saturating_sub(u64::try_from(within.len()).unwrap_or(u64::MAX));
        self.stopped = match self.message.push(within) {
            Err(why) => Some(Stopped::Unreadable(why)),
            Ok(()) => (within.len() < part.len()).then_some(Stopped::TooLong),
        };
        match self.stopped {
            None => Ok(part.len()),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const NOT_GZIP: Unreadable = Unreadable("the compressed message is not gzip");
