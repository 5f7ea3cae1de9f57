//! gRPC bodies: a byte that chooses the call, one for how the body is cut, one for its frame (`f` it
//! has one, `z` it has one and may be compressed, else one is put before it), then the message.

use crate::chunks::{Outcome, cut_alike, read};
use crate::memory::bounded;
use portcullis::api::body::{Incoming, Member, Members};
use portcullis::api::catalogue::{Field, FieldKind, Form, OPERATIONS};
use portcullis::request::Request;

const MAX_BYTES: u64 = 16 * 1024;
/// What inflating takes.
const INFLATER: usize = 192 * 1024;

/// A message says the same however it is cut, and what a plain reader says.
pub fn check(data: &[u8]) {
    let [call, cut, frame, message @ ..] = data else { return };
    let calls: Vec<&'static [Field]> = OPERATIONS
        .iter()
        .filter_map(|operation| match operation.body {
            Form::Message(fields) if !fields.is_empty() => Some(fields),
            _ => None,
        })
        .collect();
    let fields = calls[usize::from(*call) % calls.len()];
    let is_framed = matches!(frame, b'f' | b'z');
    let body = if is_framed { message.to_vec() } else { framed(message) };
    let mut headers = vec![(&b"content-type"[..], &b"application/grpc"[..])];
    headers.extend((*frame == b'z').then_some((&b"grpc-encoding"[..], &b"gzip"[..])));
    let request = Request { method: b"POST", path: b"/gateway_protocol.Gateway/X", headers: &headers };
    let incoming = || Incoming::new(&request, &Form::Message(fields), MAX_BYTES).unwrap();
    let outcome = bounded(INFLATER, body.len(), 16, || read(incoming(), [&*body].into_iter()));
    // What is compressed may come out in other parts, so that another of two faults is met first.
    let is_read = |outcome: &Outcome| matches!(outcome, Outcome::Read(_));
    match frame {
        b'z' if !is_read(&outcome) => assert!(!is_read(&read(incoming(), body.chunks(usize::from(cut % 16) + 1)))),
        _ => cut_alike(&outcome, &incoming, &body, *cut),
    }
    if is_framed {
        return;
    }
    match (outcome, plainly(message, fields)) {
        (Outcome::Read(members), Some(expected)) => {
            for field in fields {
                agree(&members, field, &expected);
            }
        }
        (Outcome::Read(_), None) => panic!("a plain reader takes it for no message"),
        (Outcome::Unknown, _) => assert!(body.len() as u64 > MAX_BYTES),
        (Outcome::Unreadable(_), _) => (),
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// What a message has: the field's numbers, and its value, a number's being no bytes.
type Value = (Vec<u32>, Option<Vec<u8>>, u64);

/// The fields of a message in their order, those of messages inside among them.
fn plainly(message: &[u8], fields: &[Field]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    inside(message, &[], fields, &mut values)?;
    Some(values)
}

fn inside(mut rest: &[u8], way: &[u32], fields: &[Field], values: &mut Vec<Value>) -> Option<()> {
    while !rest.is_empty() {
        let tag = number(&mut rest)?;
        let path = [way, &[u32::try_from(tag >> 3).ok()?]].concat();
        match tag & 7 {
            0 => {
                let value = number(&mut rest)?;
                values.push((path, None, value));
            }
            1 => rest = rest.get(8..)?,
            5 => rest = rest.get(4..)?,
            2 => {
                let length = usize::try_from(number(&mut rest)?).ok()?;
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                if fields.iter().any(|field| field.path.len() > path.len() && field.path.starts_with(&path)) {
                    inside(value, &path, fields, values)?;
                } else {
                    values.push((path, Some(value.to_vec()), 0));
                }
            }
            _ => return None,
        }
    }
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn agree(members: &Members, field: &Field, values: &[Value]) {
    let is_number = field.kind == FieldKind::Number;
    let own: Vec<&Value> =
        values.iter().filter(|(path, bytes, _)| path == field.path && bytes.is_none() == is_number).collect();
    let texts: Vec<&[u8]> = own.iter().filter_map(|(_, bytes, _)| bytes.as_deref()).collect();
    let is_long = |text: &&&[u8]| text.len() > 4096;
    match (field.kind, members.get(field.name)) {
        (FieldKind::Number, member) => {
            assert_eq!(member.is_some(), own.last().is_some_and(|(_, _, value)| *value != 0));
        }
        (FieldKind::Text, None) => assert!(texts.last().is_none_or(|text| text.is_empty())),
        (FieldKind::Text, Some(Member::Text(text))) => assert_eq!(texts.last(), Some(&text.as_bytes())),
        (FieldKind::Text, Some(Member::Other)) => assert!(texts.last().filter(is_long).is_some()),
        (FieldKind::Texts, None) => assert!(texts.is_empty()),
        (FieldKind::Texts, Some(Member::Texts(items))) => {
            assert_eq!(items.iter().map(String::as_bytes).collect::<Vec<_>>(), texts);
        }
        (FieldKind::Texts, Some(Member::Other)) => {
            assert!(texts.len() > 1024 || texts.iter().any(|text| text.len() > 4096));
        }
        (kind, member) => panic!("{kind:?} is {member:?}"),
    }
}
