//! A real Envoy, started for one test and stopped with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::AccessLine;
use crate::client::{self, Request};
use crate::{gateway, wait, workspace};

/// An Envoy to be started: its configuration and how to run it.
#[derive(Debug)]
pub struct Launch {
    config: Value,
    arguments: Vec<String>,
    concurrency: u32,
    drain_seconds: u32,
    dynamic: bool,
    discovered: bool,
}

impl Launch {
    /// An Envoy with that bootstrap configuration and one worker. Ports given as 0 are free ones:
    /// [`Envoy::addr`] knows which.
    pub fn new(config: Value) -> Self {
        Self { config, arguments: Vec::new(), concurrency: 1, drain_seconds: 600, dynamic: false, discovered: false }
    }

    /// So many workers.
    pub fn concurrency(self, workers: u32) -> Self {
        Self { concurrency: workers, ..self }
    }

    /// How long an old listener, and with it an old plugin configuration, lives after an update.
    pub fn drain_time(self, seconds: u32) -> Self {
        Self { drain_seconds: seconds, ..self }
    }

    /// Serves the listeners from a watched file, so that [`Envoy::push_listeners`] can change them.
    pub fn dynamic_listeners(self) -> Self {
        Self { dynamic: true, ..self }
    }

    /// Serves our filter's configuration from a watched file, so that [`Envoy::push_filter`] can
    /// change it; for one listener.
    pub fn discovered_filter(self) -> Self {
        Self { discovered: true, ..self }
    }

    /// A further command line argument, such as `--component-log-level`, `wasm:debug`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it, and waits until it is ready. Where it ends instead, the error holds its log.
    pub fn start(mut self) -> Result<Envoy> {
        let binary = binary()?;
        let dir = tempfile::Builder::new().prefix("portcullis-e2e-").tempdir()?;
        let version = AtomicU64::new(0);
        if self.discovered {
            let folder = dir.path().join("ecds");
            fs::create_dir(&folder)?;
            let filter = gateway::discover(&mut self.config, &folder);
            write_resources(&folder.join(FILTER), &[filter], &version)?;
        }
        if self.dynamic {
            let folder = dir.path().join("lds");
            fs::create_dir(&folder)?;
            let listeners = self.config["static_resources"]["listeners"].take();
            write_listeners(&folder, &listeners, &version)?;
            let source = json!({
                "path": folder.join("listeners.json"), "watched_directory": {"path": folder},
            });
            self.config["dynamic_resources"] = json!({
                "lds_config": {"path_config_source": source, "resource_api_version": "V3"},
            });
        }
        if self.dynamic {
            self.config["node"] = json!({"id": "envoy", "cluster": "envoy"});
        }
        let config = dir.path().join("envoy.json");
        fs::write(&config, serde_json::to_vec_pretty(&self.config)?)?;
        let admin_file = dir.path().join("admin");
        let child = Command::new(&binary)
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin_file)
            .args(["--concurrency", &self.concurrency.to_string()])
            .args(["--drain-time-s", &self.drain_seconds.to_string()])
            .args(["--file-flush-interval-msec", "10", "--disable-hot-restart"])
            .args(&self.arguments)
            .stdout(File::create(dir.path().join(ACCESS_LOG))?)
            .stderr(File::create(dir.path().join(LOG))?)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut envoy = Envoy { child: Mutex::new(child), admin: SocketAddr::from(([127, 0, 0, 1], 0)), version, dir };
        envoy.admin =
            envoy.await_start("the admin address", |_| fs::read_to_string(&admin_file).ok()?.trim().parse().ok())?;
        envoy.await_start("readiness", |envoy| {
            envoy.admin("/ready").ok().filter(|state| state.starts_with("LIVE")).map(drop)
        })?;
        Ok(envoy)
    }
}

/// Where Envoy's standard output goes: the access log of the shipped configuration.
const ACCESS_LOG: &str = "access.log";
/// Where Envoy's standard error goes.
const LOG: &str = "envoy.log";
/// Where the filter's configuration stands, as in the shipped files.
const FILTER: &str = "filter.yaml";
/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(180);

/// What became of pushed listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Envoy has taken them.
    Accepted,
    /// Envoy has refused them and keeps the ones before; its log says why.
    Rejected,
}

/// A running Envoy. Dropping it kills it; where that happens in a panic, its log is shown.
#[derive(Debug)]
pub struct Envoy {
    child: Mutex<Child>,
    admin: SocketAddr,
    version: AtomicU64,
    dir: TempDir,
}

impl Envoy {
    /// Where the listener of that name listens.
    pub fn addr(&self, listener: &str) -> Result<SocketAddr> {
        let all: Value = serde_json::from_str(&self.admin("/listeners?format=json")?)?;
        let found = all["listener_statuses"].as_array().into_iter().flatten().find_map(|status| {
            let address = &status["local_address"]["socket_address"];
            let text = format!("{}:{}", address["address"].as_str()?, address["port_value"]);
            text.parse().ok().filter(|_| status["name"] == listener)
        });
        found.with_context(|| format!("no listener {listener:?} in {all}"))
    }

    /// Where the admin page is.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// What the admin page answers to a GET.
    pub fn admin(&self, path: &str) -> Result<String> {
        let response = client::send(self.admin, &Request::get(path))?;
        match response.status {
            200 => Ok(response.text()),
            status => bail!("admin page {path}: {status} {}", response.text()),
        }
    }

    /// Counters and gauges whose names match that regular expression.
    pub fn stats(&self, pattern: &str) -> Result<BTreeMap<String, u64>> {
        let text = self.admin(&format!("/stats?filter={pattern}"))?;
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(text.lines().filter_map(pair).collect())
    }

    /// One counter or gauge; `None` where nothing has made it yet.
    pub fn stat(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.stats(&format!("^{}$", name.replace('.', "%5C.")))?.remove(name))
    }

    /// The configuration it runs with.
    pub fn config_dump(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.admin("/config_dump")?)?)
    }

    /// Its own log so far.
    pub fn log(&self) -> String {
        read_lossy(&self.dir.path().join(LOG))
    }

    /// Its access log so far.
    pub fn access_log(&self) -> Vec<AccessLine> {
        let text = read_lossy(&self.dir.path().join(ACCESS_LOG));
        text.lines().filter_map(AccessLine::parse).collect()
    }

    /// Waits for the access log's line about the request with that id.
    pub fn access_line(&self, request_id: &str) -> Result<AccessLine> {
        let about = |line: &AccessLine| line.request_id() == request_id;
        wait::until(&format!("the access log's line about {request_id}"), || {
            let text = read_lossy(&self.dir.path().join(ACCESS_LOG));
            let mut candidates = text.lines().filter(|line| line.contains(request_id));
            candidates.find_map(|line| AccessLine::parse(line).filter(about))
        })
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none()
    }

    /// Puts these listeners (a JSON array) in place of all there are, and waits for what Envoy says
    /// to them. For an Envoy started with [`Launch::dynamic_listeners`]. Workers take accepted ones
    /// over a moment later.
    pub fn push_listeners(&self, listeners: &Value) -> Result<Pushed> {
        let updates = || self.updates("listener_manager.lds.update_");
        let before = updates()?;
        write_listeners(&self.dir.path().join("lds"), listeners, &self.version)?;
        verdict(&before, updates)
    }

    /// Puts this typed configuration in place of our filter's, and waits for what Envoy says to it.
    /// For an Envoy started with [`Launch::discovered_filter`].
    pub fn push_filter(&self, config: &Value) -> Result<Pushed> {
        self.push_filter_file(self.filter_resources(config))
    }

    /// The same, without waiting for anything; when it was done.
    pub fn put_filter(&self, config: &Value) -> Result<Instant> {
        let (file, bytes) = (self.filter_file(), self.filter_resources(config));
        replace(&file, bytes)?;
        Ok(Instant::now())
    }

    fn filter_resources(&self, config: &Value) -> String {
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": "portcullis", "typed_config": config,
        });
        resources(&[resource], &self.version)
    }

    /// Puts these bytes in place of the file that our filter's configuration is read from.
    pub fn push_filter_file(&self, bytes: impl AsRef<[u8]>) -> Result<Pushed> {
        let updates = || self.updates("extension_config_discovery.http_filter.portcullis.update_");
        let before = updates()?;
        replace(&self.filter_file(), bytes)?;
        verdict(&before, updates)
    }

    /// The file that our filter's configuration is read from.
    pub fn filter_file(&self) -> PathBuf {
        self.dir.path().join("ecds").join(FILTER)
    }

    /// How many updates of that kind have been accepted and refused.
    fn updates(&self, prefix: &str) -> Result<(u64, u64)> {
        let stats = self.stats(&prefix.replace('.', "%5C."))?;
        let count =
            |name: &str| -> u64 { stats.iter().filter(|(n, _)| n.ends_with(name)).map(|(_, count)| count).sum() };
        Ok((count("update_success"), count("update_rejected") + count("update_failure")))
    }

    fn exit_status(&self) -> Option<std::process::ExitStatus> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.try_wait().ok().flatten()
    }

    /// Waits for something of the start; gives up as soon as the process has ended.
    fn await_start<T>(&self, what: &str, probe: impl Fn(&Self) -> Option<T>) -> Result<T> {
        let started = wait::until_within(START, &format!("Envoy's start: {what}"), || {
            let ended = self.exit_status();
            match (probe(self), ended) {
                (Some(value), _) => Some(Ok(value)),
                (None, Some(status)) => Some(Err(anyhow!("Envoy did not start ({status})\n{}", self.log()))),
                (None, None) => None,
            }
        });
        started.with_context(|| format!("Envoy's log so far:\n{}", self.log()))?
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(60);
            let tail: Vec<&str> = log.lines().skip(from).collect();
            eprintln!("the end of Envoy's log:\n{}", tail.join("\n"));
        }
    }
}

/// Has Envoy check a bootstrap configuration without starting; its log where it refuses.
pub fn validate(config: &Value) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("envoy.json");
    fs::write(&file, config.to_string())?;
    let checked = Command::new(binary()?).args(["--mode", "validate", "--config-path"]).arg(&file).output()?;
    if !checked.status.success() {
        bail!("Envoy refuses the configuration:\n{}", String::from_utf8_lossy(&checked.stderr));
    }
    Ok(())
}

/// The major and minor version of the Envoy to run.
pub fn version() -> Result<[u32; 2]> {
    let output = Command::new(binary()?).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text
        .rsplit("version: ")
        .next()
        .and_then(|t| t.split('/').nth(1))
        .into_iter()
        .flat_map(|version| version.split('.'));
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    next().zip(next()).map(|(major, minor)| [major, minor]).with_context(|| format!("no version: {text}"))
}

/// The Envoy to run: what `ENVOY` names, else the one that `make envoy` installs.
pub fn binary() -> Result<PathBuf> {
    let named = std::env::var_os("ENVOY").map(PathBuf::from);
    let script = named.unwrap_or_else(|| workspace().join("target/envoy/bin/envoy"));
    if !script.is_file() {
        bail!("no Envoy at {}: run `make envoy`, or set ENVOY to one", script.display());
    }
    Ok(beside(&script).unwrap_or(script))
}

/// The binary that a Python environment's `bin/envoy` would start.
fn beside(script: &Path) -> Option<PathBuf> {
    let pythons = fs::read_dir(script.parent()?.parent()?.join("lib")).ok()?;
    let inside = |python: fs::DirEntry| python.path().join("site-packages/envoy/_bin/envoy");
    pythons.flatten().map(inside).find(|binary| binary.is_file())
}

/// What has become of an update, once its counters have changed.
fn verdict(before: &(u64, u64), updates: impl Fn() -> Result<(u64, u64)>) -> Result<Pushed> {
    // A module that is new to it takes as long as at the start.
    wait::until_within(START, "Envoy's verdict on what was pushed", || {
        let after = updates().ok()?;
        if after.1 > before.1 {
            Some(Pushed::Rejected)
        } else if after.0 > before.0 {
            Some(Pushed::Accepted)
        } else {
            None
        }
    })
}

fn write_listeners(folder: &Path, listeners: &Value, version: &AtomicU64) -> Result<()> {
    let typed = |listener: &Value| {
        let mut listener = listener.clone();
        listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
        listener
    };
    let resources: Vec<Value> = listeners.as_array().context("listeners are an array")?.iter().map(typed).collect();
    write_resources(&folder.join("listeners.json"), &resources, version)
}

/// Writes what Envoy's file subscription reads.
fn write_resources(file: &Path, resources: &[Value], version: &AtomicU64) -> Result<()> {
    replace(file, self::resources(resources, version))
}

/// A discovery response of the next version.
fn resources(resources: &[Value], version: &AtomicU64) -> String {
    let version = version.fetch_add(1, Ordering::SeqCst).to_string();
    json!({"version_info": version, "resources": resources}).to_string()
}

/// Puts bytes in a file's place, whole or not at all.
fn replace(file: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let fresh = file.with_extension("fresh");
    fs::write(&fresh, bytes)?;
    Ok(fs::rename(fresh, file)?)
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
