//! The commands of docs/runbook.md, every one and in its order, on a real Envoy that reads the filter
//! from a file, as envoy/dynamic has it.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use portcullis_e2e::command::command_line;
use portcullis_e2e::envoy::{Envoy, Launch};
use portcullis_e2e::gateway::Gateway;
use portcullis_e2e::{wait, workspace};
use serde_json::{Value, json};
use support::{ISSUER, World};
use tempfile::TempDir;

/// A change may bring a module that Envoy has to compile.
const TAKEN: Duration = Duration::from_secs(60);

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).expect("a file")
}

/// What stands between "```sh" and "```".
fn blocks(page: &str) -> Vec<String> {
    page.split("\n```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn grants(processes: &[&str]) -> Value {
    let grant = |process: &&str| {
        json!({
            "ownerType": "USER", "ownerId": "dora", "resourceType": "PROCESS_DEFINITION", "resourceId": process,
            "permissionTypes": ["CREATE_PROCESS_INSTANCE"],
        })
    };
    json!({"authorizations": processes.iter().map(grant).collect::<Vec<_>>()})
}

/// The shipped file of the filter, with what a user fills in.
fn filter(modules: &str) -> String {
    let shipped = read("envoy/dynamic/filter-of-envoy.yaml");
    let (before, rest) = shipped.split_once("\"issuers\": [").expect("issuers");
    let (_, rest) = rest.split_once("\"credentials\":").expect("credentials");
    let (between, rest) = rest.split_once("\"policy\": {").expect("a policy");
    let (_, after) = rest.split_once("\"mode\":").expect("a mode");
    let issuer = json!([{
        "issuer": ISSUER.name(), "audiences": [ISSUER.audience()], "jwks": {"inline": ISSUER.jwks()},
        "claims": {"username": "preferred_username"},
    }]);
    let policy = grants(&["invoice"]);
    format!("{before}\"issuers\": {issuer}, \"credentials\":{between}\"policy\": {policy}, \"mode\":{after}")
        .replace("/etc/envoy/portcullis.wasm", &format!("{modules}/portcullis.wasm"))
}

/// Who works by the page, with what it takes for granted.
struct Desk {
    world: World,
    folder: TempDir,
    functions: String,
    envoy: Envoy,
}

impl Desk {
    fn new(functions: &str) -> Self {
        let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
        let at = |name: &str| folder.path().join(name);
        for name in ["watched", "modules", "bin"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        let module = fs::read(workspace().join("target/portcullis.wasm")).expect("the module: run `make wasm`");
        fs::write(at("modules/portcullis.wasm"), &module).expect("written");
        // The next module differs: by a custom section, four bytes and no more.
        fs::write(at("portcullis.wasm"), [&module[..], b"\0\x05\x04next"].concat()).expect("written");
        symlink(command_line(), at("bin/portcullis")).expect("a link");
        fs::write(at("watched/filter.yaml"), filter(&at("modules").display().to_string())).expect("written");
        fs::write(at("policy.json"), grants(&["invoice"]).to_string()).expect("written");
        fs::write(at("policy-new.json"), grants(&["invoice", "payroll"]).to_string()).expect("written");
        let case = json!({
            "name": "dora", "principal": {"username": "dora"}, "expect": {"decision": "allow"},
            "request": {"method": "POST", "path": "/v2/process-instances", "body": {"processDefinitionId": "invoice"}},
        });
        let suite = json!({"policy": "policy.json", "cases": [case]});
        fs::write(at("suite.yaml"), suite.to_string()).expect("written");
        let envoy = start(&world, &folder, &["orders:allow", "orders:shadow"]);
        Self { world, folder, functions: functions.to_owned(), envoy }
    }

    fn addr(&self) -> SocketAddr {
        self.envoy.addr("gateway").expect("an address")
    }

    /// Runs a block: exit status and what it prints.
    fn run(&self, block: &str) -> (Option<i32>, String) {
        let folder = self.folder.path().display();
        let admin = self.envoy.admin_addr();
        let variables = format!("ADMIN=http://{admin} FOLDER={folder}/watched MODULES={folder}/modules");
        let script = format!("{variables}\nPATH={folder}/bin:$PATH\n{}\n{block}", self.functions);
        let output = Command::new("sh").args(["-uc", &script]).current_dir(&self.folder).output().expect("a shell");
        assert!(output.stderr.is_empty(), "{block}{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    }

    /// Does what a block says.
    fn does(&self, block: &str) {
        let (status, text) = self.run(block);
        assert_eq!(status, Some(0), "{block}{text}");
    }

    /// Looks until a block shows these texts, and ends like that.
    fn sees(&self, block: &str, status: i32, texts: &[&str]) {
        let mut last = (None, String::new());
        let seen = wait::until_within(TAKEN, block, || {
            last = self.run(block);
            (last.0 == Some(status) && texts.iter().all(|text| last.1.contains(text))).then_some(())
        });
        assert!(seen.is_ok(), "{block}{last:?}");
    }

    /// Calls until a call of dora's for that process is answered like that.
    fn answers(&self, process: &str, status: u16) {
        let addr = self.addr();
        let answered = || self.world.fate(addr, &self.world.create("dora", process)).status == Some(status);
        wait::until_within(TAKEN, &format!("{status} for {process}"), || answered().then_some(())).expect("an answer");
    }
}

/// The shipped Envoy with that belt, and the filter from the watched folder.
fn start(world: &World, folder: &TempDir, belt: &[&str]) -> Envoy {
    let gateway = Gateway::of("dynamic/envoy.yaml", world.upstream.addr()).expect("a file");
    let config = gateway.listener("gateway", |l| l.belt(belt)).build();
    let watched = folder.path().join("watched").display().to_string();
    let config = config.to_string().replace("/etc/envoy/portcullis", &watched);
    Launch::new(serde_json::from_str(&config).expect("JSON")).start().expect("Envoy")
}

#[test]
fn every_command_of_the_runbook_does_what_it_says() {
    let page = read("docs/runbook.md");
    let mut blocks = blocks(&page).into_iter();
    let mut next = |begin: &str| {
        let block = blocks.next().unwrap_or_else(|| panic!("no block {begin:?}"));
        assert!(block.starts_with(begin), "{begin:?} is to come next, not {block}");
        block
    };
    let variables = next("ADMIN=");
    for (line, name) in variables.lines().zip(["ADMIN=", "FOLDER=", "MODULES="]) {
        assert!(line.starts_with(name), "{line}");
    }
    assert_eq!(variables.lines().count(), 3);
    let mut desk = Desk::new(&next("change()"));

    // Roll-out.
    desk.answers("invoice", 200);
    desk.answers("payroll", 403);
    desk.does(&next("portcullis lint"));
    desk.does(&next("change 's/\"mode\""));
    desk.answers("payroll", 200);
    desk.sees(
        &next("portcullis doctor"),
        1,
        &["(shadow)", "(belt_passes_shadow)", "0 critical, 2 warnings, 0 notices"],
    );
    desk.sees(&next("counted portcullis_shadow"), 0, &["component=\"resource_not_granted\""]);
    desk.does(&next("change 's/\"mode\""));
    desk.answers("payroll", 403);
    desk.sees(
        &next("counted portcullis_decisions"),
        0,
        &["component=\"granted_id\"", "component=\"resource_not_granted\""],
    );
    desk.envoy = start(&desk.world, &desk.folder, &["orders:allow"]);
    desk.sees(&next("portcullis doctor"), 0, &["0 critical, 0 warnings, 0 notices"]);

    // A change of the policy.
    desk.sees(&next("portcullis diff"), 1, &["payroll"]);
    desk.does(&next("portcullis compile"));
    let counted = next("counted portcullis_candidate");
    wait::until_within(TAKEN, "the candidate", || {
        desk.answers("payroll", 403);
        desk.run(&counted).1.contains("component=\"deny_allow\"").then_some(())
    })
    .expect("a call that only the candidate would allow");
    desk.does(&next("change 's|\"candidate\""));
    desk.answers("invoice", 200);
    desk.does(&next("change 's/\"version\": 1"));
    desk.sees(&next("curl"), 0, &["update_rejected: 1"]);
    desk.answers("invoice", 200);
    desk.does(&next("back"));

    // An upgrade of the module.
    desk.does(&next("cp portcullis.wasm"));
    let in_use = |name: &str| {
        let dump = || desk.envoy.config_dump().ok().filter(|dump| dump.to_string().contains(name));
        wait::until_within(TAKEN, name, dump).expect("the module");
        desk.answers("invoice", 200);
        desk.answers("payroll", 403);
    };
    in_use("portcullis-next.wasm");
    desk.sees(&next("portcullis doctor"), 0, &["0 critical"]);
    desk.sees(&next("counted portcullis_denies"), 0, &["component=\"plan\"", "} 0"]);
    desk.does(&next("back"));
    in_use("modules/portcullis.wasm");

    // An upgrade of the cluster.
    desk.does(&next("change 's/\"version\": \"8.9\""));
    in_use("\\\"version\\\": \\\"8.10\\\"");
    desk.sees(&next("counted 'portcullis_decisions"), 0, &["no unknown operations"]);

    // Something is down.
    desk.sees(&next("counted 'portcullis_key_fetches"), 0, &["portcullis_denies_everything", "vm_reload"]);
    desk.sees(&next("counted portcullis_memory"), 0, &["portcullis_memory_bytes{"]);
    assert_eq!(blocks.next(), None);
}
