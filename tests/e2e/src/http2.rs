//! A caller over HTTP/2: a request's parts one by one, and several requests on one connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::client::{Request, Response};
use crate::http1::Fields;
use crate::wait::DEADLINE;

/// What HTTP/2 says in another way than by header fields. A CONNECT with `upgrade` asks for that
/// protocol (RFC 8441).
const NOT_SENT: [&str; 5] = ["host", "connection", "transfer-encoding", "upgrade", "x-request-id"];

/// Whether this caller can send that target: the `http` crate leaves some characters out.
pub fn can_ask(target: &str) -> bool {
    target.starts_with('/') && PathAndQuery::try_from(target).is_ok_and(|path| path.as_str() == target)
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    runtime: Arc<Runtime>,
    sender: SendRequest<Bytes>,
}

impl Connection {
    /// Connects, with prior knowledge.
    pub fn connect(to: SocketAddr) -> Result<Self> {
        // A thread of its own sends what has been handed over while the test does something else.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = h2::client::handshake(stream).await?;
            tokio::spawn(connection);
            anyhow::Ok(sender)
        })?;
        Ok(Self { runtime: Arc::new(runtime), sender })
    }

    /// Begins a request: its headers, and the body that it has. Unless there is `more` to come, it
    /// ends with that.
    pub fn open(&mut self, request: &Request, more: bool) -> Result<Exchange> {
        let head = head(request)?;
        let body = Bytes::copy_from_slice(&request.body);
        let ends = body.is_empty() && !more;
        let sender = self.sender.clone();
        let (answer, mut output) = self.runtime.block_on(async {
            let mut sender = timeout(DEADLINE, sender.ready()).await??;
            anyhow::Ok(sender.send_request(head, ends)?)
        })?;
        if !body.is_empty() {
            output.send_data(body, !more)?;
        }
        Ok(Exchange { runtime: Arc::clone(&self.runtime), output, answer })
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Exchange {
    runtime: Arc<Runtime>,
    output: SendStream<Bytes>,
    answer: ResponseFuture,
}

impl Exchange {
    /// Connects and begins a request.
    pub fn open(to: SocketAddr, request: &Request, more: bool) -> Result<Self> {
        Connection::connect(to)?.open(request, more)
    }

    /// Sends a part of the body, as fast as the other side takes it. An early answer may end the
    /// request meanwhile, so only reading the answer can fail.
    pub fn part(&mut self, data: impl AsRef<[u8]>) {
        let _ = self.output.send_data(Bytes::copy_from_slice(data.as_ref()), false);
    }

    /// Ends the body, with these trailers.
    pub fn finish(&mut self, trailers: &[(&'static str, &'static str)]) {
        let pairs = trailers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        let fields: HeaderMap = pairs.collect();
        let _ = if fields.is_empty() {
            self.output.send_data(Bytes::new(), true)
        } else {
            self.output.send_trailers(fields)
        };
    }

    /// Gives the request up.
    pub fn reset(&mut self) {
        self.output.send_reset(Reason::CANCEL);
    }

    /// Reads the answer.
    pub fn response(&mut self) -> Result<Response> {
        let (runtime, answer) = (Arc::clone(&self.runtime), &mut self.answer);
        let read = async {
            let (head, mut input) = answer.await?.into_parts();
            let body = read_body(&mut input).await?;
            let trailers = input.trailers().await.ok().flatten().unwrap_or_default();
            anyhow::Ok(Response {
                status: head.status.as_u16(),
                fields: fields(&head.headers),
                body,
                trailers: fields(&trailers),
            })
        };
        let read = runtime.block_on(async { timeout(DEADLINE, read).await });
        read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

async fn read_body(input: &mut RecvStream) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = input.data().await {
        match piece {
            Ok(piece) => {
                input.flow_control().release_capacity(piece.len())?;
                body.extend_from_slice(&piece);
            }
            // The answer is complete, and the rest of the request is not wanted.
            Err(error) if error.reason() == Some(Reason::NO_ERROR) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(body)
}

fn fields(map: &HeaderMap) -> Fields {
    Fields::new(map.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect())
}

fn head(request: &Request) -> Result<http::Request<()>> {
    let named = |wanted: &str| {
        let mut all = request.fields.iter();
        all.find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes())).map(|(_, value)| value.as_slice())
    };
    let uri = Uri::builder()
        .scheme("http")
        .authority(named("host").unwrap_or(b"orchestration.test"))
        .path_and_query(request.target.as_slice())
        .build()
        .with_context(|| format!("a target that cannot be sent: {}", request.line()))?;
    let mut head = http::Request::new(());
    *head.method_mut() = Method::from_bytes(request.method.as_bytes())?;
    *head.uri_mut() = uri;
    if let Some(protocol) = named("upgrade") {
        head.extensions_mut().insert(Protocol::from(std::str::from_utf8(protocol)?));
    }
    head.headers_mut().append("x-request-id", request.id().parse()?);
    for (name, value) in &request.fields {
        let name = HeaderName::from_bytes(name)?;
        if !NOT_SENT.contains(&name.as_str()) {
            head.headers_mut().append(name, HeaderValue::from_bytes(value)?);
        }
    }
    Ok(head)
}
