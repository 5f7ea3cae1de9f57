//! The JSON schema of the configuration in `docs/` is that of the code.
//!
//! `UPDATE=1 cargo test --features cli --test schema` writes it anew.

use portcullis::config::Configuration;
use std::fs;
use std::path::Path;

#[test]
fn the_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.schema.json");
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Configuration)).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|kept| kept == schema),
        "UPDATE=1 cargo test --features cli --test schema"
    );
}

#[test]
fn the_readme_names_every_field() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let schema = serde_json::to_value(schemars::schema_for!(Configuration)).unwrap();
    let of_policy = ["Policy", "Authorization", "Role", "Group", "Rule", "Tenant"];
    let shapes = schema["$defs"].as_object().unwrap().iter().filter(|(name, _)| !of_policy.contains(&name.as_str()));
    for shape in shapes.map(|(_, shape)| shape).chain([&schema]) {
        for field in shape["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            assert!(readme.contains(field.as_str()), "README.md does not name `{field}`");
        }
    }
}
