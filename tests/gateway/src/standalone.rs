//! Envoy Gateway without Kubernetes: it reads its resources from a folder, and runs Envoy as a
//! process of its own.

use crate::parts;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_e2e::access::AccessLine;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy;
use portcullis_e2e::server::Server;
use portcullis_e2e::wait;
use serde_json::{Value, json};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(300);
/// What Envoy Gateway calls the Envoy that it is given.
const ENVOY: &str = "1.40.0";
/// Ports that Envoy Gateway takes, whatever it is told: xDS, modules, administration, metrics. (It can do without
/// its port for health, 8081.)
const PORTS: [u16; 4] = [18000, 18002, 19000, 19001];
/// Where its metrics are.
const METRICS: ([u8; 4], u16) = ([127, 0, 0, 1], 19001);
/// Where its own resources are expected.
pub const SYSTEM: &str = "envoy-gateway-system";
/// Where those of the cluster stand.
pub const NAMESPACE: &str = "camunda";

/// A running Envoy Gateway, with the Envoy that it runs.
pub struct Standalone {
    folder: TempDir,
    binary: PathBuf,
    server: Mutex<Option<Server>>,
}

impl Standalone {
    /// One with these resources and those that it needs itself; not started yet.
    pub fn new() -> Result<Self> {
        let binary = parts::envoy_gateway()?;
        let folder = tempfile::Builder::new().prefix("portcullis-gateway-").tempdir()?;
        let at = folder.path();
        for part in ["config", "data", "state", "run", "resources", "home"] {
            fs::create_dir(at.join(part))?;
        }
        let mut certificates = Command::new(&binary);
        certificates.args(["certgen", "--local", "--config-home"]).arg(at.join("config"));
        let made = certificates.output().context("certgen")?;
        ensure!(made.status.success(), "certgen: {}", String::from_utf8_lossy(&made.stderr));
        // It looks for an Envoy here before it would fetch one.
        let envoys = at.join("data/envoy-versions").join(ENVOY).join("bin");
        fs::create_dir_all(&envoys)?;
        symlink(envoy::binary()?, envoys.join("envoy"))?;
        let standalone = Self { folder, binary, server: Mutex::default() };
        fs::write(standalone.path("gateway.json"), standalone.configuration().to_string())?;
        standalone.apply("00-own", &standalone.own()?)?;
        Ok(standalone)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> Value {
        let infrastructure = json!({"type": "Host", "host": {
            "configHome": self.path("config"), "dataHome": self.path("data"), "stateHome": self.path("state"),
            "runtimeDir": self.path("run"),
        }});
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyGateway",
            "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
            "provider": {"type": "Custom", "custom": {
                "resource": {"type": "File", "file": {"paths": [self.path("resources")]}},
                "infrastructure": infrastructure,
            }},
            "logging": {"level": {"default": "info"}},
            "extensionApis": {"enableBackend": true, "enableEnvoyPatchPolicy": true, "enableLua": true},
        })
    }

    /// What a cluster has by itself: certificates as secrets, and the patch by which an Envoy
    /// outside a cluster reaches Envoy Gateway for its modules.
    fn own(&self) -> Result<Vec<Value>> {
        let certificate = |name: &str| -> Result<String> {
            let file = self.path("config/certs").join(name);
            Ok(STANDARD.encode(fs::read(&file).with_context(|| file.display().to_string())?))
        };
        let metadata = |name: &str| json!({"name": name, "namespace": SYSTEM});
        let patch = |path: &str, value: Value| {
            json!({
                "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "wasm_cluster",
                "operation": {"op": "replace", "path": path, "value": value},
            })
        };
        let authority = "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename";
        let address = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/address";
        let log = json!({"settings": [{
            "format": {"type": "JSON", "json": {
                "request_id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%", "path": "%PATH(NQ:PATH)%",
                "status": "%RESPONSE_CODE%", "details": "%RESPONSE_CODE_DETAILS%",
                "decision": "%FILTER_STATE(wasm.portcullis_log:PLAIN)%",
            }},
            "sinks": [{"type": "File", "file": {"path": self.path("access.log")}}],
        }]});
        Ok(vec![
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("envoy"), "type": "kubernetes.io/tls",
                "data": {"ca.crt": certificate("envoy/ca.crt")?, "tls.crt": certificate("envoy/tls.crt")?,
                    "tls.key": certificate("envoy/tls.key")?}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("envoy-oidc-hmac"),
                "data": {"hmac-secret": certificate("envoy-oidc-hmac/hmac-secret")?}}),
            json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": metadata("host"),
                "spec": {"concurrency": 1, "provider": {"type": "Host", "host": {"envoyVersion": ENVOY}},
                    "extraArgs": ["--file-flush-interval-msec", "10"], "telemetry": {"accessLog": log}}}),
            json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyPatchPolicy",
            "metadata": {"name": "modules", "namespace": NAMESPACE},
            "spec": {
                "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg"},
                "type": "JSONPatch",
                "jsonPatches": [
                    patch(authority, json!(self.path("config/certs/envoy/ca.crt"))),
                    patch(address, json!("127.0.0.1")),
                ]}}),
        ])
    }

    /// Starts it, and waits until it answers.
    pub fn start(&self) -> Result<()> {
        for port in PORTS {
            if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
                bail!("Envoy Gateway needs port {port}, which cannot be had: {error}");
            }
        }
        let mut command = Command::new(&self.binary);
        command.arg("server").arg("--config-path").arg(self.path("gateway.json")).env("HOME", self.path("home"));
        let mut server = Server::start("envoy-gateway", &mut command, self.folder.path())?;
        server.wait(SocketAddr::from(METRICS), "/metrics")?;
        *self.server() = Some(server);
        // What is applied before it watches is not seen.
        wait::until_within(START, "Envoy Gateway to watch its folder", || {
            self.log().contains("Watching path added").then_some(())
        })
    }

    /// Ends it, and its Envoy.
    pub fn stop(&self) {
        *self.server() = None;
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts these resources in the place of all that stood under that name.
    pub fn apply(&self, name: &str, documents: &[Value]) -> Result<()> {
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        self.apply_text(name, &texts.join("\n---\n"))
    }

    /// The same with a file's text.
    pub fn apply_text(&self, name: &str, text: &str) -> Result<()> {
        // Files that begin with a dot are not read: so that none is read before it is whole.
        let fresh = self.path(&format!("resources/.{name}"));
        fs::write(&fresh, text)?;
        Ok(fs::rename(fresh, self.resource(name))?)
    }

    /// Takes the resources of that name away.
    pub fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.resource(name)).with_context(|| name.to_owned())
    }

    fn resource(&self, name: &str) -> PathBuf {
        self.path(&format!("resources/{name}.yaml"))
    }

    /// What it and its Envoy have logged.
    pub fn log(&self) -> String {
        self.server().as_ref().map(Server::log).unwrap_or_default()
    }

    /// Envoy's access log so far.
    pub fn access_log(&self) -> Vec<AccessLine> {
        let bytes = fs::read(self.path("access.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).lines().filter_map(AccessLine::parse).collect()
    }

    /// The administration address of the Envoy that was started last.
    pub fn admin(&self) -> Result<SocketAddr> {
        let runs = fs::read_dir(self.path("run"))?.flatten();
        let files = runs.map(|run| run.path().join("admin-address.txt")).filter(|file| file.is_file());
        let last = files.max().context("no Envoy has been started")?;
        Ok(fs::read_to_string(last)?.trim().parse()?)
    }

    /// What Envoy's administration answers.
    pub fn ask_admin(&self, path: &str) -> Result<String> {
        Ok(client::send(self.admin()?, &Request::get(path))?.text())
    }

    /// How many configurations Envoy has refused, as Envoy Gateway counts them.
    pub fn refused(&self) -> Result<u64> {
        let text = client::send(SocketAddr::from(METRICS), &Request::get("/metrics"))?.text();
        let count = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        Ok(text.lines().filter(|l| l.starts_with("xds_nack_total")).filter_map(count).sum::<f64>() as u64)
    }

    /// The folder that everything stands in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
