//! A stand-in for the cluster's gRPC gateway: it answers every call with as many messages as it is told to, and keeps
//! what has arrived to its end.

use anyhow::Result;
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// An empty message in its frame.
const MESSAGE: &[u8] = &[0; 5];
/// How many each call is answered with.
pub const MESSAGES: usize = 3;

/// A call: its path, and its body.
pub type Call = (String, Vec<u8>);

/// The running stand-in.
pub struct Server {
    arrived: Arc<Mutex<Vec<Call>>>,
    /// Where it listens.
    pub addr: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    /// Starts one on a free loopback port.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let addr = listener.local_addr()?;
        let arrived = Arc::<Mutex<Vec<Call>>>::default();
        let kept = Arc::clone(&arrived);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Ok(Self { arrived, addr, _runtime: runtime })
    }

    /// What has arrived to its end.
    pub fn arrived(&self) -> Vec<Call> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(stream: TcpStream, kept: Arc<Mutex<Vec<Call>>>) -> Result<()> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(answer(request, respond, Arc::clone(&kept)));
    }
    Ok(())
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    kept: Arc<Mutex<Vec<Call>>>,
) -> Result<()> {
    let path = request.uri().path().to_owned();
    let mut input = request.into_body();
    let mut body = Vec::new();
    while let Some(piece) = input.data().await {
        let piece = piece?;
        input.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    kept.lock().unwrap_or_else(PoisonError::into_inner).push((path, body));
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut output = respond.send_response(head, false)?;
    for _ in 0..MESSAGES {
        output.send_data(Bytes::from_static(MESSAGE), false)?;
    }
    let status = [(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))];
    output.send_trailers(HeaderMap::from_iter(status))?;
    Ok(())
}
