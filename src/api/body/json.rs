//! A JSON reader that keeps no copy: it follows RFC 8259 byte by byte and remembers only the
//! wanted members of the outermost object.
//!
//! What JSON libraries read differently is refused: duplicate names in the outermost object,
//! anything after it, lone surrogates. Nesting is bounded as in Jackson.

use super::members::{MAX_ITEMS, MAX_TEXT, Member, Members};
use super::{Unreadable, single};
use crate::api::catalogue::{List, Text};
use crate::request::Request;
use std::collections::BTreeSet;

/// Jackson's own limit of nesting.
const MAX_DEPTH: usize = 1_000;
/// How many names the outermost object may have, and how long each.
const MAX_NAMES: usize = 256;

/// The cluster takes JSON, and Jackson guesses UTF-16 and UTF-32 by themselves, which this reader
/// does not know.
pub(super) fn check_headers(request: &Request<'_>) -> Result<(), Unreadable> {
    let content_type = single(request, b"content-type", "the content type is not JSON")?.unwrap_or(b"");
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

/// What the next byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Before the outermost object; a byte order mark may come first, this many bytes of it seen.
    Start(u8),
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    CommaOrEnd,
    Text(Escape),
    Number(Digits),
    Word(&'static [u8]),
    Closed,
}

/// Where in a string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escape {
    None,
    Backslash,
    /// In `\u`: digits still to come, their value so far.
    Unicode(u8, u16),
}

/// Where in a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Digits {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Container {
    Object,
    Array,
}

/// The reader.
#[derive(Debug)]
pub(super) struct Reader {
    wanted: List<Text>,
    found: Vec<(Text, Member)>,
    names: BTreeSet<Vec<u8>>,
    stack: Vec<Container>,
    state: State,
    /// The string being read is a name.
    in_name: bool,
    /// The wanted member whose value is being read.
    member: Option<Text>,
    /// The string being read, where it is kept; `None` once it is too long.
    text: Option<Vec<u8>>,
    /// A high surrogate waiting for its low one.
    high: Option<u16>,
    /// What is still to come of a character of several bytes.
    rest: Option<Rest>,
}

/// How many bytes of a character are still to come, and between which the next must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rest(u8, u8, u8);

impl Reader {
    pub(super) fn new(wanted: List<Text>) -> Self {
        Self {
            wanted,
            found: Vec::new(),
            names: BTreeSet::new(),
            stack: Vec::new(),
            state: State::Start(0),
            in_name: false,
            member: None,
            text: None,
            high: None,
            rest: None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(super) fn push(&mut self, mut chunk: &[u8]) -> Result<(), Unreadable> {
        while let Some((byte, after)) = chunk.split_first() {
            // Most of a body is text without escapes, which goes in one piece.
            let plain = if self.in_plain_text() { plain(chunk) } else { 0 };
            match chunk.split_at_checked(plain) {
                Some((run, rest)) if !run.is_empty() => {
                    self.keep_bytes(run);
                    chunk = rest;
                }
                _ => {
                    self.byte(*byte)?;
                    chunk = after;
                }
            }
        }
        Ok(())
    }

    /// Whether a character of a string may come, and nothing else is waited for.
    fn in_plain_text(&self) -> bool {
        self.state == State::Text(Escape::None) && self.high.is_none() && self.rest.is_none()
    }

    pub(super) fn finish(self) -> Result<Members, Unreadable> {
        if self.is_closed() { Ok(Members(self.found)) } else { Err(Unreadable("the JSON is cut short")) }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Unreadable> {
        match self.state {
            State::Text(escape) => return self.text_byte(byte, escape),
            State::Number(digits) => return self.number_byte(byte, digits),
            State::Word(rest) => return self.word_byte(byte, rest),
            State::Start(seen) => return self.start_byte(byte, seen),
            _ => {}
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(());
        }
        match (self.state, byte) {
            (State::ValueOrEnd, b']') | (State::NameOrEnd, b'}') => self.close(),
            (State::Value | State::ValueOrEnd, _) => self.value(byte),
            (State::Name | State::NameOrEnd, b'"') => {
                self.in_name = true;
                self.begin_text();
                Ok(())
            }
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(())
            }
            (State::CommaOrEnd, b',') => {
                self.state = match self.stack.last() {
                    Some(Container::Object) => State::Name,
                    _ => State::Value,
                };
                Ok(())
            }
            (State::CommaOrEnd, b'}') if self.stack.last() == Some(&Container::Object) => self.close(),
            (State::CommaOrEnd, b']') if self.stack.last() == Some(&Container::Array) => self.close(),
            (State::Closed, _) => Err(Unreadable("something follows the JSON object")),
            _ => Err(NOT_JSON),
        }
    }

    fn start_byte(&mut self, byte: u8, seen: u8) -> Result<(), Unreadable> {
        self.state = match (seen, byte) {
            (0, 0xef) => State::Start(1),
            (1, 0xbb) => State::Start(2),
            (2, 0xbf) => State::Start(3),
            (0 | 3, b' ' | b'\t' | b'\n' | b'\r') => State::Start(3),
            (0 | 3, b'{') => return self.open(Container::Object),
            _ => return Err(Unreadable("the body is not a JSON object")),
        };
        Ok(())
    }

    fn open(&mut self, container: Container) -> Result<(), Unreadable> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Unreadable("the JSON is nested too deeply"));
        }
        self.stack.push(container);
        self.state = match container {
            Container::Object => State::NameOrEnd,
            Container::Array => State::ValueOrEnd,
        };
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unreadable> {
        self.stack.pop();
        self.state = if self.stack.is_empty() { State::Closed } else { State::CommaOrEnd };
        if self.stack.len() == 1 {
            self.member = None;
        }
        Ok(())
    }

    fn value(&mut self, byte: u8) -> Result<(), Unreadable> {
        match byte {
            b'{' => {
                self.keep(Member::Other);
                self.open(Container::Object)
            }
            b'[' => {
                let outermost = self.stack.len() == 1;
                self.keep(if outermost { Member::Texts(Vec::new()) } else { Member::Other });
                self.open(Container::Array)
            }
            b'"' => {
                self.in_name = false;
                self.begin_text();
                Ok(())
            }
            b't' => self.begin(State::Word(b"rue"), Member::Bool(true)),
            b'f' => self.begin(State::Word(b"alse"), Member::Bool(false)),
            b'n' => self.begin(State::Word(b"ull"), Member::Null),
            b'-' => self.begin(State::Number(Digits::Minus), Member::Other),
            b'0' => self.begin(State::Number(Digits::Zero), Member::Other),
            b'1'..=b'9' => self.begin(State::Number(Digits::Integer), Member::Other),
            _ => Err(NOT_JSON),
        }
    }

    fn begin(&mut self, state: State, member: Member) -> Result<(), Unreadable> {
        self.keep(member);
        self.state = state;
        Ok(())
    }

    /// Notes a value of the wanted member: the value itself, or one inside its list.
    fn keep(&mut self, value: Member) {
        let Some(name) = &self.member else { return };
        if self.stack.len() == 1 {
            self.found.push((name.clone(), value));
        } else if let Some((_, kept)) = self.found.last_mut() {
            *kept = match (std::mem::replace(kept, Member::Other), value) {
                (Member::Texts(mut items), Member::Text(item)) if self.stack.len() == 2 && items.len() < MAX_ITEMS => {
                    items.push(item);
                    Member::Texts(items)
                }
                _ => Member::Other,
            };
        }
    }

    fn word_byte(&mut self, byte: u8, rest: &'static [u8]) -> Result<(), Unreadable> {
        match rest.split_first() {
            Some((expected, rest)) if *expected == byte => {
                self.state = if rest.is_empty() { State::CommaOrEnd } else { State::Word(rest) };
                Ok(())
            }
            _ => Err(NOT_JSON),
        }
    }

    fn number_byte(&mut self, byte: u8, digits: Digits) -> Result<(), Unreadable> {
        use Digits::{E, Exponent, Fraction, Integer, Minus, Point, Sign, Zero};
        let next = match (digits, byte) {
            (Minus, b'0') => Zero,
            (Minus, b'1'..=b'9') | (Integer, b'0'..=b'9') => Integer,
            (Zero | Integer, b'.') => Point,
            (Point | Fraction, b'0'..=b'9') => Fraction,
            (Zero | Integer | Fraction, b'e' | b'E') => E,
            (E, b'+' | b'-') => Sign,
            (E | Sign | Exponent, b'0'..=b'9') => Exponent,
            (Zero | Integer | Fraction | Exponent, _) => {
                self.state = State::CommaOrEnd;
                return self.byte(byte);
            }
            _ => return Err(NOT_JSON),
        };
        self.state = State::Number(next);
        Ok(())
    }

    /// Strings are kept where they are a name or a value of the outermost object, or an item of a
    /// wanted list.
    fn begin_text(&mut self) {
        let name = self.in_name && self.stack.len() == 1;
        let value = !self.in_name && self.member.is_some() && self.stack.len() <= 2;
        self.text = (name || value).then(Vec::new);
        self.state = State::Text(Escape::None);
    }

    /// UTF-8 (RFC 3629 section 4), checked in every string: Jackson takes overlong forms, so that a
    /// name could be written in a way in which it is not found here.
    fn utf8(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.rest = match (self.rest, byte) {
            (Some(Rest(left, low, high)), _) if (low..=high).contains(&byte) => {
                (left > 1).then_some(Rest(left.saturating_sub(1), 0x80, 0xbf))
            }
            (None, 0..=0x7f) => None,
            (None, 0xc2..=0xdf) => Some(Rest(1, 0x80, 0xbf)),
            (None, 0xe0) => Some(Rest(2, 0xa0, 0xbf)),
            (None, 0xed) => Some(Rest(2, 0x80, 0x9f)),
            (None, 0xe1..=0xef) => Some(Rest(2, 0x80, 0xbf)),
            (None, 0xf0) => Some(Rest(3, 0x90, 0xbf)),
            (None, 0xf1..=0xf3) => Some(Rest(3, 0x80, 0xbf)),
            (None, 0xf4) => Some(Rest(3, 0x80, 0x8f)),
            _ => return Err(NOT_UTF8),
        };
        Ok(())
    }

    fn text_byte(&mut self, byte: u8, escape: Escape) -> Result<(), Unreadable> {
        self.utf8(byte)?;
        let mut next = Escape::None;
        match (escape, byte) {
            (Escape::Unicode(left, value), _) => {
                let digit = char::from(byte).to_digit(16).and_then(|d| u16::try_from(d).ok()).ok_or(NOT_JSON)?;
                let value = value.wrapping_shl(4) | digit;
                match left {
                    0 | 1 => self.code_unit(value)?,
                    _ => next = Escape::Unicode(left.saturating_sub(1), value),
                }
            }
            (Escape::Backslash, b'u') => next = Escape::Unicode(4, 0),
            _ if self.high.is_some() && !(escape == Escape::None && byte == b'\\') => {
                return Err(SURROGATE);
            }
            (Escape::Backslash, _) => self.keep_bytes(&[match byte {
                b'"' | b'\\' | b'/' => byte,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                _ => return Err(NOT_JSON),
            }]),
            (Escape::None, b'\\') => next = Escape::Backslash,
            (Escape::None, b'"') => return self.end_text(),
            (Escape::None, 0..=0x1f) => return Err(NOT_JSON),
            (Escape::None, _) => self.keep_bytes(&[byte]),
        }
        self.state = State::Text(next);
        Ok(())
    }

    fn code_unit(&mut self, unit: u16) -> Result<(), Unreadable> {
        let units = match (self.high.take(), unit) {
            (None, 0xd800..=0xdbff) => {
                self.high = Some(unit);
                return Ok(());
            }
            (high, _) => high.into_iter().chain([unit]),
        };
        for character in char::decode_utf16(units) {
            let character = character.map_err(|_| SURROGATE)?;
            self.keep_bytes(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    fn keep_bytes(&mut self, bytes: &[u8]) {
        if let Some(text) = &mut self.text {
            if bytes.len() <= MAX_TEXT.saturating_sub(text.len()) {
                text.extend_from_slice(bytes);
            } else {
                self.text = None;
            }
        }
    }

    fn end_text(&mut self) -> Result<(), Unreadable> {
        let text = self.text.take();
        if self.in_name {
            self.state = State::Colon;
            if self.stack.len() == 1 {
                self.end_name(text)?;
            }
            return Ok(());
        }
        self.state = State::CommaOrEnd;
        if self.member.is_some() {
            let value = match text.map(String::from_utf8) {
                Some(Ok(text)) => Member::Text(text),
                Some(Err(_)) => return Err(NOT_UTF8),
                None => Member::Other,
            };
            self.keep(value);
        }
        Ok(())
    }

    fn end_name(&mut self, name: Option<Vec<u8>>) -> Result<(), Unreadable> {
        let name = name.ok_or(Unreadable("a member's name is too long"))?;
        self.member = self.wanted.iter().find(|w| w.as_bytes() == name).cloned();
        if self.names.len() >= MAX_NAMES {
            return Err(Unreadable("the JSON object has too many members"));
        }
        if self.names.insert(name) { Ok(()) } else { Err(Unreadable("a member stands twice")) }
    }
}

/// How many bytes at the start are characters of their own and stand for themselves in a string.
fn plain(bytes: &[u8]) -> usize {
    let other = |byte: &u8| !matches!(byte, 0x20..=0x7f) || matches!(byte, b'"' | b'\\');
    // Word by word up to the first in which one does not, several times as fast as byte by byte.
    let (words, _) = bytes.as_chunks::<8>();
    let whole = words.iter().take_while(|word| all_plain(u64::from_le_bytes(**word))).count().saturating_mul(8);
    let rest = bytes.get(whole..).unwrap_or_default();
    whole.saturating_add(rest.iter().position(other).unwrap_or(rest.len()))
}

/// Whether each of eight bytes stands for itself. A byte is below another where subtracting that
/// borrows from its highest bit; a borrow that goes on can only make this say no too often.
const fn all_plain(word: u64) -> bool {
    const fn eight(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    const fn below(word: u64, least: u8) -> u64 {
        word.wrapping_sub(eight(least)) & !word
    }
    let control = below(word, 0x20);
    let quote = below(word ^ eight(b'"'), 1);
    let backslash = below(word ^ eight(b'\\'), 1);
    (word | control | quote | backslash) & eight(0x80) == 0
}

const NOT_JSON: Unreadable = Unreadable("the body is not JSON");
const NOT_UTF8: Unreadable = Unreadable("the JSON is not UTF-8");
const SURROGATE: Unreadable = Unreadable("a string has half a surrogate pair");

#[cfg(test)]
mod tests;
