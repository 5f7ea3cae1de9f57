//! `portcullis compile`

use super::args::CompileArguments;
use super::{End, Failure, Progress, policies};
use crate::config;
use crate::policy::Collector;
use crate::suite::{self, SuiteError};
use crate::table::{OwnerType, Table};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::{fs, process};

/// The longest table that has room in a configuration, in bytes: there it stands in base64.
const LONGEST_TABLE: usize = config::MAX_BYTES / 4 * 3 - 64 * 1024;

pub fn run(arguments: &CompileArguments, out: &mut impl Write) -> Result<End, Failure> {
    let progress = Progress::start();
    let mut collector = Collector::default();
    for path in &arguments.policies {
        policies::collect(path, &mut collector)?;
        progress.say(format_args!("{} is read", path.display()));
    }
    let (bytes, warnings) = collector.table(built(arguments)?);
    progress.say("the table is made");
    policies::warn(&warnings);
    if arguments.strict && !warnings.is_empty() {
        return Err(SuiteError(format!("{} warnings, which --strict takes for errors", warnings.len())).into());
    }
    let table = Table::open(bytes).map_err(|e| SuiteError(e.to_string()))?;
    write_atomically(&arguments.output, table.bytes())?;
    if table.bytes().len() > LONGEST_TABLE {
        let bytes = table.bytes().len();
        eprintln!("portcullis: warning: the table has {bytes} bytes; in a configuration {LONGEST_TABLE} have room");
    }
    report(&table, arguments.json, out)?;
    Ok(End::Yes)
}

/// The time that is written into the table; none by default, so that the same policy always gives
/// the same bytes.
fn built(arguments: &CompileArguments) -> Result<u64, SuiteError> {
    let time = match (&arguments.built, std::env::var("SOURCE_DATE_EPOCH")) {
        (Some(text), _) => {
            suite::instant(text).ok_or_else(|| SuiteError(format!("--built: `{text}` is not a time of RFC 3339")))?
        }
        (None, Ok(text)) => {
            text.parse().map_err(|_| SuiteError(format!("SOURCE_DATE_EPOCH: `{text}` is not a number of seconds")))?
        }
        (None, Err(_)) => 0,
    };
    u64::try_from(time).map_err(|_| SuiteError("--built: before 1970".into()))
}

fn report(table: &Table, as_json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let owners = OwnerType::ALL.map(|kind| (kind, table.owners(kind)));
    let all: u64 = owners.iter().map(|(_, count)| u64::from(*count)).sum();
    let (grants, bytes) = (table.grants(), table.bytes().len());
    let per_grant = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(grants.max(1));
    if as_json {
        let by_type: serde_json::Map<_, _> = owners.iter().map(|(kind, n)| (kind.name().into(), json!(n))).collect();
        let object = json!({
            "grants": grants, "owners": all, "ownersByType": by_type, "bytes": bytes,
            "bytesPerGrant": (per_grant * 1000.0).round() / 1000.0, "table": &**table.digest(),
        });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let by_type: Vec<String> = owners.iter().map(|(kind, n)| format!("{} {n}", kind.name())).collect();
    writeln!(out, "grants           {grants}")?;
    writeln!(out, "owners           {all} ({})", by_type.join(", "))?;
    writeln!(out, "bytes            {bytes}")?;
    writeln!(out, "bytes per grant  {per_grant:.2}")?;
    writeln!(out, "digest           {}", table.digest())?;
    Ok(())
}

/// Writes a file so that a reader finds the old one or the new one, whole.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), SuiteError> {
    let fail = |error: std::io::Error| SuiteError(format!("{}: {error}", path.display()));
    let name = path.file_name().ok_or_else(|| SuiteError(format!("{}: is not a file", path.display())))?;
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(format!(".{}", process::id()));
    let aside = path.with_file_name(aside);
    let written = fs::File::create(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&aside, path)).map_err(|error| {
        let _gone = fs::remove_file(&aside);
        fail(error)
    })
}
