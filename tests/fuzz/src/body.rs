//! Bodies: a byte for how they are cut, the content type on a line, then the body.

use crate::chunks::{Outcome, cut_alike, read};
use crate::memory::bounded;
use portcullis::api::body::{Incoming, Member, Progress};
use portcullis::api::catalogue::{Form, Text};
use portcullis::request::Request;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow::Borrowed;
use std::collections::BTreeMap;
use std::fmt;

const WANTED: &[Text] = &[
    Borrowed("processDefinitionId"),
    Borrowed("processDefinitionKey"),
    Borrowed("tenantId"),
    Borrowed("tenantIds"),
    Borrowed("allowOverride"),
];
const MAX_BYTES: u64 = 16 * 1024;

/// A body says the same however it is cut, and what any JSON reader says.
pub fn check(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return };
    let mut parts = rest.splitn(2, |b| *b == b'\n');
    let (content_type, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let headers = [(&b"content-type"[..], content_type)];
    let request = Request { method: b"POST", path: b"/v2/process-instances", headers: &headers };
    let Ok(whole) = Incoming::new(&request, &Form::Json(Borrowed(WANTED)), MAX_BYTES) else { return };
    let incoming = || Incoming::new(&request, &Form::Json(Borrowed(WANTED)), MAX_BYTES).unwrap();

    let outcome = bounded(16 * 1024, body.len(), 8, || read(whole, [body].into_iter()));
    cut_alike(&outcome, &incoming, body, *cut);
    match (&outcome, plainly(body)) {
        (Outcome::Read(members), Some(expected)) => {
            for name in WANTED {
                agree(members.get(name), expected.get(&**name));
            }
        }
        (Outcome::Read(_), None) => assert!(is_beyond_others(body), "other readers do not take it for an object"),
        (Outcome::Unknown, _) => assert!(body.len() as u64 > MAX_BYTES),
        (Outcome::Unreadable(why), Some(_)) => assert!(is_stricter(why), "{why}"),
        (Outcome::Unreadable(_), None) => (),
    }
    closed(incoming(), body);
}

/// Once the object is closed, and not before, another reader could act on it.
fn closed(mut incoming: Incoming, body: &[u8]) {
    let mut was_closed = false;
    for (at, byte) in body.iter().enumerate() {
        match incoming.push(&[*byte], false) {
            Ok(Progress::More(next)) => incoming = next,
            _ => return,
        }
        if incoming.is_closed() && !was_closed {
            let begin = &body[..=at];
            assert!(plainly(begin).is_some() || is_beyond_others(begin), "closed too early");
        }
        assert!(incoming.is_closed() || !was_closed, "open again");
        was_closed = incoming.is_closed();
    }
}

/// The reader refuses more than JSON's grammar does.
fn is_stricter(why: &str) -> bool {
    ["surrogate", "UTF-8", "too long", "too many members"].iter().any(|part| why.contains(part))
}

/// What this reader takes and `serde_json` does not: deeper nesting, numbers out of range.
fn is_beyond_others(body: &[u8]) -> bool {
    let depth = body.iter().filter(|b| b"[{".contains(b)).count();
    let mut reader = serde_json::Deserializer::from_slice(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body));
    let error = Plain::deserialize(&mut reader).err().map(|error| error.to_string()).unwrap_or_default();
    depth > 100 || error.contains("out of range")
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The wanted members as `serde_json` reads them; `None` where it reads no object, or a name twice.
fn plainly(body: &[u8]) -> Option<BTreeMap<String, Value>> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    serde_json::from_slice::<Plain>(body).ok().map(|plain| plain.0)
}

struct Plain(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        let (mut names, mut members) = (Vec::new(), BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                return Err(serde::de::Error::custom("doubled"));
            }
            if WANTED.iter().any(|wanted| *wanted == name) {
                members.insert(name.clone(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            names.push(name);
        }
        Ok(Plain(members))
    }
}

fn agree(member: Option<&Member>, expected: Option<&Value>) {
    let texts = |list: &[Value]| list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    match (member, expected) {
        (None, None | Some(Value::Null)) => (),
        (Some(Member::Text(text)), Some(Value::String(other))) => assert_eq!(text, other),
        (Some(Member::Bool(value)), Some(Value::Bool(other))) => assert_eq!(value, other),
        (Some(Member::Texts(items)), Some(Value::Array(list))) => assert_eq!(Some(items), texts(list).as_ref()),
        (Some(Member::Other), Some(Value::Number(_) | Value::Object(_))) => (),
        (Some(Member::Other), Some(Value::String(text))) => assert!(text.len() > 4096),
        (Some(Member::Other), Some(Value::Array(list))) => {
            let texts = texts(list);
            assert!(texts.is_none_or(|texts| texts.len() > 1024 || texts.iter().any(|text| text.len() > 4096)));
        }
        (member, expected) => panic!("{member:?}, but {expected:?}"),
    }
}
