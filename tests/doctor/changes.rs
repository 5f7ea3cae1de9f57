//! What changes a request after it was judged, and what forges the word of it.

use super::{after, at, doctor, insert_filter, usable};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn codes(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|code| (*code).to_owned()).collect()
}

#[test]
fn headers_can_be_changed_above_and_below_a_route() {
    let added = json!([{"header": {"key": "Authorization", "value": "x"}}]);
    for (number, place) in ["", "/virtual_hosts/0", "/virtual_hosts/0/routes/0"].into_iter().enumerate() {
        for (member, value) in
            [("request_headers_to_add", added.clone()), ("requestHeadersToRemove", json!(["authorization"]))]
        {
            let found = after(&format!("header-{number}-{member}"), |envoy| {
                at(envoy, &format!("/route_config{place}"))[member] = value;
            });
            assert_eq!(found, codes(&["warning route_sets_header"]), "{place} {member}");
        }
    }
    let weighted = after("header-weighted", |envoy| {
        let route = at(envoy, "/route_config/virtual_hosts/0/routes/1");
        route["route"] = json!({"weighted_clusters": {"clusters": [
            {"name": "orchestration", "weight": 1, "request_headers_to_add": added}]}});
    });
    assert_eq!(weighted, codes(&["warning route_sets_header"]));
}

#[test]
fn filters_behind_the_router_are_examined() {
    let mutation = || {
        json!({"name": "mutation", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"}})
    };
    let codec = json!({"name": "codec", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"}});
    let router = |filters: Value| {
        after("router", |envoy| at(envoy, "/http_filters/2/typed_config")["upstream_http_filters"] = filters)
    };
    assert_eq!(router(json!([mutation(), codec])), codes(&["warning filter_after_changes"]));
    assert_eq!(router(json!([codec])), codes(&[]));
    let mut shared = usable("shared.yaml");
    let filters = "/static_resources/clusters/0/typed_extension_protocol_options\
                   /envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
    shared.pointer_mut(filters).unwrap().as_array_mut().unwrap().insert(2, mutation());
    assert_eq!(doctor("cluster-filters", &shared.to_string(), &[]).1, codes(&["warning filter_after_changes"]));
}

#[test]
fn forged_filter_state_opens_the_belt() {
    let set = |name: &str, place: usize, key: &str| {
        let state = json!({"on_request_headers": [{"object_key": key, "factory_key": "envoy.string"}]});
        after(name, |envoy| insert_filter(envoy, place, "filters.http.set_filter_state.v3.Config", state))
    };
    assert_eq!(set("forged-before", 0, "wasm.portcullis_belt"), codes(&["critical belt_open"]));
    assert!(set("forged-after", 1, "wasm.portcullis_belt").contains("critical belt_open"));
    assert_eq!(set("state-before", 0, "other"), codes(&[]));
}
