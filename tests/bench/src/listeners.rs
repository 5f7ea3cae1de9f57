//! What Envoy is given: the shipped listener, once for everything that is compared, in one Envoy
//! with one worker. They differ in their filters alone. Behind these, Envoy itself answers 200: an
//! upstream would add its noise and nothing else. Nothing is written to an access log.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use portcullis_e2e::gateway::{Gateway, Listener};
use serde_json::{Value, json};

use crate::cases::Providers;
use crate::grants::{self, FEW};
use crate::native::{self, Cache};
use crate::options::Options;
use crate::provider::{AUDIENCE, ISSUER, Provider};

/// No filter but the router.
pub const DIRECT: &str = "direct";
/// A module that does nothing.
pub const NOOP: &str = "noop";
/// Portcullis with the belt.
pub const PORTCULLIS: &str = "portcullis";
/// The same with the decision left in the filter state, for access logs.
pub const LOGGED: &str = "logged";
/// [`PORTCULLIS`] again in a VM of its own, whose cache ever new tokens fill.
pub const STRANGERS: &str = "strangers";
/// The same with tokens that are signed ES256.
pub const STRANGERS_ES256: &str = "strangers, ES256";
/// [`PORTCULLIS`] with grants that many have by a role.
pub const MEMBERS: &str = "members";
/// [`PORTCULLIS`] with grants on what bodies name.
pub const PROCESSES: &str = "processes";
/// Envoy's own filters, which keep verified tokens.
pub const NATIVE: &str = "native";
/// The same, for so many tokens that they do not keep them all.
pub const NATIVE_MEMBERS: &str = "native, members";
/// Envoy's own filters, which check every token.
pub const FORGETFUL: &str = "forgetful";
/// The same with tokens that are signed ES256.
pub const FORGETFUL_ES256: &str = "forgetful, ES256";

/// The listener of Portcullis with more grants.
pub fn ours_with(grants: usize) -> String {
    format!("{PORTCULLIS}, {grants}")
}

/// The listener of Envoy's own filters with more policies.
pub fn native_with(policies: usize) -> String {
    format!("{NATIVE}, {policies}")
}

/// Grants and policies beyond a few.
pub const MANY: [usize; 2] = [1_000, 10_000];

/// The most grants, which Envoy's own filters are not put to.
pub const MILLION: usize = 1_000_000;

/// The listener of another build of the module, by its number on the command line.
pub fn beside(number: usize) -> String {
    format!("beside-{number}")
}

/// Envoy's configuration with all listeners.
pub fn bootstrap(options: &Options, providers: &Providers) -> Result<Value> {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let Providers { rs256, es256 } = providers;
    let module = &options.module;
    let ours = |name: &str, vm: &str, provider: &Provider, policy: &Value| {
        let (name, vm, policy, jwks) = (name.to_owned(), vm.to_owned(), policy.clone(), provider.jwks());
        move |l: Listener| unlogged(guarded(in_vm(answering(l, &name), module, &vm), jwks).policy(&policy))
    };
    let envoys = |name: &str, provider: &Provider, cache, policies| {
        let (name, filters) = (name.to_owned(), native::filters(provider, cache, policies));
        move |l: Listener| {
            answering(l, &name).without_filter().without_belt().edit_manager(|manager| {
                let all = manager["http_filters"].as_array_mut().expect("http_filters");
                all.splice(0..0, filters);
            })
        }
    };
    let few = grants::policy(FEW);
    let mut gateway = Gateway::new(nowhere)?
        .listener(DIRECT, |l| answering(l, DIRECT).without_filter().without_belt())
        .listener(NOOP, |l| nothing(in_vm(answering(l, NOOP), &options.noop, NOOP)).without_belt())
        .listener(PORTCULLIS, ours(PORTCULLIS, PORTCULLIS, rs256, &few))
        .listener(LOGGED, |l| guarded(in_vm(answering(l, LOGGED), module, PORTCULLIS), rs256.jwks()).policy(&few))
        .listener(STRANGERS, ours(STRANGERS, STRANGERS, rs256, &few))
        .listener(STRANGERS_ES256, ours(STRANGERS_ES256, STRANGERS, es256, &few))
        .listener(MEMBERS, ours(MEMBERS, MEMBERS, rs256, &grants::members_policy()))
        .listener(PROCESSES, ours(PROCESSES, PORTCULLIS, rs256, &grants::processes_policy()))
        .listener(NATIVE, envoys(NATIVE, rs256, Cache::On, FEW))
        .listener(NATIVE_MEMBERS, envoys(NATIVE_MEMBERS, rs256, Cache::On, FEW))
        .listener(FORGETFUL, envoys(FORGETFUL, rs256, Cache::Off, FEW))
        .listener(FORGETFUL_ES256, envoys(FORGETFUL_ES256, es256, Cache::Off, FEW));
    for count in MANY {
        let (of_ours, of_native) = (ours_with(count), native_with(count));
        gateway = gateway
            .listener(&of_ours, ours(&of_ours, PORTCULLIS, rs256, &grants::policy(count)))
            .listener(&of_native, envoys(&of_native, rs256, Cache::On, count));
    }
    let of_million = ours_with(MILLION);
    let table = grants::table(&grants::policy(MILLION))?;
    gateway = gateway.listener(&of_million, |l| with_table(ours(&of_million, PORTCULLIS, rs256, &json!({}))(l), table));
    for (number, module) in options.beside.iter().enumerate() {
        let name = beside(number);
        gateway = gateway.listener(&name, |l| {
            unlogged(guarded(in_vm(answering(l, &name), module, &name), rs256.jwks()).policy(&few))
        });
    }
    Ok(gateway.build())
}

/// One listener of Portcullis with that table.
pub fn with_one_table(options: &Options, provider: &Provider, table: String) -> Result<Gateway> {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let ours = |l| unlogged(guarded(answering(l, PORTCULLIS).module(&options.module), provider.jwks()));
    Ok(Gateway::new(nowhere)?.listener(PORTCULLIS, |l| with_table(ours(l), table)))
}

/// A compiled table in place of the policy.
fn with_table(listener: Listener, table: String) -> Listener {
    listener.edit_plugin(|plugin| {
        let plugin = plugin.as_object_mut().expect("a configuration");
        plugin.remove("policy");
        plugin.insert("table".into(), table.into());
    })
}

/// Goes by the tokens of that key set.
pub fn guarded(listener: Listener, jwks: Value) -> Listener {
    listener.edit_plugin(|plugin| {
        let issuer = &mut plugin["issuers"][0];
        issuer["issuer"] = ISSUER.into();
        issuer["audiences"] = json!([AUDIENCE]);
        issuer["jwks"] = json!({"inline": jwks});
        issuer["algorithms"] = json!([jwks["keys"][0]["alg"]]);
    })
}

/// Every request that the filters let pass is answered at once.
fn answering(listener: Listener, name: &str) -> Listener {
    listener.edit_manager(|manager| {
        manager["stat_prefix"] = name.into();
        manager["access_log"] = json!([]);
        let route = json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}});
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!([route]);
    })
}

fn in_vm(listener: Listener, module: &Path, vm: &str) -> Listener {
    listener.module(module).edit_filter(|filter| filter["vm_config"]["vm_id"] = vm.into())
}

fn unlogged(listener: Listener) -> Listener {
    listener.edit_plugin(|plugin| plugin["decisionLog"] = json!({"filterState": false}))
}

/// A module that does nothing needs no configuration.
fn nothing(listener: Listener) -> Listener {
    listener.plugin_text("")
}
