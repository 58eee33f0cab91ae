//! The port of the app's hook server, and what is known about it.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a connection on the loopback address may take.
const CONNECTS_WITHIN: Duration = Duration::from_millis(100);

/// A port that the app was told to listen on. The app may or may not do so.
#[derive(Debug)]
pub struct HookPort {
    number: u16,
    /// A process listened there once.
    was_open: AtomicBool,
}

impl HookPort {
    /// A port about which nothing is known yet.
    pub const fn new(number: u16) -> Self {
        Self {
            number,
            was_open: AtomicBool::new(false),
        }
    }

    /// Its number.
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Connects, and returns whether something listens there.
    pub fn is_open(&self) -> bool {
        self.connect().is_ok()
    }

    /// Connects, and returns whether nothing listens there any more although something did. Returns false for
    /// anything less certain, such as a full queue.
    pub fn has_closed(&self) -> bool {
        self.connect().is_err_and(|error| {
            error.kind() == ErrorKind::ConnectionRefused && self.was_open.load(Ordering::Relaxed)
        })
    }

    fn connect(&self) -> io::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.number));
        TcpStream::connect_timeout(&address, CONNECTS_WITHIN)?;
        self.was_open.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_has_closed_only_if_it_was_open_before() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        let (port, never_asked) = (HookPort::new(number), HookPort::new(number));
        assert!(port.is_open() && !port.has_closed());
        drop(listener);
        assert!(!port.is_open() && port.has_closed());
        assert!(!never_asked.has_closed(), "an app need not listen there");
    }
}
