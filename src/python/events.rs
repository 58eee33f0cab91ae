//! What the plugin tells whoever follows a pytest from outside.

use std::path::PathBuf;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use super::{Text, raise};
use crate::error::Error;
use crate::harness::{EventLog, end_with_parent};
use crate::wire::{EVENTS_SCHEMA, Event, TestResult};

/// Appends what a pytest does to a file.
#[pyclass(frozen, name = "NativeEvents", module = "livegui._livegui")]
pub struct NativeEvents(EventLog);

#[pymethods]
impl NativeEvents {
    #[new]
    fn new(path: PathBuf, worker: Option<String>) -> PyResult<Self> {
        end_with_parent()
            .map_err(Error::io("start a thread"))
            .map_err(raise)?;
        EventLog::open(&path, worker).map(Self).map_err(raise)
    }

    fn session_started(&self, py: Python<'_>, root: PathBuf) -> PyResult<()> {
        let event = Event::SessionStarted {
            schema: EVENTS_SCHEMA.to_owned(),
            pid: std::process::id(),
            root: root.display().to_string(),
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

    fn app_opened(&self, py: Python<'_>, run_folder: PathBuf) -> PyResult<()> {
        let run_folder = run_folder.display().to_string();
        self.write(py, Event::AppOpened { run_folder })
    }

    fn test_started(&self, py: Python<'_>, test: Text) -> PyResult<()> {
        self.write(py, Event::TestStarted { test: test.0 })
    }

    #[allow(clippy::too_many_arguments, reason = "in Python they are keywords")]
    #[pyo3(signature = (test, *, outcome, duration_s, message, culprit, generation, reruns, line))]
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
    ) -> PyResult<()> {
        let result = TestResult {
            test: test.0,
            outcome,
            duration_ms: duration_s * 1e3,
            message: message.0,
            culprit: culprit.map(|culprit| culprit.0),
            generation,
            reruns,
            line,
        };
        self.write(py, Event::TestFinished(Box::new(result)))
    }

    fn session_finished(&self, py: Python<'_>, exit_status: i32) -> PyResult<()> {
        self.write(py, Event::SessionFinished { exit_status })
    }

    fn is_asked_to_stop(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_asked_to_stop())
    }
}

impl NativeEvents {
    fn write(&self, py: Python<'_>, event: Event) -> PyResult<()> {
        py.detach(|| self.0.write(event))
            .map_err(|error| PyOSError::new_err(error.to_string()))
    }
}
