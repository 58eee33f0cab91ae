//! Ports: finds a free one for a hook server, and the process that holds one that is not free.

use std::fs;
use std::io;
#[cfg(windows)]
use std::net::SocketAddrV4;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

use listeners::Protocol;

use super::table;
use crate::wire::ProcessId;

/// The first port to try. Lower ones are for services of the system.
const FIRST: u16 = 20_000;
/// How many ports to try before asking the system for any.
const TRIES: usize = 64;

/// A free port that the system does not hand out by itself. Otherwise any process' connection could get it before
/// the app listens on it.
///
/// # Errors
/// What the operating system reports if there is none.
pub fn free_port() -> io::Result<u16> {
    let given = given_by_the_system();
    for _ in 0..TRIES {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let port = u16::from_ne_bytes(bytes);
        if port >= FIRST && !given.contains(&port) && is_free(port) {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The ports that the system hands out to connections, and to servers that listen on any port.
fn given_by_the_system() -> RangeInclusive<u16> {
    let range = || {
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        let (first, last) = text.trim().split_once(char::is_whitespace)?;
        Some(first.parse().ok()?..=last.trim().parse().ok()?)
    };
    // macOS and Windows: the range of IANA.
    range().unwrap_or(49_152..=u16::MAX)
}

/// Whether a process could listen on `port` now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && is_free_everywhere(port)
}

/// Windows lets a process listen on this address even if another one listens on all addresses. Only a second
/// process that wants all addresses is refused.
#[cfg(windows)]
fn is_free_everywhere(port: u16) -> bool {
    use socket2::{Domain, SockAddr, Socket, Type};
    let everywhere = SockAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
    // Bind without listening, because otherwise the firewall would ask the user.
    Socket::new(Domain::IPV4, Type::STREAM, None).is_ok_and(|socket| socket.bind(&everywhere).is_ok())
}

#[cfg(not(windows))]
fn is_free_everywhere(_port: u16) -> bool {
    true // on other systems a process that has all addresses has this one
}

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its identity, as far as it can be seen.
    pub process: ProcessId,
    /// Pid, start time and command line, for people.
    pub description: String,
}

/// The process that listens on `port`; `None` if there is none, or none that this user may see.
pub fn holder(port: u16) -> Option<Holder> {
    let held = listeners::get_process_by_port(port, Protocol::TCP).ok()?;
    let description =
        table::describe(held.pid).unwrap_or_else(|| format!("pid {} ({})", held.pid, held.name));
    Some(Holder {
        process: ProcessId::of(held.pid).unwrap_or_else(|| ProcessId::unverified(held.pid)),
        description,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_none_that_the_system_gives_to_a_connection() {
        let given = given_by_the_system();
        let others = (FIRST..=u16::MAX).filter(|port| !given.contains(port));
        if others.count() < 2_000 {
            return; // the system is configured to hand out nearly all ports
        }
        for _ in 0..50 {
            let port = free_port().unwrap();
            assert!(port >= FIRST && !given.contains(&port), "{port} of {given:?}");
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        }
    }
}
