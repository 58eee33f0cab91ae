//! The errors of an agent.

use crate::io_error::IoError;

/// Why an agent did not start, or did not accept what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value from outside is invalid. The text says which one, its value, and what is valid.
    #[error("{0}")]
    BadValue(String),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// The result of an agent's operations.
pub type Result<T> = std::result::Result<T, Error>;
