//! Takes every file of `tests/suites` into the crate: WebAssembly has no files to read.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name));
    let suites = folder("CARGO_MANIFEST_DIR")?.parent().unwrap_or(Path::new("..")).join("suites");
    let mut files = Vec::new();
    let mut folders = vec![suites];
    while let Some(folder) = folders.pop() {
        println!("cargo::rerun-if-changed={}", folder.display());
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let list: String = files.iter().map(|path| format!("({path:?}, include_bytes!({path:?})),\n")).collect();
    fs::write(folder("OUT_DIR")?.join("files.rs"), format!("&[\n{list}]\n"))
}
