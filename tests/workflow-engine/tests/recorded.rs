//! What Camunda's workflow engine has said holds here. (`make test-engine` asks the engine itself.)

use portcullis_workflow_engine::case::Case;
use portcullis_workflow_engine::property::{self, Ours};
use portcullis_workflow_engine::{recorded, rest, suites, tokens};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_recorded_verdict_breaks_the_property() {
    let mut known = 0;
    for recorded::Recorded { case, verdict } in recorded::read().unwrap().cases {
        let request = rest::request(&case.call).unwrap();
        let policy = Value::Object(suites::whole_policy(&case.world).unwrap());
        let plan = property::plan(&case.world, &policy).unwrap();
        let (ours, explanation) = property::ours(&plan, &case, &request).unwrap();
        assert_eq!(explanation["operation"], *case.call.operation, "{}", case.name);
        let broken = property::broken(&case, verdict, ours);
        assert_eq!(broken, None, "{}: the cluster says {verdict:?}, the edge {explanation}", case.name);
        if property::is_known(&case, &request) {
            known += 1;
            assert_ne!(ours, Ours::Deferred, "{}: {explanation}", case.name);
        }
    }
    assert!(known > 200, "{known}");
}

/// With another policy than the cluster's, the edge is caught both ways.
#[test]
fn a_wrong_policy_breaks_the_property() {
    let everything = |case: &Case| {
        let grant = |permission: &str| {
            json!({
                "ownerType": "USER", "ownerId": case.principal.username.clone().unwrap_or_default(), "resourceType": "PROCESS_DEFINITION",
                "resourceId": "*", "permissionTypes": [permission],
            })
        };
        json!({ "authorizations": [grant("CREATE_PROCESS_INSTANCE"), grant("UPDATE_PROCESS_INSTANCE")] })
    };
    let (mut denied, mut allowed) = (0, 0);
    for recorded::Recorded { case, verdict } in recorded::read().unwrap().cases {
        let request = rest::request(&case.call).unwrap();
        let broken = |policy: &Value| {
            let plan = property::plan(&case.world, policy).unwrap();
            property::broken(&case, verdict, property::ours(&plan, &case, &request).unwrap().0)
        };
        denied += u32::from(broken(&json!({})) == Some("denied here, and the cluster allows it"));
        allowed += u32::from(broken(&everything(&case)) == Some("finally allowed here, and the cluster refuses it"));
    }
    assert!(denied > 100 && allowed > 50, "{denied} {allowed}");
}

#[test]
fn every_recorded_case_is_in_a_suite_or_says_why_not() {
    let file = recorded::read().unwrap();
    assert!(file.left_out.iter().all(|case| !case.why.is_empty()));
    let names: BTreeSet<&str> = file.cases.iter().map(|recorded| recorded.case.name.as_str()).collect();
    let left_out: BTreeSet<&str> = file.left_out.iter().map(|case| case.name.as_str()).collect();
    assert_eq!((names.len(), left_out.len()), (file.cases.len(), file.left_out.len()), "a name stands twice");
    assert!(names.is_disjoint(&left_out));
}

#[test]
fn suites_are_what_the_verdicts_make() {
    let mut expected = suites::of(&recorded::read().unwrap().cases).unwrap();
    let (path, text, refused) = tokens::suite(&tokens::read().unwrap()).unwrap();
    expected.insert(path, text);
    assert_eq!(refused, ["broken-username-path", "groups-broken-path"], "with these settings nobody is ever read");
    let mut actual = BTreeMap::new();
    collect(&suites::folder(), &suites::folder(), &mut actual);
    let stale = "make engine-suites writes them anew";
    assert_eq!(expected.keys().collect::<Vec<_>>(), actual.keys().collect::<Vec<_>>(), "{stale}");
    for (path, text) in &expected {
        assert!(actual.get(path) == Some(text), "tests/suites/engine/{} is out of date: {stale}", path.display());
    }
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
}
