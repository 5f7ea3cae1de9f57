//! What is tried, and what must come of it.

use crate::callers::{self, OUTSIDER, Outcome, SCOPED, WORKER};
use crate::camunda::Camunda;
use crate::keycloak::{AUDIENCE, Keycloak};
use crate::parts;
use anyhow::{Context, Result, ensure};
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Gateway;
use portcullis_e2e::wait;
use portcullis_workflow_engine::java;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the filter may take to come by its first keys from a provider that has just started.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that runs.
struct Stage {
    envoy: Envoy,
    gateway: SocketAddr,
    keycloak: Keycloak,
    clients: PathBuf,
    _camunda: Camunda,
    _folder: tempfile::TempDir,
    findings: usize,
}

/// Plays it all; says how much was not as it should be.
pub fn play() -> Result<usize> {
    let started = Instant::now();
    let mut stage = Stage::set()?;
    eprintln!("all is up after {:.0?}", started.elapsed());
    stage.rest()?;
    stage.grpc()?;
    stage.rotation()?;
    println!("{} findings, {:.0?}", stage.findings, started.elapsed());
    Ok(stage.findings)
}

impl Stage {
    fn set() -> Result<Self> {
        let java = java::home()?;
        let folder = tempfile::Builder::new().prefix("portcullis-cluster-").tempdir()?;
        let keycloak = Keycloak::start(&java, folder.path())?;
        let camunda = Camunda::start(&java, folder.path())?;
        let clients = parts::clients()?;
        let keycloak = keycloak.finish(&callers::ALL)?;
        let camunda = camunda.finish()?;
        let issuer = json!({
            "issuer": keycloak.issuer(), "audiences": [AUDIENCE], "jwks": { "discovery": { "cluster": "idp" } },
            "claims": { "username": "preferred_username", "clientId": "client_id" },
        });
        let config = Gateway::new(camunda.rest)?
            .grpc_upstream(camunda.grpc)?
            .listener("gateway", |listener| {
                listener.policy(&callers::policy()).edit_plugin(|plugin| plugin["issuers"] = json!([issuer]))
            })
            .edit(|bootstrap| {
                let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
                clusters.into_iter().for_each(|clusters| clusters.push(cluster("idp", keycloak.addr)));
            })
            .build();
        let envoy = Launch::new(config).start()?;
        let gateway = envoy.addr("gateway")?;
        let stage = Self { envoy, gateway, keycloak, clients, _camunda: camunda, _folder: folder, findings: 0 };
        stage.wait_for_keys()?;
        Ok(stage)
    }

    fn wait_for_keys(&self) -> Result<()> {
        let request = Request::get("/v2/topology").bearer(self.keycloak.token(OUTSIDER)?);
        let mut last = String::new();
        let answered = wait::until_within(PATIENCE, "keys of the identity provider", || {
            let response = client::send(self.gateway, &request.again()).ok()?;
            last = response.text();
            (response.status == 200).then_some(())
        });
        answered.with_context(|| format!("{last}\n{:?}\n{}", self.envoy.access_log().last(), self.envoy.log()))
    }

    /// One client that may do all, one that may work on one process, one that may do nothing, and
    /// one without a token.
    fn rest(&mut self) -> Result<()> {
        let names = Names {
            script: "rest.mjs",
            anybody: "getTopology",
            restricted: ["createDeployment", "publishMessage"],
            work: ["createProcessInstance", "failJob", "completeJob"],
            filtered: &["activateJobs", "activateJobs again"],
            denied: "403",
            unauthenticated: "401",
        };
        self.play(&names, &[])
    }

    /// The same over gRPC, and jobs by a stream.
    fn grpc(&mut self) -> Result<()> {
        let names = Names {
            script: "grpc.mjs",
            anybody: "Topology",
            restricted: ["DeployResource", "PublishMessage"],
            work: ["CreateProcessInstance", "FailJob", "CompleteJob"],
            filtered: &["ActivateJobs", "ActivateJobs again"],
            denied: "7",
            unauthenticated: "16",
        };
        self.play(&names, &[("StreamActivatedJobs", "ok")])
    }

    /// Lets all callers take the steps of a script; `more` are such as only follow a deployment.
    fn play(&mut self, names: &Names, more: &[(&'static str, &'static str)]) -> Result<()> {
        let steps = |restricted: &'static str, work: &'static str| {
            let mut steps = names.restricted.map(|step| (step, restricted)).to_vec();
            steps.extend(names.work.map(|step| (step, work)));
            steps
        };
        let anybody = [(names.anybody, "ok")];
        let filtered: Vec<_> = names.filtered.iter().map(|step| (*step, "ok")).collect();
        let worker = [&steps("ok", "ok")[..], &anybody, &filtered, more].concat();
        let scoped = [&steps(names.denied, "ok")[..], &anybody, &filtered].concat();
        let outsider = [&steps(names.denied, names.denied)[..], &anybody].concat();
        let nobody =
            [&steps(names.unauthenticated, names.unauthenticated)[..], &[(names.anybody, names.unauthenticated)]]
                .concat();
        self.expect(names.script, Some(WORKER), worker, None)?;
        self.expect(names.script, Some(SCOPED), scoped, None)?;
        self.expect(names.script, Some(OUTSIDER), outsider, Some(1))?;
        self.expect(names.script, None, nobody, Some(0))
    }

    /// A token of a key that the filter has not seen yet is waited for, not refused.
    fn rotation(&mut self) -> Result<()> {
        let before = key_id(&self.keycloak.token(WORKER)?);
        self.keycloak.rotate()?;
        let token = self.keycloak.token(WORKER)?;
        let is_new = key_id(&token) != before;
        let response = client::send(self.gateway, &Request::get("/v2/topology").bearer(token))?;
        self.check("a token of a new key", &json!([true, 200]), &json!([is_new, response.status]));
        Ok(())
    }

    /// Lets a client take its steps, and compares what comes of them; `arrives` is how many calls
    /// the cluster may see of it.
    fn expect(
        &mut self,
        script: &str,
        name: Option<&str>,
        steps: Vec<(&str, &str)>,
        arrives: Option<u64>,
    ) -> Result<()> {
        let before = self.forwarded()?;
        let outcome = callers::run(&self.clients, script, self.gateway, &self.keycloak, name)?;
        let expected: Outcome = steps.into_iter().map(|(step, what)| (step.to_owned(), what.to_owned())).collect();
        let what = format!("{script} as {}", name.unwrap_or("nobody"));
        self.check(&what, &json!(expected), &json!(outcome));
        if let Some(arrives) = arrives {
            let seen = self.forwarded()? - before;
            self.check(&format!("{what}: calls that reach the cluster"), &json!(arrives), &json!(seen));
        }
        Ok(())
    }

    /// How many requests Envoy has sent to the cluster.
    fn forwarded(&self) -> Result<u64> {
        let counts = self.envoy.stats("^cluster%5C.orchestration(-grpc)?%5C.upstream_rq_total$")?;
        ensure!(counts.len() == 2, "{counts:?}");
        Ok(counts.values().sum())
    }

    fn check(&mut self, what: &str, expected: &Value, actual: &Value) {
        if expected == actual {
            println!("ok      {what}");
        } else {
            self.findings += 1;
            println!("FAILED  {what}\n  expected {expected}\n  was      {actual}");
        }
    }
}

/// What the steps of a script are called, and how it calls a refusal.
struct Names {
    script: &'static str,
    /// What anybody with a token may.
    anybody: &'static str,
    /// What needs more than to work on one process.
    restricted: [&'static str; 2],
    /// What does not.
    work: [&'static str; 3],
    /// What answers with what the caller may have.
    filtered: &'static [&'static str],
    denied: &'static str,
    unauthenticated: &'static str,
}

/// The header of a token, which names its key.
fn key_id(token: &str) -> String {
    token.split('.').next().unwrap_or_default().to_owned()
}

fn cluster(name: &str, addr: SocketAddr) -> Value {
    let (host, port) = (addr.ip().to_string(), addr.port());
    let address = json!({ "socket_address": { "address": host, "port_value": port } });
    let endpoints = json!([{ "lb_endpoints": [{ "endpoint": { "address": address } }] }]);
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "2s",
        "load_assignment": { "cluster_name": name, "endpoints": endpoints },
    })
}
