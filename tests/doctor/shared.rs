//! Gateways that other applications share, and other names of the cluster.

use super::{at, configure, doctor, shipped, usable};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn codes(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|code| (*code).to_owned()).collect()
}

fn found(name: &str, mut envoy: Value, change: impl FnOnce(&mut Value)) -> BTreeSet<String> {
    change(&mut envoy);
    doctor(&format!("shared-{name}"), &envoy.to_string(), &[]).1
}

fn clusters(envoy: &mut Value) -> &mut Vec<Value> {
    envoy["static_resources"]["clusters"].as_array_mut().unwrap()
}

fn aggregate(of: &str) -> Value {
    let kind = "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig";
    json!({"name": "both", "lb_policy": "CLUSTER_PROVIDED", "cluster_type": {
        "name": "envoy.clusters.aggregate", "typed_config": {"@type": kind, "clusters": [of]}}})
}

/// A second listener without the filter, and its one route.
fn second(envoy: &mut Value, cluster: &str) {
    let mut listener = envoy["static_resources"]["listeners"][0].clone();
    listener["name"] = json!("second");
    let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config").unwrap();
    manager["http_filters"].as_array_mut().unwrap().retain(|f| f["name"] == "envoy.filters.http.router");
    manager["route_config"] = json!({"name": "second", "virtual_hosts": [{"name": "second", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}]}]});
    envoy["static_resources"]["listeners"].as_array_mut().unwrap().push(listener);
}

fn off(filters: &[&str]) -> Value {
    let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    filters.iter().map(|name| ((*name).to_owned(), off.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn other_names_of_the_cluster_are_known() {
    let unguarded = codes(&["critical route_unguarded"]);
    let by_aggregate = found("aggregate", shipped(), |envoy| {
        clusters(envoy).push(aggregate("orchestration"));
        second(envoy, "both");
    });
    assert_eq!(by_aggregate, unguarded);
    let member = found("member", shipped(), |envoy| {
        clusters(envoy).push(aggregate("orchestration"));
        let routes = at(envoy, "/route_config/virtual_hosts/0/routes").as_array_mut().unwrap();
        routes.iter_mut().for_each(|route| route["route"]["cluster"] = json!("both"));
        second(envoy, "orchestration");
    });
    assert_eq!(member, unguarded);
    let same = |name: &str, change: &dyn Fn(&mut Value)| {
        found(name, shipped(), |envoy| {
            let mut direct = clusters(envoy).iter().find(|c| c["name"] == "orchestration").unwrap().clone();
            direct["name"] = json!("direct");
            change(&mut direct);
            clusters(envoy).push(direct);
            second(envoy, "direct");
        })
    };
    assert_eq!(same("address", &|_| {}), unguarded);
    let port = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value";
    assert_eq!(same("port", &|direct| *direct.pointer_mut(port).unwrap() = json!(9)), codes(&[]));
}

/// The filters of an aggregate's members do not run for what goes to the aggregate.
#[test]
fn an_aggregate_needs_a_belt_of_its_own() {
    let with = |name: &str, belt: bool| {
        found(name, usable("shared.yaml"), |envoy| {
            let mut both = aggregate("orchestration");
            if belt {
                both["typed_extension_protocol_options"] =
                    clusters(envoy)[0]["typed_extension_protocol_options"].clone();
            }
            clusters(envoy).push(both);
            let routes = at(envoy, "/route_config/virtual_hosts/1/routes").as_array_mut().unwrap();
            routes.insert(0, json!({"match": {"prefix": "/v2/"}, "route": {"cluster": "both"}}));
        })
    };
    assert_eq!(with("aggregate-open", false), codes(&["critical belt_missing", "critical route_unguarded"]));
    // Out of scope, with the belt: nothing passes.
    assert_eq!(with("aggregate-held", true), codes(&["warning route_refuses_all"]));
}

#[test]
fn what_is_left_out_on_purpose_is_not_found() {
    // A listener of the other application, beside one that both share.
    let beside = found("beside", shipped(), |envoy| {
        let host = json!({"name": "shop", "domains": ["shop.example"], "routes": [{
            "match": {"prefix": "/"}, "route": {"cluster": "shop"},
            "typed_per_filter_config": off(&["portcullis", "portcullis-belt"])}]});
        at(envoy, "/route_config/virtual_hosts").as_array_mut().unwrap().insert(0, host);
        second(envoy, "shop");
    });
    assert_eq!(beside, codes(&["notice route_not_judged"]));
    // Switched off for the other application, in place of a scope.
    let switched = found("off", usable("shared.yaml"), |envoy| {
        configure(envoy, |c| drop(c.as_object_mut().unwrap().remove("scope")));
        at(envoy, "/route_config/virtual_hosts/1")["typed_per_filter_config"] = off(&["portcullis"]);
    });
    assert_eq!(switched, codes(&["notice route_not_judged"]));
    // By host: what the other virtual host serves is not judged.
    let by_host = |name: &str, domain: &str, belt: bool| {
        found(name, usable("shared.yaml"), |envoy| {
            configure(envoy, |c| c["scope"] = json!({"authorities": ["camunda.example.com"]}));
            at(envoy, "/route_config/virtual_hosts/0")["domains"] = json!([domain]);
            if !belt {
                clusters(envoy)[0].as_object_mut().unwrap().remove("typed_extension_protocol_options");
            }
        })
    };
    for domain in ["camunda.example.com", "camunda.example.com:443", "*.example.com", "camunda.*"] {
        assert_eq!(by_host("host", domain, true), codes(&[]), "{domain}");
    }
    assert_eq!(by_host("host-beltless", "camunda.example.com", false), codes(&["critical belt_missing"]));
    assert_eq!(by_host("host-other", "other.example.com", true), codes(&["critical belt_missing"]));
    // What is refused does not say for which clusters it is.
    let refused = found("refused", usable("shared.yaml"), |envoy| configure(envoy, |c| c["issuers"] = json!([])));
    assert_eq!(refused, codes(&["critical configuration_refused"]));
    // A configuration without a type only switches its filter on.
    let on = found("on", shipped(), |envoy| {
        at(envoy, "/http_filters/1")["disabled"] = json!(true);
        let kind = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
        at(envoy, "/route_config")["typed_per_filter_config"] =
            json!({"portcullis-belt": {"@type": kind, "config": {}}});
    });
    assert_eq!(on, codes(&[]));
}

/// Two filters in one chain, each for a cluster of its own, which has a belt of its own.
#[test]
fn each_of_two_filters_needs_its_belt() {
    let options = "typed_extension_protocol_options";
    let two = |name: &str, belts: usize, bypass: bool| {
        found(name, usable("shared.yaml"), |envoy| {
            let mut filter = at(envoy, "/http_filters/0").clone();
            let given = filter.pointer_mut("/typed_config/config/configuration/value").unwrap();
            *given = given
                .as_str()
                .unwrap()
                .replace("orchestration\"]}", "shop\"]}")
                .replace("\"orders\"", "\"billing\"")
                .into();
            filter["name"] = json!("portcullis-billing");
            at(envoy, "/http_filters").as_array_mut().unwrap().insert(1, filter);
            let belt = clusters(envoy)[0][options].clone();
            clusters(envoy)[1][options] =
                serde_json::from_str(&belt.to_string().replace("orders:", "billing:")).unwrap();
            if belts == 1 {
                clusters(envoy)[0].as_object_mut().unwrap().remove(options);
            }
            if bypass {
                second(envoy, "orchestration");
            }
        })
    };
    assert_eq!(two("two", 2, false), codes(&["notice filter_twice"]));
    assert_eq!(two("two-belt", 1, false), codes(&["critical belt_missing", "notice filter_twice"]));
    let open = codes(&["critical belt_missing", "critical route_unguarded", "notice filter_twice"]);
    assert_eq!(two("two-open", 1, true), open);
}
