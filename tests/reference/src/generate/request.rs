//! Random requests.

use super::policy::VALUES;
use super::{IDS, KEYS, NAMES, TENANTS, text};
use crate::catalogue::Operation;
use crate::dice::Dice;
use crate::evaluate::Call;
use crate::principal::Caller;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

pub fn caller(dice: &mut Dice) -> Caller {
    let name = if dice.chance(3) { "" } else { dice.pick(&NAMES[..5]) }.to_owned();
    let groups = dice.chance(35).then(|| dice.some(NAMES, 25).into_iter().map(str::to_owned).collect());
    let mut claims = Map::new();
    for name in ["dept", "x.y", "teams", "cognito:groups", "other"] {
        if dice.chance(40) {
            claims.insert(name.to_owned(), claim(dice));
        }
    }
    for name in ["a", "x"] {
        if dice.chance(40) {
            claims.insert(name.to_owned(), json!({ "b": claim(dice), "y": claim(dice), "teams": claim(dice) }));
        }
    }
    Caller { is_client: dice.chance(40), name, groups, claims: Value::Object(claims) }
}

fn claim(dice: &mut Dice) -> Value {
    match dice.below(12) {
        0 => json!(true),
        1 => json!(1),
        2 => json!(null),
        3 => json!([dice.some(VALUES, 60)]),
        4 => json!({ dice.pick(VALUES): dice.pick(VALUES) }),
        5 => json!(["other", dice.pick(VALUES), 1, true]),
        6 | 7 => json!(dice.some(VALUES, 50)),
        8 => json!("Ops"),
        9 => json!("ops hr"),
        _ => json!(dice.pick(VALUES)),
    }
}

/// A call of an operation. What a body means that the cluster cannot read is left open in places,
/// and not asked: an activation of jobs with a body that is no object (or with none, `may_lack`, where
/// what is unresolved is denied), and a tenant as text where a list is asked for, or the reverse.
pub fn call(dice: &mut Dice, operation: &Operation, may_lack: bool) -> Call {
    let mut path = String::new();
    for segment in operation.path.split('/').skip(1) {
        path.push('/');
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            None => path.push_str(segment),
            Some(name) => {
                let value = parameter(dice, name);
                path.push_str(&escape(dice, value));
            }
        }
    }
    if dice.chance(10) {
        path.push_str(dice.pick(&["?", "?a=b", "?tenantId=acme&processDefinitionId=p", "?x=/v2/topology"]));
    }
    let body = match operation.method.as_str() {
        "GET" => None,
        _ if operation.is_call() => Some(message(dice, operation).into_bytes()),
        _ => body(dice, operation, may_lack).map(String::into_bytes),
    };
    Call { method: operation.method.clone(), path, body }
}

fn parameter(dice: &mut Dice, name: &str) -> &'static str {
    match name {
        _ if name.ends_with("Key") => dice.pick(KEYS),
        "tenantId" if dice.chance(80) => dice.pick(TENANTS),
        _ => dice.pick(IDS),
    }
}

/// Percent-encodes what needs it, and sometimes what does not.
fn escape(dice: &mut Dice, value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        let may_stay = byte.is_ascii_alphanumeric() || b"-_.~*+@:".contains(&byte);
        if may_stay && !dice.chance(5) {
            escaped.push(char::from(byte));
        } else if dice.chance(50) {
            let _ = write!(escaped, "%{byte:02x}");
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// A body with what bears on the decision, and with what only looks like it.
fn body(dice: &mut Dice, operation: &Operation, may_lack: bool) -> Option<String> {
    match dice.below(100) {
        0..6 if may_lack => return None,
        6..8 if operation.id != "activateJobs" => {
            return Some(dice.pick(&["[]", "null", "5", "\"{}\"", "", " ", "{", "{}x", "[{}]"]).to_owned());
        }
        _ => (),
    }
    let mut members = Map::new();
    for alternative in &operation.alternatives {
        if let Some(name) = alternative.id.strip_prefix("body:/")
            && dice.chance(80)
        {
            members.insert(name.to_owned(), id(dice));
        }
        if let Some(name) = alternative.key.as_deref().and_then(|key| key.strip_prefix("body:/"))
            && dice.chance(25)
        {
            members.insert(name.to_owned(), key(dice));
        }
        if let Some((name, _)) =
            alternative.when.as_deref().and_then(|when| when.strip_prefix("body:/")?.split_once('='))
            && dice.chance(80)
        {
            members.insert(name.to_owned(), flag(dice));
        }
    }
    match operation.tenant.as_deref() {
        Some("body:/tenantIds") if dice.chance(60) => {
            members.insert("tenantIds".to_owned(), tenants(dice));
            if dice.chance(30) {
                let filter = json!(dice.pick(&[Some("PROVIDED"), Some("ASSIGNED"), Some("1"), None]));
                members.insert("tenantFilter".to_owned(), filter);
            }
        }
        Some("body:/tenantId" | "filter") if dice.chance(60) => {
            members.insert("tenantId".to_owned(), tenant(dice));
        }
        _ => (),
    }
    decoys(dice, &mut members);
    Some(text::write(dice, &Value::Object(members)))
}

/// The message of a call, each field of its type.
fn message(dice: &mut Dice, operation: &Operation) -> String {
    let mut message = json!({});
    let mut set = |source: &str, value: Value| {
        let names = source.strip_prefix("body:/").into_iter().flat_map(|names| names.split('.'));
        *names.fold(&mut message, |place, name| &mut place[name]) = value;
    };
    for alternative in operation.alternatives.iter().filter(|a| a.id.starts_with("body:/")) {
        if dice.chance(80) {
            set(
                &alternative.id,
                if dice.chance(10) { json!(dice.pick(&[None, Some("")])) } else { json!(dice.pick(IDS)) },
            );
        }
        if let Some(key) = &alternative.key
            && dice.chance(40)
        {
            set(key, json!(dice.pick(&[Some("0"), None, Some("7"), Some("2251799813685249"), Some("-1")])));
        }
    }
    if let Some(tenant) = operation.tenant.as_deref().filter(|tenant| tenant.starts_with("body:/"))
        && dice.chance(70)
    {
        let is_list = operation.tenant_filter.is_some();
        set(tenant, if is_list { json!(dice.some(TENANTS, 40)) } else { json!(dice.pick(TENANTS)) });
    }
    if let Some(filter) = operation.tenant_filter.as_deref()
        && dice.chance(40)
    {
        set(filter, json!(dice.pick(&[Some("PROVIDED"), Some("ASSIGNED"), None])));
    }
    message.to_string()
}

fn id(dice: &mut Dice) -> Value {
    match dice.below(20) {
        0 => json!(null),
        1 => json!(12),
        2 => json!([dice.pick(IDS)]),
        3 => json!({ "id": dice.pick(IDS) }),
        4 => json!(""),
        5 => json!("*"),
        6 => json!(true),
        _ => json!(dice.pick(IDS)),
    }
}

fn key(dice: &mut Dice) -> Value {
    match dice.below(6) {
        0 => json!(null),
        1 => json!(12),
        2 => json!(""),
        3 => json!({}),
        _ => json!(dice.pick(KEYS)),
    }
}

fn flag(dice: &mut Dice) -> Value {
    match dice.below(12) {
        0 => json!(null),
        1 => json!("false"),
        2 => json!(0),
        3 => json!([]),
        4 => json!(""),
        5 | 6 => json!(true),
        _ => json!(false),
    }
}

fn tenant(dice: &mut Dice) -> Value {
    match dice.below(16) {
        0 => json!(null),
        1 => json!(""),
        2 => json!(5),
        3 => json!([[dice.pick(TENANTS)], 5]),
        4 => json!({ "tenantId": dice.pick(TENANTS) }),
        _ => json!(dice.pick(TENANTS)),
    }
}

fn tenants(dice: &mut Dice) -> Value {
    match dice.below(12) {
        0 => json!(null),
        1 => json!(5),
        2 => json!([dice.pick(TENANTS), 5]),
        3 => json!([null, dice.pick(TENANTS)]),
        4 => json!([[dice.pick(TENANTS)]]),
        5 => json!({ "0": dice.pick(TENANTS) }),
        6 => json!(["<default>"]),
        7 => json!([dice.pick(TENANTS)]),
        _ => json!(dice.some(TENANTS, 40)),
    }
}

/// Members that bear on nothing: deeper down, or of other names.
fn decoys(dice: &mut Dice, members: &mut Map<String, Value>) {
    let names = ["processDefinitionId", "name", "tenantId", "tenantIds", "allowOverride", "decisionDefinitionKey"];
    for name in ["variables", "filter"] {
        if dice.chance(25) {
            members.insert(name.to_owned(), json!({ dice.pick(&names): dice.pick(IDS), "deep": [{ "name": "p" }] }));
        }
    }
    if dice.chance(10) {
        members.insert((dice.pick(&["Name", "TenantId", "processDefinitionID", ""])).to_owned(), json!(dice.pick(IDS)));
    }
    if dice.chance(10) {
        members.insert("long".to_owned(), json!("x".repeat(dice.below(300))));
    }
}
