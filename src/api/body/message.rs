//! A protobuf reader that keeps no copy: it follows the wire format (protobuf.dev, Encoding) and
//! remembers only the wanted fields.
//!
//! As every parser does, it skips what it does not know and takes the last of a repeated scalar;
//! what parsers read differently is refused.

use super::Unreadable;
use super::members::{MAX_TEXT, Member, Members};
use crate::api::catalogue::{Field, FieldKind};

/// The highest number that a field can have.
const MAX_NUMBER: u64 = 0x1fff_ffff;

/// A reader of one message.
#[derive(Debug)]
pub(super) struct Reader {
    fields: &'static [Field],
    found: Members,
    /// The messages inside one another that it is in: of each, the field's number and the bytes that
    /// are left.
    inside: Vec<(u32, u64)>,
    state: State,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    /// A field's number and type.
    Tag(Varint),
    /// The value of a number.
    Number(Varint, Option<&'static Field>),
    /// The length of a string or message: the field, where it is one that is wanted or leads to one.
    Length(Varint, Wanted),
    /// As many bytes of a value as are left, and where they are kept.
    Bytes { left: u64, kept: Option<Kept> },
}

/// A wanted string as far as it has come; `None` where it is too long.
#[derive(Debug)]
struct Kept {
    field: &'static Field,
    text: Option<Vec<u8>>,
}

/// What a field of bytes is to the reader.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    No,
    /// It holds what is wanted.
    This(&'static Field),
    /// It is a message in which something wanted may stand.
    Leads(u32),
}

/// A number of the wire format: seven bits a byte, the lowest first.
#[derive(Clone, Copy, Default, Debug)]
struct Varint {
    value: u64,
    bytes: u32,
}

impl Varint {
    /// Takes a byte; the number, where it was the last. At most `most` bytes long.
    fn push(&mut self, byte: u8, most: u32) -> Result<Option<u64>, Unreadable> {
        let bits = self.bytes.saturating_mul(7);
        let part = u64::from(byte & 0x7f);
        // What would be shifted out is read by some and dropped by others.
        let shifted = part.checked_shl(bits).filter(|shifted| shifted.checked_shr(bits) == Some(part));
        self.value |= shifted.ok_or(LONG_NUMBER)?;
        self.bytes = self.bytes.saturating_add(1);
        match byte & 0x80 {
            0 => Ok(Some(self.value)),
            _ if self.bytes < most => Ok(None),
            _ => Err(LONG_NUMBER),
        }
    }
}

impl Reader {
    pub(super) fn new(fields: &'static [Field]) -> Self {
        Self { fields, found: Members::default(), inside: Vec::new(), state: State::Tag(Varint::default()) }
    }

    /// Takes the next part of the message.
    pub(super) fn push(&mut self, mut chunk: &[u8]) -> Result<(), Unreadable> {
        while let Some((byte, rest)) = chunk.split_first() {
            chunk = if matches!(self.state, State::Bytes { .. }) {
                self.bytes(chunk)?
            } else {
                self.byte(*byte)?;
                rest
            };
        }
        Ok(())
    }

    /// The wanted fields, now that the message has ended.
    pub(super) fn finish(self) -> Result<Members, Unreadable> {
        match self.state {
            State::Tag(Varint { bytes: 0, .. }) if self.inside.is_empty() => Ok(self.found),
            _ => Err(Unreadable("the message is cut short")),
        }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.take(1)?;
        match &mut self.state {
            State::Tag(number) => {
                if let Some(tag) = number.push(byte, 5)? {
                    self.tag(tag)?;
                }
            }
            State::Number(number, field) => {
                let field = *field;
                if let Some(value) = number.push(byte, 10)? {
                    if let Some(field) = field {
                        self.found.set(field.name.into(), (value != 0).then_some(Member::Other));
                    }
                    self.next();
                }
            }
            State::Length(number, wanted) => {
                let wanted = *wanted;
                if let Some(length) = number.push(byte, 5)? {
                    self.length(length, wanted)?;
                }
            }
            State::Bytes { .. } => {}
        }
        Ok(())
    }

    /// A field begins.
    fn tag(&mut self, tag: u64) -> Result<(), Unreadable> {
        let number = tag.wrapping_shr(3);
        if number == 0 || number > MAX_NUMBER {
            return Err(Unreadable("a field has no number that a field can have"));
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let is_here = |field: &&Field| {
            field.path.split_last().is_some_and(|(last, way)| {
                *last == number && way.iter().copied().eq(self.inside.iter().map(|(number, _)| *number))
            })
        };
        let field = self.fields.iter().find(is_here);
        let is_text = |field: &&Field| field.kind != FieldKind::Number;
        // A wanted field with another type than its own is an unknown one, as parsers see it.
        match tag & 7 {
            0 => self.state = State::Number(Varint::default(), field.filter(|field| !is_text(field))),
            1 => self.begin(8, None)?,
            2 => {
                let wanted = match field.filter(is_text) {
                    Some(field) => Wanted::This(field),
                    None if self.leads_on(number) => Wanted::Leads(number),
                    None => Wanted::No,
                };
                self.state = State::Length(Varint::default(), wanted);
            }
            3 | 4 => return Err(Unreadable("the message has a group")),
            5 => self.begin(4, None)?,
            _ => return Err(Unreadable("a field has a type that there is not")),
        }
        Ok(())
    }

    /// Whether something wanted may stand inside this field.
    fn leads_on(&self, number: u32) -> bool {
        let way = self.inside.iter().map(|(number, _)| number).chain([&number]);
        let depth = self.inside.len().saturating_add(1);
        self.fields.iter().any(|field| field.path.len() > depth && field.path.iter().take(depth).eq(way.clone()))
    }

    fn length(&mut self, length: u64, wanted: Wanted) -> Result<(), Unreadable> {
        match wanted {
            Wanted::Leads(number) => {
                self.take(length)?;
                self.inside.push((number, length));
                self.next();
                Ok(())
            }
            Wanted::This(field) => self.begin(length, Some(Kept { field, text: Some(Vec::new()) })),
            Wanted::No => self.begin(length, None),
        }
    }

    /// A value of so many bytes begins.
    fn begin(&mut self, length: u64, kept: Option<Kept>) -> Result<(), Unreadable> {
        self.take(length)?;
        self.state = State::Bytes { left: length, kept };
        if length == 0 { self.end_of_bytes() } else { Ok(()) }
    }

    /// Takes of a value what is there, and returns what stands after it.
    fn bytes<'a>(&mut self, chunk: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        let State::Bytes { left, kept } = &mut self.state else { return Ok(chunk) };
        let here = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
        let (value, rest) = chunk.split_at_checked(here).unwrap_or((chunk, &[]));
        *left = left.saturating_sub(u64::try_from(value.len()).unwrap_or(u64::MAX));
        if let Some(Kept { text: kept, .. }) = kept {
            match kept {
                Some(text) if text.len().saturating_add(value.len()) <= MAX_TEXT => text.extend_from_slice(value),
                _ => *kept = None,
            }
        }
        if *left == 0 {
            self.end_of_bytes()?;
        }
        Ok(rest)
    }

    fn end_of_bytes(&mut self) -> Result<(), Unreadable> {
        if let State::Bytes { kept: Some(Kept { field, text }), .. } = &mut self.state {
            let text = text.take().map(String::from_utf8).transpose();
            let text = text.map_err(|_| Unreadable("a string in the message is not UTF-8"))?;
            match (field.kind, text) {
                (FieldKind::Texts, text) => self.found.add(field.name.into(), text),
                // An empty string is the same as none.
                (_, Some(text)) if text.is_empty() => self.found.set(field.name.into(), None),
                (_, Some(text)) => self.found.set(field.name.into(), Some(Member::Text(text))),
                (_, None) => self.found.set(field.name.into(), Some(Member::Other)),
            }
        }
        self.next();
        Ok(())
    }

    /// Counts bytes against the message that they stand in.
    fn take(&mut self, count: u64) -> Result<(), Unreadable> {
        if let Some((_, left)) = self.inside.last_mut() {
            *left = left.checked_sub(count).ok_or(Unreadable("a length in the message does not fit"))?;
        }
        Ok(())
    }

    /// Goes on to the next field; messages that have ended are left.
    fn next(&mut self) {
        while self.inside.last().is_some_and(|(_, left)| *left == 0) {
            self.inside.pop();
        }
        self.state = State::Tag(Varint::default());
    }
}

const LONG_NUMBER: Unreadable = Unreadable("a number in the message is too long");
