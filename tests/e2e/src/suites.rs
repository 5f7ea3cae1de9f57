//! The decision corpus, brought into the shape in which a real Envoy can be asked it: suites become
//! listeners, the callers of their cases become tokens.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use portcullis::authn::Subject;
use portcullis::authn::credential::Source;
use portcullis::config::Gate;
use portcullis::suite::{self, Caller, Case, CaseRequest, Suite};
use serde_json::{Map, Value, json};

use crate::client::Request;
use crate::gateway::Listener;
use crate::tokens::{self, Issuer};
use crate::workspace;

/// What all claims that name principals begin with. No suite may have it.
const OURS: &str = "https://claims.portcullis.test/";
const USERNAME: &str = "https://claims.portcullis.test/username";
const CLIENT_ID: &str = "https://claims.portcullis.test/client-id";
const GROUPS: &str = "https://claims.portcullis.test/groups";

/// The files of the corpus: all of `tests/suites` but the policies that suites share.
pub fn files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![workspace().join("tests/suites")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if !path.is_dir() {
                files.push(path);
            } else if !path.ends_with("policies") {
                folders.push(path);
            }
        }
    }
    ensure!(!files.is_empty(), "there are no suites");
    files.sort();
    Ok(files)
}

/// Reads one suite of the corpus.
pub fn read(file: &Path) -> Result<Suite> {
    ensure!(!fs::read_to_string(file)?.contains(OURS), "{}: {OURS} is taken", file.display());
    let suite = suite::read(file)?;
    let token = |case: &Case| matches!(case.caller, Caller::Token(_));
    let clocked = suite.now.is_some() && suite.cases.iter().any(token);
    ensure!(!clocked, "{}: Envoy's clock is the real one, so `now` and `token` do not go together", file.display());
    Ok(suite)
}

/// The name of a suite in messages.
pub fn name(suite: &Suite) -> &str {
    suite.name.rsplit_once("tests/suites/").map_or(&suite.name, |(_, name)| name)
}

/// Whom a listener trusts. Configurations of one suite differ in nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trust {
    /// The suite's issuers and their keys: for tokens that cases bring along, and for none.
    AsGiven,
    /// The suite's issuers with our key: for claims.
    WithOurKey,
    /// An issuer of ours: for principals.
    Principals,
    /// The same with a groups claim, which ends memberships: for principals with groups.
    PrincipalsWithGroups,
}

impl Trust {
    /// What a case needs.
    pub fn of(case: &Case) -> Self {
        match &case.caller {
            Caller::Nobody | Caller::Token(_) => Self::AsGiven,
            Caller::Claims(_) => Self::WithOurKey,
            Caller::Principal { groups: None, .. } => Self::Principals,
            Caller::Principal { groups: Some(_), .. } => Self::PrincipalsWithGroups,
        }
    }
}

/// Makes the callers of cases real.
#[derive(Debug)]
pub struct Callers {
    issuer: Issuer,
    /// Tokens by their claims: signing takes time.
    tokens: RefCell<BTreeMap<String, String>>,
}

impl Callers {
    /// With a key of their own.
    pub fn new() -> Result<Self> {
        let issuer = Issuer::new("https://issuer.portcullis.test", "portcullis-corpus")?;
        Ok(Self { issuer, tokens: RefCell::default() })
    }

    /// The plugin configuration by which a suite's cases of that kind are decided.
    pub fn configuration(&self, suite: &Suite, trust: Trust) -> Value {
        let mut plugin = suite.configuration.clone();
        plugin["decisionLog"] = json!({"filterState": true});
        let jwks = json!({"inline": self.issuer.jwks()});
        let mut claims = json!({"username": USERNAME, "clientId": CLIENT_ID});
        match trust {
            Trust::AsGiven => {}
            Trust::WithOurKey => {
                for issuer in plugin["issuers"].as_array_mut().into_iter().flatten() {
                    issuer["jwks"] = jwks.clone();
                }
            }
            Trust::Principals | Trust::PrincipalsWithGroups => {
                if trust == Trust::PrincipalsWithGroups {
                    claims["groups"] = GROUPS.into();
                }
                let audiences = [self.issuer.audience()];
                plugin["issuers"] = json!([
                    {"issuer": self.issuer.name(), "audiences": audiences, "jwks": jwks, "claims": claims},
                ]);
            }
        }
        plugin
    }

    /// A listener that decides as the suite says.
    pub fn listener(&self, suite: &Suite, trust: Trust, listener: Listener) -> Listener {
        let plugin = self.configuration(suite, trust);
        let mut belt = vec![format!("{}:allow", suite.plan.name)];
        if suite.plan.gate == Gate::Stream {
            belt.push(format!("{}:pending", suite.plan.name));
        }
        let belt: Vec<&str> = belt.iter().map(String::as_str).collect();
        listener.plugin_text(plugin.to_string()).belt(&belt)
    }

    /// The request of a case, with a credential that says who its caller is.
    pub fn request(&self, suite: &Suite, case: &Case) -> Result<Request> {
        let CaseRequest { method, path, headers, body, .. } = &case.request;
        let mut request = Request::new(method, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let Some(token) = self.token(suite, &case.caller) else { return Ok(request) };
        let place = suite.plan.credentials.first().context("no place for a token")?;
        Ok(match place {
            Source::Cookie { name } => request.header("cookie", format!("{name}={token}")),
            Source::Header { name, prefix } => {
                // The prefix may have been written out, as it may for the engine.
                let written_out = token.get(..prefix.len()).is_some_and(|t| t.eq_ignore_ascii_case(prefix));
                let prefix = if written_out { "" } else { prefix };
                request.header(name, format!("{prefix}{token}"))
            }
        })
    }

    fn token(&self, suite: &Suite, caller: &Caller) -> Option<String> {
        match caller {
            Caller::Nobody => None,
            Caller::Token(token) => Some(token.clone()),
            Caller::Claims(claims) => Some(self.signed(completed(suite, claims))),
            Caller::Principal { subject, groups, claims } => {
                let mut claims = claims.as_object().cloned().unwrap_or_default();
                let (claim, id) = match subject {
                    Subject::User(name) => (USERNAME, name),
                    Subject::Client(id) => (CLIENT_ID, id),
                };
                claims.insert(claim.into(), json!(id));
                claims.extend(groups.as_ref().map(|groups| (GROUPS.to_owned(), json!(groups))));
                claims.insert("iss".into(), self.issuer.name().into());
                claims.insert("aud".into(), self.issuer.audience().into());
                claims.insert("exp".into(), expiry());
                Some(self.signed(claims))
            }
        }
    }

    fn signed(&self, claims: Map<String, Value>) -> String {
        let claims = Value::Object(claims);
        let mut tokens = self.tokens.borrow_mut();
        let token =
            tokens.entry(claims.to_string()).or_insert_with(|| self.issuer.sign(&self.issuer.header(), &claims));
        token.clone()
    }
}

/// Claims with what every good token has: the only issuer, where none is named, an audience of the
/// named one, and an end.
fn completed(suite: &Suite, claims: &Value) -> Map<String, Value> {
    let mut claims = claims.as_object().cloned().unwrap_or_default();
    let issuers = suite.configuration["issuers"].as_array().map_or(&[][..], Vec::as_slice);
    if let [only] = issuers {
        claims.entry("iss").or_insert_with(|| only["issuer"].clone());
    }
    let named = issuers.iter().find(|issuer| Some(&issuer["issuer"]) == claims.get("iss"));
    if let Some(issuer) = named {
        claims.entry("aud").or_insert_with(|| issuer["audiences"][0].clone());
    }
    claims.entry("exp").or_insert_with(expiry);
    claims
}

/// One to two hours from now, on the hour: tokens with the same claims stay the same.
fn expiry() -> Value {
    ((tokens::now() / 3600 + 2) * 3600).into()
}

/// Why Envoy answers a request for that target with 400 itself, before it asks any filter; `None` where it asks.
pub fn refused_by_envoy(target: &str) -> Option<&'static str> {
    let has = |odd: fn(u8) -> bool| target.bytes().any(odd);
    if has(|byte| byte <= 0x20 || byte == 0x7f) {
        Some("the HTTP/1 parser takes no blanks and control bytes in a target")
    } else if has(|byte| byte >= 0x80) {
        Some("the HTTP/1 parser takes no bytes outside ASCII in a target")
    } else if has(|byte| byte == b'#') {
        Some("the connection manager takes no fragment in a path")
    } else {
        None
    }
}
