//! One connection: from the first byte of a head to the last byte of the answer.
//!
//! It never blocks, and it has a deadline for each step. Each connection serves one request. The answer is
//! HTTP/1.0, which means that the connection closes after it.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use tiny_http::HTTPVersion;

use super::route::{Reply, Seen, refused};
use crate::agent::clock::Raw;
use crate::http_head::{self as head, Head, MAX_HEAD};

/// How long a client may take to send the whole head.
pub const HEAD_WITHIN: Duration = Duration::from_secs(2);
/// How long a client may take to read an answer.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);
/// How long to read what a client still sends. Closing earlier could destroy the answer before the client has read
/// it.
const DRAIN_WITHIN: Duration = Duration::from_millis(500);
const DRAIN_AT_MOST: usize = 256 * 1024;

/// A connection and its progress.
pub struct Connection {
    /// The socket; the server registers it.
    pub stream: TcpStream,
    phase: Phase,
    deadline: Raw,
}

enum Phase {
    Reading { bytes: Vec<u8> },
    Waiting { bodiless: bool, seen: Seen },
    Writing { bytes: Vec<u8>, sent: usize },
    Draining { left: usize },
}

/// What the server should do next with a connection.
pub enum NextStep {
    /// Call again when the socket is ready, or the time is up.
    Wait,
    /// Route this, and pass the answer to [`Connection::answer`] or [`Connection::park`].
    Route(Head),
    /// Drop the connection.
    Close,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(stream: TcpStream, now: Raw) -> Self {
        Self {
            stream,
            phase: Phase::Reading { bytes: Vec::new() },
            deadline: after(now, HEAD_WITHIN),
        }
    }

    /// When [`Connection::expire`] is due.
    pub const fn deadline(&self) -> Raw {
        self.deadline
    }

    /// When the head must be complete; `None` once it is.
    pub const fn incomplete_until(&self) -> Option<Raw> {
        if matches!(self.phase, Phase::Reading { .. }) {
            Some(self.deadline)
        } else {
            None
        }
    }

    /// Whether an answer is being sent, or the client has it already.
    pub const fn is_answered(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    /// What a long poll has seen.
    pub const fn waits_after(&self) -> Option<Seen> {
        if let Phase::Waiting { seen, .. } = self.phase {
            Some(seen)
        } else {
            None
        }
    }

    /// Goes on as far as the socket allows.
    pub fn advance(&mut self, now: Raw) -> NextStep {
        match &mut self.phase {
            Phase::Reading { .. } => self.read_head(now),
            Phase::Waiting { .. } => self.watch_for_hangup(),
            Phase::Writing { .. } => self.write(now),
            Phase::Draining { .. } => self.drain(),
        }
    }

    /// Handles the end of its time.
    pub fn expire(&mut self, now: Raw) -> NextStep {
        match self.phase {
            Phase::Reading { ref bytes } if !bytes.is_empty() => {
                let late = head::Refusal {
                    status: 408,
                    why: "the request head did not come within 2 s",
                };
                self.answer(refused(late), false, now)
            }
            // The server decides when a long poll's time is up, and sends what is known by then.
            _ => NextStep::Close,
        }
    }

    /// Waits until the server has something new, for at most `wait`.
    pub fn park(&mut self, seen: Seen, wait: Duration, bodiless: bool, now: Raw) {
        self.phase = Phase::Waiting { bodiless, seen };
        self.deadline = after(now, wait);
    }

    /// Sends an answer to a long poll.
    pub fn answer_poll(&mut self, reply: Reply, now: Raw) -> NextStep {
        let bodiless = matches!(self.phase, Phase::Waiting { bodiless: true, .. });
        self.answer(reply, bodiless, now)
    }

    /// Sends an answer.
    pub fn answer(&mut self, reply: Reply, bodiless: bool, now: Raw) -> NextStep {
        let mut bytes = Vec::with_capacity(1024);
        if reply
            .raw_print(&mut bytes, HTTPVersion(1, 0), &[], bodiless, None)
            .is_err()
        {
            return NextStep::Close;
        }
        self.phase = Phase::Writing { bytes, sent: 0 };
        self.deadline = after(now, TAKEN_WITHIN);
        self.write(now)
    }

    fn read_head(&mut self, now: Raw) -> NextStep {
        let Phase::Reading { bytes } = &mut self.phase else {
            return NextStep::Close;
        };
        let mut chunk = [0; 2048];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return NextStep::Close,
                Ok(count) => {
                    bytes.extend_from_slice(&chunk[..count.min(MAX_HEAD + 1 - bytes.len().min(MAX_HEAD))]);
                    match head::parse(bytes) {
                        Ok(None) => {}
                        Ok(Some(head)) => return NextStep::Route(head),
                        Err(refusal) => return self.answer(refused(refusal), false, now),
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return NextStep::Wait,
                    io::ErrorKind::Interrupted => {}
                    _ => return NextStep::Close,
                },
            }
        }
    }

    fn watch_for_hangup(&mut self) -> NextStep {
        let mut chunk = [0; 256];
        match self.stream.read(&mut chunk) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                NextStep::Wait
            }
            // Gone, broken, or sending when it should read.
            _ => NextStep::Close,
        }
    }

    fn write(&mut self, now: Raw) -> NextStep {
        let Phase::Writing { bytes, sent } = &mut self.phase else {
            return NextStep::Close;
        };
        while *sent < bytes.len() {
            match self.stream.write(&bytes[*sent..]) {
                Ok(0) => return NextStep::Close,
                Ok(count) => *sent += count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return NextStep::Wait,
                    io::ErrorKind::Interrupted => {}
                    _ => return NextStep::Close,
                },
            }
        }
        if self.stream.shutdown(std::net::Shutdown::Write).is_err() {
            return NextStep::Close;
        }
        self.phase = Phase::Draining { left: DRAIN_AT_MOST };
        self.deadline = after(now, DRAIN_WITHIN);
        self.drain()
    }

    fn drain(&mut self) -> NextStep {
        let Phase::Draining { left } = &mut self.phase else {
            return NextStep::Close;
        };
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return NextStep::Close,
                Ok(count) if count >= *left => return NextStep::Close,
                Ok(count) => *left -= count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return NextStep::Wait,
                    io::ErrorKind::Interrupted => {}
                    _ => return NextStep::Close,
                },
            }
        }
    }
}

fn after(now: Raw, span: Duration) -> Raw {
    Raw(now
        .0
        .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
}
