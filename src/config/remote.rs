//! Where the keys of an issuer are fetched from, checked.

use super::source::IssuerSource;
use super::{ConfigError, duration};
use crate::authn::keys::remote::{Remote, Start, Uri};

/// The lengths of time that are accepted, in seconds.
const TIMEOUT: std::ops::RangeInclusive<i64> = 1..=30;
const REFRESH: std::ops::RangeInclusive<i64> = 10..=86_400;
const MAX_STALE: std::ops::RangeInclusive<i64> = 10..=604_800;

pub(super) fn check(path: &str, source: &IssuerSource) -> Result<Option<Remote>, ConfigError> {
    let jwks = &source.jwks;
    let (place, cluster, times, start) = match (&jwks.remote, &jwks.discovery) {
        (None, None) if jwks.inline.is_some() => return Ok(None),
        (None, None) => {
            return Err(ConfigError::new(format!("{path}.jwks"), "has none of inline, remote and discovery"));
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(format!("{path}.jwks"), "has both remote and discovery"));
        }
        (Some(remote), None) => {
            let place = format!("{path}.jwks.remote");
            let uri = Uri::parse(&remote.uri).ok_or_else(|| not_a_uri(&format!("{place}.uri"), &remote.uri))?;
            (place, &remote.cluster, [&remote.timeout, &remote.refresh, &remote.max_stale], Start::Keys(uri))
        }
        (None, Some(discovery)) => {
            // RFC 8414 section 3.1 puts the well-known part elsewhere; identity providers follow
            // OpenID Connect Discovery section 4.
            let text = format!("{}/.well-known/openid-configuration", source.issuer.trim_end_matches('/'));
            let uri = Uri::parse(&text).ok_or_else(|| not_a_uri(&format!("{path}.issuer"), &source.issuer))?;
            let start = Start::Discovery { uri, issuer: source.issuer.clone() };
            let times = [&discovery.timeout, &discovery.refresh, &discovery.max_stale];
            (format!("{path}.jwks.discovery"), &discovery.cluster, times, start)
        }
    };
    if cluster.is_empty() {
        return Err(ConfigError::new(format!("{place}.cluster"), "the text is empty"));
    }
    let [timeout, refresh, max_stale] = times;
    let timeout = length(&place, "timeout", timeout, &TIMEOUT)?.saturating_mul(1_000);
    Ok(Some(Remote {
        cluster: cluster.clone(),
        start,
        timeout: u32::try_from(timeout).unwrap_or(u32::MAX),
        refresh: length(&place, "refresh", refresh, &REFRESH)?,
        max_stale: length(&place, "maxStale", max_stale, &MAX_STALE)?,
    }))
}

fn not_a_uri(path: &str, text: &str) -> ConfigError {
    ConfigError::new(path, format!("`{text}` is not an absolute URI of http or https"))
}

fn length(place: &str, field: &str, text: &str, range: &std::ops::RangeInclusive<i64>) -> Result<i64, ConfigError> {
    duration::seconds(text).filter(|seconds| range.contains(seconds)).ok_or_else(|| {
        let reason = format!("`{text}` is not a length of time from {}s to {}s", range.start(), range.end());
        ConfigError::new(format!("{place}.{field}"), reason)
    })
}
