//! Expressions in CEL that demand the belt's filter state: the belt of a SecurityPolicy of Envoy Gateway,
//! as text in its manifest, and parsed in the Envoy that has got it.
//!
//! Few forms are known: comparisons of the filter state with bytes, and `&&` and `||` of them. What else
//! an expression may be is taken for a way past.

use super::belt::KEY;
use super::chain::{field, list, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;

/// What gives the filter state to an expression.
const STATE: &str = "filter_state";

/// Whether a parsed expression can be true only for a request that the filter has judged; the values that
/// it compares with are collected.
pub fn parsed(expression: &Value, values: &mut BTreeSet<String>) -> bool {
    let Some(call) = field(expression, "call_expr") else { return false };
    match (text(call, "function"), list(call, "args")) {
        ("_||_", args) => !args.is_empty() && args.iter().all(|arg| parsed(arg, values)),
        ("_&&_", args) => args.iter().any(|arg| parsed(arg, values)),
        ("_==_", [one, other]) if is_state(one) => constant(other, values),
        ("_==_", [one, other]) if is_state(other) => constant(one, values),
        ("@in", [one, many]) if is_state(one) => {
            let elements = field(many, "list_expr").map(|l| list(l, "elements")).unwrap_or_default();
            elements.iter().all(|element| constant(element, values))
        }
        _ => false,
    }
}

/// `filter_state['wasm.portcullis_belt']`
fn is_state(expression: &Value) -> bool {
    let Some(call) = field(expression, "call_expr") else { return false };
    let [owner, key] = list(call, "args") else { return false };
    let is_owner = field(owner, "ident_expr").is_some_and(|ident| text(ident, "name") == STATE);
    let is_key = field(key, "const_expr").is_some_and(|constant| text(constant, "string_value") == KEY);
    text(call, "function") == "_[_]" && is_owner && is_key
}

/// Whether it is a constant. Only bytes are ever equal to filter state, so others are not collected.
fn constant(expression: &Value, values: &mut BTreeSet<String>) -> bool {
    let Some(constant) = field(expression, "const_expr") else { return false };
    let bytes = STANDARD.decode(text(constant, "bytes_value")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    values.extend(bytes.filter(|value| !value.is_empty()));
    true
}

/// The same of an expression as text.
pub fn written(expression: &str, values: &mut BTreeSet<String>) -> bool {
    tokens(expression).is_some_and(|tokens| demands(&tokens, values))
}

#[derive(Clone, PartialEq, Eq)]
enum Token {
    /// A name, or a sign of one or two characters.
    Word(String),
    Text(String),
    Bytes(String),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }
}

/// The tokens of an expression; `None` where one is not known here.
fn tokens(expression: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let is_bytes = matches!(first, 'b' | 'B') && matches!(rest.as_bytes().get(1), Some(b'\'' | b'"'));
        let quoted = rest.get(usize::from(is_bytes)..)?;
        let token = if let Some(quote @ ('\'' | '"')) = quoted.chars().next() {
            let (inner, after) = quoted.get(1..)?.split_once(quote)?;
            // Escapes, and strings of three quotes, which begin as an empty one does.
            if inner.contains('\\') || after.starts_with(quote) {
                return None;
            }
            rest = after;
            if is_bytes { Token::Bytes(inner.into()) } else { Token::Text(inner.into()) }
        } else {
            let double = ["||", "&&", "=="].into_iter().find(|sign| rest.starts_with(sign));
            let name = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let length = double.map_or_else(|| name.max(first.len_utf8()), str::len);
            let (word, after) = rest.split_at_checked(length)?;
            rest = after;
            Token::Word(word.into())
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Some(tokens)
}

fn demands(tokens: &[Token], values: &mut BTreeSet<String>) -> bool {
    // A condition chooses between two others.
    let Some(parts) = split(tokens, "||").filter(|_| !tokens.iter().any(|token| token.is("?"))) else { return false };
    if parts.len() > 1 {
        return parts.iter().all(|part| demands(part, values));
    }
    let parts = split(tokens, "&&").unwrap_or_default();
    if parts.len() > 1 {
        return parts.iter().any(|part| demands(part, values));
    }
    match tokens {
        [open, inner @ .., close] if open.is("(") && close.is(")") => {
            split(inner, ",").is_some_and(|parts| parts.len() == 1) && demands(inner, values)
        }
        [state, open, Token::Text(key), close, rest @ ..] if is_index(state, open, key, close) => match rest {
            [is, value] if is.is("==") => literal(value, values),
            [word, open, elements @ .., close] if word.is("in") && open.is("[") && close.is("]") => {
                let elements = split(elements, ",").unwrap_or_default();
                !elements.is_empty() && elements.iter().all(|e| matches!(e, [one] if literal(one, values)))
            }
            _ => false,
        },
        [value, is, state, open, Token::Text(key), close] if is.is("==") && is_index(state, open, key, close) => {
            literal(value, values)
        }
        _ => false,
    }
}

fn is_index(state: &Token, open: &Token, key: &str, close: &Token) -> bool {
    state.is(STATE) && open.is("[") && key == KEY && close.is("]")
}

fn literal(token: &Token, values: &mut BTreeSet<String>) -> bool {
    if let Token::Bytes(value) = token {
        values.insert(value.clone());
    }
    !matches!(token, Token::Word(_))
}

/// The parts between signs that stand in no brackets; `None` where brackets do not match.
fn split<'a>(tokens: &'a [Token], sign: &str) -> Option<Vec<&'a [Token]>> {
    let mut depth = 0_usize;
    let mut parts = Vec::new();
    let mut start = 0;
    for (place, token) in tokens.iter().enumerate() {
        if ["(", "[", "{"].iter().any(|open| token.is(open)) {
            depth = depth.checked_add(1)?;
        } else if [")", "]", "}"].iter().any(|close| token.is(close)) {
            depth = depth.checked_sub(1)?;
        } else if depth == 0 && token.is(sign) {
            parts.push(tokens.get(start..place)?);
            start = place.checked_add(1)?;
        }
    }
    parts.push(tokens.get(start..)?);
    Some(parts).filter(|_| depth == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expression: &str) -> Option<Vec<String>> {
        let mut values = BTreeSet::new();
        written(expression, &mut values).then(|| values.into_iter().collect())
    }

    #[test]
    fn what_only_judged_requests_fulfil() {
        let state = "filter_state['wasm.portcullis_belt']";
        let both = Some(vec!["orders:allow".to_owned(), "orders:pending".to_owned()]);
        for expression in [
            format!("{state} in [b'orders:allow', b'orders:pending']"),
            format!("{state} == b'orders:allow' || b\"orders:pending\" == {state}"),
            format!("({state}==b'orders:allow')||( {state}==b'orders:pending' )"),
            format!("request.method != 'PUT' && ({state} in [b'orders:allow', b'orders:pending'])"),
        ] {
            assert_eq!(read(&expression), both, "{expression}");
        }
        // Text is never equal to bytes: nothing passes.
        assert_eq!(read(&format!("{state} == 'orders:allow'")), Some(Vec::new()));
    }

    #[test]
    fn what_others_fulfil_too() {
        let state = "filter_state['wasm.portcullis_belt']";
        for expression in [
            "".into(),
            "true".into(),
            format!("!({state} in [b'orders:allow'])"),
            format!("{state} != b'orders:deny'"),
            format!("{state} == b'orders:allow' || request.method == 'GET'"),
            format!("({state} == b'orders:allow') || (true)"),
            format!("{state} == b'orders:allow' ? true : true"),
            format!("{state} in []"),
            format!("{state} == request.headers['x']"),
            format!("{state}.startsWith(b'orders:')"),
            "'wasm.portcullis_belt' in filter_state".into(),
            "filter_state['wasm.portcullis_log'] == b'orders:allow'".into(),
            format!("{state} == b'orders:\\x61llow'"),
            format!("{state} == b'orders:allow' || )true("),
        ] {
            assert_eq!(read(&expression), None, "{expression}");
        }
    }
}
