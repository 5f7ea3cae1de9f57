//! A real identity provider: Keycloak, with one realm and a client for each caller.

use crate::parts::KEYCLOAK;
use anyhow::{Context, Result, ensure};
use portcullis_e2e::client::{self, Request, Response};
use portcullis_e2e::server::{Server, free_port};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// What all clients have as their secret, and the administrator as password.
pub const SECRET: &str = "not-a-secret";
/// What tokens are for.
pub const AUDIENCE: &str = "orchestration-api";

/// The running provider.
pub struct Keycloak {
    _server: Server,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// One that is being started.
pub struct Starting {
    server: Server,
    addr: SocketAddr,
}

impl Keycloak {
    /// Begins to start it.
    pub fn start(java: &Path, folder: &Path) -> Result<Starting> {
        let home = KEYCLOAK.fetch(java)?;
        let (addr, management) = (free_port()?, free_port()?);
        let mut command = Command::new("sh");
        command.arg(home.join("bin/kc.sh")).arg("start-dev").arg("--http-host=127.0.0.1");
        command.arg(format!("--http-port={}", addr.port()));
        // Else its tokens name whatever host they were asked of.
        command.arg(format!("--hostname=http://{addr}"));
        command.arg(format!("--http-management-port={}", management.port()));
        command.env("JAVA_HOME", java).env("KC_DB", "dev-mem").env("KC_CACHE", "local");
        command.env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin").env("KC_BOOTSTRAP_ADMIN_PASSWORD", SECRET);
        Ok(Starting { server: Server::start("keycloak", &mut command, folder)?, addr })
    }

    /// What its tokens say in `iss`.
    pub fn issuer(&self) -> String {
        format!("http://{}/realms/camunda", self.addr)
    }

    /// Where a client gets its tokens.
    pub fn token_url(&self) -> String {
        format!("{}/protocol/openid-connect/token", self.issuer())
    }

    /// A token of a client, by its own credentials.
    pub fn token(&self, client: &str) -> Result<String> {
        let form = format!("grant_type=client_credentials&client_id={client}&client_secret={SECRET}");
        self.token_of("camunda", &form)
    }

    /// Makes a new key that signs from now on, and keeps the old one.
    pub fn rotate(&self) -> Result<()> {
        let config = json!({ "priority": ["1000"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"] });
        let component = json!({
            "name": "rotated", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
            "config": config,
        });
        self.administer("/admin/realms/camunda/components", &component)
    }

    fn administer(&self, path: &str, value: &Value) -> Result<()> {
        let form = format!("grant_type=password&client_id=admin-cli&username=admin&password={SECRET}");
        let token = self.token_of("master", &form)?;
        let response = client::send(self.addr, &Request::post(path, value).bearer(token))?;
        ensure!(response.status == 201, "{path}: {} {}", response.status, response.text());
        Ok(())
    }

    fn token_of(&self, realm: &str, form: &str) -> Result<String> {
        let path = format!("/realms/{realm}/protocol/openid-connect/token");
        let request = Request::new("POST", path).header("content-type", "application/x-www-form-urlencoded").body(form);
        let response: Response = client::send(self.addr, &request)?;
        ensure!(response.status == 200, "{}: {}", response.status, response.text());
        Ok(response.json()?["access_token"].as_str().context("a token")?.to_owned())
    }
}

impl Starting {
    /// Waits until it is ready, and makes the realm with these clients.
    pub fn finish(mut self, clients: &[&str]) -> Result<Keycloak> {
        self.server.wait(self.addr, "/realms/master")?;
        let keycloak = Keycloak { _server: self.server, addr: self.addr };
        let mapper = json!({
            "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": { "included.custom.audience": AUDIENCE, "access.token.claim": "true" },
        });
        let client = |id: &&str| {
            json!({
                "clientId": id, "secret": SECRET, "serviceAccountsEnabled": true, "standardFlowEnabled": false,
                "protocolMappers": [mapper],
            })
        };
        let clients: Vec<Value> = clients.iter().map(client).collect();
        let realm = json!({ "realm": "camunda", "enabled": true, "sslRequired": "none", "clients": clients });
        keycloak.administer("/admin/realms", &realm)?;
        Ok(keycloak)
    }
}
