//! What is changed of a request that is forwarded: headers of ours that the caller sent are taken
//! off, and where the configuration says so the caller's identity is put on and its token taken off.

use crate::api::disguise;
use crate::authn::Subject;
use crate::authn::credential::Source;
use crate::authz::Principal;
use crate::request::Request;
use std::fmt::Write as _;

/// How requests are forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forward {
    /// The caller's identity is put on, in `x-portcullis-*` headers.
    pub identity_headers: bool,
    /// The token is taken off.
    pub remove_token: bool,
}

/// Headers to remove, then headers to set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Names of headers to remove, all of each name.
    pub remove: Vec<Vec<u8>>,
    /// Headers to set.
    pub set: Vec<(&'static str, Vec<u8>)>,
}

/// Headers that only this filter may set, also as readers that take `_` for `-` would see them.
#[must_use]
pub fn is_ours(name: &[u8]) -> bool {
    let prefix = b"x-portcullis-";
    name.get(..prefix.len()).is_some_and(|head| {
        head.iter().map(|b| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() }).eq(prefix.iter().copied())
    })
}

/// Headers that are taken off whatever comes in: ours, and those that could name another method or
/// path to whoever stands behind us.
#[must_use]
pub fn is_taken_off(name: &[u8]) -> bool {
    is_ours(name) || disguise::is_one(name)
}

/// The changes to a request that is permitted.
#[must_use]
pub fn changes(request: &Request<'_>, sources: &[Source], forward: Forward, principal: Option<&Principal>) -> Changes {
    let mut changes = Changes::default();
    if forward.remove_token {
        for source in sources {
            match source {
                Source::Header { name, .. } => changes.remove.push(name.clone().into_bytes()),
                Source::Cookie { name } => remove_cookie(request, name.as_bytes(), &mut changes),
            }
        }
    }
    if let Some(principal) = principal.filter(|_| forward.identity_headers) {
        changes.set.push(match principal.identity().subject() {
            Subject::User(name) => ("x-portcullis-username", encode(name)),
            Subject::Client(id) => ("x-portcullis-client-id", encode(id)),
        });
        let groups: Vec<Vec<u8>> = principal.groups().iter().map(|g| encode(g)).collect();
        if !groups.is_empty() {
            changes.set.push(("x-portcullis-groups", groups.join(&b',')));
        }
    }
    changes
}

/// Takes one cookie off, and puts the others back as one line (RFC 6265 section 5.4).
fn remove_cookie(request: &Request<'_>, name: &[u8], changes: &mut Changes) {
    let lines: Vec<&[u8]> = request.header(b"cookie").collect();
    let crumbs = lines.iter().flat_map(|line| line.split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    let is_it = |crumb: &&[u8]| crumb.split(|b| *b == b'=').next().unwrap_or(&[]).trim_ascii() == name;
    let others: Vec<&[u8]> = crumbs.filter(|crumb| !crumb.is_empty() && !is_it(crumb)).collect();
    changes.remove.push(b"cookie".to_vec());
    if !others.is_empty() {
        changes.set.push(("cookie", others.join(&b"; "[..])));
    }
}

/// Text as a header value: what is not unreserved in URIs (RFC 3986 section 2.3) is percent-encoded,
/// so that no value can end its line, hold a comma, or be read in two ways.
fn encode(text: &str) -> Vec<u8> {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@/+".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::catalogue::Version;
    use crate::authn::Identity;
    use crate::policy;
    use crate::table::Table;
    use serde_json::json;
    use std::rc::Rc;

    fn principal(subject: Subject, groups: &[&str]) -> Principal {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        let (empty, _) = policy::compile(&policy::Policy::default(), 0).unwrap();
        Principal::resolve(
            &Rc::new(Table::open(empty).unwrap()),
            Rc::new(Identity::assumed(subject, Some(groups), &json!({}))),
            Version::new(8, 9),
        )
    }

    #[test]
    fn own_headers_are_known_in_every_spelling() {
        for name in [&b"x-portcullis-username"[..], b"X_Portcullis_Username", b"x-portcullis_", b"x-PORTCULLIS-x"] {
            assert!(is_ours(name), "{name:?}");
        }
        assert!(!is_ours(b"x-portcullis") && !is_ours(b"portcullis-x") && !is_ours(b"x-portculliss"));
    }

    #[test]
    fn the_identity_is_put_on_safely() {
        let request = Request { method: b"GET", path: b"/", headers: &[] };
        let forward = Forward { identity_headers: true, remove_token: false };
        let user = principal(Subject::User("a\r\nx: b,é".into()), &["/ops", "a,b"]);
        assert_eq!(
            changes(&request, &[], forward, Some(&user)).set,
            [
                ("x-portcullis-username", b"a%0D%0Ax%3A%20b%2C%C3%A9".to_vec()),
                ("x-portcullis-groups", b"/ops,a%2Cb".to_vec())
            ]
        );
        let client = principal(Subject::Client("app".into()), &[]);
        assert_eq!(changes(&request, &[], forward, Some(&client)).set, [("x-portcullis-client-id", b"app".to_vec())]);
        assert_eq!(changes(&request, &[], Forward::default(), Some(&client)), Changes::default());
        assert_eq!(changes(&request, &[], forward, None), Changes::default());
    }

    #[test]
    fn the_token_is_taken_off_and_other_cookies_stay() {
        let sources = [Source::authorization(), Source::Cookie { name: "T".into() }];
        let headers: [(&[u8], &[u8]); 2] = [(b"cookie", b"a=1; T=x.y.z"), (b"cookie", b"b=T")];
        let request = Request { method: b"GET", path: b"/", headers: &headers };
        let forward = Forward { identity_headers: false, remove_token: true };
        let found = changes(&request, &sources, forward, None);
        assert_eq!(found.remove, [b"authorization".to_vec(), b"cookie".to_vec()]);
        assert_eq!(found.set, [("cookie", b"a=1; b=T".to_vec())]);
    }
}
