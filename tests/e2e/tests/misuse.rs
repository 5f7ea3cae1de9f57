//! What goes wrong around the module in operation: files that are not whole, checksums that are not
//! right, configurations that say nothing, several plugins in one proxy. docs/operations.md says
//! what happens; nothing passes that should not.

mod broken;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use broken::Copy;
use portcullis_e2e::client::Request;
use portcullis_e2e::envoy::{Envoy, Launch, Pushed};
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::idp::{Answer, Provider};
use portcullis_e2e::version::{self, NEXT_WORD, WORD};
use portcullis_e2e::{wait, workspace};
use rsa::sha2::{Digest, Sha256};
use serde_json::{Value, json};
use support::World;
use tempfile::TempDir;

fn module() -> Vec<u8> {
    fs::read(workspace().join("target/portcullis.wasm")).expect("the module: run `make wasm`")
}

/// A folder with a module of these bytes.
fn folder_with(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("portcullis.wasm");
    fs::write(&file, bytes).expect("written");
    (folder, file)
}

fn guarded(world: &World, shape: impl FnOnce(Listener) -> Listener) -> Gateway {
    world.gateway().listener("gateway", |l| shape(world.guarded(l)))
}

fn guards(world: &World, addr: SocketAddr, what: &str) {
    assert!(world.fate(addr, &world.create("dora", "invoice")).passed(), "{what}");
    assert!(world.fate(addr, &world.create("dora", "payroll")).refused(403), "{what}");
    assert!(world.fate(addr, &Request::get("/v2/topology")).refused(401), "{what}");
}

fn nothing_passes(world: &World, addr: SocketAddr, what: &str) {
    for request in [world.ask("ada"), world.create("dora", "invoice"), Request::get("/v2/status")] {
        let fate = world.fate(addr, &request);
        assert!(!fate.begun && fate.status.is_none_or(|status| status >= 400), "{what}: {} {fate:?}", request.line());
    }
}

fn discovered(gateway: &Gateway) -> Envoy {
    Launch::new(gateway.clone().build()).discovered_filter().start().expect("Envoy")
}

/// Envoy does not start with a part of a module, and as an update refuses it.
#[test]
fn a_module_cut_short() {
    let (world, whole) = (World::new(), module());
    let envoy = discovered(&guarded(&world, |l| l));
    let addr = envoy.addr("gateway").expect("an address");
    for length in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
        let (_folder, file) = folder_with(&whole[..length]);
        let cut = guarded(&world, |l| l.module(&file));
        assert_eq!(envoy.push_filter(&cut.filter()).expect("a verdict"), Pushed::Rejected, "{length}");
        guards(&world, addr, &format!("after {length} bytes"));
        assert!(Launch::new(cut.build()).start().is_err(), "{length}: Envoy starts");
    }
}

/// The shipped filter with a module that Envoy downloads and that must have that checksum.
fn downloaded(world: &World, provider: &Provider, sha256: &str) -> Gateway {
    shaped(world, provider, sha256, |listener| listener)
}

/// The same in another shape.
fn shaped(world: &World, provider: &Provider, sha256: &str, shape: impl FnOnce(Listener) -> Listener) -> Gateway {
    let remote = json!({"remote": {
        "http_uri": {"uri": "http://modules.test/portcullis.wasm", "cluster": "modules", "timeout": "5s"},
        "sha256": sha256, "retry_policy": {"num_retries": 1},
    }});
    let gateway = guarded(world, |l| shape(l.edit_filter(|filter| filter["vm_config"]["code"] = remote)));
    gateway.cluster("modules", provider.addr())
}

/// A module that Envoy downloads must have the checksum that the configuration says; until it comes,
/// nothing passes, also where another one served before.
#[test]
fn a_module_with_another_checksum() {
    let (world, whole) = (World::new(), module());
    let provider = Provider::start().expect("a web server");
    provider.answer("/portcullis.wasm", Answer::new(200, &whole));
    let right = Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let wrong = "0".repeat(64);
    let envoy = Launch::new(downloaded(&world, &provider, &wrong).build()).start().expect("Envoy");
    nothing_passes(&world, envoy.addr("gateway").expect("an address"), "with a wrong checksum");
    let envoy = discovered(&downloaded(&world, &provider, &right));
    let addr = envoy.addr("gateway").expect("an address");
    guards(&world, addr, "with the right checksum");
    let push = |sha256: &str, nack: bool| {
        let mut filter = downloaded(&world, &provider, sha256).filter();
        filter["config"]["vm_config"]["nack_on_code_cache_miss"] = nack.into();
        envoy.push_filter(&filter).expect("a verdict")
    };
    assert_eq!(push(&wrong, true), Pushed::Rejected);
    guards(&world, addr, "after an update that is refused until its module is there");
    assert_eq!(push(&wrong, false), Pushed::Accepted);
    // By Envoy or by the belt.
    let stopped = || (!world.fate(addr, &world.create("dora", "invoice")).begun).then_some(());
    wait::until("a refusal", stopped).expect("it is stopped");
    nothing_passes(&world, addr, "after an update whose module never came");
    assert_eq!(push(&right, false), Pushed::Accepted);
    let passes = || world.fate(addr, &world.create("dora", "invoice")).passed().then_some(());
    wait::until("the right module", passes).expect("it serves");
    guards(&world, addr, "with the right checksum again");
}

/// Puts a module where Envoy downloads it, and makes a gateway with it: VM and configuration have these names.
fn serving(world: &World, provider: &Provider, module: &[u8], vm_id: &str, name: &str) -> Gateway {
    provider.answer("/portcullis.wasm", Answer::new(200, module));
    let sha256 = Sha256::digest(module).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    shaped(world, provider, &sha256, |listener| {
        let listener = listener.edit_filter(|filter| filter["vm_config"]["vm_id"] = vm_id.into());
        listener.edit_plugin(|plugin| plugin["name"] = name.into()).belt(&[&format!("{name}:allow")])
    })
}

/// Which version counts a call under a configuration's name.
fn running(world: &World, envoy: &Envoy, name: &str) -> &'static str {
    let addr = envoy.addr("gateway").expect("an address");
    let counted = |word: &&str| {
        let stats = envoy.admin(&format!("/stats?filter=wasm_filter.{name}.")).expect("stats");
        version::counted(&stats, word) > 0
    };
    let seen = || {
        // While Envoy downloads, the belt alone refuses.
        assert!(!world.fate(addr, &Request::get("/v2/topology")).begun, "{name}");
        [WORD, NEXT_WORD].into_iter().find(counted)
    };
    wait::until("a count", seen).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

/// Envoy looks for a VM before it has downloaded the code, by `vm_id` alone: a new module takes the place of the one
/// before at once only under another `vm_id`, and else with the change after.
#[test]
fn a_downloaded_module_after_another() {
    let (world, first) = (World::new(), module());
    let second = version::next(&first).expect("another version");
    let provider = Provider::start().expect("a web server");
    let gateway = |module: &[u8], vm_id: &str, name: &str| serving(&world, &provider, module, vm_id, name);
    let envoy = Launch::new(gateway(&first, "portcullis", "one").build()).dynamic_listeners().start().expect("Envoy");
    let push =
        |gateway: Gateway| assert_eq!(envoy.push_listeners(&gateway.listeners()).expect("a verdict"), Pushed::Accepted);
    assert_eq!(running(&world, &envoy, "one"), WORD);
    push(gateway(&second, "portcullis", "two"));
    assert_eq!(running(&world, &envoy, "two"), WORD, "the first version runs on");
    push(gateway(&second, "portcullis", "three"));
    assert_eq!(running(&world, &envoy, "three"), NEXT_WORD, "with the change after");
    push(gateway(&[&first[..], b"\0\x05\x04next"].concat(), "portcullis-4", "four"));
    assert_eq!(running(&world, &envoy, "four"), WORD, "under another name at once");
}

/// What comes by discovery is not downloaded at all, unless Envoy is told to refuse what it does not have: then it fetches
/// the module meanwhile. The same configuration once more changes nothing, another one is taken with the new module.
#[test]
fn a_downloaded_module_by_discovery() {
    let (world, first) = (World::new(), module());
    let second = version::next(&first).expect("another version");
    let provider = Provider::start().expect("a web server");
    let gateway = |module: &[u8]| serving(&world, &provider, module, "portcullis", "orders");
    let envoy = discovered(&gateway(&first));
    let addr = envoy.addr("gateway").expect("an address");
    assert_eq!(running(&world, &envoy, "orders"), WORD);
    let filter = gateway(&second).filter();
    let mut fetching = filter.clone();
    fetching["config"]["vm_config"]["nack_on_code_cache_miss"] = true.into();
    let fetches = provider.fetches("/portcullis.wasm");
    assert_eq!(envoy.push_filter(&fetching).expect("a verdict"), Pushed::Rejected);
    let fetched = || {
        guards(&world, addr, "meanwhile");
        (provider.fetches("/portcullis.wasm") > fetches).then_some(())
    };
    wait::until("a fetch", fetched).expect("it is fetched");
    assert_eq!(envoy.push_filter(&fetching).expect("a verdict"), Pushed::Accepted);
    guards(&world, addr, "after the same once more");
    assert_eq!(running(&world, &envoy, "orders"), WORD, "the first version runs on");
    assert_eq!(envoy.push_filter(&filter).expect("a verdict"), Pushed::Accepted);
    let runs = || {
        guards(&world, addr, "with another configuration");
        (running(&world, &envoy, "orders") == NEXT_WORD).then_some(())
    };
    wait::until("the second version", runs).expect("it runs");

    let fetches = provider.fetches("/portcullis.wasm");
    let third = gateway(&[&first[..], b"\0\x05\x04next"].concat());
    assert_eq!(envoy.push_filter(&third.filter()).expect("a verdict"), Pushed::Accepted);
    let stopped = || (!world.fate(addr, &world.create("dora", "invoice")).begun).then_some(());
    wait::until("a refusal", stopped).expect("it is stopped");
    nothing_passes(&world, addr, "without the module");
    assert_eq!(provider.fetches("/portcullis.wasm"), fetches, "nobody asks for it");
}

/// A configuration that says nothing is refused, however it says it.
#[test]
fn an_empty_configuration() {
    let world = World::new();
    let envoy = discovered(&guarded(&world, |l| l));
    let addr = envoy.addr("gateway").expect("an address");
    let empty: [fn(Listener) -> Listener; 5] = [
        |l| l.plugin_text(""),
        |l| l.plugin_text(" \n"),
        |l| l.plugin_text("{}"),
        |l| l.plugin_text("null"),
        |l| l.edit_filter(|filter| drop(filter.as_object_mut().expect("an object").remove("configuration"))),
    ];
    for (number, shape) in empty.into_iter().enumerate() {
        let gateway = guarded(&world, shape);
        assert_eq!(envoy.push_filter(&gateway.filter()).expect("a verdict"), Pushed::Rejected, "{number}");
        guards(&world, addr, &format!("after {number}"));
        assert!(Launch::new(gateway.build()).start().is_err(), "{number}: Envoy starts");
    }
}

/// A broken first configuration from a file: Envoy is up, and answers 500 until a good one comes.
#[test]
fn a_first_configuration_that_is_broken() {
    let world = World::new();
    let envoy = discovered(&guarded(&world, |l| l.plugin_text("{}")));
    let addr = envoy.addr("gateway").expect("an address");
    for request in [world.ask("ada"), world.create("dora", "invoice"), Request::get("/v2/status")] {
        assert!(world.fate(addr, &request).refused(500), "{}", request.line());
    }
    assert_eq!(envoy.push_filter(&guarded(&world, |l| l).filter()).expect("a verdict"), Pushed::Accepted);
    let passes = || world.fate(addr, &world.create("dora", "invoice")).passed().then_some(());
    wait::until("the good configuration", passes).expect("it serves");
    guards(&world, addr, "with the good one");
}

/// A file that is read while it is being written: half of it is refused, and what is written in
/// place, without a move, is not looked at.
#[test]
fn files_that_are_not_whole() {
    let world = World::new();
    let envoy = discovered(&guarded(&world, |l| l));
    let addr = envoy.addr("gateway").expect("an address");
    let text = fs::read(envoy.filter_file()).expect("a file");
    for length in [0, 1, text.len() / 2, text.len() - 1] {
        assert_eq!(envoy.push_filter_file(&text[..length]).expect("a verdict"), Pushed::Rejected, "{length}");
        guards(&world, addr, &format!("after {length} bytes"));
    }
    for part in [&text[..text.len() / 2], b"{}", &text] {
        fs::write(envoy.filter_file(), part).expect("written in place");
        guards(&world, addr, "written in place");
    }

    // The module's file, replaced in place by a part of itself: the VMs go on, and the next
    // configuration that would read it is refused.
    let whole = module();
    let (_folder, file) = folder_with(&whole);
    let with = |skew: &str| {
        let edit = |plugin: &mut Value| plugin["issuers"][0]["clockSkew"] = skew.into();
        guarded(&world, |l| l.module(&file).edit_plugin(edit)).filter()
    };
    assert_eq!(envoy.push_filter(&with("1s")).expect("a verdict"), Pushed::Accepted);
    fs::write(&file, &whole[..whole.len() / 2]).expect("written in place");
    guards(&world, addr, "with half a file");
    assert_eq!(envoy.push_filter(&with("2s")).expect("a verdict"), Pushed::Rejected);
    guards(&world, addr, "with half a file");
    fs::write(&file, &whole).expect("written in place");
    assert_eq!(envoy.push_filter(&with("3s")).expect("a verdict"), Pushed::Accepted);
    guards(&world, addr, "with the whole file again");
}

fn one_grant(process: &str) -> Value {
    json!({"authorizations": [{
        "ownerType": "USER", "ownerId": "dora", "resourceType": "PROCESS_DEFINITION", "resourceId": process,
        "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
    }]})
}

/// Two of ours in one VM, one per listener: they share verified tokens, and each goes by its own
/// policy.
#[test]
fn two_listeners_with_different_policies() {
    let world = World::new();
    let shape = |l: Listener, name: &str, process: &str| {
        let listener = world.guarded(l).policy(&one_grant(process)).belt(&[&format!("{name}:allow")]);
        listener.edit_plugin(|plugin| plugin["name"] = name.into())
    };
    let gateway = world.gateway();
    let gateway = gateway.listener("one", |l| shape(l, "one", "invoice"));
    let gateway =
        gateway.listener("two", |l| shape(l, "two", "payroll")).listener("same", |l| shape(l, "one", "invoice"));
    let envoy = Launch::new(gateway.build()).start().expect("Envoy");
    let addr = |listener: &str| envoy.addr(listener).expect("an address");
    for _ in 0..3 {
        for (listener, may, may_not) in
            [("one", "invoice", "payroll"), ("two", "payroll", "invoice"), ("same", "invoice", "payroll")]
        {
            assert!(world.fate(addr(listener), &world.create("dora", may)).passed(), "{listener}");
            assert!(world.fate(addr(listener), &world.create("dora", may_not)).refused(403), "{listener}");
        }
    }
}

/// Two of ours in one chain leave one word on the request, that of the last: a belt for the first
/// lets nothing pass, one for the last only what both allow.
#[test]
fn two_plugins_in_one_chain() {
    let world = World::new();
    let both = |l: Listener, belt: &str| {
        let policy = json!({"authorizations": [
            one_grant("invoice")["authorizations"][0], one_grant("payroll")["authorizations"][0],
        ]});
        let second = l.clone();
        let second = world.guarded(second).policy(&one_grant("payroll"));
        let second = second.edit_plugin(|plugin| plugin["name"] = "billing".into()).rename_filter("second");
        world.guarded(l).policy(&policy).belt(&[belt]).edit_manager(|manager| {
            let filters = manager["http_filters"].as_array_mut().expect("filters");
            second.edit_manager(|other| filters.insert(1, other["http_filters"][0].clone()));
        })
    };
    let gateway = world.gateway();
    let gateway = gateway.listener("first", |l| both(l, "orders:allow")).listener("last", |l| both(l, "billing:allow"));
    let envoy = Launch::new(gateway.build()).start().expect("Envoy");
    let addr = |listener: &str| envoy.addr(listener).expect("an address");
    for process in ["invoice", "payroll", "shipping"] {
        assert!(world.fate(addr("first"), &world.create("dora", process)).refused(403), "{process}");
        let fate = world.fate(addr("last"), &world.create("dora", process));
        assert_eq!(fate.passed(), process == "payroll", "{process} {fate:?}");
        assert!(fate.passed() || fate.refused(403), "{process} {fate:?}");
    }
}

/// What other plugins write into shared data and queues cannot reach ours. The SDK declares these
/// functions; in this copy each of them ends the VM, and nothing ever calls one.
#[test]
fn shared_data_is_never_touched() {
    let world = World::new();
    let provider = Provider::start().expect("a provider");
    provider.answer("/certs", Answer::json(&support::ISSUER.jwks()));
    let module = Copy::new().trapping_at("shared").save();
    let remote = json!({"remote": {"uri": "http://idp.test/certs", "cluster": "idp"}});
    let gateway = guarded(&world, |l| l.module(&module).edit_plugin(|plugin| plugin["issuers"][0]["jwks"] = remote));
    let envoy = Launch::new(gateway.cluster("idp", provider.addr()).build()).start().expect("Envoy");
    let addr = envoy.addr("gateway").expect("an address");
    for _ in 0..3 {
        guards(&world, addr, "without shared data");
    }
    assert_eq!(envoy.stats("vm_reload").expect("stats").values().sum::<u64>(), 0);
}
