//! Exactly one credential, cut out of the headers.
//!
//! The cluster reads a token from `Authorization`, a session from the `camunda-session` cookie, a
//! password from `Authorization: Basic`; other readers take `access_token` from the query (RFC 6750
//! section 2.3). If more than the one token that is judged here came through, the cluster could
//! take the caller for someone else. So any second credential is refused, never chosen from.

use super::Refused;
use crate::reason::Reason;
use crate::request::{Request, hex_pair};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// A header in which a token may stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderSource {
    /// The header's name, in lower case.
    pub name: String,
    /// What stands before the token, such as `Bearer ` (compared without regard to case, as RFC
    /// 9110 section 11.1 has it for schemes).
    pub prefix: String,
}

impl HeaderSource {
    /// Where a bearer token stands by default (RFC 6750 section 2.1).
    #[must_use]
    pub fn authorization() -> Self {
        Self { name: "authorization".into(), prefix: "Bearer ".into() }
    }

    /// What follows the prefix; `None` where the value begins with something else.
    fn strip<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let prefix = self.prefix.as_bytes();
        if let Some((head, token)) = value.split_at_checked(prefix.len())
            && head.eq_ignore_ascii_case(prefix)
        {
            return Some(token);
        }
        // The proxy trims values: `Bearer ` without a token arrives as `Bearer`.
        value.eq_ignore_ascii_case(prefix.trim_ascii_end()).then_some(&[])
    }
}

const MISSING: Refused = Refused::new(Reason::TokenMissing, "no token");
const TWO: Refused = Refused::new(Reason::CredentialAmbiguous, "more than one credential");

/// The token of a request.
///
/// # Errors
/// There is none ([`Reason::TokenMissing`]), it is not text of a bounded length
/// ([`Reason::TokenMalformed`]), or it is not the only credential ([`Reason::CredentialAmbiguous`]).
pub fn find<'a>(sources: &[HeaderSource], request: &Request<'a>) -> Result<&'a str, Refused> {
    let mut token = None;
    let mut others = usize::from(has_session(request)).saturating_add(usize::from(has_query_token(request)));
    for (name, value) in request.headers {
        let source = sources.iter().find(|s| name.eq_ignore_ascii_case(s.name.as_bytes()));
        match source.and_then(|s| s.strip(value)) {
            Some(found) if token.is_none() => token = Some(found),
            // The cluster would read any other Authorization for itself.
            None if !name.eq_ignore_ascii_case(b"authorization") || value.is_empty() => {}
            // The proxy joins repeated ones: `Basic x,Bearer y`.
            None if source.is_some_and(|s| value.split(|b| *b == b',').any(|v| s.strip(v.trim_ascii()).is_some())) => {
                return Err(TWO);
            }
            _ => others = others.saturating_add(1),
        }
    }
    let Some(token) = token else {
        return Err(if others > 1 { TWO } else { MISSING });
    };
    if others > 0 || token.contains(&b',') {
        return Err(TWO);
    }
    if token.is_empty() {
        return Err(Refused::new(Reason::TokenMalformed, "the token is empty"));
    }
    if token.len() > MAX_TOKEN {
        return Err(Refused::new(Reason::TokenMalformed, "the token is too long"));
    }
    let malformed = Refused::new(Reason::TokenMalformed, "the token has bytes that no token has");
    if !token.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.=+/~".contains(b)) {
        return Err(malformed);
    }
    std::str::from_utf8(token).map_err(|_| malformed)
}

/// The session cookie of the cluster's web applications. Cookies are told apart at `;` and, as
/// older readers do, at `,`.
fn has_session(request: &Request<'_>) -> bool {
    request.header(b"cookie").flat_map(|line| line.split(|b| matches!(b, b';' | b','))).any(|cookie| {
        let name = cookie.split(|b| *b == b'=').next().unwrap_or(&[]);
        name.trim_ascii() == b"camunda-session"
    })
}

fn has_query_token(request: &Request<'_>) -> bool {
    request.query().split(|b| matches!(b, b'&' | b';')).any(|parameter| {
        let name = parameter.split(|b| *b == b'=').next().unwrap_or(&[]);
        let mut bytes = name.iter().copied();
        let mut decoded = Vec::with_capacity(name.len());
        while let Some(byte) = bytes.next() {
            let mut ahead = bytes.clone();
            match ahead.next().zip(ahead.next()).and_then(|(high, low)| hex_pair(high, low)) {
                Some(value) if byte == b'%' => {
                    decoded.push(value);
                    bytes = ahead;
                }
                _ => decoded.push(byte),
            }
        }
        decoded == b"access_token"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(path: &str, headers: &[(&str, &[u8])]) -> Result<String, Reason> {
        let headers: Vec<(&[u8], &[u8])> = headers.iter().map(|(n, v)| (n.as_bytes(), *v)).collect();
        let request = Request { method: b"GET", path: path.as_bytes(), headers: &headers };
        let sources = [HeaderSource::authorization(), HeaderSource { name: "x-token".into(), prefix: String::new() }];
        find(&sources, &request).map(Into::into).map_err(|r| r.reason)
    }

    #[test]
    fn one_token_is_found() {
        assert_eq!(find_in("/", &[("authorization", b"Bearer a.b.c")]), Ok("a.b.c".into()));
        assert_eq!(find_in("/", &[("authorization", b"bEARER a.b.c")]), Ok("a.b.c".into()));
        assert_eq!(
            find_in("/?access_tokens=1", &[("x-token", b"a.b.c"), ("cookie", b"a=camunda-session")]),
            Ok("a.b.c".into())
        );
        assert_eq!(find_in("/", &[]), Err(Reason::TokenMissing));
        assert_eq!(find_in("/", &[("authorization", b"Basic YTpi")]), Err(Reason::TokenMissing));
        assert_eq!(find_in("/", &[("authorization", b"")]), Err(Reason::TokenMissing));
        assert_eq!(find_in("/", &[("cookie", b"camunda-session=1")]), Err(Reason::TokenMissing));
    }

    #[test]
    fn a_second_credential_is_never_chosen_from() {
        let token: (&str, &[u8]) = ("authorization", b"Bearer a.b.c");
        for (path, second) in [
            ("/", ("authorization", &b"Bearer a.b.c"[..])),
            ("/", ("authorization", b"Basic YTpi")),
            ("/", ("x-token", b"d.e.f")),
            ("/", ("cookie", b"x=1; camunda-session=abc")),
            ("/", ("cookie", b"x=1,camunda-session=abc")),
            ("/?access_token=x", ("x", b"")),
            ("/?a=1&access%5Ftoken=x", ("x", b"")),
        ] {
            assert_eq!(find_in(path, &[token, second]), Err(Reason::CredentialAmbiguous), "{path} {second:?}");
            assert_eq!(find_in(path, &[second, token]), Err(Reason::CredentialAmbiguous), "{path} {second:?}");
        }
        assert_eq!(find_in("/", &[("authorization", b"Bearer a.b.c,Bearer d.e.f")]), Err(Reason::CredentialAmbiguous));
        assert_eq!(find_in("/", &[("authorization", b"Basic YTpi, Bearer d.e.f")]), Err(Reason::CredentialAmbiguous));
        assert_eq!(
            find_in("/", &[("x-token", b"a.b.c"), ("authorization", b"Basic YTpi")]),
            Err(Reason::CredentialAmbiguous)
        );
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        for value in [&b"Bearer"[..], b"Bearer ", b"Bearer  a.b.c", b"Bearer a.b.\xff", b"Bearer a b"] {
            assert_eq!(find_in("/", &[("authorization", value)]), Err(Reason::TokenMalformed), "{value:?}");
        }
        let long = [b"Bearer ".to_vec(), vec![b'a'; MAX_TOKEN + 1]].concat();
        assert_eq!(find_in("/", &[("authorization", &long)]), Err(Reason::TokenMalformed));
    }
}
