//! The errors that end a command of `livegui`.

use std::io;

use crate::harness;
use crate::io_error::IoError;

/// Why a command did not do its job. [`crate::cli::Exit`] has the exit status of each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option or a configuration file is invalid. The text says which, its value, and what is valid.
    #[error("{0}")]
    BadValue(String),
    /// Something that was named does not exist: a run, a batch, a test.
    #[error("{0}")]
    NotFound(String),
    /// Another program, usually pytest, did not do its part.
    #[error("{0}")]
    Program(String),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another I/O error, which already says what was being done; also output that cannot be written.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The user interrupted it.
    #[error("interrupted")]
    Interrupted,
}

/// The result of a command, or of part of one.
pub type Result<T> = std::result::Result<T, Error>;

impl From<harness::Error> for Error {
    fn from(error: harness::Error) -> Self {
        match error {
            harness::Error::BadValue(what) => Self::BadValue(what),
            harness::Error::Io(error) => Self::Io(error),
            harness::Error::Interrupted => Self::Interrupted,
            harness::Error::App(error) => Self::Program(error.to_string()),
        }
    }
}
