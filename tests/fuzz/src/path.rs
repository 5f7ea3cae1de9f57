//! Paths: a byte that chooses the method and what stands before the API, then the path.

use crate::memory::bounded;
use portcullis::api::route::{self, BasePath, Routes};
use portcullis_reference::catalogue::{self, Route};
use std::fmt::Write as _;

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
const BASES: [&str; 3] = ["", "/engine", "/a/b"];

/// A path that is taken for an operation is one that other readers take for the same.
pub fn check(data: &[u8]) {
    let Some((choice, target)) = data.split_first() else { return };
    let choice = usize::from(*choice);
    let (method, base) = (METHODS[choice % 6], BASES[choice / 6 % 3]);
    let routes = Routes { base: BasePath::parse(&format!("{base}/")).unwrap(), ..Routes::default() };
    let found = bounded(16 * 1024, target.len(), 16, || route::find(&routes, method.as_bytes(), target));
    let path = target.split(|b| *b == b'?').next().unwrap_or_default();
    match found {
        Err(_) => (),
        Ok(None) => {
            // What is unknown here is unknown to a reader that is easily pleased.
            let path = std::str::from_utf8(path).unwrap();
            let naive = naive(base, method, path);
            assert!(naive.is_none(), "{method} {path} is {naive:?}");
        }
        Ok(Some(route)) => {
            let path = std::str::from_utf8(path).unwrap();
            assert_eq!(normalised(path), path, "another reader would see another path");
            let naive = naive(base, method, path).unwrap();
            let parameters: Vec<&str> = (0..).map_while(|number| route.parameter(number)).collect();
            let others: Vec<&str> = naive.parameters.iter().map(|(_, value)| &**value).collect();
            assert_eq!((&*route.operation.id, &parameters), (&*naive.operation.id, &others));
            for value in &parameters {
                assert!(!value.chars().any(char::is_control) && !value.contains(['\\', ';']), "{value:?}");
                assert!(!value.split('/').any(|part| matches!(part, "." | "..")), "{value:?}");
                assert_eq!(catalogue::decode(value).as_deref().unwrap_or(value), *value, "encoded twice");
            }
            // Written in full it is the same route.
            let again = rewritten(base, &route.operation.path, &parameters);
            if let Some(again) = again {
                match route::find(&routes, method.as_bytes(), again.as_bytes()) {
                    Ok(route) => {
                        let route = route.unwrap();
                        assert_eq!(route.operation.id, naive.operation.id);
                        let same: Vec<&str> = (0..).map_while(|number| route.parameter(number)).collect();
                        assert_eq!(same, others);
                    }
                    // A value that is also a fixed segment of another operation.
                    Err(why) => assert!(why.0.contains("a fixed segment"), "{again}: {}", why.0),
                }
            }
        }
    }
}

/// The operation of a path, of calls as well, which have nothing before them.
fn naive(base: &str, method: &str, path: &str) -> Option<Route> {
    let find = |path: &str| catalogue::find((99, 0), method, if path.is_empty() { "/" } else { path });
    let rest = path.strip_prefix(base).and_then(find).filter(|route| !route.operation.is_call());
    rest.or_else(|| find(path).filter(|route| route.operation.is_call()))
}

/// As proxies and servlet containers put a path in order: matrix parameters off, decoded but for
/// what is needed, empty and dot segments gone.
fn normalised(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        let segment = segment.split(';').next().unwrap_or_default();
        match catalogue::decode(segment).as_deref() {
            Some("" | ".") => (),
            Some("..") => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// The path of an operation with all bytes of its parameters escaped; `None` where the operation is
/// a whole tree of paths.
fn rewritten(base: &str, template: &str, parameters: &[&str]) -> Option<String> {
    let mut values = parameters.iter();
    let mut path = base.to_owned();
    for segment in template.split('/').skip(1) {
        path.push('/');
        match segment {
            "**" | "" => return None,
            _ if segment.starts_with('{') => {
                for byte in values.next()?.bytes() {
                    let _ = write!(path, "%{byte:02x}");
                }
            }
            _ => path.push_str(segment),
        }
    }
    Some(path)
}
