//! Configurations that are refused: natively each with the path of the field and the reason, and in
//! a real Envoy, which goes on with the one before, or does not start.

mod extra;
mod natively;

use portcullis_e2e::client::{self, Request};
use portcullis_e2e::envoy::{Launch, Pushed};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::tokens::Issuer;
use portcullis_e2e::upstream::Upstream;
use portcullis_e2e::wait;
use serde_json::{Value, json};

type Shape = Box<dyn FnOnce(Listener) -> Listener>;

/// The shipped listener for tokens of that issuer.
fn shipped(gateway: &Gateway, issuer: &Issuer, shape: impl FnOnce(Listener) -> Listener) -> Gateway {
    gateway.clone().listener("gateway", |l| shape(l.issuer(issuer)))
}

#[test]
fn a_refused_update_leaves_what_was_there() {
    let upstream = Upstream::start().expect("an upstream");
    let issuer = Issuer::new("https://idp.test", "orchestration-api").expect("a key");
    let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    let launch = Launch::new(shipped(&gateway, &issuer, |l| l).build()).dynamic_listeners().drain_time(1);
    let envoy = launch.concurrency(2).start().expect("Envoy");
    let addr = envoy.addr("gateway").expect("an address");
    let status = |path: &str| {
        let ada = issuer.token(&json!({"preferred_username": "ada"}));
        client::send(addr, &Request::get(path).bearer(ada)).map(|response| response.status)
    };

    let set = |pointer: &'static str, value: Value| {
        let set = move |plugin: &mut Value| {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            plugin.pointer_mut(parent).expect("a place")[name] = value;
        };
        move |l: Listener| l.edit_plugin(set)
    };
    let pushes: Vec<(Shape, &str)> = vec![
        (Box::new(set("/isuers", json!([]))), "isuers: unknown field `isuers`"),
        (Box::new(set("/body/maxbytes", json!(1))), "body.maxbytes: unknown field `maxbytes`"),
        (Box::new(set("/version", json!(2))), "version: 2 is not a version that this module reads; it reads 1"),
        (Box::new(set("/issuers", json!([]))), "issuers: the list is empty; at least one issuer is needed"),
        (
            Box::new(set("/anonymous", json!(["createAdminUser"]))),
            "anonymous[0]: `createAdminUser` is not an operation that the cluster answers without a credential",
        ),
        (
            Box::new(set(
                "/policy/authorizations",
                json!([{
                    "ownerType": "USER", "ownerId": "a", "resourceType": "USER", "permissionTypes": ["READ"],
                }]),
            )),
            "policy.authorizations[0]: has neither resourceId nor resourcePropertyName",
        ),
        (
            Box::new(|l| l.plugin_text(r#"{"version":1,"version":1}"#)),
            "the configuration is not JSON: the member `version` stands twice",
        ),
        (Box::new(|l| l.plugin_text("version: 1")), "the configuration is not JSON: expected value"),
        (Box::new(|l| l.plugin_text("")), "the configuration is empty"),
        (Box::new(Listener::plugin_struct), "the configuration is a protobuf Struct, not JSON: give it as"),
    ];
    for (bad, message) in pushes {
        let bad = shipped(&gateway, &issuer, bad);
        assert_eq!(envoy.push_listeners(&bad.listeners()).expect("a verdict"), Pushed::Rejected, "{message}");
        let wanted = format!("configuration refused: {message}");
        wait::until(&wanted, || envoy.log().contains(&wanted).then_some(())).expect("the reason in the log");
        assert_eq!(status("/v2/topology").expect("an answer"), 200, "{message}");
        assert_eq!(status("/v2/roles/admin").expect("an answer"), 403, "{message}");
    }

    // A good one takes over, with the numbers that control planes make of whole ones.
    let good = shipped(&gateway, &issuer, |l| {
        l.edit_plugin(|plugin| {
            plugin["version"] = json!(1.0);
            plugin["body"]["maxBytes"] = json!(4194304.0);
            plugin["policy"]["authorizations"][0]["resourceType"] = "ROLE".into();
            plugin["policy"]["authorizations"][0]["permissionTypes"] = json!(["READ"]);
        })
    });
    assert_eq!(envoy.push_listeners(&good.listeners()).expect("a verdict"), Pushed::Accepted);
    let changed = || status("/v2/roles/admin").ok().filter(|status| *status == 200);
    wait::until("the new policy", changed).expect("the new configuration takes over");
}

#[test]
fn envoy_does_not_start_with_a_refused_configuration() {
    let upstream = Upstream::start().expect("an upstream");
    let gateway = Gateway::new(upstream.addr()).expect("the shipped configuration");
    let issuer = Issuer::new("https://idp.test", "orchestration-api").expect("a key");
    let starts = |shape: fn(Listener) -> Listener| {
        let error = Launch::new(shipped(&gateway, &issuer, shape).build()).start().err();
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    let typo = starts(|l| l.edit_plugin(|plugin| plugin["issuers"][0]["audience"] = json!("x")));
    assert!(typo.contains("configuration refused: issuers[0].audience: unknown field `audience`"), "{typo}");
    let raw = starts(Listener::plugin_struct);
    assert!(raw.contains("configuration refused: the configuration is a protobuf Struct"), "{raw}");
    let none =
        starts(|l| l.edit_filter(|filter| drop(filter.as_object_mut().expect("a filter").remove("configuration"))));
    assert!(none.contains("configuration refused: the configuration is empty"), "{none}");
}
