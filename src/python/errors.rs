//! Which Python exception each error becomes.

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::harness::{AppError, AppErrorKind};
use crate::io_error::IoError;
use crate::{agent, command_error, harness};

impl From<IoError> for PyErr {
    fn from(error: IoError) -> Self {
        match error.source.raw_os_error() {
            // With its errno, so that Python chooses the right subclass.
            Some(errno) => PyOSError::new_err((errno, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        }
    }
}

impl From<agent::Error> for PyErr {
    fn from(error: agent::Error) -> Self {
        match error {
            agent::Error::BadValue(what) => PyValueError::new_err(what),
            agent::Error::Io(error) => error.into(),
        }
    }
}

impl From<harness::Error> for PyErr {
    fn from(error: harness::Error) -> Self {
        match error {
            harness::Error::BadValue(what) => PyValueError::new_err(what),
            harness::Error::Io(error) => error.into(),
            harness::Error::Interrupted => PyKeyboardInterrupt::new_err(()),
            harness::Error::App(error) => error.into(),
        }
    }
}

impl From<command_error::Error> for PyErr {
    fn from(error: command_error::Error) -> Self {
        match error {
            command_error::Error::Io(error) => error.into(),
            command_error::Error::Interrupted => PyKeyboardInterrupt::new_err(()),
            other => PyValueError::new_err(other.to_string()),
        }
    }
}

impl From<AppError> for PyErr {
    fn from(error: AppError) -> Self {
        Python::attach(|py| error_of_app(py, &error).map_or_else(|error| error, Self::from_value))
    }
}

/// The exception of `livegui.errors` for this error, with everything that is known as attributes. Whatever interrupts
/// the making of it (a signal handler that raises) is an error of its own, and not a verdict on the app.
pub(super) fn error_of_app<'py>(py: Python<'py>, error: &AppError) -> PyResult<Bound<'py, PyAny>> {
    let class = match error.kind {
        AppErrorKind::Start => "GuiStartError",
        AppErrorKind::Degraded => "GuiDegraded",
        AppErrorKind::Callback => "GuiCallbackError",
        AppErrorKind::Exited => "GuiExited",
        AppErrorKind::Unreachable => "GuiUnreachable",
        AppErrorKind::DidNotEnd => "GuiDidNotEnd",
    };
    let failure = &error.failure;
    let details = PyDict::new(py);
    let reasons: Vec<_> = failure
        .reasons
        .iter()
        .map(|reason| {
            (
                reason.code.as_str(),
                reason.component.as_str(),
                reason.message.as_str(),
            )
        })
        .collect();
    details.set_item("summary", &failure.summary)?;
    details.set_item("generation", failure.generation)?;
    details.set_item("pid", failure.pid)?;
    details.set_item("reasons", reasons)?;
    details.set_item("exit_status", failure.exit_status.as_deref())?;
    details.set_item(
        "culprit",
        failure.culprit.as_ref().map(|culprit| culprit.test.as_str()),
    )?;
    details.set_item(
        "inferred",
        failure.culprit.as_ref().is_some_and(|culprit| culprit.inferred),
    )?;
    details.set_item("stderr_tail", &failure.stderr_tail)?;
    details.set_item("stacks", &failure.stacks)?;
    details.set_item("run_folder", failure.folder.as_os_str())?;
    let class = py.import("livegui.errors")?.getattr(class)?;
    class.call((failure.to_string(),), Some(&details))
}
