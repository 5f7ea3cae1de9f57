//! A real Kubernetes API server over etcd, with Istio's objects, and a small client.

use crate::parts::{Parts, shown};
use anyhow::{Context, Result, ensure};
use portcullis_e2e::server::{Server, free_port};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TOKEN: &str = "not-a-secret";
/// The namespace of all objects here.
const NAMESPACE: &str = "default";
/// Kinds of objects that scenarios make, with their groups.
const MADE: [(&str, &str); 7] = [
    ("extensions.istio.io/v1alpha1", "WasmPlugin"),
    ("extensions.istio.io/v1alpha1", "TrafficExtension"),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"),
    ("security.istio.io/v1", "RequestAuthentication"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1", "PeerAuthentication"),
    ("networking.istio.io/v1", "Sidecar"),
];
/// Kinds that others make.
const OTHERS: [(&str, &str); 5] = [
    ("networking.istio.io/v1", "Gateway"),
    ("networking.istio.io/v1", "VirtualService"),
    ("networking.istio.io/v1", "ServiceEntry"),
    ("networking.istio.io/v1", "WorkloadEntry"),
    ("networking.istio.io/v1", "DestinationRule"),
];

/// The running API server.
pub struct Kube {
    addr: SocketAddr,
    /// For istiod.
    pub config: PathBuf,
    _server: Server,
    _etcd: Server,
}

/// What the API server said to an object.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The message of a refusal.
    pub message: String,
}

impl Kube {
    /// Starts it, and makes Istio's kinds of objects known to it.
    pub fn start(parts: &Parts, folder: &Path) -> Result<Self> {
        let (client, peer, addr) = (free_port()?, free_port()?, free_port()?);
        let (client, peer) = (format!("http://{client}"), format!("http://{peer}"));
        let mut etcd = Command::new(parts.program("etcd"));
        etcd.arg("--data-dir").arg(folder.join("etcd"));
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("default={peer}")]);
        let etcd = Server::start("etcd", &mut etcd, folder)?;

        let key = rsa::RsaPrivateKey::new(&mut OsRng, 2048)?;
        let (private, public, tokens) = (folder.join("sa.key"), folder.join("sa.pub"), folder.join("tokens.csv"));
        fs::write(&private, key.to_pkcs1_pem(LineEnding::LF)?)?;
        fs::write(&public, key.to_public_key().to_public_key_pem(LineEnding::LF)?)?;
        fs::write(&tokens, format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
        let config = folder.join("kubeconfig");
        let given = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": format!("https://{addr}"), "insecure-skip-tls-verify": true}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        });
        fs::write(&config, given.to_string())?;

        let mut server = Command::new(parts.program("kube-apiserver"));
        server.arg(format!("--etcd-servers={client}")).arg(format!("--secure-port={}", addr.port()));
        server.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]);
        server.args(["--authorization-mode=AlwaysAllow", "--service-cluster-ip-range=10.96.0.0/24"]);
        server.arg("--service-account-issuer=https://kubernetes.default.svc");
        for (option, file) in [
            ("service-account-key-file", &public),
            ("service-account-signing-key-file", &private),
            ("token-auth-file", &tokens),
            ("cert-dir", &folder.join("certificates")),
        ] {
            server.arg(format!("--{option}={}", shown(file)));
        }
        let mut server = Server::start("kube-apiserver", &mut server, folder)?;
        let call = |method: &str, path: &str, body: &str| call(addr, method, path, body);
        server.wait_until("readiness", || call("GET", "/readyz", "").is_ok_and(|answer| answer.status == 200))?;
        let kube = Self { addr, config, _server: server, _etcd: etcd };
        kube.install(&parts.file("crds.yaml"), MADE.into_iter().chain(OTHERS))?;
        Ok(kube)
    }

    /// Makes kinds of objects known, and waits until these are served.
    pub fn install(&self, file: &Path, served: impl IntoIterator<Item = (&'static str, &'static str)>) -> Result<()> {
        let definitions = fs::read_to_string(file)?;
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n";
        let namespace = call(self.addr, "PATCH", &applied("/api/v1/namespaces/istio-system"), text)?;
        ensure!(namespace.status < 300, "{namespace:?}");
        for text in definitions.split("\n---\n").filter(|text| text.contains("kind: CustomResourceDefinition")) {
            let definition: Value = serde_saphyr::from_str(text)?;
            let name = definition["metadata"]["name"].as_str().context("a name")?;
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            let answer = call(self.addr, "PATCH", &applied(&path), text)?;
            ensure!(answer.status < 300, "{name}: {answer:?}");
        }
        for (version, kind) in served {
            let path = format!("{}/{}", group(version), plural(kind));
            let served = || call(self.addr, "GET", &path, "").ok().filter(|answer| answer.status == 200);
            portcullis_e2e::wait::until(&format!("{path} to be served"), served)?;
        }
        Ok(())
    }

    /// What `kubectl apply --server-side --validate=strict` does.
    pub fn try_apply(&self, object: &Value) -> Result<Answer> {
        call(self.addr, "PATCH", &applied(&place(object)), &object.to_string())
    }

    /// The same with objects that have to be accepted.
    pub fn apply<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) -> Result<()> {
        for object in objects {
            let answer = self.try_apply(object)?;
            ensure!(answer.status < 300, "{} {}: {answer:?}", object["kind"], object["metadata"]["name"]);
        }
        Ok(())
    }

    /// Writes an object's status, as a controller does.
    pub fn report(&self, object: &Value) -> Result<()> {
        let path = format!("{}/status", place(object));
        let answer = call(self.addr, "PATCH", &applied(&path), &object.to_string())?;
        ensure!(answer.status < 300, "{path}: {answer:?}");
        Ok(())
    }

    /// Deletes an object.
    pub fn delete(&self, object: &Value) -> Result<()> {
        let answer = call(self.addr, "DELETE", &place(object), "")?;
        ensure!(answer.status < 300, "{} {}: {answer:?}", object["kind"], object["metadata"]["name"]);
        Ok(())
    }

    /// Deletes all that scenarios make.
    pub fn clear(&self) -> Result<()> {
        for (version, kind) in MADE {
            let path = format!("{}/namespaces/{NAMESPACE}/{}", group(version), plural(kind));
            let answer = call(self.addr, "DELETE", &path, "")?;
            ensure!(answer.status < 300, "{path}: {answer:?}");
        }
        Ok(())
    }
}

/// Where the kinds of a group and version stand.
fn group(version: &str) -> String {
    if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") }
}

fn plural(kind: &str) -> String {
    let name = kind.to_lowercase();
    let consonant = name.strip_suffix('y').filter(|stem| !stem.ends_with('a'));
    consonant.map_or_else(|| format!("{name}s"), |stem| format!("{stem}ies"))
}

/// The path of an object.
fn place(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
    let namespace = metadata["namespace"].as_str().unwrap_or(NAMESPACE);
    let group = group(&text(&object["apiVersion"]));
    format!("{group}/namespaces/{namespace}/{}/{}", plural(&kind), text(&metadata["name"]))
}

fn applied(path: &str) -> String {
    format!("{path}?fieldManager=test&force=true&fieldValidation=Strict")
}

/// One call, by curl: the server speaks TLS with a certificate of its own.
fn call(addr: SocketAddr, method: &str, path: &str, body: &str) -> Result<Answer> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--max-time", "20", "--request", method]);
    curl.args(["--header", &format!("authorization: Bearer {TOKEN}"), "--write-out", "\n%{http_code}"]);
    if !body.is_empty() {
        curl.args(["--header", "content-type: application/apply-patch+yaml", "--header", "expect:"]);
        curl.args(["--data-binary", "@-"]);
    }
    curl.arg(format!("https://{addr}{path}")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = curl.spawn().context("cannot run curl")?;
    child.stdin.take().context("standard input")?.write_all(body.as_bytes())?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (answer, status) = text.rsplit_once('\n').context("an answer")?;
    let status = status.parse()?;
    ensure!(status > 0, "{method} {path}: {}", String::from_utf8_lossy(&output.stderr));
    let message = serde_json::from_str::<Value>(answer).ok().and_then(|v| v["message"].as_str().map(Into::into));
    Ok(Answer { status, message: message.unwrap_or_default() })
}
