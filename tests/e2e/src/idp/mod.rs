//! A stand-in for an identity provider: signing keys, and a web server that answers by a script,
//! also in ways that no honest one would.

mod certificate;
mod key;

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

pub use certificate::Certificate;
pub use key::Key;

use crate::http1;

/// How a path is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    delay: Duration,
    head: String,
    body: Vec<u8>,
    then: Then,
}

/// What comes after an answer's bytes.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// The connection is closed.
    Close,
    /// Chunk after chunk, for as long as anybody reads.
    Drip,
    /// Nothing, and the connection stays open.
    Silence,
}

impl Answer {
    /// That status, that body.
    pub fn new(status: u16, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        let head = format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        Self { delay: Duration::ZERO, head, body, then: Then::Close }
    }

    /// That JSON document.
    pub fn json(document: &Value) -> Self {
        Self::new(200, document.to_string()).field("content-type", "application/json")
    }

    /// The key set of these keys.
    pub fn keys(keys: &[&Key]) -> Self {
        Self::json(&json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}))
    }

    /// A further header field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The same, so much later.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Ends in the middle of the body: the connection is closed there.
    pub fn cut_short(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self
    }

    /// Begins well, and never ends.
    pub fn endless() -> Self {
        let head = "HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\n".to_owned();
        Self { delay: Duration::ZERO, head, body: b"9\r\n{\"keys\":[\r\n".to_vec(), then: Then::Drip }
    }

    /// Nothing at all; the connection stays open.
    pub fn silence() -> Self {
        Self { delay: Duration::ZERO, head: String::new(), body: Vec::new(), then: Then::Silence }
    }

    /// Nothing at all; the connection is closed.
    pub fn hang_up() -> Self {
        Self { then: Then::Close, ..Self::silence() }
    }

    fn bytes(&self) -> Vec<u8> {
        let end = if self.head.is_empty() { "" } else { "\r\n" };
        [self.head.as_bytes(), end.as_bytes(), &self.body].concat()
    }
}

#[derive(Debug, Default)]
struct State {
    answers: BTreeMap<String, Answer>,
    fetches: Vec<(String, Instant)>,
    held: bool,
    stopped: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The running stand-in; it stops when dropped, and its port is closed then.
#[derive(Debug)]
pub struct Provider {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Provider {
    /// Starts one on a free loopback port. It answers 404 until it is told better.
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

    /// From now on, requests for that target (path and query) are answered like this.
    pub fn answer(&self, target: &str, answer: Answer) {
        self.shared.lock().answers.insert(target.to_owned(), answer);
    }

    /// How often that target has been asked for.
    pub fn fetches(&self, target: &str) -> usize {
        self.shared.lock().fetches.iter().filter(|(asked, _)| asked == target).count()
    }

    /// When that target was last asked for.
    pub fn last_fetch(&self, target: &str) -> Option<Instant> {
        self.shared.lock().fetches.iter().rev().find(|(asked, _)| asked == target).map(|(_, when)| *when)
    }

    /// Holds all answers back until [`Provider::release`]; what they will be is settled when they
    /// are asked for.
    pub fn hold(&self) {
        self.shared.lock().held = true;
    }

    /// Lets answers that are held back go.
    pub fn release(&self) {
        self.shared.lock().held = false;
        self.shared.changed.notify_all();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.addr); // wakes the accepting thread
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so long, or until the provider has stopped: then false.
    fn pause(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |state| !state.stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    /// Waits while answers are held back; false where the provider has stopped.
    fn pass(&self) -> bool {
        let waited = self.changed.wait_while(self.lock(), |state| state.held && !state.stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).stopped
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.lock().stopped {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(stream, &shared));
    }
}

/// Serves one request on a connection, which is then closed.
fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut output = stream.try_clone().ok()?;
    let head = http1::read_head(&mut BufReader::new(stream)).ok()??;
    let line = String::from_utf8_lossy(&head.start).into_owned();
    let target = line.split(' ').nth(1)?;
    let answer = {
        let mut state = shared.lock();
        state.fetches.push((target.to_owned(), Instant::now()));
        state.answers.get(target).cloned().unwrap_or_else(|| Answer::new(404, "not here"))
    };
    if !shared.pass() || !shared.pause(answer.delay) {
        return None;
    }
    output.write_all(&answer.bytes()).ok()?;
    match answer.then {
        Then::Close => {}
        Then::Drip => {
            while shared.pause(Duration::from_millis(20)) {
                output.write_all(b"1\r\n \r\n").ok()?;
            }
        }
        Then::Silence => while shared.pause(Duration::from_secs(1)) {},
    }
    output.shutdown(Shutdown::Write).ok()
}
