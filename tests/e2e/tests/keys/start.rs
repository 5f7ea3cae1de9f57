//! The first keys: requests wait for them, not for ever, and are not refused wrongly.

use std::thread;
use std::time::Duration;

use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::idp::{Answer, Certificate, Key, Provider};
use portcullis_e2e::wait;
use serde_json::{Value, json};

use crate::site::{PATIENCE, Site, Sketch, TOO_LONG, cluster, discovery, outcome, provider, remote, unavailable};
use crate::site::{issuer, timed, token};

const REALM: &str = "http://idp.test/realms/camunda";
const METADATA: &str = "/realms/camunda/.well-known/openid-configuration";

#[test]
fn the_first_requests_wait_for_the_first_keys() {
    let key = Key::new("one");
    let keys = Answer::keys(&[&key]);
    let provider = provider("/keys", &[&key]);
    provider.answer("/slow", keys.clone().after(Duration::from_secs(1)));
    provider
        .answer(METADATA, Answer::json(&json!({"issuer": REALM, "jwks_uri": format!("{REALM}/certs?use=sig&v=2")})));
    provider.answer("/realms/camunda/certs?use=sig&v=2", keys);
    provider.hold();
    let plugins = [("prompt", "https://prompt.test"), ("slow", "https://slow.test"), ("discovered", REALM)];
    let site = Sketch::new()
        .cluster("idp", provider.addr())
        .plugin("prompt", &[remote("https://prompt.test", "/keys", Value::Null)])
        .plugin("slow", &[remote("https://slow.test", "/slow", Value::Null)])
        .plugin("discovered", &[discovery(REALM, "idp")])
        .launch(|launch| launch.concurrency(2));

    let ask = |(plugin, issuer): (&'static str, &str)| {
        let request = Request::get("/v2/topology").bearer(token(&key, issuer));
        (plugin, Exchange::open(site.addr(plugin), &request).expect("a connection"))
    };
    let mut waiting: Vec<_> = plugins.iter().cycle().take(24).map(|plugin| ask(*plugin)).collect();
    for (plugin, exchange) in &mut waiting {
        assert!(!exchange.answered_within(Duration::from_millis(20)), "{plugin}: answered without keys");
    }
    assert_eq!(site.upstream.requests().len(), 0);
    provider.release();
    for (plugin, mut exchange) in waiting {
        assert_eq!(exchange.response().expect("an answer").status, 200, "{plugin}");
    }

    // What has come is not fetched again for every request: three VMs, each once.
    for (plugin, issuer) in plugins {
        wait::until("the keys in every VM", || (site.fetched(plugin) == (3, 0)).then_some(())).expect("keys");
        site.serves("a later request", plugin, &token(&key, issuer));
        assert_eq!(site.fetched(plugin), (3, 0), "{plugin}");
    }
    assert_eq!(provider.fetches("/keys"), 3);
    site.assert_unharmed();
}

/// What the log says about a cluster, or fails to say.
fn assert_logged(site: &Site, cluster: &str, reason: &str) {
    let line = format!("no keys from cluster {cluster}: {reason}");
    let found = || site.envoy.log().contains(&line).then_some(());
    wait::until(&format!("{line:?} in the log"), found).expect("the reason");
}

#[test]
fn without_keys_requests_are_refused_after_a_while_and_served_once_they_come() {
    let key = Key::new("one");
    let closed = Provider::start().expect("a provider").addr();
    let provider = provider("/keys", &[&key]);
    provider.answer("/hang-up", Answer::hang_up());
    provider.answer("/page", Answer::new(200, "<html></html>"));
    provider.answer("/silent", Answer::silence());
    let other = json!({"issuer": "http://evil.test", "jwks_uri": "http://idp.test/keys"});
    provider.answer(METADATA, Answer::json(&other));

    let name = "https://idp.test";
    let from = |cluster: &str, target: &str| {
        let uri = format!("http://idp.test{target}");
        [issuer(name, json!({"remote": {"uri": uri, "cluster": cluster, "timeout": "1s"}}))]
    };
    let pair = [remote(name, "/keys", Value::Null), from("closed", "/keys")[0].clone()];
    let pair = pair.map(|mut issuer| {
        issuer["issuer"] =
            if issuer["jwks"]["remote"]["cluster"] == "closed" { "https://other.test" } else { name }.into();
        issuer
    });
    let site = ["idp", "hang-up", "page", "silent", "realm"]
        .iter()
        .fold(Sketch::new(), |sketch, name| sketch.cluster(name, provider.addr()))
        .cluster("closed", closed)
        .plugin("closed", &from("closed", "/keys"))
        .plugin("hang-up", &from("hang-up", "/hang-up"))
        .plugin("page", &from("page", "/page"))
        .plugin("silent", &from("silent", "/silent"))
        .plugin("unknown", &from("nowhere", "/keys"))
        .plugin("realm", &[discovery(REALM, "realm")])
        .plugin("pair", &pair)
        .start();

    let of = |plugin: &str| token(&key, if plugin == "realm" { REALM } else { name });
    let lacking = ["closed", "hang-up", "page", "silent", "unknown", "realm"];
    thread::scope(|scope| {
        for plugin in lacking {
            let (site, of) = (&site, &of);
            scope.spawn(move || {
                let (answer, time) = timed(|| site.get(plugin, &of(plugin)));
                assert_eq!(answer, unavailable(), "{plugin}");
                assert!(time > PATIENCE - Duration::from_secs(2) && time < TOO_LONG, "{plugin}: {time:?}");
            });
        }
        // One issuer's trouble is not another's, nor that of requests without a token.
        scope.spawn(|| {
            let (_, time) = timed(|| site.serves("the issuer with keys", "pair", &of("pair")));
            assert!(time < PATIENCE - Duration::from_secs(2), "{time:?}");
            assert_eq!(site.get("pair", &token(&key, "https://other.test")), unavailable());
        });
        scope.spawn(|| {
            assert_eq!(site.send("closed", &Request::get("/v2/status")), outcome(204, "anonymous"));
            assert_eq!(site.get("closed", &token(&key, "https://no.test")), outcome(401, "issuer_unknown"));
        });
    });
    assert_logged(&site, "page", "the answer is not JSON");
    assert_logged(&site, "realm", "the metadata is of another issuer");
    assert_logged(&site, "nowhere", "no answer");
    for cluster in ["closed", "hang-up", "silent"] {
        assert_logged(&site, cluster, "");
    }
    for plugin in lacking {
        let (good, failed) = site.fetched(plugin);
        assert!(good == 0 && failed >= 2, "{plugin}: {good} good, {failed} failed");
    }
    assert_eq!(provider.fetches("/keys"), 2, "metadata of another issuer leads nowhere");

    for target in ["/hang-up", "/page", "/silent"] {
        provider.answer(target, Answer::keys(&[&key]));
    }
    provider.answer(METADATA, Answer::json(&json!({"issuer": REALM, "jwks_uri": "http://idp.test/keys"})));
    thread::scope(|scope| {
        for plugin in ["hang-up", "page", "silent", "realm"] {
            let (site, of) = (&site, &of);
            scope.spawn(move || {
                let served = || match site.get(plugin, &of(plugin)) {
                    answer if answer == unavailable() => None,
                    answer => Some(answer),
                };
                let answer = wait::until(&format!("{plugin} to be served"), served).expect("an answer");
                assert_eq!(answer.status, 200, "{plugin}: {answer:?}");
            });
        }
    });
    site.assert_unharmed();
}

/// A provider behind TLS. Envoy itself ends it, with a certificate for `idp.test`; who fetches
/// checks it.
#[test]
fn a_provider_with_the_wrong_certificate_is_not_believed() {
    let (key, name) = (Key::new("one"), "https://idp.test");
    let provider = provider("/keys", &[&key]);
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = json!({"pipe": {"path": folder.path().join("tls.sock")}});
    let [good, other] = [(); 2].map(|()| Certificate::new("idp.test").expect("a certificate"));
    let pem = |text: &str| json!({"inline_string": text});
    let tls = |context: &str, mut config: Value| {
        config["@type"] = format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{context}").into();
        json!({"name": "envoy.transport_sockets.tls", "typed_config": config})
    };
    let front = json!({
        "name": "tls", "address": pipe,
        "filter_chains": [{
            "transport_socket": tls("DownstreamTlsContext", json!({"common_tls_context": {"tls_certificates": [
                {"certificate_chain": pem(&good.certificate), "private_key": pem(&good.key)},
            ]}})),
            "filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "tls", "cluster": "idp",
            }}],
        }],
    });
    let trusting = |name: &str, certificate: &Certificate, host: &str| {
        let mut cluster = cluster(name, pipe.clone());
        cluster["transport_socket"] = tls(
            "UpstreamTlsContext",
            json!({
                "sni": host,
                "common_tls_context": {"validation_context": {
                    "trusted_ca": pem(&certificate.certificate),
                    "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
                }},
            }),
        );
        cluster
    };
    let from = |cluster: &str| {
        [issuer(name, json!({"remote": {"uri": "https://idp.test/keys", "cluster": cluster, "timeout": "2s"}}))]
    };
    let site = Sketch::new()
        .cluster("idp", provider.addr())
        .edit_clusters(|all| {
            all.push(trusting("trusted", &good, "idp.test"));
            all.push(trusting("misnamed", &good, "login.test"));
            all.push(trusting("untrusted", &other, "idp.test"));
        })
        .listener(front)
        .plugin("trusted", &from("trusted"))
        .plugin("misnamed", &from("misnamed"))
        .plugin("untrusted", &from("untrusted"))
        .start();
    thread::scope(|scope| {
        scope.spawn(|| site.serves("the right certificate", "trusted", &token(&key, name)));
        for plugin in ["misnamed", "untrusted"] {
            let (site, token) = (&site, token(&key, name));
            scope.spawn(move || assert_eq!(site.get(plugin, &token), unavailable(), "{plugin}"));
        }
    });
    for (cluster, counter) in [("misnamed", "fail_verify_san"), ("untrusted", "fail_verify_error")] {
        assert_logged(&site, cluster, "");
        assert_eq!(site.fetched(cluster).0, 0);
        let failed = site.envoy.stat(&format!("cluster.{cluster}.ssl.{counter}")).expect("stats");
        assert!(failed.is_some_and(|count| count > 0), "{cluster}: {failed:?}");
    }
    assert_eq!(provider.fetches("/keys"), 2, "only over the connections that are trusted");
    site.assert_unharmed();
}
