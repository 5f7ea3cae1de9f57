use super::*;
use std::borrow::Cow::Borrowed;

const WANTED: List<Text> = Borrowed(&[Borrowed("id"), Borrowed("key"), Borrowed("tenants"), Borrowed("flag")]);

fn read(body: &[u8]) -> Result<Members, Unreadable> {
    let mut reader = Reader::new(WANTED);
    reader.push(body)?;
    reader.finish()
}

fn get(body: &str, name: &str) -> Option<Member> {
    read(body.as_bytes()).unwrap().get(name).cloned()
}

fn text(value: &str) -> Option<Member> {
    Some(Member::Text(value.into()))
}

#[test]
fn a_run_of_plain_bytes_ends_at_the_first_other_byte() {
    for length in 0..40 {
        for place in 0..length {
            for byte in 0..=u8::MAX {
                let mut bytes = vec![b'a'; length];
                bytes[place] = byte;
                let is_plain = (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\';
                assert_eq!(plain(&bytes), if is_plain { length } else { place }, "{length} {place} {byte}");
            }
        }
    }
}

#[test]
fn members_of_the_outermost_object_are_found() {
    assert_eq!(get(r#"{"a":{"id":"inner"},"b":[{"id":1}],"id":"x"}"#, "id"), text("x"));
    assert_eq!(get(r#" {"\u0069d" : "a\"\\\/\n\u00e9\ud83d\ude00é"} "#, "id"), text("a\"\\/\né😀é"));
    assert_eq!(get(r#"{"id":null}"#, "id"), None);
    assert_eq!(get(r#"{"id":12.5e+3,"flag":false}"#, "id"), Some(Member::Other));
    assert_eq!(get(r#"{"id":12,"flag":false}"#, "flag"), Some(Member::Bool(false)));
    assert_eq!(get(r#"{"id":{"id":"x"},"key":""}"#, "id"), Some(Member::Other));
    assert_eq!(get(r#"{"tenants":["a","b"],"id":"c"}"#, "tenants"), Some(Member::Texts(vec!["a".into(), "b".into()])));
    assert_eq!(get(r#"{"tenants":["a",["b"]],"id":"c"}"#, "tenants"), Some(Member::Other));
    assert_eq!(get(r#"{"tenants":["a",1],"id":"c"}"#, "id"), text("c"));
    assert_eq!(get("\u{feff}{\"id\":\"x\"}", "id"), text("x"));
    assert_eq!(get(&format!(r#"{{"id":"{}"}}"#, "x".repeat(5_000)), "id"), Some(Member::Other));
}

#[test]
fn every_string_must_be_utf8() {
    // `id` with an overlong `i`, which Jackson reads as `i`.
    for text in [
        &b"\xc1\xa9d"[..],
        b"\xe0\x81\xa9d",
        b"\xff",
        b"\xc3",
        b"\xc3\\n",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
    ] {
        for (before, after) in
            [("{\"", "\":1}"), ("{\"x\":\"", "\"}"), ("{\"x\":{\"", "\":1}}"), ("{\"x\":[\"", "\"]}")]
        {
            let body = [before.as_bytes(), text, after.as_bytes()].concat();
            assert_eq!(read(&body), Err(NOT_UTF8), "{body:?}");
        }
    }
    assert!(read("{\"é\":[\"ࠀ퟿\u{e000}𐀀\u{10ffff}\"]}".as_bytes()).is_ok());
}

#[test]
fn every_split_reads_the_same() {
    let body = "{\"a\":[1,-0.5e3,true,{\"id\":\"no\"}],\"id\":\"\\ud83d\\ude00é\",\"tenants\":[\"t\"]}".as_bytes();
    let whole = read(body).unwrap();
    for at in 0..body.len() {
        let (head, tail) = body.split_at(at);
        let mut reader = Reader::new(WANTED);
        reader.push(head).unwrap();
        assert!(!reader.is_closed());
        reader.push(tail).unwrap();
        assert!(reader.is_closed());
        assert_eq!(reader.finish().unwrap(), whole);
    }
}

#[test]
fn what_is_not_one_plain_object_is_refused() {
    for body in [
        "",
        " ",
        "null",
        "[]",
        "\"x\"",
        "{",
        "{\"id\"",
        "{\"id\":",
        "{\"id\":\"x\"",
        "{\"id\":\"x\",}",
        "{,}",
        "{\"a\":1 2}",
        "{\"id\":\"x\"}{}",
        "{\"id\":\"x\"} x",
        "{\"id\":\"x\",\"id\":\"y\"}",
        "{\"id\":\"x\",\"\\u0069d\":\"y\"}",
        "{\"other\":1,\"other\":2}",
        "{'id':'x'}",
        "{id:1}",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":nulll}",
        "{\"a\":NaN}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"id\":\"\\ud800\"}",
        "{\"id\":\"\\ud800x\"}",
        "{\"id\":\"\\udc00\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":[}",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "//x\n{}",
    ] {
        assert!(read(body.as_bytes()).is_err(), "{body:?}");
    }
    assert!(read(b"{\"id\":\"\xff\"}").is_err());
    assert!(read(b"\xff\xfe{\0}\0").is_err());
    assert!(read(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes()).is_err());
}

#[test]
fn agrees_with_serde_json_on_what_is_json() {
    let seeds = ["{\"id\":\"a\\n\",\"k\":[1,-2.5e-7,null,true]}", "{\"a\":{\"b\":[[],{}]},\"id\":\"\\u00e9\"}"];
    for seed in seeds {
        for at in 0..seed.len() {
            for byte in
                [b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'0', b'9', b'.', b'e', b'-', b' ', b'u', b'x']
            {
                let mut body = seed.as_bytes().to_vec();
                body[at] = byte;
                let theirs = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body).is_ok();
                let ours = match read(&body) {
                    Err(Unreadable("a member stands twice")) => continue,
                    ours => ours.is_ok(),
                };
                assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&body));
            }
        }
    }
}
