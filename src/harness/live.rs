//! The generations behind one `live_gui` handle: the policy, driven.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::app::App;
use super::books::{Books, lock};
use super::launcher::{LaunchSettings, Launcher, When};
use super::policy::{Decision, Rules, Test, Trouble};
use super::process::ProcessTree;
use super::runs::RunFolder;
use super::spares::Spares;
use super::start::{STEP, Step};
use super::watch::Verdict;
use crate::error::{Error, Failure, Result};
use crate::wire::{Culprit, Health, Note};

/// How long the agent may take to answer a question asked in passing.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long the watch may take to learn what an answer already said.
const VERDICT_WITHIN: Duration = Duration::from_secs(1);
/// Each is a whole app that runs beside the tests.
const MAX_SPARES: u32 = 16;

/// What a run is driven by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the app is started.
    pub launch: LaunchSettings,
    /// Where run folders go.
    pub run_dir: PathBuf,
    /// Scope, respawn and budget.
    pub rules: Rules,
    /// Ready apps held in waiting, 16 at most.
    pub spares: u32,
}

/// One handle and the processes that it stands for, one after the other.
pub struct Live {
    rules: Rules,
    alarm: Alarm,
    books: Books,
    launcher: Arc<Launcher>,
    spares: Option<Spares>,
    /// The process that is being tested.
    stage: Mutex<Option<App>>,
}

impl Live {
    /// A handle without a process yet. `knock` interrupts the thread that runs the tests.
    ///
    /// # Errors
    /// [`Error::BadValue`] for more spares than that; [`Error::Io`] if the run folder cannot be made, or a
    /// thread cannot be started.
    pub fn new(settings: Settings, knock: impl Fn() + Send + 'static) -> Result<Self> {
        if settings.spares > MAX_SPARES {
            return Err(Error::BadValue(format!(
                "live_gui_spares = {}: expected 0 to {MAX_SPARES}",
                settings.spares
            )));
        }
        let run = RunFolder::create(&settings.run_dir)?;
        let alarm = Alarm::start(knock).map_err(Error::io("start the alarm thread"))?;
        let books = Books::open(run, settings.rules, alarm.clone());
        let launcher = Arc::new(Launcher::new(settings.launch, books.clone()));
        let spares = match settings.spares {
            0 => None,
            count if launcher.gives_each_a_port() => {
                let spares = Spares::start(count, Arc::clone(&launcher), books.clone());
                Some(spares.map_err(Error::io("start the thread that keeps spares"))?)
            }
            count => {
                books.kept().run.remark(format!(
                    "live_gui_spares = {count} has no effect: two apps at the same time may want the same port; \
                     put {{hook_port}} into live_gui_command (an app that opens none may ignore it)"
                ));
                None
            }
        };
        Ok(Self {
            rules: settings.rules,
            alarm,
            books,
            launcher,
            spares,
            stage: Mutex::default(),
        })
    }

    /// Starts the first process, unless there is one.
    ///
    /// # Errors
    /// [`Error::Start`] says why the app could not be started.
    pub fn start(&self, step: Step<'_>) -> Result<()> {
        if self.stage().is_some() {
            return Ok(());
        }
        self.put_on(None, step)
    }

    /// Puts a fresh process under the handle, whatever the state of the one before.
    ///
    /// # Errors
    /// As [`Live::start`].
    pub fn respawn(&self, because: &str, step: Step<'_>) -> Result<()> {
        self.take_off();
        self.put_on(Some(because.to_owned()), step)
    }

    /// To be called before each test that uses the handle, its set-up included. Puts a fresh process
    /// under it if one is due.
    ///
    /// # Errors
    /// [`Error::Degraded`] and its like if the test must not run, and why; [`Error::Start`] if it
    /// was to get a fresh process and that could not be started.
    pub fn before_test(&self, test: Test, step: Step<'_>) -> Result<()> {
        let decision = {
            let mut kept = self.books.kept();
            kept.running_since = Instant::now();
            let decision = kept.policy.test_starting(test);
            if kept.policy.note_of_running().is_some() {
                kept.write_notes(); // of a process that was started between tests
            }
            decision
        };
        match decision {
            Decision::Proceed => Ok(()),
            Decision::Respawn(because) => self.respawn(&because, step),
            Decision::Refuse(trouble) => Err(self.refusal(&trouble, false)),
            Decision::GiveUp(trouble) => Err(self.refusal(&trouble, true)),
        }
    }

    /// To be called when the app is used while no test runs. Puts a fresh process under the handle if
    /// this one is known to be in trouble.
    ///
    /// # Errors
    /// As [`Live::start`].
    pub fn between_tests(&self, step: Step<'_>) -> Result<()> {
        let due = self.books.kept().policy.used_between_tests();
        due.map_or(Ok(()), |because| self.respawn(&because, step))
    }

    /// Why a test that is about to run cannot build on what earlier tests left in the app; `None` if it
    /// can. See [`Policy::lacks_prior_state`](super::Policy::lacks_prior_state).
    #[must_use]
    pub fn lacks_prior_state(&self, test: &Test, prior: Option<&str>) -> Option<String> {
        self.books.kept().policy.lacks_prior_state(test, prior)
    }

    /// To be called after each such test, its tear-down included. Returns what was wrong with the app
    /// during it and recovered in time.
    pub fn after_test(&self) -> Vec<String> {
        let mut books = self.books.kept();
        books.policy.test_finished();
        // What comes from here on is told to the next one.
        self.alarm.quiet();
        books.take_recoveries()
    }

    /// From here on the running test may be interrupted.
    pub fn arm(&self) {
        self.alarm.arm();
    }

    /// From here on it must not be.
    pub fn disarm(&self) {
        self.alarm.disarm();
    }

    /// Whether there is something that the running test has to know.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        self.alarm.is_ringing()
    }

    /// What the running test is to be failed with, if it is to be failed: the app degraded during it.
    #[must_use]
    pub fn verdict_on_running(&self) -> Option<Error> {
        let books = self.books.kept();
        let culprit = books.policy.trouble()?.culprit.clone();
        if !books.policy.concerns_running() {
            return None;
        }
        let own = books.policy.is_running_to_blame();
        drop(books);
        let stage = self.stage();
        let app = stage.as_ref()?;
        let what = match app.watch.verdict() {
            Verdict::Exited { .. } => "the app's process ended",
            Verdict::Unreachable(_) => "the app ceased to answer",
            Verdict::Stopping => "the app began to stop",
            _ => "the app degraded",
        };
        let when = match &culprit {
            Some(culprit) if !own => {
                format!(
                    "before this test did anything; it followed {} (the blame is inferred)",
                    culprit.test
                )
            }
            _ => "during this test".to_owned(),
        };
        Some(app.failure(&format!("{what} {when}"), culprit))
    }

    /// The same after asking the app anew, so that a crash that has already happened is not left for
    /// the next test to find.
    #[must_use]
    pub fn confirm(&self) -> Option<Error> {
        self.ask_anew();
        self.verdict_on_running()
    }

    /// What the app's agent says now.
    ///
    /// # Errors
    /// [`Error::Exited`] or [`Error::Unreachable`] if it gives no answer.
    pub fn health(&self) -> Result<Health> {
        let client = self.stage().as_ref().and_then(|app| app.watch.client());
        let answer = client.and_then(|client| client.health(ANSWER_WITHIN).ok());
        answer.ok_or_else(|| {
            self.stage().as_ref().map_or_else(never_started, |app| {
                // A process that has just ended takes a moment to show it.
                let _ = app.process.wait(STEP);
                app.failure("the app does not answer", None)
            })
        })
    }

    /// Whether the process runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.stage()
            .as_ref()
            .is_some_and(|app| app.process.exit().is_none())
    }

    /// Whether it is fit to be tested, as far as its watch knows.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.stage().as_ref().is_some_and(|app| app.watch.is_fit())
    }

    /// Waits until the app is `ok`.
    ///
    /// # Errors
    /// [`Error::Degraded`] and its like if it is not by then.
    pub fn wait_until_ok(&self, within: Duration, step: Step<'_>) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let stage = self.stage();
            let Some(app) = &*stage else {
                return Err(never_started());
            };
            if app.watch.is_fit() {
                return Ok(());
            }
            if app.watch.verdict().is_final() || Instant::now() >= deadline {
                let summary = format!("the app was not ok within {:.1} s", within.as_secs_f64());
                return Err(app.failure(&summary, None));
            }
            drop(stage);
            if !step() {
                return Err(Error::Interrupted);
            }
            thread::sleep(STEP);
        }
    }

    /// The number of the process that is being tested; 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.stage().as_ref().map_or(0, |app| app.generation)
    }

    /// The process that is being tested.
    #[must_use]
    pub fn process(&self) -> Option<Arc<ProcessTree>> {
        self.stage().as_ref().map(|app| Arc::clone(&app.process))
    }

    /// The port that its hook server was told to listen on.
    #[must_use]
    pub fn hook_port(&self) -> Option<u16> {
        self.stage().as_ref().map(|app| app.hook_port)
    }

    /// The folder of this run.
    #[must_use]
    pub fn run_folder(&self) -> PathBuf {
        self.books.kept().run.path().to_owned()
    }

    /// Which files started on a process they did not inherit, and why.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.books.kept().policy.notes().to_vec()
    }

    /// What else a person should know of this run.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.books.kept().run.remarks().to_vec()
    }

    /// Has the record, and whoever tells of this run, say something that a person should know.
    pub fn remark(&self, remark: String) {
        self.books.kept().run.remark(remark);
    }

    /// Ends every process and everything they started. Returns the pids of this run that are still there,
    /// which should be none.
    pub fn close(&self) -> Vec<u32> {
        self.alarm.quiet();
        self.take_off();
        if let Some(spares) = &self.spares {
            spares.close();
        }
        let mut kept = self.books.kept();
        kept.run.finish();
        kept.left.clone()
    }

    fn take_off(&self) {
        let Some(app) = self.stage().take() else { return };
        match &self.spares {
            Some(spares) => {
                self.books.retire(&app); // from this moment on, whenever its turn comes
                spares.retire(app);
            }
            None => self.launcher.retire(&app),
        }
    }

    fn put_on(&self, because: Option<String>, step: Step<'_>) -> Result<()> {
        let app = self.bring_up(step)?;
        self.books.adopt(&app, because);
        *self.stage() = Some(app);
        if let Some(spares) = &self.spares {
            spares.begin();
        }
        Ok(())
    }

    fn bring_up(&self, step: Step<'_>) -> Result<App> {
        if let Some(spares) = &self.spares
            && let Some(app) = spares.take(step)?
        {
            return Ok(app);
        }
        let generation = self.books.kept().next_generation();
        let launched = self.launcher.launch(generation, When::Now, || {}, step);
        if let Err(error) = &launched {
            self.books
                .kept()
                .policy
                .app_failed_to_start(generation, &error.cause());
        }
        launched
    }

    /// Asks the agent, and if its answer is bad news waits until the watch has them too.
    fn ask_anew(&self) {
        // Nothing is locked meanwhile: others ask the handle too.
        let fit = |stage: &Option<App>| stage.as_ref().is_some_and(|app| app.watch.is_fit());
        let client = {
            let stage = self.stage();
            if !fit(&stage) {
                return;
            }
            stage.as_ref().and_then(|app| app.watch.client())
        };
        let answer = client.map(|client| client.health(ANSWER_WITHIN));
        if matches!(&answer, Some(Ok(health)) if health.status == "ok") {
            return;
        }
        let deadline = Instant::now() + VERDICT_WITHIN;
        while fit(&self.stage()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What a test that cannot run is failed with.
    fn refusal(&self, trouble: &Trouble, given_up: bool) -> Error {
        let mut summary = match &trouble.culprit {
            Some(Culprit {
                test,
                inferred: false,
            }) => format!("did not run: {test} left the app degraded"),
            Some(Culprit { test, inferred: true }) => {
                format!("did not run: the app degraded after {test} had ended (the blame is inferred)")
            }
            None => format!("did not run: there is no app to run it on: {}", trouble.cause),
        };
        if given_up {
            let times = self.rules.max_respawns;
            summary = format!(
                "{summary}\n  the same failure followed {times} respawns in a row, so there are no more \
                 (live_gui_max_respawns = {times})"
            );
        }
        let stage = self.stage();
        if let Some(app) = &*stage {
            // The culprit's report has the traceback; here it would hide who that was.
            return app.failure(&summary, trouble.culprit.clone()).in_brief();
        }
        Error::Degraded(Box::new(Failure {
            summary,
            culprit: trouble.culprit.clone(),
            ..Failure::default()
        }))
    }

    fn stage(&self) -> MutexGuard<'_, Option<App>> {
        lock(&self.stage)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
    }
}

fn never_started() -> Error {
    let summary = "the app was never started".to_owned();
    Error::Unreachable(Box::new(Failure {
        summary,
        ..Failure::default()
    }))
}
