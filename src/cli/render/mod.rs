//! `portcullis render`: ready manifests from a configuration and a policy, the belt among them.
//!
//! - `envoy`: the shipped Envoy configuration with what was given in it.
//! - `istio`: a WasmPlugin or a TrafficExtension, and an EnvoyFilter with the belt; or one
//!   EnvoyFilter with both.
//! - `gateway`: an EnvoyExtensionPolicy of Envoy Gateway, and an EnvoyPatchPolicy with the belt and
//!   with what the policy has no fields for.

mod envoy;
mod gateway;
mod istio;

use super::args::{RenderArguments, RenderTarget};
use super::{End, Failure, policies};
use crate::config::{self, Gate};
use crate::suite::{SuiteError, document};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::Write;

/// What all manifests are made of.
struct Parts<'a> {
    arguments: &'a RenderArguments,
    /// The plugin's configuration, checked.
    configuration: Value,
    /// Its name.
    name: String,
    /// The gate that it has.
    gate: Gate,
    /// The longest body that is read, in bytes.
    max_body: u64,
}

pub fn run(arguments: &RenderArguments, out: &mut impl Write) -> Result<End, Failure> {
    let hold = arguments.target == RenderTarget::Envoy || arguments.hold;
    let parts = parts(arguments, if hold { "hold" } else { "stream" })?;
    if parts.gate == Gate::Hold && !hold {
        return Err(SuiteError(
            "body.gate: `hold` needs allow_on_headers_stop_iteration, which this manifest does not set: write `stream`, \
             or give --hold with `istio` or `envoy-gateway`"
                .into(),
        )
        .into());
    }
    let documents = match arguments.target {
        RenderTarget::Envoy => return envoy::write(&parts, out),
        RenderTarget::Istio if arguments.hold => istio::filters(&parts)?,
        RenderTarget::Istio => istio::plugin(&parts)?,
        RenderTarget::TrafficExtension => istio::extension(&parts)?,
        RenderTarget::EnvoyGateway => gateway::policies(&parts)?,
    };
    let yaml = serde_saphyr::to_string_multiple(&documents).map_err(|e| SuiteError(e.to_string()))?;
    out.write_all(yaml.as_bytes())?;
    Ok(End::Yes)
}

fn parts<'a>(arguments: &'a RenderArguments, gate: &str) -> Result<Parts<'a>, SuiteError> {
    if arguments.hold && !matches!(arguments.target, RenderTarget::Istio | RenderTarget::EnvoyGateway) {
        return Err(SuiteError("--hold: only with `istio` and `envoy-gateway`".into()));
    }
    let mut configuration = document(&arguments.config)?;
    let refuse = |reason: &str| SuiteError(format!("{}: {reason}", arguments.config.display()));
    let members = configuration.as_object_mut().ok_or_else(|| refuse("is not an object"))?;
    if let Some(policy) = &arguments.policy {
        members.remove("table");
        members.insert("policy".into(), policies::document(policy)?);
    }
    let body = members.entry("body").or_insert_with(|| json!({}));
    if let Some(body) = body.as_object_mut() {
        body.entry("gate").or_insert_with(|| json!(gate));
    }
    let (plan, warnings) =
        config::read(configuration.to_string().as_bytes()).map_err(|error| refuse(&error.to_string()))?;
    for warning in warnings {
        eprintln!("portcullis: warning: {warning}");
    }
    if arguments.policy.is_some()
        && let Some(members) = configuration.as_object_mut()
    {
        // Compiled, it fits into a Kubernetes object where the policy's text would not.
        members.remove("policy");
        members.insert("table".into(), json!(STANDARD.encode(plan.table.bytes())));
    }
    Ok(Parts { arguments, configuration, name: plan.name.clone(), gate: plan.gate, max_body: plan.max_body })
}

impl Parts<'_> {
    /// The values of filter state that the belt passes.
    fn belt_values(&self) -> Vec<String> {
        let mut values = vec![format!("{}:allow", self.name)];
        values.extend((self.gate == Gate::Stream).then(|| format!("{}:pending", self.name)));
        values
    }

    /// Bytes that a listener must be able to hold: the longest body, and what comes in one read.
    fn buffer(&self) -> u64 {
        self.max_body.saturating_add(1024 * 1024)
    }

    /// The belt: Envoy's RBAC filter.
    fn belt(&self) -> Value {
        let principal =
            |value: String| json!({"filter_state": {"key": "wasm.portcullis_belt", "string_match": {"exact": value}}});
        let principals: Vec<Value> = self.belt_values().into_iter().map(principal).collect();
        json!({
            "name": "portcullis-belt",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {
                    "action": "ALLOW",
                    "policies": {"judged": {"permissions": [{"any": true}], "principals": principals}},
                },
            },
        })
    }

    /// The metadata of an object.
    fn metadata(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.arguments.namespace})
    }

    /// The module's address, which must have one of these schemes.
    fn url(&self, schemes: &[&str]) -> Result<&str, SuiteError> {
        let url = self.arguments.url.as_deref().ok_or_else(|| SuiteError("--url: where the module is".into()))?;
        if schemes.iter().any(|scheme| url.starts_with(&format!("{scheme}://"))) {
            return Ok(url);
        }
        Err(SuiteError(format!("--url: `{url}` must begin with {}://", schemes.join(":// or "))))
    }

    /// Splits `KEY=VALUE` labels.
    fn labels(&self) -> Result<Value, SuiteError> {
        let split = |label: &String| {
            let (key, value) = label.split_once('=').filter(|(key, _)| !key.is_empty())?;
            Some((key.to_owned(), Value::from(value)))
        };
        let labels = self
            .arguments
            .label
            .iter()
            .map(|label| split(label).ok_or_else(|| SuiteError(format!("--label: `{label}` is not KEY=VALUE"))));
        Ok(Value::Object(labels.collect::<Result<_, _>>()?))
    }
}
