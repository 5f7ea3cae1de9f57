//! Ways to the cluster that pass neither filter nor belt, and routes that do not say where they lead.

use super::{after, at, doctor, manager, shipped, usable};
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

/// The shipped chain, with another first route, on which filter and belt are switched off.
fn with_bare_route(name: &str, action: Value) -> BTreeSet<String> {
    let bare = json!({"match": {"prefix": "/v2/"}, "route": action, "typed_per_filter_config": off()});
    after(name, |envoy| {
        at(envoy, "/route_config/virtual_hosts/0/routes").as_array_mut().unwrap().insert(0, bare);
    })
}

fn off() -> Value {
    let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    json!({"portcullis": off, "portcullis-belt": off})
}

/// A listener with neither filter nor belt, whose manager has these members.
fn bare_listener(members: Value) -> Value {
    let mut listener = shipped()["static_resources"]["listeners"][0].clone();
    listener["name"] = json!("second");
    let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config").unwrap().as_object_mut().unwrap();
    manager["http_filters"].as_array_mut().unwrap().drain(..2);
    manager.remove("route_config");
    manager.extend(members.as_object().unwrap().clone());
    listener
}

fn table(route: Value) -> Value {
    json!({"name": "two", "virtual_hosts": [{"name": "two", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "route": route}]}]})
}

fn plugin(configuration: Value) -> Value {
    json!({"extension": {"name": "p", "typed_config": configuration}})
}

#[test]
fn routes_that_do_not_say_where_they_lead_may_lead_anywhere() {
    let naming = || plugin(json!({"@type": "x", "default_cluster": "orchestration"}));
    let silent = || plugin(json!({"@type": "x"}));
    let weighted = json!({"weighted_clusters": {"clusters": [{"cluster_header": "x-cluster", "weight": 100}]}});
    for (number, (action, expected)) in [
        (json!({"cluster_header": "x-cluster"}), "critical route_unguarded"),
        (weighted, "critical route_unguarded"),
        (json!({"inline_cluster_specifier_plugin": naming()}), "critical route_unguarded"),
        (json!({"inline_cluster_specifier_plugin": silent()}), "warning route_open_ended"),
        (json!({"cluster_specifier_plugin": "elsewhere"}), "warning route_open_ended"),
        (json!({"cluster": "shop"}), "notice route_not_judged"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(with_bare_route(&format!("unnamed-{number}"), action.clone()), codes(&[expected]), "{action}");
        if action["cluster"].is_null() {
            let listener = bare_listener(json!({"route_config": table(action.clone())}));
            assert_eq!(beside(&format!("unnamed-{number}"), shipped(), listener), codes(&[expected]), "{action}");
        }
    }
    // A plugin that the table names.
    let mut named = table(json!({"cluster_specifier_plugin": "p"}));
    named["cluster_specifier_plugins"] = json!([naming()]);
    let found = beside("plugin-named", shipped(), bare_listener(json!({"route_config": named})));
    assert_eq!(found, codes(&["critical route_unguarded"]));
    // Where the clusters have the belt, any route may lead anywhere.
    let header = bare_listener(json!({"route_config": table(json!({"cluster_header": "x-cluster"}))}));
    assert_eq!(beside("header-shared", usable("shared.yaml"), header), codes(&[]));
}

#[test]
fn routes_are_found_wherever_they_stand() {
    let to_cluster = || json!({"cluster": "orchestration"});
    // A matcher that chooses routes in place of a list.
    let kind = "type.googleapis.com/envoy.config.route.v3";
    let matched = |action: Value| {
        after("matcher", |envoy| {
            let host = &mut at(envoy, "/route_config/virtual_hosts/0");
            let map = json!({"PUT": {"action": {"name": "r", "typed_config": action}}});
            let judged = json!({"@type": format!("{kind}.Route"), "match": {"prefix": "/"}, "route": to_cluster()});
            host["matcher"] = json!({
                "matcher_tree": {"exact_match_map": {"map": map}},
                "on_no_match": {"action": {"name": "r", "typed_config": judged}},
            });
            host.as_object_mut().unwrap().remove("routes");
        })
    };
    let bare = json!({"match": {"prefix": "/"}, "route": to_cluster(), "typed_per_filter_config": off()});
    let mut single = bare.clone();
    single["@type"] = json!(format!("{kind}.Route"));
    assert_eq!(matched(single), codes(&["critical route_unguarded"]));
    let list = json!({"@type": format!("{kind}.RouteList"), "routes": [bare]});
    assert_eq!(matched(list), codes(&["critical route_unguarded"]));

    // Tables by scope, in the listener and in a dump.
    let scoped = |scopes: Value| json!({"scoped_routes": {"name": "s", "scoped_route_configurations_list": {"scoped_route_configurations": scopes}}});
    let inline = bare_listener(scoped(json!([{"name": "k", "route_configuration": table(to_cluster())}])));
    assert_eq!(beside("scoped", shipped(), inline), codes(&["critical route_unguarded"]));
    let named = bare_listener(scoped(json!([{"name": "k", "route_configuration_name": "two"}])));
    assert_eq!(beside("scoped-named", shipped(), named.clone()), codes(&["notice routes_unknown"]));
    let dump = |second: &Value, scopes: Value| {
        let mut listeners = shipped()["static_resources"]["listeners"].as_array().unwrap().clone();
        listeners.push(second.clone());
        let listeners: Vec<Value> = listeners.into_iter().map(|listener| json!({"listener": listener})).collect();
        let dump = json!({"configs": [
            {"static_listeners": listeners}, {"dynamic_scoped_route_configs": scopes},
            {"dynamic_route_configs": [{"route_config": table(to_cluster())}]},
        ]});
        doctor("ways-scoped-dump", &dump.to_string(), &[]).1
    };
    assert_eq!(dump(&named, json!([])), codes(&["critical route_unguarded"]));
    let discovered = bare_listener(json!({"scoped_routes": {"name": "s", "scoped_rds": {}}}));
    let scopes = json!([{"name": "s", "scoped_route_configs": [{"name": "k", "route_configuration_name": "two"}]}]);
    assert_eq!(dump(&discovered, scopes), codes(&["critical route_unguarded"]));
    assert_eq!(dump(&discovered, json!([])), codes(&["notice routes_unknown"]));
}

#[test]
fn routes_that_were_not_given_are_told() {
    let rds = || json!({"rds": {"route_config_name": "elsewhere"}});
    assert_eq!(beside("rds", shipped(), bare_listener(rds())), codes(&["notice routes_unknown"]));
    let unknown = |name: &str, disabled: &[usize], members: Value| {
        after(name, |envoy| {
            for place in disabled {
                at(envoy, &format!("/http_filters/{place}"))["disabled"] = json!(true);
            }
            let manager = manager(envoy).as_object_mut().unwrap();
            manager.remove("route_config");
            manager.extend(members.as_object().unwrap().clone());
        })
    };
    let both = codes(&["notice routes_unknown", "warning disabled_unknown"]);
    assert_eq!(unknown("rds-neither", &[], rds()), codes(&["notice routes_unknown"]));
    assert_eq!(unknown("rds-both", &[0, 1], rds()), both);
    assert_eq!(unknown("rds-belt", &[1], rds()), both);
    assert_eq!(unknown("vhds", &[0, 1], json!({"route_config": {"name": "x", "vhds": {"config_source": {}}}})), both);
}

#[test]
fn upgrades_may_have_a_chain_of_their_own_with_filter_and_belt() {
    let upgrades = |name: &str, wanted: &[usize]| {
        after(&format!("upgrades-{name}"), |envoy| {
            let own: Vec<Value> =
                wanted.iter().map(|number| at(envoy, &format!("/http_filters/{number}")).clone()).collect();
            manager(envoy)["upgrade_configs"] = json!([{"upgrade_type": "websocket", "filters": own}]);
        })
    };
    assert_eq!(upgrades("guarded", &[0, 1, 2]), codes(&[]));
    assert_eq!(upgrades("open", &[0, 2]), codes(&["critical belt_missing"]));
    assert_eq!(upgrades("alone", &[1, 2]), codes(&["critical upgrade_has_own_chain"]));
}
