//! Hostile spellings of paths, put to a real Envoy at each of its settings that change paths. What
//! arrives at the cluster, byte for byte, every reader takes for the operation that was decided on;
//! and the model of Envoy in `tests/paths` says what arrives.

#[path = "../../paths/agreement.rs"]
mod agreement;
#[path = "../../paths/readers.rs"]
mod readers;
#[path = "../../paths/spellings.rs"]
mod spellings;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use portcullis::api::catalogue::{OPERATIONS, Operation, RESOURCES, Surface};
use portcullis_e2e::access::AccessLine;
use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::http2::{self, Connection};
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::{Recorded, Upstream};
use portcullis_e2e::wait;
use readers::Escaped;
use serde_json::{Value, json};
use spellings::Choices;

/// Operations whose paths are spelt in every way: one by a fixed name beside one
/// by a parameter, ids of free text, a gRPC call, and a prefix.
const IN_EVERY_WAY: [&str; 5] = [
    "searchProcessInstances",
    "getProcessInstance",
    "assignUserToGroup",
    "Gateway.CreateProcessInstance",
    "operateWebapp",
];
/// Of all other operations one spelling in so many, others at each setting.
const ONE_IN: usize = 400;

/// One listener: a setting of Envoy's, and what it comes to in the model.
#[derive(Clone, Copy, Debug)]
struct Setting {
    action: &'static str,
    model: readers::Envoy,
}

impl Setting {
    fn all() -> Vec<Self> {
        let actions = |model: readers::Envoy| -> &[&'static str] {
            match model.escaped {
                Escaped::Keep => &["IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED"],
                // A redirection is no request: who follows it sends another path.
                Escaped::Refuse => &["REJECT_REQUEST", "UNESCAPE_AND_REDIRECT"],
                Escaped::Unescape => &["UNESCAPE_AND_FORWARD"],
            }
        };
        let models = readers::Envoy::all().into_iter();
        models.flat_map(|model| actions(model).iter().map(move |action| Self { action, model })).collect()
    }

    /// Of the spellings in every way one in so many: some settings come to the same as others, and
    /// some to less.
    fn thinned(self) -> usize {
        match self.action {
            "IMPLEMENTATION_SPECIFIC_DEFAULT" | "UNESCAPE_AND_REDIRECT" => 16,
            "REJECT_REQUEST" => 4,
            _ if self.model.merge => 2,
            _ => 1,
        }
    }

    /// One of two settings that are also asked over HTTP/2.
    fn is_plain(self) -> bool {
        self.action == "KEEP_UNCHANGED" && !self.model.merge
    }

    fn name(self) -> String {
        format!("{self:?}")
    }

    fn set(self, listener: Listener) -> Listener {
        listener.edit_manager(|manager| {
            for name in ["normalize_path", "merge_slashes", "path_with_escaped_slashes_action"] {
                assert!(manager.get(name).is_some(), "the shipped configuration says nothing of {name}");
            }
            manager["normalize_path"] = self.model.normalize.into();
            manager["merge_slashes"] = self.model.merge.into();
            manager["path_with_escaped_slashes_action"] = self.action.into();
        })
    }
}

/// A caller who may do everything, at a gateway that has every surface open: whatever is refused is
/// refused for its spelling.
fn open_to_all(listener: Listener, issuer: &Issuer) -> Listener {
    let everything: Vec<Value> = RESOURCES
        .iter()
        .map(|resource| {
            json!({
                "ownerType": "USER", "ownerId": "root", "resourceType": resource.name, "resourceId": "*",
                "permissionTypes": resource.permissions,
            })
        })
        .collect();
    listener.issuer(issuer).policy(&json!({"authorizations": everything})).edit_plugin(|plugin| {
        plugin["api"]["version"] = "8.10".into();
        plugin["api"]["surfaces"] = json!(["v2", "grpc", "cluster", "v1", "webapps", "mcp", "infra"]);
        plugin["clusterAdmin"] = json!({"claims": [{"name": "preferred_username", "value": "root"}]});
    })
}

/// A spelling, sent as a request.
struct Sent {
    setting: Setting,
    operation: &'static Operation,
    target: String,
    request: Request,
    over_http2: bool,
}

/// The spellings for one setting.
fn spelt(setting: Setting, number: usize, token: &str) -> Vec<Sent> {
    let fill = |name: &str| if name.ends_with("Key") { "2251799813685249" } else { "search" };
    let mut choices = Choices(number as u64);
    let mut all = Vec::new();
    for (place, operation) in OPERATIONS.iter().enumerate() {
        let plain = agreement::filled(&operation.path, fill);
        let every_way = IN_EVERY_WAY.contains(&&*operation.id);
        let one_in = if !every_way { ONE_IN } else { setting.thinned() };
        let is_due = |at: usize| at == 0 || (at + place) % one_in == number % one_in;
        let targets = spellings::of(&plain).into_iter().enumerate().filter(|(at, _)| is_due(*at));
        for target in targets.map(|(_, target)| target).chain([choices.twice(&plain)]) {
            let kind = if operation.surface == Surface::Grpc { "application/grpc" } else { "application/json" };
            let request = Request::new(agreement::method(operation.method), &target);
            let request = request.bearer(token).header("content-type", kind);
            if setting.is_plain() && http2::can_ask(&target) {
                let (target, request) = (target.clone(), request.again());
                all.push(Sent { setting, operation, target, request, over_http2: true });
            }
            all.push(Sent { setting, operation, target, request, over_http2: false });
        }
    }
    all
}

/// Sends them over one connection each for HTTP/1 and HTTP/2, and a new one wherever Envoy has closed
/// it.
fn send(to: SocketAddr, all: &[Sent]) {
    let (mut one, mut two) = (None, None);
    for Sent { request, .. } in all.iter().filter(|sent| !sent.over_http2) {
        let mut exchange = one.take().unwrap_or_else(|| Exchange::connect(to).expect("a connection"));
        exchange.send(request);
        let response = exchange.response().unwrap_or_else(|error| panic!("{}: {error:#}", request.line()));
        if response.fields.text("connection") != Some("close") {
            one = Some(exchange);
        }
    }
    for Sent { request, .. } in all.iter().filter(|sent| sent.over_http2) {
        let mut connection = two.take().unwrap_or_else(|| Connection::connect(to).expect("a connection"));
        let answer = connection.open(request, false).and_then(|mut exchange| exchange.response());
        // What Envoy does not take at all ends the connection.
        two = answer.is_ok().then_some(connection);
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.over_http2 { "2" } else { "1.1" };
        write!(f, "{} HTTP/{version} at {:?}", self.request.line(), self.setting)
    }
}

impl Sent {
    /// What is wrong with what came of it, if something is. `Ok(true)` where it arrived.
    fn came_of_it(&self, line: Option<&AccessLine>, arrived: &[Recorded]) -> Result<bool, String> {
        let model = self.setting.model;
        let forwarded =
            if self.over_http2 { model.forward_over_http2(&self.target) } else { model.forward(&self.target) };
        let judged = line.and_then(AccessLine::decision);
        let [arrived] = arrived else {
            if arrived.len() > 1 {
                return Err("it arrived more than once".to_owned());
            }
            let path = line.and_then(|line| line.field("path").as_str());
            let expected = forwarded.as_deref().map(|target| target.split('?').next().unwrap_or_default());
            return match judged {
                Some(decision) if decision["decision"] != "deny" => Err(format!("it did not arrive after {decision}")),
                Some(_) if path != expected => Err(format!("judged as {path:?}, by the model {expected:?}")),
                _ => Ok(false),
            };
        };
        let target = std::str::from_utf8(&arrived.target).map_err(|error| error.to_string())?;
        let decision = judged.ok_or("it arrived, and was not judged")?;
        let method = agreement::method(self.operation.method);
        let ours =
            agreement::ours("/", method, target).ok_or_else(|| format!("{target} arrived, which is no operation"))?;
        if decision["decision"] != "allow" || decision["operation"] != ours.0 || arrived.method != method {
            return Err(format!("{} {target}, which is {ours:?}, arrived after {decision}", arrived.method));
        }
        if forwarded.as_deref() != Some(target) {
            return Err(format!("{target} arrived, by the model {forwarded:?}"));
        }
        agreement::dissent("/", method, target, &ours).map_or(Ok(true), |dissent| Err(format!("{target}: {dissent}")))
    }
}

#[test]
fn what_arrives_is_what_was_decided_on_for_every_reader() {
    let upstream = Upstream::start().expect("an upstream");
    let issuer = Issuer::new("https://idp.test", "orchestration-api").expect("a key");
    let token = issuer.token(&json!({"preferred_username": "root"}));
    let settings = Setting::all();
    let mut gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    for setting in &settings {
        gateway = gateway.listener(&setting.name(), |l| setting.set(open_to_all(l, &issuer)));
    }
    let envoy = Launch::new(gateway.build()).start().expect("Envoy");
    let sent: Vec<Vec<Sent>> =
        settings.iter().enumerate().map(|(number, setting)| spelt(*setting, number, &token)).collect();
    let queue = Mutex::new(sent.iter());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let next = || queue.lock().ok()?.next();
                while let Some(all) = next() {
                    let listener = all[0].setting.name();
                    send(envoy.addr(&listener).expect("an address"), all);
                }
            });
        }
    });
    let mut arrived = BTreeMap::<String, Vec<Recorded>>::new();
    for request in upstream.requests() {
        arrived.entry(request.id().to_owned()).or_default().push(request);
    }
    let lines = lines(&envoy, &arrived);
    let mut wrong = Vec::new();
    for all in &sent {
        let mut passed = 0;
        for sent in all {
            let id = sent.request.id();
            match sent.came_of_it(lines.get(id), arrived.get(id).map_or(&[], Vec::as_slice)) {
                Ok(has_arrived) => passed += usize::from(has_arrived),
                Err(what) => wrong.push(format!("{sent:?}: {what}")),
            }
        }
        println!("{:?}: {} sent, {passed} arrived", all[0].setting, all.len());
        assert!(passed > 250 && all.len() - passed > 300, "nothing was tried");
    }
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong[..wrong.len().min(50)].join("\n"));
}

/// How long Envoy may take to write its whole log, and we to read it.
const LOG: Duration = Duration::from_secs(60);

/// The access log's lines, once there is one for everything that has arrived.
fn lines(envoy: &Envoy, arrived: &BTreeMap<String, Vec<Recorded>>) -> BTreeMap<String, AccessLine> {
    let mut lines = BTreeMap::new();
    wait::until_within(LOG, "the access log", || {
        lines = envoy.access_log().into_iter().map(|line| (line.request_id().to_owned(), line)).collect();
        arrived.keys().all(|id| lines.contains_key(id)).then_some(())
    })
    .expect("a line for each");
    lines
}
