//! Several files of one call: what belongs together is examined together.

use super::{as_shipped, at, doctor_of, make_usable, shipped};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn found(name: &str, files: &[&Value]) -> BTreeSet<String> {
    let texts: Vec<String> = files.iter().map(|file| file.to_string()).collect();
    doctor_of(&format!("files-{name}"), &texts.iter().map(String::as_str).collect::<Vec<_>>(), &[]).1
}

fn codes(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|code| (*code).to_owned()).collect()
}

#[test]
fn the_file_of_the_filter_belongs_to_the_envoy_that_watches_it() {
    let envoy = as_shipped("dynamic/envoy.yaml");
    let mut filter = as_shipped("dynamic/filter-of-envoy.yaml");
    make_usable(&mut filter, "/resources/0/typed_config/config");
    assert_eq!(found("dynamic", &[&envoy, &filter]), codes(&[]));
    assert_eq!(found("dynamic-turned", &[&filter, &envoy]), codes(&[]));
    assert_eq!(found("dynamic-alone", &[&envoy]), codes(&["critical filter_missing"]));
    filter["resources"][0]["typed_config"]["config"]["failure_policy"] = json!("FAIL_OPEN");
    assert_eq!(found("dynamic-open", &[&envoy, &filter]), codes(&["critical fail_open"]));
}

/// Listeners, routes, clusters and the filter, each in a file of its own.
#[test]
fn resources_of_several_files_are_of_one_envoy() {
    let mut envoy = shipped();
    let typed = |kind: &str, mut resource: Value| {
        resource["@type"] = json!(format!("type.googleapis.com/envoy.config.{kind}"));
        resource
    };
    let file = |resources: Vec<Value>| json!({"resources": resources});
    let clusters = envoy["static_resources"]["clusters"].as_array().unwrap().clone();
    let clusters = file(clusters.into_iter().map(|cluster| typed("cluster.v3.Cluster", cluster)).collect());
    let mut routes = at(&mut envoy, "/route_config").take();
    at(&mut envoy, "").as_object_mut().unwrap().remove("route_config");
    at(&mut envoy, "")["rds"] = json!({"route_config_name": "orchestration"});
    routes["name"] = json!("orchestration");
    let mut filter = at(&mut envoy, "/http_filters/0").clone();
    at(&mut envoy, "/http_filters/0").as_object_mut().unwrap().remove("typed_config");
    filter["name"] = at(&mut envoy, "/http_filters/0/name").clone();
    let filters = file(vec![typed("core.v3.TypedExtensionConfig", filter)]);
    let listener = envoy["static_resources"]["listeners"][0].clone();
    let listeners = file(vec![typed("listener.v3.Listener", listener.clone())]);
    let routing = file(vec![typed("route.v3.RouteConfiguration", routes.clone())]);
    assert_eq!(found("resources", &[&listeners, &routing, &clusters, &filters]), codes(&[]));
    assert_eq!(found("resources-unrouted", &[&listeners, &clusters, &filters]), codes(&["notice routes_unknown"]));
    let mut second = listener;
    second["name"] = json!("second");
    let chain = second.pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters").unwrap();
    chain.as_array_mut().unwrap().retain(|filter| filter["name"] == "envoy.filters.http.router");
    let second = file(vec![typed("listener.v3.Listener", second)]);
    let beside = found("resources-beside", &[&listeners, &second, &routing, &clusters, &filters]);
    assert_eq!(beside, codes(&["critical route_unguarded"]));
}

#[test]
fn each_envoy_stands_by_itself() {
    let good = shipped();
    let mut other = shipped();
    let chain = at(&mut other, "/http_filters").as_array_mut().unwrap();
    chain.retain(|filter| filter["name"] == "envoy.filters.http.router");
    assert_eq!(found("two", &[&good, &good]), codes(&[]));
    assert_eq!(found("other", &[&good, &other]), codes(&["critical filter_missing"]));
}
