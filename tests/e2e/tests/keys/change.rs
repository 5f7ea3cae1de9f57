//! Keys that change: a rotation refuses no request, made-up key ids bring few fetches, a removed
//! key ends its tokens, and so does the age of a set that cannot be fetched again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::idp::{Answer, Key};
use portcullis_e2e::wait;
use serde_json::{Value, json};

use crate::site::{PATIENCE, Sketch, VMS, issuer, outcome, provider, remote, timed, token, unavailable};

/// Longer than it takes from one fetch to the next that is made.
const NEXT_FETCH: Duration = Duration::from_secs(20);
/// How long no second fetch is made after one.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// Most of their time these wait for a cool-down or a refresh to pass: they run side by side.
#[test]
fn keys_change() {
    let all: [(&str, fn()); 6] = [
        ("a_rotation_refuses_no_request", a_rotation_refuses_no_request),
        (
            "a_fetch_that_began_before_the_request_settles_nothing",
            a_fetch_that_began_before_the_request_settles_nothing,
        ),
        ("made_up_key_ids_bring_few_fetches", made_up_key_ids_bring_few_fetches),
        ("made_up_key_ids_lock_nobody_out", made_up_key_ids_lock_nobody_out),
        ("a_removed_key_ends_its_tokens", a_removed_key_ends_its_tokens),
        ("keys_that_cannot_be_fetched_again_grow_too_old", keys_that_cannot_be_fetched_again_grow_too_old),
    ];
    thread::scope(|scope| {
        for (name, test) in all {
            let thread = thread::Builder::new().name(name.to_owned());
            thread.spawn_scoped(scope, test).expect("a thread");
        }
    });
}

fn a_rotation_refuses_no_request() {
    let (name, old, new) = ("https://idp.test", Key::new("old"), Key::new("new"));
    let provider = provider("/early", &[&old]);
    provider.answer("/late", Answer::keys(&[&old]));
    let site = Sketch::new()
        .cluster("idp", provider.addr())
        .plugin("early", &[remote(name, "/early", Value::Null)])
        .plugin("late", &[remote(name, "/late", Value::Null)])
        .start();
    for plugin in ["early", "late"] {
        site.await_keys(plugin, 1);
        provider.answer(&format!("/{plugin}"), Answer::keys(&[&old, &new]));
    }
    let still_served = |plugin| site.serves("the old key", plugin, &token(&old, name));
    thread::scope(|scope| {
        // Within the cool-down a request may find no keys; it is never told that its key is unknown.
        scope.spawn(|| {
            let fetches = provider.fetches("/early");
            let served = wait::until_within(NEXT_FETCH, "the new key", || {
                still_served("early");
                let answer = site.get("early", &token(&new, name));
                (answer != unavailable()).then_some(answer)
            });
            assert_eq!(served.expect("an answer").status, 200);
            assert_eq!(provider.fetches("/early"), fetches + 1, "one early fetch");
        });
        // After it the request waits, and is served.
        scope.spawn(|| {
            let fetches = provider.fetches("/late");
            let over = || provider.last_fetch("/late").is_some_and(|last| last.elapsed() > COOL_DOWN);
            wait::until_within(NEXT_FETCH, "the end of the cool-down", || {
                still_served("late");
                over().then_some(())
            })
            .expect("time passes");
            provider.hold();
            let request = Request::get("/v2/topology").bearer(token(&new, name));
            let mut exchange = Exchange::open(site.addr("late"), &request).expect("a connection");
            let asked = || (provider.fetches("/late") == fetches + 1).then_some(());
            wait::until("the early fetch", asked).expect("a fetch");
            assert!(!exchange.answered_within(Duration::from_millis(20)), "it waits for the fetch");
            still_served("late");
            provider.release();
            assert_eq!(exchange.response().expect("an answer").status, 200);
            assert_eq!(provider.fetches("/late"), fetches + 1);
        });
    });
    site.assert_unharmed();
}

/// A fetch that began before a request may not have the key that the request's token was signed
/// with meanwhile.
fn a_fetch_that_began_before_the_request_settles_nothing() {
    let (name, old, new) = ("https://idp.test", Key::new("old"), Key::new("new"));
    let provider = provider("/keys", &[&old]);
    provider.hold();
    let site = Sketch::new()
        .cluster("idp", provider.addr())
        .plugin("orders", &[remote(name, "/keys", json!({"timeout": "20s"}))])
        .start();
    wait::until("the first fetches", || (provider.fetches("/keys") == VMS).then_some(())).expect("fetches");
    provider.answer("/keys", Answer::keys(&[&old, &new]));

    let ask = |key| {
        let request = Request::get("/v2/topology").bearer(token(key, name));
        Exchange::open(site.addr("orders"), &request).expect("a connection")
    };
    let [mut with_old, mut with_new] = [&old, &new].map(ask);
    assert!(!with_new.answered_within(Duration::from_millis(50)));
    provider.release();
    assert_eq!(with_old.response().expect("an answer").status, 200);
    assert!(!with_new.answered_within(Duration::from_millis(500)), "no fetch has looked for its key yet");
    site.assert_unharmed();
}

fn made_up_key_ids_bring_few_fetches() {
    let (name, key) = ("https://idp.test", Key::new("one"));
    let provider = provider("/keys", &[&key]);
    let site =
        Sketch::new().cluster("idp", provider.addr()).plugin("orders", &[remote(name, "/keys", Value::Null)]).start();
    site.await_keys("orders", 1);
    assert_eq!(provider.fetches("/keys"), VMS);

    let made_up = |number: usize| token(&Key::new(&format!("made-up-{number}")), name);
    let ask = |number| {
        let request = Request::get("/v2/topology").bearer(made_up(number));
        (Exchange::open(site.addr("orders"), &request).expect("a connection"), request.id().to_owned())
    };
    // A key that is there is not looked for again, whatever the token wants with it.
    let other = Key::of("ES256", "one").expect("a key");
    assert_eq!(site.get("orders", &token(&other, name)), outcome(401, "algorithm_refused"));
    assert_eq!(site.get("orders", &token(&Key::new("one"), name)), outcome(401, "signature_invalid"));

    let flood: Vec<_> = (0..200).map(ask).collect();
    let (_, time) = timed(|| site.serves("an honest request in the flood", "orders", &token(&key, name)));
    assert!(time < PATIENCE, "{time:?}");
    for (mut exchange, id) in flood {
        let answer = site.outcome(&id, exchange.response().expect("an answer").status);
        let settled = provider.fetches("/keys") > VMS;
        assert!(answer == unavailable() || settled && answer == outcome(401, "key_unknown"), "{answer:?}");
    }
    let answer = wait::until_within(NEXT_FETCH, "the fetch that lacks the key", || {
        let answer = site.get("orders", &made_up(200));
        (answer != unavailable()).then_some(answer)
    });
    assert_eq!(answer.expect("an answer"), outcome(401, "key_unknown"));
    assert_eq!(provider.fetches("/keys"), VMS + 1, "one early fetch for all of them");
    assert_eq!(site.upstream.requests().len(), 1);
    site.serves("an honest request", "orders", &token(&key, name));
    site.assert_unharmed();
}

/// While somebody makes up key ids without end: known keys are served at once, and a new one as soon
/// as it can have been fetched, also another issuer's.
fn made_up_key_ids_lock_nobody_out() {
    let names = ["https://ours.test", "https://theirs.test"];
    let [known, new] = ["known", "new"].map(Key::new);
    let targets = ["/ours", "/theirs"];
    let provider = provider(targets[0], &[&known]);
    provider.answer(targets[1], Answer::keys(&[&known]));
    let issuers = [0, 1].map(|number| remote(names[number], targets[number], Value::Null));
    let site = Sketch::new().cluster("idp", provider.addr()).plugin("orders", &issuers).start();
    site.await_keys("orders", names.len());
    targets.iter().for_each(|target| provider.answer(target, Answer::keys(&[&known, &new])));

    let over = AtomicBool::new(false);
    let flood = || {
        let (begun, mut number, mut under_way) = (Instant::now(), 0, VecDeque::new());
        while !over.load(Ordering::Relaxed) && begun.elapsed() < 3 * NEXT_FETCH {
            let made_up = token(&Key::new(&format!("made-up-{number}")), names[0]);
            let request = Request::get("/v2/topology").bearer(made_up);
            under_way.push_back(Exchange::open(site.addr("orders"), &request).expect("a connection"));
            // As fast as they are refused: whoever floods faster takes the CPU from all others, too.
            if under_way.len() > 100 {
                let _ = under_way.pop_front().expect("a connection").response();
            }
            number += 1;
        }
        number
    };
    thread::scope(|scope| {
        let flood = scope.spawn(flood);
        for name in names {
            let answer = wait::until_within(NEXT_FETCH, "the new key", || {
                let (_, time) = timed(|| site.serves("a known key", "orders", &token(&known, name)));
                assert!(time < PATIENCE, "{time:?}");
                let answer = site.get("orders", &token(&new, name));
                (answer != unavailable()).then_some(answer)
            });
            assert_eq!(answer.expect("an answer").status, 200, "{name}");
        }
        over.store(true, Ordering::Relaxed);
        assert!(flood.join().expect("no panic") > 100);
    });
    assert!(provider.fetches(targets[0]) <= 3 * VMS + 1, "{} fetches", provider.fetches(targets[0]));
    site.assert_unharmed();
}

fn a_removed_key_ends_its_tokens() {
    let (ours, theirs) = ("https://ours.test", "https://theirs.test");
    let [stays, goes, other] = ["stays", "goes", "other"].map(Key::new);
    let provider = provider("/ours", &[&stays, &goes]);
    provider.answer("/theirs", Answer::keys(&[&other]));
    let often = json!({"refresh": "10s"});
    let site = Sketch::new()
        .cluster("idp", provider.addr())
        .plugin("orders", &[remote(ours, "/ours", often.clone()), remote(theirs, "/theirs", often)])
        .start();
    site.await_keys("orders", 2);
    let kept = [token(&stays, ours), token(&other, theirs)];
    let gone = token(&goes, ours);
    site.serves("the key that goes", "orders", &gone);
    provider.answer("/ours", Answer::keys(&[&stays]));
    let mut refused = wait::until_within(NEXT_FETCH, "the end of the token", || {
        kept.iter().for_each(|token| site.serves("a key that stays", "orders", token));
        let request = Request::get("/v2/topology").bearer(&gone);
        let mut exchange = Exchange::open(site.addr("orders"), &request).expect("a connection");
        if !exchange.answered_within(Duration::from_secs(1)) {
            return Some((exchange, request));
        }
        assert_eq!(exchange.response().expect("an answer").status, 200);
        None
    })
    .expect("a token that is not served from memory");
    assert!(provider.fetches("/ours") > VMS);
    kept.iter().for_each(|token| site.serves("a key that stays", "orders", token));
    let answer = site.outcome(refused.1.id(), refused.0.response().expect("an answer").status);
    assert!(answer == unavailable() || answer == outcome(401, "key_unknown"), "{answer:?}");
    site.assert_unharmed();
}

fn keys_that_cannot_be_fetched_again_grow_too_old() {
    let name = "https://idp.test";
    let [ours, inline] = ["remote", "inline"].map(Key::new);
    let targets = ["/keys", "/both"];
    let provider = provider("/keys", &[&ours]);
    let answer_all = |answer: Answer| targets.iter().for_each(|target| provider.answer(target, answer.clone()));
    answer_all(Answer::keys(&[&ours]));
    provider.hold();
    let often = json!({"refresh": "10s", "maxStale": "10s"});
    let inline_keys = json!({"keys": [inline.jwk()]});
    let mut both = remote(name, "/both", often.clone());
    both["jwks"]["inline"] = inline_keys.clone();
    let other = "https://inline.test";
    let site = Sketch::new()
        .cluster("idp", provider.addr())
        .plugin("orders", &[remote(name, "/keys", often), issuer(other, json!({"inline": inline_keys}))])
        .plugin("both", &[both])
        .start();

    // Inline keys need no others, now or later.
    let inline_served = || {
        let (_, time) = timed(|| {
            site.serves("an inline key", "both", &token(&inline, name));
            site.serves("an inline key", "orders", &token(&inline, other));
        });
        assert!(time < PATIENCE / 2, "{time:?}");
    };
    inline_served();
    provider.release();
    let cached = token(&ours, name);
    for plugin in ["orders", "both"] {
        site.await_keys(plugin, 1);
        site.serves("good keys", plugin, &cached);
    }
    answer_all(Answer::hang_up());
    // Cached or not, it is served no longer: the request is kept waiting for keys.
    let [mut first, mut second] = ["orders", "both"].map(|plugin| {
        wait::until_within(NEXT_FETCH, "the end of the keys", || {
            inline_served();
            let request = Request::get("/v2/topology").bearer(&cached);
            let mut exchange = Exchange::open(site.addr(plugin), &request).expect("a connection");
            if !exchange.answered_within(Duration::from_millis(500)) {
                return Some(exchange);
            }
            assert_eq!(exchange.response().expect("an answer").status, 200, "{plugin}");
            None
        })
        .expect("a token that is served no longer")
    });
    assert!(site.fetched("orders").1 > 0, "it has been tried");
    assert_eq!(first.response().expect("an answer").status, 503);
    assert_eq!(second.response().expect("an answer").status, 503);
    inline_served();
    answer_all(Answer::keys(&[&ours]));
    for plugin in ["orders", "both"] {
        let served = wait::until_within(NEXT_FETCH, "the keys' return", || {
            let answer = site.get(plugin, &cached);
            (answer != unavailable()).then_some(answer)
        });
        assert_eq!(served.expect("an answer").status, 200, "{plugin}");
    }
    site.assert_unharmed();
}
