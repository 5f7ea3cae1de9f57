//! `portcullis doctor`: each thing that leaves an Envoy unguarded is found, and what is shipped is
//! found to be fine.

mod changes;
mod files;
mod manifests;
mod rendered;
mod shared;
mod ways;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
/// Where the shipped chain has the plugin and the belt.
const PLUGIN: &str = "/http_filters/0/typed_config/config";
const BELT: &str = "/http_filters/1/typed_config";

/// A change of the shipped configuration.
type Change = Box<dyn Fn(&mut Value)>;

fn shipped() -> Value {
    usable("envoy.yaml")
}

/// A shipped configuration with an issuer that can be used.
fn usable(name: &str) -> Value {
    let mut envoy = as_shipped(name);
    make_usable(&mut envoy, &format!("{MANAGER}{PLUGIN}"));
    envoy
}

/// A file of `envoy/`.
fn as_shipped(name: &str) -> Value {
    portcullis::suite::document(&Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy").join(name)).unwrap()
}

/// Gives the plugin that stands somewhere an issuer that can be used.
fn make_usable(envoy: &mut Value, plugin: &str) {
    let given = envoy.pointer_mut(&format!("{plugin}/configuration/value")).unwrap();
    let mut configuration: Value = serde_json::from_str(given.as_str().unwrap()).unwrap();
    configuration["issuers"][0]["issuer"] = json!("https://issuer.example");
    configuration["issuers"][0]["jwks"]["inline"]["keys"] =
        json!([serde_json::from_str::<Value>(portcullis::suite::PLACEHOLDER_JWK).unwrap()]);
    *given = configuration.to_string().into();
}

/// The module is downloaded, into a VM of that name.
fn download(envoy: &mut Value, vm_id: &str) {
    let uri = json!({"uri": "https://modules.example/portcullis.wasm", "cluster": "modules", "timeout": "5s"});
    let vm = envoy.pointer_mut(&format!("{MANAGER}{PLUGIN}/vm_config")).unwrap();
    vm["vm_id"] = vm_id.into();
    vm["code"] = json!({"remote": {"http_uri": uri, "sha256": "0".repeat(64)}});
}

#[test]
fn a_downloaded_module_may_have_a_vm_of_its_own() {
    for vm_id in ["portcullis-0.2.0", "portcullis/camunda/orders/43a0d1bfaf35dc91", "v1.3", "43A0D1BF"] {
        assert_eq!(after("downloaded", |envoy| download(envoy, vm_id)), BTreeSet::new(), "{vm_id}");
    }
}

/// Runs the doctor on documents of one file: exit status, and severities with codes.
fn doctor(name: &str, text: &str, arguments: &[&str]) -> (i32, BTreeSet<String>) {
    doctor_of(name, &[text], arguments)
}

/// The same of several files in one call.
fn doctor_of(name: &str, texts: &[&str], arguments: &[&str]) -> (i32, BTreeSet<String>) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).unwrap();
    let files = texts.iter().enumerate().map(|(number, text)| {
        let file = folder.join(format!("doctor-{name}-{number}.yaml"));
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    });
    let files: Vec<String> = files.collect();
    let command = [&["doctor", "--json"], &*files.iter().map(String::as_str).collect::<Vec<_>>(), arguments].concat();
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(command).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let codes = lines.lines().map(|line| {
        let finding: Value = serde_json::from_str(line).unwrap();
        for member in ["at", "what", "advice"] {
            assert!(finding[member].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        }
        format!("{} {}", finding["severity"].as_str().unwrap(), finding["code"].as_str().unwrap())
    });
    (output.status.code().unwrap(), codes.collect())
}

/// The findings of the shipped configuration after a change.
fn after(name: &str, change: impl FnOnce(&mut Value)) -> BTreeSet<String> {
    let mut envoy = shipped();
    change(&mut envoy);
    let (status, codes) = doctor(name, &envoy.to_string(), &[]);
    assert_eq!(status, i32::from(codes.iter().any(|c| !c.starts_with("notice"))), "{codes:?}");
    codes
}

fn manager(envoy: &mut Value) -> &mut Value {
    envoy.pointer_mut(MANAGER).unwrap()
}

fn at<'a>(envoy: &'a mut Value, below_manager: &str) -> &'a mut Value {
    envoy.pointer_mut(&format!("{MANAGER}{below_manager}")).unwrap()
}

fn configure(envoy: &mut Value, change: impl FnOnce(&mut Value)) {
    let given = at(envoy, &format!("{PLUGIN}/configuration/value"));
    let mut configuration: Value = serde_json::from_str(given.as_str().unwrap()).unwrap();
    change(&mut configuration);
    *given = configuration.to_string().into();
}

fn insert_filter(envoy: &mut Value, place: usize, kind: &str, more: Value) {
    let mut config = json!({"@type": format!("type.googleapis.com/envoy.extensions.{kind}")});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let filters = at(envoy, "/http_filters").as_array_mut().unwrap();
    filters.insert(place, json!({"name": "another", "typed_config": config}));
}

#[test]
fn what_is_shipped_is_guarded() {
    assert_eq!(after("shipped", |_| {}), BTreeSet::new());
}

#[test]
fn the_belt_of_a_shared_gateway_stands_at_the_cluster() {
    let shared = usable("shared.yaml");
    assert_eq!(doctor("shared-shipped", &shared.to_string(), &[]), (0, BTreeSet::new()));
    let codes = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut envoy = shared.clone();
        change(&mut envoy["static_resources"]["clusters"][0]);
        doctor(name, &envoy.to_string(), &[]).1
    };
    let options =
        "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
    let found = codes("shared-without", &|cluster| {
        cluster.pointer_mut(options).unwrap().as_array_mut().unwrap().remove(0);
    });
    assert_eq!(found, BTreeSet::from(["critical belt_missing".to_owned()]));
    let found = codes("shared-name", &|cluster| {
        let belt = cluster.pointer_mut(&format!("{options}/0/typed_config/rules/policies/judged/principals/0"));
        belt.unwrap()["filter_state"]["string_match"]["exact"] = json!("others:allow");
    });
    assert_eq!(found, BTreeSet::from(["critical belt_name".to_owned()]));
}

/// RBAC at a cluster does not see copies, wherever they are asked for; the belt's other half does.
#[test]
fn copies_of_requests_are_found() {
    let filters = "/static_resources/clusters/0/typed_extension_protocol_options\
                   /envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
    let both = usable("shared.yaml");
    let mut without = both.clone();
    without.pointer_mut(filters).unwrap().as_array_mut().unwrap().remove(1);
    let found = |name: &str, envoy: &Value, place: &str, mirror: Value| {
        let mut envoy = envoy.clone();
        let place = envoy.pointer_mut(&format!("{MANAGER}/route_config{place}")).unwrap();
        place["request_mirror_policies"] = json!([mirror]);
        doctor(&format!("mirror-{name}"), &envoy.to_string(), &[])
    };
    let critical = (1, BTreeSet::from(["critical mirror_unguarded".to_owned()]));
    let route = "/virtual_hosts/1/routes/0/route";
    for (number, place) in ["", "/virtual_hosts/1", route, "/virtual_hosts/0/routes/0/route"].into_iter().enumerate() {
        let to_cluster = json!({"cluster": "orchestration"});
        assert_eq!(found(&format!("{number}-rbac"), &without, place, to_cluster.clone()), critical, "{place}");
        assert_eq!(found(&format!("{number}-both"), &both, place, to_cluster), (0, BTreeSet::new()), "{place}");
        let elsewhere = json!({"cluster": "shop"});
        assert_eq!(found(&format!("{number}-shop"), &without, place, elsewhere), (0, BTreeSet::new()), "{place}");
    }
    assert_eq!(found("header-rbac", &without, route, json!({"clusterHeader": "x-copy"})), critical);
    assert_eq!(found("header-both", &both, route, json!({"clusterHeader": "x-copy"})), (0, BTreeSet::new()));
    // The most specific ones hold.
    let hosts = "/virtual_hosts/1";
    let mut specific = without.clone();
    specific.pointer_mut(&format!("{MANAGER}/route_config{route}")).unwrap()["requestMirrorPolicies"] =
        json!([{"cluster": "shop"}]);
    assert_eq!(found("specific", &specific, hosts, json!({"cluster": "orchestration"})), (0, BTreeSet::new()));
}

#[test]
fn each_weakness_is_found() {
    let route = "/route_config/virtual_hosts/0/routes/0";
    let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    let cases: Vec<(&str, Change)> = vec![
        (
            "critical filter_missing",
            Box::new(|e| {
                at(e, "/http_filters").as_array_mut().unwrap().remove(0);
            }),
        ),
        (
            "critical belt_missing",
            Box::new(|e| {
                at(e, "/http_filters").as_array_mut().unwrap().remove(1);
            }),
        ),
        (
            "critical belt_not_enforced",
            Box::new(|e| {
                let belt = at(e, BELT);
                belt["shadow_rules"] = belt["rules"].take();
            }),
        ),
        ("critical belt_before_filter", Box::new(|e| at(e, "/http_filters").as_array_mut().unwrap().swap(0, 1))),
        (
            "critical belt_open",
            Box::new(|e| {
                let policies = &mut at(e, BELT)["rules"]["policies"];
                policies["health"] = json!({"permissions": [{"any": true}], "principals": [{"any": true}]});
            }),
        ),
        (
            "critical belt_open",
            Box::new(|e| {
                let policy = &mut at(e, BELT)["rules"]["policies"]["judged"];
                policy["principals"].as_array_mut().unwrap().push(json!({"remote_ip": {"address_prefix": "10.0.0.0"}}));
            }),
        ),
        ("critical belt_open", Box::new(|e| at(e, BELT)["rules"]["action"] = json!("LOG"))),
        (
            "critical belt_name",
            Box::new(|e| {
                let mut second = at(e, "/http_filters/1").clone();
                second["name"] = json!("second");
                let principals = second.pointer_mut("/typed_config/rules/policies/judged/principals").unwrap();
                *principals = json!([{"filter_state": {"key": "wasm.portcullis_belt", "string_match": {"exact": "others:allow"}}}]);
                at(e, "/http_filters").as_array_mut().unwrap().insert(2, second);
            }),
        ),
        ("critical belt_name", Box::new(|e| configure(e, |c| c["name"] = json!("others")))),
        ("critical belt_without_pending", Box::new(|e| configure(e, |c| c["body"]["gate"] = json!("stream")))),
        (
            "warning belt_passes_shadow",
            Box::new(|e| {
                let policy = &mut at(e, BELT)["rules"]["policies"]["judged"];
                let shadow = json!({"filter_state": {"key": "wasm.portcullis_belt", "string_match": {"exact": "orders:shadow"}}});
                policy["principals"].as_array_mut().unwrap().push(shadow);
            }),
        ),
        (
            "warning belt_passes_others",
            Box::new(|e| {
                let policy = &mut at(e, BELT)["rules"]["policies"]["judged"];
                let other =
                    json!({"filter_state": {"key": "wasm.portcullis_belt", "string_match": {"exact": "x:allow"}}});
                policy["principals"].as_array_mut().unwrap().push(other);
            }),
        ),
        ("critical fail_open", Box::new(|e| at(e, PLUGIN)["failure_policy"] = json!("FAIL_OPEN"))),
        // Envoy also takes words for flags, and numbers for names.
        ("critical fail_open", Box::new(|e| at(e, PLUGIN)["failure_policy"] = json!(3))),
        ("critical fail_open", Box::new(|e| at(e, PLUGIN)["fail_open"] = json!("true"))),
        ("critical belt_open", Box::new(|e| at(e, BELT)["rules"]["action"] = json!(1))),
        ("critical route_without_belt", Box::new(|e| at(e, "/http_filters/1")["disabled"] = json!("true"))),
        (
            "critical route_unguarded",
            Box::new(move |e| {
                let mut off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig"});
                off["disabled"] = json!("true");
                at(e, "/route_config/virtual_hosts/0")["typed_per_filter_config"] =
                    json!({"portcullis": off, "portcullis-belt": off});
            }),
        ),
        // A matcher beside rules is what holds.
        (
            "critical belt_not_enforced",
            Box::new(|e| {
                let action = json!({"@type": "type.googleapis.com/envoy.config.rbac.v3.Action", "name": "all"});
                at(e, BELT)["matcher"] = json!({"on_no_match": {"action": {"name": "all", "typed_config": action}}});
            }),
        ),
        ("warning vm_id_fixed", Box::new(|e| download(e, "portcullis"))),
        ("warning vm_id_fixed", Box::new(|e| download(e, "/camunda/portcullis/wasm/0"))),
        ("warning no_reload", Box::new(|e| at(e, PLUGIN)["failure_policy"] = json!("FAIL_CLOSED"))),
        (
            "critical hold_without_flag",
            Box::new(|e| {
                at(e, PLUGIN)["allow_on_headers_stop_iteration"] = json!(false);
            }),
        ),
        (
            "warning buffer_too_small",
            Box::new(|e| {
                e["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"] = json!(65536);
            }),
        ),
        (
            "warning buffer_too_small",
            Box::new(|e| {
                let listener = e["static_resources"]["listeners"][0].as_object_mut().unwrap();
                listener.remove("per_connection_buffer_limit_bytes");
            }),
        ),
        (
            "warning buffer_too_small",
            Box::new(|e| {
                let manager = &mut e["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
                manager["typed_config"]["http2_protocol_options"] = json!({"initial_stream_window_size": 65536});
            }),
        ),
        (
            "critical capability_missing",
            Box::new(|e| {
                let allowed = json!({"allowed_capabilities": {"proxy_on_request_headers": {}}});
                at(e, PLUGIN)["vm_config"]["capability_restriction_config"] = allowed;
            }),
        ),
        ("critical configuration_refused", Box::new(|e| configure(e, |c| c["issuers"] = json!([])))),
        (
            "critical configuration_refused",
            Box::new(|e| {
                at(e, PLUGIN)["configuration"] =
                    json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": {}});
            }),
        ),
        (
            "critical configuration_missing",
            Box::new(|e| {
                at(e, PLUGIN).as_object_mut().unwrap().remove("configuration");
            }),
        ),
        (
            "warning shadow",
            Box::new(|e| {
                configure(e, |c| {
                    c["mode"] = json!("shadow");
                    c["shadow"] = json!({"until": "2030-01-01T00:00:00Z"});
                });
            }),
        ),
        (
            "warning route_refuses_all",
            Box::new({
                let off = off.clone();
                move |e| at(e, route)["typed_per_filter_config"] = json!({"portcullis": off})
            }),
        ),
        (
            "critical route_without_belt",
            Box::new({
                let off = off.clone();
                move |e| at(e, route)["typed_per_filter_config"] = json!({"portcullis-belt": off})
            }),
        ),
        (
            "critical route_without_belt",
            Box::new(move |e| {
                let kind = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute";
                at(e, "/route_config/virtual_hosts/0")["typed_per_filter_config"] =
                    json!({"portcullis-belt": {"@type": kind}});
            }),
        ),
        (
            "critical route_unguarded",
            Box::new({
                let off = off.clone();
                move |e| {
                    let routes = at(e, "/route_config/virtual_hosts/0/routes").as_array_mut().unwrap();
                    let mut bare = routes[0].clone();
                    bare["typed_per_filter_config"] = json!({"portcullis": off, "portcullis-belt": off});
                    routes.insert(0, bare);
                }
            }),
        ),
        (
            "critical route_unguarded",
            Box::new(|e| {
                let mut listener = e["static_resources"]["listeners"][0].clone();
                listener["name"] = json!("another");
                let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters").unwrap();
                manager.as_array_mut().unwrap().drain(..2);
                e["static_resources"]["listeners"].as_array_mut().unwrap().push(listener);
            }),
        ),
        (
            "critical route_unguarded",
            Box::new({
                move |e| {
                    at(e, "/route_config/virtual_hosts/0")["typed_per_filter_config"] =
                        json!({"portcullis": off, "portcullis-belt": off});
                }
            }),
        ),
        (
            "warning route_refuses_all",
            Box::new(|e| {
                let mut listener = e["static_resources"]["listeners"][0].clone();
                listener["name"] = json!("another");
                let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters").unwrap();
                manager.as_array_mut().unwrap().remove(0);
                e["static_resources"]["listeners"].as_array_mut().unwrap().push(listener);
            }),
        ),
        ("warning route_rewrites_path", Box::new(move |e| at(e, route)["route"]["prefix_rewrite"] = json!("/v2/"))),
        (
            "warning route_sets_header",
            Box::new(move |e| {
                at(e, route)["request_headers_to_add"] = json!([{"header": {"key": "Authorization", "value": "x"}}]);
            }),
        ),
        (
            "critical upgrade_has_own_chain",
            Box::new(|e| {
                let router = at(e, "/http_filters/2").clone();
                manager(e)["upgrade_configs"] = json!([{"upgrade_type": "websocket", "filters": [router]}]);
            }),
        ),
        ("warning filter_after_changes", Box::new(|e| insert_filter(e, 1, "filters.http.lua.v3.Lua", json!({})))),
        (
            "warning filter_after_changes",
            Box::new(|e| {
                insert_filter(e, 2, "filters.http.header_mutation.v3.HeaderMutation", json!({}));
            }),
        ),
        (
            "warning filter_after_clears_route",
            Box::new(|e| {
                let providers = json!({"providers": {"p": {"clear_route_cache": true}}});
                insert_filter(e, 2, "filters.http.jwt_authn.v3.JwtAuthentication", providers);
            }),
        ),
        ("notice filter_after_unknown", Box::new(|e| insert_filter(e, 2, "filters.http.new.v3.New", json!({})))),
        ("notice other_plugins", Box::new(|e| insert_filter(e, 0, "filters.http.wasm.v3.Wasm", json!({})))),
        (
            "notice other_plugins",
            Box::new(|e| {
                insert_filter(e, 0, "filters.http.wasm.v3.Wasm", json!({"config": {"name": "noop"}}));
                at(e, "/http_filters/0")["name"] = json!("envoy.filters.http.wasm//camunda/portcullis/wasm/0");
            }),
        ),
        (
            "notice routes_unknown",
            Box::new(|e| {
                let manager = manager(e).as_object_mut().unwrap();
                manager.remove("route_config");
                manager.insert("rds".into(), json!({"route_config_name": "elsewhere"}));
            }),
        ),
    ];
    for (number, (expected, change)) in cases.into_iter().enumerate() {
        let codes = after(&format!("weakness-{number}"), change);
        assert!(codes.contains(expected), "{expected} is not among {codes:?}");
    }
}

#[test]
fn harmless_things_are_not_found() {
    for (number, kind) in ["fault.v3.HTTPFault", "cors.v3.Cors", "local_ratelimit.v3.LocalRateLimit"].iter().enumerate()
    {
        let codes =
            after(&format!("harmless-{number}"), |e| insert_filter(e, 2, &format!("filters.http.{kind}"), json!({})));
        assert_eq!(codes, BTreeSet::new(), "{kind}");
    }
    // Copies of what the chain's own belt lets through.
    let codes = after("mirror", |e| {
        let route = at(e, "/route_config/virtual_hosts/0/routes/1/route");
        route["request_mirror_policies"] = json!([{"cluster": "orchestration"}]);
    });
    assert_eq!(codes, BTreeSet::new());
    // Ours a second time, under another name: the belt sees the last one's verdict.
    let codes = after("twice", |e| {
        let mut first = at(e, "/http_filters/0").clone();
        let value = first.pointer_mut("/typed_config/config/configuration/value").unwrap();
        *value = value.as_str().unwrap().replace("orders", "others").into();
        at(e, "/http_filters").as_array_mut().unwrap().insert(0, first);
    });
    assert_eq!(codes, BTreeSet::from(["notice filter_twice".to_owned()]));
    // Another application behind the same listener.
    let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    let codes = after("shared", |e| {
        let host = json!({"name": "shop", "domains": ["shop.example"], "routes": [{
            "match": {"prefix": "/"}, "route": {"cluster": "shop"},
            "typed_per_filter_config": {"portcullis": off, "portcullis-belt": off}}]});
        at(e, "/route_config/virtual_hosts").as_array_mut().unwrap().insert(0, host);
    });
    assert_eq!(codes, BTreeSet::from(["notice route_not_judged".to_owned()]));
}

#[test]
fn a_dump_is_read_with_what_it_holds_elsewhere() {
    let envoy = shipped();
    let mut listener = envoy["static_resources"]["listeners"][0].clone();
    let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config").unwrap();
    let routes = manager["route_config"].take();
    manager["rds"] = json!({"route_config_name": "orchestration"});
    let plugin = manager["http_filters"][0]["typed_config"].take();
    manager["http_filters"][0] = json!({"name": "portcullis", "config_discovery": {"config_source": {}}});
    let dump = |plugin: Value, routes: Value| {
        json!({"configs": [
            {"bootstrap": {"static_resources": {"listeners": []}}},
            {"dynamic_listeners": [{"name": "gateway", "active_state": {"listener": listener},
                "draining_state": {"listener": {"name": "old"}}}]},
            {"dynamic_route_configs": [{"route_config": routes}]},
            {"ecds_filters": [{"ecds_filter": {"name": "portcullis", "typed_config": plugin}}]},
        ]})
    };
    assert_eq!(doctor("dump", &dump(plugin.clone(), routes.clone()).to_string(), &[]), (0, BTreeSet::new()));
    let mut open = plugin;
    open["config"]["failure_policy"] = json!("FAIL_OPEN");
    let mut rewriting = routes;
    rewriting["virtual_hosts"][0]["routes"][0]["route"]["regex_rewrite"] = json!({"substitution": "/"});
    let expected = ["critical fail_open", "warning route_rewrites_path"].map(Into::into);
    assert_eq!(doctor("dump-open", &dump(open, rewriting).to_string(), &[]), (1, BTreeSet::from(expected)));
}

#[test]
fn the_policy_in_use_is_compared() {
    let envoy = shipped();
    let given = envoy.pointer(&format!("{MANAGER}{PLUGIN}/configuration/value")).unwrap();
    let configuration: Value = serde_json::from_str(given.as_str().unwrap()).unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).unwrap();
    let [same, other] = ["doctor-same.json", "doctor-other.json"].map(|name| folder.join(name));
    fs::write(&same, configuration["policy"].to_string()).unwrap();
    fs::write(&other, "{\"roles\": [{\"roleId\": \"admin\", \"users\": [\"eve\"]}]}").unwrap();
    let with = |name: &str, policy: &Path| doctor(name, &envoy.to_string(), &["--policy", policy.to_str().unwrap()]);
    assert_eq!(with("policy-same", &same), (0, BTreeSet::new()));
    assert_eq!(with("policy-other", &other), (1, BTreeSet::from(["warning table_differs".to_owned()])));
}

#[test]
fn what_cannot_be_read_ends_with_2() {
    let run = |source: &str| Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["doctor", source]).output().unwrap();
    for (source, part) in
        [("no-such-file", "no-such-file"), ("https://127.0.0.1:1", "over http"), ("http://127.0.0.1:1", "127.0.0.1:1")]
    {
        let output = run(source);
        assert_eq!(output.status.code(), Some(2), "{source}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(part), "{source}");
    }
    assert_eq!(doctor("nothing", "just text", &[]).0, 2);
}
