//! The head of a request, as bytes: nothing about it is assumed to be text.

/// A request's pseudo-headers and headers, as the proxy has them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:path`, with its query.
    pub path: &'a [u8],
    /// All other headers, names in lower case, repeated ones repeated.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

impl<'a> Request<'a> {
    /// The values of all headers of this name (lower case), in order.
    pub fn header(&self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v)
    }

    /// The only value of a header.
    ///
    /// # Errors
    /// The header is there more than once.
    pub fn single_header(&self, name: &[u8]) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.header(name);
        let first = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }

    /// The query, without its question mark; empty where there is none.
    #[must_use]
    pub fn query(&self) -> &'a [u8] {
        let mut parts = self.path.splitn(2, |b| *b == b'?');
        parts.next();
        parts.next().unwrap_or(&[])
    }
}

/// A header that may stand once stands more than once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeated;

/// The byte that two hexadecimal digits mean.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(value).ok()
}
