//! All parts together, and callers in front of them.

use crate::guard::{self, Portcullis, Rendering};
use crate::kube::Kube;
use crate::mesh::{INGRESS, Istiod, Proxy, Role};
use crate::parts::Parts;
use crate::sources::{Registry, Web, module};
use anyhow::{Context, Result, ensure};
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::server::free_port;
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::Upstream;
use portcullis_e2e::wait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How long a change may take to arrive at the gateway of a busy machine.
const ARRIVES: Duration = Duration::from_secs(120);
/// The header that tells whose requests arrive at the cluster.
const MARK: &str = "x-caller";
/// What starts a process instance.
const CREATE: &str = "/v2/process-instances";

/// The running world. What is dropped first stands first.
pub struct World {
    /// `None` only while it is being restarted.
    gateway: Option<Proxy>,
    /// The control plane.
    pub istiod: Istiod,
    /// The Kubernetes API.
    pub kube: Kube,
    /// Where images are.
    pub registry: Registry,
    /// Where files are.
    pub web: Web,
    /// The cluster behind the gateway.
    pub upstream: Upstream,
    /// The command.
    pub portcullis: Portcullis,
    /// All programs.
    pub parts: Parts,
    /// Where the gateway listens, and a second port of it.
    pub ports: [SocketAddr; 2],
    /// The module's address as a file.
    pub file_url: String,
    /// The same on the web.
    pub web_url: String,
    /// Who signs tokens.
    pub issuer: Issuer,
    callers: Callers,
    /// What objects are named: Envoy remembers a name's configuration when the object is gone.
    name: String,
    /// How many scenarios have begun.
    begun: usize,
    folder: TempDir,
}

/// Calls that a guarded gateway answers differently.
#[derive(Clone)]
pub struct Callers {
    ada: String,
    dora: String,
    forged: String,
}

/// What each of the calls was answered: `ada` and `dora` with what they may, `dora` with what she may
/// not, a forged token, no token.
pub type Verdicts = [u16; 5];

/// A gateway that judges.
pub const GUARDED: Verdicts = [200, 200, 403, 401, 401];
/// One that passes nothing.
pub const CLOSED: Verdicts = [403; 5];
/// One that judges nothing.
pub const OPEN: Verdicts = [200; 5];
/// One whose filter has failed.
pub const FAILED: Verdicts = [500; 5];

impl Callers {
    /// The calls that may pass, and those that must not.
    fn calls(&self) -> [Request; 5] {
        let create = |process: &str| Request::post(CREATE, &json!({"processDefinitionId": process}));
        let good = |request: Request| request.header(MARK, "good");
        let bad = |request: Request| request.header(MARK, "bad");
        [
            good(create("payroll").bearer(&self.ada)),
            good(create("invoice").bearer(&self.dora)),
            bad(create("payroll").bearer(&self.dora)),
            bad(create("invoice").bearer(&self.forged)),
            bad(create("invoice")),
        ]
    }

    /// What they are answered at that address.
    pub fn ask(&self, to: SocketAddr) -> Result<Verdicts> {
        let answers: Vec<u16> =
            self.calls().iter().map(|call| Ok(client::send(to, call)?.status)).collect::<Result<_>>()?;
        answers.try_into().ok().context("five answers")
    }
}

impl World {
    /// Starts everything.
    pub fn start(parts: Parts) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("portcullis-istio-").tempdir()?;
        let at = folder.path();
        let upstream = Upstream::start()?;
        let kube = Kube::start(&parts, at)?;
        let ports = [free_port()?, free_port()?];
        kube.apply(&network(&ports, upstream.addr()))?;
        let istiod = Istiod::start(&parts, &kube, at, &[])?;
        let gateway = Proxy::start(&parts, &istiod, at, INGRESS)?;
        let (registry, web) = (Registry::start(&parts, at)?, Web::start(at)?);
        let issuer = Issuer::new("https://idp.test", "orchestration-api")?;
        let token = |issuer: &Issuer, user: &str| issuer.token(&json!({"sub": user, "preferred_username": user}));
        let callers = Callers {
            ada: token(&issuer, "ada"),
            dora: token(&issuer, "dora"),
            forged: token(&issuer.impostor()?, "ada"),
        };
        Ok(Self {
            gateway: Some(gateway),
            istiod,
            kube,
            registry,
            upstream,
            portcullis: Portcullis::new(at),
            parts,
            ports,
            web_url: web.url(),
            web,
            file_url: format!("file://{}", module().display()),
            issuer,
            callers,
            name: String::new(),
            begun: 0,
            folder,
        })
    }

    /// The gateway.
    pub fn gateway(&self) -> &Proxy {
        self.gateway.as_ref().expect("it is restarted as a whole")
    }

    /// Starts agent and Envoy anew, with nothing kept.
    pub fn restart_gateway(&mut self) -> Result<()> {
        self.gateway = None;
        let _ = fs::remove_dir_all(Proxy::home(self.folder.path(), INGRESS));
        self.gateway = Some(self.proxy(INGRESS)?);
        Ok(())
    }

    /// Starts a proxy.
    pub fn proxy(&self, role: Role) -> Result<Proxy> {
        Proxy::start(&self.parts, &self.istiod, self.folder.path(), role)
    }

    /// Where all of it keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Takes away what scenarios have made, and waits until nothing is judged.
    pub fn reset(&mut self) -> Result<()> {
        self.fresh_name();
        self.kube.apply(&network(&self.ports, self.upstream.addr()))?;
        self.kube.clear()?;
        self.becomes(OPEN)
    }

    /// The route to the cluster, as a VirtualService.
    pub fn route(&self) -> Value {
        let [.., route] = network(&self.ports, self.upstream.addr());
        route
    }

    /// Lets the gateway listen on further ports, until the scenario ends.
    pub fn listen(&self, more: &[SocketAddr]) -> Result<()> {
        self.kube.apply(&network(&[&self.ports[..], more].concat(), self.upstream.addr()))
    }

    /// Names what is rendered from now on as nothing was before.
    pub fn fresh_name(&mut self) {
        self.begun += 1;
        self.name = format!("portcullis-{}", self.begun);
    }

    /// What is rendered is named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keeps the logs of a scenario that has failed.
    pub fn keep_logs(&self, name: &str) {
        let folder = std::env::temp_dir().join("portcullis-istio-failed").join(name);
        let copies = fs::create_dir_all(&folder).and_then(|()| {
            for log in ["istiod.log", "gateway.log", "access.log", "sidecar.log", "waypoint.log", "ambient.log"] {
                let file = self.folder.path().join(log);
                // Some scenarios have proxies of their own, and one a control plane.
                let file = if file.exists() { file } else { self.folder.path().join("ambient").join(log) };
                if file.exists() {
                    fs::copy(file, folder.join(log))?;
                }
            }
            let dump = self.gateway().config_dump().unwrap_or_default();
            fs::write(folder.join("config_dump.json"), format!("{dump:#}"))
        });
        if copies.is_ok() {
            println!("  logs in {}", folder.display());
        }
    }

    /// Waits until that is so.
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        wait::until_within(ARRIVES, what, || is_so().then_some(()))
    }

    /// What to render: this form, with the usual configuration.
    pub fn rendering<'a>(&'a self, arguments: &[&'a str]) -> Rendering<'a> {
        Rendering {
            arguments: [arguments, &["--name", &self.name]].concat(),
            configuration: guard::configuration(&self.issuer),
            policy: guard::policy(&["invoice"]),
        }
    }

    /// A WasmPlugin with the module from a file, and the belt.
    pub fn guard(&self) -> Result<[Value; 2]> {
        let made = self.portcullis.render(&self.rendering(&["istio", "--url", &self.file_url]))?;
        made.try_into().ok().context("a plugin and a belt")
    }

    /// Applies these, and waits until they are in force.
    pub fn guarded_by(&self, objects: &[Value]) -> Result<()> {
        self.kube.apply(objects)?;
        self.becomes(GUARDED)
    }

    /// The token of `ada`, and that of `dora`.
    pub fn tokens(&self) -> [&str; 2] {
        [&self.callers.ada, &self.callers.dora]
    }

    /// Whether `dora` may start that process.
    pub fn dora_may(&self, process: &str) -> bool {
        let call = Request::post(CREATE, &json!({"processDefinitionId": process})).bearer(&self.callers.dora);
        client::send(self.ports[0], &call).is_ok_and(|answer| answer.status == 200)
    }

    /// Waits until they are answered that, again and again.
    pub fn becomes(&self, wanted: Verdicts) -> Result<()> {
        self.becomes_at(self.ports[0], wanted)
    }

    /// Waits until they are answered that once: requests that wait for keys take seconds each.
    pub fn comes_to(&self, to: SocketAddr, wanted: Verdicts) -> Result<()> {
        self.until(&format!("{wanted:?}"), || self.callers.ask(to).is_ok_and(|answers| answers == wanted))
    }

    /// As [`World::becomes`], at another address.
    pub fn becomes_at(&self, to: SocketAddr, wanted: Verdicts) -> Result<()> {
        let mut last = None;
        // Workers take a change over one after the other.
        let mut settled = || {
            (0..4).all(|_| {
                last = self.callers.ask(to).ok();
                last == Some(wanted)
            })
        };
        let waited = wait::until_within(ARRIVES, &format!("{wanted:?}"), || settled().then_some(()));
        waited.with_context(|| format!("was {last:?} last"))
    }

    /// What the doctor says of the running gateway: exactly these, notices aside.
    pub fn doctor_says(&self, wanted: &[&str]) -> Result<()> {
        self.doctor_says_of(self.gateway(), wanted)
    }

    /// The same of another proxy.
    pub fn doctor_says_of(&self, proxy: &Proxy, wanted: &[&str]) -> Result<()> {
        let wanted: BTreeSet<String> = wanted.iter().map(|code| (*code).to_owned()).collect();
        let source = format!("http://{}", proxy.admin);
        let found = self.portcullis.doctor(&source)?;
        ensure!(found == wanted, "the doctor says {found:?} of the proxy, not {wanted:?}");
        Ok(())
    }

    /// Does something while all callers call without pause. None of the calls that must not pass
    /// arrives at the cluster to its end.
    pub fn under_fire<T>(&self, act: impl FnOnce(&Self) -> Result<T>) -> Result<(T, Fire)> {
        self.under_fire_at(self.ports[0], act)
    }

    /// The same with callers at another address.
    pub fn under_fire_at<T>(&self, to: SocketAddr, act: impl FnOnce(&Self) -> Result<T>) -> Result<(T, Fire)> {
        let stop = AtomicBool::new(false);
        let (good, bad) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let others = Mutex::new(BTreeSet::new());
        let before = self.intruders();
        let acted = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        let answers = self.callers.ask(to).unwrap_or_default();
                        good.fetch_add(2, Ordering::SeqCst);
                        bad.fetch_add(3, Ordering::SeqCst);
                        if let Ok(mut others) = others.lock() {
                            others.extend(answers.into_iter().zip(GUARDED).filter(|(was, wanted)| was != wanted));
                        }
                        thread::sleep(Duration::from_millis(2));
                    }
                });
            }
            let acted = act(self);
            stop.store(true, Ordering::SeqCst);
            acted
        })?;
        let passed = self.intruders() - before;
        let fire =
            Fire { good: good.into_inner(), bad: bad.into_inner(), others: others.into_inner().unwrap_or_default() };
        ensure!(fire.bad > 0, "nobody has called");
        ensure!(passed == 0, "{passed} calls arrived at the cluster that must not; {fire}");
        Ok((acted, fire))
    }

    /// How many calls that must not pass have arrived at the cluster to their end.
    pub fn intruders(&self) -> usize {
        self.upstream.complete_requests().iter().filter(|r| r.fields.text(MARK) == Some("bad")).count()
    }

    /// What `istioctl validate` says to objects.
    pub fn istioctl(&self, objects: &[Value]) -> Result<(bool, String)> {
        guard::istioctl(&self.parts.program("istioctl"), self.folder.path(), objects)
    }
}

/// What became of calls that were made without pause.
pub struct Fire {
    good: usize,
    bad: usize,
    /// Answers that a guarded gateway would not have given, each with the one that it would have.
    others: BTreeSet<(u16, u16)>,
}

impl Fire {
    /// Every call was answered as a guarded gateway answers it.
    pub fn answered_right(&self) -> Result<()> {
        ensure!(self.others.is_empty(), "calls were answered wrong: {self}");
        println!("  {self}");
        Ok(())
    }
}

impl fmt::Display for Fire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls that may pass, {} that must not", self.good, self.bad)?;
        self.others.iter().try_for_each(|(was, wanted)| write!(f, "; some were answered {was}, not {wanted}"))
    }
}

/// A gateway with these ports before that upstream.
fn network(ports: &[SocketAddr], upstream: SocketAddr) -> [Value; 3] {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "default"}, "spec": spec,
        })
    };
    let server = |addr: &SocketAddr| {
        let port = addr.port();
        json!({
            "port": {"number": port, "name": format!("http-{port}"), "protocol": "HTTP"},
            "bind": "127.0.0.1", "hosts": ["*"],
        })
    };
    let host = "orchestration.internal";
    [
        object(
            "Gateway",
            "edge",
            json!({
                "selector": {"istio": "ingressgateway"}, "servers": ports.iter().map(server).collect::<Vec<_>>(),
            }),
        ),
        object(
            "ServiceEntry",
            "orchestration",
            json!({
                "hosts": [host], "location": "MESH_EXTERNAL", "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": upstream.ip().to_string(), "ports": {"http": upstream.port()}}],
            }),
        ),
        object(
            "VirtualService",
            "orchestration",
            json!({
                "hosts": ["*"], "gateways": ["edge"],
                "http": [{
                    "name": "all", "retries": {"attempts": 0},
                    "route": [{"destination": {"host": host, "port": {"number": 80}}}],
                }],
            }),
        ),
    ]
}
