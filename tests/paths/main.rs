//! If a path is accepted as an operation, every reader takes it for the same one: method, template
//! and parameters. Over hostile spellings of every operation's path, by class, one and two at a
//! time, against independent models of how Envoy, Tomcat and Spring read a path.

mod agreement;
mod readers;
mod spellings;

use agreement::{filled, has_escaped_slash, method, ours};
use portcullis::api::catalogue::OPERATIONS;
use readers::{Envoy, Escaped};
use std::collections::BTreeSet;

/// Checks one target; says whether it is accepted.
fn check(method: &str, target: &str) -> bool {
    check_under("/", method, target)
}

/// The same where the API stands under a base path.
fn check_under(base: &str, method: &str, target: &str) -> bool {
    let Some(accepted) = ours(base, method, target) else { return false };
    let dissent = agreement::dissent(base, method, target, &accepted);
    assert_eq!(dissent, None, "{method} {target}");
    // A proxy between the edge and the cluster; one that unescapes slashes is refused a path with one.
    for proxy in Envoy::all().into_iter().filter(|p| !has_escaped_slash(target) || p.escaped != Escaped::Unescape) {
        if let Some(forwarded) = proxy.forward(target) {
            assert_eq!(ours(base, method, &forwarded), Some(accepted.clone()), "{proxy:?}: {method} {target}");
        }
    }
    true
}

fn value(name: &str) -> &'static str {
    if name.ends_with("Key") { "2251799813685249" } else { "ops" }
}

#[test]
fn every_plain_path_is_accepted_and_read_alike() {
    for operation in &OPERATIONS {
        for fill in [value, |_: &str| "a-b.c_d~1", |_: &str| "%3Cdefault%3E", |_: &str| "%C3%A9t%C3%A9"] {
            let path = filled(&operation.path, fill);
            assert!(check(method(operation.method), &path), "{path}");
        }
    }
    for id in ["%2Fops", "a%2Fb%2fc", "50%25", "a%25b"] {
        assert!(check("PUT", &format!("/v2/groups/{id}/users/{id}")), "{id}");
    }
}

#[test]
fn what_is_accepted_is_read_alike() {
    let (mut accepted, mut refused) = (0, 0);
    let mut seen = BTreeSet::new();
    for (number, operation) in OPERATIONS.iter().enumerate() {
        // Every class at every place of every twentieth path, and a few at all others.
        let step = if number % 20 == 0 { 1 } else { 41 };
        let literals = |name: &str| if name.ends_with("Key") { "2251799813685249" } else { "search" };
        for target in spellings::of(&filled(&operation.path, literals)).into_iter().step_by(step) {
            let by = |proxy: Envoy| match target.is_ascii() {
                true => proxy.forward(&target),
                false => proxy.forward_over_http2(&target),
            };
            let forwarded = Envoy::all().into_iter().filter_map(by);
            for target in forwarded.chain([target.clone()]) {
                if seen.insert((method(operation.method), target.clone())) {
                    *if check(method(operation.method), &target) { &mut accepted } else { &mut refused } += 1;
                }
            }
        }
    }
    assert!(accepted > 1_000 && refused > 10_000, "{accepted} accepted, {refused} refused: nothing was tried");
}

#[test]
fn what_is_accepted_is_read_alike_also_with_two_tricks() {
    let mut choices = spellings::Choices(7);
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let mut accepted = 0;
    for _ in 0..600 {
        let path = filled(&OPERATIONS[choices.below(OPERATIONS.len())].path, value);
        let target = &choices.twice(&path);
        for method in methods {
            accepted += u32::from(check(method, target));
        }
    }
    assert!(accepted > 10, "{accepted} accepted: nothing was tried");
}

#[test]
fn what_is_accepted_under_a_base_path_is_read_alike() {
    let (mut accepted, mut refused) = (0, 0);
    for (number, operation) in OPERATIONS.iter().enumerate().step_by(9) {
        let path = filled(&operation.path, value);
        for (base, path) in
            [("/camunda", format!("/camunda{path}")), ("/a/b", format!("/a/b{path}")), ("/camunda", path)]
        {
            for target in spellings::of(&path).into_iter().skip(number % 7).step_by(7) {
                let fits = check_under(base, method(operation.method), &target);
                *if fits { &mut accepted } else { &mut refused } += 1;
            }
        }
    }
    assert!(accepted > 300 && refused > 3_000, "{accepted} accepted, {refused} refused: nothing was tried");
}
