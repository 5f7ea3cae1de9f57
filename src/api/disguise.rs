//! What beside method and path could make a reader take a request for another one: methods and
//! paths in headers and parameters, another protocol. `docs/methods.md` lists each and why.

use super::path::Ambiguous;
use super::route::{self, BasePath, Routes};
use crate::request::{Request, hex_pair};

/// Headers that some frameworks take the method or the path from. The cluster takes none of them:
/// they are taken off, so that nothing behind us does.
const NAMES: [&[u8]; 5] =
    [b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-rewrite-url"];

/// Whether a header is one of those, also as readers that take `_` for `-` would see it.
#[must_use]
pub fn is_one(name: &[u8]) -> bool {
    let plain = |b: &u8| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() };
    // Few headers begin as these do.
    matches!(name, [b'x' | b'X', b'-' | b'_', ..])
        && NAMES.iter().any(|known| name.iter().map(plain).eq(known.iter().copied()))
}

/// Checks what cannot be taken off.
///
/// # Errors
/// Readers could take the request for another one.
pub fn check(routes: &Routes, request: &Request<'_>) -> Result<(), Ambiguous> {
    if request.header(b"upgrade").next().is_some() {
        return Err(Ambiguous("it asks for another protocol, in which nothing could be judged"));
    }
    // Spring's ForwardedHeaderFilter puts it before the path.
    for prefix in request.header(b"x-forwarded-prefix").flat_map(|value| value.split(|b| *b == b',')) {
        let plain = std::str::from_utf8(prefix.trim_ascii()).is_ok_and(|text| BasePath::parse(text).is_ok());
        if !plain {
            return Err(Ambiguous("x-forwarded-prefix is not a plain absolute path"));
        }
    }
    if request.method == b"POST" && may_name_a_method(request) && has_other_method(routes, request.path) {
        return Err(Ambiguous(
            "a parameter `_method`, or a form that may hold one, where it would be another operation",
        ));
    }
    Ok(())
}

/// Spring's HiddenHttpMethodFilter, where it is on, takes the method of a POST from this parameter.
fn may_name_a_method(request: &Request<'_>) -> bool {
    let is_form = |value: &[u8]| value.to_ascii_lowercase().windows(10).any(|part| part == b"urlencoded");
    let names = request.query().split(|b| matches!(b, b'&' | b';'));
    let mut names = names.map(|pair| pair.split(|b| *b == b'=').next().unwrap_or(&[]));
    names.any(|name| decode(name) == b"_method") || request.header(b"content-type").any(is_form)
}

fn has_other_method(routes: &Routes, path: &[u8]) -> bool {
    [&b"PUT"[..], b"PATCH", b"DELETE"]
        .into_iter()
        .any(|method| route::find(routes, method, path).is_ok_and(|route| route.is_some()))
}

fn decode(name: &[u8]) -> Vec<u8> {
    let mut bytes = name.iter().copied();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let escape = ahead.next().zip(ahead.next()).filter(|_| byte == b'%').and_then(|(h, l)| hex_pair(h, l));
        if escape.is_some() {
            bytes = ahead;
        }
        decoded.push(escape.unwrap_or(byte));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_however_they_are_written() {
        for name in ["X-HTTP-Method-Override", "x_http_method", "X-Method_Override", "x-original-url", "X-REWRITE-URL"]
        {
            assert!(is_one(name.as_bytes()), "{name}");
        }
        for name in ["x-http-method-overrides", "x-forwarded-host", "x-original-host", ""] {
            assert!(!is_one(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn no_other_protocol_is_asked_for() {
        for kind in [&b"websocket"[..], b"h2c", b""] {
            let request = Request { method: b"GET", path: b"/v2/status", headers: &[(b"upgrade", kind)] };
            assert!(check(&Routes::default(), &request).is_err());
        }
    }

    #[test]
    fn a_parameter_is_found_however_it_is_written() {
        for (query, found) in [
            ("_method=DELETE", true),
            ("a=1&_method", true),
            ("a=1;%5fmethod=PUT", true),
            ("%5F%6Dethod=PUT", true),
            ("a=_method", false),
            ("_methods=1", false),
            ("%_method", false),
        ] {
            let path = format!("/v2/roles/search?{query}");
            let request = Request { method: b"POST", path: path.as_bytes(), headers: &[] };
            assert_eq!(check(&Routes::default(), &request).is_err(), found, "{query}");
        }
    }
}
