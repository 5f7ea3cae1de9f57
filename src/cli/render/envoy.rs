//! The shipped Envoy configuration, with its comments, and the given configuration in it.

use super::super::{End, Failure};
use super::Parts;
use std::io::Write;

const SHIPPED: &str = include_str!("../../../envoy/envoy.yaml");
/// The line with the buffer of the listener.
const BUFFER: &str = "    per_connection_buffer_limit_bytes: 5242880";
/// The line before the configuration, and the one with the belt's principal.
const VALUE: &str = "                  value: |";
const PRINCIPAL: &str =
    r#"                    - filter_state: {key: wasm.portcullis_belt, string_match: {exact: "orders:allow"}}"#;

pub fn write(parts: &Parts<'_>, out: &mut impl Write) -> Result<End, Failure> {
    let indent = " ".repeat(VALUE.len().saturating_sub("value: |".len()).saturating_add(2));
    let mut in_value = false;
    for line in SHIPPED.lines() {
        if in_value && line.starts_with(&indent) {
            continue;
        }
        in_value = false;
        if line == VALUE {
            in_value = true;
            writeln!(out, "{line}")?;
            for line in format!("{:#}", parts.configuration).lines() {
                writeln!(out, "{indent}{line}")?;
            }
        } else if line == BUFFER {
            writeln!(out, "    per_connection_buffer_limit_bytes: {}", parts.buffer())?;
        } else if line == PRINCIPAL {
            for value in parts.belt_values() {
                writeln!(out, "{}", PRINCIPAL.replace("orders:allow", &value))?;
            }
        } else {
            writeln!(out, "{line}")?;
        }
    }
    Ok(End::Yes)
}
