//! What is fetched: once, by the registries' own clients, which check what they get; kept outside
//! the tree.

use anyhow::{Context, Result, ensure};
use portcullis_e2e::cache;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A distribution on Maven Central, and the one folder in it.
pub struct Distribution {
    artifact: &'static str,
    folder: &'static str,
}

/// A broker with a gateway for REST and gRPC, without a database.
pub const CAMUNDA: Distribution =
    Distribution { artifact: "io.camunda:camunda-zeebe:8.6.0:tar.gz", folder: "camunda-zeebe-8.6.0" };
/// An identity provider.
pub const KEYCLOAK: Distribution =
    Distribution { artifact: "org.keycloak:keycloak-quarkus-dist:26.4.0:zip", folder: "keycloak-26.4.0" };

const UNPACK: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack";
const CLIENTS: [&str; 5] = ["package.json", "package-lock.json", "steps.mjs", "rest.mjs", "grpc.mjs"];

impl Distribution {
    /// Its folder; fetched where it is not there yet.
    pub fn fetch(&self, java: &Path) -> Result<PathBuf> {
        let cache = cache()?;
        let place = cache.join(self.folder);
        if !place.exists() {
            fs::create_dir_all(&cache)?;
            // Moved into place when whole, so that an interrupted fetch leaves nothing behind.
            let whole = tempfile::tempdir_in(&cache)?;
            eprintln!("fetching {}", self.artifact);
            let mut maven = Command::new("mvn");
            maven.args(["--quiet", "--batch-mode", "--strict-checksums", UNPACK]).env("JAVA_HOME", java);
            maven.arg(format!("-Dartifact={}", self.artifact));
            maven.arg(format!("-DoutputDirectory={}", whole.path().display())).current_dir(whole.path());
            run(&mut maven)?;
            fs::rename(whole.path().join(self.folder), &place).context("unpacked in another folder")?;
        }
        Ok(place)
    }
}

/// The folder of the clients, with all that they need.
pub fn clients() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let place = cache()?.join("cluster-clients");
    fs::create_dir_all(&place)?;
    let lock = "package-lock.json";
    let is_current = fs::read(place.join(lock)).ok() == Some(fs::read(source.join(lock))?);
    for file in CLIENTS {
        fs::copy(source.join(file), place.join(file)).with_context(|| file.to_owned())?;
    }
    // npm writes this file last.
    if !is_current || !place.join("node_modules/.package-lock.json").exists() {
        eprintln!("fetching Camunda's clients");
        let mut npm = Command::new("npm");
        run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]).current_dir(&place))?;
    }
    Ok(place)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        said(&output.stdout),
        said(&output.stderr)
    );
    Ok(())
}
