//! Forms with files: a byte for how the body is cut, the content type on a line, then the body.

use crate::chunks::{Outcome, cut_alike, read};
use crate::memory::bounded;
use portcullis::api::body::{Incoming, Member};
use portcullis::api::catalogue::Form;
use portcullis::request::Request;

const MAX_BYTES: u64 = 16 * 1024;

/// A form says the same however it is cut, and what it says stands in it as a part of its own.
pub fn check(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return };
    let mut parts = rest.splitn(2, |b| *b == b'\n');
    let (content_type, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let headers = [(&b"content-type"[..], content_type)];
    let request = Request { method: b"POST", path: b"/v2/deployments", headers: &headers };
    let Ok(whole) = Incoming::new(&request, &Form::Multipart("tenantId".into()), MAX_BYTES) else { return };
    let incoming = || Incoming::new(&request, &Form::Multipart("tenantId".into()), MAX_BYTES).unwrap();
    let outcome = bounded(32 * 1024, data.len(), 16, || read(whole, [body].into_iter()));
    cut_alike(&outcome, &incoming, body, *cut);
    let Outcome::Read(members) = outcome else { return };
    let text = String::from_utf8_lossy(body);
    match members.get("tenantId") {
        // No part of the body, cut wherever a boundary could stand, has that name.
        None => {
            let is_name = |line: &str| {
                line.to_ascii_lowercase().starts_with("content-disposition:") && line.contains(" name=\"tenantId\"")
            };
            let has_name = |part: &str| part.split("\r\n\r\n").next().unwrap_or_default().lines().any(is_name);
            let boundary = boundary(content_type);
            assert!(
                !format!("\r\n{text}").split(&format!("\r\n--{boundary}\r\n")).skip(1).any(has_name),
                "a part is overlooked"
            );
        }
        Some(Member::Text(tenant)) => {
            let part = format!("\r\n\r\n{tenant}\r\n--{}", boundary(content_type));
            assert!(text.contains(&part), "no part is {tenant:?}");
        }
        Some(Member::Other) => (),
        Some(member) => panic!("{member:?}"),
    }
}

/// The boundary, in quotes or not.
fn boundary(content_type: &[u8]) -> String {
    let text = String::from_utf8_lossy(content_type).into_owned();
    let at = text.to_ascii_lowercase().find("boundary=").unwrap() + "boundary=".len();
    match text[at..].strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap().to_owned(),
        None => text[at..].split(';').next().unwrap().trim().to_owned(),
    }
}
