//! Ports: a free one for a hook server, and who holds one that is not free.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use listeners::Protocol;

use super::table;

/// A port that was free just now.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether somebody could listen on `port` now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Who listens on `port`, for a person: pid, start time and command line. `None` if nobody does, or
/// nobody that this user may see.
pub fn holder(port: u16) -> Option<String> {
    let held = listeners::get_process_by_port(port, Protocol::TCP).ok()?;
    Some(table::describe(held.pid).unwrap_or_else(|| format!("pid {} ({})", held.pid, held.name)))
}
