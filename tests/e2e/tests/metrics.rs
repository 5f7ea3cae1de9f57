//! What can be seen in Prometheus: every metric that the rules, the dashboard and docs/alerts.md name
//! comes from a running Envoy, under that name and with those labels.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::policy::{self, Policy};
use portcullis_e2e::client::Request;
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Listener;
use portcullis_e2e::idp::{Answer, Provider};
use portcullis_e2e::{wait, workspace};
use serde_json::{Value, json};
use support::{ISSUER, World};

/// Envoy gathers histograms every five seconds.
const GATHERED: Duration = Duration::from_secs(30);

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).expect("a file")
}

/// A plugin that forwards everything, and compares with a candidate what is for the cluster.
fn on_trial(plugin: &mut Value) {
    let (table, _) = policy::compile(&Policy::default(), 0).expect("a table");
    plugin["name"] = "trial".into();
    plugin["mode"] = "shadow".into();
    plugin["shadow"] = json!({"until": "2999-01-01T00:00:00Z"});
    plugin["candidate"] = STANDARD.encode(table).into();
    plugin["scope"] = json!({"clusters": ["orchestration"]});
}

/// An Envoy in which everything that is counted has happened.
struct Site {
    _world: World,
    envoy: Envoy,
}

impl Site {
    fn new() -> Self {
        let (world, provider) = (World::new(), Provider::start().expect("a provider"));
        provider.answer("/certs", Answer::json(&ISSUER.jwks()));
        provider.hold();
        let remote = json!({"remote": {"uri": "http://idp.test/certs", "cluster": "idp"}});
        let keys_elsewhere = |l: Listener| l.edit_plugin(|plugin| plugin["issuers"][0]["jwks"] = remote);
        let gateway = world.gateway().cluster("idp", provider.addr());
        let gateway = gateway.listener("gateway", |l| keys_elsewhere(world.guarded(l)));
        let gateway = gateway
            .listener("trial", |l| world.guarded(l).belt(&["trial:allow", "trial:shadow"]).edit_plugin(on_trial));
        let envoy = Launch::new(gateway.build()).dynamic_listeners().discovered_filter().start().expect("Envoy");
        let [addr, trial] = ["gateway", "trial"].map(|listener| envoy.addr(listener).expect("an address"));
        thread::scope(|scope| {
            let waits = scope.spawn(|| world.fate(addr, &world.ask("ada")));
            wait::until("the request", || (support::bytes_read(&envoy) > 0).then_some(())).expect("it has come");
            provider.release();
            assert!(waits.join().expect("a fate").passed());
        });
        for process in ["invoice", "payroll", "shipping"] {
            assert_eq!(world.fate(addr, &world.create("dora", process)).passed(), process == "invoice");
        }
        assert!(world.fate(trial, &world.create("dora", "payroll")).passed());
        world.fate(trial, &Request::post("/gateway_protocol.Gateway/Topology", &json!({})));
        Self { _world: world, envoy }
    }

    /// What Prometheus is given.
    fn exported(&self) -> String {
        self.envoy.admin("/stats/prometheus").expect("stats")
    }
}

/// The value of the series of a metric that has these labels.
fn series(text: &str, metric: &str, labels: [(&str, &str); 2]) -> Option<u64> {
    let line = text.lines().find(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{'))
            && labels.iter().all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")))
    });
    line?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn waits_are_a_histogram() {
    let site = Site::new();
    let text = wait::until_within(GATHERED, "the histogram", || {
        let text = site.exported();
        let count = |what| {
            series(&text, "portcullis_wait_milliseconds_count", [("wasm_filter", "orders"), ("component", what)])
        };
        (count("keys") == Some(1) && count("body") == Some(3)).then_some(text)
    });
    let text = text.expect("one wait for keys, three for bodies");
    assert!(text.contains("# TYPE portcullis_wait_milliseconds histogram"), "{text}");
    let bucket = "portcullis_wait_milliseconds_bucket{component=\"body\",wasm_filter=\"orders\",le=\"+Inf\"} 3";
    let other = "portcullis_wait_milliseconds_bucket{wasm_filter=\"orders\",component=\"body\",le=\"+Inf\"} 3";
    assert!(text.contains(bucket) || text.contains(other), "{text}");
}

/// What PromQL expressions ask for: names, and the alternatives of patterns for names, as what they
/// begin and end with.
fn asked_for(expression: &str) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let (mut plain, mut rest) = (String::new(), expression);
    while let Some((before, after)) = rest.split_once('"') {
        let (text, after) = after.split_once('"').expect("a closed text");
        if before.trim_end().ends_with("__name__=~") {
            let (head, tail) = text.split_once(".*").expect("a pattern of the form `head.*tail`");
            let (fixed, choice) = tail.strip_suffix(')').and_then(|t| t.split_once('(')).unwrap_or((tail, ""));
            all.extend(choice.split('|').map(|end| (head.to_owned(), format!("{fixed}{end}"))));
        }
        plain.push_str(before);
        rest = after;
    }
    plain.push_str(rest);
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let recorded = |word: &str| word.starts_with("portcullis:");
    let metrics = words.filter(|w| !recorded(w) && (w.starts_with("portcullis_") || w.starts_with("envoy_")));
    // A label's name begins like a metric's.
    let metrics =
        metrics.filter(|word| !["envoy_http_conn_manager_prefix", "envoy_response_code_class"].contains(word));
    all.extend(metrics.map(|word| (word.to_owned(), String::new())));
    all
}

/// Every expression of the rules and the dashboard.
fn expressions() -> Vec<String> {
    let rules: Value = serde_saphyr::from_str(&read("envoy/monitoring/prometheus-rules.yaml")).expect("YAML");
    let dashboard: Value = serde_json::from_str(&read("envoy/monitoring/grafana-dashboard.json")).expect("JSON");
    let rules = rules["groups"][0]["rules"].as_array().expect("rules").clone();
    let panels = dashboard["panels"].as_array().expect("panels").clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets").clone());
    rules.into_iter().chain(targets).map(|with| with["expr"].as_str().expect("an expression").to_owned()).collect()
}

#[test]
fn every_metric_that_is_named_is_exported() {
    let mut wanted: BTreeSet<_> = expressions().iter().flat_map(|expression| asked_for(expression)).collect();
    let alerts = read("docs/alerts.md");
    let listed = alerts.lines().filter_map(|line| line.strip_prefix("| `portcullis_")?.split('`').next());
    wanted.extend(listed.map(|name| (format!("portcullis_{name}"), String::new())));
    assert!(wanted.len() > 15, "{wanted:?}");

    let site = Site::new();
    let missing = || {
        let text = site.exported();
        let names: BTreeSet<&str> =
            text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split(['{', ' ']).next()).collect();
        // A histogram is exported as its buckets, their sum and their number.
        let is = |name: &str, head: &str, tail: &str| {
            if tail.is_empty() {
                name == head || name.strip_suffix("_count") == Some(head)
            } else {
                name.starts_with(head) && name.ends_with(tail)
            }
        };
        let missing = wanted.iter().filter(|(head, tail)| !names.iter().any(|name| is(name, head, tail)));
        missing.cloned().collect::<Vec<_>>()
    };
    let complete = wait::until_within(GATHERED, "every metric", || missing().is_empty().then_some(()));
    assert!(complete.is_ok(), "not exported: {:?}", missing());
}
