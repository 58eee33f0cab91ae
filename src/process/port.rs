//! Ports: a free one for a hook server, and who holds one that is not free.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use listeners::Protocol;

use super::table;
use crate::wire::ProcessId;

/// A port that was free just now.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether somebody could listen on `port` now.
pub fn is_free(port: u16) -> bool {
    // Windows lets one listen on this address though somebody else does so on all of them.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && !(cfg!(windows) && holder(port).is_some())
}

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who it is, as far as that can be seen.
    pub process: ProcessId,
    /// Pid, start time and command line, for a person.
    pub description: String,
}

/// Who listens on `port`; `None` if nobody does, or nobody that this user may see.
pub fn holder(port: u16) -> Option<Holder> {
    let held = listeners::get_process_by_port(port, Protocol::TCP).ok()?;
    let description =
        table::describe(held.pid).unwrap_or_else(|| format!("pid {} ({})", held.pid, held.name));
    Some(Holder {
        process: ProcessId::of(held.pid).unwrap_or_else(|| ProcessId::unverified(held.pid)),
        description,
    })
}
