//! One Envoy before one cluster, and what is held true of every request that it refuses.

use std::net::SocketAddr;

use portcullis_e2e::client::{self, Request, Response};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::{Recorded, Upstream};
use serde_json::{Value, json};

/// An Envoy with one worker and one VM, so that whatever harms one request would harm the next.
pub struct Edge {
    pub envoy: Envoy,
    pub upstream: Upstream,
    pub issuer: Issuer,
    pub addr: SocketAddr,
}

/// What a refused caller is told.
pub struct Answer {
    pub status: u16,
    title: &'static str,
    challenge: &'static str,
}

/// RFC 6750 section 3.1.
pub const NO_TOKEN: Answer = Answer { status: 401, title: "Unauthorized", challenge: "Bearer" };
pub const BAD_TOKEN: Answer =
    Answer { status: 401, title: "Unauthorized", challenge: "Bearer error=\"invalid_token\"" };
pub const AMBIGUOUS: Answer =
    Answer { status: 400, title: "Bad Request", challenge: "Bearer error=\"invalid_request\"" };

impl Edge {
    pub fn start() -> Self {
        Self::shaped(|listener| listener)
    }

    pub fn shaped(shape: impl Fn(Listener) -> Listener) -> Self {
        let upstream = Upstream::start().expect("an upstream");
        let issuer = Issuer::new("https://idp.test", "orchestration-api").expect("a key");
        let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
        let policy = json!({"authorizations": [
            {"ownerType": "USER", "ownerId": "ada", "resourceType": "PROCESS_DEFINITION", "resourceId": "invoice",
             "permissionTypes": ["CREATE_PROCESS_INSTANCE"]},
        ]});
        let config = gateway.listener("gateway", |l| shape(l.issuer(&issuer).policy(&policy))).build();
        let envoy = Launch::new(config).start().expect("Envoy");
        let addr = envoy.addr("gateway").expect("an address");
        Self { envoy, upstream, issuer, addr }
    }

    /// A good token, unlike any before: nothing has been kept about it.
    pub fn token(&self) -> String {
        self.issuer.token(&json!({"preferred_username": "ada", "jti": Request::get("/").id()}))
    }

    pub fn send(&self, request: &Request) -> Response {
        client::send(self.addr, request).expect("an answer")
    }

    /// The request is refused like this, for this reason; then a good one is served.
    pub fn refuses(&self, what: &str, request: Request, answer: &Answer, reason: &str) {
        let response = self.send(&request);
        assert_eq!(response.status, answer.status, "{what}: {}", response.text());
        let problem = response.json().expect("a problem");
        assert_eq!(response.fields.text("content-type"), Some("application/problem+json"), "{what}");
        assert_eq!(response.fields.all("www-authenticate"), [answer.challenge.as_bytes()], "{what}");
        let (title, status) = (&problem["title"], &problem["status"]);
        assert_eq!((title, status), (&json!(answer.title), &json!(answer.status)), "{what}");
        assert_eq!((&problem["type"], &problem["instance"]), (&json!("about:blank"), &json!("/v2/topology")), "{what}");
        assert_eq!(problem.as_object().map(serde_json::Map::len), Some(5), "{what}: {problem}");

        let line = self.envoy.access_line(request.id()).expect("a line");
        let decision = line.decision().expect("a decision");
        assert_eq!(line.details(), reason, "{what}: {decision}");
        assert_eq!(decision["reason"], reason, "{what}");
        assert_eq!((&decision["decision"], &decision["principal"]), (&json!("deny"), &Value::Null), "{what}");
        assert_eq!(line.status(), u64::from(answer.status), "{what}");
        // The caller learns the class only.
        let fields = response.fields.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
        let told = fields.chain([response.text()]).collect::<Vec<_>>().join("\n");
        let detail = decision["detail"].as_str().expect("a detail");
        assert!(!told.contains(reason) && !told.contains(detail), "{what}: {told}");
        assert!(self.upstream.find(request.id()).is_none(), "{what}: it reached the cluster");
        self.serves(what, Request::get("/v2/topology").bearer(self.token()));
    }

    /// A token that is refused.
    pub fn refuses_token(&self, what: &str, token: impl AsRef<[u8]>, reason: &str) {
        self.refuses(what, Request::get("/v2/topology").bearer(token), &BAD_TOKEN, reason);
    }

    /// The request is served; what arrived at the cluster.
    pub fn serves(&self, what: &str, request: Request) -> Recorded {
        let response = self.send(&request);
        assert_eq!(response.status, 200, "after {what}: {}", response.text());
        let arrived = self.upstream.find(request.id()).expect("the request at the upstream");
        assert!(arrived.complete, "after {what}");
        arrived
    }

    /// Nothing has gone wrong in the VM, all the time, and no token has come into a log.
    pub fn assert_unharmed(&self) {
        let log = self.envoy.log();
        for word in ["panicked", "Function: proxy_on", "Uncaught RuntimeError"] {
            assert!(!log.contains(word), "{word} in Envoy's log:\n{log}");
        }
        let reloads = self.envoy.stats("vm_reload").expect("stats");
        assert_eq!(reloads.values().sum::<u64>(), 0, "{reloads:?}");
        let token = self.token();
        let header = token.split('.').next().expect("a header");
        assert!(!log.contains(header) && !format!("{:?}", self.envoy.access_log()).contains(header));
    }
}
