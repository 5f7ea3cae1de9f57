//! JSON -> the message of a gRPC call, as protobuf's own JSON mapping has it: field names as in the
//! protocol, 64-bit numbers also as text, bytes in base64.
//!
//! `messages.json` lists the fields of each call: name, number, and a type. A list of names is an
//! enumeration, an object a message, a list with an object any number of messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

const MESSAGES: &str = include_str!("messages.json");

/// The path before the call's name.
pub(super) const SERVICE: &str = "/gateway_protocol.Gateway/";

/// The body of a call: its message with the length before it. A call that the gateway does not have
/// has no fields that could be written, so its message is empty.
///
/// # Errors
/// The message has a field that the call does not have, or one of another type.
pub(super) fn body(call: &str, message: &Value) -> Result<Vec<u8>, String> {
    let messages: Map<String, Value> = serde_json::from_str(MESSAGES).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    if let Some(fields) = messages.get(call) {
        write(&mut bytes, fields, message, "message")?;
    }
    let length = u32::try_from(bytes.len()).map_err(|_| "message: is too long")?;
    Ok([&[0], &length.to_be_bytes()[..], &bytes].concat())
}

fn write(out: &mut Vec<u8>, fields: &Value, message: &Value, path: &str) -> Result<(), String> {
    let Value::Object(members) = message else { return Err(format!("{path}: is not an object")) };
    for (name, value) in members {
        let path = format!("{path}.{name}");
        let field = fields.get(name).ok_or_else(|| {
            let known: Vec<&str> = fields.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            format!("{path}: unknown field; there are {}", known.join(", "))
        })?;
        let number = field.get(0).and_then(Value::as_u64).unwrap_or_default();
        let kind = field.get(1).unwrap_or(&Value::Null);
        let one = match kind {
            Value::String(kind) => kind.strip_prefix("repeated ").map(Value::from),
            Value::Array(kinds) => kinds.first().filter(|kind| kind.is_object()).cloned(),
            _ => None,
        };
        match (value, one) {
            (Value::Null, _) => {}
            (Value::Array(values), Some(kind)) => {
                values.iter().try_for_each(|value| field_of(out, number, &kind, value, &path))?;
            }
            (_, Some(_)) => return Err(format!("{path}: is not a list")),
            (value, None) => field_of(out, number, kind, value, &path)?,
        }
    }
    Ok(())
}

fn field_of(out: &mut Vec<u8>, number: u64, kind: &Value, value: &Value, path: &str) -> Result<(), String> {
    match wire(kind, value, path)? {
        Wire::Number(value) => {
            varint(out, number << 3);
            varint(out, value);
        }
        Wire::Bytes(bytes) => {
            varint(out, number << 3 | 2);
            varint(out, u64::try_from(bytes.len()).map_err(|_| format!("{path}: is too long"))?);
            out.extend_from_slice(&bytes);
        }
    }
    Ok(())
}

/// A value as it stands on the wire.
enum Wire {
    Number(u64),
    Bytes(Vec<u8>),
}

fn wire(kind: &Value, value: &Value, path: &str) -> Result<Wire, String> {
    let wrong = |expected: &str| format!("{path}: is not {expected}");
    let name = match kind {
        Value::Object(_) => {
            let mut inner = Vec::new();
            write(&mut inner, kind, value, path)?;
            return Ok(Wire::Bytes(inner));
        }
        Value::Array(names) => {
            let place = names.iter().position(|name| name == value).and_then(|place| u64::try_from(place).ok());
            return place.map(Wire::Number).ok_or_else(|| wrong("one of its names"));
        }
        name => name.as_str().unwrap_or_default(),
    };
    let whole = integer(value);
    let wire = match (name, value) {
        ("string", Value::String(text)) => Some(Wire::Bytes(text.as_bytes().to_vec())),
        ("bytes", Value::String(text)) => STANDARD.decode(text).ok().map(Wire::Bytes),
        ("bool", Value::Bool(flag)) => Some(Wire::Number(u64::from(*flag))),
        ("int32", _) => whole.and_then(|n| i32::try_from(n).ok()).map(|n| Wire::Number(i64::from(n).cast_unsigned())),
        ("int64", _) => whole.and_then(|n| i64::try_from(n).ok()).map(|n| Wire::Number(n.cast_unsigned())),
        ("uint64", _) => whole.and_then(|n| u64::try_from(n).ok()).map(Wire::Number),
        _ => None,
    };
    wire.ok_or_else(|| wrong(&format!("of type {name}")))
}

/// A whole number, also as text.
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.extend(u8::try_from(value & 0x7f | 0x80));
        value >>= 7;
    }
    out.extend(u8::try_from(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::catalogue::{OPERATIONS, Surface};
    use serde_json::json;

    #[test]
    fn messages_are_written_as_protobuf() {
        let message = json!({"bpmnProcessId": "a", "processDefinitionKey": "7", "version": -1, "tags": ["x", ""], "variables": null,
            "startInstructions": [{"elementId": "e"}]});
        let body = body("CreateProcessInstance", &message).unwrap();
        let mut expected = vec![0x12, 1, b'a', 8, 7];
        expected.extend([0x2a, 3, 0x0a, 1, b'e', 0x4a, 1, b'x', 0x4a, 0, 0x18]);
        expected.extend([0xff; 9]);
        expected.push(1);
        assert_eq!(body[..5], [0, 0, 0, 0, expected.len() as u8]);
        assert_eq!(body[5..], expected);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_that_says_where() {
        let error = |message: Value| body("CreateProcessInstanceWithResult", &message).unwrap_err();
        assert!(error(json!({"request": {"process": 1}})).starts_with("message.request.process: unknown field"));
        assert_eq!(error(json!({"request": {"version": "x"}})), "message.request.version: is not of type int32");
        assert_eq!(error(json!({"fetchVariables": "x"})), "message.fetchVariables: is not a list");
        assert_eq!(error(json!([])), "message: is not an object");
    }

    #[test]
    fn every_call_of_the_catalogue_has_its_message() {
        let messages: Map<String, Value> = serde_json::from_str(MESSAGES).unwrap();
        let calls = OPERATIONS.iter().filter(|o| o.surface == Surface::Grpc);
        let mut known = 0;
        for call in calls {
            assert!(messages.contains_key(call.path.strip_prefix(SERVICE).unwrap()), "{}", call.id);
            known += 1;
        }
        assert_eq!(known, messages.len());
    }
}
