//! Everything that the demo needs, running.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Result, anyhow, bail};
use portcullis_e2e::envoy::{self, Envoy, Launch};
use portcullis_e2e::gateway::Gateway;
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::Upstream;
use portcullis_e2e::workspace;

use crate::callers::Policy;

/// The upstream, the issuer and Envoy between them. Dropped, all of it stops.
pub(crate) struct Stage {
    pub(crate) envoy: Envoy,
    pub(crate) upstream: Upstream,
    pub(crate) issuer: Issuer,
    /// Where the guarded API is.
    pub(crate) addr: SocketAddr,
}

impl Stage {
    /// Starts all, or says in one line what is missing.
    pub(crate) fn set(policy: &Policy, port: u16) -> Result<Self> {
        let module = workspace().join("target/portcullis.wasm");
        if !module.is_file() {
            bail!("no module at {}: run `make wasm`", module.display());
        }
        envoy::binary()?;
        if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
            bail!("port {port} cannot be had ({error}): give another one, or none for a free one");
        }
        let upstream = Upstream::start()?;
        let issuer = Issuer::new("https://login.example.com/realms/camunda", "orchestration-api")?;
        let gateway = Gateway::new(upstream.addr())?
            .listener("gateway", |listener| listener.port(port).issuer(&issuer).policy(&policy.source));
        let started = Launch::new(gateway.build()).start();
        let envoy = started.map_err(|error| anyhow!("Envoy did not start: {}", complaint(&format!("{error:#}"))))?;
        let addr = envoy.addr("gateway")?;
        Ok(Self { envoy, upstream, issuer, addr })
    }
}

/// The line of Envoy's log that says best what went wrong: the module's own last word, else the
/// first error, else whatever stands there first.
pub(crate) fn complaint(log: &str) -> String {
    let mut lines = log.lines().filter(|line| !line.contains("][info]"));
    let mut own = lines.clone().filter_map(|line| {
        let (_, said) = line.split_once("] wasm log ")?;
        Some(said.split_once(": ")?.1) // what stands before is the plugin's name
    });
    let is_error = |line: &&str| line.contains("][critical]") || line.contains("][error]");
    let error = lines.find(is_error).and_then(|line| line.rsplit("] ").next());
    let found = own.next_back().or(error).or(log.lines().next());
    found.unwrap_or("it says nothing").to_owned()
}
