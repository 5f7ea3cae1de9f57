//! A request path, taken apart by our own rules, or refused.
//!
//! Envoy (with and without normalisation), Tomcat and Spring each read odd paths their own way.
//! What they could read differently is refused here, never guessed: matrix parameters, empty and
//! dot segments, encoded or raw backslashes, control bytes, invalid escapes and invalid UTF-8,
//! double encoding, a trailing slash. An encoded slash is kept for the router, which accepts it
//! only where a parameter holds free text.

use crate::bytes::Bytes;
use crate::request::hex_pair;
use std::borrow::Cow;

/// The most segments a path may have; the longest of the catalogue has seven.
const MAX_SEGMENTS: usize = 64;

/// Why a path is refused; for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ambiguous(pub &'static str);

/// One segment of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// As it stands in the request.
    pub raw: &'a str,
    /// Percent-decoded, once.
    pub text: Cow<'a, str>,
    /// It holds what only a free-text parameter may hold: an encoded slash or percent sign.
    pub free_text: bool,
}

impl Segment<'_> {
    /// Whether its text is not what stands in the request.
    #[must_use]
    pub const fn is_escaped(&self) -> bool {
        matches!(self.text, Cow::Owned(_))
    }
}

/// The segments of a request path; the root path has none.
///
/// # Errors
/// [`Ambiguous`] where readers could differ.
pub fn segments(target: &[u8]) -> Result<Vec<Segment<'_>>, Ambiguous> {
    let path = target.split(|b| *b == b'?').next().unwrap_or(&[]);
    let Some(path) = path.strip_prefix(b"/") else {
        return Err(Ambiguous("the path does not begin with a slash"));
    };
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let mut segments = Vec::with_capacity(8);
    for raw in path.split(|b| *b == b'/') {
        if segments.len() == MAX_SEGMENTS {
            return Err(Ambiguous("the path has too many segments"));
        }
        segments.push(segment(raw)?);
    }
    Ok(segments)
}

/// Characters that may stand in a segment as they are: `pchar` of RFC 3986 section 3.3, without
/// `;`, which begins a matrix parameter for Tomcat and Spring.
fn plain(byte: u8) -> bool {
    static PLAIN: Bytes = Bytes::alphanumeric_and(b"-._~!$&'()*+,=:@");
    PLAIN.has(byte)
}

fn segment(raw: &[u8]) -> Result<Segment<'_>, Ambiguous> {
    if raw.is_empty() {
        return Err(Ambiguous("an empty segment or a trailing slash"));
    }
    // Most have nothing to decode.
    if raw.iter().all(|byte| plain(*byte))
        && !matches!(raw, b"." | b"..")
        && let Ok(raw) = std::str::from_utf8(raw)
    {
        return Ok(Segment { raw, text: Cow::Borrowed(raw), free_text: false });
    }
    let mut bytes = raw.iter().copied();
    let mut decoded = Vec::new();
    let mut free_text = false;
    while let Some(byte) = bytes.next() {
        if plain(byte) {
            decoded.push(byte);
            continue;
        }
        if byte != b'%' {
            return Err(Ambiguous("a byte that must not stand in a path"));
        }
        let value = bytes.next().zip(bytes.next()).and_then(|(high, low)| hex_pair(high, low));
        match value.ok_or(Ambiguous("an invalid percent-escape"))? {
            b';' => return Err(Ambiguous("an encoded semicolon")),
            b'\\' => return Err(Ambiguous("an encoded backslash")),
            0..=0x1f | 0x7f => return Err(Ambiguous("an encoded control byte")),
            b'/' => {
                free_text = true;
                decoded.push(b'/');
            }
            b'%' => {
                let mut ahead = bytes.clone();
                if ahead.next().zip(ahead.next()).and_then(|(h, l)| hex_pair(h, l)).is_some() {
                    return Err(Ambiguous("a doubly encoded byte"));
                }
                free_text = true;
                decoded.push(b'%');
            }
            other => decoded.push(other),
        }
    }
    let text = String::from_utf8(decoded).map_err(|_| Ambiguous("not UTF-8 after decoding"))?;
    // `a%2F..%2Fb` is as much a dot segment as `..` for whoever decodes slashes.
    if text.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(Ambiguous("a dot segment"));
    }
    if text.chars().any(char::is_control) {
        return Err(Ambiguous("an encoded control character"));
    }
    let raw = std::str::from_utf8(raw).map_err(|_| Ambiguous("a byte that must not stand in a path"))?;
    let text = if text == raw { Cow::Borrowed(raw) } else { Cow::Owned(text) };
    Ok(Segment { raw, text, free_text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str) -> Vec<String> {
        segments(path.as_bytes()).unwrap().into_iter().map(|s| s.text.into_owned()).collect()
    }

    #[test]
    fn plain_paths_are_split_and_decoded_once() {
        assert_eq!(texts("/"), Vec::<String>::new());
        assert_eq!(texts("/v2/topology?x=/../;"), ["v2", "topology"]);
        assert_eq!(texts("/v2/tenants/%3Cdefault%3E"), ["v2", "tenants", "<default>"]);
        assert_eq!(texts("/v2/groups/%2Fops"), ["v2", "groups", "/ops"]);
        assert_eq!(texts("/v2/users/%C3%A9"), ["v2", "users", "é"]);
        assert_eq!(texts("/v2/users/50%25"), ["v2", "users", "50%"]);
    }

    #[test]
    fn whatever_readers_could_take_differently_is_refused() {
        for path in [
            "",
            "v2",
            "*",
            "//v2",
            "/v2//x",
            "/v2/",
            "/v2/./x",
            "/v2/../x",
            "/v2/%2e/x",
            "/v2/%2E%2e/x",
            "/v2/.%2e",
            "/v2/a%2F..%2Fb",
            "/v2/x;a=1",
            "/v2/x%3Ba",
            "/v2/a\\b",
            "/v2/a%5Cb",
            "/v2/%00",
            "/v2/%0a",
            "/v2/\u{7f}",
            "/v2/%7F",
            "/v2/a b",
            "/v2/é",
            "/v2/%",
            "/v2/%4",
            "/v2/%zz",
            "/v2/%ff",
            "/v2/%C3",
            "/v2/a%252Fb",
            "/v2/%252e",
            "/v2/a#b",
            "/v2/<x>",
            "/v2/%C2%85",
        ] {
            assert!(segments(path.as_bytes()).is_err(), "{path:?}");
        }
    }
}
