//! A gateway of the cluster as a gRPC server: it answers every call, and keeps what has arrived.

use bytes::{Buf, BufMut};
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::body::Body;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Status, Streaming};
use tower_service::Service;

/// Messages as bytes, whatever they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; Buf::remaining(buffer)];
        Buf::copy_to_slice(buffer, &mut item);
        Ok(Some(item))
    }
}

/// A call that has arrived: its name, its message, and where its answers go.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub path: String,
    pub message: Vec<u8>,
    pub answers: UnboundedSender<Result<Vec<u8>, Status>>,
}

/// The server. It stops with the runtime that it was started in.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Gateway {
    /// Starts one on a free loopback port.
    pub async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let gateway = Self::default();
        let router = tonic::transport::Server::builder().add_service(gateway.clone());
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        (gateway, addr)
    }

    /// What has arrived so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl NamedService for Gateway {
    const NAME: &'static str = "gateway_protocol.Gateway";
}

impl Service<Request<Body>> for Gateway {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call { gateway: self.clone(), path: request.uri().path().to_owned() };
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw).accept_compressed(CompressionEncoding::Gzip);
            Ok(grpc.server_streaming(call, request).await)
        })
    }
}

struct Call {
    gateway: Gateway,
    path: String,
}

impl ServerStreamingService<Vec<u8>> for Call {
    type Response = Vec<u8>;
    type ResponseStream = UnboundedReceiverStream<Result<Vec<u8>, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Vec<u8>>) -> Self::Future {
        let (answers, stream) = unbounded_channel();
        let arrived = Arrived { path: self.path.clone(), message: request.into_inner(), answers };
        self.gateway.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(arrived);
        ready(Ok(tonic::Response::new(UnboundedReceiverStream::new(stream))))
    }
}

/// The answers that a caller gets.
pub type Answers = Streaming<Vec<u8>>;
