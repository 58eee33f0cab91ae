//! What the plugin reports of its tests.

use std::path::PathBuf;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use super::Text;
use super::harness::NativeLive;
use crate::file_url::path_text;
use crate::harness::{EventLog, end_with_parent};
use crate::io_error::cannot;
use crate::wire::{EVENTS_SCHEMA, Event, TestResult};

/// Appends what a pytest does to a file, for a program that follows it and for people who look later.
#[pyclass(frozen, name = "NativeEvents", module = "livegui._livegui")]
pub struct NativeEvents(EventLog);

#[pymethods]
impl NativeEvents {
    #[new]
    fn new(path: Option<PathBuf>, worker: Option<String>) -> PyResult<Self> {
        if path.is_some() {
            end_with_parent().map_err(cannot("start a thread"))?;
        }
        EventLog::open(path.as_deref(), worker)
            .map(Self)
            .map_err(PyErr::from)
    }

    fn session_started(&self, py: Python<'_>, root: PathBuf) -> PyResult<()> {
        let event = Event::SessionStarted {
            schema: EVENTS_SCHEMA.to_owned(),
            pid: std::process::id(),
            root: path_text(&root),
        };
        self.write(py, event)
    }

    fn collection_failed(&self, py: Python<'_>, node: Text, message: Text) -> PyResult<()> {
        let (Text(node), Text(message)) = (node, message);
        self.write(py, Event::CollectionFailed { node, message })
    }

    fn collected(&self, py: Python<'_>, tests: Vec<Text>) -> PyResult<()> {
        let tests = tests.into_iter().map(|test| test.0).collect();
        self.write(py, Event::Collected { tests })
    }

    /// From now on events go into the folder of this handle's run, or of an earlier run of this process.
    fn app_opened(&self, py: Python<'_>, live: &NativeLive) -> PyResult<()> {
        let opened = py.detach(|| {
            let file = self.0.app_opened(&live.0.run_folder())?;
            if let Some(file) = file {
                live.0.set_events(&file);
            }
            Ok(())
        });
        opened.map_err(|error: std::io::Error| PyOSError::new_err(error.to_string()))
    }

    fn test_started(&self, py: Python<'_>, test: Text) -> PyResult<()> {
        self.write(py, Event::TestStarted { test: test.0 })
    }

    #[allow(clippy::too_many_arguments, reason = "in Python they are keywords")]
    #[pyo3(signature = (test, *, outcome, duration_s, message, culprit, generation, reruns, line, screenshots))]
    fn test_finished(
        &self,
        py: Python<'_>,
        test: Text,
        outcome: String,
        duration_s: f64,
        message: Text,
        culprit: Option<Text>,
        generation: Option<u32>,
        reruns: u32,
        line: Option<u32>,
        screenshots: Vec<String>,
    ) -> PyResult<()> {
        let result = TestResult {
            test: test.0,
            outcome: outcome.into(),
            duration_ms: duration_s * 1e3,
            message: message.0,
            culprit: culprit.map(|culprit| culprit.0),
            generation,
            reruns,
            line,
            screenshots,
        };
        self.write(py, Event::TestFinished(Box::new(result)))
    }

    fn session_finished(&self, py: Python<'_>, exit_status: i32) -> PyResult<()> {
        self.write(py, Event::SessionFinished { exit_status })
    }

    /// Whether a program follows this pytest.
    #[getter]
    fn is_followed(&self) -> bool {
        self.0.is_followed()
    }

    fn is_asked_to_stop(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_asked_to_stop())
    }
}

impl NativeEvents {
    fn write(&self, py: Python<'_>, event: Event) -> PyResult<()> {
        let written = if self.0.is_written() {
            py.detach(|| self.0.write(event))
        } else {
            self.0.write(event)
        };
        written.map_err(|error| PyOSError::new_err(error.to_string()))
    }
}
