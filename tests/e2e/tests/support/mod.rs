//! What several test files share: a small policy, its callers, what they ask for and what they get.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod sending;

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::LazyLock;

use anyhow::Result;
use portcullis_e2e::client::{Exchange, Request, Response};
use portcullis_e2e::envoy::Envoy;
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::Upstream;
use serde_json::{Value, json};

/// The operations whose bodies decide here, with the member that names the id.
pub const CREATE: (&str, &str) = ("/v2/process-instances", "processDefinitionId");
pub const EVALUATE: (&str, &str) = ("/v2/decision-definitions/evaluation", "decisionDefinitionId");

/// Who signs tokens, and who only claims to. Keys take their time to be made, and need no end that
/// a `static` would keep from them.
pub static ISSUER: LazyLock<Issuer> =
    LazyLock::new(|| Issuer::new("https://idp.test", "orchestration-api").expect("a key"));
pub static IMPOSTOR: LazyLock<Issuer> = LazyLock::new(|| ISSUER.impostor().expect("a key"));

/// A cluster, and callers of it.
pub struct World {
    pub upstream: Upstream,
    ada: String,
    dora: String,
    forged: String,
}

/// Who may do what: `ada` with every id, `dora` with one, so that her bodies decide.
fn policy() -> Value {
    let grant = |owner: &str, kind: &str, id: &str, permission: &str| {
        json!({
            "ownerType": "USER", "ownerId": owner, "resourceType": kind, "resourceId": id,
            "permissionTypes": [permission],
        })
    };
    json!({"authorizations": [
        grant("ada", "PROCESS_DEFINITION", "*", "CREATE_PROCESS_INSTANCE"),
        grant("ada", "DECISION_DEFINITION", "*", "CREATE_DECISION_INSTANCE"),
        grant("dora", "PROCESS_DEFINITION", "invoice", "CREATE_PROCESS_INSTANCE"),
        grant("dora", "DECISION_DEFINITION", "invoice", "CREATE_DECISION_INSTANCE"),
    ]})
}

impl World {
    pub fn new() -> Self {
        let token = |issuer: &Issuer, user: &str| issuer.token(&json!({"preferred_username": user}));
        Self {
            upstream: Upstream::start().expect("an upstream"),
            ada: token(&ISSUER, "ada"),
            dora: token(&ISSUER, "dora"),
            forged: token(&IMPOSTOR, "ada"),
        }
    }

    /// The shipped configuration before this cluster, without a listener.
    pub fn gateway(&self) -> Gateway {
        Gateway::new(self.upstream.addr()).expect("the shipped configuration")
    }

    /// The shipped listener, for this issuer's tokens and the policy above.
    pub fn guarded(&self, listener: Listener) -> Listener {
        listener.issuer(&ISSUER).policy(&policy())
    }

    /// The same with the gate `stream`, and the belt that goes with it.
    pub fn streaming(&self, listener: Listener) -> Listener {
        let listener = self.guarded(listener).belt(&["orders:allow", "orders:pending"]);
        listener.edit_plugin(|plugin| plugin["body"]["gate"] = "stream".into())
    }

    pub fn token(&self, user: &str) -> &str {
        match user {
            "ada" => &self.ada,
            "dora" => &self.dora,
            "ada, forged" => &self.forged,
            other => panic!("{other} is no caller here"),
        }
    }

    /// A call that any identity may make.
    pub fn ask(&self, user: &str) -> Request {
        Request::get("/v2/topology").bearer(self.token(user))
    }

    /// `createProcessInstance` of that process.
    pub fn create(&self, user: &str, process: &str) -> Request {
        Request::post(CREATE.0, &json!({CREATE.1: process})).bearer(self.token(user))
    }

    /// A POST whose JSON body is still to be sent.
    pub fn post(&self, user: &str, path: &str) -> Request {
        Request::new("POST", path).header("content-type", "application/json").bearer(self.token(user))
    }

    /// The same in chunks.
    pub fn chunked(&self, user: &str, path: &str) -> Request {
        self.post(user, path).chunked()
    }

    /// Sends a request and sees what becomes of it.
    pub fn fate(&self, to: SocketAddr, request: &Request) -> Fate {
        let mut exchange = Exchange::open(to, request).expect("a connection");
        self.fate_of(request, exchange.response())
    }

    /// What became of a request that was answered like that.
    pub fn fate_of(&self, request: &Request, response: Result<Response>) -> Fate {
        let status = match response {
            Ok(response) => Some(response.status),
            Err(error) => match error.downcast_ref::<Error>().map(Error::kind) {
                Some(ErrorKind::TimedOut | ErrorKind::WouldBlock) => panic!("{} hangs", request.line()),
                _ => None,
            },
        };
        let arrived = self.upstream.find(request.id());
        Fate { status, complete: arrived.as_ref().is_some_and(|r| r.complete), begun: arrived.is_some() }
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fate {
    /// What the caller was answered; `None` where the connection was closed instead.
    pub status: Option<u16>,
    /// All of it arrived at the cluster: only then could it have had an effect.
    pub complete: bool,
    /// Some of it arrived there.
    pub begun: bool,
}

impl Fate {
    /// The cluster answered it.
    pub fn passed(self) -> bool {
        self.status == Some(200) && self.complete
    }

    /// The edge answered it with that status, and the cluster never had all of it.
    pub fn refused(self, status: u16) -> bool {
        self.status == Some(status) && !self.complete
    }
}

/// Envoy drops the trailers of HTTP/1 unless told otherwise; then they come to the filter, too.
pub fn with_trailers(listener: Listener) -> Listener {
    listener.edit_manager(|manager| manager["http_protocol_options"] = json!({"enable_trailers": true}))
}

/// How many bytes Envoy has read from callers.
pub fn bytes_read(envoy: &Envoy) -> u64 {
    envoy.stat("http.gateway.downstream_cx_rx_bytes_total").expect("stats").unwrap_or_default()
}
