//! What an agent cannot do.

use crate::io_error::IoError;

/// Why an agent did not start, or did not take what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value from outside is not usable; says which, what it was and what would do.
    #[error("{0}")]
    BadValue(String),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// The result of what an agent does.
pub type Result<T> = std::result::Result<T, Error>;
