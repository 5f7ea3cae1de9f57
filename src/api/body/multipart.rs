//! A reader of `multipart/form-data` (RFC 7578, RFC 2046 section 5.1) that keeps no copy: it
//! remembers only the wanted part, a short text.
//!
//! Readers of multipart differ widely in what they forgive, so nothing is forgiven: a body is either
//! written the plain way, or refused.

use super::members::{MAX_TEXT, Member, Members};
use super::{Unreadable, single};
use crate::api::catalogue::Text;
use crate::request::Request;

/// The longest headers of a part; Tomcat's own limit is lower.
const MAX_HEADERS: usize = 8_192;

/// Charsets that say ASCII as it is. Clients put them on a part of a form in many spellings.
const CHARSETS: [&[u8]; 3] = [b"utf-8", b"us-ascii", b"iso-8859-1"];

/// A reader of one body.
#[derive(Debug)]
pub(super) struct Reader {
    wanted: Text,
    /// What begins and ends each part: a line feed (after a carriage return), `--`, the boundary.
    delimiter: Vec<u8>,
    found: Members,
    state: State,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    /// The delimiter before the first part, so much of it seen.
    First(usize),
    /// What follows a delimiter: an end of line, or `--` after the last part.
    Delimited(Option<u8>),
    /// The headers of a part.
    Headers(Headers),
    /// Its content.
    Content(Content),
    /// After the last delimiter one more end of line may come, so much of it seen.
    Closed(usize),
}

#[derive(Debug, Default)]
struct Headers {
    line: Vec<u8>,
    length: usize,
    name: Option<String>,
    has_filename: bool,
    content_type: Option<Vec<u8>>,
    has_encoding: bool,
}

#[derive(Debug)]
struct Content {
    last: u8,
    /// How much of the delimiter the last bytes are, and whether a carriage return stands before.
    matched: usize,
    after_return: bool,
    /// The wanted part so far; `None` inside where it is no short plain text.
    kept: Option<Option<Vec<u8>>>,
}

impl Reader {
    /// # Errors
    /// The headers announce something else, or a boundary that readers could cut out differently.
    pub(super) fn new(request: &Request<'_>, wanted: Text) -> Result<Self, Unreadable> {
        let content_type = single(request, b"content-type", NOT_MULTIPART.0)?.unwrap_or(b"");
        let (kind, parameters) = parameters(content_type).ok_or(NOT_MULTIPART)?;
        if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
            return Err(NOT_MULTIPART);
        }
        let boundary = only(&parameters, "boundary").ok_or(BAD_BOUNDARY)?;
        let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"'()+_-./:=?".contains(b);
        if boundary.is_empty() || boundary.len() > 70 || !boundary.iter().all(is_plain) {
            return Err(BAD_BOUNDARY);
        }
        let delimiter = [b"\n--", boundary].concat();
        Ok(Self { wanted, delimiter, found: Members::default(), state: State::First(1) })
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Unreadable> {
        chunk.iter().try_for_each(|byte| self.byte(*byte))
    }

    pub(super) fn finish(self) -> Result<Members, Unreadable> {
        match self.state {
            State::Closed(0 | 2) => Ok(self.found),
            _ => Err(Unreadable("the multipart body is cut short")),
        }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Unreadable> {
        match &mut self.state {
            State::First(seen) => {
                if self.delimiter.get(*seen) != Some(&byte) {
                    return Err(Unreadable("something stands before the first part"));
                }
                *seen = seen.saturating_add(1);
                if *seen == self.delimiter.len() {
                    self.state = State::Delimited(None);
                }
            }
            State::Delimited(before) => {
                self.state = match (*before, byte) {
                    (None, b'\r' | b'-') => State::Delimited(Some(byte)),
                    (Some(b'\r'), b'\n') => State::Headers(Headers::default()),
                    (Some(b'-'), b'-') => State::Closed(0),
                    _ => return Err(Unreadable("something follows the boundary on its line")),
                }
            }
            State::Headers(headers) => {
                if headers.byte(byte)? {
                    self.state = State::Content(self.begin_content()?);
                }
            }
            State::Content(content) => {
                if content.byte(byte, &self.delimiter)? {
                    self.end_content();
                }
            }
            State::Closed(seen) => {
                if b"\r\n".get(*seen) != Some(&byte) {
                    return Err(Unreadable("something follows the last part"));
                }
                *seen = seen.saturating_add(1);
            }
        }
        Ok(())
    }

    fn begin_content(&mut self) -> Result<Content, Unreadable> {
        let State::Headers(headers) = &self.state else { return Err(BAD_HEADER) };
        let name = headers.name.as_deref().ok_or(Unreadable("a part has no name"))?;
        let content_type = headers.content_type.as_deref().map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
        if content_type.starts_with(b"multipart/") {
            return Err(Unreadable("a part has parts of its own"));
        }
        let kept = if name != self.wanted {
            None
        } else if self.found.get(name).is_some() {
            return Err(Unreadable("a part stands twice"));
        } else {
            let is_text = is_plain_text(&content_type);
            Some((is_text && !headers.has_filename && !headers.has_encoding).then(Vec::new))
        };
        // A delimiter needs an end of line of its own, which the headers' end is not.
        Ok(Content { last: b'\n', matched: 1, after_return: false, kept })
    }

    fn end_content(&mut self) {
        let end = self.delimiter.len().saturating_add(1);
        if let State::Content(Content { kept: Some(kept), .. }) = &mut self.state {
            let text = kept.take().and_then(|mut text| {
                text.truncate(text.len().saturating_sub(end));
                let is_plain = text.len() <= MAX_TEXT && text.iter().all(|b| (0x20..0x7f).contains(b));
                String::from_utf8(text).ok().filter(|_| is_plain)
            });
            self.found.set(self.wanted.clone(), Some(text.map_or(Member::Other, Member::Text)));
        }
        self.state = State::Delimited(None);
    }
}

impl Headers {
    /// Takes a byte; whether the headers have ended with it.
    fn byte(&mut self, byte: u8) -> Result<bool, Unreadable> {
        self.length = self.length.saturating_add(1);
        if self.length > MAX_HEADERS {
            return Err(Unreadable("the headers of a part are too long"));
        }
        match (self.line.last(), byte) {
            (Some(b'\r'), b'\n') => {
                self.line.pop();
                let line = std::mem::take(&mut self.line);
                if line.is_empty() {
                    return Ok(true);
                }
                self.line(&line)?;
            }
            (Some(b'\r'), _) | (_, b'\n') => return Err(Unreadable("a line of a part does not end as lines do")),
            (_, b'\r' | b'\t' | 0x20..=0x7e | 0x80..) => self.line.push(byte),
            _ => return Err(BAD_HEADER),
        }
        Ok(false)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        let colon = line.iter().position(|b| *b == b':').ok_or(BAD_HEADER)?;
        let (name, value) = line.split_at_checked(colon).ok_or(BAD_HEADER)?;
        if name.is_empty() || !name.iter().all(is_token) {
            return Err(BAD_HEADER);
        }
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        match &*name.to_ascii_lowercase() {
            b"content-disposition" => self.disposition(value),
            b"content-type" if self.content_type.is_some() => Err(BAD_HEADER),
            b"content-type" => {
                self.content_type = Some(value.to_vec());
                Ok(())
            }
            b"content-transfer-encoding" => {
                self.has_encoding = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn disposition(&mut self, value: &[u8]) -> Result<(), Unreadable> {
        let (kind, parameters) = parameters(value).ok_or(BAD_NAME)?;
        let name = only(&parameters, "name").ok_or(BAD_NAME)?;
        let is_plain = name.iter().all(|b| (0x20..0x7f).contains(b)) && !name.windows(2).any(|pair| pair == b"=?");
        if self.name.is_some() || !kind.eq_ignore_ascii_case(b"form-data") || !is_plain {
            return Err(BAD_NAME);
        }
        self.name = Some(String::from_utf8_lossy(name).into_owned());
        self.has_filename = parameters.iter().any(|(name, _)| name.starts_with("filename"));
        Ok(())
    }
}

impl Content {
    /// Takes a byte; whether the content and its delimiter have ended with it.
    fn byte(&mut self, byte: u8, delimiter: &[u8]) -> Result<bool, Unreadable> {
        if let Some(kept) = &mut self.kept {
            match kept {
                Some(text) if text.len() <= MAX_TEXT.saturating_add(delimiter.len()) => text.push(byte),
                _ => *kept = None,
            }
        }
        // The delimiter has no second line feed, so a mismatch can begin it anew only with one.
        let goes_on = delimiter.get(self.matched) == Some(&byte);
        if byte == b'\n' {
            (self.matched, self.after_return) = (1, self.last == b'\r');
        } else {
            self.matched = if goes_on { self.matched.saturating_add(1) } else { 0 };
        }
        self.last = byte;
        if self.matched < delimiter.len() {
            return Ok(false);
        }
        if self.after_return { Ok(true) } else { Err(Unreadable("the boundary stands inside a part")) }
    }
}

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

type Parameters<'a> = Vec<(String, &'a [u8])>;

/// A value with its parameters, their names in lower case; `None` where readers could take it apart
/// differently: an escaped quote above all.
fn parameters(value: &[u8]) -> Option<(&[u8], Parameters<'_>)> {
    let mut parts = value.splitn(2, |b| *b == b';');
    let first = parts.next()?.trim_ascii();
    let mut rest = parts.next();
    let mut found = Parameters::new();
    while let Some(text) = rest {
        let text = text.trim_ascii_start();
        let (name, text) = text.split_at_checked(text.iter().position(|b| *b == b'=')?)?;
        let text = text.strip_prefix(b"=")?;
        if name.is_empty() || !name.iter().all(is_token) {
            return None;
        }
        let (value, after) = match text.strip_prefix(b"\"") {
            Some(quoted) => {
                let (value, after) = quoted.split_at_checked(quoted.iter().position(|b| *b == b'"')?)?;
                (value, after.strip_prefix(b"\"")?)
            }
            None => text.split_at_checked(text.iter().take_while(|b| is_token(b)).count())?,
        };
        if value.ends_with(b"\\") {
            return None;
        }
        found.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value));
        let after = after.trim_ascii_start();
        rest = if after.is_empty() { None } else { Some(after.strip_prefix(b";")?) };
    }
    Some((first, found))
}

/// The one parameter of this name; `None` where it is missing, has an extended form (RFC 5987) or
/// stands twice.
fn only<'a>(parameters: &Parameters<'a>, name: &str) -> Option<&'a [u8]> {
    let mut values = parameters.iter().filter(|(other, _)| other.split('*').next() == Some(name));
    let (spelling, value) = values.next()?;
    (spelling == name && values.next().is_none()).then_some(*value)
}

/// Whether a part of this type, in lower case, is text whose printable ASCII every reader takes for
/// that.
fn is_plain_text(content_type: &[u8]) -> bool {
    let charset = |(name, value): &(String, &[u8])| name == "charset" && CHARSETS.contains(value);
    match parameters(content_type) {
        _ if content_type.is_empty() => true,
        Some((kind, parameters)) => kind == b"text/plain" && parameters.len() < 2 && parameters.iter().all(charset),
        None => false,
    }
}

const NOT_MULTIPART: Unreadable = Unreadable("the content type is not multipart/form-data");
const BAD_BOUNDARY: Unreadable = Unreadable("the boundary is missing or not a plain one");
const BAD_HEADER: Unreadable = Unreadable("a part has a malformed header");
const BAD_NAME: Unreadable = Unreadable("the name of a part can be read in more than one way");
