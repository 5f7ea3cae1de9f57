//! Bad credentials and odd headers, put to a real Envoy: each has its named answer, none reaches
//! the cluster, and the worker that answered goes on working.

mod edge;

use edge::{AMBIGUOUS, BAD_TOKEN, Edge, NO_TOKEN};
use portcullis_e2e::client::Request;
use portcullis_e2e::tokens::{self, compact, now};
use serde_json::{Value, json};

#[test]
fn what_is_no_token_is_refused() {
    let edge = Edge::start();
    let good = edge.token();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };

    let topology = || Request::get("/v2/topology");
    edge.refuses("no credential", topology(), &NO_TOKEN, "token_missing");
    edge.refuses("an empty header", topology().header("authorization", ""), &NO_TOKEN, "token_missing");
    edge.refuses("a token alone", topology().header("authorization", &good), &NO_TOKEN, "token_missing");
    edge.refuses("Basic alone", topology().header("authorization", "Basic YTpi"), &NO_TOKEN, "token_missing");
    edge.refuses("a session alone", topology().header("cookie", "camunda-session=1"), &NO_TOKEN, "token_missing");

    for (what, token) in [
        ("an empty token", String::new()),
        ("one word", "token".into()),
        ("two dots too many", format!("{good}.a.b")),
        ("one dot too few", format!("{header}.{payload}")),
        ("only dots", "..".into()),
        ("a header that is not base64", format!("{header}!.{payload}.{signature}")),
        ("claims that are not base64", format!("{header}.{payload}+/.{signature}")),
        ("a signature that is not base64", format!("{header}.{payload}.{signature}*")),
        ("padding", format!("{header}=.{payload}.{signature}")),
        ("a blank in the token", format!("{header}. {payload}.{signature}")),
        ("a blank before the token", format!(" {good}")),
        ("a header that is not JSON", compact("{", "{}", b"x")),
        ("claims that are a list", compact(edge.issuer.header().to_string(), "[]", b"x")),
        ("a header nested without end", compact("[".repeat(5_000), "{}", b"x")),
    ] {
        edge.refuses_token(what, token, "token_malformed");
    }
    edge.refuses_token("an empty signature", format!("{header}.{payload}."), "signature_invalid");
    let huge = edge.issuer.token(&json!({"preferred_username": "ada", "pad": "x".repeat(20_000)}));
    edge.refuses_token("a huge token", huge, "token_malformed");
    edge.assert_unharmed();
}

#[test]
fn a_token_too_long_for_envoy_is_refused_by_envoy() {
    let edge = Edge::start();
    let request = Request::get("/v2/topology").bearer("x".repeat(100_000));
    assert_eq!(edge.send(&request).status, 431);
    assert!(edge.upstream.find(request.id()).is_none());
    edge.serves("a token too long for Envoy", Request::get("/v2/topology").bearer(edge.token()));
    edge.assert_unharmed();
}

#[test]
fn bytes_outside_ascii_in_a_token_are_refused() {
    let edge = Edge::start();
    let good = edge.token();
    for byte in 0x80..=0xff_u8 {
        let token = [good.as_bytes(), &[byte]].concat();
        edge.refuses_token(&format!("a token with {byte:#x} at its end"), token, "token_malformed");
    }
    let all: Vec<u8> = (0x80..=0xff).collect();
    edge.refuses_token("a token of such bytes alone", &all, "token_malformed");
    edge.refuses_token("a token that is UTF-8", "é.é.é", "token_malformed");
    let bare = Request::get("/v2/topology").header("authorization", &all);
    edge.refuses("such bytes instead of a scheme", bare, &NO_TOKEN, "token_missing");
    edge.assert_unharmed();
}

#[test]
fn claims_that_break_a_rule_are_refused() {
    let edge = Edge::start();
    let issuer = &edge.issuer;
    let with = |claims: Value| {
        let mut all = json!({"preferred_username": "ada"});
        all.as_object_mut().expect("claims").extend(claims.as_object().expect("claims").clone());
        issuer.token(&all)
    };
    for (what, token, reason) in [
        ("expired", with(json!({"exp": now() - 120})), "token_expired"),
        ("not yet valid", with(json!({"nbf": now() + 3_600})), "token_not_yet_valid"),
        ("a text as exp", with(json!({"exp": (now() + 3_600).to_string()})), "token_malformed"),
        ("a text as nbf", with(json!({"nbf": "now"})), "token_malformed"),
        ("no exp", with(json!({"exp": null})), "token_malformed"),
        ("no aud", with(json!({"aud": null})), "audience_mismatch"),
        ("another aud", with(json!({"aud": ["optimize", "orchestration-api/"]})), "audience_mismatch"),
        ("another issuer", with(json!({"iss": "https://idp.test/"})), "issuer_unknown"),
        ("no issuer", with(json!({"iss": null})), "issuer_unknown"),
        ("nobody", with(json!({"preferred_username": null})), "identity_missing"),
        ("a number as a name", with(json!({"preferred_username": 7})), "identity_missing"),
    ] {
        edge.refuses_token(what, token, reason);
    }
    let claims = issuer.claims(&json!({"preferred_username": "ada"})).to_string();
    let twice = claims.replacen('{', &format!("{{\"exp\":{},", now() + 60), 1);
    edge.refuses_token("two exp", issuer.sign_raw(issuer.header().to_string(), twice), "token_malformed");
    let escaped = claims.replacen('{', &format!("{{\"\\u0065xp\":{},", now() + 60), 1);
    edge.refuses_token(
        "two exp, one escaped",
        issuer.sign_raw(issuer.header().to_string(), escaped),
        "token_malformed",
    );

    // The clocks may differ by `clockSkew`, a minute.
    let late = with(json!({"exp": now() - 20, "nbf": now() - 40}));
    edge.serves("expired within the skew", Request::get("/v2/topology").bearer(late));
    edge.assert_unharmed();
}

#[test]
fn forgeries_are_refused() {
    let edge = Edge::start();
    let issuer = &edge.issuer;
    let impostor = issuer.impostor().expect("a key");
    let ada = json!({"preferred_username": "ada"});
    let own_key = json!({"jwk": impostor.jwks()["keys"][0]});
    let good = edge.token();
    let (signed, _) = good.rsplit_once('.').expect("a signature");
    let (_, other_signature) =
        impostor.token(&ada).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("");
    for (what, token, reason) in [
        ("alg none", issuer.unsigned(&ada), "algorithm_refused"),
        ("alg none, signed", issuer.with_header(&json!({"alg": "none"}), &ada), "algorithm_refused"),
        ("HS256 with the public key", issuer.confused(&ada).expect("a token"), "algorithm_refused"),
        ("an unknown alg", issuer.with_header(&json!({"alg": "RS255"}), &ada), "algorithm_refused"),
        ("alg in small letters", issuer.with_header(&json!({"alg": "rs256"}), &ada), "algorithm_refused"),
        ("no alg", issuer.with_header(&json!({"alg": null}), &ada), "token_malformed"),
        ("alg twice", issuer.sign_raw(r#"{"alg":"none","alg":"RS256","kid":"key-1"}"#, "{}"), "token_malformed"),
        ("crit", issuer.with_header(&json!({"crit": ["exp"], "exp": 1}), &ada), "token_malformed"),
        ("its own key", impostor.with_header(&own_key, &ada), "token_malformed"),
        ("its own key, honestly signed", issuer.with_header(&own_key, &ada), "token_malformed"),
        ("an address of keys", issuer.with_header(&json!({"jku": "https://evil.test"}), &ada), "token_malformed"),
        ("another key with the same kid", impostor.token(&ada), "signature_invalid"),
        ("another key without a kid", impostor.with_header(&json!({"kid": null}), &ada), "signature_invalid"),
        ("an unknown kid", issuer.with_header(&json!({"kid": "key-2"}), &ada), "key_unknown"),
        (
            "other claims",
            tokens::tampered(&good, &json!({"preferred_username": "eve"})).expect("a token"),
            "signature_invalid",
        ),
        ("another token's signature", format!("{signed}.{other_signature}"), "signature_invalid"),
    ] {
        edge.refuses_token(what, token, reason);
    }
    // The host has checked them, not the module.
    let checks = edge.envoy.stats("portcullis_signature_checks").expect("stats");
    assert!(checks.keys().all(|name| name.contains("component.host")), "{checks:?}");
    edge.assert_unharmed();
}

#[test]
fn header_values_that_are_no_text_do_no_harm() {
    let edge = Edge::start();
    let start = json!({"processDefinitionId": "invoice"});
    let all: Vec<u8> = (0x80..=0xff).collect();
    for name in [
        "x-anything",
        "accept",
        "accept-language",
        "user-agent",
        "referer",
        "cookie",
        "origin",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-envoy-original-path",
        "x-http-method-override",
        "traceparent",
        "te",
        "via",
        "expect",
        "content-type",
        "content-encoding",
        "content-language",
        "x-token",
        "x-portcullis-user",
        "x-request-id",
        "host",
        "transfer-encoding",
        "content-length",
        "connection",
        "upgrade",
        "authorization",
    ] {
        for value in [&b"\xff"[..], b"a\x80b", b"\xc3", &all] {
            for request in [Request::get("/v2/topology"), Request::post("/v2/process-instances", &start)] {
                let what = format!("{} with {name}: {value:?}", request.line());
                let request = request.bearer(edge.token()).header(name, value);
                let response = edge.send(&request);
                let arrived = edge.upstream.find(request.id());
                match response.status {
                    200 => assert!(arrived.is_some_and(|r| r.complete), "{what}"),
                    400..=499 | 501 => assert!(arrived.is_none(), "{what}"),
                    status => panic!("{what}: {status} {}", response.text()),
                }
                edge.serves(&what, Request::get("/v2/topology").bearer(edge.token()));
            }
        }
    }
    let arrived = edge.serves("", Request::get("/v2/topology").bearer(edge.token()).header("x-anything", &all));
    assert_eq!(arrived.fields.get("x-anything"), Some(&*all), "it goes on as it came");
    edge.assert_unharmed();
}

#[test]
fn two_credentials_are_never_chosen_from() {
    let edge = Edge::start();
    let good = edge.token();
    let bearer = format!("Bearer {good}");
    let topology = || Request::get("/v2/topology");
    let both = |first: &str, second: &str| topology().header("authorization", first).header("Authorization", second);
    let with = |name: &str, value: &str| topology().bearer(&good).header(name, value);
    let asking = |query: &str| Request::get(format!("/v2/topology?{query}")).bearer(&good);
    for (what, request) in [
        ("the same token twice", both(&bearer, &bearer)),
        ("two tokens", both(&bearer, &format!("Bearer {}", edge.token()))),
        ("a token and a broken one", both(&bearer, "Bearer x")),
        ("a broken token and a good one", both("Bearer x", &bearer)),
        ("a token and Basic", both(&bearer, "Basic YTpi")),
        ("Basic and a token", both("Basic YTpi", &bearer)),
        ("a token and Basic in one line", topology().header("authorization", format!("{bearer}, Basic YTpi"))),
        ("Basic and a token in one line", topology().header("authorization", format!("Basic YTpi,{bearer}"))),
        ("a token and a session", with("cookie", "camunda-session=1")),
        ("a token and a session among cookies", with("cookie", "theme=dark; camunda-session=1; lang=en")),
        ("a token and a session in a second line", with("cookie", "theme=dark").header("cookie", "camunda-session=1")),
        ("a session and a token", topology().header("cookie", "camunda-session=1").bearer(&good)),
        ("a token and one in the query", asking("access_token=x")),
        ("a token and one later in the query", asking("a=b&access_token=x")),
        ("a token and one in the query, escaped", asking("%61ccess%5Ftoken=x")),
        ("a token and one in the query, without a value", asking("access_token")),
        (
            "Basic, a session, and no token",
            topology().header("authorization", "Basic YTpi").header("cookie", "camunda-session=1"),
        ),
    ] {
        edge.refuses(what, request, &AMBIGUOUS, "credential_ambiguous");
    }
    for (what, request) in [
        ("another cookie", with("cookie", "theme=dark; camunda-sessions=1; x=camunda-session")),
        ("another parameter", asking("access_tokens=x&token=access_token")),
        ("another header", with("x-token", "x")),
    ] {
        edge.serves(what, request);
    }
    edge.assert_unharmed();
}

#[test]
fn a_second_place_for_tokens_makes_no_second_token() {
    let places = json!([{"header": {"name": "Authorization", "prefix": "Bearer "}}, {"header": {"name": "X-Token"}}]);
    let edge = Edge::shaped(|l| l.edit_plugin(|plugin| plugin["credentials"] = places.clone()));
    let (good, other) = (edge.token(), edge.token());
    let topology = || Request::get("/v2/topology");
    edge.serves("one place", topology().bearer(&good));
    edge.serves("the other place", topology().header("X-Token", &other));
    for (what, request) in [
        ("both places", topology().bearer(&good).header("x-token", &other)),
        ("the same token in both", topology().header("x-token", &good).bearer(&good)),
        ("an empty one and a good one", topology().header("x-token", "").bearer(&good)),
        ("the other place twice", topology().header("x-token", &good).header("x-token", &other)),
        ("the other place and Basic", topology().header("x-token", &good).header("authorization", "Basic YTpi")),
    ] {
        edge.refuses(what, request, &AMBIGUOUS, "credential_ambiguous");
    }
    edge.refuses("an empty one alone", topology().header("x-token", ""), &BAD_TOKEN, "token_malformed");
    edge.assert_unharmed();
}

#[test]
fn the_scheme_has_no_case() {
    let edge = Edge::start();
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        let value = format!("{scheme} {}", edge.token());
        let arrived = edge.serves(scheme, Request::get("/v2/topology").header("AUTHORIZATION", &value));
        assert_eq!(arrived.fields.all("authorization"), [value.as_bytes()], "the token goes on as it came");
    }
}

#[test]
fn the_reason_is_told_where_that_is_configured() {
    let edge = Edge::shaped(|l| l.edit_plugin(|plugin| plugin["debug"] = json!({"explainHeader": true})));
    let start = |id: &str| Request::post("/v2/process-instances", &json!({"processDefinitionId": id}));
    let expired = edge.issuer.token(&json!({"preferred_username": "ada", "exp": now() - 120}));
    for (request, status, reason) in [
        (Request::get("/v2/topology"), 401, "token_missing"),
        (Request::get("/v2/topology").bearer(expired), 401, "token_expired"),
        (Request::get("/v2//topology").bearer(edge.token()), 400, "path_ambiguous"),
        (Request::get("/v2/users/ada").bearer(edge.token()), 403, "permission_missing"),
        (start("payroll").bearer(edge.token()), 403, "resource_not_granted"),
        (start("invoice").bearer(edge.token()).header("content-type", "text/plain"), 400, "body_unreadable"),
    ] {
        // What the caller says about it itself is not given back.
        let response = edge.send(&request.header("x-portcullis-reason", "granted_id"));
        assert_eq!(response.status, status, "{reason}");
        assert_eq!(response.fields.all("x-portcullis-reason"), [reason.as_bytes()]);
        assert!(!response.text().contains(reason), "{reason} is in the header only");
    }
    let response = edge.send(&start("invoice").bearer(edge.token()));
    assert_eq!((response.status, response.fields.get("x-portcullis-reason")), (200, None));
    edge.assert_unharmed();
}

#[test]
fn our_own_headers_never_come_from_a_caller() {
    for gate in ["hold", "stream"] {
        let edge = Edge::shaped(|l| {
            let belt = if gate == "hold" { &["orders:allow"][..] } else { &["orders:allow", "orders:pending"] };
            l.edit_plugin(|plugin| plugin["body"]["gate"] = gate.into()).belt(belt)
        });
        for request in [
            Request::get("/v2/status"),
            Request::get("/v2/topology").bearer(edge.token()),
            Request::post("/v2/process-instances", &json!({"processDefinitionId": "invoice"})).bearer(edge.token()),
        ] {
            let request = request
                .header("x-portcullis-user", "root")
                .header("X-Portcullis-User", "root")
                .header("x-portcullis-user", b"\xff")
                .header("X_PORTCULLIS_USER", "root")
                .header("x-portcullis_groups", "admin")
                .header("X_Portcullis-Reason", "")
                .header("x-portcullis-", "1")
                .header("x-portculli-s", "2")
                .header("x-other", "3");
            let what = request.line();
            let response = edge.send(&request);
            assert!(matches!(response.status, 200 | 204), "{gate}, {what}: {}", response.status);
            let arrived = edge.upstream.find(request.id()).expect("the request at the upstream");
            let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
            let names: Vec<String> = arrived.fields.iter().map(|(name, _)| plain(name)).collect();
            assert!(!names.iter().any(|name| name.starts_with("x-portcullis-")), "{gate}, {what}: {names:?}");
            assert_eq!((arrived.fields.text("x-portculli-s"), arrived.fields.text("x-other")), (Some("2"), Some("3")));
        }
        edge.assert_unharmed();
    }
}
