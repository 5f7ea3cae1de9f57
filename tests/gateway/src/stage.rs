//! Everything that runs: callers, Envoy Gateway with its Envoy, a cluster behind it.

use crate::modules::{Source, Web};
use crate::report::Report;
use crate::standalone::{NAMESPACE, SYSTEM, Standalone};
use anyhow::{Context as _, Result, ensure};
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::command::command_line;
use portcullis_e2e::server::free_port;
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::Upstream;
use portcullis_e2e::{wait, workspace};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How long a change may take until it is in force, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long whoever watches waits between rounds.
const PAUSE: Duration = Duration::from_millis(20);
const CALLERS: usize = 3;
/// How long each caller waits between calls.
const PACE: Duration = Duration::from_millis(5);
/// The name under which what is rendered is applied.
pub const OURS: &str = "portcullis";

/// What callers see of a guard that does its work, or of none.
pub type Answers = Vec<(&'static str, Option<u16>, bool)>;

pub struct Stage {
    pub upstream: Upstream,
    pub web: Web,
    pub standalone: Standalone,
    /// Where callers call.
    pub to: SocketAddr,
    pub issuer: Issuer,
    impostor: Issuer,
}

impl Stage {
    /// A gateway with one route to the cluster, nothing of ours yet, and nothing started.
    pub fn set() -> Result<Self> {
        let (upstream, web, standalone, to) = (Upstream::start()?, Web::start()?, Standalone::new()?, free_port()?);
        let issuer = Issuer::new("https://login.example.com/realms/camunda", "orchestration-api")?;
        let impostor = issuer.impostor()?;
        let stage = Self { upstream, web, standalone, to, issuer, impostor };
        stage.standalone.apply("10-gateway", &stage.gateway()?)?;
        Ok(stage)
    }

    /// One that runs, with what is rendered applied.
    pub fn guarded() -> Result<Self> {
        let stage = Self::set()?;
        stage.standalone.apply_text(OURS, &stage.render(&stage.configuration(), &stage.web.source(), &[])?)?;
        stage.standalone.start()?;
        Ok(stage)
    }

    /// The shipped gateway, and the cluster that its routes lead to.
    pub fn gateway(&self) -> Result<Vec<Value>> {
        let mut documents = self.documents(&fs::read_to_string(workspace().join("envoy/gateway.yaml"))?)?;
        for document in &mut documents {
            let kind = document["kind"].as_str().unwrap_or_default().to_owned();
            let spec = &mut document["spec"];
            match kind.as_str() {
                "GatewayClass" => spec["parametersRef"] = parameters(),
                "Gateway" => spec["listeners"][0]["port"] = self.to.port().into(),
                "HTTPRoute" | "GRPCRoute" => spec["rules"][0]["backendRefs"] = json!([backend()]),
                _ => {}
            }
        }
        let endpoint = json!({"ip": {"address": "127.0.0.1", "port": self.upstream.addr().port()}});
        documents.push(json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
            "metadata": metadata("orchestration"), "spec": {"endpoints": [endpoint]}}));
        Ok(documents)
    }

    /// A configuration of the filter: `dora` may start one process, `ada` any.
    pub fn configuration(&self) -> Value {
        let grant = |owner: &str, id: &str| {
            json!({"ownerType": "USER", "ownerId": owner, "resourceType": "PROCESS_DEFINITION", "resourceId": id,
                "permissionTypes": ["CREATE_PROCESS_INSTANCE"]})
        };
        json!({
            "version": 1, "name": "orders",
            "issuers": [{
                "issuer": self.issuer.name(), "audiences": [self.issuer.audience()],
                "jwks": {"inline": self.issuer.jwks()}, "claims": {"username": "preferred_username"},
            }],
            "policy": {"authorizations": [grant("ada", "*"), grant("dora", "invoice")]},
            "decisionLog": {"filterState": true},
        })
    }

    /// What `portcullis render envoy-gateway` writes.
    pub fn render(&self, configuration: &Value, source: &Source, more: &[&str]) -> Result<String> {
        let file = self.file("configuration.json", &configuration.to_string())?;
        let mut command = Command::new(command_line());
        command.args(["render", "envoy-gateway", "--config"]).arg(file).args(["--namespace", NAMESPACE]);
        command.args(["--url", &source.url, "--sha256", &source.sha256, "--gateway", "eg", "--listener", "http"]);
        let output = command
            .args(["--route", "orchestration", "--route", "GRPCRoute/orchestration-grpc"])
            .args(more)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same as documents.
    pub fn rendered(&self) -> Result<Vec<Value>> {
        self.documents(&self.render(&self.configuration(), &self.web.source(), &[])?)
    }

    /// The documents of a YAML text.
    pub fn documents(&self, text: &str) -> Result<Vec<Value>> {
        let parts = text.split("---\n").filter(|part| !part.trim().is_empty());
        parts.map(|part| Ok(portcullis::suite::document(&self.file("part.yaml", part)?)?)).collect()
    }

    /// What `portcullis doctor` says of a source: exit status, and the codes of what it finds.
    fn doctor(source: &str) -> Result<(Option<i32>, BTreeSet<String>)> {
        let output = Command::new(command_line()).args(["doctor", "--json", source]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let code = |line: &str| {
            let finding: Value = serde_json::from_str(line)?;
            anyhow::Ok(format!(
                "{} {}",
                finding["severity"].as_str().context("severity")?,
                finding["code"].as_str().context("code")?
            ))
        };
        Ok((output.status.code(), text.lines().map(code).collect::<Result<_>>()?))
    }

    /// What it says of the running Envoy.
    pub fn doctor_live(&self) -> Result<(Option<i32>, BTreeSet<String>)> {
        Self::doctor(&format!("http://{}", self.standalone.admin()?))
    }

    /// What it says of a manifest.
    pub fn doctor_file(&self, text: &str) -> Result<(Option<i32>, BTreeSet<String>)> {
        Self::doctor(&self.file("manifest.yaml", text)?.display().to_string())
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.standalone.folder().join(name);
        fs::write(&file, text)?;
        Ok(file)
    }

    fn token(issuer: &Issuer, user: &str) -> String {
        issuer.token(&json!({"preferred_username": user}))
    }

    /// A call that `user` may or may not make.
    pub fn create(&self, user: &str, process: &str) -> Request {
        let body = json!({"processDefinitionId": process});
        Request::post("/v2/process-instances", &body).bearer(Self::token(&self.issuer, user))
    }

    /// Telling calls, by name.
    fn calls(&self) -> [(&'static str, Request); 6] {
        [
            ("nobody", Request::get("/v2/topology")),
            ("forged", Request::get("/v2/topology").bearer(Self::token(&self.impostor, "ada"))),
            ("not granted", self.create("dora", "payroll")),
            ("ambiguous path", Request::get("/v2//topology").bearer(Self::token(&self.issuer, "ada"))),
            ("gRPC, nobody", grpc()),
            ("granted", self.create("dora", "invoice")),
        ]
    }

    /// Calls that nobody may ever make.
    pub fn forbidden(&self) -> Vec<(&'static str, Request)> {
        self.calls().into_iter().filter(|(name, _)| *name != "granted").collect()
    }

    /// What a call is answered, and whether all of it came to the cluster.
    pub fn fate(&self, request: &Request) -> (Option<u16>, bool) {
        let status = client::send(self.to, request).ok().map(|response| {
            // Over gRPC the answer is fine as HTTP, and has a status of its own.
            match response.fields.text("grpc-status") {
                None => response.status,
                Some("16") => 401,
                Some("7") => 403,
                Some("14") => 503,
                Some(_) => 500,
            }
        });
        (status, self.upstream.find(request.id()).is_some_and(|arrived| arrived.complete))
    }

    /// What becomes of the telling calls.
    pub fn answers(&self) -> Answers {
        let fate = |(name, request): (&'static str, Request)| {
            let (status, arrived) = self.fate(&request);
            (name, status, arrived)
        };
        self.calls().into_iter().map(fate).collect()
    }

    /// Waits until the telling calls are answered like that; else what they are answered.
    pub fn settle(&self, expected: &Answers) -> Answers {
        let reached = wait::until_within(PATIENCE, "answers", || Some(self.answers()).filter(|a| a == expected));
        reached.unwrap_or_else(|_| self.answers())
    }

    /// Does something while calls are made that nobody may ever make, and checks that none of them
    /// comes to the cluster at any moment.
    pub fn watched(&self, report: &mut Report, what: impl FnOnce(&mut Report) -> Result<()>) -> Result<()> {
        let done = AtomicBool::new(false);
        let watch = || {
            let mut sent = Vec::new();
            while !done.load(Ordering::SeqCst) {
                for (name, request) in self.forbidden() {
                    let _ = client::send(self.to, &request);
                    sent.push((name, request.id().to_owned()));
                }
                thread::sleep(PAUSE);
            }
            sent
        };
        let (result, sent) = thread::scope(|scope| {
            let watcher = scope.spawn(watch);
            let result = what(report);
            done.store(true, Ordering::SeqCst);
            (result, watcher.join())
        });
        let sent = sent.ok().context("the watcher")?;
        let came: BTreeSet<String> = self.upstream.complete_requests().iter().map(|r| r.id().to_owned()).collect();
        let passed: Vec<_> = sent.iter().filter(|(_, id)| came.contains(id)).map(|(name, _)| *name).collect();
        report.check(&format!("{} forbidden calls meanwhile, those that passed", sent.len()), Vec::new(), passed);
        result
    }

    /// Does something while callers make calls that may pass, and ones that may not: how many were answered right, and
    /// how many wrong.
    pub fn called(&self, what: impl FnOnce() -> Result<()>) -> Result<(usize, usize)> {
        let (done, right, wrong) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let call = || {
            while !done.load(Ordering::SeqCst) {
                for (process, expected) in [("invoice", 200), ("payroll", 403)] {
                    let status = client::send(self.to, &self.create("dora", process)).ok().map(|r| r.status);
                    let count = if status == Some(expected) { &right } else { &wrong };
                    count.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(PACE);
                }
            }
        };
        thread::scope(|scope| {
            (0..CALLERS).for_each(|_| drop(scope.spawn(call)));
            let result = what();
            done.store(true, Ordering::SeqCst);
            result
        })?;
        Ok((right.into_inner(), wrong.into_inner()))
    }

    /// Waits until that is so.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let reached = wait::until_within(PATIENCE, what, || is_so().then_some(()));
        reached.with_context(|| self.last_words())
    }

    /// The end of Envoy Gateway's log.
    pub fn last_words(&self) -> String {
        let log = self.standalone.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// What a guard answers that does its work.
pub fn guarded() -> Answers {
    vec![
        ("nobody", Some(401), false),
        ("forged", Some(401), false),
        ("not granted", Some(403), false),
        ("ambiguous path", Some(400), false),
        ("gRPC, nobody", Some(401), false),
        ("granted", Some(200), true),
    ]
}

/// Everything is refused with that status, or without an answer.
pub fn refused(status: Option<u16>) -> Answers {
    guarded().into_iter().map(|(name, _, _)| (name, status, false)).collect()
}

/// A call of the gRPC API without a credential.
fn grpc() -> Request {
    Request::new("POST", "/gateway_protocol.Gateway/Topology")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// The metadata of an object.
pub fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": NAMESPACE})
}

/// Everything is refused with 403, but the gRPC API, whose route does its work.
pub fn rest_refused() -> Answers {
    let own = |(name, status, arrived)| {
        if name == "gRPC, nobody" { (name, Some(401), false) } else { (name, status, arrived) }
    };
    refused(Some(403)).into_iter().map(own).collect()
}

/// The cluster, as a route names it.
fn backend() -> Value {
    json!({"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "orchestration"})
}

/// The settings of an Envoy that runs as a process of Envoy Gateway.
fn parameters() -> Value {
    json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "host", "namespace": SYSTEM})
}

/// A route of the gateway for paths with that prefix, to the cluster.
pub fn route(name: &str, prefix: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata(name), "spec": {
    "parentRefs": [{"name": "eg"}],
    "rules": [{
        "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
        "backendRefs": [backend()],
    }]}})
}
