//! Decision -> answer: problem details as the cluster sends them (RFC 9457), and for missing or
//! bad tokens `WWW-Authenticate` (RFC 6750 section 3). A gRPC call is answered with a gRPC status,
//! into which the proxy turns the answer.
//!
//! The caller learns the class of the refusal, the log learns the reason.

pub mod forward;

use crate::decision::{Decision, Outcome};
use crate::reason::Reason;
use crate::request::Request;
use serde::Serialize;

/// An answer of the edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status, for gRPC calls.
    pub grpc_status: u8,
    /// Headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: String,
}

/// The header that carries the reason to the caller where `debug.explainHeader` is set.
pub const REASON_HEADER: &str = "x-portcullis-reason";

/// The answer to a refused request; `None` where it is forwarded.
#[must_use]
pub fn refusal(decision: &Decision, path: &[u8], explain: bool) -> Option<Reply> {
    match decision.outcome {
        Outcome::Allow(_) => None,
        Outcome::Deny { reason, .. } => Some(refuse(reason, path, explain)),
    }
}

/// Problem details (RFC 9457 section 3.1).
#[derive(Serialize)]
struct Problem<'a> {
    detail: &'a str,
    instance: &'a str,
    status: u16,
    title: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

/// The answer for a reason.
#[must_use]
pub fn refuse(reason: Reason, path: &[u8], explain: bool) -> Reply {
    let status = reason.status();
    let (title, detail) = class(reason);
    let instance = path.split(|b| *b == b'?').next().unwrap_or(&[]);
    let problem = Problem { detail, instance: &String::from_utf8_lossy(instance), status, title, kind: "about:blank" };
    // Texts and a number can always be written.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let mut headers = vec![("content-type", "application/problem+json")];
    headers.extend(challenge(reason).map(|challenge| ("www-authenticate", challenge)));
    if explain {
        headers.push((REASON_HEADER, reason.code()));
    }
    Reply { status, grpc_status: reason.grpc_status(), headers, body }
}

/// Whether the proxy takes a request for a gRPC call, and answers it as one.
#[must_use]
pub fn is_grpc(request: &Request<'_>) -> bool {
    // Of several, the proxy makes one that is none of gRPC's.
    let content_type = request.single_header(b"content-type").ok().flatten().unwrap_or(b"");
    content_type == b"application/grpc" || content_type.starts_with(b"application/grpc+")
}

/// The answer to a gRPC call for a reason. The body becomes the status' message; the content type is
/// the proxy's own.
#[must_use]
pub fn refuse_call(reason: Reason, explain: bool) -> Reply {
    let headers = explain.then(|| (REASON_HEADER, reason.code())).into_iter().collect();
    let (_, detail) = class(reason);
    Reply { status: reason.status(), grpc_status: reason.grpc_status(), headers, body: detail.to_owned() }
}

/// Title and detail. The cluster writes the titles of its own refusals in capitals and those of its
/// security chain as HTTP does.
fn class(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::CredentialAmbiguous => ("Bad Request", "The request must carry exactly one credential."),
        Reason::PathAmbiguous => ("Bad Request", "The request path can be read in more than one way."),
        Reason::RequestAmbiguous => ("Bad Request", "The request can be taken for another one."),
        Reason::BodyUnreadable => ("Bad Request", "The request body can be read in more than one way, or not at all."),
        _ => match reason.status() {
            401 => ("Unauthorized", "A valid access token is required."),
            403 => ("FORBIDDEN", "The caller is not permitted to perform this operation."),
            _ => ("Service Unavailable", "The request cannot be decided at the moment."),
        },
    }
}

/// RFC 6750 section 3.1: no error code where no credential came.
fn challenge(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::TokenMissing => Some("Bearer"),
        Reason::CredentialAmbiguous => Some("Bearer error=\"invalid_request\""),
        _ if reason.status() == 401 => Some("Bearer error=\"invalid_token\""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_learns_the_class_only() {
        let reply = refuse(Reason::ResourceNotGranted, b"/v2/x?secret=1", false);
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["title"], "FORBIDDEN");
        assert_eq!(body["instance"], "/v2/x");
        assert!(!reply.body.contains("resource_not_granted") && !reply.body.contains("secret"));
        assert_eq!(reply.headers, [("content-type", "application/problem+json")]);
    }

    #[test]
    fn a_call_is_answered_with_a_status_and_a_message() {
        let reply = refuse_call(Reason::TokenMissing, false);
        assert_eq!((reply.grpc_status, &*reply.body), (16, "A valid access token is required."));
        assert!(reply.headers.is_empty());
        assert_eq!(refuse_call(Reason::Unresolved, true).headers, [(REASON_HEADER, "unresolved")]);
    }

    #[test]
    fn the_reason_is_shown_where_asked_for() {
        let reply = refuse(Reason::TokenExpired, b"/\"\xff", true);
        assert!(reply.headers.contains(&(REASON_HEADER, "token_expired")));
        assert!(reply.headers.contains(&("www-authenticate", "Bearer error=\"invalid_token\"")));
        assert!(serde_json::from_str::<serde_json::Value>(&reply.body).is_ok());
    }

    #[test]
    fn every_denial_has_an_answer() {
        for reason in Reason::ALL.iter().copied().filter(|r| r.status() != 200) {
            let reply = refuse(reason, b"/", false);
            assert!(reply.status >= 400 && reply.grpc_status > 0, "{reason:?}");
            assert_eq!(
                reply.headers.len(),
                if matches!(reply.status, 401) || reason == Reason::CredentialAmbiguous { 2 } else { 1 }
            );
        }
    }
}
