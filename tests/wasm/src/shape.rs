//! A suite as the build hands it over: read from its file, with what the engine said natively.

use portcullis::authn::Subject;
use portcullis::suite::{Caller, CaseRequest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A suite.
#[derive(Deserialize, Serialize)]
pub struct Suite {
    /// The plugin configuration, complete.
    pub configuration: Value,
    /// Its clock.
    pub now: i64,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// One request, what is expected of it, and what the engine said of it natively.
#[derive(Deserialize, Serialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Who asks.
    #[serde(with = "CallerShape")]
    pub caller: Caller,
    /// What is asked.
    #[serde(with = "RequestShape")]
    pub request: CaseRequest,
    /// Any part of the explanation.
    pub expect: Map<String, Value>,
    /// The whole explanation, natively.
    pub natively: Value,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Caller")]
enum CallerShape {
    Nobody,
    Principal {
        #[serde(with = "SubjectShape")]
        subject: Subject,
        groups: Option<Vec<String>>,
        claims: Value,
    },
    Claims(Value),
    Token(String),
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Subject")]
enum SubjectShape {
    User(String),
    Client(String),
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "CaseRequest")]
struct RequestShape {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}
