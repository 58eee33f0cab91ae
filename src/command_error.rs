//! What ends a command of `livegui` before its end.

use std::io;

use crate::harness;
use crate::io_error::IoError;

/// Why a command did not do what it was asked for. [`crate::cli::Exit`] has the exit status of each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option or a configuration file is not usable; says which, what it was and what would do.
    #[error("{0}")]
    BadValue(String),
    /// What was named is not there: a run, a batch, a test.
    #[error("{0}")]
    NotFound(String),
    /// Another program, as a rule pytest, did not do its part.
    #[error("{0}")]
    Program(String),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Nobody takes its output.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// Somebody ended it.
    #[error("interrupted")]
    Interrupted,
}

/// The result of a command, or of a part of one.
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
