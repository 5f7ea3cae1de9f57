//! istiod, and Istio's agent with a real Envoy as ingress gateway.

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

/// Where the gateway logs what it has answered.
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
    /// Starts a stock one over that API server.
    pub fn start(parts: &Parts, kube: &Kube, folder: &Path) -> Result<Self> {
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

/// The running gateway: Istio's agent, and the Envoy that it has started.
pub struct Gateway {
    _server: Server,
    access_log: PathBuf,
    /// Envoy's administration.
    pub admin: SocketAddr,
}

impl Gateway {
    /// Starts one, labelled as the stock ingress gateway is. `insecure` are registries that speak
    /// plain HTTP; loopback ones need no mention.
    pub fn start(parts: &Parts, istiod: &Istiod, folder: &Path) -> Result<Self> {
        let home = folder.join("gateway");
        let data = home.join("var-lib/istio/data");
        fs::create_dir_all(&data)?;
        let template = fs::read_to_string(parts.file("bootstrap.json"))?.replace("{{ .wildcard }}", "127.0.0.1");
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
        agent.arg(parts.program("pilot-agent")).args(["proxy", "router", "--domain", "default.svc.cluster.local"]);
        agent.args(["--templateFile", "bootstrap.json", "--proxyLogLevel", "warning,wasm:info"]);
        agent.current_dir(&home).env("PROXY_CONFIG", config.to_string());
        // The address must be no endpoint's, or istiod would take the endpoint's labels for it.
        for (name, value) in [
            ("POD_NAME", "gateway"),
            ("POD_NAMESPACE", "default"),
            ("SERVICE_ACCOUNT", "default"),
            ("INSTANCE_IP", "127.0.0.9"),
            ("ISTIO_META_CLUSTER_ID", "Kubernetes"),
            ("ISTIO_METAJSON_LABELS", r#"{"istio":"ingressgateway"}"#),
            // Nobody is there; for this port alone the agent wants no root certificate.
            ("CA_ADDR", "127.0.0.1:15010"),
        ] {
            agent.env(name, value);
        }
        for name in ["ENVOY_STATUS_PORT", "ENVOY_PROMETHEUS_PORT"] {
            agent.env(name, free_port()?.port().to_string());
        }
        let mut server = Server::start("gateway", &mut agent, folder)?;
        server.wait(admin, "/ready")?;
        Ok(Self { _server: server, access_log: folder.join(ACCESS_LOG), admin })
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
    pub fn home(folder: &Path) -> PathBuf {
        folder.join("gateway")
    }
}
