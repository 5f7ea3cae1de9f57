//! Recorded readings of claims (`recorded/tokens.json`) as a suite: which username, client id and
//! groups the cluster reads from a token, by its own settings.

use crate::recorded;
use crate::suites::{case_line, lines};
use anyhow::{Context, Result};
use portcullis::config;
use portcullis::suite;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;

/// Claims, how they are read, and what is read.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Reading {
    /// Its name.
    pub name: String,
    /// Which claims are read, as in `issuers[].claims`.
    pub claims_config: Map<String, Value>,
    /// The claims of the token.
    pub claims: Map<String, Value>,
    /// Nobody is read.
    #[serde(default)]
    pub refused: bool,
    /// The username.
    pub username: Option<String>,
    /// The client id.
    pub client_id: Option<String>,
    /// The groups, where a claim for them is set.
    pub groups: Option<Vec<String>>,
}

/// Reads all recorded readings.
///
/// # Errors
/// The file is not as it should be.
pub fn read() -> Result<Vec<Reading>> {
    Ok(serde_json::from_str(&fs::read_to_string(recorded::folder().join("tokens.json"))?)?)
}

/// The suite, and the names of readings whose settings are refused: with them nobody is ever read.
///
/// # Errors
/// It cannot be made.
pub fn suite(readings: &[Reading]) -> Result<(PathBuf, String, Vec<String>)> {
    let (mut issuers, mut cases, mut refused): (Vec<Value>, Vec<String>, Vec<String>) = Default::default();
    for reading in readings {
        let issuer = |number: usize| {
            let name = format!("https://idp.example/{number}");
            json!({ "issuer": name, "audiences": ["orchestration-api"], "claims": reading.claims_config })
        };
        let mut alone = Map::new();
        alone.insert("issuers".to_owned(), json!([issuer(0)]));
        if config::read(suite::configuration(alone, None).to_string().as_bytes()).is_err() {
            refused.push(reading.name.clone());
            continue;
        }
        let claims = Value::Object(reading.claims_config.clone());
        let known = issuers.iter().position(|issuer| issuer["claims"] == claims);
        let number = known.unwrap_or(issuers.len());
        if known.is_none() {
            issuers.push(issuer(number));
        }
        let mut claims = reading.claims.clone();
        claims.insert("iss".to_owned(), issuers.get(number).context("an issuer")?["issuer"].clone());
        let expect = if reading.refused {
            json!({ "decision": "deny", "status": 401, "reason": "identity_missing" })
        } else {
            let mut principal = match (&reading.client_id, &reading.username) {
                (Some(id), _) => json!({ "clientId": id }),
                (None, name) => json!({ "username": name }),
            };
            principal["groups"] = json!(reading.groups.clone().unwrap_or_default());
            json!({ "decision": "allow", "principal": principal })
        };
        let request = json!({ "method": "GET", "path": "/v2/topology" });
        cases.push(case_line(&reading.name, "claims", &Value::Object(claims), &request, &expect));
    }
    let issuers: Vec<String> = issuers.iter().map(Value::to_string).collect();
    let (issuers, cases) = (lines(&issuers, "  "), lines(&cases, "  "));
    let config = format!(r#"{{"api":{{"version":"8.8"}},"issuers":{issuers}}}"#);
    let text = format!("{{\n  \"config\": {config},\n  \"cases\": {cases}\n}}\n");
    Ok((PathBuf::from("tokens.json"), text, refused))
}
