//! `portcullis init`: a first plugin configuration from what a Camunda cluster is configured with.
//!
//! - `camunda`: Spring configuration and Helm values -> what the edge must know.

mod camunda;

use super::args::InitArguments;
use super::policies::camunda::{has_initialization, initialization};
use super::policies::warn;
use super::{End, Failure};
use crate::config;
use crate::suite::{SuiteError, document};
use camunda::{Administrators, Cluster, Provider};
use serde_json::{Map, Value, json};
use std::io::Write;

pub fn run(arguments: &InitArguments, out: &mut impl Write) -> Result<End, Failure> {
    let source = &arguments.from_camunda;
    let refuse = |reason: String| SuiteError(format!("{}: {reason}", source.display()));
    let document = document(source)?;
    let mut cluster = camunda::read(&document).map_err(refuse)?;
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
    let policy = policy(&document, &mut cluster.notices);
    let configuration = configuration(&cluster, &policy, arguments);
    let (_, warnings) = config::read(configuration.to_string().as_bytes()).map_err(|e| refuse(e.to_string()))?;
    warn(&warnings);
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

/// What the cluster's configuration says of its policy, with what a person must look at.
fn policy(document: &Value, notices: &mut Vec<String>) -> Value {
    let found = initialization(document).filter(|_| has_initialization(document));
    let (policy, problem) = match found {
        Some(Ok((policy, more))) => {
            notices.extend(more);
            (json!(policy), None)
        }
        Some(Err(reason)) => (json!({}), Some(reason)),
        None => (json!({}), None),
    };
    notices.extend(problem);
    notices.push(if policy == json!({}) {
        "the policy is empty, so that everything that needs a permission is denied: put the cluster's own in, default \
         roles included, as its API exports it"
            .into()
    } else {
        "the policy is what the cluster began with: what its default roles grant, and what has changed since, is not in \
         it: put in what its API exports"
            .into()
    });
    policy
}

fn configuration(cluster: &Cluster, policy: &Value, arguments: &InitArguments) -> Value {
    let issuers: Vec<Value> = cluster.providers.iter().map(|p| issuer(p, &arguments.idp_cluster)).collect();
    let mut configuration = json!({
        "version": 1,
        "name": arguments.name,
        "issuers": issuers,
        "api": {
            "version": arguments.api_version,
            "basePath": cluster.base_path,
            "multiTenancy": cluster.multi_tenancy,
        },
        "policy": policy,
    });
    if let (Some(who), Some(members)) = (&cluster.administrators, configuration.as_object_mut()) {
        members.insert("clusterAdmin".into(), administrators(who));
    }
    configuration
}

fn administrators(who: &Administrators) -> Value {
    let claims: Vec<Value> = who.claims.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"clients": who.clients, "groups": who.groups, "claims": claims})
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
