//! Istio's own RequestAuthentication and AuthorizationPolicy, and this filter, asked the same.

use crate::world::{OPEN, World};
use anyhow::{Result, ensure};
use portcullis_e2e::client::{self, Request};
use serde_json::{Value, json};

/// A request, and what the filter and what Istio's own policies answer.
type Row = (&'static str, Request, u16, u16);

/// The nearest that Istio's own policies come to ours: who may call which path by which method.
fn policies(world: &World) -> [Value; 2] {
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "security.istio.io/v1", "kind": kind,
            "metadata": {"name": "native", "namespace": "default"}, "spec": spec,
        })
    };
    let selector = json!({"matchLabels": {"istio": "ingressgateway"}});
    let rule = |user: &str, operation: Value| {
        json!({
            "from": [{"source": {"requestPrincipals": [format!("{}/*", world.issuer.name())]}}],
            "to": [{"operation": operation}],
            "when": [{"key": "request.auth.claims[preferred_username]", "values": [user]}],
        })
    };
    [
        object(
            "RequestAuthentication",
            json!({"selector": selector, "jwtRules": [{
                "issuer": world.issuer.name(), "audiences": [world.issuer.audience()], "forwardOriginalToken": true,
                "jwks": world.issuer.jwks().to_string(),
            }]}),
        ),
        object(
            "AuthorizationPolicy",
            json!({"selector": selector, "action": "ALLOW", "rules": [
                rule("ada", json!({"paths": ["/v2/*"]})),
                rule("dora", json!({"methods": ["POST"], "paths": ["/v2/process-instances"]})),
                {"to": [{"operation": {"methods": ["GET"], "paths": ["/v2/status"]}}]},
            ]}),
        ),
    ]
}

/// The requests, with the answers that were measured; 404 is the cluster's, so the call has passed.
fn rows(world: &World) -> Result<Vec<Row>> {
    let issuer = &world.issuer;
    let token = |claims: Value| issuer.token(&claims);
    let user = |name: &str| json!({"sub": name, "preferred_username": name});
    let with = |name: &str, value: Value| {
        let mut claims = user("ada");
        claims[name] = value;
        issuer.claims(&claims)
    };
    let signed = |claims: &Value| issuer.sign(&issuer.header(), claims);
    let create = |path: &str, process: &str| Request::post(path, &json!({"processDefinitionId": process}));
    let start = |process: &str| create("/v2/process-instances", process);
    let (ada, dora) = (token(user("ada")), token(user("dora")));
    Ok(vec![
        ("no token", start("invoice"), 401, 403),
        (
            "a forged token",
            start("invoice").bearer(issuer.impostor()?.token(&with("iss", issuer.name().into()))),
            401,
            401,
        ),
        ("an expired token", start("invoice").bearer(signed(&with("exp", 1.into()))), 401, 401),
        (
            "a token without `exp`",
            start("invoice").bearer(token(json!({"sub": "ada", "preferred_username": "ada", "exp": null}))),
            401,
            200,
        ),
        ("a token for another audience", start("invoice").bearer(signed(&with("aud", "other".into()))), 401, 403),
        ("`ada` starts `payroll`", start("payroll").bearer(&ada), 200, 200),
        ("`dora` starts `invoice`", start("invoice").bearer(&dora), 200, 200),
        ("`dora` starts `payroll`", start("payroll").bearer(&dora), 403, 200),
        ("`dora` deletes a resource", Request::post("/v2/resources/1/deletion", &json!({})).bearer(&dora), 403, 403),
        ("`ada` calls what does not exist", Request::get("/v2/no-such-thing").bearer(&ada), 403, 404),
        ("a path parameter, `;x=1`", create("/v2/process-instances;x=1", "invoice").bearer(&ada), 400, 404),
        ("a repeated slash", create("/v2//process-instances", "invoice").bearer(&ada), 400, 404),
        ("two tokens", start("invoice").bearer(&ada).bearer(&dora), 400, 401),
        ("a token in the query", create(&format!("/v2/process-instances?access_token={ada}"), "invoice"), 401, 200),
        ("status, no token", Request::get("/v2/status"), 204, 204),
        ("status, a broken token", Request::get("/v2/status").bearer("x.y.z"), 204, 401),
    ])
}

/// The same requests under each; the table stands in the docs.
pub fn what_istio_has_itself(world: &mut World) -> Result<()> {
    let rows = rows(world)?;
    let ask = |world: &World| -> Result<Vec<u16>> {
        rows.iter().map(|(_, request, ..)| Ok(client::send(world.ports[0], &request.again())?.status)).collect()
    };
    let mut rendering = world.rendering(&["istio", "--url", &world.file_url]);
    rendering.configuration["anonymous"] = json!(["getStatus"]);
    world.guarded_by(&world.portcullis.render(&rendering)?)?;
    let ours = ask(world)?;
    world.kube.clear()?;
    world.becomes(OPEN)?;
    world.kube.apply(&policies(world))?;
    world.becomes([200, 200, 200, 401, 403])?;
    let native = ask(world)?;
    let mut differ = Vec::new();
    for ((what, _, our, their), (is_ours, is_native)) in rows.iter().zip(ours.into_iter().zip(native)) {
        if (is_ours, is_native) != (*our, *their) {
            differ.push(format!("{what}: {is_ours} and {is_native}, not {our} and {their}"));
        }
    }
    ensure!(differ.is_empty(), "the table is no longer true:\n  {}", differ.join("\n  "));
    Ok(())
}
