//! A real cluster of one broker, with its gateway for REST and gRPC.

use crate::parts::CAMUNDA;
use anyhow::Result;
use portcullis_e2e::server::{Server, free_port};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The running cluster.
pub struct Camunda {
    server: Server,
    management: SocketAddr,
    /// Where its REST API is.
    pub rest: SocketAddr,
    /// Where its gRPC API is.
    pub grpc: SocketAddr,
}

impl Camunda {
    /// Begins to start it.
    pub fn start(java: &Path, folder: &Path) -> Result<Self> {
        let home = CAMUNDA.fetch(java)?;
        let (rest, grpc, management) = (free_port()?, free_port()?, free_port()?);
        let mut command = Command::new("sh");
        command.arg(home.join("bin/camunda")).current_dir(folder).env("JAVA_HOME", java);
        command.env("JAVA_OPTS", "-Xmx512m").env("SPRING_PROFILES_ACTIVE", "broker,standalone");
        command.env("ZEEBE_BROKER_DATA_DIRECTORY", folder.join("data"));
        for (name, addr) in [
            ("SERVER_", rest),
            ("MANAGEMENT_SERVER_", management),
            ("ZEEBE_BROKER_GATEWAY_NETWORK_", grpc),
            ("ZEEBE_BROKER_GATEWAY_CLUSTER_", free_port()?),
            ("ZEEBE_BROKER_NETWORK_COMMANDAPI_", free_port()?),
            ("ZEEBE_BROKER_NETWORK_INTERNALAPI_", free_port()?),
        ] {
            command.env(format!("{name}PORT"), addr.port().to_string());
            let host = if name.ends_with("SERVER_") { "ADDRESS" } else { "HOST" };
            command.env(format!("{name}{host}"), "127.0.0.1");
        }
        let server = Server::start("camunda", &mut command, folder)?;
        Ok(Self { server, management, rest, grpc })
    }

    /// Waits until it is ready.
    pub fn finish(mut self) -> Result<Self> {
        self.server.wait(self.management, "/actuator/health/status")?;
        self.server.wait(self.rest, "/v2/topology")?;
        Ok(self)
    }
}
