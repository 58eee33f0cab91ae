//! The generations behind one `live_gui` handle. This does what the policy decides.

mod declared;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::app::App;
use super::client::NoAnswer;
use super::error::{AppError, AppErrorKind, Error, Failure, Result};
use super::handover::{Inspection, inspect};
use super::launcher::{LaunchSettings, Launcher, When};
use super::ledger::{Ledger, LedgerState, lock};
use super::policy::{Decision, Found, Handover, Rules, Test, Trouble};
use super::process::ProcessTree;
use super::run_record::RunFolder;
use super::silence;
use super::spares::Spares;
use super::stacks;
use super::start::{STEP, Step};
use super::watch::AppState;
use crate::io_error::cannot;
use crate::wire::{Culprit, Health, Note, Reason, Status};

pub use declared::End;

/// How long the agent may take to answer a quick query.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long the watch may take to learn what an answer already said.
const VERDICT_WITHIN: Duration = Duration::from_secs(1);
/// How long to wait for the process of an app that announced its end.
const END_WITHIN: Duration = Duration::from_millis(250);
/// Each spare is a whole app that runs beside the tests.
const MAX_SPARES: u32 = 16;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How to start the app.
    pub launch: LaunchSettings,
    /// Where run folders go.
    pub run_dir: PathBuf,
    /// Scope, respawn and budget.
    pub rules: Rules,
    /// How many ready apps to keep waiting, at most 16.
    pub spares: u32,
    /// How long to wait for an app's main loop to run when the app is handed on.
    pub handover_timeout: Duration,
}

/// What was found at the end of a test.
#[derive(Debug, Default)]
pub struct AfterTest {
    /// What was wrong with the app during the test, but recovered in time.
    pub recovered: Vec<String>,
    /// Why the app is not handed on, if it was asked and is not.
    pub unfit: Option<Trouble>,
    /// The error with which to fail the test because of that.
    pub error: Option<AppError>,
}

/// One handle, and the processes behind it, one after the other.
pub struct Live {
    rules: Rules,
    handover_timeout: Duration,
    /// The interpreter beside which py-spy may be installed.
    python: PathBuf,
    alarm: Alarm,
    ledger: Ledger,
    launcher: Arc<Launcher>,
    spares: Option<Spares>,
    /// The process under test.
    current: Mutex<Option<App>>,
    /// A declared end that came, and was followed by a fresh process, before the test waited for it.
    concluded: Mutex<Option<End>>,
    /// Held while a process is started after a declared end.
    bringing_up: Mutex<()>,
}

impl Live {
    /// A handle without a process yet. `interrupt` interrupts the thread that runs the tests.
    ///
    /// # Errors
    /// [`Error::BadValue`] for too many spares; [`Error::Io`] if the run folder cannot be created, or a thread
    /// cannot be started.
    pub fn new(settings: Settings, interrupt: impl Fn() + Send + 'static) -> Result<Self> {
        if settings.spares > MAX_SPARES {
            return Err(Error::BadValue(format!(
                "live_gui_spares = {}: expected 0 to {MAX_SPARES}",
                settings.spares
            )));
        }
        let mut run = RunFolder::create(&settings.run_dir)?;
        run.set_app(&settings.launch.name);
        let alarm = Alarm::start(interrupt).map_err(cannot("start the alarm thread"))?;
        let ledger = Ledger::open(run, settings.rules, alarm.clone());
        let python = settings.launch.python.clone();
        let launcher = Arc::new(Launcher::new(settings.launch, ledger.clone()));
        let spares = match settings.spares {
            0 => None,
            count if launcher.gives_each_a_port() => {
                let spares = Spares::start(count, Arc::clone(&launcher), ledger.clone());
                Some(spares.map_err(cannot("start the thread that keeps spares"))?)
            }
            count => {
                ledger.state().run.remark(format!(
                    "live_gui_spares = {count} has no effect: two apps at the same time may want the same port; \
                     put {{hook_port}} into live_gui_command (an app that opens none may ignore it)"
                ));
                None
            }
        };
        Ok(Self {
            rules: settings.rules,
            handover_timeout: settings.handover_timeout,
            python,
            alarm,
            ledger,
            launcher,
            spares,
            current: Mutex::default(),
            concluded: Mutex::default(),
            bringing_up: Mutex::default(),
        })
    }

    /// Starts the first process, unless there is one.
    ///
    /// # Errors
    /// [`AppErrorKind::Start`] says why the app could not be started.
    pub fn start(&self, step: Step<'_>) -> Result<()> {
        if self.current().is_some() {
            return Ok(());
        }
        self.install(None, step)
    }

    /// Replaces the process by a fresh one, whatever its state.
    ///
    /// # Errors
    /// As [`Live::start`]; [`Error::BadValue`] if a declared end has not come yet.
    pub fn respawn(&self, because: &str, step: Step<'_>) -> Result<()> {
        self.conclude_if_done()?;
        self.remove();
        self.install(Some(because.to_owned()), step)
    }

    /// The same, but because a fresh process is due, not because a test wants one.
    fn replace(&self, because: &str, step: Step<'_>) -> Result<()> {
        self.ledger.state().keep_crash();
        self.respawn(because, step)
    }

    /// Call this before each test that uses the handle, and before its set-up. Starts a fresh process if one is
    /// due.
    ///
    /// # Errors
    /// [`AppErrorKind::Degraded`] and the like if the test must not run, and why; [`AppErrorKind::Start`] if it
    /// should get a fresh process that could not be started.
    pub fn before_test(&self, test: Test, step: Step<'_>) -> Result<()> {
        let decide = || {
            let mut state = self.ledger.state();
            let decision = state.test_starting(test.clone());
            if state.policy.note_of_running().is_some() {
                state.write_notes(); // for a process that was started between tests
            }
            decision
        };
        self.ledger.state().check_proof();
        let mut decision = decide();
        if decision == Decision::Ask {
            self.ask(true, step)?;
            decision = decide();
        }
        match decision {
            Decision::Proceed | Decision::Ask => Ok(()),
            Decision::Respawn(because) => self.replace(&because, step),
            Decision::Refuse(trouble) => Err(self.refusal(&trouble, false).into()),
            Decision::GiveUp(trouble) => Err(self.refusal(&trouble, true).into()),
        }
    }

    /// Call this when the app is used while no test runs. Replaces the process if it is known to be in trouble.
    ///
    /// # Errors
    /// As [`Live::start`].
    pub fn between_tests(&self, step: Step<'_>) -> Result<()> {
        let due = self.ledger.state().policy.used_between_tests();
        due.map_or(Ok(()), |because| self.replace(&because, step))
    }

    /// Why a test that is about to run cannot build on what earlier tests left in the app; `None` if it can. See
    /// [`Policy::lacks_prior_state`](super::Policy::lacks_prior_state).
    ///
    /// # Errors
    /// [`Error::Interrupted`] if `step` ended the wait for the app.
    pub fn lacks_prior_state(
        &self,
        test: &Test,
        prior: Option<&str>,
        step: Step<'_>,
    ) -> Result<Option<String>> {
        self.ledger.state().check_proof();
        if self.ledger.state().policy.asks_before(test) {
            self.ask(true, step)?; // this may lead to a fresh process
        }
        Ok(self.ledger.state().policy.lacks_prior_state(test, prior))
    }

    /// Call this after each test and its tear-down; `used` says whether the test used the handle, and `passed`
    /// whether it passed. After the last test of a file, the app is asked whether it can be handed on, so that the
    /// culprit is known in time. A file that begins right then relies on that answer; otherwise
    /// [`Live::before_test`] asks again.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if `step` ended the wait for the app.
    pub fn after_test(
        &self,
        used: bool,
        passed: bool,
        last_of_file: bool,
        step: Step<'_>,
    ) -> Result<AfterTest> {
        let mut after = AfterTest::default();
        let mut state = self.ledger.state();
        if used {
            if let Some(expected) = state.policy.declaration_lapsed() {
                state.run.remark(format!(
                    "{expected} was still open when its test had ended, and no longer counts: have the block end within \
                     the test"
                ));
            }
            state.policy.test_finished(passed);
            state.forget_callback_error();
            // What comes from here on concerns the next test.
            self.alarm.quiet();
            after.recovered = state.take_recoveries();
        } else {
            state.other_test_finished();
        }
        let asks = state.policy.asks_after_test(used, last_of_file);
        let at_border = state.policy.is_border(last_of_file);
        drop(state);
        if !asks {
            return Ok(after);
        }
        self.ask(at_border, step)?;
        let state = self.ledger.state();
        after.unfit = state.unfit(state.policy.generation()).cloned();
        let is_culprit = used && state.policy.is_last_to_blame();
        drop(state);
        let fails = |trouble: &&Trouble| {
            is_culprit && self.rules.handover == Handover::Fail && trouble.found.stands()
        };
        if let Some(trouble) = after.unfit.as_ref().filter(fails)
            && let Some(app) = self.current().as_ref()
        {
            let what = "this is how the test left the app, which is asked when it has ended";
            let culprit = trouble.culprit.clone();
            after.error = Some(app.failure_with(AppErrorKind::Degraded, &trouble.cause, what, culprit));
        }
        Ok(after)
    }

    /// Asks the app whether its main loop runs, and reports the answer to the policy. Afterwards either the loop is
    /// proven to run, or there is trouble. At a border, so does everything else that it depends on.
    fn ask(&self, at_border: bool, step: Step<'_>) -> Result<()> {
        let subject = self.current().as_ref().map(|app| {
            let process = Arc::clone(&app.process);
            (
                app.generation,
                app.watch.client(),
                process,
                Arc::clone(&app.hook_port),
            )
        });
        let Some((generation, client, process, hook_port)) = subject else {
            return Ok(());
        };
        let is_fit = || self.is_fit(generation) && process.exit().is_none();
        let inspection = match client {
            Some(client) => inspect(&client, self.handover_timeout, &is_fit, step)?,
            None => Inspection::Silent("its agent was never found".to_owned()),
        };
        let (cause, found, last_beat) = match inspection {
            Inspection::Turns(health) => {
                if at_border && hook_port.has_closed() {
                    let cause = format!("left its hook port {} closed", hook_port.number());
                    (cause, Found::LeftBehind, None)
                } else {
                    let mut state = self.ledger.state();
                    state.remark_queued_work(generation, &health, self.handover_timeout);
                    state.loop_turned(generation, health.checks.main_loop.left_open, at_border);
                    return Ok(());
                }
            }
            Inspection::Stands { last_beat, place } => {
                stacks::take(&self.python, &process);
                let stack = stacks::taken(process.folder());
                // py-spy also sees an app whose interpreter is held.
                let place = stacks::innermost(&stack).or(place);
                let place = place.map_or_else(String::new, |place| format!(": {place}"));
                let age = last_beat.age.as_secs_f64();
                let cause = format!("left the main loop standing for {age:.1} s{place}");
                (cause, Found::Standing, Some((last_beat.at, last_beat.frame)))
            }
            Inspection::Unfit(health) => {
                self.await_verdict();
                let why: Vec<_> = health.reasons.iter().map(Reason::line).collect();
                let cause = format!("left the app {}: {}", health.status, why.join("; "));
                (cause, Found::LeftBehind, None)
            }
            Inspection::Silent(why) => {
                self.await_verdict();
                let why = silence::describe(&process, &why);
                let first = why.lines().next().unwrap_or_default();
                let cause = format!("left the app unresponsive: {first}");
                (cause, Found::Standing, None)
            }
        };
        // Trouble that its watch has reported meanwhile counts.
        self.ledger
            .state()
            .app_unfit(generation, &cause, found, last_beat);
        Ok(())
    }

    /// Whether this process is the one under test, and its watch knows of nothing wrong with it.
    fn is_fit(&self, generation: u32) -> bool {
        let current = self.current();
        let app = current.as_ref().filter(|app| app.generation == generation);
        app.is_some_and(|app| app.watch.is_fit())
    }

    /// Allows interrupting the running test from now on.
    pub fn arm(&self) {
        self.alarm.arm();
    }

    /// Forbids it from now on.
    pub fn disarm(&self) {
        self.alarm.disarm();
    }

    /// Whether there is something that the running test must know.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        self.alarm.is_ringing()
    }

    /// The error with which to fail the running test, if the app degraded during it.
    #[must_use]
    pub fn verdict_on_running(&self) -> Option<AppError> {
        let ledger = self.ledger.state();
        let Some(trouble) = ledger.policy.trouble() else {
            return self.callback_error(ledger);
        };
        let culprit = trouble.culprit.clone();
        if !ledger.policy.concerns_running() {
            return None;
        }
        let own = ledger.policy.is_running_to_blame();
        let instead_of = trouble.instead_of.clone();
        let is_undeclared = ledger.policy.declared().is_none();
        drop(ledger);
        self.await_announced_end();
        let current = self.current();
        let app = current.as_ref()?;
        let what = match app.watch.verdict() {
            AppState::Exited { .. } => "the app's process ended",
            AppState::Unreachable(_) => "the app ceased to answer",
            AppState::Stopping => "the app began to stop",
            _ => "the app degraded",
        };
        let mut when = match &culprit {
            Some(culprit) if !own => {
                format!(
                    "before this test did anything; it followed {} (the blame is inferred)",
                    culprit.test
                )
            }
            _ => "during this test".to_owned(),
        };
        if let Some(expected) = instead_of {
            when = format!("{when}, which had declared {expected}");
        }
        let mut error = app.failure(&format!("{what} {when}"), culprit);
        if own && is_undeclared {
            error.advise(&declared::advice(app).unwrap_or_default());
        }
        Some(error)
    }

    /// The error with which to fail the running test although the app goes on, because a callback raised.
    fn callback_error(&self, ledger: MutexGuard<'_, LedgerState>) -> Option<AppError> {
        let caught = ledger.callback_error()?.clone();
        drop(ledger);
        let current = self.current();
        let app = current.as_ref()?;
        Some(AppError::new(
            AppErrorKind::Callback,
            app.callback_failure(caught),
        ))
    }

    /// The same, after querying the app again, so that a crash that has already happened is not left for the next
    /// test.
    #[must_use]
    pub fn confirm(&self) -> Option<AppError> {
        self.ask_anew();
        self.verdict_on_running()
    }

    /// Whether the app announced its end, or ended with status 0 and nothing wrong. That is a fault only as long as
    /// a test needs the app.
    #[must_use]
    pub fn has_ended_in_order(&self) -> bool {
        self.current().as_ref().is_some_and(App::has_ended_in_order)
    }

    /// The crashes for which a process was replaced, each with the test that is blamed. Processes that a test
    /// itself replaced are not among them.
    #[must_use]
    pub fn crashes(&self) -> Vec<Trouble> {
        self.ledger.state().crashes().to_vec()
    }

    /// The current answer of the app's agent.
    ///
    /// # Errors
    /// [`AppErrorKind::Exited`] or [`AppErrorKind::Unreachable`] if it does not answer.
    pub fn health(&self) -> std::result::Result<Health, AppError> {
        let client = self.current().as_ref().and_then(|app| app.watch.client());
        let why = match client.map(|client| client.health(ANSWER_WITHIN)) {
            Some(Ok(health)) => return Ok(health),
            Some(Err(NoAnswer { why, .. })) => why,
            None => "its agent was never found".to_owned(),
        };
        // Nothing is locked meanwhile, because others use the handle too.
        let process = self.process().ok_or_else(never_started)?;
        // A process that has just ended takes a moment to show it.
        let exit = process.wait(STEP);
        let silence = exit.is_none().then(|| silence::describe(&process, &why));
        Err(self.current().as_ref().map_or_else(never_started, |app| {
            let what = "the app does not answer";
            match (app.watch.verdict().cause(), exit) {
                (Some(_), _) => app.failure(what, None),
                (None, Some(exit)) => app.failure_with(AppErrorKind::Exited, &exit.describe(), what, None),
                (None, None) => {
                    let why = silence.as_deref().unwrap_or(&why);
                    let (first, more) = why.split_once('\n').unwrap_or((why, ""));
                    let mut error = app.failure_with(AppErrorKind::Unreachable, first, what, None);
                    error.advise(more.trim_start());
                    error
                }
            }
        }))
    }

    /// Whether the process runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.current()
            .as_ref()
            .is_some_and(|app| app.process.exit().is_none())
    }

    /// Whether it is fit to be tested, as far as its watch knows.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.current().as_ref().is_some_and(|app| app.watch.is_fit())
    }

    /// Waits until the app is `ok`.
    ///
    /// # Errors
    /// [`AppErrorKind::Degraded`] and the like if it is not `ok` by then.
    pub fn wait_until_ok(&self, within: Duration, step: Step<'_>) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let current = self.current();
            let Some(app) = &*current else {
                return Err(never_started().into());
            };
            if app.watch.is_fit() {
                return Ok(());
            }
            if app.watch.verdict().is_final() || Instant::now() >= deadline {
                let summary = format!("the app was not ok within {:.1} s", within.as_secs_f64());
                return Err(app.failure(&summary, None).into());
            }
            drop(current);
            if !step() {
                return Err(Error::Interrupted);
            }
            thread::sleep(STEP);
        }
    }

    /// The number of the process under test; 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.current().as_ref().map_or(0, |app| app.generation)
    }

    /// The process under test.
    #[must_use]
    pub fn process(&self) -> Option<Arc<ProcessTree>> {
        self.current().as_ref().map(|app| Arc::clone(&app.process))
    }

    /// The port that its hook server should listen on.
    #[must_use]
    pub fn hook_port(&self) -> Option<u16> {
        self.current().as_ref().map(|app| app.hook_port.number())
    }

    /// The folder of this run.
    #[must_use]
    pub fn run_folder(&self) -> PathBuf {
        self.ledger.state().run.path().to_owned()
    }

    /// Records which file has the events of pytest.
    pub fn set_events(&self, file: &Path) {
        self.ledger.state().run.set_events(file);
    }

    /// Which files started on a fresh process, and why.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.ledger.state().policy.notes().to_vec()
    }

    /// Other remarks on this run, for people.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.ledger.state().run.remarks().to_vec()
    }

    /// Adds a remark to the record and to the reports of this run.
    pub fn remark(&self, remark: String) {
        self.ledger.state().run.remark(remark);
    }

    /// Ends every process and everything that they started. Returns the pids of this run that still exist; there
    /// should be none.
    pub fn close(&self) -> Vec<u32> {
        self.alarm.quiet();
        if self.current().is_some() && !self.has_ended_in_order() {
            self.ledger.state().keep_crash();
        }
        self.remove();
        if let Some(spares) = &self.spares {
            spares.close();
        }
        let mut state = self.ledger.state();
        state.remark_unfit();
        state.run.finish();
        state.left.clone()
    }

    fn remove(&self) {
        let app = self.current().take();
        if let Some(app) = app {
            self.retire(app);
        }
    }

    fn retire(&self, app: App) {
        match &self.spares {
            Some(spares) => {
                self.ledger.retire(&app); // from now on livegui ends it, whenever its turn comes
                spares.retire(app);
            }
            None => self.launcher.retire(&app),
        }
    }

    fn install(&self, because: Option<String>, step: Step<'_>) -> Result<()> {
        let (app, open) = self.bring_up(step)?;
        self.ledger.adopt(&app, because, open);
        let before = self.current().replace(app);
        if let Some(before) = before {
            self.retire(before);
        }
        if let Some(spares) = &self.spares {
            spares.begin();
        }
        Ok(())
    }

    /// Returns an app whose main loop runs, and what is open in it.
    fn bring_up(&self, step: Step<'_>) -> Result<(App, Vec<String>)> {
        if let Some(spares) = &self.spares {
            while let Some(app) = spares.take(step)? {
                match self.inspect_spare(&app, step)? {
                    Ok(open) => {
                        spares.accept();
                        return Ok((app, open));
                    }
                    Err(why) => spares.reject(app, &why),
                }
            }
        }
        let generation = self.ledger.state().next_generation();
        let launched = self.launcher.launch(generation, When::Now, || {}, step);
        if let Err(error) = &launched {
            self.ledger
                .state()
                .policy
                .app_failed_to_start(generation, &error.cause());
        }
        let app = launched?;
        let mut open = Vec::new();
        if self.rules.handover != Handover::Off {
            app.hook_port.has_closed(); // records whether it is open
            let answer = app
                .watch
                .client()
                .and_then(|client| client.health(ANSWER_WITHIN).ok());
            open = answer.map_or(open, |health| health.checks.main_loop.left_open);
        }
        Ok((app, open))
    }

    /// Returns what is open in a spare whose main loop runs, or why the spare cannot be used.
    fn inspect_spare(&self, app: &App, step: Step<'_>) -> Result<std::result::Result<Vec<String>, String>> {
        let Some(client) = app
            .watch
            .client()
            .filter(|_| self.rules.handover != Handover::Off)
        else {
            return Ok(Ok(Vec::new()));
        };
        let is_fit = || app.watch.is_fit() && app.process.exit().is_none();
        Ok(match inspect(&client, self.handover_timeout, &is_fit, step)? {
            Inspection::Turns(health) => {
                app.hook_port.has_closed(); // records whether it is open
                Ok(health.checks.main_loop.left_open)
            }
            Inspection::Stands { last_beat, .. } => Err(format!(
                "its main loop had not turned for {:.1} s",
                last_beat.age.as_secs_f64()
            )),
            Inspection::Unfit(health) => Err(format!("it was {}", health.status)),
            Inspection::Silent(why) => Err(why),
        })
    }

    /// Queries the agent. If its answer is bad news, or the watch has some already, waits until they are recorded.
    fn ask_anew(&self) {
        // Nothing is locked meanwhile, because others use the handle too.
        let asked = {
            let current = self.current();
            let app = current.as_ref().filter(|app| app.watch.is_fit());
            app.map(|app| (app.generation, app.watch.client()))
        };
        let Some((generation, client)) = asked else {
            self.await_verdict();
            self.ledger.state().answered = false;
            return;
        };
        let answer = client.and_then(|client| client.health(ANSWER_WITHIN).ok());
        if let Some(health) = &answer {
            self.ledger.record_exceptions(generation, &health.exceptions);
        }
        let well = answer.is_some_and(|health| health.status == Status::Ok);
        self.ledger.answered(generation, well);
        if !well {
            self.await_verdict();
        }
    }

    /// An app that announces its end ends in a moment, and its exit status is worth the wait.
    fn await_announced_end(&self) {
        let deadline = Instant::now() + END_WITHIN;
        let is_ending = || {
            self.current()
                .as_ref()
                .is_some_and(|app| app.watch.verdict().is_ending())
        };
        while is_ending() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the watch has learnt what an answer already said, and has recorded it.
    fn await_verdict(&self) {
        let deadline = Instant::now() + VERDICT_WITHIN;
        let is_known = || {
            let current = self.current();
            let watch = current.as_ref().map(|app| &app.watch);
            watch.is_none_or(|watch| watch.verdict() != AppState::Ok && !watch.is_reporting())
        };
        while !is_known() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The error with which to fail a test that cannot run.
    fn refusal(&self, trouble: &Trouble, given_up: bool) -> AppError {
        // pytest's short summary has room for a name only, and usually the file is this one.
        let file = {
            let state = self.ledger.state();
            let running = state.policy.running();
            running.map_or_else(String::new, |test| format!("{}::", test.file))
        };
        let short = |test: &str| test.strip_prefix(&file).unwrap_or(test).to_owned();
        let cause = &trouble.cause;
        let mut summary = match &trouble.culprit {
            Some(culprit) if trouble.found != Found::Reported => {
                format!("did not run: {} {}", short(&culprit.test), trouble.told())
            }
            Some(Culprit {
                test,
                inferred: false,
            }) => format!("did not run: {} left the app degraded: {cause}", short(test)),
            Some(Culprit { test, inferred: true }) => {
                let test = short(test);
                format!(
                    "did not run: the app degraded after {test} had ended (the blame is inferred): {cause}"
                )
            }
            None => format!("did not run: there is no app to run it on: {cause}"),
        };
        if let Some(culprit) = &trouble.culprit {
            summary = format!("{summary}\n  culprit: {}", culprit.test);
        }
        if given_up {
            let times = self.rules.max_respawns;
            summary = format!(
                "{summary}\n  the same failure followed {times} respawns in a row, so there are no more \
                 (live_gui_max_respawns = {times})"
            );
        }
        let current = self.current();
        if let Some(app) = &*current {
            // The culprit's report has the traceback; here it would hide the culprit's name.
            return app
                .failure_of(app.kind(), summary, trouble.culprit.clone())
                .in_brief();
        }
        let failure = Failure {
            summary,
            culprit: trouble.culprit.clone(),
            ..Failure::default()
        };
        AppError::new(AppErrorKind::Degraded, failure)
    }

    fn current(&self) -> MutexGuard<'_, Option<App>> {
        lock(&self.current)
    }

    fn concluded(&self) -> MutexGuard<'_, Option<End>> {
        lock(&self.concluded)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
    }
}

fn never_started() -> AppError {
    let summary = "the app was never started".to_owned();
    let failure = Failure {
        summary,
        ..Failure::default()
    };
    AppError::new(AppErrorKind::Unreachable, failure)
}
