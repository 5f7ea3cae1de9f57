//! Path and method -> operation, by the tree of segments that the build makes of the catalogue.

use super::catalogue::{Method, NODES, Node, OPERATIONS, Operation, OperationRef, Surface, Version};
use super::extra::ExtraOperations;
use super::path::{Ambiguous, Segment, segments};

/// Parameters that may hold any text, also an encoded slash or percent sign: ids that come from an
/// identity provider. All other ids have a syntax of Camunda's own, without either.
const FREE_TEXT: [&str; 3] = ["groupId", "clientId", "username"];

/// The first segment of every gRPC path: the service.
const GRPC: &str = "gateway_protocol.Gateway";

/// The operation that a request is, with its path parameters.
#[derive(Debug)]
pub struct Route<'a> {
    /// The operation.
    pub operation: OperationRef,
    parameters: Vec<Segment<'a>>,
    last: &'a str,
}

impl Route<'_> {
    /// The decoded value of a path parameter, by its number.
    #[must_use]
    pub fn parameter(&self, number: usize) -> Option<&str> {
        self.parameters.get(number).map(|s| &*s.text)
    }

    /// The last segment of the path, as it stands there; empty at the root.
    #[must_use]
    pub fn last_segment(&self) -> &str {
        self.last
    }

    /// Whether a path parameter is a key that is not written as the cluster itself writes keys.
    #[must_use]
    pub fn is_odd_key(&self, number: usize) -> bool {
        let is_key = self.operation.parameters.get(number).is_some_and(|name| name.ends_with("Key"));
        let text = self.parameter(number).unwrap_or("");
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        is_key && !plain
    }
}

/// The path under which the cluster's API is reached: `/`, or a prefix such as `/camunda`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BasePath(Vec<String>);

impl BasePath {
    /// Reads a base path.
    ///
    /// # Errors
    /// It is not a plain absolute path.
    pub fn parse(text: &str) -> Result<Self, Ambiguous> {
        let text = if text.len() > 1 { text.strip_suffix('/').unwrap_or(text) } else { text };
        let segments = segments(text.as_bytes())?;
        if text.contains(['%', '?']) {
            return Err(Ambiguous("it has an escape or a query"));
        }
        Ok(Self(segments.into_iter().map(|s| s.raw.to_owned()).collect()))
    }
}

/// What requests are looked up in.
#[derive(Clone, Debug)]
pub struct Routes {
    /// The path under which the cluster's API is reached.
    pub base: BasePath,
    /// The API's version: of later operations of the catalogue, those of the configuration take the place.
    pub version: Version,
    /// The operations that the configuration adds.
    pub extra: ExtraOperations,
}

impl Default for Routes {
    /// The whole catalogue, at the root.
    fn default() -> Self {
        let version = Version::new(u8::MAX, u8::MAX);
        Self { base: BasePath::default(), version, extra: ExtraOperations::default() }
    }
}

/// The operation that method and path (with its query) name; `None` where there is none. One that the
/// API's version lacks is found, too.
///
/// # Errors
/// Readers could take the path for different things.
pub fn find<'a>(routes: &Routes, method: &[u8], target: &'a [u8]) -> Result<Option<Route<'a>>, Ambiguous> {
    let all = segments(target)?;
    let mut rest = &*all;
    // The base path is the REST API's alone.
    let base = if all.first().is_some_and(|first| first.raw == GRPC) { &[][..] } else { &routes.base.0 };
    for expected in base {
        match rest.split_first() {
            Some((first, tail)) if first.raw == expected => rest = tail,
            Some((first, _)) if first.text == *expected => return Err(ESCAPED_LITERAL),
            _ => return unknown(&all),
        }
    }
    let Some(method) = Method::of_request(method) else {
        return unknown(&all);
    };
    let Some(root) = NODES.first() else {
        return Ok(None);
    };
    let mut parameters = Vec::new();
    let built_in = descend(root, rest, method, &mut parameters)?.map(OperationRef::BuiltIn);
    let operation = match built_in {
        Some(operation) if operation.since <= routes.version => Some(operation),
        later => match routes.extra.find(method, rest)? {
            Some((operation, its)) => {
                parameters = its;
                Some(operation)
            }
            None => later,
        },
    };
    let Some(operation) = operation else {
        return unknown(&all);
    };
    // A gRPC server knows just this path: with none before it, and no query after it.
    if operation.surface == Surface::Grpc && (rest.len() != all.len() || target.contains(&b'?')) {
        return unknown(&all);
    }
    for (segment, name) in parameters.iter().zip(operation.parameters.iter()) {
        if segment.free_text && !FREE_TEXT.contains(&&**name) {
            return Err(Ambiguous("an encoded slash or percent sign where the id can have none"));
        }
    }
    let last = all.last().map_or("", |segment| segment.raw);
    Ok(Some(Route { operation, parameters, last }))
}

pub(super) const ESCAPED_LITERAL: Ambiguous = Ambiguous("a fixed segment is written with percent-escapes");

/// An unknown path; one that readers could still split differently is refused as such.
fn unknown<'a>(all: &[Segment<'_>]) -> Result<Option<Route<'a>>, Ambiguous> {
    if all.iter().any(|s| s.free_text) {
        return Err(Ambiguous("an encoded slash or percent sign"));
    }
    Ok(None)
}

/// A literal segment beats a parameter, and both beat a prefix; a method that only the parameter's
/// branch has leads there, as in Spring.
fn descend<'a>(
    node: &'static Node,
    rest: &[Segment<'a>],
    method: Method,
    parameters: &mut Vec<Segment<'a>>,
) -> Result<Option<&'static Operation>, Ambiguous> {
    let found = match rest.split_first() {
        None => pick(node.operations, method),
        Some((segment, tail)) => {
            // Readers that decode first would take the literal branch, others the parameter's.
            if segment.is_escaped() && node.literals.iter().any(|(l, _)| *l == segment.text) {
                return Err(ESCAPED_LITERAL);
            }
            let literal = node.literals.iter().find(|(l, _)| *l == segment.raw).and_then(|(_, n)| NODES.get(*n));
            let found = match literal {
                Some(next) => descend(next, tail, method, parameters)?,
                None => None,
            };
            match (found, node.parameter.and_then(|n| NODES.get(n))) {
                (None, Some(next)) => {
                    parameters.push(segment.clone());
                    let found = descend(next, tail, method, parameters)?;
                    if found.is_none() {
                        parameters.pop();
                    }
                    found
                }
                (found, _) => found,
            }
        }
    };
    Ok(found.or_else(|| pick(node.rest, method)))
}

fn pick(ends: &[(Method, usize)], method: Method) -> Option<&'static Operation> {
    let (_, number) = ends.iter().find(|(m, _)| *m == method || *m == Method::Any)?;
    OPERATIONS.get(*number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::catalogue::Text;

    fn id(method: &str, path: &str) -> Result<Option<Text>, Ambiguous> {
        find(&Routes::default(), method.as_bytes(), path.as_bytes()).map(|r| r.map(|r| r.operation.id.clone()))
    }

    /// A slow matcher: every row on its own, most literal segments first.
    fn naive(method: &str, path: &str) -> Option<Text> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let fits = |o: &&Operation| {
            let pattern: Vec<&str> = o.path.split('/').skip(1).collect();
            let same = |(p, s): (&&str, &&str)| p.starts_with('{') || p == s;
            (o.method.name() == method || o.method == Method::Any)
                && match pattern.split_last() {
                    Some((&"**", head)) => parts.len() >= head.len() && head.iter().zip(&parts).all(same),
                    _ => pattern.len() == parts.len() && pattern.iter().zip(&parts).all(same),
                }
        };
        let literals = |o: &Operation| -> Vec<u8> {
            o.path.split('/').skip(1).map(|s| if s == "**" { 2 } else { u8::from(s.starts_with('{')) }).collect()
        };
        OPERATIONS.iter().filter(fits).min_by_key(|o| literals(o)).map(|o| o.id.clone())
    }

    #[test]
    fn every_row_is_found_and_agrees_with_a_naive_matcher() {
        for operation in &OPERATIONS {
            let path = operation.path.replace("/**", "/x/y").replace(['{', '}'], "");
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                assert_eq!(id(method, &path).unwrap(), naive(method, &path), "{method} {path}");
            }
            let method = if operation.method == Method::Any { "GET" } else { operation.method.name() };
            let found = id(method, &path).unwrap().unwrap();
            // Two rows of the deprecated APIs share one method and path.
            let twin = Operation::named(&found).unwrap();
            assert!(
                found == operation.id
                    || (twin.path.split('{').count() == operation.path.split('{').count()
                        && twin.surface == operation.surface),
                "{} is taken for {found}",
                operation.id
            );
        }
    }

    #[test]
    fn an_escape_cannot_hide_a_literal_nor_add_a_segment() {
        assert!(id("POST", "/v2/process-instances/%73earch").is_err());
        assert!(id("GET", "/%762/topology").is_err());
        assert!(id("GET", "/v2/tenants/a%2Fb").is_err());
        assert!(id("GET", "/v2/x%2Fy").is_err());
        assert_eq!(id("GET", "/v2/groups/%2Fops%2Fnight").unwrap(), Some("getGroup".into()));
        assert_eq!(id("GET", "/V2/topology").unwrap(), None);
        assert_eq!(id("HEAD", "/v2/topology").unwrap(), Some("getTopology".into()));
        assert_eq!(id("get", "/v2/topology").unwrap(), None);
    }

    #[test]
    fn a_base_path_comes_first() {
        let routes = Routes { base: BasePath::parse("/camunda/").unwrap(), ..Routes::default() };
        let found = |p: &str| find(&routes, b"GET", p.as_bytes()).map(|r| r.map(|r| r.operation.id.clone()));
        assert_eq!(found("/camunda/v2/topology").unwrap(), Some("getTopology".into()));
        assert_eq!(found("/v2/topology").unwrap(), None);
        assert!(found("/c%61munda/v2/topology").is_err());
        assert!(BasePath::parse("camunda").is_err());
        assert!(BasePath::parse("/a%20b").is_err());
    }
}
