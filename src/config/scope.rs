//! Which requests are judged, where a proxy serves other applications, too.

use super::ConfigError;
use super::source::ScopeSource;
use std::collections::BTreeSet;

/// What is judged: requests of one of these clusters, or for one of these hosts. The rest passes
/// without a word from us, and the belt before the cluster is what keeps it out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    clusters: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

impl Scope {
    /// Whether a request is judged by the cluster that its route names, where there is one, or by
    /// its authority. An authority that is missing, or that some reader may understand differently,
    /// is judged.
    #[must_use]
    pub fn covers(&self, cluster: Option<&[u8]>, authority: Option<&[u8]>) -> bool {
        let named = cluster.and_then(|name| std::str::from_utf8(name).ok());
        named.is_some_and(|name| self.clusters.contains(name))
            || (!self.hosts.is_empty() && self.covers_host(authority))
    }

    /// Whether it matters which cluster a route names.
    #[must_use]
    pub fn asks_for_cluster(&self) -> bool {
        !self.clusters.is_empty()
    }

    /// The clusters whose requests are judged.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        self.clusters.iter().map(String::as_str)
    }

    fn covers_host(&self, authority: Option<&[u8]>) -> bool {
        authority.and_then(host).is_none_or(|host| self.hosts.contains(&host))
    }
}

/// The host of an authority: in lower case, without port and final dots. `None` where it is not
/// plainly a name or an address.
fn host(authority: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(authority).ok()?;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let good = |b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.';
            if address.is_empty() || !address.bytes().all(good) {
                return None;
            }
            (format!("[{address}]"), port)
        }
        None => {
            let (name, port) = text.find(':').map_or((text, ""), |at| text.split_at_checked(at).unwrap_or_default());
            let name = name.trim_end_matches('.');
            let good = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if name.is_empty() || !name.bytes().all(good) {
                return None;
            }
            (name.to_owned(), port)
        }
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let good = digits.bytes().all(|b| b.is_ascii_digit()) && (port.is_empty() || port.starts_with(':'));
    good.then(|| host.to_ascii_lowercase())
}

pub(super) fn check(source: Option<&ScopeSource>) -> Result<Option<Scope>, ConfigError> {
    let Some(source) = source else { return Ok(None) };
    if source.clusters.is_empty() && source.authorities.is_empty() {
        return Err(ConfigError::new("scope", "names neither clusters nor authorities, so nothing would be judged"));
    }
    let mut scope = Scope { clusters: BTreeSet::new(), hosts: BTreeSet::new() };
    for (number, name) in source.clusters.iter().enumerate() {
        let path = format!("scope.clusters[{number}]");
        if name.trim().is_empty() || name.trim() != name {
            return Err(ConfigError::new(path, "is not the name of a cluster"));
        }
        if !scope.clusters.insert(name.clone()) {
            return Err(ConfigError::new(path, format!("`{name}` stands twice")));
        }
    }
    for (number, name) in source.authorities.iter().enumerate() {
        let path = format!("scope.authorities[{number}]");
        let Some(host) = host(name.as_bytes()).filter(|host| *host == name.to_ascii_lowercase()) else {
            let reason = format!("`{name}` is not a host: a name or address, without port, final dot and `*`");
            return Err(ConfigError::new(path, reason));
        };
        if !scope.hosts.insert(host) {
            return Err(ConfigError::new(path, format!("`{name}` stands twice")));
        }
    }
    Ok(Some(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(clusters: &[&str], authorities: &[&str]) -> Result<Scope, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let source = ScopeSource { clusters: owned(clusters), authorities: owned(authorities) };
        check(Some(&source)).map(|scope| scope.unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn by_cluster() {
        let scope = scope(&["orchestration", "outbound|8080||zeebe.camunda"], &[]).unwrap();
        let covers = |cluster: &str| scope.covers(Some(cluster.as_bytes()), Some(b"any"));
        assert!(covers("orchestration") && covers("outbound|8080||zeebe.camunda"));
        for other in ["", "Orchestration", "orchestration ", "orchestration-2", "shop"] {
            assert!(!covers(other), "{other:?}");
        }
        // Without a cluster nothing is forwarded: a redirect, a direct response, no route.
        assert!(!scope.covers(None, None) && scope.asks_for_cluster());
    }

    #[test]
    fn by_authority_however_it_is_written() {
        let scope = scope(&[], &["Camunda.example.com", "[2001:DB8::1]", "10.0.0.7"]).unwrap();
        let covers = |authority: &str| scope.covers(Some(b"any"), Some(authority.as_bytes()));
        for same in [
            "camunda.example.com",
            "CAMUNDA.EXAMPLE.COM",
            "camunda.example.com:443",
            "camunda.example.com.",
            "Camunda.Example.Com.:8080",
            "camunda.example.com..",
            "camunda.example.com:",
            "[2001:db8::1]",
            "[2001:DB8::1]:8080",
            "10.0.0.7:1",
        ] {
            assert!(covers(same), "{same}");
        }
        for other in
            ["shop.example.com", "shop.example.com:443", "camunda.example.com.evil.test", "a_b.example", "[::1]"]
        {
            assert!(!covers(other), "{other}");
        }
        assert!(!scope.asks_for_cluster());
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_judged() {
        let scope = scope(&[], &["camunda.example.com"]).unwrap();
        for odd in [
            "",
            ".",
            ":80",
            "shop.example.com:80:80",
            "shop.example.com:x",
            "user@camunda.example.com",
            "camunda%2Eexample.com",
            "shop.example.com, camunda.example.com",
            "shop example",
            "[::1",
            "[]",
            "[::1]x",
            "shop.example.com/",
            "b\u{fc}cher.example",
        ] {
            assert!(scope.covers(None, Some(odd.as_bytes())), "{odd:?}");
        }
        assert!(scope.covers(None, Some(b"\xff")) && scope.covers(None, None));
    }

    #[test]
    fn either_is_enough() {
        let scope = scope(&["orchestration"], &["camunda.example.com"]).unwrap();
        assert!(scope.covers(Some(b"orchestration"), Some(b"shop.example.com")));
        assert!(scope.covers(Some(b"shop"), Some(b"camunda.example.com")));
        assert!(!scope.covers(Some(b"shop"), Some(b"shop.example.com")));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        assert!(scope(&[], &[]).unwrap_err().starts_with("scope: names neither"));
        assert!(scope(&[""], &[]).unwrap_err().starts_with("scope.clusters[0]: "));
        assert!(scope(&["a", " b"], &[]).unwrap_err().starts_with("scope.clusters[1]: "));
        assert!(scope(&["a", "a"], &[]).unwrap_err().contains("stands twice"));
        for bad in ["", "*", "*.example.com", "a.example.com:80", "a.example.com.", "https://a.example.com", "a b"] {
            assert!(scope(&[], &[bad]).unwrap_err().starts_with("scope.authorities[0]: "), "{bad:?}");
        }
        assert!(scope(&[], &["a.test", "A.test"]).unwrap_err().contains("stands twice"));
    }
}
