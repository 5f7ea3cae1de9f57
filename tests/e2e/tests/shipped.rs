//! The configurations that users copy: Envoy takes each of them, and each guards.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::{env, fs};

use portcullis_e2e::client::Request;
use portcullis_e2e::envoy::{self, Envoy, Launch, Pushed};
use portcullis_e2e::gateway::{self, Gateway};
use portcullis_e2e::idp::{Answer, Provider};
use portcullis_e2e::{wait, workspace};
use serde_json::{Value, json};
use support::{ISSUER, World};

/// The static files, each with a dynamic one beside it.
const STATIC: [&str; 2] = ["envoy.yaml", "sidecar.yaml"];
/// Where the dynamic ones read the filter from.
const FOLDER: &str = "/etc/envoy/portcullis";

/// What stands in the place of the filter's configuration in the dynamic files.
const DISCOVERY: &str = "          - name: portcullis
            # The filter's configuration stands in a file of its own. Put a new one there by a move
            # within the watched folder (as the mount of a ConfigMap does it), never by writing into
            # it: Envoy looks when something has been moved, and finds it whole. What it refuses is
            # counted in `extension_config_discovery.http_filter.portcullis.update_rejected`, and the
            # one before goes on. Before the first good one, every request is answered 500.
            config_discovery:
              config_source:
                resource_api_version: V3
                path_config_source:
                  path: /etc/envoy/portcullis/filter.yaml
                  watched_directory: {path: /etc/envoy/portcullis}
              type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]
";

/// The two dynamic files that a static one makes: the bootstrap and the filter.
fn made_of(file: &str, text: &str) -> [String; 2] {
    let start = text.find("          - name: portcullis\n").expect("the filter");
    let end = start + text[start..].find("\n          # The belt.").expect("the belt");
    let (_, filter) = text[start..end].split_once('\n').expect("lines");
    let lines = filter.lines().map(|line| format!("{}\n", line.strip_prefix("          ").unwrap_or(line)));
    let filter = format!(
        "# The filter of `{file}`: put it at {FOLDER}/filter.yaml, and change what stands between < and >.
# Give each new version another `version_info`.
version_info: \"1\"
resources:
- \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
  name: portcullis
{}",
        lines.collect::<String>()
    );
    let before = text[..start].replacen(
        "admin:",
        "# Envoy asks for these where it watches files.\nnode: {id: envoy, cluster: envoy}\n\nadmin:",
        1,
    );
    let before = before.replacen(
        "#\n# Copy this file, then change what stands between < and >: until then Envoy refuses to start.\n",
        &format!("#\n# The filter's configuration stands in `filter-of-{file}`, so that it can be changed while Envoy runs;\n# all else is as in `../{file}`. Made from that file by `make shipped`.\n#\n"),
        1,
    );
    [format!("{before}{DISCOVERY}{}", &text[end..]), filter]
}

#[test]
fn the_dynamic_configurations_are_the_static_ones() {
    for file in STATIC {
        let folder = workspace().join("envoy");
        let text = fs::read_to_string(folder.join(file)).expect("a file");
        let names = [format!("dynamic/{file}"), format!("dynamic/filter-of-{file}")];
        for (name, made) in names.iter().zip(made_of(file, &text)) {
            let path = folder.join(name);
            if env::var_os("UPDATE").is_some() {
                fs::write(&path, &made).expect("written");
            }
            let is = fs::read_to_string(&path).unwrap_or_default();
            assert!(is == made, "{name} is out of date: make shipped");
        }
        let mut bootstrap = gateway::shipped(file).expect("a file");
        let filter = gateway::discover(&mut bootstrap, Path::new(FOLDER));
        assert_eq!(gateway::shipped(&names[0]).expect("a file"), bootstrap, "{file}");
        assert_eq!(gateway::shipped(&names[1]).expect("a file")["resources"], json!([filter]), "{file}");
    }
}

/// A shipped file with what a user fills in.
fn filled_in(world: &World, file: &str, provider: &Provider) -> Value {
    let gateway = Gateway::of(file, world.upstream.addr()).expect("a file");
    let listener = |gateway: Gateway| gateway.listener("gateway", |l| world.guarded(l));
    if file == "envoy.yaml" {
        return listener(gateway).build();
    }
    // The keys come from the identity provider, as the file has it, but for TLS.
    let gateway = gateway.listener("gateway", |l| {
        let jwks = l.plugin()["issuers"][0]["jwks"].clone();
        world.guarded(l).edit_plugin(|plugin| plugin["issuers"][0]["jwks"] = jwks)
    });
    let metadata = json!({"issuer": ISSUER.name(), "jwks_uri": format!("{}/certs", ISSUER.name())});
    provider.answer("/.well-known/openid-configuration", Answer::json(&metadata));
    provider.answer("/certs", Answer::json(&ISSUER.jwks()));
    let at = provider.addr();
    gateway
        .edit(|bootstrap| {
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().expect("clusters");
            let idp = clusters.iter_mut().find(|cluster| cluster["name"] == "idp").expect("the provider");
            idp.as_object_mut().expect("a cluster").remove("transport_socket").expect("TLS");
            let endpoint = &mut idp["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
            *endpoint = json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}});
        })
        .build()
}

fn passes(world: &World, addr: SocketAddr, request: impl Fn() -> Request) {
    wait::until("a call to pass", || world.fate(addr, &request()).passed().then_some(())).expect("it passes");
}

/// The gateway that is shared needs an upstream filter that older Envoys do not have; they say so.
#[test]
fn the_shared_configuration_is_taken_from_1_39_on() {
    let world = World::new();
    let gateway = Gateway::of("shared.yaml", world.upstream.addr()).expect("a file");
    let host = "camunda.example.com";
    let filled_in = |manager: &mut Value| manager["route_config"]["virtual_hosts"][0]["domains"] = json!([host]);
    let config = gateway.listener("gateway", |l| world.guarded(l).edit_manager(filled_in)).build();
    if envoy::version().expect("a version") < [1, 39] {
        let refusal = envoy::validate(&config).expect_err("no such filter").to_string();
        assert!(refusal.contains("Didn't find a registered implementation for 'portcullis-belt'"), "{refusal}");
    } else {
        envoy::validate(&config).expect("a configuration");
        let envoy = Launch::new(config).start().expect("Envoy");
        let addr = envoy.addr("gateway").expect("an address");
        let at = |request: Request| request.header("host", host);
        assert!(world.fate(addr, &at(world.create("dora", "invoice"))).passed());
        assert!(world.fate(addr, &at(world.create("dora", "payroll"))).refused(403));
    }
}

/// What a user sees of a guard: who may, may; who may not, may not; and the belt is there.
fn guards(world: &World, envoy: &Envoy, what: &str) {
    let addr = envoy.addr("gateway").expect("an address");
    passes(world, addr, || world.create("dora", "invoice"));
    for (request, status) in [
        (world.create("dora", "payroll"), 403),
        (world.ask("ada, forged"), 401),
        (Request::get("/v2/topology"), 401),
        (Request::get("/v2//topology").bearer(world.token("ada")), 400),
    ] {
        let fate = world.fate(addr, &request);
        assert!(fate.refused(status), "{what}: {} {fate:?}", request.line());
    }
}

#[test]
fn every_static_configuration_guards() {
    for file in STATIC {
        let (world, provider) = (World::new(), Provider::start().expect("a provider"));
        let config = filled_in(&world, file, &provider);
        envoy::validate(&config).expect(file);
        let envoy = Launch::new(config).start().expect("Envoy");
        guards(&world, &envoy, file);
    }
}

#[test]
fn every_dynamic_configuration_guards_and_can_be_changed() {
    for file in STATIC {
        let (world, provider) = (World::new(), Provider::start().expect("a provider"));
        let envoy = Launch::new(filled_in(&world, file, &provider)).discovered_filter().start().expect("Envoy");
        guards(&world, &envoy, file);

        let addr = envoy.addr("gateway").expect("an address");
        let gateway = Gateway::of(file, world.upstream.addr()).expect("a file");
        let open = |process: &str| {
            let grant = json!({
                "ownerType": "USER", "ownerId": "dora", "resourceType": "PROCESS_DEFINITION",
                "resourceId": process, "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
            });
            let policy = json!({"authorizations": [grant]});
            gateway.clone().listener("gateway", |l| world.guarded(l).policy(&policy)).filter()
        };
        assert_eq!(envoy.push_filter(&open("payroll")).expect("a verdict"), Pushed::Accepted);
        passes(&world, addr, || world.create("dora", "payroll"));
        assert!(world.fate(addr, &world.create("dora", "invoice")).refused(403), "{file}");
    }
}
