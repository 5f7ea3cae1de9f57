//! If a path is accepted as an operation, every reader takes it for the same one: method, template
//! and parameters. Over hostile spellings of every operation's path, by class, one and two at a
//! time, against independent models of how Envoy, Tomcat and Spring read a path.

mod readers;
mod spellings;

use portcullis::api::catalogue::{Method, OPERATIONS};
use portcullis::api::route::{self, BasePath};
use readers::{Envoy, Escaped};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// An operation and its parameters, as one reader takes a request.
type Meaning = (&'static str, Vec<String>);

fn ours(method: &str, target: &str) -> Option<Meaning> {
    let route = route::find(&BasePath::default(), method.as_bytes(), target.as_bytes()).ok().flatten()?;
    let parameters = route.operation.parameters.iter().enumerate();
    let parameters = parameters.map(|(number, _)| route.parameter(number).unwrap_or_default().to_owned()).collect();
    Some((route.operation.id, parameters))
}

/// The operation that a reader's segments lead to: of all templates that fit, the one with literal
/// segments first, as Spring sorts its patterns.
fn meaning(method: &str, segments: &[String]) -> Option<Meaning> {
    let mut fitting: Vec<(Vec<u8>, Meaning)> = Vec::new();
    for operation in &OPERATIONS {
        if operation.method != Method::Any && operation.method.name() != method {
            continue;
        }
        let template: Vec<&str> = operation.path.split('/').skip(1).collect();
        let (template, prefix) = match template.split_last() {
            Some((&"**", head)) => (head.to_vec(), true),
            _ => (template, false),
        };
        let fits = if prefix { segments.len() >= template.len() } else { segments.len() == template.len() };
        let is_parameter = |part: &str| part.starts_with('{');
        if !fits || !template.iter().zip(segments).all(|(t, s)| t == s || is_parameter(t) && !s.is_empty()) {
            continue;
        }
        let parameters =
            template.iter().zip(segments).filter(|(t, _)| is_parameter(t)).map(|(_, s)| s.clone()).collect();
        let mut rank: Vec<u8> = template.iter().map(|part| if is_parameter(part) { 1 } else { 2 }).collect();
        rank.push(if prefix { 0 } else { 3 });
        fitting.push((rank, (operation.id, parameters)));
    }
    fitting.sort_by_key(|(rank, _)| Reverse(rank.clone()));
    fitting.into_iter().next().map(|(_, meaning)| meaning)
}

/// Checks one target; says whether it is accepted.
fn check(method: &str, target: &str) -> bool {
    let Some(accepted) = ours(method, target) else { return false };
    let escaped_slash = target.split('?').next().unwrap_or_default().to_ascii_lowercase().contains("%2f");
    let mut readings = vec![
        ("PathPattern", readers::path_pattern(target, false)),
        ("PathPattern of Spring 5", readers::path_pattern(target, true)),
        ("Tomcat", readers::tomcat(target, false)),
        ("Tomcat that passes %2F", readers::tomcat(target, true)),
        ("a browser", readers::browser(target)),
    ];
    // It would take an encoded slash in a group's id for a slash; the cluster does not use it.
    if !escaped_slash {
        readings.push(("UrlPathHelper", readers::url_path_helper(target)));
    }
    for (reader, segments) in readings {
        if let Some(segments) = segments {
            assert_eq!(meaning(method, &segments), Some(accepted.clone()), "{reader}: {method} {target}");
        }
    }
    // A proxy between the edge and the cluster; one that unescapes slashes is refused a path with one.
    for proxy in Envoy::all().into_iter().filter(|p| !escaped_slash || p.escaped != Escaped::Unescape) {
        if let Some(forwarded) = proxy.forward(target) {
            assert_eq!(ours(method, &forwarded), Some(accepted.clone()), "{proxy:?}: {method} {target}");
        }
    }
    true
}

/// A path of the template, its parameters as `fill` says.
fn filled(template: &str, fill: impl Fn(&str) -> &'static str) -> String {
    let segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => fill(name).to_owned(),
        None => part.replace("**", "x"),
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn value(name: &str) -> &'static str {
    if name.ends_with("Key") { "2251799813685249" } else { "ops" }
}

fn name(method: Method) -> &'static str {
    if method == Method::Any { "GET" } else { method.name() }
}

#[test]
fn every_plain_path_is_accepted_and_read_alike() {
    for operation in &OPERATIONS {
        for fill in [value, |_: &str| "a-b.c_d~1", |_: &str| "%3Cdefault%3E", |_: &str| "%C3%A9t%C3%A9"] {
            let path = filled(operation.path, fill);
            assert!(check(name(operation.method), &path), "{path}");
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
        for target in spellings::of(&filled(operation.path, literals)).into_iter().step_by(step) {
            let forwarded = Envoy::all().into_iter().filter_map(|proxy| proxy.forward(&target));
            for target in forwarded.chain([target.clone()]) {
                if seen.insert((name(operation.method), target.clone())) {
                    *if check(name(operation.method), &target) { &mut accepted } else { &mut refused } += 1;
                }
            }
        }
    }
    assert!(accepted > 1_000 && refused > 10_000, "{accepted} accepted, {refused} refused: nothing was tried");
}

#[test]
fn what_is_accepted_is_read_alike_also_with_two_tricks() {
    // A small linear congruential generator: the same pairs in every run.
    let mut state = 7_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit
    };
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let mut accepted = 0;
    for _ in 0..600 {
        let once = spellings::of(&filled(OPERATIONS[below(OPERATIONS.len())].path, value));
        let once = &once[below(once.len())];
        let twice = spellings::of(once);
        let target = &twice[below(twice.len())];
        for method in methods {
            accepted += u32::from(check(method, target));
        }
    }
    assert!(accepted > 10, "{accepted} accepted: nothing was tried");
}
