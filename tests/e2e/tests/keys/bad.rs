//! What a provider may answer instead of a good key set: each has its named reason and bounded
//! work, and the last good set stays in use.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis_e2e::idp::{Answer, Key, Provider};
use portcullis_e2e::wait;
use serde_json::{Value, json};

use crate::site::{Sketch, VMS, issuer, timed, token, unavailable};

/// A bad answer, and what the log says about it.
struct Bad {
    cluster: &'static str,
    answer: Answer,
    reason: &'static str,
}

fn bad(cluster: &'static str, answer: Answer, reason: &'static str) -> Bad {
    Bad { cluster, answer, reason }
}

/// The bytes of a text, compressed as with `gzip`: one stored block.
fn gzip(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a small text");
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    let [a, b] = length.to_le_bytes();
    [&head[..], &[a, b, !a, !b], text, &[0; 8]].concat()
}

fn answers(key: &Key) -> Vec<Bad> {
    let good = json!({"keys": [key.jwk()]}).to_string();
    let many = |count: usize| {
        let keys: Vec<Value> = (0..count)
            .map(|number| {
                let mut jwk = key.jwk();
                jwk["kid"] = number.to_string().into();
                jwk
            })
            .collect();
        json!({"keys": keys})
    };
    let bare = json!({"kty": "OKP", "crv": "Ed25519", "x": key.jwk()["x"]});
    let twice = good.replacen("{\"alg\"", "{\"kid\":\"other\",\"alg\"", 1);
    assert_ne!(twice, good);
    vec![
        bad(
            "page",
            Answer::new(200, "<html>Sign in</html>").field("content-type", "text/html"),
            "the answer is not JSON",
        ),
        bad("redirect", Answer::new(302, &good).field("location", "/keys"), "the status is not 200"),
        bad("failure", Answer::new(500, &good), "the status is not 200"),
        bad("huge", Answer::new(200, format!("{good}{}", " ".repeat(10 << 20))), "the answer is too long"),
        bad("many", Answer::json(&many(10_000)), "the answer is too long"),
        bad("many-small", Answer::json(&json!({"keys": vec![bare; 10_000]})), "the key set has too many keys"),
        bad("empty", Answer::json(&json!({"keys": []})), "the key set has no usable key"),
        bad("nothing", Answer::new(200, ""), "the answer is not JSON"),
        bad("truncated", Answer::new(200, &good[..good.len() - 2]), "the answer is not JSON"),
        bad("twice", Answer::new(200, twice), "the answer is not JSON without duplicates"),
        bad("no-set", Answer::json(&json!([key.jwk()])), "the answer is not a key set"),
        bad("endless", Answer::endless(), "no answer"),
        bad("silent", Answer::silence(), "the status is not 200"),
        bad("cut-short", Answer::new(200, &good).cut_short(), "no answer"),
        bad("hang-up", Answer::hang_up(), "the status is not 200"),
        bad(
            "gzip",
            Answer::new(200, gzip(good.as_bytes())).field("content-encoding", "gzip"),
            "the answer is not JSON",
        ),
        bad("deep", Answer::new(200, "[".repeat(500_000)), "the answer is not JSON"),
        bad("binary", Answer::new(200, [0xff; 1000]), "the answer is not JSON"),
    ]
}

fn name_of(cluster: &str) -> String {
    format!("https://{cluster}.test")
}

#[test]
fn bad_key_sets_leave_the_last_good_one_in_use() {
    let provider = Provider::start().expect("a provider");
    let [key, next] = ["one", "two"].map(Key::new);
    let cases = answers(&key);
    let mut clusters: Vec<&str> = cases.iter().map(|case| case.cluster).collect();
    clusters.push("mixed");
    let target = |cluster: &str| format!("/{cluster}");
    let all = clusters.iter().map(|cluster| {
        provider.answer(&target(cluster), Answer::keys(&[&key]));
        let uri = format!("http://idp.test/{cluster}");
        let settings = json!({"uri": uri, "cluster": cluster, "timeout": "1s", "refresh": "10s"});
        issuer(&name_of(cluster), json!({"remote": settings}))
    });
    let all: Vec<Value> = all.collect();
    let site = clusters
        .iter()
        .fold(Sketch::new(), |sketch, cluster| sketch.cluster(cluster, provider.addr()))
        .plugin("orders", &all)
        .start();
    site.await_keys("orders", clusters.len());
    assert_eq!(site.fetched("orders").1, 0);
    let cached: BTreeMap<&str, String> = clusters.iter().map(|c| (*c, token(&key, &name_of(c)))).collect();
    cached.iter().for_each(|(cluster, token)| site.serves(cluster, "orders", token));

    for case in &cases {
        provider.answer(&target(case.cluster), case.answer.clone());
    }
    let number = |bits: usize| BASE64.encode(vec![0xff; bits / 8]);
    let rsa = |bits: usize, e: &str| json!({"kty": "RSA", "kid": "two", "n": number(bits), "e": e});
    let unusable = [
        json!(7),
        rsa(512, "AQAB"),
        rsa(16_384, "AQAB"),
        rsa(2_048, "AQ"),
        rsa(2_048, "Aw"),
        json!({"kty": "EC", "crv": "P-256", "kid": "two", "x": number(256), "y": number(256)}),
        json!({"kty": "oct", "kid": "two", "k": "AAAA"}),
    ];
    let mixed = [&unusable[..], &[next.jwk()]].concat();
    provider.answer("/mixed", Answer::json(&json!({"keys": mixed})));

    // The next refresh, within ten seconds, gets them; honest requests go on meanwhile, quickly.
    let lines = |cluster: &str, reason: &str| {
        let wanted = format!("no keys from cluster {cluster}: {reason}");
        site.envoy.log().lines().filter(|line| line.contains(&wanted)).count()
    };
    wait::until_within(Duration::from_secs(20), "every bad answer to be named in the log", || {
        let steady = &cached["page"];
        let (_, time) = timed(|| site.serves("an honest request", "orders", steady));
        assert!(time < Duration::from_secs(3), "{time:?}");
        cases.iter().all(|case| lines(case.cluster, case.reason) >= VMS).then_some(())
    })
    .unwrap_or_else(|error| {
        let missing: Vec<&str> = cases.iter().filter(|c| lines(c.cluster, c.reason) < VMS).map(|c| c.cluster).collect();
        panic!("{error}: {missing:?}\n{}", site.envoy.log());
    });
    assert!(site.fetched("orders").1 >= (VMS * cases.len()) as u64);
    for case in &cases {
        let what = case.cluster;
        site.serves(what, "orders", &cached[what]);
        site.serves(what, "orders", &token(&key, &name_of(what)));
    }
    // One bad key among good ones spoils nothing but itself.
    let mixed = wait::until("the mixed set", || {
        let answer = site.get("orders", &token(&next, &name_of("mixed")));
        (answer != unavailable()).then_some(answer)
    });
    assert_eq!(mixed.expect("an answer").status, 200);
    assert_eq!(lines("mixed", ""), 0);
    let log = site.envoy.log();
    for index in 0..unusable.len() {
        assert!(log.contains(&format!("keys[{index}] of cluster mixed is not used: ")), "{index}");
    }
    assert!(log.len() < 200_000, "{} bytes of log", log.len());

    // A good set is taken as soon as there is one again.
    for case in &cases {
        provider.answer(&target(case.cluster), Answer::keys(&[&next]));
    }
    thread::scope(|scope| {
        for case in &cases {
            let (site, next) = (&site, &next);
            scope.spawn(move || {
                let served = wait::until_within(Duration::from_secs(20), case.cluster, || {
                    let answer = site.get("orders", &token(next, &name_of(case.cluster)));
                    (answer != unavailable()).then_some(answer)
                });
                assert_eq!(served.expect("an answer").status, 200, "{}", case.cluster);
            });
        }
    });
    site.assert_unharmed();
}
