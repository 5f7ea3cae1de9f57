//! What is tried, and what must come of it.

mod changes;
mod corpus;
mod forms;
mod http2;
mod inputs;
mod keys;
mod native;
mod schemas;
mod sidecar;
mod traps;
mod waypoint;

use crate::world::World;
use anyhow::Result;
use serde_json::{Value, json};

/// A scenario: it begins with a gateway that judges nothing.
pub type Scenario = fn(&mut World) -> Result<()>;

/// All scenarios, by name.
pub const ALL: &[(&str, Scenario)] = &[
    ("forms", forms::every_form_guards),
    ("pushes", changes::a_push_under_traffic),
    ("upgrade", changes::an_upgrade_and_the_way_back),
    ("shadow", changes::shadow_counts_and_forwards),
    ("refused-first", traps::a_refused_first_configuration),
    ("refused-update", traps::a_refused_update),
    ("module-away", traps::a_module_that_cannot_be_fetched),
    ("registry-away", traps::a_registry_that_is_away_at_start),
    ("registry-later", traps::a_registry_that_goes_away_later),
    ("no-scheme", traps::an_address_without_a_scheme),
    ("other-port", traps::a_port_without_the_plugin),
    ("made-again", traps::a_plugin_deleted_and_made_again),
    ("broken-name", traps::a_name_that_envoy_remembers_as_broken),
    ("route-override", traps::a_route_that_switches_the_filter_off),
    ("second-plugin", traps::a_second_plugin),
    ("foreign-plugin", traps::a_plugin_of_others),
    ("keys", keys::fetched_keys),
    ("http2", http2::through_the_gateway),
    ("mangled", inputs::what_istio_makes_of_a_configuration),
    ("odd-configurations", inputs::configurations_that_are_none),
    ("large", inputs::large_objects),
    ("schemas", schemas::what_users_get_wrong),
    ("native", native::what_istio_has_itself),
    ("corpus", corpus::the_same_verdicts),
    ("sidecar", sidecar::a_sidecar),
    ("tcp-port", sidecar::a_port_of_another_protocol),
    ("waypoint", waypoint::a_waypoint),
];

/// The same object with another value there; without one, where that is null.
fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let members = object.pointer_mut(parent).and_then(Value::as_object_mut).expect("what is changed");
    members.remove(name);
    if !value.is_null() {
        members.insert(name.to_owned(), value);
    }
    object
}

/// The plugin with a configuration that the module refuses.
fn broken(plugin: &Value) -> Value {
    with(plugin, "/spec/pluginConfig/issuers", json!([]))
}
