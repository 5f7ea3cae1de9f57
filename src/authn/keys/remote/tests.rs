use super::*;
use crate::authn::Issuer;
use crate::authn::claims::ClaimRules;
use crate::jsonpath::JsonPath;

const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn store(start: Start) -> KeyStore {
    let claims = ClaimRules {
        username: JsonPath::parse_claim("sub").unwrap(),
        client_id: None,
        prefer_username: false,
        groups: None,
    };
    let remote = Remote { cluster: "idp".into(), start, timeout: 2_000, refresh: 300, max_stale: 3_600 };
    KeyStore::new(&Issuers::new(vec![Issuer {
        issuer: "https://idp.example".into(),
        audiences: vec!["x".into()],
        keys: KeySet::default(),
        remote: Some(remote),
        algorithms: Vec::new(),
        clock_skew: 0,
        claims,
    }]))
}

fn plain() -> KeyStore {
    store(Start::Keys(Uri::parse("https://idp.example/certs").unwrap()))
}

fn is_good(store: &KeyStore, now: UnixSeconds) -> bool {
    matches!(store.standing(0, now), Standing::Good(..))
}

#[test]
fn keys_are_fetched_first_at_once_then_after_the_refresh_time() {
    let mut store = plain();
    assert_eq!(store.due(1_000).len(), 1);
    assert_eq!(store.due(1_001), [], "it is in flight");
    assert_eq!(
        store.receive(0, Some((200, KEYS.as_bytes())), 1_001, 7),
        Received::Keys { changed: true, skipped: vec![] }
    );
    assert!(is_good(&store, 1_001));
    assert_eq!(store.due(1_001 + 239), []);
    assert_eq!(store.due(1_001 + 300).len(), 1);
    assert_eq!(
        store.receive(0, Some((200, KEYS.as_bytes())), 1_302, 0),
        Received::Keys { changed: false, skipped: vec![] }
    );
}

#[test]
fn the_last_good_keys_stay_until_they_are_too_old() {
    let mut store = plain();
    store.due(0);
    store.receive(0, Some((200, KEYS.as_bytes())), 0, 0);
    for (answer, why) in [
        (None, "no answer"),
        (Some((302, &b""[..])), "the status is not 200"),
        (Some((503, KEYS.as_bytes())), "the status is not 200"),
        (Some((200, b"<html></html>")), "the answer is not JSON without duplicates"),
        (Some((200, b"{\"keys\":[],\"keys\":[]}")), "the answer is not JSON without duplicates"),
        (Some((200, b"[]")), "the answer is not a key set"),
        (Some((200, b"{\"keys\":[]}")), "the key set has no usable key"),
        (Some((200, b"{\"keys\":[{\"kty\":\"oct\"}]}")), "the key set has no usable key"),
    ] {
        assert_eq!(store.receive(0, answer, 10, 0), Received::Failed(why));
        assert!(is_good(&store, 3_600));
    }
    let key = &KEYS[9..KEYS.len() - 2];
    let many = format!("{{\"keys\":[{}{key}]}}", format!("{key},").repeat(MAX_KEYS));
    let answer = Some((200, many.as_bytes()));
    assert_eq!(store.receive(0, answer, 10, 0), Received::Failed("the key set has too many keys"));
    assert!(is_good(&store, 3_600));
    assert_eq!(
        store.receive(0, Some((200, &vec![b' '; MAX_ANSWER + 1])), 10, 0),
        Received::Failed("the answer is too long")
    );
    assert!(!is_good(&store, 3_601));
}

#[test]
fn keys_are_adopted_from_the_same_place_alone_with_their_age() {
    let mut old = plain();
    old.due(1_000);
    old.receive(0, Some((200, KEYS.as_bytes())), 1_000, 0);
    let mut same = plain();
    same.adopt(&old);
    assert!(is_good(&same, 1_000 + 3_600));
    assert!(!is_good(&same, 1_000 + 3_601), "they are no younger than they were");
    assert_eq!(same.due(1_299), [], "nor are they fetched sooner");
    assert_eq!(same.due(1_300).len(), 1);
    let mut other = store(Start::Keys(Uri::parse("https://idp.example/others").unwrap()));
    other.adopt(&old);
    assert!(!is_good(&other, 1_000));
    // What has been fetched here since is not given up for something older.
    let mut newer = plain();
    newer.due(2_000);
    newer.receive(0, Some((200, KEYS.as_bytes())), 2_000, 0);
    newer.adopt(&old);
    assert!(is_good(&newer, 2_000 + 3_600));
}

#[test]
fn failures_are_retried_ever_more_slowly() {
    let mut store = plain();
    let mut now = 0;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(store.due(now).len(), 1);
        store.receive(0, None, now, 0);
        assert_eq!(store.due(now + pause - 1), []);
        now += pause;
    }
}

/// Good, bad, good, bad, and somebody who makes up key ids all the time.
#[test]
fn a_provider_that_comes_and_goes_keeps_its_last_keys_and_gets_no_storm() {
    for flood in [false, true] {
        let mut store = plain();
        let mut fetches = 0;
        for now in 0..7_200 {
            if flood {
                store.ask(0, now);
            }
            for fetch in store.due(now) {
                let good = Some((200, KEYS.as_bytes()));
                let bad = [None, Some((503, &b""[..])), Some((200, b"<html></html>"))][fetches / 2 % 3];
                let answer = if fetches % 2 == 0 { good } else { bad };
                assert_eq!(store.due(now), [], "one at a time");
                let received = store.receive(fetch.issuer, answer, now, 0);
                assert_eq!(matches!(received, Received::Keys { .. }), answer == good);
                fetches += 1;
            }
            assert!(is_good(&store, now), "{now}");
        }
        // A good fetch each refresh time, or each cool-down, and one that fails before it.
        assert_eq!(fetches, if flood { 7_200 / 11 * 2 + 1 } else { 7_200 / 301 * 2 + 1 });
    }
}

#[test]
fn an_unknown_key_brings_one_early_fetch_and_no_flood() {
    let mut store = plain();
    store.due(100);
    store.receive(0, Some((200, KEYS.as_bytes())), 100, 0);
    for now in 100..110 {
        store.ask(0, now);
        assert_eq!(store.due(now), [], "the cool-down is on");
    }
    store.ask(0, 110);
    assert_eq!(store.due(110).len(), 1);
}

#[test]
fn a_fetch_under_way_does_not_settle_what_was_asked_meanwhile() {
    let mut store = plain();
    let brought = |store: &KeyStore| match store.standing(0, 200) {
        Standing::Good(_, brought) => brought,
        _ => 0,
    };
    store.due(100);
    let waited = store.ask(0, 101);
    store.receive(0, Some((200, KEYS.as_bytes())), 102, 0);
    assert!(brought(&store) <= waited, "it began before");
    store.ask(0, 102);
    assert_eq!(store.due(110).len(), 1);
    assert!(brought(&store) <= waited, "it has not come yet");
    store.receive(0, None, 111, 0);
    assert!(brought(&store) <= waited, "it has failed");
    assert_eq!(store.due(112).len(), 1);
    store.receive(0, Some((200, KEYS.as_bytes())), 112, 0);
    assert!(brought(&store) > waited);
}

#[test]
fn a_fetch_without_an_answer_is_given_up() {
    let mut store = plain();
    assert_eq!(store.due(0).len(), 1);
    assert_eq!(store.due(7), []);
    assert_eq!(store.due(8).len(), 1);
    store.lose(0);
    assert_eq!(store.due(8).len(), 1);
}

#[test]
fn discovery_leads_to_the_keys_of_the_right_issuer() {
    let uri = Uri::parse("https://idp.example/.well-known/openid-configuration").unwrap();
    let mut store = store(Start::Discovery { uri: uri.clone(), issuer: "https://idp.example".into() });
    assert_eq!(store.due(0)[0].uri, uri);
    for (body, why) in [
        (
            r#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/"}"#,
            "the metadata is of another issuer",
        ),
        (r#"{"issuer":"https://idp.example"}"#, "the metadata has no usable jwks_uri"),
        (r#"{"issuer":"https://idp.example","jwks_uri":"file:///etc/passwd"}"#, "the metadata has no usable jwks_uri"),
    ] {
        assert_eq!(store.receive(0, Some((200, body.as_bytes())), 0, 0), Received::Failed(why));
    }
    let metadata = r#"{"issuer":"https://idp.example","jwks_uri":"https://idp.example/certs?x=1"}"#;
    assert_eq!(store.receive(0, Some((200, metadata.as_bytes())), 10, 0), Received::Metadata);
    assert_eq!(store.due(10)[0].uri, Uri::parse("https://idp.example/certs?x=1").unwrap());
    assert!(matches!(store.receive(0, Some((200, KEYS.as_bytes())), 10, 0), Received::Keys { .. }));
}

#[test]
fn uris() {
    let uri = Uri::parse("https://idp.example:8443").unwrap();
    assert_eq!((&*uri.authority, &*uri.path), ("idp.example:8443", "/"));
    for text in [
        "",
        "idp.example",
        "ftp://x/",
        "https://",
        "https:///x",
        "https://a@b/",
        "https://x/a b",
        "https://x/#a",
        "https://x/\n",
    ] {
        assert_eq!(Uri::parse(text), None, "{text}");
    }
}
