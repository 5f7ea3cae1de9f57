//! New configurations: what is known of issuers outlives a new policy, and ends with its issuer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_e2e::client::{self, Exchange, Request};
use portcullis_e2e::envoy::Pushed;
use portcullis_e2e::idp::{Answer, Key};
use portcullis_e2e::tokens;
use portcullis_e2e::wait;
use serde_json::{Value, json};

use crate::site::{Sketch, VMS, guarded, issuer, outcome, policy, provider, remote, token};

const NAME: &str = "https://idp.test";

/// The listener with its policy changed so that `eve` may start one process more each time.
fn next_policy(sketch: &Sketch, issuers: &[Value], number: usize) -> Value {
    let mut changed = policy();
    let all = changed["authorizations"].as_array_mut().expect("a list");
    all.extend((0..number).map(|process| {
        json!({
            "ownerType": "USER", "ownerId": "eve", "resourceType": "PROCESS_DEFINITION",
            "resourceId": format!("process-{process}"), "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        })
    }));
    let gateway = sketch.gateway.clone();
    gateway.listener("orders", |l| guarded(l, "orders", issuers).policy(&changed)).listeners()
}

fn create(key: &Key, user: &str, process: &str) -> Request {
    let body = json!({"processDefinitionId": process});
    let token = key.token(NAME, &json!({"preferred_username": user, "jti": Request::get("/").id()}));
    Request::post("/v2/process-instances", &body).bearer(token)
}

#[test]
fn keys_and_tokens_outlive_fifty_new_policies() {
    const PUSHES: usize = 50;
    let key = Key::new("one");
    let provider = provider("/keys", &[&key]);
    // By the time that the last policy has come, it has been asked again in vain.
    let issuers = [remote(NAME, "/keys", json!({"refresh": "10s"}))];
    let sketch = Sketch::new().cluster("idp", provider.addr());
    let pushes: Vec<Value> = (1..=PUSHES).map(|number| next_policy(&sketch, &issuers, number)).collect();
    let site =
        sketch.plugin("orders", &issuers).launch(|launch| launch.dynamic_listeners().drain_time(1).concurrency(2));
    wait::until("the keys in every VM", || (site.fetched("orders").0 == 3).then_some(())).expect("keys");
    drop(provider);

    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let addr = site.addr("orders");
    let serve = |request: &Request, status: u16| {
        let answer = client::send(addr, request).expect("an answer");
        assert_eq!(answer.status, status, "{}: {}", request.line(), answer.text());
        served.fetch_add(1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        let kept = Request::get("/v2/topology").bearer(token(&key, NAME));
        let (done, serve, key) = (&done, &serve, &key);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                serve(&kept.again(), 200);
                serve(&Request::get("/v2/topology").bearer(token(key, NAME)), 200);
            }
        });
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                serve(&create(key, "dora", "invoice"), 200);
                serve(&create(key, "dora", "payroll"), 403);
            }
        });
        for (number, listeners) in pushes.iter().enumerate() {
            assert_eq!(site.envoy.push_listeners(listeners).expect("a verdict"), Pushed::Accepted);
            let last = create(key, "eve", &format!("process-{number}"));
            let granted = || client::send(addr, &last.again()).ok().filter(|answer| answer.status != 403);
            let answer = wait::until("the new policy", granted);
            done.store(answer.is_err(), Ordering::Relaxed);
            assert_eq!(answer.expect("an answer").status, 200);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(served.load(Ordering::Relaxed) > 4 * PUSHES, "{served:?}");
    assert_eq!(site.fetched("orders").0, 3, "nothing has been fetched again");
    let codes = site.envoy.stats("http.gateway.downstream_rq_5xx").expect("stats");
    assert_eq!(codes["http.gateway.downstream_rq_5xx"], 0);
    site.assert_unharmed();
}

/// A configuration takes the fetches that it has begun with it when it ends.
#[test]
fn a_new_policy_in_the_middle_of_a_fetch_does_not_lose_the_keys() {
    let key = Key::new("one");
    let provider = provider("/keys", &[&key]);
    provider.hold();
    let issuers = [remote(NAME, "/keys", json!({"timeout": "30s"}))];
    let sketch = Sketch::new().cluster("idp", provider.addr());
    let push = next_policy(&sketch, &issuers, 1);
    let site = sketch.plugin("orders", &issuers).launch(|launch| launch.dynamic_listeners().drain_time(1));
    wait::until("the first fetches", || (provider.fetches("/keys") == 2).then_some(())).expect("fetches");
    assert_eq!(site.envoy.push_listeners(&push).expect("a verdict"), Pushed::Accepted);
    wait::until("fetches of the new configuration", || (provider.fetches("/keys") == 4).then_some(()))
        .expect("new fetches, once the old ones have ended");
    let request = Request::get("/v2/topology").bearer(token(&key, NAME));
    let mut exchange = Exchange::open(site.addr("orders"), &request).expect("a connection");
    assert!(!exchange.answered_within(Duration::from_millis(20)));
    provider.release();
    assert_eq!(exchange.response().expect("an answer").status, 200);
    site.assert_unharmed();
}

#[test]
fn an_issuer_keeps_its_keys_when_another_changes() {
    let [stays, comes] = ["stays", "comes"].map(Key::new);
    let provider = provider("/stays", &[&stays]);
    let [first, second] = ["https://stays.test", "https://comes.test"];
    let before = [remote(first, "/stays", Value::Null)];
    let inline = json!({"inline": {"keys": [comes.jwk()]}});
    let after = [issuer(second, inline), remote(first, "/stays", json!({"refresh": "10m"}))];
    let sketch = Sketch::new().cluster("idp", provider.addr());
    let push = sketch.gateway.clone().listener("orders", |l| guarded(l, "orders", &after)).listeners();
    let site = sketch.plugin("orders", &before).launch(|launch| launch.dynamic_listeners().drain_time(1));
    site.await_keys("orders", 1);
    drop(provider);
    assert_eq!(site.envoy.push_listeners(&push).expect("a verdict"), Pushed::Accepted);
    wait::until("the new issuer", || (site.get("orders", &token(&comes, second)).status == 200).then_some(()))
        .expect("the new configuration");
    site.serves("an issuer that has not changed", "orders", &token(&stays, first));
    assert_eq!(site.fetched("orders"), (VMS as u64, 0), "nothing has been fetched again");
    site.assert_unharmed();
}

#[test]
fn a_token_ends_with_its_issuer() {
    let [stays, goes] = ["stays", "goes"].map(Key::new);
    let provider = provider("/stays", &[&stays]);
    provider.answer("/goes", Answer::keys(&[&goes]));
    let [first, second] = ["https://stays.test", "https://goes.test"];
    let inline = |key: &Key| json!({"inline": {"keys": [key.jwk()]}});
    let both = [
        [remote(first, "/stays", Value::Null), remote(second, "/goes", Value::Null)],
        [issuer(first, inline(&stays)), issuer(second, inline(&goes))],
    ];
    let sketch = Sketch::new().cluster("idp", provider.addr());
    let names = ["remote", "inline"];
    let fewer = names.iter().zip(&both).fold(sketch.gateway.clone(), |gateway, (name, issuers)| {
        gateway.listener(name, |listener| guarded(listener, name, &issuers[..1]))
    });
    let site = sketch
        .plugin("remote", &both[0])
        .plugin("inline", &both[1])
        .launch(|launch| launch.dynamic_listeners().drain_time(1));
    let [kept, gone] = [token(&stays, first), token(&goes, second)];
    for plugin in names {
        site.serves("before", plugin, &kept);
        site.serves("before", plugin, &gone);
    }
    assert_eq!(site.envoy.push_listeners(&fewer.listeners()).expect("a verdict"), Pushed::Accepted);
    for plugin in names {
        let refused = wait::until("the end of the issuer", || {
            let answer = site.get(plugin, &gone);
            (answer.status != 200).then_some(answer)
        });
        assert_eq!(refused.expect("a refusal"), outcome(401, "issuer_unknown"), "{plugin}");
        site.serves("the other issuer", plugin, &kept);
        assert_eq!(site.get(plugin, &gone), outcome(401, "issuer_unknown"), "{plugin}: it stays refused");
    }
    site.assert_unharmed();
}

#[test]
fn a_token_ends_when_it_expires() {
    let key = Key::new("one");
    let site = Sketch::new().plugin("orders", &[issuer(NAME, json!({"inline": {"keys": [key.jwk()]}}))]).start();
    let expires = tokens::now() + 3;
    let token = key.token(NAME, &json!({"preferred_username": "ada", "exp": expires}));
    let started = Instant::now();
    site.serves("a token that is good still", "orders", &token);
    let refused = wait::until("the end of the token", || {
        let answer = site.get("orders", &token);
        assert!(answer.status != 200 || tokens::now() <= expires, "served after its end");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refused.expect("a refusal"), outcome(401, "token_expired"));
    assert!(tokens::now() >= expires, "refused after {:?}", started.elapsed());
    site.assert_unharmed();
}
