//! The native functions for the test side of the shim.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::errors::error_of_app;
use super::{Text, check_signals};
use crate::harness::{
    CallbackErrors, CommandLine, End, Error, Exit, Expected, LaunchSettings, Live, ParseOptionError,
    ProcessTree, Result, Rules, Say, Settings, Step, Test, Trouble, parse_handover_timeout, parse_limit,
};
use crate::injection::Mode;

/// The native half of the `live_gui` fixture.
#[pyclass(frozen, name = "NativeLive", module = "livegui._livegui")]
pub struct NativeLive(pub(super) Live);

#[pymethods]
impl NativeLive {
    /// A handle without a process yet. Must be created on the thread that runs the tests.
    #[new]
    #[allow(clippy::too_many_arguments, reason = "in Python they are keywords")]
    #[pyo3(signature = (command, *, name, environment, cwd, python, run_dir, ready_timeout_s, scope, respawn, max_respawns, callback_errors, spares, kill_stale,
        handover, handover_timeout, left_open, inject, library_pools, carrier, output_limit, say, signal))]
    fn new(
        py: Python<'_>,
        command: Command,
        name: Text,
        environment: Vec<(OsString, OsString)>,
        cwd: PathBuf,
        python: PathBuf,
        run_dir: PathBuf,
        ready_timeout_s: f64,
        scope: &str,
        respawn: &str,
        max_respawns: u32,
        callback_errors: &str,
        spares: u32,
        kill_stale: bool,
        handover: &str,
        handover_timeout: &str,
        left_open: &str,
        inject: &str,
        library_pools: bool,
        carrier: PathBuf,
        output_limit: &str,
        say: Py<PyAny>,
        signal: i32,
    ) -> PyResult<Self> {
        let command = match command {
            Command::Text(text) => CommandLine::parse(&text),
            Command::Words(words) => CommandLine::from_words(words),
        };
        let rules = Rules {
            scope: parse_option("live_gui_scope", scope)?,
            respawn: parse_option("live_gui_respawn", respawn)?,
            max_respawns,
            callback_errors: parse_option("live_gui_callback_errors", callback_errors)?,
            handover: parse_option("live_gui_handover", handover)?,
            left_open: parse_option("live_gui_left_open", left_open)?,
        };
        let launch = LaunchSettings {
            name: name.0,
            command: command?,
            environment,
            cwd,
            python,
            ready_timeout: seconds("live_gui_ready_timeout", ready_timeout_s)?,
            kill_stale,
            callback_errors_degrade: rules.callback_errors == CallbackErrors::Degrade,
            output_limit: parse_limit(output_limit)?,
            inject: Mode::parse(inject).ok_or_else(|| {
                PyValueError::new_err(format!(
                    "live_gui_inject = {inject}: expected auto, true or false"
                ))
            })?,
            library_pools,
            carrier,
            say: Say(Arc::new(move |line| say_in_python(&say, line))),
        };
        let settings = Settings {
            launch,
            run_dir,
            rules,
            spares,
            handover_timeout: parse_handover_timeout(handover_timeout)?,
        };
        let interrupt = super::interrupt::at_this_thread(py, signal);
        py.detach(|| Live::new(settings, interrupt))
            .map(Self)
            .map_err(PyErr::from)
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        patiently(py, |step| self.0.start(step))
    }

    fn respawn(&self, py: Python<'_>, because: Text) -> PyResult<()> {
        patiently(py, |step| self.0.respawn(&because.0, step))
    }

    /// Returns the generation on which the test runs.
    fn before_test(&self, py: Python<'_>, id: Text, file: Text) -> PyResult<u32> {
        let (Text(id), Text(file)) = (id, file);
        patiently(py, |step| self.0.before_test(Test { id, file }, step))?;
        Ok(self.generation(py))
    }

    fn between_tests(&self, py: Python<'_>) -> PyResult<()> {
        patiently(py, |step| self.0.between_tests(step))
    }

    /// Why this test cannot build on what the tests of `prior`, or of any other file, left in the app.
    fn lacks_prior_state(
        &self,
        py: Python<'_>,
        id: Text,
        file: Text,
        prior: Option<Text>,
    ) -> PyResult<Option<String>> {
        let (Text(id), Text(file), prior) = (id, file, prior.map(|prior| prior.0));
        patiently(py, |step| {
            self.0
                .lacks_prior_state(&Test { id, file }, prior.as_deref(), step)
        })
    }

    /// Returns what was wrong with the app during the test but recovered in time; why the app is not handed on, as
    /// `(test, what)`; and the exception with which to fail the test because of that.
    fn after_test(
        &self,
        py: Python<'_>,
        used: bool,
        passed: bool,
        last_of_file: bool,
    ) -> PyResult<AfterTest> {
        let after = patiently(py, |step| self.0.after_test(used, passed, last_of_file, step))?;
        let unfit = after.unfit.map(|trouble| {
            let what = trouble.told();
            let culprit = trouble.culprit.map(|culprit| culprit.test);
            (culprit.unwrap_or_default(), what)
        });
        let error = after
            .error
            .map(|error| PyErr::from(error).into_value(py).into_any());
        Ok((after.recovered, unfit, error))
    }

    fn arm(&self) {
        self.0.arm();
    }

    fn disarm(&self) {
        self.0.disarm();
    }

    fn is_ringing(&self) -> bool {
        self.0.is_ringing()
    }

    /// The exception with which to fail the running test, or None.
    fn verdict_on_running<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let verdict = py.detach(|| self.0.verdict_on_running());
        verdict.map(|error| error_of_app(py, &error)).transpose()
    }

    /// The same, after querying the app again.
    fn confirm<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let verdict = py.detach(|| self.0.confirm());
        verdict.map(|error| error_of_app(py, &error)).transpose()
    }

    /// Whether the app announced its end, or ended with status 0 and nothing wrong.
    fn has_ended_in_order(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.has_ended_in_order())
    }

    /// The running test declares that the process ends with one of these statuses, or with any.
    fn expect_exit(&self, py: Python<'_>, statuses: Option<Vec<i64>>) -> PyResult<()> {
        py.detach(|| self.0.declare_end(Expected::Exit(statuses)))
            .map_err(PyErr::from)
    }

    /// The running test declares that the agent will report the app as degraded for the reason with this code.
    fn expect_degraded(&self, py: Python<'_>, code: Text) -> PyResult<()> {
        py.detach(|| self.0.declare_end(Expected::Degraded(code.0)))
            .map_err(PyErr::from)
    }

    /// Waits for the declared end, and puts the app away.
    fn await_end(&self, py: Python<'_>, within_s: f64) -> PyResult<NativeEnd> {
        let within = seconds("within", within_s)?;
        patiently(py, |step| self.0.await_end(within, step)).map(NativeEnd)
    }

    /// Stops waiting for the declared end.
    fn withdraw_end(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.withdraw_end()).map_err(PyErr::from)
    }

    /// Whether there is no process because a test ended it on purpose.
    fn was_ended_on_purpose(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.was_ended_on_purpose())
    }

    /// The running test uses the app after that end.
    fn use_after_end(&self, py: Python<'_>) -> PyResult<()> {
        patiently(py, |step| self.0.use_after_end(step))
    }

    fn health_json(&self, py: Python<'_>) -> PyResult<String> {
        let health = py.detach(|| self.0.health())?;
        serde_json::to_string(&health).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn is_alive(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_alive())
    }

    fn is_healthy(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_healthy())
    }

    fn wait_until_ok(&self, py: Python<'_>, timeout_s: f64) -> PyResult<()> {
        let within = seconds("timeout", timeout_s)?;
        patiently(py, |step| self.0.wait_until_ok(within, step))
    }

    #[getter]
    fn generation(&self, py: Python<'_>) -> u32 {
        py.detach(|| self.0.generation())
    }

    #[getter]
    fn hook_port(&self, py: Python<'_>) -> Option<u16> {
        py.detach(|| self.0.hook_port())
    }

    #[getter]
    fn process(&self, py: Python<'_>) -> Option<NativeProcess> {
        py.detach(|| self.0.process()).map(NativeProcess)
    }

    #[getter]
    fn run_folder(&self, py: Python<'_>) -> PathBuf {
        py.detach(|| self.0.run_folder())
    }

    /// `(file, test, generation, because, line)` of each file that started on a fresh process.
    fn notes(&self, py: Python<'_>) -> Vec<(String, String, u32, String, String)> {
        let notes = py.detach(|| self.0.notes());
        notes
            .into_iter()
            .map(|note| {
                let line = note.line();
                (note.file, note.test, note.generation, note.because, line)
            })
            .collect()
    }

    /// `(test, what)` of each crash for which a process was replaced.
    fn crashes(&self, py: Python<'_>) -> Vec<(String, String)> {
        let crashes = py.detach(|| self.0.crashes());
        let blamed = |trouble: Trouble| Some((trouble.culprit?.test, trouble.cause));
        crashes.into_iter().filter_map(blamed).collect()
    }

    /// Other remarks on this run, for people.
    fn remarks(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.0.remarks())
    }

    /// Adds a remark to the reports of this run.
    fn remark(&self, py: Python<'_>, remark: Text) {
        py.detach(|| self.0.remark(remark.0));
    }

    fn close(&self, py: Python<'_>) -> Vec<u32> {
        py.detach(|| self.0.close())
    }
}

/// An end that came as declared.
#[pyclass(frozen, name = "NativeEnd", module = "livegui._livegui")]
pub struct NativeEnd(End);

#[pymethods]
impl NativeEnd {
    #[getter]
    fn process(&self) -> NativeProcess {
        NativeProcess(Arc::clone(&self.0.process))
    }

    #[getter]
    const fn generation(&self) -> u32 {
        self.0.generation
    }

    #[getter]
    fn how(&self) -> &str {
        &self.0.how
    }

    /// `(code, component, message)` of each reason for which the app was degraded.
    #[getter]
    fn reasons(&self) -> Vec<(&str, &str, &str)> {
        let reasons = self.0.reasons.iter();
        reasons
            .map(|reason| {
                (
                    reason.code.as_str(),
                    reason.component.as_str(),
                    reason.message.as_str(),
                )
            })
            .collect()
    }
}

/// The process of one generation, with a part of the interface of `subprocess.Popen`.
#[pyclass(frozen, name = "NativeProcess", module = "livegui._livegui")]
pub struct NativeProcess(Arc<ProcessTree>);

#[pymethods]
impl NativeProcess {
    #[getter]
    fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// All of it that runs: itself, and what it started.
    fn pids(&self, py: Python<'_>) -> Vec<u32> {
        py.detach(|| self.0.pids())
    }

    fn poll(&self, py: Python<'_>) -> Option<i64> {
        py.detach(|| self.0.exit()).map(return_code)
    }

    /// The exit status, or None if it still runs after `timeout_s`. Without a time-out this waits until it ends.
    #[pyo3(signature = (timeout_s=None))]
    fn wait(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<Option<i64>> {
        let mut left = timeout_s.map(|timeout| seconds("timeout", timeout)).transpose()?;
        loop {
            let step = left.map_or(SHORT, |left| left.min(SHORT));
            if let Some(exit) = py.detach(|| self.0.wait(step)) {
                return Ok(Some(return_code(exit)));
            }
            py.check_signals()?;
            left = left.map(|left| left.saturating_sub(step));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
        }
    }

    fn terminate(&self, py: Python<'_>) {
        self.0.note_asked_to_end();
        py.detach(|| self.0.terminate());
    }

    fn kill(&self, py: Python<'_>) {
        self.0.note_asked_to_end();
        py.detach(|| self.0.kill());
    }
}

/// 255, as in asyncio, if nobody knows.
fn return_code(exit: Exit) -> i64 {
    exit.status().unwrap_or(255)
}

/// How long a wait continues without a check of the interpreter's signals.
const SHORT: Duration = Duration::from_millis(50);

/// The result of [`NativeLive::after_test`].
type AfterTest = (Vec<String>, Option<(String, String)>, Option<Py<PyAny>>);

/// A command line as one string, or as words.
#[derive(FromPyObject)]
enum Command {
    Text(String),
    Words(Vec<OsString>),
}

thread_local! {
    /// What was raised while this thread showed a line, for example by Ctrl-C. It ends the wait.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
}

/// Shows a line to the user, on a thread that waits for an app without the GIL.
fn say_in_python(say: &Py<PyAny>, line: &str) {
    if let Err(error) = Python::attach(|py| say.call1(py, (line,))) {
        RAISED.set(Some(error));
    }
}

/// Does something that may take long, without the GIL, and lets Ctrl-C end it.
fn patiently<T: Send>(py: Python<'_>, act: impl Send + FnOnce(Step<'_>) -> Result<T>) -> PyResult<T> {
    let mut interrupted = None;
    let done = py.detach(|| {
        act(&mut || match RAISED.take().map_or_else(check_signals, Err) {
            Ok(()) => true,
            Err(error) => {
                interrupted = Some(error);
                false
            }
        })
    });
    match (done, interrupted) {
        (Err(Error::Interrupted), Some(error)) => Err(error),
        (done, _) => done.map_err(PyErr::from),
    }
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| PyValueError::new_err(format!("{name} = {value}: expected seconds, 0 or more")))
}

fn parse_option<T: FromStr<Err = ParseOptionError>>(name: &str, value: &str) -> PyResult<T> {
    value
        .parse()
        .map_err(|error| PyValueError::new_err(format!("{name} = {value}: {error}")))
}
