//! Where the module is fetched from: a real registry with the image that `make image` packs, and a web
//! server.

use crate::parts::{Parts, run, shown};
use anyhow::{Context, Result};
use portcullis_e2e::server::{Server, free_port};
use portcullis_e2e::workspace;
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The registry; its images outlive a stop.
pub struct Registry {
    program: PathBuf,
    folder: PathBuf,
    /// `None` while it is away.
    server: Mutex<Option<Server>>,
    addr: SocketAddr,
    /// The image's manifest, by its digest in hexadecimal.
    pub digest: String,
}

impl Registry {
    /// Starts it, and pushes the image.
    pub fn start(parts: &Parts, folder: &Path) -> Result<Self> {
        let program = parts.program("docker-registry");
        let (addr, digest) = (free_port()?, String::new());
        let mut registry = Self { program, folder: folder.to_owned(), server: Mutex::default(), addr, digest };
        registry.resume()?;
        let mut push = Command::new(workspace().join("target/oras/bin/python"));
        push.arg(workspace().join("filters/image.py")).arg("push").arg(workspace().join("target/image"));
        push.arg(format!("{addr}/portcullis:1"));
        let printed = run(&mut push).context("the image, packed by `make image`")?;
        let first = printed.lines().find_map(|line| line.split_once(":1@sha256:")).context("a digest")?;
        registry.digest = first.1.to_owned();
        Ok(registry)
    }

    /// Starts it again.
    pub fn resume(&self) -> Result<()> {
        let config = self.folder.join("registry.json");
        let given = json!({
            "version": 0.1, "storage": {"filesystem": {"rootdirectory": self.folder.join("registry")}},
            "http": {"addr": self.addr.to_string()}, "log": {"level": "error"},
        });
        fs::write(&config, given.to_string())?;
        let mut command = Command::new(&self.program);
        let mut server = Server::start("registry", command.arg("serve").arg(config), &self.folder)?;
        server.wait(self.addr, "/v2/")?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    /// Ends it.
    pub fn stop(&self) {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The image's address.
    pub fn url(&self) -> String {
        format!("oci://{}/portcullis:1", self.addr)
    }
}

/// The web server.
pub struct Web {
    _server: Server,
    addr: SocketAddr,
}

impl Web {
    /// Serves the module that `make wasm` leaves.
    pub fn start(folder: &Path) -> Result<Self> {
        let addr = free_port()?;
        let root = folder.join("web");
        fs::create_dir(&root)?;
        fs::copy(module(), root.join("portcullis.wasm")).context("the module, made by `make wasm`")?;
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory", &shown(&root)]);
        let mut server = Server::start("web", python.arg(addr.port().to_string()), folder)?;
        server.wait(addr, "/portcullis.wasm")?;
        Ok(Self { _server: server, addr })
    }

    /// The module's address.
    pub fn url(&self) -> String {
        format!("http://{}/portcullis.wasm", self.addr)
    }
}

/// The module.
pub fn module() -> PathBuf {
    workspace().join("target/portcullis.wasm")
}

/// A module that does nothing, made by `make test-istio`.
pub fn noop() -> PathBuf {
    workspace().join("target/noop.wasm")
}
