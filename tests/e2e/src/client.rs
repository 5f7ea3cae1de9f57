//! A caller that can say anything: exact bytes, repeated fields, bodies in pieces or half sent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rsa::rand_core::{OsRng, RngCore};
use serde_json::Value;

use crate::http1::{self, Fields, Framing};
use crate::wait::DEADLINE;

/// A request as it will stand on the wire. It carries a unique `x-request-id` unless it is given
/// one, so that the line of the access log about it can be found.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    id: String,
}

impl Request {
    /// A request without a body. The target is sent as it is.
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            fields: Vec::new(),
            body: Vec::new(),
            id: fresh_id(),
        }
    }

    /// A GET.
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// A POST with a JSON body.
    pub fn post(target: impl AsRef<[u8]>, body: &Value) -> Self {
        Self::new("POST", target).json(body)
    }

    /// Adds a field; one of the same name stays beside it. `x-request-id` replaces the unique one.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref().to_vec(), value.as_ref().to_vec());
        if name.eq_ignore_ascii_case(b"x-request-id") {
            self.id = String::from_utf8_lossy(&value).into_owned();
        } else {
            self.fields.push((name, value));
        }
        self
    }

    /// Adds a bearer token.
    pub fn bearer(self, token: impl AsRef<[u8]>) -> Self {
        self.header("authorization", [b"Bearer ", token.as_ref()].concat())
    }

    /// Sets a JSON body and its content type.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Sets the body. Its length is declared, unless a field already says how the body ends.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Declares a body in chunks, to be sent through [`Exchange::chunk`] and [`Exchange::finish`].
    pub fn chunked(self) -> Self {
        self.header("transfer-encoding", "chunked")
    }

    /// The same request under a new id.
    pub fn again(&self) -> Self {
        Self { id: fresh_id(), ..self.clone() }
    }

    /// The value of its `x-request-id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Method and target, for people.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, String::from_utf8_lossy(&self.target))
    }

    /// A shell command that sends the same under a new id.
    pub fn curl(&self, to: SocketAddr) -> String {
        let quoted = |text: &[u8]| String::from_utf8_lossy(text).replace('\'', r"'\''");
        let mut words = vec![format!("curl -i --path-as-is -X {}", self.method)];
        for (name, value) in &self.fields {
            words.push(format!("-H '{}: {}'", quoted(name), quoted(value)));
        }
        if !self.body.is_empty() {
            words.push(format!("-d '{}'", quoted(&self.body)));
        }
        words.push(format!("'http://{to}{}'", quoted(&self.target)));
        words.join(" ")
    }

    /// All of it, as sent.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        let mut field = |name: &[u8], value: &[u8]| {
            bytes.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
        };
        if !self.has("host") {
            field(b"host", b"orchestration.test");
        }
        field(b"x-request-id", self.id.as_bytes());
        for (name, value) in &self.fields {
            field(name, value);
        }
        let framed = self.has("content-length") || self.has("transfer-encoding");
        if !framed && (!self.body.is_empty() || self.method == "POST") {
            field(b"content-length", self.body.len().to_string().as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub fields: Fields,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Fields,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }
}

/// Sends one request on a connection of its own and returns the answer.
pub fn send(to: SocketAddr, request: &Request) -> Result<Response> {
    Exchange::open(to, request)?.response().with_context(|| format!("no answer to {}", request.line()))
}

/// A connection on which a request is under way.
#[derive(Debug)]
pub struct Exchange {
    input: BufReader<Timed>,
    method: String,
}

impl Exchange {
    /// Connects and sends what the request has; a chunked body then follows piece by piece.
    pub fn open(to: SocketAddr, request: &Request) -> Result<Self> {
        let mut exchange = Self::connect(to)?;
        exchange.send(request);
        Ok(exchange)
    }

    /// Connects, and sends nothing yet.
    pub fn connect(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let input = BufReader::new(Timed { stream, end: Instant::now() });
        Ok(Self { input, method: String::new() })
    }

    /// Sends a request on this connection, the first or a further one.
    pub fn send(&mut self, request: &Request) {
        self.method.clone_from(&request.method);
        self.write(request.bytes());
    }

    /// Sends bytes as they are. An early answer may close the connection while they are on their
    /// way, so only reading the answer can fail.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.input.get_mut().stream.write_all(bytes.as_ref());
    }

    /// Sends one chunk.
    pub fn chunk(&mut self, data: impl AsRef<[u8]>) {
        let data = data.as_ref();
        self.write([format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat());
    }

    /// Ends a chunked body, with these trailers.
    pub fn finish(&mut self, trailers: &[(&str, &str)]) {
        let fields: String = trailers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        self.write(format!("0\r\n{fields}\r\n"));
    }

    /// Sends no more, but still reads.
    pub fn half_close(&mut self) {
        let _ = self.input.get_mut().stream.shutdown(Shutdown::Write);
    }

    /// Closes the connection, whatever is under way.
    pub fn close(self) {
        let _ = self.input.get_ref().stream.shutdown(Shutdown::Both);
    }

    /// Whether an answer (or the end of the connection) begins to arrive within that time.
    pub fn answered_within(&mut self, time: Duration) -> bool {
        self.input.get_mut().end = Instant::now() + time;
        self.input.fill_buf().is_ok()
    }

    /// Reads the answer; interim ones (1xx) are skipped.
    pub fn response(&mut self) -> Result<Response> {
        self.input.get_mut().end = Instant::now() + DEADLINE;
        loop {
            let Some(head) = http1::read_head(&mut self.input)? else {
                bail!("the connection was closed without an answer");
            };
            let line = String::from_utf8_lossy(&head.start).into_owned();
            let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
            let Some(status) = status else { bail!("not a status line: {line}") };
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let framing = Framing::of_response(status, &head.fields, self.method == "HEAD");
            let mut body = Vec::new();
            let trailers = http1::read_body(&mut self.input, framing, |piece| body.extend_from_slice(piece))
                .with_context(|| format!("the answer {line} broke off"))?;
            return Ok(Response { status, fields: head.fields, body, trailers });
        }
    }
}

/// A stream whose reads all end by one point in time.
#[derive(Debug)]
struct Timed {
    stream: TcpStream,
    end: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

/// A request id that no other request has, in the form of a random UUID.
fn fresh_id() -> String {
    let mut bytes = [0u8; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
