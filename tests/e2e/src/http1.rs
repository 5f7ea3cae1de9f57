//! Reading HTTP/1.1 messages without judging them: raw start lines, header values as bytes, and
//! bodies piece by piece, so that half a message can be told from a whole one.

use std::io::{self, BufRead, Read};

/// Longest head that is read; Envoy's own limit is far below.
const HEAD_LIMIT: u64 = 1 << 20;

/// Header fields as they stood on the wire: in order, repeats kept, values as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// These fields.
    pub(crate) fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self(fields)
    }

    /// The values of all fields of that name, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).first().copied()
    }

    /// The first value of that name, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    fn parse(block: &[u8]) -> io::Result<Self> {
        let mut slots = [httparse::EMPTY_HEADER; 256];
        match httparse::parse_headers(block, &mut slots) {
            Ok(httparse::Status::Complete((_, fields))) => {
                Ok(Self(fields.iter().map(|f| (f.name.to_owned(), f.value.to_vec())).collect()))
            }
            Ok(httparse::Status::Partial) => Err(malformed("header fields")),
            Err(error) => Err(malformed(&error.to_string())),
        }
    }
}

/// A start line and the header fields under it.
#[derive(Debug, Clone)]
pub struct Head {
    /// The request or status line, without its line end.
    pub start: Vec<u8>,
    /// The header fields.
    pub fields: Fields,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes; zero where there is no body.
    Length(u64),
    /// After the chunk of size zero and the trailers.
    Chunked,
    /// When the sender closes (answers only).
    Close,
}

impl Framing {
    /// The framing of a request with these fields.
    pub fn of_request(fields: &Fields) -> Self {
        Self::declared(fields).unwrap_or(Self::Length(0))
    }

    /// The framing of an answer with that status and these fields; `head` for answers to HEAD.
    pub fn of_response(status: u16, fields: &Fields, head: bool) -> Self {
        if head || status < 200 || status == 204 || status == 304 {
            Self::Length(0)
        } else {
            Self::declared(fields).unwrap_or(Self::Close)
        }
    }

    fn declared(fields: &Fields) -> Option<Self> {
        if fields.text("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            return Some(Self::Chunked);
        }
        Some(Self::Length(fields.text("content-length")?.parse().ok()?))
    }
}

/// Reads a head; `None` where the sender closed instead of beginning one.
pub fn read_head(input: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut start = Vec::new();
    if input.by_ref().take(HEAD_LIMIT).read_until(b'\n', &mut start)? == 0 {
        return Ok(None);
    }
    let start = start.strip_suffix(b"\r\n").ok_or_else(cut_short)?.to_vec();
    Ok(Some(Head { start, fields: read_fields(input)? }))
}

/// Reads a body to its end, handing on each piece as it comes; returns the trailers. An error means
/// that the body did not arrive whole.
pub fn read_body(input: &mut impl BufRead, framing: Framing, mut piece: impl FnMut(&[u8])) -> io::Result<Fields> {
    match framing {
        Framing::Length(length) => copy(input, length, &mut piece)?,
        Framing::Close => while copy_some(input, u64::MAX, &mut piece)? > 0 {},
        Framing::Chunked => loop {
            let size = read_chunk_size(input)?;
            if size == 0 {
                return read_fields(input);
            }
            copy(input, size, &mut piece)?;
            let mut line_end = [0; 2];
            input.read_exact(&mut line_end)?;
        },
    }
    Ok(Fields::default())
}

fn read_fields(input: &mut impl BufRead) -> io::Result<Fields> {
    let mut input = input.take(HEAD_LIMIT);
    let mut block = Vec::new();
    loop {
        let begin = block.len();
        input.read_until(b'\n', &mut block)?;
        match &block[begin..] {
            b"\r\n" => return Fields::parse(&block),
            line if line.ends_with(b"\n") => {}
            _ => return Err(cut_short()),
        }
    }
}

fn read_chunk_size(input: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    input.take(1024).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(cut_short());
    }
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| malformed("chunk size"))
}

fn copy(input: &mut impl BufRead, mut left: u64, piece: &mut impl FnMut(&[u8])) -> io::Result<()> {
    while left > 0 {
        match copy_some(input, left, piece)? {
            0 => return Err(cut_short()),
            count => left -= count,
        }
    }
    Ok(())
}

fn copy_some(input: &mut impl BufRead, most: u64, piece: &mut impl FnMut(&[u8])) -> io::Result<u64> {
    let bytes = input.fill_buf()?;
    let count = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    if count > 0 {
        piece(&bytes[..count]);
        input.consume(count);
    }
    Ok(count as u64)
}

fn cut_short() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}
