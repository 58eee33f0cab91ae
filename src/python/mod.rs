//! The Python face: `livegui._livegui`. The only files that name `pyo3`.
//!
//! It translates and detaches, and nothing else: whatever may wait runs without the GIL.

mod agent;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

/// The native half of livegui. Use `livegui` instead.
#[pymodule(gil_used = false)]
mod _livegui {
    #[pymodule_export]
    use super::agent::NativeAgent;

    /// The version of the wheel.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}

/// The one place where an error of ours becomes a Python exception.
fn raise(error: Error) -> PyErr {
    match error {
        Error::BadValue(what) => PyValueError::new_err(what),
        Error::Io { doing, source } => match source.raw_os_error() {
            // With its errno, so that Python makes it the right subclass.
            Some(errno) => PyOSError::new_err((errno, format!("cannot {doing}: {source}"))),
            None => PyOSError::new_err(format!("cannot {doing}: {source}")),
        },
        Error::Start(failure)
        | Error::Degraded(failure)
        | Error::Exited(failure)
        | Error::Unreachable(failure) => PyOSError::new_err(failure.to_string()),
    }
}
