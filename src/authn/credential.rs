//! Exactly one credential, cut out of the headers.
//!
//! The cluster reads a token from `Authorization`, a session from the `camunda-session` cookie, a
//! password from `Authorization: Basic`; other readers take `access_token` from the query (RFC 6750
//! section 2.3). If more than the one token that is judged here came through, the cluster could
//! take the caller for someone else. So any second credential is refused, never chosen from.

use super::Refused;
use crate::reason::Reason;
use crate::request::{Request, hex_pair};

/// The session cookie of the cluster's web applications.
const SESSION: &[u8] = b"camunda-session";
/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Where a token may stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// In a header.
    Header {
        /// The header's name, in lower case.
        name: String,
        /// What stands before the token, such as `Bearer ` (compared without regard to case, as
        /// RFC 9110 section 11.1 has it for schemes).
        prefix: String,
    },
    /// In a cookie.
    Cookie {
        /// The cookie's name, case and all (RFC 6265 section 5.4).
        name: String,
    },
}

impl Source {
    /// Where a bearer token stands by default (RFC 6750 section 2.1).
    #[must_use]
    pub fn authorization() -> Self {
        Self::Header { name: "authorization".into(), prefix: "Bearer ".into() }
    }

    /// The token in a header of this name; `None` where it holds something else.
    fn in_header<'a>(&self, header: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
        let Self::Header { name, prefix } = self else { return None };
        if !header.eq_ignore_ascii_case(name.as_bytes()) {
            return None;
        }
        let prefix = prefix.as_bytes();
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

/// What stands where a request's only token should: bytes that nobody has looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate<'a>(&'a [u8]);

impl<'a> Candidate<'a> {
    /// The bytes, to be compared with tokens that are known.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The token, whose parts nobody has looked at.
    ///
    /// # Errors
    /// It is not text of a bounded length ([`Reason::TokenMalformed`]), or several that the proxy
    /// has joined ([`Reason::CredentialAmbiguous`]).
    pub fn token(self) -> Result<&'a str, Refused> {
        let malformed = |detail| Refused::new(Reason::TokenMalformed, detail);
        match self.0 {
            token if token.contains(&b',') => Err(TWO),
            [] => Err(malformed("the token is empty")),
            token if token.len() > MAX_TOKEN => Err(malformed("the token is too long")),
            token => std::str::from_utf8(token).map_err(|_| malformed("the token is not text")),
        }
    }
}

/// The only credential of a request.
///
/// # Errors
/// There is none ([`Reason::TokenMissing`]), or it is not the only one
/// ([`Reason::CredentialAmbiguous`]).
pub fn find<'a>(sources: &[Source], request: &Request<'a>) -> Result<Candidate<'a>, Refused> {
    let mut token = None;
    let mut others = usize::from(has_query_token(request));
    // A second token counts as another credential.
    let mut take = |found: &'a [u8], others: &mut usize| {
        *others = others.saturating_add(usize::from(token.replace(found).is_some()));
    };
    for (name, value) in request.headers {
        let found = sources.iter().find_map(|s| s.in_header(name, value));
        let authorization = name.eq_ignore_ascii_case(b"authorization");
        match found {
            Some(found) => take(found, &mut others),
            None if !authorization || value.is_empty() => {}
            // The proxy joins repeated ones: `Basic x,Bearer y`.
            None if value
                .split(|b| *b == b',')
                .any(|v| sources.iter().any(|s| s.in_header(name, v.trim_ascii()).is_some())) =>
            {
                return Err(TWO);
            }
            // The cluster would read any other Authorization for itself.
            None => others = others.saturating_add(1),
        }
    }
    let is_token =
        |name: &[u8]| sources.iter().any(|s| matches!(s, Source::Cookie { name: n } if n.as_bytes() == name));
    for crumb in request.header(b"cookie").flat_map(|line| line.split(|b| *b == b';')) {
        let (name, value) = cookie(crumb);
        if is_token(name) {
            take(value, &mut others);
        } else if name == SESSION {
            others = others.saturating_add(1);
        }
        // Older readers also divide at commas.
        let known = |name: &[u8]| is_token(name) || name == SESSION;
        let hidden = crumb.split(|b| *b == b',').map(|part| cookie(part).0).skip(usize::from(known(name)));
        others = others.saturating_add(hidden.filter(|name| known(name)).count());
    }
    match token {
        None => Err(if others > 1 { TWO } else { MISSING }),
        Some(token) if others == 0 => Ok(Candidate(token)),
        Some(_) => Err(TWO),
    }
}

/// Name and value of a cookie (RFC 6265 section 4.2.1).
fn cookie(crumb: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = crumb.splitn(2, |b| *b == b'=');
    let name = parts.next().unwrap_or(&[]);
    (name.trim_ascii(), parts.next().unwrap_or(&[]).trim_ascii())
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
        let sources = [
            Source::authorization(),
            Source::Header { name: "x-token".into(), prefix: String::new() },
            Source::Cookie { name: "BearerToken".into() },
        ];
        find(&sources, &request).and_then(Candidate::token).map(Into::into).map_err(|r| r.reason)
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
            ("/", ("cookie", b"camunda-session, x=1")),
            ("/", ("cookie", b"BearerToken, x=1")),
            ("/", ("cookie", b"BearerToken=d.e.f")),
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
    fn a_token_may_stand_in_a_cookie() {
        assert_eq!(find_in("/", &[("cookie", b"a=b; BearerToken=a.b.c; d")]), Ok("a.b.c".into()));
        assert_eq!(find_in("/", &[("cookie", b"bearertoken=a.b.c")]), Err(Reason::TokenMissing));
        assert_eq!(find_in("/", &[("cookie", b"BearerToken")]), Err(Reason::TokenMalformed));
        assert_eq!(find_in("/", &[("cookie", b"a=1, BearerToken=a.b.c")]), Err(Reason::TokenMissing));
        assert_eq!(
            find_in("/", &[("cookie", b"BearerToken=a.b.c; a=1, BearerToken=d.e.f")]),
            Err(Reason::CredentialAmbiguous)
        );
        for twice in [&b"BearerToken=a.b.c; BearerToken=a.b.c"[..], b"BearerToken=a.b.c; camunda-session=x"] {
            assert_eq!(find_in("/", &[("cookie", twice)]), Err(Reason::CredentialAmbiguous));
        }
        let both = [("cookie", &b"BearerToken=a.b.c"[..]), ("authorization", b"Bearer a.b.c")];
        assert_eq!(find_in("/", &both), Err(Reason::CredentialAmbiguous));
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        for value in [&b"Bearer"[..], b"Bearer ", b"Bearer a.b.\xff"] {
            assert_eq!(find_in("/", &[("authorization", value)]), Err(Reason::TokenMalformed), "{value:?}");
        }
        let long = [b"Bearer ".to_vec(), vec![b'a'; MAX_TOKEN + 1]].concat();
        assert_eq!(find_in("/", &[("authorization", &long)]), Err(Reason::TokenMalformed));
    }
}
