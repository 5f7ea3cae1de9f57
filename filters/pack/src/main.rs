//! Finishes the module after the linker: `portcullis-pack IN OUT`.
//!
//! The proxy-wasm crate exports a function for everything that a proxy may tell a module. A proxy
//! leaves out what a module does not export, and enters it for what it does, even where nothing is
//! done there. So what serves requests is put in place of the crate's, what serves the
//! configuration stays, and the rest goes, with all that only the rest needed.

use std::path::Path;
use std::process::ExitCode;
use walrus::ModuleConfig;

/// What stays as it is: memory, the ABI's version, and the crate's way to the configuration.
const KEPT: [&str; 6] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_http_call_response",
];
/// Our own are called so, and the proxy looks for them with the second beginning.
const OURS: (&str, &str) = ("path_", "proxy_on_");
/// Which they are.
const PATH: [&str; 6] =
    ["memory_allocate", "context_create", "tick", "request_headers", "request_body", "request_trailers"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &*arguments else {
        eprintln!("usage: portcullis-pack IN OUT");
        return ExitCode::from(2);
    };
    match pack(Path::new(from)).and_then(|module| Ok(std::fs::write(to, module)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-pack: {from}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pack(from: &Path) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    // Names of functions are a tenth of the module, and nobody reads them: it does not trap.
    let mut module = ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse_file(from)
        .map_err(|error| format!("{error:#}"))?;
    let wanted = PATH.map(|name| (format!("{}{name}", OURS.0), format!("{}{name}", OURS.1)));
    for name in KEPT.into_iter().chain(wanted.iter().map(|(ours, _)| &**ours)) {
        if !module.exports.iter().any(|export| export.name == name) {
            return Err(format!("it has no export {name}").into());
        }
    }
    let all: Vec<_> = module.exports.iter().map(|export| (export.id(), export.name.clone())).collect();
    for (id, name) in all {
        match wanted.iter().find(|(ours, _)| *ours == name) {
            Some((_, public)) => module.exports.get_mut(id).name.clone_from(public),
            None if KEPT.contains(&&*name) => {}
            None => module.exports.delete(id),
        }
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}
