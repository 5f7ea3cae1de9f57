//! Envoy Gateway's own SecurityPolicy (JWT and authorization) beside ours: what each answers to the
//! same requests. The table of docs/envoy-gateway.md has these answers.

use crate::report::Report;
use crate::stage::{OURS, Stage, guarded, metadata};
use anyhow::Result;
use portcullis_e2e::client::Request;
use portcullis_e2e::tokens::now;
use serde_json::{Value, json};

/// What a request is, what it is answered behind SecurityPolicy, and behind ours.
type Row = (&'static str, u16, u16);

/// A header that the filter sets where it is told to forward the identity.
const HEADER: &str = "x-portcullis-username";

const ROWS: [Row; 11] = [
    ("no token", 401, 401),
    ("a forged token", 401, 401),
    ("an expired token", 401, 401),
    ("a token for another audience", 403, 401),
    ("a token that never expires", 200, 401),
    ("two tokens in one field", 401, 400),
    ("dora starts her process", 200, 200),
    ("dora starts another process", 200, 403),
    ("dora starts one by a path with a parameter", 404, 400),
    ("ada asks for an operation that there is not", 404, 403),
    ("ada names herself in a header of the filter", 200, 200),
];

pub fn play(report: &mut Report) -> Result<()> {
    let stage = Stage::guarded()?;
    report.check("at first", guarded(), stage.settle(&guarded()));
    let ours = answers(&stage);
    report.check("the header, behind ours", false, named(&stage));
    stage.standalone.apply(OURS, &[policy(&stage)])?;
    // What ours refuses, and it cannot see.
    stage.until("its policy", || stage.fate(&stage.create("dora", "payroll")) == (Some(200), true))?;
    let native = answers(&stage);
    report.check("the header, behind SecurityPolicy", true, named(&stage));
    for ((row, native), ours) in ROWS.into_iter().zip(native).zip(ours) {
        // What the cluster answers (200, 404) has come to it, and nothing else has.
        let seen = |status: u16| (Some(status), [200, 404].contains(&status));
        report.check(&format!("{}: SecurityPolicy, ours", row.0), (seen(row.1), seen(row.2)), (native, ours));
    }
    Ok(())
}

/// `ada` may do all, `dora` may start processes: as near as it comes to the configuration of ours.
fn policy(stage: &Stage) -> Value {
    let who =
        |name: &str| json!({"jwt": {"provider": "idp", "claims": [{"name": "preferred_username", "values": [name]}]}});
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy", "metadata": metadata("native"),
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "orchestration"}],
            "jwt": {"providers": [{
                "name": "idp", "issuer": stage.issuer.name(), "audiences": [stage.issuer.audience()],
                "localJWKS": {"type": "Inline", "inline": stage.issuer.jwks().to_string()},
            }]},
            "authorization": {"defaultAction": "Deny", "rules": [
                {"name": "ada", "action": "Allow", "principal": who("ada")},
                {"name": "dora", "action": "Allow", "principal": who("dora"), "operation": {
                    "methods": ["POST"], "path": {"type": "Exact", "value": "/v2/process-instances"}}},
            ]},
        },
    })
}

/// Whether the cluster got the name that the last caller gave herself in a header of the filter.
fn named(stage: &Stage) -> bool {
    stage.upstream.requests().last().is_some_and(|request| request.fields.text(HEADER).is_some())
}

fn answers(stage: &Stage) -> Vec<(Option<u16>, bool)> {
    let ask = |token: String| Request::get("/v2/topology").bearer(token);
    let token = |claims: Value| stage.issuer.token(&claims);
    let ada = || token(json!({"preferred_username": "ada"}));
    let body = json!({"processDefinitionId": "invoice"});
    let requests = [
        Request::get("/v2/topology"),
        stage.forbidden().remove(1).1,
        ask(token(json!({"preferred_username": "ada", "exp": now() - 3600}))),
        ask(token(json!({"preferred_username": "ada", "aud": "another"}))),
        ask(token(json!({"preferred_username": "ada", "exp": null}))),
        ask(format!("{0},Bearer {0}", ada())),
        stage.create("dora", "invoice"),
        stage.create("dora", "payroll"),
        Request::post("/v2/process-instances;a=b", &body).bearer(token(json!({"preferred_username": "dora"}))),
        Request::get("/v2/there-is-none").bearer(ada()),
        ask(ada()).header(HEADER, "eve"),
    ];
    requests.iter().map(|request| stage.fate(request)).collect()
}
