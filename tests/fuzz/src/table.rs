//! Tables: bytes that change a good one, most of them with a checksum that fits again.

use crate::memory::bounded;
use arbitrary::{Result, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::authn::{Identity, Subject};
use portcullis::config;
use portcullis::decision::Decision;
use portcullis::json;
use portcullis::judge::{BodyStep, Step};
use portcullis::policy;
use portcullis::request::Request;
use portcullis::suite;
use portcullis::table::{OwnerType, Table};
use portcullis_reference::compare::{Answer, Both};
use portcullis_reference::evaluate::Call;
use portcullis_reference::generate::World;
use portcullis_reference::principal::Caller;
use serde_json::{Map, Value, json};
use std::rc::Rc;

const TABLES: usize = 8;

thread_local! {
    static GOOD: Vec<(Value, Vec<u8>)> = (0..TABLES as u64).map(good).collect();
}

fn good(seed: u64) -> (Value, Vec<u8>) {
    let policy = World::new(seed).policy;
    let (table, _) = policy::compile(&json::shape(policy.clone()).unwrap(), 0).unwrap();
    (policy, table)
}

/// Whatever the bytes are: refused, or read in bounds, each time alike, and granting nothing to whom
/// nothing is given.
pub fn check(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let _ = GOOD.with(|good| -> Result<()> {
        let (policy, table) = &good[bytes.choose_index(TABLES)?];
        let mut changed = table.clone();
        change(&mut changed, &mut bytes)?;
        opened(&changed, (changed == *table).then_some(policy));
        Ok(())
    });
}

fn change(table: &mut Vec<u8>, bytes: &mut Unstructured<'_>) -> Result<()> {
    for _ in 0..bytes.int_in_range(0..=6)? {
        let at = bytes.choose_index(table.len().max(1))?;
        match (bytes.int_in_range(0..=4)?, table.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << bytes.int_in_range(0..=7)?,
            (1, Some(byte)) => *byte = bytes.arbitrary()?,
            (2, Some(_)) => drop(table.remove(at)),
            (3, Some(_)) => {
                let number: [u8; 4] = bytes.arbitrary()?;
                number.iter().zip(table.iter_mut().skip(at / 4 * 4)).for_each(|(new, old)| *old = *new);
            }
            _ => table.insert(at.min(table.len()), bytes.arbitrary()?),
        }
    }
    // Its length at 8, its checksum at 12, of all that stands behind that; zeros at its end.
    if bytes.ratio(15, 16)? && table.len() > 60 {
        let length = u32::try_from(table.len()).unwrap();
        let end = table.len() - 8;
        table[end..].fill(0);
        table[8..12].copy_from_slice(&length.to_be_bytes());
        let checksum = crc32fast::hash(&table[16..]);
        table[12..16].copy_from_slice(&checksum.to_be_bytes());
    }
    Ok(())
}

fn opened(bytes: &[u8], policy: Option<&Value>) {
    let open = || Table::open(bytes.to_vec());
    let (first, second) = (bounded(64 * 1024, bytes.len(), 4, open), open());
    assert_eq!(first.as_ref().err(), second.as_ref().err());
    assert!(policy.is_none() || first.is_ok(), "a good table is refused");
    let Ok(table) = first else { return };
    for kind in OwnerType::ALL {
        for id in ["alice", "ops", "*", "", "r1"] {
            if let Some(owner) = table.find(kind, id) {
                assert_eq!(table.owner_id(owner), id, "another owner is found");
            }
        }
    }
    let configuration = Map::from_iter([
        ("table".to_owned(), Value::from(STANDARD.encode(bytes))),
        ("api".to_owned(), json!({ "version": "8.10", "multiTenancy": true })),
    ]);
    let configuration = suite::configuration(configuration, None);
    let (plan, _) = config::read(configuration.to_string().as_bytes()).unwrap();
    let plan = Rc::new(plan);
    let both = policy.map(|policy| {
        let api = Map::from_iter([("api".to_owned(), json!({ "version": "8.10", "multiTenancy": true }))]);
        Both::new(api, policy.clone()).unwrap()
    });
    for caller in callers() {
        for (method, path, body) in CALLS {
            let ask = || decide(&plan, &caller, method, path, body);
            let decision = bounded(512 * 1024, bytes.len(), 16, ask);
            assert_eq!(decision.explain(), ask().explain());
            owned(&decision);
            if let Some(both) = &both {
                let body = (!body.is_empty()).then(|| body.as_bytes().to_vec());
                let call = Call { method: (*method).to_owned(), path: (*path).to_owned(), body };
                assert_eq!(Answer::explained(&decision.explain()), both.reference(&caller, &call), "{call:?}");
            }
        }
    }
}

const CALLS: &[(&str, &str, &str)] = &[
    ("POST", "/v2/process-instances", r#"{"processDefinitionId":"p","tenantId":"acme"}"#),
    ("GET", "/v2/process-definitions/12", ""),
    ("POST", "/v2/user-tasks/12/completion", "{}"),
    ("GET", "/v2/users/alice", ""),
    ("POST", "/v2/roles/search", "{}"),
    ("POST", "/v2/jobs/activation", r#"{"tenantIds":["acme","globex"]}"#),
];

fn callers() -> [Caller; 4] {
    let claims =
        json!({ "dept": "ops", "a": { "b": "hr", "teams": ["ops", "1"] }, "teams": ["hr", "true"], "x.y": "ops" });
    [(false, "alice", None), (true, "worker", None), (false, "bob", Some(vec!["ops".to_owned()])), (false, "", None)]
        .map(|(is_client, name, groups)| Caller { is_client, name: name.to_owned(), groups, claims: claims.clone() })
}

fn decide(plan: &Rc<config::Plan>, caller: &Caller, method: &str, path: &str, body: &str) -> Decision {
    let name = caller.name.clone();
    let subject = if caller.is_client { Subject::Client(name) } else { Subject::User(name) };
    let identity = Identity::assumed(subject, caller.groups.clone(), &caller.claims);
    let headers = [(&b"content-type"[..], &b"application/json"[..])];
    let request = Request { method: method.as_bytes(), path: path.as_bytes(), headers: &headers };
    match plan.judge_as(Ok(identity), &request) {
        Step::Decided(decision) => decision,
        Step::NeedsKeys { .. } => panic!("nobody asks for keys"),
        Step::NeedsBody(pending) => match pending.push(body.as_bytes(), true) {
            BodyStep::Decided(decision) => decision,
            BodyStep::More(_) => panic!("the body has ended"),
        },
    }
}

/// A grant that decides is one of somebody whom the caller is, or is in.
fn owned(decision: &Decision) {
    let explanation = decision.explain();
    let (grant, principal) = (&explanation["grant"], &explanation["principal"]);
    if grant.is_null() {
        return;
    }
    let owner = &grant["ownerId"];
    let among = |list: &str| principal[list].as_array().is_some_and(|list| list.contains(owner));
    assert!(match grant["ownerType"].as_str() {
        Some("USER") => principal["username"] == *owner,
        Some("CLIENT") => principal["clientId"] == *owner,
        Some("GROUP") => among("groups"),
        Some("ROLE") => among("roles"),
        _ => among("mappingRules"),
    });
}
