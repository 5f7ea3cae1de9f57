//! A stand-in for the cluster: answers as one does, and keeps every request as it arrived.

use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;

use crate::cluster;
use crate::http1::{self, Fields, Framing};
use crate::wait;

/// A request as far as it has arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The target, raw.
    pub target: Vec<u8>,
    /// The header fields, raw.
    pub fields: Fields,
    /// The body, so far.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Fields,
    /// Whether it arrived to its end. Only such a request could have had an effect.
    pub complete: bool,
}

impl Recorded {
    /// The value of its `x-request-id`.
    pub fn id(&self) -> &str {
        self.fields.text("x-request-id").unwrap_or_default()
    }

    fn begin(head: http1::Head) -> Self {
        let mut words = head.start.splitn(2, |byte| *byte == b' ');
        let method = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
        let rest = words.next().unwrap_or_default();
        let target = rest.strip_suffix(b" HTTP/1.1").unwrap_or(rest).to_vec();
        let (body, trailers) = (Vec::new(), Fields::default());
        Self { method, target, fields: head.fields, body, trailers, complete: false }
    }
}

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Vec<Recorded>>,
    connections: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

/// The running stand-in; it stops when dropped.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Upstream {
    /// Starts one on a free loopback port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { addr, shared })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every request that has begun to arrive.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).clone()
    }

    /// Every request that has arrived to its end.
    pub fn complete_requests(&self) -> Vec<Recorded> {
        self.requests().into_iter().filter(|request| request.complete).collect()
    }

    /// The request with that `x-request-id`, where it has begun to arrive.
    pub fn find(&self, id: &str) -> Option<Recorded> {
        self.requests().into_iter().find(|request| request.id() == id)
    }

    /// Waits until the request with that id has begun to arrive and `ready` holds for it.
    pub fn wait_for(&self, id: &str, ready: impl Fn(&Recorded) -> bool) -> Result<Recorded> {
        wait::until(&format!("request {id} at the upstream"), || self.find(id).filter(&ready))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr); // wakes the accepting thread
        for connection in lock(&self.shared.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(copy) = stream.try_clone() {
            lock(&shared.connections).push(copy);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(stream, &shared));
    }
}

/// Serves one connection to its end, whichever way it ends.
fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut output = stream.try_clone().ok()?;
    let mut input = BufReader::new(stream);
    while let Ok(Some(head)) = http1::read_head(&mut input) {
        let framing = Framing::of_request(&head.fields);
        let place = {
            let mut requests = lock(&shared.requests);
            requests.push(Recorded::begin(head));
            requests.len() - 1
        };
        let trailers = http1::read_body(&mut input, framing, |piece| {
            lock(&shared.requests)[place].body.extend_from_slice(piece);
        });
        let answer = {
            let request = &mut lock(&shared.requests)[place];
            request.trailers = trailers.ok()?;
            request.complete = true;
            cluster::answer(&request.method, &request.target, &request.body)
        };
        output.write_all(&answer).ok()?;
    }
    None
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
