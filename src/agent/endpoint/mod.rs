//! The endpoint: loopback HTTP on one thread.
//!
//! ```text
//! listener ─ accept ─▶ Connection ─ head ─▶ route(head, site, view) ─▶ Now(reply) ─▶ write, close
//!                      (at most 64)                                └▶ Wait ─ seq changed, time up ─▶ reply
//! ```
//! Everything is non-blocking and bounded: connections, head bytes, waiting polls, time. An accept error never ends
//! the loop. When descriptors run out, a spare one is given up to serve one connection at a time.

mod connection;
mod descriptors;
#[cfg(fuzzing)]
pub mod fuzz;

mod metrics;
mod route;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use super::clock::{Clock, Raw};
use connection::{Connection, NextStep};
use descriptors::Descriptors;
use route::{Answer, EndpointConfig};

pub use route::HealthSource;

/// How many connections can be open at once. Beyond that, the one that has been without a whole head for the
/// longest is closed first.
const MAX_CONNECTIONS: usize = 64;
/// How many of these can be long polls.
const MAX_POLLS: usize = 32;
/// How many connections to accept before the open ones get another turn.
const ACCEPT_BATCH: usize = 64;
/// How long to wait before a failed accept is tried again.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The connections' descriptors in their places, and after them the listener's and the queue's.
pub type OpenDescriptors = Descriptors<{ MAX_CONNECTIONS + 2 }>;

const LISTENER: Token = Token(usize::MAX);
const BELL: Token = Token(usize::MAX - 1);

/// A bound endpoint that is not served yet.
pub struct Endpoint {
    descriptors: Arc<OpenDescriptors>,
    listener: TcpListener,
    poll: Poll,
    waker: EndpointWaker,
    port: u16,
}

/// Wakes the endpoint's thread because something changed, or because it must end.
#[derive(Clone)]
pub struct EndpointWaker {
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
}

impl EndpointWaker {
    /// Something changed: answer the polls that wait for it.
    pub fn wake(&self) {
        // This fails only if the endpoint's descriptors are gone, and the endpoint with them.
        let _ = self.waker.wake();
    }

    /// Ends the endpoint's thread.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }
}

impl Endpoint {
    /// Binds to `port` on the loopback address; 0 is any free port.
    ///
    /// # Errors
    /// What the operating system reports: the port is in use, or there are no descriptors left.
    pub fn bind(port: u16) -> io::Result<Self> {
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let port = listener.local_addr()?.port();
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = EndpointWaker {
            waker: Arc::new(Waker::new(poll.registry(), BELL)?),
            stop: Arc::default(),
        };
        let descriptors = Arc::new(OpenDescriptors::default());
        descriptors.set(MAX_CONNECTIONS, &listener);
        #[cfg(unix)]
        descriptors.set(MAX_CONNECTIONS + 1, &poll);
        Ok(Self {
            descriptors,
            listener,
            poll,
            waker,
            port,
        })
    }

    /// The port it is bound to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The descriptors that the child of a fork must close.
    pub fn descriptors(&self) -> Arc<OpenDescriptors> {
        Arc::clone(&self.descriptors)
    }

    /// What wakes and ends the endpoint.
    pub fn waker(&self) -> EndpointWaker {
        self.waker.clone()
    }

    /// Serves until its waker stops it.
    ///
    /// # Errors
    /// If the operating system's readiness queue itself fails, because nothing can continue without it.
    pub fn serve(self, token: String, clock: Clock, view: &impl HealthSource) -> io::Result<()> {
        let site = EndpointConfig {
            token,
            port: self.port,
        };
        let connections = [const { None }; MAX_CONNECTIONS];
        let Self {
            descriptors,
            listener,
            poll,
            waker,
            ..
        } = self;
        let mut server = Server {
            descriptors,
            listener,
            poll,
            site,
            clock,
            view,
            connections,
            reserve: open_reserve(),
            accepting: false,
        };
        server.run(&waker.stop)
    }
}

struct Server<'a, V> {
    descriptors: Arc<OpenDescriptors>,
    listener: TcpListener,
    poll: Poll,
    site: EndpointConfig,
    clock: Clock,
    view: &'a V,
    connections: [Option<Connection>; MAX_CONNECTIONS],
    /// A descriptor to give up when there are no others.
    reserve: Option<File>,
    /// There may be connections to accept, although no event will announce them again.
    accepting: bool,
}

impl<V: HealthSource> Server<'_, V> {
    fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(MAX_CONNECTIONS * 2);
        while !stop.load(Ordering::Acquire) {
            let timeout = self.timeout(self.clock.raw());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = self.clock.raw();
            for event in &events {
                match event.token() {
                    LISTENER => self.accepting = true,
                    BELL => {}
                    Token(index) => self.advance(index, now),
                }
            }
            if self.accepting {
                self.accept(now);
            }
            // Last, so that a poll which has just arrived is known to wait for a proof.
            self.settle(now);
        }
        // Send the last news to the polls that wait.
        self.settle(self.clock.raw());
        (0..MAX_CONNECTIONS + 2).for_each(|place| self.descriptors.clear(place));
        Ok(())
    }

    fn timeout(&self, now: Raw) -> Option<Duration> {
        let next = self.connections.iter().flatten().map(Connection::deadline).min();
        let next = next.map(|deadline| deadline.since(now));
        // Round up: a wait that ends just before the deadline would spin until then.
        let next = next.map(|wait| wait + Duration::from_millis(1));
        if self.accepting {
            Some(next.unwrap_or(ACCEPT_RETRY).min(ACCEPT_RETRY))
        } else {
            next
        }
    }

    fn accept(&mut self, now: Raw) {
        for _ in 0..ACCEPT_BATCH {
            // Without a reserve, serve one connection at a time until there is one again.
            if self.reserve.is_none() {
                self.reserve = open_reserve();
                if self.reserve.is_none() {
                    return;
                }
            }
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.accepting = false;
                        return;
                    }
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    // Most likely there are no descriptors left, so use the reserve.
                    _ => {
                        self.reserve = None;
                        if let Ok((stream, _)) = self.listener.accept() {
                            self.admit(stream, now);
                        }
                        return; // try again later
                    }
                },
            }
        }
    }

    fn admit(&mut self, stream: mio::net::TcpStream, now: Raw) {
        let Some(index) = self.free_place() else {
            return;
        };
        let mut connection = Connection::new(stream, now);
        if self
            .poll
            .registry()
            .register(
                &mut connection.stream,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )
            .is_ok()
        {
            self.descriptors.set(index, &connection.stream);
            self.connections[index] = Some(connection);
            self.advance(index, now);
        }
    }

    /// A free place. If necessary, closes another connection for it: one that has its answer, or else the one that
    /// has been without a whole head for the longest. `None` if all are being served.
    fn free_place(&mut self) -> Option<usize> {
        if let Some(index) = self.connections.iter().position(Option::is_none) {
            return Some(index);
        }
        let answered = self
            .connections
            .iter()
            .position(|c| c.as_ref().is_some_and(Connection::is_answered));
        let incomplete = || {
            let open = self.connections.iter().enumerate();
            let without_head =
                open.filter_map(|(index, c)| c.as_ref()?.incomplete_until().map(|since| (since, index)));
            without_head.min().map(|(_, index)| index)
        };
        let index = answered.or_else(incomplete)?;
        self.drop_connection(index);
        Some(index)
    }

    fn advance(&mut self, index: usize, now: Raw) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let wish = connection.advance(now);
        self.grant(index, wish, now);
    }

    fn grant(&mut self, index: usize, wish: NextStep, now: Raw) {
        let head = match wish {
            NextStep::Wait => return,
            NextStep::Close => return self.drop_connection(index),
            NextStep::Route(head) => head,
        };
        let answer = route::route(&head, &self.site, self.view);
        let polls = self
            .connections
            .iter()
            .flatten()
            .filter(|c| c.waits_after().is_some())
            .count();
        let Some(connection) = self.connections[index].as_mut() else {
            return;
        };
        let wish = match answer {
            Answer::Now(reply) => connection.answer(reply, head.bodiless, now),
            Answer::Wait { .. } if polls >= MAX_POLLS => {
                let why = "too many long polls at once (32); ask without after=, or later";
                connection.answer(
                    route::refused(crate::http_head::Refusal { status: 429, why }),
                    head.bodiless,
                    now,
                )
            }
            Answer::Wait { seen, wait } => {
                // Not `now`, which may be older than the request; the answer would come too early.
                connection.park(seen, wait, head.bodiless, self.clock.raw());
                NextStep::Wait
            }
        };
        if matches!(wish, NextStep::Close) {
            self.drop_connection(index);
        }
    }

    /// Answers the polls whose news has come, and closes what is overdue.
    fn settle(&mut self, now: Raw) {
        let mut awaited = false;
        for index in 0..MAX_CONNECTIONS {
            let Some(connection) = self.connections[index].as_mut() else {
                continue;
            };
            let overdue = now >= connection.deadline();
            let wish = match connection.waits_after() {
                Some(seen) if overdue || seen.is_stale(self.view) => {
                    connection.answer_poll(route::health(self.view), now)
                }
                Some(seen) => {
                    awaited |= seen.awaits_proof();
                    continue;
                }
                None if overdue => connection.expire(now),
                _ => continue,
            };
            if matches!(wish, NextStep::Close) {
                self.drop_connection(index);
            }
        }
        self.view.await_proof(awaited);
    }

    fn drop_connection(&mut self, index: usize) {
        if let Some(mut connection) = self.connections[index].take() {
            self.descriptors.clear(index);
            // Closing the socket removes it from the queue too; this is for platforms that differ.
            let _ = self.poll.registry().deregister(&mut connection.stream);
        }
    }
}

fn open_reserve() -> Option<File> {
    File::open(if cfg!(windows) { "NUL" } else { "/dev/null" }).ok()
}
