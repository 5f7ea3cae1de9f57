//! Whether all readers take a target for the same operation as the engine.

use super::readers;
use portcullis::api::catalogue::{Method, OPERATIONS};
use portcullis::api::route::{self, BasePath, Routes};
use std::cmp::Reverse;

/// An operation and its parameters, as one reader takes a request.
pub type Meaning = (String, Vec<String>);

/// What the engine takes a target for, of an API under that path (`/` where it stands alone); `None`
/// where it accepts it as no operation.
pub fn ours(base: &str, method: &str, target: &str) -> Option<Meaning> {
    let routes = Routes { base: BasePath::parse(base).expect("a base path"), ..Routes::default() };
    let route = route::find(&routes, method.as_bytes(), target.as_bytes()).ok().flatten()?;
    let parameters = route.operation.parameters.iter().enumerate();
    let parameters = parameters.map(|(number, _)| route.parameter(number).unwrap_or_default().to_owned()).collect();
    Some((route.operation.id.to_string(), parameters))
}

/// The operation that a reader's segments lead to: of all templates that fit, the one with literal
/// segments first, as Spring sorts its patterns.
fn meaning(base: &str, method: &str, segments: Vec<String>) -> Option<Meaning> {
    let segments = below(base, segments)?;
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
        if !fits || !template.iter().zip(&segments).all(|(t, s)| t == s || is_parameter(t) && !s.is_empty()) {
            continue;
        }
        let parameters =
            template.iter().zip(&segments).filter(|(t, _)| is_parameter(t)).map(|(_, s)| s.clone()).collect();
        let mut rank: Vec<u8> = template.iter().map(|part| if is_parameter(part) { 1 } else { 2 }).collect();
        rank.push(if prefix { 0 } else { 3 });
        fitting.push((rank, (operation.id.to_string(), parameters)));
    }
    fitting.sort_by_key(|(rank, _)| Reverse(rank.clone()));
    fitting.into_iter().next().map(|(_, meaning)| meaning)
}

/// What stands below the base path, in front of which a gRPC call has nothing.
fn below(base: &str, mut segments: Vec<String>) -> Option<Vec<String>> {
    let base: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    if segments.first().is_some_and(|first| first == "gateway_protocol.Gateway") {
        return Some(segments);
    }
    if !segments.iter().map(String::as_str).take(base.len()).eq(base.iter().copied()) {
        return None;
    }
    segments.drain(..base.len());
    // The root is one empty segment.
    Some(if segments.is_empty() { vec![String::new()] } else { segments })
}

/// Whether a target holds an encoded slash, as a group's id may.
pub fn has_escaped_slash(target: &str) -> bool {
    target.split('?').next().unwrap_or_default().to_ascii_lowercase().contains("%2f")
}

/// The first reader that takes a target for something else, and for what. One that refuses it takes
/// it for nothing.
pub fn dissent(base: &str, method: &str, target: &str, accepted: &Meaning) -> Option<String> {
    let mut readings = vec![
        ("PathPattern", readers::path_pattern(target, false)),
        ("PathPattern of Spring 5", readers::path_pattern(target, true)),
        ("Tomcat", readers::tomcat(target, false)),
        ("Tomcat that passes %2F", readers::tomcat(target, true)),
        ("a browser", readers::browser(target)),
    ];
    // It would take an encoded slash in a group's id for a slash; the cluster does not use it.
    if !has_escaped_slash(target) {
        readings.push(("UrlPathHelper", readers::url_path_helper(target)));
    }
    readings.into_iter().find_map(|(reader, segments)| {
        let meaning = meaning(base, method, segments?);
        (meaning.as_ref() != Some(accepted)).then(|| format!("{reader} takes it for {meaning:?}, not {accepted:?}"))
    })
}

/// The method by which an operation is asked for.
pub fn method(method: Method) -> &'static str {
    if method == Method::Any { "GET" } else { method.name() }
}

/// A path of the template, its parameters as `fill` says.
pub fn filled(template: &str, fill: impl Fn(&str) -> &'static str) -> String {
    let segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => fill(name).to_owned(),
        None => part.replace("**", "x"),
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}
