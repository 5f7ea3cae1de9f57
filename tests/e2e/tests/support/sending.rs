//! Requests whose bodies are sent in parts, over HTTP/1 and HTTP/2.

use std::net::SocketAddr;

use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::http2;

use super::{Fate, World};

/// What carries a body, and whether it is announced how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    Length,
    Chunked,
    Http2,
    Http2Length,
}

pub const WIRES: [Wire; 4] = [Wire::Length, Wire::Chunked, Wire::Http2, Wire::Http2Length];

impl Wire {
    pub fn announces(self) -> bool {
        matches!(self, Self::Length | Self::Http2Length)
    }

    fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Length)
    }
}

/// A request under way.
pub struct Call {
    /// With what says how its body ends.
    pub request: Request,
    wire: Wire,
    way: Way,
}

enum Way {
    Http1(Exchange),
    Http2(http2::Exchange),
}

impl Call {
    /// Begins a request that has no body yet: one of that length is to come.
    pub fn open(to: SocketAddr, request: Request, wire: Wire, length: usize) -> Self {
        let request = match wire {
            Wire::Chunked => request.chunked(),
            _ if wire.announces() => request.header("content-length", length.to_string()),
            _ => request,
        };
        let way = if wire.is_http2() {
            Way::Http2(http2::Exchange::open(to, &request, true).expect("a connection"))
        } else {
            Way::Http1(Exchange::open(to, &request).expect("a connection"))
        };
        Self { request, wire, way }
    }

    /// Sends a part of the body.
    pub fn part(&mut self, data: impl AsRef<[u8]>) {
        match &mut self.way {
            Way::Http2(exchange) => exchange.part(data),
            Way::Http1(exchange) if self.wire == Wire::Chunked => exchange.chunk(data),
            Way::Http1(exchange) => exchange.write(data),
        }
    }

    /// Ends the body, with these trailers, which a body of announced length cannot have over HTTP/1.
    pub fn finish(&mut self, trailers: &[(&'static str, &'static str)]) {
        match &mut self.way {
            Way::Http2(exchange) => exchange.finish(trailers),
            Way::Http1(exchange) if self.wire == Wire::Chunked => exchange.finish(trailers),
            Way::Http1(_) => assert!(trailers.is_empty()),
        }
    }

    /// Sends no more of it, but still reads: over HTTP/2 the request is given up.
    pub fn break_off(&mut self) {
        match &mut self.way {
            Way::Http2(exchange) => exchange.reset(),
            Way::Http1(exchange) => exchange.half_close(),
        }
    }

    /// Closes the connection.
    pub fn close(self) {
        match self.way {
            Way::Http2(exchange) => drop(exchange),
            Way::Http1(exchange) => exchange.close(),
        }
    }

    /// What becomes of it.
    pub fn fate(&mut self, world: &World) -> Fate {
        let response = match &mut self.way {
            Way::Http2(exchange) => exchange.response(),
            Way::Http1(exchange) => exchange.response(),
        };
        world.fate_of(&self.request, response)
    }
}
