//! Ways to the cluster that pass neither filter nor belt, and routes that do not say where they lead.

use super::{doctor, shipped, usable};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn codes(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|code| (*code).to_owned()).collect()
}

/// What is found when a listener stands beside the shipped one.
fn beside(name: &str, mut envoy: Value, listener: Value) -> BTreeSet<String> {
    envoy["static_resources"]["listeners"].as_array_mut().unwrap().push(listener);
    doctor(&format!("ways-{name}"), &envoy.to_string(), &[]).1
}

#[test]
fn proxies_of_plain_connections_pass_every_belt() {
    let tunnel = |to: Value| {
        let mut proxy = json!({"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"});
        proxy.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
        json!([{"name": "tcp", "typed_config": proxy}])
    };
    let weighted = json!({"weightedClusters": {"clusters": [{"name": "shop"}, {"name": "orchestration-grpc"}]}});
    for (number, to) in [json!({"cluster": "orchestration"}), weighted].into_iter().enumerate() {
        let filters = tunnel(to);
        let chains = json!({"name": "direct", "filter_chains": [{"filters": filters}]});
        let default = json!({"name": "direct", "default_filter_chain": {"filters": filters}});
        for (place, listener) in [chains, default].into_iter().enumerate() {
            let found = beside(&format!("tcp-{number}-{place}"), shipped(), listener);
            assert_eq!(found, codes(&["critical route_unguarded"]), "{filters}");
        }
    }
    let orchestration = tunnel(json!({"cluster": "orchestration"}));
    // The cluster's own filters are of HTTP, too.
    let found = beside("tcp-shared", usable("shared.yaml"), json!({"filter_chains": [{"filters": orchestration}]}));
    assert_eq!(found, codes(&["critical route_unguarded"]));
    let shop = json!({"filter_chains": [{"filters": tunnel(json!({"cluster": "shop"}))}]});
    assert_eq!(beside("tcp-shop", shipped(), shop), codes(&[]));
    let internal = json!({"internal_listener": {}, "filter_chains": [{"filters": orchestration}]});
    assert_eq!(beside("tcp-internal", shipped(), internal), codes(&["notice route_not_judged"]));
}
