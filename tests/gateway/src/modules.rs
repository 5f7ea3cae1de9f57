//! Where Envoy Gateway finds the module: a web server and a registry.

use anyhow::{Context, Result, ensure};
use portcullis_e2e::idp::{Answer, Provider};
use portcullis_e2e::server::{Server, free_port};
use portcullis_e2e::{version, workspace};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

const PATH: &str = "/portcullis.wasm";
/// Another version of the module.
const NEXT: &str = "/portcullis-next.wasm";
/// A module that does nothing.
const NOOP: &str = "/noop.wasm";

/// Where a manifest says that the module is.
#[derive(Clone, Debug)]
pub struct Source {
    pub url: String,
    pub sha256: String,
}

/// A web server with the module.
pub struct Web {
    server: Provider,
    module: Vec<u8>,
    next: Vec<u8>,
    noop: Vec<u8>,
}

impl Web {
    pub fn start() -> Result<Self> {
        let read = |file: &str| fs::read(workspace().join(file)).with_context(|| format!("no module at {file}"));
        let module = read("target/portcullis.wasm")?;
        let next = version::next(&module)?;
        let web = Self { server: Provider::start()?, module, next, noop: read("target/noop.wasm")? };
        web.server.answer(NOOP, Answer::new(200, &web.noop));
        web.server.answer(NEXT, Answer::new(200, &web.next));
        web.come_back();
        Ok(web)
    }

    /// Where the module is.
    pub fn source(&self) -> Source {
        self.at(PATH, &self.module)
    }

    /// Where the module is that does nothing.
    pub fn noop(&self) -> Source {
        self.at(NOOP, &self.noop)
    }

    /// Where another version of the module is.
    pub fn next(&self) -> Source {
        self.at(NEXT, &self.next)
    }

    fn at(&self, path: &str, module: &[u8]) -> Source {
        let sha256 = Sha256::digest(module).iter().map(|byte| format!("{byte:02x}")).collect();
        Source { url: format!("http://{}{path}", self.server.addr()), sha256 }
    }

    /// Nobody answers there any more.
    pub fn go_away(&self) {
        self.server.answer(PATH, Answer::hang_up());
    }

    /// The module is there again.
    pub fn come_back(&self) {
        self.server.answer(PATH, Answer::new(200, &self.module));
    }

    /// How often the module has been asked for.
    pub fn fetches(&self) -> usize {
        self.server.fetches(PATH)
    }
}

/// A registry with the image of `make image`.
pub struct Registry {
    _server: Server,
    addr: SocketAddr,
    digest: String,
}

impl Registry {
    pub fn start(folder: &Path) -> Result<Self> {
        let addr = free_port()?;
        let config = json!({
            "version": 0.1, "storage": {"filesystem": {"rootdirectory": folder.join("registry")}},
            "http": {"addr": addr.to_string()}, "log": {"level": "error"},
        });
        let file = folder.join("registry.json");
        fs::write(&file, config.to_string())?;
        let mut command = Command::new("docker-registry");
        let mut server = Server::start("docker-registry", command.arg("serve").arg(file), folder)
            .context("docker-registry is missing (Debian: apt-get install docker-registry)")?;
        server.wait(addr, "/v2/")?;
        let here = workspace();
        let mut push = Command::new(here.join("target/oras/bin/python"));
        push.arg(here.join("filters/image.py")).arg("push").arg(here.join("target/image"));
        let pushed = push.arg(format!("{addr}/portcullis:1")).output().context("target/oras: make target/oras")?;
        let said = String::from_utf8_lossy(&pushed.stdout);
        ensure!(pushed.status.success(), "{said}{}", String::from_utf8_lossy(&pushed.stderr));
        let image = said.lines().find_map(|line| line.split_once("/portcullis:1@sha256:")).context("no digest")?;
        Ok(Self { _server: server, addr, digest: image.1.trim().to_owned() })
    }

    /// Where the image is.
    pub fn source(&self) -> Source {
        Source { url: format!("oci://{}/portcullis:1", self.addr), sha256: self.digest.clone() }
    }
}
