//! The credential of a request: one line with the query, then a header on each line.

use crate::memory::bounded;
use portcullis::authn::credential::{MAX_TOKEN, Source, find};
use portcullis::request::Request;
use std::sync::LazyLock;

static SOURCES: LazyLock<[Source; 3]> = LazyLock::new(|| {
    let header = |name: &str, prefix: &str| Source::Header { name: name.into(), prefix: prefix.into() };
    [header("authorization", "Bearer "), header("x-token", ""), Source::Cookie { name: "BearerToken".into() }]
});

/// What is found is the only credential that any reader could find.
pub fn check(data: &[u8]) {
    let mut lines = data.split(|b| *b == b'\n');
    let path = [b"/v2/topology?", lines.next().unwrap_or_default()].concat();
    let headers: Vec<(Vec<u8>, &[u8])> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            Some((line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii()))
        })
        .collect();
    let headers: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (&**name, *value)).collect();
    let request = Request { method: b"GET", path: &path, headers: &headers };
    let found = bounded(4096, data.len(), 40, || find(&*SOURCES, &request).and_then(|candidate| candidate.token()));
    let Ok(token) = found else { return };

    assert!(!token.is_empty() && token.len() <= MAX_TOKEN);
    assert!(!token.contains(','), "two that a proxy has joined");
    if !token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        // A part of it is not base64url: the token is refused where they are decoded.
        return;
    }
    let mut tokens = Vec::new();
    for (name, value) in &headers {
        match *name {
            b"authorization" => tokens.extend(authorizations(value)),
            b"x-token" => tokens.push(value.to_vec()),
            b"cookie" => {
                for crumb in value.split(|b| b";,".contains(b)) {
                    let mut parts = crumb.splitn(2, |b| *b == b'=');
                    let name = parts.next().unwrap_or_default().trim_ascii();
                    assert_ne!(name, b"camunda-session", "a session beside the token");
                    if name == b"BearerToken" {
                        tokens.push(parts.next().unwrap_or_default().trim_ascii().to_vec());
                    }
                }
            }
            _ => (),
        }
    }
    assert_eq!(tokens, [token.as_bytes()], "not the only one");
    for parameter in request.query().split(|b| b"&;".contains(b)) {
        let name = parameter.split(|b| *b == b'=').next().unwrap_or_default();
        let name = std::str::from_utf8(name).ok().and_then(portcullis_reference::catalogue::decode);
        assert_ne!(name.as_deref(), Some("access_token"), "a token in the query");
    }
}

/// Credentials in a line that may be several joined.
fn authorizations(value: &[u8]) -> Vec<Vec<u8>> {
    let credentials = value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|v| !v.is_empty());
    credentials
        .map(|credential| {
            let scheme = credential.split(|b| *b == b' ').next().unwrap_or_default();
            assert!(scheme.eq_ignore_ascii_case(b"bearer"), "another kind of credential beside the token");
            credential[scheme.len()..].strip_prefix(b" ").unwrap_or_default().to_vec()
        })
        .collect()
}
