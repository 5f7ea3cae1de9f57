//! JSON in one of the many ways in which a value can be written.

use crate::dice::Dice;
use serde_json::Value;
use std::fmt::Write as _;

/// Writes a value with random blanks, escapes and order of members.
pub fn write(dice: &mut Dice, value: &Value) -> String {
    let mut out = String::new();
    put(dice, value, &mut out);
    out
}

fn put(dice: &mut Dice, value: &Value, out: &mut String) {
    blank(dice, out);
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            for last in (1..members.len()).rev() {
                members.swap(last, dice.below(last + 1));
            }
            out.push('{');
            for (number, (name, value)) in members.into_iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                blank(dice, out);
                quoted(dice, name, out);
                blank(dice, out);
                out.push(':');
                put(dice, value, out);
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for (number, value) in list.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                put(dice, value, out);
            }
            out.push(']');
        }
        Value::String(text) => quoted(dice, text, out),
        other => out.push_str(&other.to_string()),
    }
    blank(dice, out);
}

fn blank(dice: &mut Dice, out: &mut String) {
    if dice.chance(6) {
        out.push(dice.pick(&[' ', '\n', '\t', '\r']));
    }
}

fn quoted(dice: &mut Dice, text: &str, out: &mut String) {
    let escapes = dice.chance(15);
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') || letter < ' ' || (escapes && dice.chance(40)) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(letter);
        }
    }
    out.push('"');
}
