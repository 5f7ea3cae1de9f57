//! Tables: the same policy gives the same bytes, a table gives its policy back, and whatever bytes
//! it is given the reader refuses them or denies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::policy::{self, Collector, Policy};
use portcullis::table::{OwnerType, Table, TableError};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // Xorshift, G. Marsaglia, "Xorshift RNGs" (2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn name(&mut self, of: usize) -> String {
        let stem = *self.pick(&["ada", "größe", "x", "", "svc-", "a/b", "*", "@example.com", "\u{10ffff}"]);
        let number = self.below(of);
        match self.below(40) {
            // Nearly the longest that a policy may have.
            0 => format!("{stem}{}", "long".repeat(number.min(1_020))),
            _ => format!("{stem}{number}@example.com"),
        }
    }

    fn names(&mut self, most: usize, of: usize) -> Vec<String> {
        (0..self.below(most + 1)).map(|_| self.name(of)).collect()
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

fn unique(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// A random policy; every part of the model occurs in it.
fn random(dice: &mut Dice, grants: usize, of: usize) -> Policy {
    let rules = unique(dice.names(12, 30));
    let permissions: [(&str, &[&str]); 4] = [
        ("PROCESS_DEFINITION", &["READ_PROCESS_DEFINITION", "CREATE_PROCESS_INSTANCE", "UPDATE_USER_TASK", "FLY"]),
        ("MESSAGE", &["CREATE", "READ"]),
        ("USER_TASK", &["READ", "UPDATE", "CLAIM"]),
        ("SPACESHIP", &["READ"]),
    ];
    let authorizations: Vec<Value> = (0..grants)
        .map(|_| {
            let (resource_type, names) = dice.pick(&permissions);
            let kind = *dice.pick(&["USER", "USER", "CLIENT", "GROUP", "ROLE", "MAPPING_RULE", "NOBODY"]);
            let owner =
                if kind == "MAPPING_RULE" && !rules.is_empty() { dice.pick(&rules).clone() } else { dice.name(of) };
            let (field, id) = match dice.below(20) {
                0 => ("resourceId", "*".to_owned()),
                1 => ("resourcePropertyName", dice.pick(&["assignee", "candidateUsers", ""]).to_string()),
                _ => ("resourceId", dice.name(of)),
            };
            let permissions: Vec<&&str> = names.iter().filter(|_| dice.below(2) == 0).collect();
            json!({ "ownerType": kind, "ownerId": owner, "resourceType": resource_type, field: id,
                "permissionTypes": permissions, "authorizationKey": "7" })
        })
        .collect();
    let mut collective = |id_field: &str, lists: &[&str]| -> Vec<Value> {
        unique(dice.names(8, 12))
            .into_iter()
            .map(|id| {
                let mut object = json!({ id_field: id });
                for list in lists {
                    object[*list] = json!(dice.names(5, of));
                }
                object
            })
            .collect()
    };
    let roles = collective("roleId", &["users", "clients", "groups", "mappingRules"]);
    let groups = collective("groupId", &["users", "clients", "roles", "mappingRules"]);
    let tenants = collective("tenantId", &["users", "clients", "groups", "roles", "mappingRules"]);
    let rules: Vec<Value> = rules
        .into_iter()
        .map(|id| json!({ "mappingRuleId": id, "claimName": dice.pick(&["dept", "$['a.b']", "a["]), "claimValue": dice.name(5) }))
        .collect();
    let policy = json!({ "authorizations": authorizations, "roles": roles, "groups": groups, "mappingRules": rules,
        "tenants": tenants });
    portcullis::json::shape(policy).unwrap()
}

fn compile(policy: &Policy) -> Vec<u8> {
    policy::compile(policy, 0).unwrap().0
}

fn shuffled(dice: &mut Dice, policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    dice.shuffle(&mut policy.authorizations);
    dice.shuffle(&mut policy.roles);
    dice.shuffle(&mut policy.groups);
    dice.shuffle(&mut policy.tenants);
    dice.shuffle(&mut policy.mapping_rules);
    policy.roles.iter_mut().for_each(|role| dice.shuffle(&mut role.users));
    policy.authorizations.iter_mut().for_each(|grant| dice.shuffle(&mut grant.permission_types));
    policy
}

#[test]
fn the_same_policy_gives_the_same_bytes() {
    let mut dice = Dice(1);
    for size in [0, 1, 5, 50, 500] {
        let policy = random(&mut dice, size, 40);
        let table = compile(&policy);
        assert!(compile(&shuffled(&mut dice, &policy)) == table, "in another order");
        let mut collector = Collector::default();
        collector.json(serde_json::to_string(&policy).unwrap().as_bytes()).unwrap();
        assert!(collector.table(0).0 == table, "read item by item");
    }
}

#[test]
fn a_table_gives_its_policy_back() {
    let mut dice = Dice(2);
    for size in [0, 1, 3, 30, 300, 3_000] {
        for of in [3, 300] {
            let policy = random(&mut dice, size, of);
            let bytes = compile(&policy);
            let back = policy::decode(&Table::open(bytes.clone()).unwrap());
            let (again, warnings) = policy::compile(&back, 0).unwrap();
            assert!(again == bytes, "{size} grants");
            let dead: Vec<_> = warnings.iter().filter(|w| !w.path.ends_with("claimName")).collect();
            assert!(dead.is_empty(), "what is in a table grants something: {dead:?}");
        }
    }
}

#[test]
fn a_table_holds_what_the_policy_says() {
    let mut dice = Dice(3);
    for of in [4, 40, 4_000] {
        let policy = random(&mut dice, 1_500, of);
        let back = policy::decode(&Table::open(compile(&policy)).unwrap());
        let rules: Vec<&String> = policy.mapping_rules.iter().map(|r| &r.mapping_rule_id).collect();
        let kept: Vec<_> = policy
            .authorizations
            .iter()
            .filter(|g| !["NOBODY"].contains(&&*g.owner_type) && g.resource_type != "SPACESHIP")
            .filter(|g| g.owner_type != "MAPPING_RULE" || rules.contains(&&g.owner_id))
            .filter(|g| g.resource_property_name.is_none() || g.resource_type == "USER_TASK")
            .filter(|g| g.resource_id.as_ref().or(g.resource_property_name.as_ref()).is_some_and(|id| !id.is_empty()))
            .flat_map(|g| {
                let key = (&g.owner_type, &g.owner_id, &g.resource_type, &g.resource_id, &g.resource_property_name);
                g.permission_types.iter().filter(|p| *p != "FLY").map(move |p| (key, p))
            })
            .collect();
        let mut expected = kept.clone();
        expected.sort();
        expected.dedup();
        let mut actual: Vec<_> = back
            .authorizations
            .iter()
            .flat_map(|g| {
                let key = (&g.owner_type, &g.owner_id, &g.resource_type, &g.resource_id, &g.resource_property_name);
                g.permission_types.iter().map(move |p| (key, p))
            })
            .collect();
        actual.sort();
        assert_eq!(actual, expected);
    }
}

/// Another program reads a table by its description, `docs/table-format.md`.
#[test]
fn the_format_is_as_described() {
    let mut dice = Dice(7);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (size, of) in [(0, 1), (3, 3), (400, 4), (2_000, 30), (4_000, 4_000)] {
        let bytes = compile(&random(&mut dice, size, of));
        let policy = policy::decode(&Table::open(bytes.clone()).unwrap());
        let (table, told) = (folder.join(format!("{size}.table")), folder.join(format!("{size}.json")));
        fs::write(&table, bytes).unwrap();
        fs::write(&told, serde_json::to_string(&policy).unwrap()).unwrap();
        let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/table-reader.py");
        let output = Command::new("python3").arg(reader).arg(table).arg(told).output().expect("python3 runs");
        assert!(
            output.status.success(),
            "{size}: {}",
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat())
        );
    }
}

/// CRC-32, as a writer of tables has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}

/// Makes changed bytes whole again: length and checksum fit.
fn whole(bytes: &mut [u8]) {
    let length = bytes.len() as u32;
    if bytes.len() >= 16 {
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let sum = checksum(&bytes[16..]);
        bytes[12..16].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Asks a table everything that decisions ask; the answers do not matter.
fn ask(table: &Table) {
    for name in ["ada1@example.com", "", "größe3@example.com", "nobody"] {
        for kind in OwnerType::ALL {
            let Some(owner) = table.find(kind, name) else { continue };
            for column in table.columns(owner) {
                let _answers = (
                    table.permissions(&column),
                    table.id(&column, "x1@example.com").map(|number| table.permissions_on(&column, number)),
                    table.first_with(&column, 0xffff).map(|number| table.id_name(&column, number)),
                    table.has(&column, 1),
                    table.numbers(column).take(1_000).count(),
                );
            }
            let _id = table.owner_id(owner);
        }
    }
    let _found = (table.tenant("x1@example.com"), table.claim_paths().take(100).count());
    let _rules = table.rules("dept", "ada1@example.com").take(1_000).count();
}

#[test]
fn a_damaged_table_is_refused() {
    let table = compile(&random(&mut Dice(4), 30, 20));
    for length in 0..table.len() {
        assert!(Table::open(table[..length].to_vec()).is_err(), "cut at {length}");
    }
    for bit in 0..table.len() * 8 {
        let mut bytes = table.clone();
        bytes[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(Table::open(bytes).is_err(), "bit {bit}");
    }
    let mut next = table.clone();
    next[5] = 2;
    assert_eq!(Table::open(next).unwrap_err(), TableError::Format(2));
    let mut longer = table.clone();
    longer.push(0);
    assert_eq!(Table::open(longer).unwrap_err(), TableError::Length);
    // The zeros at the end, on which readers of whole words stand.
    let mut without_zeros = table;
    *without_zeros.last_mut().unwrap() = 1;
    whole(&mut without_zeros);
    assert_eq!(Table::open(without_zeros).unwrap_err(), TableError::Length);
}

#[test]
fn a_lying_table_is_refused_or_denies() {
    let mut dice = Dice(5);
    let mut opened = 0;
    for round in 0..40 {
        let table = compile(&random(&mut dice, 20 + round * 4, 20));
        for _ in 0..250 {
            let mut bytes = table.clone();
            for _ in 0..1 + dice.below(4) {
                // The head, where the places stand, is hit most.
                let within = if dice.below(2) == 0 { 300 } else { bytes.len() };
                let at = 16 + dice.below(within.min(bytes.len()) - 16);
                bytes[at] = *dice.pick(&[0, 1, 0x7f, 0x80, 0xff, bytes[at].wrapping_add(1), bytes[at] ^ 0x10]);
            }
            if dice.below(10) == 0 {
                bytes.truncate(16 + dice.below(bytes.len() - 16));
                bytes.extend([0; 8]);
            }
            whole(&mut bytes);
            if let Ok(table) = Table::open(bytes) {
                opened += 1;
                ask(&table);
            }
        }
    }
    assert!(opened > 500, "only {opened} of them were opened");
}

#[test]
fn random_bytes_are_refused_or_deny() {
    let mut dice = Dice(6);
    for _ in 0..3_000 {
        let mut bytes: Vec<u8> = (0..dice.below(600)).map(|_| dice.next() as u8).collect();
        assert!(Table::open(bytes.clone()).is_err());
        bytes.splice(0..bytes.len().min(8), *b"PCTB\0\x01\0\0");
        bytes.extend([0; 8]);
        whole(&mut bytes);
        if let Ok(table) = Table::open(bytes) {
            ask(&table);
        }
    }
}

fn configuration(more: Value) -> Vec<u8> {
    let key: Value = serde_json::from_str(portcullis::suite::PLACEHOLDER_JWK).unwrap();
    let mut whole = json!({ "version": 1, "name": "t", "issuers": [
        { "issuer": "https://i.example", "audiences": ["a"], "jwks": { "inline": { "keys": [key] } } }] });
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    whole.to_string().into_bytes()
}

#[test]
fn a_configuration_has_exactly_one_of_policy_and_table() {
    let policy = json!({ "authorizations": [{ "ownerType": "USER", "ownerId": "a", "resourceType": "MESSAGE",
        "resourceId": "*", "permissionTypes": ["CREATE"] }] });
    let table = compile(&portcullis::json::shape(policy.clone()).unwrap());
    let text = STANDARD.encode(&table);
    let refusal = |more| portcullis::config::read(&configuration(more)).unwrap_err().to_string();
    let (by_table, _) = portcullis::config::read(&configuration(json!({ "table": text }))).unwrap();
    let (by_policy, _) = portcullis::config::read(&configuration(json!({ "policy": policy }))).unwrap();
    assert_eq!(by_table.table.bytes(), by_policy.table.bytes());
    assert_eq!(by_table.table_digest, by_policy.table_digest);
    assert_eq!(
        refusal(json!({ "table": text, "policy": policy })),
        "table: must not stand beside policy: give one of the two"
    );
    assert_eq!(refusal(json!({})), "policy: is missing, and there is no table instead");
    assert!(refusal(json!({ "table": "?" })).starts_with("table: is not base64"));
    assert_eq!(
        refusal(json!({ "table": STANDARD.encode(b"hello") })),
        "table: is not a table: `portcullis compile` makes one"
    );
    let mut damaged = table;
    damaged[70] ^= 1;
    let damaged = STANDARD.encode(damaged);
    assert_eq!(refusal(json!({ "table": damaged })), "table: the table is damaged: its checksum does not fit");
    assert_eq!(
        refusal(json!({ "policy": {}, "candidate": damaged })),
        "candidate: the table is damaged: its checksum does not fit"
    );
}
