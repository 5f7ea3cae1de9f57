//! Every form in which the filter and the belt come to a gateway.

use crate::sources::module;
use crate::world::World;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;

/// WasmPlugin and TrafficExtension, the module as a file, from a web server and from a registry; and
/// filter and belt in one EnvoyFilter. Each is accepted strictly, guards, and leaves the doctor
/// nothing to say.
pub fn every_form_guards(world: &mut World) -> Result<()> {
    let (file, web, image) = (world.file_url.clone(), world.web.url(), world.registry.url());
    let checksum = fs::read_to_string(module().with_extension("wasm.sha256")).context("made by `make image`")?;
    let of_file = checksum.split(' ').next().unwrap_or_default();
    let of_image = world.registry.digest.clone();
    let sources = [
        vec!["--url", &file],
        vec!["--url", &web],
        vec!["--url", &web, "--sha256", of_file],
        vec!["--url", &image],
        vec!["--url", &image, "--sha256", &of_image],
    ];
    for kind in ["istio", "traffic-extension"] {
        for source in &sources {
            guards(world, &[&[kind][..], source].concat())?;
        }
    }
    guards(world, &["istio", "--hold", "--url", &file])
}

fn guards(world: &mut World, arguments: &[&str]) -> Result<()> {
    let objects = world.portcullis.render(&world.rendering(arguments))?;
    check(world, &objects).with_context(|| arguments.join(" "))?;
    world.reset()
}

fn check(world: &World, objects: &[Value]) -> Result<()> {
    let (valid, said) = world.istioctl(objects)?;
    ensure!(valid, "istioctl validate: {said}");
    let found = world.portcullis.examine(objects)?;
    ensure!(found.is_empty(), "the doctor says {found:?} of the manifests");
    world.guarded_by(objects)?;
    world.doctor_says(&[])
}
