//! What `portcullis render` writes, as it is and with faults of the belt.

use super::{doctor, usable};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CHAIN: &str = "/spec/configPatches/0/match/listener/filterChain";

fn codes(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|code| (*code).to_owned()).collect()
}

/// The objects that `render` writes.
fn render(name: &str, arguments: &[&str]) -> Vec<Value> {
    let envoy = usable("envoy.yaml");
    let given = envoy.pointer(&format!("{}{}/configuration/value", super::MANAGER, super::PLUGIN)).unwrap();
    let mut configuration: Value = serde_json::from_str(given.as_str().unwrap()).unwrap();
    configuration.as_object_mut().unwrap().remove("body");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("rendered-{name}.json"));
    fs::write(&file, configuration.to_string()).unwrap();
    let sha256 = "0a".repeat(32);
    let url =
        if arguments.contains(&"--hold") && arguments[0] == "istio" { "file:///p.wasm" } else { "oci://x.example/p:1" };
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("render").args(arguments).args(["--config", file.to_str().unwrap(), "--url", url, "--sha256", &sha256]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = folder.join(format!("rendered-{name}.yaml"));
    fs::write(&written, output.stdout).unwrap();
    let text = fs::read_to_string(&written).unwrap();
    let documents = text.split("\n---\n").map(|one| {
        fs::write(&written, one).unwrap();
        portcullis::suite::document(&written).unwrap()
    });
    documents.collect()
}

fn found(name: &str, objects: &[Value]) -> BTreeSet<String> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    doctor(&format!("rendered-{name}"), &list.to_string(), &[]).1
}

/// The findings after a change of the object at a place.
fn changed(name: &str, objects: &[Value], place: usize, change: &dyn Fn(&mut Value)) -> BTreeSet<String> {
    let mut objects = objects.to_vec();
    change(&mut objects[place]);
    found(name, &objects)
}

const GATEWAY: [&str; 9] =
    ["envoy-gateway", "--namespace", "camunda", "--gateway", "eg", "--listener", "http", "--route", "rest"];

#[test]
fn what_is_rendered_is_guarded() {
    for (number, arguments) in [
        &["istio"][..],
        &["istio", "--sidecar", "--label", "app=orchestration"],
        &["istio", "--target-ref", "Gateway/edge", "--target-ref", "Service/orchestration"],
        &["istio", "--hold"],
        &["istio", "--hold", "--sidecar", "--label", "app=orchestration"],
        &["istio", "--hold", "--target-ref", "Gateway/waypoint"],
        &["traffic-extension"],
        &["traffic-extension", "--target-ref", "GatewayClass/istio-waypoint"],
        &GATEWAY,
        &[&GATEWAY[..], &["--listener", "https", "--route", "GRPCRoute/grpc", "--hold"]].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        let objects = render(&format!("good-{number}"), arguments);
        assert_eq!(found(&format!("good-{number}"), &objects), codes(&[]), "{arguments:?}");
    }
    // The plugin for one service, the belt of the whole waypoint.
    let mut objects = render("service", &["istio", "--target-ref", "Gateway/waypoint"]);
    objects[0]["spec"]["targetRefs"] = json!([{"group": "", "kind": "Service", "name": "orchestration"}]);
    assert_eq!(found("service", &objects), codes(&[]));
}

#[test]
fn faults_of_the_belt_in_an_envoy_filter_are_found() {
    let objects = render("istio", &["istio"]);
    let rules = "/spec/configPatches/0/patch/value/typed_config/rules";
    let place = |value: &mut Value, pointer: &str, given: Value| *value.pointer_mut(pointer).unwrap() = given;
    type Fault<'a> = (&'a str, &'a str, Box<dyn Fn(&mut Value)>);
    let faults: [Fault<'_>; 14] = [
        (
            "shadow",
            "critical belt_not_enforced",
            Box::new(|belt| {
                let config = belt.pointer_mut("/spec/configPatches/0/patch/value/typed_config").unwrap();
                config["shadow_rules"] = config["rules"].take();
            }),
        ),
        ("deny", "critical belt_open", Box::new(move |belt| place(belt, &format!("{rules}/action"), json!("DENY")))),
        ("log", "critical belt_open", Box::new(move |belt| place(belt, &format!("{rules}/action"), json!("LOG")))),
        (
            "policy",
            "critical belt_open",
            Box::new(move |belt| {
                let other = json!({"permissions": [{"any": true}], "principals": [{"any": true}]});
                belt.pointer_mut(&format!("{rules}/policies")).unwrap()["other"] = other;
            }),
        ),
        (
            "name",
            "critical belt_name",
            Box::new(move |belt| {
                let written = belt.to_string().replace("orders:", "others:");
                *belt = serde_json::from_str(&written).unwrap();
            }),
        ),
        (
            "labels",
            "warning belt_elsewhere",
            Box::new(|belt| {
                belt["spec"]["workloadSelector"]["labels"] = json!({"app": "other"});
            }),
        ),
        ("namespace", "warning belt_elsewhere", Box::new(|belt| belt["metadata"]["namespace"] = json!("other"))),
        (
            "context",
            "warning belt_elsewhere",
            Box::new(|belt| {
                belt["spec"]["configPatches"][0]["match"]["context"] = json!("SIDECAR_INBOUND");
            }),
        ),
        (
            "outbound",
            "warning belt_elsewhere",
            Box::new(|belt| {
                belt["spec"]["configPatches"][0]["match"]["context"] = json!("SIDECAR_OUTBOUND");
            }),
        ),
        (
            "port",
            "warning belt_elsewhere",
            Box::new(|belt| {
                belt["spec"]["configPatches"][0]["match"]["listener"]["portNumber"] = json!(8443);
            }),
        ),
        (
            "listener",
            "warning belt_elsewhere",
            Box::new(|belt| {
                belt["spec"]["configPatches"][0]["match"]["listener"]["name"] = json!("0.0.0.0_8443");
            }),
        ),
        (
            "sni",
            "warning belt_elsewhere",
            Box::new(|belt| {
                belt.pointer_mut(CHAIN).unwrap()["sni"] = json!("x.example");
            }),
        ),
        (
            "first",
            "critical belt_before_filter",
            Box::new(|belt| {
                belt["spec"]["configPatches"][0]["patch"]["operation"] = json!("INSERT_FIRST");
            }),
        ),
        (
            "before",
            "critical belt_before_filter",
            Box::new(|belt| {
                belt.pointer_mut(CHAIN).unwrap()["filter"].as_object_mut().unwrap().remove("subFilter");
            }),
        ),
    ];
    for (name, expected, fault) in &faults {
        let mut wanted = codes(&[expected]);
        wanted.extend((*name == "name").then(|| "critical belt_without_pending".to_owned()));
        assert_eq!(changed(&format!("istio-{name}"), &objects, 1, fault), wanted, "{name}");
    }
    // What stands in the root namespace, or selects more, is there, too.
    let root = |belt: &mut Value| belt["metadata"]["namespace"] = json!("istio-system");
    assert_eq!(changed("istio-root", &objects, 1, &root), codes(&[]));
    let all = |belt: &mut Value| drop(belt["spec"].as_object_mut().unwrap().remove("workloadSelector"));
    assert_eq!(changed("istio-all", &objects, 1, &all), codes(&[]));
    let network = |plugin: &mut Value| plugin["spec"]["type"] = json!("NETWORK");
    assert_eq!(changed("istio-network", &objects, 0, &network), codes(&["critical plugin_type"]));
    let referenced = render("referenced", &["istio", "--target-ref", "Gateway/edge"]);
    let other = |belt: &mut Value| belt["spec"]["targetRefs"][0]["name"] = json!("other");
    assert_eq!(changed("istio-reference", &referenced, 1, &other), codes(&["warning belt_elsewhere"]));
}

#[test]
fn patches_of_routes_that_switch_the_belt_off_are_found() {
    let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    let mut objects = render("overridden", &["istio"]);
    let patch = |kind: &str, names: &[&str], more: Value| {
        let filters: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).into(), off.clone())).collect();
        json!({"kind": "EnvoyFilter", "metadata": {"name": "off", "namespace": "default"}, "spec": {"configPatches": [{
            "applyTo": kind, "match": more,
            "patch": {"operation": "MERGE", "value": {"typed_per_filter_config": filters}}}]}})
    };
    objects.push(json!({}));
    let vhost = json!({"routeConfiguration": {"vhost": {"name": "shop.example:80"}}});
    for (number, (kind, names, more, expected)) in [
        ("HTTP_ROUTE", &["portcullis-belt"][..], json!({}), "critical route_without_belt"),
        ("VIRTUAL_HOST", &["portcullis-belt", "default.portcullis"], json!({}), "critical route_unguarded"),
        ("ROUTE_CONFIGURATION", &["portcullis-belt", "default.portcullis"], json!({}), "critical route_unguarded"),
        ("VIRTUAL_HOST", &["portcullis-belt", "default.portcullis"], vhost, "warning route_open_ended"),
    ]
    .into_iter()
    .enumerate()
    {
        objects[2] = patch(kind, names, more);
        assert_eq!(found(&format!("overridden-{number}"), &objects), codes(&[expected]), "{kind} {names:?}");
    }
    objects[2] = patch("HTTP_ROUTE", &["other"], json!({}));
    assert_eq!(found("overridden-other", &objects), codes(&[]));
}

#[test]
fn filter_and_belt_as_patches_are_one_chain() {
    let objects = render("hold", &["istio", "--hold"]);
    let patches = objects[0]["spec"]["configPatches"].as_array().unwrap();
    let belt = patches.iter().position(|p| p["patch"]["value"]["name"] == "portcullis-belt").unwrap();
    let plugin = patches.iter().position(|p| p["patch"]["value"]["name"] == "portcullis").unwrap();
    let port =
        |object: &mut Value| object["spec"]["configPatches"][belt]["match"]["listener"]["portNumber"] = json!(8443);
    assert_eq!(changed("hold-port", &objects, 0, &port), codes(&["critical belt_missing"]));
    let first =
        |object: &mut Value| object["spec"]["configPatches"][belt]["patch"]["operation"] = json!("INSERT_FIRST");
    assert_eq!(changed("hold-first", &objects, 0, &first), codes(&["critical belt_before_filter"]));
    let mut overridden = objects.clone();
    let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    overridden[0]["spec"]["configPatches"].as_array_mut().unwrap().push(json!({"applyTo": "HTTP_ROUTE", "patch": {
        "operation": "MERGE", "value": {"typed_per_filter_config": {"portcullis": off, "portcullis-belt": off}}}}));
    assert_eq!(found("hold-off", &overridden), codes(&["critical route_unguarded"]));
    // In two objects, and the filter by discovery.
    let mut second = objects[0].clone();
    second["metadata"]["name"] = json!("belt");
    let moved = objects[0].clone()["spec"]["configPatches"].as_array_mut().unwrap().remove(belt);
    second["spec"]["configPatches"] = json!([moved]);
    let mut split = vec![objects[0].clone(), second];
    split[0]["spec"]["configPatches"].as_array_mut().unwrap().remove(belt);
    assert_eq!(found("hold-split", &split), codes(&[]));
    split[1]["spec"]["workloadSelector"]["labels"] = json!({"app": "other"});
    assert_eq!(found("hold-split-elsewhere", &split), codes(&["critical belt_missing"]));
    let discovered = |object: &mut Value| {
        let filter = object["spec"]["configPatches"][plugin]["patch"]["value"].take();
        let discovery = json!({"name": filter["name"], "config_discovery": {"config_source": {"ads": {}}}});
        object["spec"]["configPatches"][plugin]["patch"]["value"] = discovery;
        let extension = json!({"applyTo": "EXTENSION_CONFIG", "patch": {"operation": "ADD", "value": filter}});
        object["spec"]["configPatches"].as_array_mut().unwrap().push(extension);
    };
    assert_eq!(changed("hold-discovery", &objects, 0, &discovered), codes(&[]));
}

#[test]
fn faults_of_the_belt_in_an_envoy_patch_policy_are_found() {
    let objects = render("gateway", &GATEWAY);
    let shadow = |belt: &mut Value| {
        let config = belt.pointer_mut("/spec/jsonPatches/0/operation/value/typed_config").unwrap();
        config["shadow_rules"] = config["rules"].take();
    };
    assert_eq!(changed("gateway-shadow", &objects, 1, &shadow), codes(&["critical belt_not_enforced"]));
    let other = |belt: &mut Value| belt["spec"]["targetRef"]["name"] = json!("other");
    assert_eq!(changed("gateway-other", &objects, 1, &other), codes(&["warning belt_elsewhere"]));
    let first = |belt: &mut Value| {
        belt["spec"]["jsonPatches"][0]["operation"]["path"] =
            json!("/filter_chains/0/filters/0/typed_config/http_filters/0");
    };
    assert_eq!(changed("gateway-first", &objects, 1, &first), codes(&["critical belt_before_filter"]));
    // Listeners that stand beside it.
    let with = |name: &str, parent: Value| {
        let listener = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": 80});
        let listeners = json!([listener("http", "HTTP"), listener("https", "HTTPS"), listener("tcp", "TCP")]);
        let metadata = |name: &str| json!({"name": name, "namespace": "camunda"});
        let gateway = json!({"kind": "Gateway", "metadata": metadata("eg"), "spec": {"listeners": listeners}});
        let route = json!({"kind": "HTTPRoute", "metadata": metadata("rest"), "spec": {"parentRefs": [parent]}});
        found(&format!("gateway-{name}"), &[&objects[..], &[gateway, route]].concat())
    };
    assert_eq!(with("listeners", json!({"name": "eg"})), codes(&["critical belt_missing"]));
    assert_eq!(with("section", json!({"name": "eg", "sectionName": "http"})), codes(&[]));
    assert_eq!(with("parent", json!({"name": "another"})), codes(&["warning belt_elsewhere"]));
}

#[test]
fn routes_of_envoy_gateway_that_change_requests_are_found() {
    let mut objects = render("changing", &GATEWAY);
    let route = |filter: Value| {
        json!({"kind": "HTTPRoute", "metadata": {"name": "rest", "namespace": "camunda"},
            "spec": {"parentRefs": [{"name": "eg"}], "rules": [{"filters": [filter]}]}})
    };
    objects.push(json!({}));
    for (number, (filter, expected)) in [
        (json!({"urlRewrite": {"path": {"replacePrefixMatch": "/v2"}}}), &["warning route_rewrites_path"][..]),
        (
            json!({"requestHeaderModifier": {"set": [{"name": "Authorization", "value": "x"}]}}),
            &["warning route_sets_header"],
        ),
        (json!({"requestHeaderModifier": {"remove": ["cookie"]}}), &["warning route_sets_header"]),
        (json!({"requestHeaderModifier": {"add": [{"name": "x-team", "value": "x"}]}}), &[]),
    ]
    .into_iter()
    .enumerate()
    {
        objects[2] = route(filter.clone());
        assert_eq!(found(&format!("changing-{number}"), &objects), codes(expected), "{filter}");
    }
}

/// What one belt passes the other refuses.
#[test]
fn two_belts_in_one_chain_refuse_everything() {
    let two = |name: &str, arguments: &[&str], change: &dyn Fn(&mut Value)| {
        let one = render(&format!("two-{name}"), arguments);
        let renamed = |object: &Value| {
            let text = object.to_string().replace("orders", "others").replace("\"rest\"", "\"shop\"");
            let text = text.replace("\"portcullis", "\"second");
            serde_json::from_str::<Value>(&text.replace("second_belt", "portcullis_belt")).unwrap()
        };
        let mut other: Vec<Value> = one.iter().map(renamed).collect();
        other.iter_mut().for_each(change);
        found(&format!("two-{name}"), &[one, other].concat())
    };
    let refused = codes(&["critical belt_name"]);
    assert_eq!(two("istio", &["istio"], &|_| {}), refused);
    assert_eq!(two("envoy-gateway", &GATEWAY, &|_| {}), refused);
    let elsewhere = |object: &mut Value| {
        let text = object.to_string().replace("ingressgateway", "edge").replace("camunda/eg/http", "camunda/eg/shop");
        *object = serde_json::from_str(&text).unwrap();
    };
    assert_eq!(two("istio-apart", &["istio"], &elsewhere), codes(&[]));
    assert_eq!(two("envoy-gateway-apart", &GATEWAY, &elsewhere), codes(&[]));
}

#[test]
fn plugins_of_others_are_left_alone() {
    let mut objects = render("foreign", &["istio"]);
    objects.push(json!({"kind": "WasmPlugin", "metadata": {"name": "coraza"}, "spec": {
        "url": "oci://x.example/coraza:1", "pluginConfig": {"directives_map": {}}}}));
    assert_eq!(found("foreign", &objects), codes(&[]));
    let mut objects = render("foreign-gateway", &GATEWAY);
    let other =
        json!({"name": "noop", "rootID": "noop", "code": {"type": "HTTP", "http": {"url": "https://x.example/n"}}});
    objects[0]["spec"]["wasm"].as_array_mut().unwrap().push(other);
    assert_eq!(found("foreign-gateway", &objects), codes(&[]));
    let mut older = objects[0].clone();
    older["metadata"]["name"] = json!("older");
    older["spec"]["wasm"].as_array_mut().unwrap().remove(0);
    objects.push(older);
    assert_eq!(found("conflict-gateway", &objects), codes(&["warning policy_conflict"]));
}
