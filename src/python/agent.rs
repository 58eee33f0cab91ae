//! The native functions for the app side of the shim.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::Text;
use crate::agent::{Agent, Arguments, Settings, name_of_script};
use crate::health::{Event, ExecutorEnd, Load};
use crate::wire::env;

/// The native agent. `livegui.start()` creates and wraps one.
#[pyclass(frozen, name = "NativeAgent", module = "livegui._livegui")]
pub struct NativeAgent(Agent);

#[pymethods]
impl NativeAgent {
    /// Starts an agent; an inert one if `LIVEGUI=0`.
    #[staticmethod]
    #[pyo3(signature = (app, *, script, port=None, token=None, stall_after_ms=None, startup_ms=None,
        executor_stall_ms=None, run_dir=None, journal=None))]
    #[allow(clippy::too_many_arguments, reason = "in Python they are keywords")]
    fn start(
        py: Python<'_>,
        app: Option<Text>,
        script: Text,
        port: Option<i64>,
        token: Option<String>,
        stall_after_ms: Option<i64>,
        startup_ms: Option<i64>,
        executor_stall_ms: Option<i64>,
        run_dir: Option<PathBuf>,
        journal: Option<String>,
    ) -> PyResult<Self> {
        let given = Arguments {
            port: whole("port", port)?,
            token,
            stall_after_ms: whole("stall_after_ms", stall_after_ms)?,
            startup_ms: whole("startup_ms", startup_ms)?,
            executor_stall_ms: whole("executor_stall_ms", executor_stall_ms)?,
            journal,
            // The value in the environment may not be text.
            run_dir: run_dir.or_else(|| {
                std::env::var_os(env::RUN_DIR)
                    .filter(|dir| !dir.is_empty())
                    .map(PathBuf::from)
            }),
        };
        let app = app.map_or_else(|| name_of_script(&script.0), String::from);
        let settings = Settings::resolve(&app, given, |name| std::env::var(name).ok())?;
        match settings {
            None => Ok(Self(Agent::inert(&app))),
            Some(settings) => py
                .detach(|| Agent::start(&settings))
                .map(Self)
                .map_err(PyErr::from),
        }
    }

    /// Records that the main loop runs.
    fn beat(&self) {
        self.0.beat();
    }

    /// The same, unless another question than `known` waits by now.
    fn beat_unless_asked(&self, known: Option<u64>) {
        self.0.beat_unless_asked(known);
    }

    /// Records that the interpreter is free. Returns the seconds to wait until the next tick.
    fn tick(&self) -> f64 {
        self.0.tick().as_secs_f64()
    }

    /// Records that the check that began with the last tick is complete.
    fn looked(&self) {
        self.0.looked();
    }

    /// Waits for the next tick, which a question makes due at once.
    fn wait_for_question(&self, py: Python<'_>, at_most_s: f64) {
        let at_most = Duration::try_from_secs_f64(at_most_s).unwrap_or_default();
        py.detach(|| self.0.wait_for_question(at_most));
    }

    fn end_wait(&self) {
        self.0.end_wait();
    }

    /// The number of the question that waits for a proof that the app lives, if there is one right now.
    #[getter]
    fn question(&self) -> Option<u64> {
        self.0.question()
    }

    /// Which silence of the main loop it is, and which attempt, if the loop must be woken.
    #[getter]
    fn silence(&self) -> Option<(u64, u32)> {
        self.0.silence()
    }

    fn tell_open(&self, py: Python<'_>, things: Vec<Text>) {
        py.detach(|| self.0.tell_open(things.into_iter().map(String::from)));
    }

    fn main_thread_seen(&self, py: Python<'_>, at: Option<Text>) {
        py.detach(|| self.0.main_thread_seen(at.map(String::from)));
    }

    /// Hears Qt's critical and fatal messages, if that is possible. `module` is the file of a binding's `QtCore`.
    fn hear_qt(&self, py: Python<'_>, module: PathBuf) -> bool {
        #[cfg(unix)]
        return py.detach(|| self.0.hear_qt(&module));
        #[cfg(not(unix))]
        {
            let _ = (py, module);
            false
        }
    }

    fn main_loop_entered(&self, py: Python<'_>) {
        self.tell(py, Event::MainLoopEntered);
    }

    fn main_loop_unseen(&self, py: Python<'_>) {
        self.tell(py, Event::MainLoopUnseen);
    }

    fn main_loop_crashed(&self, py: Python<'_>, message: Text, traceback: Option<Text>) {
        self.tell(
            py,
            Event::MainLoopCrashed {
                message: message.into(),
                traceback: traceback.map(String::from),
            },
        );
    }

    fn main_loop_exited(&self, py: Python<'_>, how: Option<Text>) {
        let how = how.map(String::from);
        self.tell(py, Event::MainLoopExited { how });
    }

    fn executor_watched(&self, py: Python<'_>, name: Text, kind: Text) -> PyResult<()> {
        let (name, kind) = (name.into(), kind.into());
        py.detach(|| self.0.watch(Event::ExecutorWatched { name, kind }))
            .map_err(PyErr::from)
    }

    fn executor_end_expected(&self, py: Python<'_>, name: Text) {
        self.tell(py, Event::ExecutorEndExpected { name: name.into() });
    }

    fn executor_shut_down(&self, py: Python<'_>, name: Text, by: Option<Text>) {
        self.tell(
            py,
            Event::ExecutorEnded {
                name: name.into(),
                end: ExecutorEnd::ShutDown {
                    by: by.map(String::from),
                },
            },
        );
    }

    fn executor_broken(&self, py: Python<'_>, name: Text, why: Text) {
        self.tell(
            py,
            Event::ExecutorEnded {
                name: name.into(),
                end: ExecutorEnd::Broken { why: why.into() },
            },
        );
    }

    fn executor_collected(&self, py: Python<'_>, name: Text) {
        self.tell(
            py,
            Event::ExecutorEnded {
                name: name.into(),
                end: ExecutorEnd::Collected,
            },
        );
    }

    #[allow(clippy::too_many_arguments, reason = "in Python they are keywords")]
    #[pyo3(signature = (name, kind, *, by, ended_by=None, ended_ago_s=None, broken=None))]
    fn executor_refused(
        &self,
        py: Python<'_>,
        name: Text,
        kind: Text,
        by: Text,
        ended_by: Option<Text>,
        ended_ago_s: Option<f64>,
        broken: Option<Text>,
    ) {
        let end = broken.map_or_else(
            || ExecutorEnd::ShutDown {
                by: ended_by.map(String::from),
            },
            |why| ExecutorEnd::Broken { why: why.into() },
        );
        self.tell(
            py,
            Event::ExecutorRefused {
                name: name.into(),
                kind: kind.into(),
                by: by.into(),
                end,
                ago: ended_ago_s.and_then(|ago| Duration::try_from_secs_f64(ago).ok()),
            },
        );
    }

    fn executor_observed(&self, py: Python<'_>, name: Text, queued: u64, workers: u64, finished: u64) {
        self.tell(
            py,
            Event::ExecutorObserved {
                name: name.into(),
                load: Load {
                    queued,
                    workers,
                    finished,
                },
            },
        );
    }

    fn thread_watched(&self, py: Python<'_>, name: Text) -> PyResult<()> {
        let name = name.into();
        py.detach(|| self.0.watch(Event::ThreadWatched { name }))
            .map_err(PyErr::from)
    }

    fn thread_ended(&self, py: Python<'_>, name: Text, why: Option<Text>, traceback: Option<Text>) {
        self.tell(
            py,
            Event::ThreadEnded {
                name: name.into(),
                why: why.map(String::from),
                traceback: traceback.map(String::from),
            },
        );
    }

    fn agent_thread_died(&self, py: Python<'_>, thread: Text, message: Text) {
        let (thread, message) = (thread.into(), message.into());
        self.tell(py, Event::AgentThreadDied { thread, message });
    }

    fn main_thread_ended(&self, py: Python<'_>, left: Text) {
        self.tell(py, Event::MainThreadEnded { left: left.into() });
    }

    fn degrade(
        &self,
        py: Python<'_>,
        code: Text,
        message: Text,
        traceback: Option<Text>,
        recoverable: bool,
    ) -> PyResult<()> {
        let traceback = traceback.map(String::from);
        py.detach(|| self.0.report(&code.0, &message.0, traceback, recoverable))
            .map_err(PyErr::from)
    }

    fn exception_swallowed(
        &self,
        py: Python<'_>,
        source: Text,
        place: Text,
        message: Text,
        traceback: Option<Text>,
    ) -> PyResult<()> {
        let (place, message, traceback) = (place.into(), message.into(), traceback.map(String::from));
        py.detach(|| self.0.exception_swallowed(&source.0, place, message, traceback))
            .map_err(PyErr::from)
    }

    fn clear(&self, py: Python<'_>, code: Text) -> PyResult<()> {
        py.detach(|| self.0.clear(&code.0)).map_err(PyErr::from)
    }

    fn pause(&self, py: Python<'_>, what: Text, max_s: f64, usable: bool) -> PyResult<u64> {
        let max = Duration::try_from_secs_f64(max_s)
            .map_err(|_| PyValueError::new_err(format!("max_s={max_s}: expected seconds, 0 or more")))?;
        Ok(py.detach(|| self.0.pause(&what.0, max, usable)))
    }

    fn resume(&self, py: Python<'_>, pause: u64) {
        py.detach(|| self.0.resume(pause));
    }

    fn stopping(&self, py: Python<'_>) {
        self.tell(py, Event::StopAnnounced);
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn after_fork_in_child(&self) {
        self.0.after_fork_in_child();
    }

    fn health_json(&self, py: Python<'_>) -> String {
        // Plain structs always serialise.
        py.detach(|| serde_json::to_string(&self.0.health()).unwrap_or_default())
    }

    /// Whether stalls of executors are watched for, so that finished work must be counted.
    #[getter]
    fn counts_finished_work(&self) -> bool {
        self.0.looks_for_executor_stalls()
    }

    #[getter]
    fn url(&self) -> Option<&str> {
        self.0.url()
    }

    #[getter]
    fn token(&self) -> Option<&str> {
        self.0.token()
    }
}

impl NativeAgent {
    fn tell(&self, py: Python<'_>, event: Event) {
        py.detach(|| self.0.tell(event));
    }
}

/// Converts a number; an error names it if it is out of range.
fn whole<T: TryFrom<i64>>(name: &str, value: Option<i64>) -> PyResult<Option<T>> {
    let out_of_range = |value| PyValueError::new_err(format!("{name}={value}: out of range"));
    value
        .map(|value| T::try_from(value).map_err(|_| out_of_range(value)))
        .transpose()
}
