//! What the operating system refused, and what was being done.

use std::io;

/// Displayed as "cannot …: …".
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: {source}")]
pub struct IoError {
    /// What was being done, for example "start the thread".
    pub doing: String,
    /// What the system reported.
    pub source: io::Error,
}

/// Adds to an I/O error what was being done.
pub fn cannot(doing: impl Into<String>) -> impl FnOnce(io::Error) -> IoError {
    let doing = doing.into();
    |source| IoError { doing, source }
}
