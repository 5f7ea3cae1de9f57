//! istiod, and Istio's agent with a real Envoy: as ingress gateway, as sidecar, as waypoint.

use crate::kube::Kube;
use crate::parts::{Parts, shown};
use anyhow::Result;
use portcullis_e2e::access::AccessLine;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy;
use portcullis_e2e::server::{Server, free_port};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where proxies log what they have answered.
const ACCESS_LOG: &str = "access.log";

/// The running control plane.
pub struct Istiod {
    server: Server,
    /// Where proxies get their configuration.
    discovery: SocketAddr,
    /// Where its own metrics are.
    monitoring: SocketAddr,
}

impl Istiod {
    /// Starts a stock one over that API server, with these further settings.
    pub fn start(parts: &Parts, kube: &Kube, folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let (discovery, http, monitoring, ctrlz) = (free_port()?, free_port()?, free_port()?, free_port()?);
        let mesh = folder.join("mesh.yaml");
        fs::write(&mesh, mesh_config(discovery, folder).to_string())?;
        let mut istiod = Command::new(parts.program("pilot-discovery"));
        istiod.arg("discovery").args(["--registries", "Kubernetes", "--clusterID", "Kubernetes"]);
        istiod.arg("--kubeconfig").arg(&kube.config).arg("--meshConfig").arg(&mesh);
        istiod.args(["--httpsAddr", "", "--secureGRPCAddr", "", "--ctrlz_address", "127.0.0.1"]);
        for (option, addr) in [("grpcAddr", discovery), ("httpAddr", http), ("monitoringAddr", monitoring)] {
            istiod.arg(format!("--{option}")).arg(addr.to_string());
        }
        istiod.arg("--ctrlz_port").arg(ctrlz.port().to_string());
        istiod.env("POD_NAMESPACE", "istio-system").env("POD_NAME", "istiod").current_dir(folder);
        // There is no certificate authority here, and this Envoy is not Istio's build of it.
        istiod.env("ENABLE_CA_SERVER", "false").env("PILOT_CERT_PROVIDER", "none");
        istiod.env("PILOT_ENABLE_ALPN_FILTER", "false").env("PILOT_ENABLE_METADATA_EXCHANGE", "false");
        istiod.envs(settings.iter().copied());
        let mut server = Server::start("istiod", &mut istiod, folder)?;
        server.wait(http, "/ready")?;
        Ok(Self { server, discovery, monitoring })
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// How many configurations of filters proxies have refused.
    pub fn refusals(&self) -> Result<u64> {
        let metrics = client::send(self.monitoring, &Request::get("/metrics"))?.text();
        let line = metrics.lines().find(|l| l.starts_with("pilot_total_xds_rejects") && l.contains("\"ecds\""));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(value.unwrap_or_default() as u64)
    }
}

fn mesh_config(discovery: SocketAddr, folder: &Path) -> Value {
    let log = json!({
        "request_id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%", "path": "%PATH(NQ:PATH)%",
        "status": "%RESPONSE_CODE%", "details": "%RESPONSE_CODE_DETAILS%", "flags": "%RESPONSE_FLAGS%",
        "decision": "%FILTER_STATE(wasm.portcullis_log:PLAIN)%",
    });
    json!({
        "rootNamespace": "istio-system",
        "trustDomain": "cluster.local",
        "enableAutoMtls": false,
        // A trace that is sampled changes the request's id.
        "enableTracing": false,
        // Its default, istio.stats, is a filter of Istio's build of Envoy.
        "defaultProviders": {},
        "defaultConfig": {"discoveryAddress": discovery.to_string()},
        "accessLogFile": folder.join(ACCESS_LOG), "accessLogEncoding": "JSON", "accessLogFormat": log.to_string(),
    })
}

/// What a proxy is.
#[derive(Clone, Copy)]
pub struct Role {
    /// What its folder and its log are called.
    pub name: &'static str,
    /// What Istio calls its kind.
    kind: &'static str,
    /// Its address. It must be no endpoint's, or istiod would take the endpoint's labels for it.
    address: &'static str,
    /// Its labels, as JSON.
    labels: &'static str,
    /// Further settings.
    settings: &'static [(&'static str, &'static str)],
}

/// The stock ingress gateway.
pub const INGRESS: Role = Role {
    name: "gateway",
    kind: "router",
    address: "127.0.0.9",
    labels: r#"{"istio":"ingressgateway"}"#,
    settings: &[],
};

/// The sidecar of the cluster's pods. Nothing redirects connections to it here: it listens where it is told to.
pub const SIDECAR: Role = Role {
    name: "sidecar",
    kind: "sidecar",
    address: "127.0.0.10",
    labels: r#"{"app":"orchestration"}"#,
    settings: &[("ISTIO_META_INTERCEPTION_MODE", "NONE")],
};

/// A waypoint. By its address istiod knows which of its services it belongs to. It calls itself as old as it can be
/// without being told of kinds of filter state that only Istio's build of Envoy has.
pub const WAYPOINT: Role = Role {
    name: "waypoint",
    kind: "waypoint",
    address: "127.0.0.11",
    labels: r#"{"gateway.networking.k8s.io/gateway-name":"waypoint"}"#,
    settings: &[("ISTIO_META_ISTIO_VERSION", "1.29.1")],
};

/// A running proxy: Istio's agent, and the Envoy that it has started.
pub struct Proxy {
    server: Server,
    access_log: PathBuf,
    /// Envoy's administration.
    pub admin: SocketAddr,
}

impl Proxy {
    /// Starts one. What stands in its folder beforehand stays, such as certificates.
    pub fn start(parts: &Parts, istiod: &Istiod, folder: &Path, role: Role) -> Result<Self> {
        let home = Self::home(folder, role);
        let data = home.join("var-lib/istio/data");
        fs::create_dir_all(&data)?;
        let template = fs::read_to_string(parts.file("bootstrap.json"))?.replace("{{ .wildcard }}", "127.0.0.1");
        // An extension that waypoints get, and that only Istio's build of Envoy has: it knows callers' names, for metrics.
        let template = template.replace("{{- if .metadata_discovery }}", "{{- if false }}");
        fs::write(home.join("bootstrap.json"), template)?;
        let (admin, status) = (free_port()?, free_port()?);
        let config = json!({
            "discoveryAddress": istiod.discovery.to_string(), "controlPlaneAuthPolicy": "NONE",
            "binaryPath": shown(&envoy::binary()?), "configPath": shown(&home.join("proxy")),
            "proxyAdminPort": admin.port(), "statusPort": status.port(), "concurrency": 2,
        });
        // The agent keeps modules below /var/lib, which is put into our folder for it alone.
        let mut agent = Command::new("unshare");
        agent.args(["--map-root-user", "--mount", "--propagation", "private"]);
        agent.args(["sh", "-c", r#"mount --bind "$0" /var/lib && exec "$@""#]).arg(home.join("var-lib"));
        agent.arg(parts.program("pilot-agent")).args(["proxy", role.kind, "--domain", "default.svc.cluster.local"]);
        agent.args(["--templateFile", "bootstrap.json", "--proxyLogLevel", "warning,wasm:info"]);
        agent.current_dir(&home).env("PROXY_CONFIG", config.to_string());
        for (name, value) in [
            ("POD_NAME", role.name),
            ("POD_NAMESPACE", "default"),
            ("SERVICE_ACCOUNT", "default"),
            ("INSTANCE_IP", role.address),
            ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
            ("ISTIO_METAJSON_LABELS", role.labels),
            // Nobody is there; for this port alone the agent wants no root certificate.
            ("CA_ADDR", "127.0.0.1:15010"),
        ] {
            agent.env(name, value);
        }
        agent.envs(role.settings.iter().copied());
        for name in ["ENVOY_STATUS_PORT", "ENVOY_PROMETHEUS_PORT"] {
            agent.env(name, free_port()?.port().to_string());
        }
        let mut server = Server::start(role.name, &mut agent, folder)?;
        server.wait(admin, "/ready")?;
        Ok(Self { server, access_log: folder.join(ACCESS_LOG), admin })
    }

    /// What agent and Envoy have logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// The lines of the access log so far.
    pub fn access_log(&self) -> Vec<AccessLine> {
        let text = fs::read(&self.access_log).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().filter_map(AccessLine::parse).collect()
    }

    /// The configuration that Envoy runs with.
    pub fn config_dump(&self) -> Result<Value> {
        client::send(self.admin, &Request::get("/config_dump"))?.json()
    }

    /// Where Envoy and the agent keep what they have.
    pub fn home(folder: &Path, role: Role) -> PathBuf {
        folder.join(role.name)
    }
}
