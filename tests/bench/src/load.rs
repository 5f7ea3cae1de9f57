//! A caller that never rests: a few connections, on each of which the next request follows as soon
//! as the last is answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use portcullis_e2e::wait::DEADLINE;

use crate::cases::Case;

/// How many requests are under way at a time.
const CONNECTIONS: usize = 8;

/// Connections to one listener, with what is sent there.
#[derive(Debug)]
pub struct Load {
    connections: Vec<Connection>,
    requests: Rc<[Vec<u8>]>,
    next: usize,
    status: u16,
}

impl Load {
    /// Connects.
    pub fn open(to: SocketAddr, case: &Case) -> Result<Self> {
        let connections = (0..CONNECTIONS).map(|_| Connection::open(to)).collect::<Result<_>>()?;
        Ok(Self { connections, requests: Rc::clone(&case.requests), next: 0, status: case.status })
    }

    /// Sends requests for that long; returns how many were answered, when all are.
    pub fn run(&mut self, time: Duration) -> Result<u64> {
        let end = Instant::now() + time;
        for connection in &mut self.connections {
            connection.send(next(&self.requests, &mut self.next))?;
        }
        // In turn: while one answer is read, the others are on their way. After the end each
        // connection has one more to come.
        let mut open = CONNECTIONS;
        let mut answered = 0;
        while open > 0 {
            for connection in &mut self.connections {
                let status = connection.receive()?;
                ensure!(status == self.status, "the answer was {status} instead of {}", self.status);
                answered += 1;
                if open < CONNECTIONS || Instant::now() >= end {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                } else {
                    connection.send(next(&self.requests, &mut self.next))?;
                }
            }
        }
        Ok(answered)
    }
}

fn next<'a>(requests: &'a [Vec<u8>], next: &mut usize) -> &'a [u8] {
    let request = &requests[*next];
    *next = (*next + 1) % requests.len();
    request
}

/// A connection that is kept alive.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024] })
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).context("a request could not be sent")
    }

    /// Reads one answer and returns its status.
    fn receive(&mut self) -> Result<u16> {
        let mut filled = 0;
        loop {
            let more = self.stream.read(&mut self.buffer[filled..]).context("no answer")?;
            ensure!(more > 0, "Envoy has closed a connection, or its answer is too long");
            filled += more;
            match complete(&self.buffer[..filled])? {
                Some((length, status)) if length == filled => return Ok(status),
                Some((length, _)) if length < filled => bail!("more was answered than was asked"),
                _ => {}
            }
        }
    }
}

/// Length and status of an answer with a `content-length`; `None` until its head is there.
fn complete(bytes: &[u8]) -> Result<Option<(usize, u16)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(bytes).context("not an answer")? else {
        return Ok(None);
    };
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    let length = length.context("an answer without a content-length")?;
    Ok(Some((head + length, response.code.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_length_and_a_status() {
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!";
        assert_eq!(complete(answer).expect("an answer"), Some((answer.len(), 403)));
        assert_eq!(complete(&answer[..30]).expect("a part"), None);
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(complete(b"not HTTP").is_err());
    }
}
