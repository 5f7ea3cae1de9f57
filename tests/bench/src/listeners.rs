//! What Envoy is given: the shipped listener, once for everything that is compared, in one Envoy
//! with one worker. They differ in their filters alone. Behind these, Envoy itself answers 200: an
//! upstream would add its noise and nothing else. Nothing is written to an access log.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use portcullis_e2e::gateway::{Gateway, Listener};
use portcullis_e2e::tokens::Issuer;
use serde_json::{Value, json};

use crate::grants;
use crate::native::{self, Cache};
use crate::options::Options;

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
/// Envoy's own filters, which keep verified tokens.
pub const NATIVE: &str = "native";
/// Envoy's own filters, which check every token.
pub const FORGETFUL: &str = "forgetful";

/// The listener of another build of the module, by its number on the command line.
pub fn beside(number: usize) -> String {
    format!("beside-{number}")
}

/// Envoy's configuration with all listeners.
pub fn bootstrap(options: &Options, issuer: &Issuer) -> Result<Value> {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let module = &options.module;
    let ours = |l: Listener, module: &Path, vm: &str| in_vm(l, module, vm).issuer(issuer).policy(&grants::policy());
    let envoys = |l: Listener, cache| {
        let [jwt_authn, rbac] = native::filters(issuer, cache);
        l.without_filter().without_belt().edit_manager(|manager| {
            let filters = manager["http_filters"].as_array_mut().expect("http_filters");
            filters.splice(0..0, [jwt_authn, rbac]);
        })
    };
    let mut gateway = Gateway::new(nowhere)?
        .listener(DIRECT, |l| answering(l, DIRECT).without_filter().without_belt())
        .listener(NOOP, |l| nothing(in_vm(answering(l, NOOP), &options.noop, NOOP)).without_belt())
        .listener(PORTCULLIS, |l| unlogged(ours(answering(l, PORTCULLIS), module, PORTCULLIS)))
        .listener(LOGGED, |l| ours(answering(l, LOGGED), module, PORTCULLIS))
        .listener(STRANGERS, |l| unlogged(ours(answering(l, STRANGERS), module, STRANGERS)))
        .listener(NATIVE, |l| envoys(answering(l, NATIVE), Cache::On))
        .listener(FORGETFUL, |l| envoys(answering(l, FORGETFUL), Cache::Off));
    for (number, module) in options.beside.iter().enumerate() {
        let name = beside(number);
        gateway = gateway.listener(&name, |l| unlogged(ours(answering(l, &name), module, &name)));
    }
    Ok(gateway.build())
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
