//! What holds of all readers: how a body is cut into parts changes nothing, and where it is closed
//! is known to the byte.

use super::*;
use crate::api::catalogue::{Field, FieldKind};
use flate2::write::GzEncoder;
use std::io::Write as _;

const FIELDS: &[Field] = &[
    Field { name: "id", path: &[2], kind: FieldKind::Text },
    Field { name: "key", path: &[1], kind: FieldKind::Number },
    Field { name: "list", path: &[7], kind: FieldKind::Texts },
    Field { name: "inner.id", path: &[3, 1], kind: FieldKind::Text },
];

fn incoming(form: Form, headers: &[(&[u8], &[u8])]) -> Incoming {
    Incoming::new(&Request { method: b"POST", path: b"/", headers }, &form, 10_000).unwrap()
}

fn message(headers: &[(&[u8], &[u8])]) -> Incoming {
    let headers = [&[(&b"content-type"[..], &b"application/grpc"[..])], headers].concat();
    incoming(Form::Message(FIELDS), &headers)
}

fn multipart() -> Incoming {
    incoming(Form::Multipart("t".into()), &[(b"content-type", b"multipart/form-data; boundary=b")])
}

fn json() -> Incoming {
    incoming(Form::Json(vec!["id".into()].into()), &[(b"content-type", b"application/json")])
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

const MESSAGE: &[u8] = b"\x08\x07\x12\x01a\x3a\x02t1\xf2\x01\x03xyz\x1a\x06\x0a\x04deep\x3a\x00\x12\x02ab\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// Reads it in two parts, cut at every place, and byte by byte. All that follows `closed` only
/// confirms the end.
fn every_way(start: impl Fn() -> Incoming, body: &[u8], closed: usize) -> Members {
    let whole = match start().push(body, true) {
        Ok(Progress::End(members)) => members,
        other => panic!("{other:?}"),
    };
    let more = |incoming: Incoming, part: &[u8]| match incoming.push(part, false) {
        Ok(Progress::More(incoming)) => incoming,
        other => panic!("{other:?}"),
    };
    for cut in 0..=body.len() {
        let incoming = more(start(), &body[..cut]);
        assert_eq!(incoming.is_closed(), cut >= closed, "{cut}");
        assert!(matches!(incoming.push(&body[cut..], true), Ok(Progress::End(members)) if members == whole), "{cut}");
        let cut_short = more(start(), &body[..cut]).push(&[], true);
        assert!(cut >= closed || cut_short.is_err(), "{cut}");
    }
    let bytes = body.iter().fold(start(), |incoming, byte| more(incoming, &[*byte]));
    assert!(matches!(bytes.push(&[], true), Ok(Progress::End(members)) if members == whole));
    whole
}

#[test]
fn every_cut_reads_the_same() {
    let body = frame(0, MESSAGE);
    let plain = every_way(|| message(&[]), &body, body.len());
    assert_eq!(plain.get("id"), Some(&Member::Text("ab".into())));
    assert_eq!(plain.get("inner.id"), Some(&Member::Text("deep".into())));
    assert_eq!(plain.get("key"), Some(&Member::Other));
    assert_eq!(plain.get("list"), Some(&Member::Texts(vec!["t1".into(), String::new()])));
    let body = frame(1, &gzip(MESSAGE));
    let mut inflated = every_way(|| message(&[(b"grpc-encoding", b"gzip")]), &body, body.len());
    let mut plain = plain;
    plain.0.sort_by_key(|(name, _)| name.clone());
    inflated.0.sort_by_key(|(name, _)| name.clone());
    assert_eq!(inflated, plain);

    let body = b"--b\r\nContent-Disposition: form-data; name=f; filename=\"\\x\"\r\n\r\n\r\n-\r\n--\r\n\r\n--b\r\ncontent-disposition:form-data;name=\"t\"\r\n\r\nacme\r\n--b--";
    let members = every_way(multipart, body, body.len());
    assert_eq!(members.get("t"), Some(&Member::Text("acme".into())));

    let body = br#"{"a":{"id":1},"id":"x"}"#;
    assert_eq!(every_way(json, body, body.len()).get("id"), Some(&Member::Text("x".into())));
}

/// However long it goes on, no more is kept than what is wanted.
#[test]
fn a_fault_within_the_limit_is_found_however_long_the_rest_is() {
    let long = [&b"{\"id\":1,\"id\":2,\"x\":\""[..], &[b'x'; 10_000]].concat();
    assert!(json().push(&long, false).is_err());
    let field = [&b"\x00\x12\xff\xff\x01"[..], &[b'x'; 32_767]].concat();
    let headers = [(&b"grpc-encoding"[..], &b"gzip"[..])];
    assert!(message(&headers).push(&frame(1, &gzip(&field)), true).is_err());
    assert!(matches!(message(&headers).push(&frame(1, &gzip(&field[1..])), true), Ok(Progress::Unknown)));
}

#[test]
fn nothing_else_is_kept() {
    let kept = |incoming: Incoming| match incoming.reader {
        Reader::Message(reader) => format!("{reader:?}").len(),
        Reader::Multipart(reader) => format!("{reader:?}").len(),
        Reader::Json(reader) => format!("{reader:?}").len(),
    };
    let feed = |mut incoming: Incoming, part: &[u8]| {
        incoming.max_bytes = u64::MAX;
        for _ in 0..100 {
            incoming = match incoming.push(part, false) {
                Ok(Progress::More(incoming)) => incoming,
                other => panic!("{other:?}"),
            };
        }
        kept(incoming)
    };
    let many = vec![b' '; 100_000];
    let head = |length: u32| [&[0][..], &length.to_be_bytes(), b"\x22\xff\xff\xff\xff\x07"].concat();
    let start = |incoming: Incoming, head: &[u8]| match (Incoming { max_bytes: u64::MAX, ..incoming }).push(head, false)
    {
        Ok(Progress::More(incoming)) => incoming,
        other => panic!("{other:?}"),
    };
    assert!(feed(start(json(), b"{\"a\":\""), &many) < 2_000);
    assert!(feed(start(json(), b"{"), &many) < 2_000);
    assert!(feed(start(multipart(), b"--b\r\ncontent-disposition: form-data; name=t\r\n\r\n"), &many) < 2_000);
    let request = Request { method: b"POST", path: b"/", headers: &[(b"content-type", b"application/grpc")] };
    let unlimited = frame::Reader::new(&request, FIELDS, u64::MAX).unwrap();
    let unlimited = Incoming { reader: Reader::Message(Box::new(unlimited)), length: 0, max_bytes: u64::MAX };
    assert!(feed(start(unlimited, &head(u32::MAX)), &many) < 2_000);
}

#[test]
fn a_body_that_says_nothing_of_its_type_is_not_read() {
    let request = Request { method: b"POST", path: b"/", headers: &[] };
    let forms = [Form::Json(vec!["id".into()].into()), Form::Message(FIELDS), Form::Multipart("t".into())];
    assert!(forms.iter().all(|form| Incoming::new(&request, form, 1_000).is_err()));
}
