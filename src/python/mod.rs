//! The Python interface: `livegui._livegui`. Only these files name `pyo3`.
//!
//! It only translates and detaches: whatever may wait runs without the GIL.

mod agent;
mod cli;
mod errors;
mod events;
mod harness;
mod interpreter;
mod interrupt;

use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::harness::{Answer, PhaseEnd};

/// The native half of livegui. Use `livegui` instead.
#[pymodule(gil_used = false)]
mod _livegui {
    #[pymodule_export]
    use super::agent::NativeAgent;
    #[pymodule_export]
    use super::events::NativeEvents;
    #[pymodule_export]
    use super::harness::{NativeEnd, NativeLive, NativeProcess};

    #[pymodule_export]
    use super::cli::run_cli;
    #[pymodule_export]
    use super::interrupt::take_interrupt;

    #[pymodule_export]
    use super::interrupt::end_thread;

    #[pymodule_export]
    use super::{
        agent_in, answer_at_end, printable_line, qt_handler_is_changed, qt_handler_may_change, write_report,
    };

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        super::interpreter::refuse_another(module.py())
    }

    /// The version of the wheel.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// Text of an app on one line, safe to print: control characters are shown as escapes.
#[pyfunction]
fn printable_line(text: Text) -> String {
    crate::text::line(&text.0).into_owned()
}

/// The process that has the agent of a run folder, unless it is gone.
#[pyfunction]
fn agent_in(run_dir: PathBuf) -> Option<u32> {
    crate::agent::agent_in(&run_dir)
}

/// The app is about to replace Qt's message handler. Removes the agent's, so that the app's is found below it.
#[pyfunction]
fn qt_handler_may_change(py: Python<'_>) {
    #[cfg(unix)]
    py.detach(crate::agent::step_aside);
    #[cfg(not(unix))]
    let _ = py;
}

/// The app has replaced it. Puts the agent's above.
#[pyfunction]
fn qt_handler_is_changed(py: Python<'_>) {
    #[cfg(unix)]
    py.detach(crate::agent::come_back);
    #[cfg(not(unix))]
    let _ = py;
}

/// Which answer about the app counts at the end of a phase of a test: `told`, `known`, `asked_now` or none.
#[pyfunction]
fn answer_at_end(end: &str, told: bool, asks: bool) -> PyResult<Option<&'static str>> {
    let end = match end {
        "returned" => PhaseEnd::Returned,
        "raised" => PhaseEnd::Raised,
        "failed" => PhaseEnd::Failed,
        "left" => PhaseEnd::Left,
        _ => return Err(PyValueError::new_err(format!("no phase ends {end:?}"))),
    };
    Ok(match crate::harness::answer_at_end(end, told, asks) {
        Answer::None => None,
        Answer::Told => Some("told"),
        Answer::Known => Some("known"),
        Answer::AskedNow => Some("asked_now"),
    })
}

/// Text from outside. A lone surrogate, as in a file name that is not UTF-8, is shown as an escape, so that any
/// text can be reported.
struct Text(String);

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Text {
    type Error = PyErr;

    fn extract(text: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text = text.cast::<PyString>()?;
        if let Ok(text) = text.to_cow() {
            return Ok(Self(text.into_owned()));
        }
        let bytes = text.call_method1("encode", ("utf-8", "backslashreplace"))?;
        let text = String::from_utf8_lossy(bytes.cast::<PyBytes>()?.as_bytes()).into_owned();
        Ok(Self(text))
    }
}

/// Writes `report.html` for the run in a folder; for a session of pytest-xdist, for the runs of all workers.
/// Returns the file.
#[pyfunction]
fn write_report(py: Python<'_>, run_folder: PathBuf) -> PyResult<PathBuf> {
    Ok(py.detach(|| crate::report::write_into(&run_folder))?)
}

/// Lets the interpreter's signal handlers run, on a thread that is detached from it.
#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "the method's path has too narrow a lifetime"
)]
fn check_signals() -> PyResult<()> {
    Python::attach(|py| py.check_signals())
}
