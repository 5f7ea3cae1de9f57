//! The shape of a case.

use super::message;
use crate::authn::Subject;
use crate::json::{self, Misshapen, Shape, members};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One request and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub request: CaseRequest,
    /// Any part of the explanation.
    pub expect: Map<String, Value>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody: no credential.
    Nobody,
    /// A principal, as if a token had said so.
    Principal {
        /// The user or client.
        subject: Subject,
        /// The groups of a groups claim; `None` where the cluster's own memberships count.
        groups: Option<Vec<String>>,
        /// All claims, for mapping rules.
        claims: Value,
    },
    /// The claims of a verified token.
    Claims(Value),
    /// A whole token, to be verified.
    Token(String),
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct CaseRequest {
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// Headers, without the credential.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// What the body was made of, where it is the message of a gRPC call.
    pub message: Option<Value>,
}

#[derive(Default)]
struct CaseFile {
    name: String,
    principal: Option<PrincipalFile>,
    claims: Option<Map<String, Value>>,
    token: Option<String>,
    request: RequestFile,
    expect: Map<String, Value>,
}

members!(CaseFile {
    name: required "name",
    principal: optional "principal",
    claims: optional "claims",
    token: optional "token",
    request: required "request",
    expect: required "expect",
});

#[derive(Default)]
struct PrincipalFile {
    username: Option<String>,
    client_id: Option<String>,
    groups: Option<Vec<String>>,
    claims: Map<String, Value>,
}

members!(PrincipalFile {
    username: optional "username",
    client_id: optional "clientId",
    groups: optional "groups",
    claims: optional "claims",
});

#[derive(Default)]
struct RequestFile {
    method: Option<String>,
    path: Option<String>,
    grpc: Option<String>,
    message: Present,
    headers: BTreeMap<String, HeaderFile>,
    body: Present,
    raw_body: Option<String>,
    body_base64: Option<String>,
}

members!(RequestFile {
    method: optional "method",
    path: optional "path",
    grpc: optional "grpc",
    message: optional "message",
    headers: optional "headers",
    body: optional "body",
    raw_body: optional "rawBody",
    body_base64: optional "bodyBase64",
});

/// The values of a header of one name.
#[derive(Default)]
struct HeaderFile(Vec<String>);

impl Shape for HeaderFile {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        match value {
            Value::String(one) => {
                self.0 = vec![one];
                Ok(())
            }
            many => self.0.take(many),
        }
    }
}

/// Tells an absent member from one that is null.
#[derive(Default)]
struct Present(Option<Value>);

impl Shape for Present {
    fn take(&mut self, value: Value) -> Result<(), Misshapen> {
        self.0 = Some(value);
        Ok(())
    }
}

/// The bodies that a request can be given.
#[derive(Clone, Debug)]
pub enum BodySource {
    /// JSON.
    Json(Value),
    /// Text as it is.
    Raw(String),
    /// Bytes.
    Base64(String),
}

impl CaseRequest {
    /// A request; with a body and without a content type it is `application/json`.
    ///
    /// # Errors
    /// The body is not base64.
    pub fn new(
        method: String,
        path: String,
        mut headers: Vec<(String, String)>,
        body: Option<BodySource>,
    ) -> Result<Self, String> {
        let body = match body {
            None => None,
            Some(BodySource::Json(value)) => Some(value.to_string().into_bytes()),
            Some(BodySource::Raw(text)) => Some(text.into_bytes()),
            Some(BodySource::Base64(text)) => Some(STANDARD.decode(text).map_err(|e| format!("bodyBase64: {e}"))?),
        };
        if body.is_some() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("content-type".into(), "application/json".into()));
        }
        Ok(Self { method, path, headers, body, message: None })
    }

    /// A gRPC call, with this message or with a body of any other kind in its place.
    ///
    /// # Errors
    /// The message does not fit the call, or the body is not base64.
    pub fn grpc(
        call: &str,
        message: Option<&Value>,
        mut headers: Vec<(String, String)>,
        body: Option<BodySource>,
    ) -> Result<Self, String> {
        let call = call.strip_prefix("Gateway.").unwrap_or(call);
        let (message, body) = match (message, body) {
            (Some(_), Some(_)) => return Err("request: has a message and another body".into()),
            (message, None) => {
                let message = message.cloned().unwrap_or_else(|| Value::Object(Map::new()));
                let body = STANDARD.encode(message::body(call, &message)?);
                (Some(message), BodySource::Base64(body))
            }
            (None, Some(body)) => (None, body),
        };
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
            if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
                headers.push((name.into(), value.into()));
            }
        }
        let request = Self::new("POST".into(), format!("{}{call}", message::SERVICE), headers, Some(body))?;
        Ok(Self { message, ..request })
    }

    /// A request whose body is JSON: to a gRPC path it is the message of a call.
    ///
    /// # Errors
    /// The body does not fit the call.
    pub fn with_json(
        method: String,
        path: String,
        headers: Vec<(String, String)>,
        body: Option<String>,
    ) -> Result<Self, String> {
        let Some(call) = path.strip_prefix(message::SERVICE).filter(|_| method == "POST") else {
            return Self::new(method, path, headers, body.map(BodySource::Raw));
        };
        let message =
            body.map(|text| json::parse(text.as_bytes()).map_err(|e| format!("the message is not JSON: {e}")));
        Self::grpc(call, message.transpose()?.as_ref(), headers, None)
    }
}

/// Reads a case.
pub(super) fn parse(value: Value) -> Result<Case, String> {
    let file: CaseFile = json::shape(value).map_err(|e| e.to_string())?;
    let caller = match (file.principal, file.claims, file.token) {
        (None, None, None) => Caller::Nobody,
        (Some(principal), None, None) => principal.caller()?,
        (None, Some(claims), None) => Caller::Claims(Value::Object(claims)),
        (None, None, Some(token)) => Caller::Token(token),
        _ => return Err("a case has at most one of principal, claims and token".into()),
    };
    let RequestFile { method, path, grpc, message, headers, body, raw_body, body_base64 } = file.request;
    let (Present(message), Present(body)) = (message, body);
    let body = match (body, raw_body, body_base64) {
        (None, None, None) => None,
        (Some(value), None, None) => Some(BodySource::Json(value)),
        (None, Some(text), None) => Some(BodySource::Raw(text)),
        (None, None, Some(text)) => Some(BodySource::Base64(text)),
        _ => return Err("request: has more than one of body, rawBody and bodyBase64".into()),
    };
    let mut all = Vec::new();
    for (name, HeaderFile(values)) in headers {
        all.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    let request = match (grpc, method, path) {
        (Some(call), None, None) => CaseRequest::grpc(&call, message.as_ref(), all, body)?,
        (None, Some(method), Some(path)) if message.is_none() => CaseRequest::new(method, path, all, body)?,
        _ => return Err("request: has either method and path, or grpc and message".into()),
    };
    Ok(Case { name: file.name, caller, request, expect: file.expect })
}

impl PrincipalFile {
    fn caller(self) -> Result<Caller, String> {
        let subject = match (self.username, self.client_id) {
            (Some(name), None) => Subject::User(name),
            (None, Some(id)) => Subject::Client(id),
            _ => return Err("principal: must have exactly one of username and clientId".into()),
        };
        Ok(Caller::Principal { subject, groups: self.groups, claims: Value::Object(self.claims) })
    }
}
