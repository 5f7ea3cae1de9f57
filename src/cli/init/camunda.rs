//! What a cluster's configuration says that the edge must know: the properties under
//! `camunda.security`, as the cluster has them, or the Helm values that become these properties.

use crate::cli::relaxed::{Tree, find, flag, list, members, text, texts};
use serde_json::Value;

const OIDC: &str = "camunda.security.authentication.oidc";
const PROVIDERS: &str = "camunda.security.authentication.providers.oidc";
/// What is read here; what initializes the policy is read with it.
const READ: [&str; 13] = [
    "camunda.security.authentication",
    "camunda.security.authorizations",
    "camunda.security.cluster-admin",
    "camunda.security.multi-tenancy",
    "server.servlet",
    "orchestration.security.authentication",
    "orchestration.security.authorizations",
    "orchestration.security.cluster-admin",
    "orchestration.multitenancy",
    "orchestration.contextPath",
    "global.security",
    "global.identity.auth",
    "global.multitenancy",
];

/// An identity provider, in the words of `camunda.security.authentication.oidc`.
#[derive(Debug)]
pub struct Provider {
    pub issuer: String,
    pub jwk_set_uri: Option<String>,
    pub audiences: Vec<String>,
    pub username_claim: Option<String>,
    pub client_id_claim: Option<String>,
    pub groups_claim: Option<String>,
    pub prefer_username: bool,
    pub clock_skew: Option<String>,
}

/// Who may administrate the cluster, in the words of `camunda.security.cluster-admin.oidc`.
#[derive(Debug, Default)]
pub struct Administrators {
    pub clients: Vec<String>,
    pub groups: Vec<String>,
    /// By name and value.
    pub claims: Vec<(String, String)>,
}

/// What the edge must know of a cluster.
#[derive(Debug)]
pub struct Cluster {
    pub providers: Vec<Provider>,
    pub multi_tenancy: bool,
    pub base_path: String,
    pub administrators: Option<Administrators>,
    /// What a person must look at.
    pub notices: Vec<String>,
}

/// Reads Spring configuration or Helm values.
///
/// # Errors
/// There is nothing in it that names an issuer of tokens; the reason says what was looked for.
pub fn read(document: &Value) -> Result<Cluster, String> {
    let tree = Tree::new(document);
    READ.into_iter().try_for_each(|path| tree.check(path))?;
    let document = &tree.value;
    let cluster = if find(document, "camunda.security").is_some() {
        spring(document)?
    } else if find(document, "orchestration").is_some() || find(document, "global").is_some() {
        helm(document)?
    } else {
        return Err("has neither `camunda.security` (Spring) nor `orchestration` or `global` (Helm)".into());
    };
    Ok(cluster)
}

fn check_method(method: Option<String>) -> Result<(), String> {
    match method.as_deref() {
        None | Some("oidc") => Ok(()),
        Some(other) => Err(format!("the authentication method is `{other}`; only `oidc` has tokens to verify")),
    }
}

fn spring(document: &Value) -> Result<Cluster, String> {
    check_method(text(document, "camunda.security.authentication.method"))?;
    let mut notices = Vec::new();
    let mut providers = Vec::new();
    if let Some(oidc) = find(document, OIDC) {
        providers.extend(provider(oidc, OIDC, &mut notices)?);
    }
    for (name, oidc) in members(document, PROVIDERS) {
        let at = format!("{PROVIDERS}.{name}");
        match provider(oidc, &at, &mut notices)? {
            Some(provider) => providers.push(provider),
            None => notices.push(format!("{at}.issuer-uri: names no issuer; the provider is left out")),
        }
    }
    if providers.is_empty() {
        return Err(format!("{OIDC}.issuer-uri: names no issuer"));
    }
    if !texts(document, &format!("{OIDC}.additional-jwk-set-uris"))?.is_empty() {
        notices.push("additional-jwk-set-uris: the edge takes one key set an issuer; serve them as one".into());
    }
    if flag(document, &format!("{OIDC}.user-info-augmentation.enabled")) == Some(true) {
        notices.push("user-info-augmentation: the edge sees the token's claims alone".into());
    }
    switches(document, "camunda.security", &mut notices);
    Ok(Cluster {
        administrators: administrators(document, "camunda.security.cluster-admin", &mut notices)?,
        providers,
        multi_tenancy: flag(document, "camunda.security.multi-tenancy.checks-enabled").unwrap_or(false),
        base_path: base_path(text(document, "server.servlet.context-path")),
        notices,
    })
}

/// `None` where it names no issuer.
fn provider(oidc: &Value, at: &str, notices: &mut Vec<String>) -> Result<Option<Provider>, String> {
    let Some(issuer) = text(oidc, "issuer-uri") else { return Ok(None) };
    Ok(Some(Provider {
        issuer,
        jwk_set_uri: text(oidc, "jwk-set-uri"),
        audiences: known(oidc, at, "audiences", notices)?,
        username_claim: text(oidc, "username-claim"),
        client_id_claim: text(oidc, "client-id-claim"),
        groups_claim: text(oidc, "groups-claim"),
        prefer_username: flag(oidc, "prefer-username-claim").unwrap_or(false),
        clock_skew: text(oidc, "clock-skew").and_then(|t| seconds(&t)),
    }))
}

/// Helm's values with the charts' defaults, as they become properties of the cluster.
fn helm(values: &Value) -> Result<Cluster, String> {
    let one = |paths: &[&str]| paths.iter().find_map(|path| text(values, path));
    check_method(one(&["orchestration.security.authentication.method", "global.security.authentication.method"]))?;
    let oidc = |name: &str| text(values, &format!("orchestration.security.authentication.oidc.{name}"));
    let issuer = one(&["global.identity.auth.issuer", "global.identity.auth.publicIssuerUrl"])
        .ok_or("global.identity.auth.issuer: names no issuer (nor does publicIssuerUrl)")?;
    let shared = |name: &str| text(values, &format!("global.identity.auth.orchestration.{name}"));
    let mut notices = Vec::new();
    let at = "orchestration.security.authentication";
    let mut audiences = known(values, "", &format!("{at}.oidc.backwardsCompatibleAudiences"), &mut notices)?;
    audiences.push(oidc("clientId").or_else(|| shared("clientId")).unwrap_or("orchestration".into()));
    audiences.push(oidc("audience").or_else(|| shared("audience")).unwrap_or("orchestration-api".into()));
    audiences
        .push(text(values, "global.identity.auth.webModeler.clientApiAudience").unwrap_or("web-modeler-api".into()));
    let mut seen = Vec::new();
    audiences.retain(|audience| {
        let new = !seen.contains(audience);
        seen.push(audience.clone());
        new
    });
    let provider = Provider {
        issuer,
        jwk_set_uri: text(values, "global.identity.auth.jwksUrl"),
        audiences,
        username_claim: Some(oidc("usernameClaim").unwrap_or("preferred_username".into())),
        client_id_claim: Some(oidc("clientIdClaim").unwrap_or("client_id".into())),
        groups_claim: oidc("groupsClaim"),
        prefer_username: flag(values, "orchestration.security.authentication.oidc.preferUsernameClaim")
            .unwrap_or(false),
        clock_skew: None,
    };
    switches(values, "orchestration.security", &mut notices);
    let checks = ["orchestration.multitenancy.checks.enabled", "global.multitenancy.enabled"];
    Ok(Cluster {
        administrators: administrators(values, "orchestration.security.cluster-admin", &mut notices)?,
        providers: vec![provider],
        multi_tenancy: checks.iter().any(|path| flag(values, path) == Some(true)),
        base_path: base_path(text(values, "orchestration.contextPath")),
        notices,
    })
}

/// A list of names without those that only the cluster could resolve (`${...}`): no one has them.
fn known(value: &Value, at: &str, name: &str, notices: &mut Vec<String>) -> Result<Vec<String>, String> {
    let dot = if at.is_empty() { "" } else { "." };
    let (open, known): (Vec<_>, Vec<_>) =
        texts(value, name).map_err(|e| format!("{at}{dot}{e}"))?.into_iter().partition(|name| name.contains("${"));
    let left_out = |open| format!("{at}{dot}{name}: `{open}` is known only when the cluster runs; it is left out");
    notices.extend(open.into_iter().map(left_out));
    Ok(known)
}

/// Who may administrate the cluster; `None` where nothing says so.
fn administrators(document: &Value, place: &str, notices: &mut Vec<String>) -> Result<Option<Administrators>, String> {
    let at = format!("{place}.oidc");
    let beside =
        members(document, place).filter(|(name, _)| *name != "oidc").map(|(name, _)| format!("{place}.{name}"));
    let is_carried = |name: &str| ["clients", "groups", "claims"].contains(&name);
    let within = members(document, &at).filter(|(name, _)| !is_carried(name)).map(|(name, _)| format!("{at}.{name}"));
    let left_out =
        |path: String| format!("{path}: is left out; an identity provider of its own belongs into `issuers`");
    notices.extend(beside.chain(within).map(left_out));
    let Some(oidc) = find(document, &at) else { return Ok(None) };
    let claim = |(claim, number): (&Value, usize)| {
        let part = |name: &str| {
            let missing = || format!("{at}.claims[{number}].{name}: is missing, or not known before the cluster runs");
            text(claim, name).ok_or_else(missing)
        };
        Ok((part("name")?, part("value")?))
    };
    let claims = list(oidc, "claims").map_err(|e| format!("{at}.{e}"))?;
    Ok(Some(Administrators {
        clients: known(oidc, &at, "clients", notices)?,
        groups: known(oidc, &at, "groups", notices)?,
        claims: claims.into_iter().zip(0..).map(claim).collect::<Result<_, String>>()?,
    }))
}

/// Switches that make the cluster allow what the edge would deny.
fn switches(document: &Value, security: &str, notices: &mut Vec<String>) {
    if flag(document, &format!("{security}.authorizations.enabled")) == Some(false) {
        notices.push(format!(
            "{security}.authorizations.enabled is false: the cluster allows every caller everything, the edge only what \
             the policy grants"
        ));
    }
    if flag(document, &format!("{security}.authentication.unprotected-api")) == Some(true) {
        notices.push(format!(
            "{security}.authentication.unprotected-api is true: the cluster takes calls without a token, the edge does \
             not"
        ));
    }
}

fn base_path(path: Option<String>) -> String {
    path.filter(|p| p.starts_with('/')).unwrap_or_else(|| "/".into())
}

/// A duration of Spring's (`60s`, `PT60S`, or milliseconds) as the configuration writes it.
fn seconds(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.strip_prefix("pt").unwrap_or(&lower);
    let number = |digits: &str| digits.parse::<u64>().ok();
    if let Some(minutes) = digits.strip_suffix('m') {
        return number(minutes)?.checked_mul(60).map(|seconds| format!("{seconds}s"));
    }
    match digits.strip_suffix("ms").or_else(|| digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)) {
        Some(milliseconds) => number(milliseconds).map(|m| format!("{}s", m / 1000)),
        None => number(digits.strip_suffix('s')?).map(|s| format!("{s}s")),
    }
}
