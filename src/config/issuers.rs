//! The issuers of a configuration, checked.

use super::duration;
use super::remote;
use super::source::{ClaimsSource, IssuerSource, JwksSource};
use super::{ConfigError, Warning};
use crate::authn::claims::ClaimRules;
use crate::authn::keys::{Algorithm, KeySet};
use crate::authn::{Issuer, Issuers};
use crate::jsonpath::JsonPath;

/// The most that clocks may differ: more would keep expired tokens alive.
const MAX_SKEW: i64 = 600;

pub(super) fn check(sources: &[IssuerSource], warnings: &mut Vec<Warning>) -> Result<Issuers, ConfigError> {
    if sources.is_empty() {
        return Err(ConfigError::new("issuers", "the list is empty; at least one issuer is needed"));
    }
    let mut issuers: Vec<Issuer> = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let path = format!("issuers[{number}]");
        let issuer = check_one(&path, source, warnings)?;
        if issuers.iter().any(|i| i.issuer == issuer.issuer) {
            return Err(ConfigError::new(format!("{path}.issuer"), "the same issuer stands twice"));
        }
        issuers.push(issuer);
    }
    Ok(Issuers::new(issuers))
}

fn check_one(path: &str, source: &IssuerSource, warnings: &mut Vec<Warning>) -> Result<Issuer, ConfigError> {
    let at = |field: &str| format!("{path}.{field}");
    if source.issuer.is_empty() {
        return Err(ConfigError::new(at("issuer"), "the text is empty"));
    }
    if source.audiences.is_empty() {
        return Err(ConfigError::new(at("audiences"), "the list is empty; at least one audience is needed"));
    }
    if let Some(number) = source.audiences.iter().position(String::is_empty) {
        return Err(ConfigError::new(format!("{path}.audiences[{number}]"), "the text is empty"));
    }
    let clock_skew = duration::seconds(&source.clock_skew).filter(|s| *s <= MAX_SKEW).ok_or_else(|| {
        let reason = format!("`{}` is not a length of time such as `60s`, of at most {MAX_SKEW}s", source.clock_skew);
        ConfigError::new(at("clockSkew"), reason)
    })?;
    let keys = inline(path, &source.jwks, warnings)?;
    let remote = remote::check(path, source)?;
    let algorithms = match &source.algorithms {
        Some(names) => {
            let named = algorithms(path, names)?;
            if remote.is_none() && !keys.algorithms().iter().any(|a| named.contains(a)) {
                return Err(ConfigError::new(format!("{path}.algorithms"), "no key takes any of these algorithms"));
            }
            named
        }
        None if remote.is_none() => keys.algorithms(),
        // Which keys will be fetched is not known; each takes only the algorithms of its type.
        None => Algorithm::ALL.to_vec(),
    };
    Ok(Issuer {
        issuer: source.issuer.clone(),
        audiences: source.audiences.clone(),
        keys,
        remote,
        algorithms,
        clock_skew,
        claims: claims(path, &source.claims)?,
    })
}

fn inline(path: &str, source: &JwksSource, warnings: &mut Vec<Warning>) -> Result<KeySet, ConfigError> {
    let Some(inline) = &source.inline else { return Ok(KeySet::default()) };
    let (keys, skipped) = KeySet::read(&inline.keys);
    let reasons: Vec<String> = skipped.iter().map(|s| format!("keys[{}]: {}", s.index, s.reason)).collect();
    if keys.is_empty() {
        let reason = if reasons.is_empty() { "the list is empty".into() } else { reasons.join("; ") };
        return Err(ConfigError::new(format!("{path}.jwks.inline.keys"), format!("no usable key: {reason}")));
    }
    warnings.extend(reasons.into_iter().map(|reason| Warning { path: format!("{path}.jwks.inline"), reason }));
    Ok(keys)
}

fn algorithms(path: &str, names: &[String]) -> Result<Vec<Algorithm>, ConfigError> {
    if names.is_empty() {
        return Err(ConfigError::new(format!("{path}.algorithms"), "the list is empty"));
    }
    let known: Vec<&str> = Algorithm::ALL.iter().map(|a| a.name()).collect();
    let read = |(number, name): (usize, &String)| {
        Algorithm::named(name).ok_or_else(|| {
            let reason = format!("`{name}` is not supported; supported: {}", known.join(", "));
            ConfigError::new(format!("{path}.algorithms[{number}]"), reason)
        })
    };
    names.iter().enumerate().map(read).collect()
}

pub(super) fn claims(path: &str, source: &ClaimsSource) -> Result<ClaimRules, ConfigError> {
    let read = |field: &str, text: &str| {
        if text.is_empty() {
            return Err(ConfigError::new(format!("{path}.claims.{field}"), "the text is empty"));
        }
        JsonPath::parse_claim(text).map_err(|error| {
            ConfigError::new(format!("{path}.claims.{field}"), format!("`{text}`: {}", error.reason()))
        })
    };
    Ok(ClaimRules {
        username: read("username", &source.username)?,
        client_id: source.client_id.as_deref().map(|text| read("clientId", text)).transpose()?,
        prefer_username: source.prefer_username,
        // As in the cluster, an empty groups claim is none.
        groups: source
            .groups
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| read("groups", text))
            .transpose()?,
    })
}
