//! The JSONPath that claims are read with, as Jayway JsonPath reads it in the cluster: child,
//! index, slice, wildcard, deep scan and simple filters.
//!
//! RFC 9535 libraries differ from Jayway where it matters here: bare names, what a definite path
//! gives, comparison of numbers with strings.

mod filter;
mod parse;

use filter::Filter;
use serde_json::Value;

/// The most values that are followed: several deep scans in one path multiply.
const MAX_FOUND: usize = 65_536;

/// Why a path cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathError {
    /// The cluster refuses it, too: nothing is ever found with it.
    Broken(&'static str),
    /// The cluster may know it, this module does not.
    Unsupported(&'static str),
}

impl PathError {
    /// What is wrong.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Broken(reason) | Self::Unsupported(reason) => reason,
        }
    }
}

/// A compiled path.
#[derive(Clone, Debug)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Child(String),
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    Wildcard,
    Filter(Filter),
    /// The next step applies to every level below.
    Descend,
}

/// What a path finds.
#[derive(Clone, PartialEq, Debug)]
pub enum Found<'a> {
    /// Nothing.
    Missing,
    /// The one value that a definite path can name.
    One(&'a Value),
    /// The values, perhaps none, that any other path names.
    Many(Vec<&'a Value>),
}

impl JsonPath {
    /// A path as mapping rules have it: where it begins with neither `$` nor `@`, `$.` is put
    /// before it.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        parse::path(text)
    }

    /// A path as claim settings have it: where it does not begin with `$` it is one flat name.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse_claim(text: &str) -> Result<Self, PathError> {
        if text.starts_with('$') { parse::path(text) } else { Ok(Self { steps: vec![Step::Child(text.to_owned())] }) }
    }

    /// The one member of a document that it looks into; `None` where it may look into any.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        match self.steps.first() {
            Some(Step::Child(name)) => Some(name),
            _ => None,
        }
    }

    /// What the path finds in a document. Where only the last name of a definite path is missing, that is [`Found::Missing`]
    /// like any other; an indefinite one finds null there (Jayway's `DEFAULT_PATH_LEAF_TO_NULL`).
    #[must_use]
    pub fn find<'a>(&self, document: &'a Value) -> Found<'a> {
        follow(&self.steps, document)
    }

    /// Whether a definite path finds all but its last name.
    fn lacks_its_leaf(&self, document: &Value) -> bool {
        match self.steps.split_last() {
            Some((Step::Child(name), before)) => {
                matches!(follow(before, document), Found::One(Value::Object(members)) if !members.contains_key(name))
            }
            _ => false,
        }
    }
}

fn follow<'a>(steps: &[Step], document: &'a Value) -> Found<'a> {
    let mut found = vec![document];
    let mut definite = true;
    let mut descend = false;
    for (left, step) in (0..steps.len()).rev().zip(steps) {
        if matches!(step, Step::Descend) {
            (descend, definite) = (true, false);
            continue;
        }
        let is_leaf = left == 0 && !definite && !descend;
        definite = definite && step.is_definite();
        if descend {
            found = found.into_iter().flat_map(with_all_below).take(MAX_FOUND).collect();
            descend = false;
        }
        let all = found.into_iter();
        found = if is_leaf {
            all.flat_map(|value| step.apply_to_leaf(value)).take(MAX_FOUND).collect()
        } else {
            all.flat_map(|value| step.apply(value)).take(MAX_FOUND).collect()
        };
    }
    match (definite, found.first()) {
        (true, Some(value)) => Found::One(value),
        (true, None) => Found::Missing,
        (false, _) => Found::Many(found),
    }
}

impl Step {
    fn is_definite(&self) -> bool {
        match self {
            Self::Child(_) => true,
            Self::Indexes(indexes) => indexes.len() == 1,
            _ => false,
        }
    }

    /// The last step of an indefinite path: what an object lacks is null.
    fn apply_to_leaf<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Child(name), Value::Object(members)) => vec![members.get(name).unwrap_or(&Value::Null)],
            _ => self.apply(value),
        }
    }

    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Child(name), Value::Object(members)) => members.get(name).into_iter().collect(),
            (Self::Indexes(indexes), Value::Array(items)) => {
                indexes.iter().filter_map(|i| items.get(position(*i, items.len())?)).collect()
            }
            (Self::Slice(from, to), Value::Array(items)) => {
                let bound = |i: i64| position(i, items.len()).unwrap_or(0);
                let from = from.map_or(0, bound);
                let to = to.map_or(items.len(), bound);
                items.iter().take(to).skip(from).collect()
            }
            (Self::Wildcard, _) => children(value),
            (Self::Filter(filter), Value::Array(items)) => items.iter().filter(|v| filter.holds(v)).collect(),
            (Self::Filter(filter), Value::Object(_)) if filter.holds(value) => vec![value],
            _ => Vec::new(),
        }
    }
}

/// An index from the start, or from the end where it is negative.
fn position(index: i64, length: usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(members) => members.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// A value and everything below it. Claims are parsed with a bounded depth, so this ends.
fn with_all_below(value: &Value) -> Vec<&Value> {
    let mut all = vec![value];
    let mut next = 0;
    while let Some(value) = all.get(next) {
        all.extend(children(value));
        next = next.saturating_add(1);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(path: &str, document: &Value) -> Value {
        match JsonPath::parse(path).unwrap().find(document) {
            Found::Missing => json!("missing"),
            Found::One(value) => json!({ "one": value }),
            Found::Many(values) => json!(values),
        }
    }

    #[test]
    fn paths_find_what_jayway_finds() {
        let claims = json!({"a": {"b": "x", "my-app": {"roles": ["ops", "dev"]}}, "a.b": "flat", "n": [1, 2, 3],
            "list": [{"n": "g", "k": 1}, {"n": "h"}], "cognito:groups": ["c"]});
        assert_eq!(all("a.b", &claims), json!({"one": "x"}));
        assert_eq!(all("$['a.b']", &claims), json!({"one": "flat"}));
        assert_eq!(all("a.my-app.roles", &claims), json!({"one": ["ops", "dev"]}));
        assert_eq!(all("$.a[\"my-app\"].roles[-1]", &claims), json!({"one": "dev"}));
        assert_eq!(all("n[1:]", &claims), json!([2, 3]));
        assert_eq!(all("n[:-1]", &claims), json!([1, 2]));
        assert_eq!(all("n[0,2]", &claims), json!([1, 3]));
        assert_eq!(all("cognito:groups", &claims), json!({"one": ["c"]}));
        assert_eq!(all("$.list[*].n", &claims), json!(["g", "h"]));
        assert_eq!(all("$..n", &claims), json!([[1, 2, 3], "g", "h"]));
        assert_eq!(all("$.list[*].k", &claims), json!([1, null]));
        assert_eq!(all("$..k", &claims), json!([1]));
        assert_eq!(all("$.list[?(@.k == 1)].n", &claims), json!(["g"]));
        assert_eq!(all("$.list[?(@.k)].n", &claims), json!(["g"]));
        assert_eq!(all("$.list[?(!@.k)].n", &claims), json!(["h"]));
        assert_eq!(all("$.list[?(@.n == 'g' && @.k != 2 || @.n == \"z\")].n", &claims), json!(["g"]));
        assert_eq!(all("$.a['my-app'].roles[?(@ == 'ops')]", &claims), json!(["ops"]));
        assert_eq!(all("$.n[?(@ > 1)]", &claims), json!([2, 3]));
        assert_eq!(all("a.x", &claims), json!("missing"));
        assert_eq!(all("a.b.c", &claims), json!("missing"));
        assert_eq!(all("n.x", &claims), json!("missing"));
        assert_eq!(all("$.x[*]", &claims), json!([]));
    }

    /// What mapping rules with these paths match in Camunda 8.8.0, value by value.
    #[test]
    fn paths_find_the_texts_that_the_cluster_finds() {
        let claims = json!({"n": ["9", "9.0", 9, 10], "lv": ["9"], "num": [9, 10], "roles": [{"id": "ops"}, {"id": "dev", "until": null}, {"id": "z", "until": "x"}], "names": ["x", "y"], "https://a/b": "boss", "sub": "u", "m": ["p", "q"], "d": {"sub": "deep", "b": {"c": "cc"}}, "o": [{"a": {"b": "1"}}, {"a": {}}, {"c": 1}], "nr": [{"v": "5", "id": "s"}, {"v": 5, "id": "i"}, {"v": "5.0", "id": "f"}]});
        let rows: &[(&str, &[&str])] = &[
            ("$.lv[?(@ > 8)]", &[]),
            ("$.lv[?(@ == 9)]", &["9"]),
            ("$.n[?(@ == 9)]", &["9"]),
            ("$.n[?(@ == '9')]", &["9"]),
            ("$.nr[?(@.v == 5)].id", &["i", "s"]),
            ("$.nr[?(@.v == '5')].id", &["i", "s"]),
            ("$.nr[?(@.v != 5)].id", &["f"]),
            ("$.nr[?(@.v >= 5)].id", &["i"]),
            ("$.nr[?(@.v >= '5')].id", &["f", "s"]),
            ("$.roles[?(@.until == null)].id", &["dev", "ops"]),
            ("$.roles[?(@.until != null)].id", &["z"]),
            ("$.roles[?(@.until != 'x')].id", &["dev", "ops"]),
            ("$.o[?(@.a.b == null)]", &[]),
            ("$.roles[?(@.x.y == null)].id", &[]),
            ("$.roles[?(@.x.y != null)].id", &["dev", "ops", "z"]),
            ("$.roles[?(@.x.y != 'q')].id", &["dev", "ops", "z"]),
            ("$.roles[?(@.x.y == 'q')].id", &[]),
            ("$.roles[?(@.until)].id", &["dev", "z"]),
            ("$.roles[?(!@.until)].id", &["ops"]),
            ("$.names[:]", &[]),
            ("$.names[0 : 1]", &[]),
            ("$.names[ 0 ]", &["x"]),
            ("$.names[0 , 1]", &["x", "y"]),
            ("$.names[+1]", &[]),
            ("$.names[0:]", &["x", "y"]),
            ("$.names[:1]", &["x"]),
            ("$.names[ 0:1 ]", &["x"]),
            ("$.names[-1]", &["y"]),
            ("$.names[ -1 ]", &["y"]),
            ("$.names[- 1]", &[]),
            ("$.names[-1:]", &["y"]),
            (" sub", &[]),
            ("sub ", &["u"]),
            ("['https://a/b']", &["boss"]),
            (r#"["sub"]"#, &["u"]),
            (".sub", &["deep", "u"]),
            ("..sub", &[]),
            ("$.m.[1]", &["q"]),
            ("$.m.[*]", &["p", "q"]),
            ("@.sub", &["u"]),
            ("@['sub']", &["u"]),
            ("$ .sub", &[]),
            ("$. sub", &[]),
            ("$.d..c", &["cc"]),
            ("$..*.c", &[]),
            ("$..b.c", &["cc"]),
            ("$..['c']", &["cc"]),
            ("$['sub' ]", &["u"]),
            ("$[ 'sub']", &["u"]),
            ("$.names.[0]", &["x"]),
            ("$.d['b']['c']", &["cc"]),
            ("$.d.['b'].c", &["cc"]),
            ("[*]", &["boss", "u"]),
            ("*", &["boss", "u"]),
            (r#"$.names[?(@ == "x")]"#, &["x"]),
            ("$.names[?(@ === 'x')]", &["x"]),
            ("$.names[?(@=='x')]", &["x"]),
            ("$.n[?(@ === 9)]", &[]),
            ("$.n[?(@ === '9')]", &["9"]),
            ("$.n[?(@ !== 9)]", &["9", "9.0"]),
            ("$.names[?( @ == 'x' )]", &["x"]),
            ("$.names[? (@ == 'x')]", &["x"]),
            ("$.names[?(@ > 'w')]", &["x", "y"]),
            ("$.names[?(@ > 5)]", &[]),
            ("$.roles[?(@.until == '')].id", &[]),
        ];
        for (path, expected) in rows {
            let path_found = JsonPath::parse(path).map(|path| match path.find(&claims) {
                Found::Missing => Vec::new(),
                Found::One(Value::Array(items)) => items.iter().collect(),
                Found::One(value) => vec![value],
                Found::Many(values) => values,
            });
            let mut texts: Vec<&str> = path_found.unwrap_or_default().into_iter().filter_map(Value::as_str).collect();
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts, *expected, "{path}");
        }
    }

    #[test]
    fn broken_and_unsupported_paths_are_told_apart() {
        for path in
            ["", "$.[", "$.", "$a", "@type", "my dept", "a.", "a[", "a['x", "a[?(@ == 'x')", "a[x]", "$..", "a]"]
        {
            assert!(matches!(JsonPath::parse(path), Err(PathError::Broken(_))), "{path}");
        }
        for path in ["$.length()", "a['x','y']", "a[?(@ =~ /x/)]", "a[?(@.x in ['y'])]", "a[0:4:2]"] {
            assert!(matches!(JsonPath::parse(path), Err(PathError::Unsupported(_))), "{path}");
        }
    }
}
