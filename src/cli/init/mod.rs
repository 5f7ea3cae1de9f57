//! `portcullis init`: a first plugin configuration from what a Camunda cluster is configured with.
//!
//! - `camunda`: Spring configuration and Helm values -> what the edge must know.

mod camunda;

use super::args::InitArguments;
use super::{End, Failure};
use crate::config;
use crate::suite::{SuiteError, document};
use camunda::{Cluster, Provider};
use serde_json::{Map, Value, json};
use std::io::Write;

pub fn run(arguments: &InitArguments, out: &mut impl Write) -> Result<End, Failure> {
    let source = &arguments.from_camunda;
    let refuse = |reason: String| SuiteError(format!("{}: {reason}", source.display()));
    let mut cluster = camunda::read(&document(source)?).map_err(refuse)?;
    if !arguments.audience.is_empty() {
        for provider in &mut cluster.providers {
            provider.audiences.clone_from(&arguments.audience);
        }
    }
    if let Some(provider) = cluster.providers.iter().find(|p| p.audiences.is_empty()) {
        let issuer = &provider.issuer;
        return Err(refuse(format!(
            "{issuer}: no audiences are configured; the edge takes no token that was made for another API: name them \
             with --audience"
        ))
        .into());
    }
    let configuration = configuration(&cluster, arguments);
    config::read(configuration.to_string().as_bytes()).map_err(|e| refuse(e.to_string()))?;
    for notice in &cluster.notices {
        eprintln!("portcullis: {notice}");
    }
    eprintln!(
        "portcullis: Envoy needs a cluster `{}` that leads to the identity provider and verifies its certificate, and \
         the belt; envoy/envoy.yaml has both",
        arguments.idp_cluster
    );
    writeln!(out, "{configuration:#}")?;
    Ok(End::Yes)
}

fn configuration(cluster: &Cluster, arguments: &InitArguments) -> Value {
    let issuers: Vec<Value> = cluster.providers.iter().map(|p| issuer(p, &arguments.idp_cluster)).collect();
    json!({
        "version": 1,
        "name": arguments.name,
        "issuers": issuers,
        "api": {
            "version": arguments.api_version,
            "basePath": cluster.base_path,
            "multiTenancy": cluster.multi_tenancy,
        },
        "policy": {},
    })
}

fn issuer(provider: &Provider, idp: &str) -> Value {
    let jwks = match &provider.jwk_set_uri {
        Some(uri) => json!({"remote": {"uri": uri, "cluster": idp}}),
        None => json!({"discovery": {"cluster": idp}}),
    };
    let mut claims = Map::new();
    let mut claim = |name: &str, value: &Option<String>| {
        claims.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    };
    claim("username", &provider.username_claim);
    claim("clientId", &provider.client_id_claim);
    claim("groups", &provider.groups_claim);
    if provider.prefer_username {
        claims.insert("preferUsername".into(), json!(true));
    }
    let mut issuer =
        json!({"issuer": provider.issuer, "audiences": provider.audiences, "jwks": jwks, "claims": claims});
    if let (Some(skew), Some(members)) = (&provider.clock_skew, issuer.as_object_mut()) {
        members.insert("clockSkew".into(), json!(skew));
    }
    issuer
}
