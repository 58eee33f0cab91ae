//! The generations behind one `live_gui` handle: the policy, driven.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::app::App;
use super::command::CommandLine;
use super::policy::{Decision, Policy, Rules, Test, Trouble};
use super::ports;
use super::process::{GRACE, Launch, ProcessTree};
use super::runs::RunFolder;
use super::start::{STEP, Start, Step};
use super::watch::{Verdict, Watch};
use crate::error::{Error, Failure, Result};
use crate::wire::{Culprit, Health, Note, env};

/// How long the agent may take to answer a question asked in passing.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long the watch may take to learn what an answer already said.
const VERDICT_WITHIN: Duration = Duration::from_secs(1);

/// Two clocks, one in the app and one here, tell when trouble began to about this.
const ONSET_SLACK: Duration = Duration::from_millis(20);

/// What a run is driven by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The app's command line.
    pub command: CommandLine,
    /// Added to the app's environment.
    pub environment: Vec<(String, String)>,
    /// The app's working folder.
    pub cwd: PathBuf,
    /// What `{python}` stands for.
    pub python: String,
    /// Where run folders go.
    pub run_dir: PathBuf,
    /// Start to `ok`.
    pub ready_timeout: Duration,
    /// Scope, respawn and budget.
    pub rules: Rules,
}

/// One handle and the processes that it stands for, one after the other.
pub struct Live {
    settings: Settings,
    alarm: Alarm,
    books: Arc<Mutex<Books>>,
    stage: Mutex<Stage>,
}

/// What the watch threads write into as well.
struct Books {
    policy: Policy,
    run: RunFolder,
    /// Generations up to this one are being ended, or were.
    retired: u32,
    /// When the running test began, or the last one did.
    running_since: Instant,
}

/// The process that is being tested.
#[derive(Default)]
struct Stage {
    app: Option<App>,
    started: u32,
    /// Pids that could not be ended; should be none.
    left: Vec<u32>,
}

impl Live {
    /// A handle without a process yet. `knock` interrupts the thread that runs the tests.
    ///
    /// # Errors
    /// [`Error::Io`] if the run folder cannot be made, or a thread cannot be started.
    pub fn new(settings: Settings, knock: impl Fn() + Send + 'static) -> Result<Self> {
        let run = RunFolder::create(&settings.run_dir)?;
        let policy = Policy::new(settings.rules);
        Ok(Self {
            alarm: Alarm::start(knock).map_err(Error::io("start the alarm thread"))?,
            books: Arc::new(Mutex::new(Books {
                policy,
                run,
                retired: 0,
                running_since: Instant::now(),
            })),
            stage: Mutex::default(),
            settings,
        })
    }

    /// Starts the first process, unless there is one.
    ///
    /// # Errors
    /// [`Error::Start`] says why the app could not be started.
    pub fn start(&self, step: Step<'_>) -> Result<()> {
        if self.stage().app.is_some() {
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
            let mut books = self.books();
            books.running_since = Instant::now();
            books.policy.test_starting(test)
        };
        match decision {
            Decision::Proceed => Ok(()),
            Decision::Respawn(because) => self.respawn(&because, step),
            Decision::Refuse(trouble) => Err(self.refusal(&trouble, false)),
            Decision::GiveUp(trouble) => Err(self.refusal(&trouble, true)),
        }
    }

    /// To be called after each such test, its tear-down included.
    pub fn after_test(&self) {
        let mut books = self.books();
        books.policy.test_finished();
        // What comes from here on is told to the next one.
        self.alarm.quiet();
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
        let books = self.books();
        let culprit = books.policy.trouble()?.culprit.clone();
        if !books.policy.concerns_running() {
            return None;
        }
        let own = books.policy.is_running_to_blame();
        drop(books);
        let stage = self.stage();
        let app = stage.app.as_ref()?;
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
        let client = self.stage().app.as_ref().and_then(|app| app.watch.client());
        let answer = client.and_then(|client| client.health(ANSWER_WITHIN).ok());
        answer.ok_or_else(|| {
            self.stage().app.as_ref().map_or_else(never_started, |app| {
                // A process that has just ended takes a moment to show it.
                app.process.wait(STEP);
                app.failure("the app does not answer", None)
            })
        })
    }

    /// Whether the process runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.stage()
            .app
            .as_ref()
            .is_some_and(|app| app.process.exit_status().is_none())
    }

    /// Whether it is fit to be tested, as far as its watch knows.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.stage().app.as_ref().is_some_and(|app| app.watch.is_fit())
    }

    /// Waits until the app is `ok`.
    ///
    /// # Errors
    /// [`Error::Degraded`] and its like if it is not by then.
    pub fn wait_until_ok(&self, within: Duration, step: Step<'_>) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let stage = self.stage();
            let Some(app) = &stage.app else {
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
        self.stage().app.as_ref().map_or(0, |app| app.generation)
    }

    /// The process that is being tested.
    #[must_use]
    pub fn process(&self) -> Option<Arc<ProcessTree>> {
        self.stage().app.as_ref().map(|app| Arc::clone(&app.process))
    }

    /// The port that its hook server was told to listen on.
    #[must_use]
    pub fn hook_port(&self) -> Option<u16> {
        self.stage().app.as_ref().map(|app| app.hook_port)
    }

    /// The folder of this run.
    #[must_use]
    pub fn run_folder(&self) -> PathBuf {
        self.books().run.path().to_owned()
    }

    /// Which files started on a process they did not inherit, and why.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.books().policy.notes().to_vec()
    }

    /// Ends the process and everything it started. Returns the pids of this run that are still there,
    /// which should be none.
    pub fn close(&self) -> Vec<u32> {
        self.alarm.quiet();
        self.take_off();
        self.books().run.finish();
        self.stage().left.clone()
    }

    fn take_off(&self) {
        let Some(app) = self.stage().app.take() else {
            return;
        };
        let fit = app.watch.is_fit();
        let mut books = self.books();
        books.retired = app.generation;
        if fit {
            books
                .run
                .update(app.generation, |record| "ended".clone_into(&mut record.state));
        }
        drop(books);
        // One that is not fit would not answer a request to end either.
        let left = app.process.end_tree(fit.then_some(GRACE));
        self.stage().left.extend(left);
    }

    /// No lock is held while the app starts: signal handlers run meanwhile, and may ask the handle.
    fn put_on(&self, because: Option<String>, step: Step<'_>) -> Result<()> {
        let generation = {
            let mut stage = self.stage();
            stage.started += 1;
            stage.started
        };
        let started = self.launch(generation, step);
        match started {
            Ok(app) => {
                self.alarm.quiet();
                let mut books = self.books();
                books.policy.app_started(generation, because);
                // It may have degraded since, and its watch have found no generation to blame it on.
                if let Some(cause) = app.watch.verdict().cause() {
                    books.policy.app_troubled(generation, &cause, false);
                }
                let notes = books.policy.notes().to_vec();
                books.run.set_notes(&notes);
                drop(books);
                self.stage().app = Some(app);
                Ok(())
            }
            Err(error) => {
                let cause = match &error {
                    Error::Start(failure) => failure.cause(),
                    Error::Interrupted => "its start was interrupted".to_owned(),
                    other => other.to_string(),
                };
                self.books().policy.app_failed_to_start(generation, &cause);
                Err(error)
            }
        }
    }

    fn launch(&self, generation: u32, step: Step<'_>) -> Result<App> {
        let (folder, state) = self.books().run.generation_folder(generation)?;
        let hook_port = ports::free_port().map_err(Error::io("find a free port"))?;
        let values = BTreeMap::from([
            ("hook_port", hook_port.to_string()),
            ("python", self.settings.python.clone()),
            ("state_dir", state.display().to_string()),
        ]);
        let mut environment = self.settings.environment.clone();
        // An agent that is switched off here would never say that it is ready.
        environment.push((env::SWITCH.to_owned(), "1".to_owned()));
        environment.push((env::PARENT_PID.to_owned(), std::process::id().to_string()));
        environment.push((env::HOOK_PORT.to_owned(), hook_port.to_string()));
        environment.push((env::STATE_DIR.to_owned(), state.display().to_string()));
        let cwd = self.settings.cwd.clone();
        let launch = Launch {
            command: self.settings.command.fill(&values),
            environment,
            mark: (env::RUN_DIR, folder.display().to_string()),
            cwd,
            folder: folder.clone(),
        };
        let free_port_used = self.settings.command.uses("hook_port");
        let start = Start {
            generation,
            launch: &launch,
            free_port_used,
            began: Instant::now(),
        };
        start.refuse_held_ports()?;
        let process = ProcessTree::start(&launch).map_err(|error| start.not_started(&error))?;
        let process = Arc::new(process);
        self.books().run.add(start.record(&process));

        let (tell, told) = crossbeam_channel::unbounded();
        let (books, alarm) = (Arc::clone(&self.books), self.alarm.clone());
        let watch = Watch::start(Arc::clone(&process), move |verdict, ago| {
            record(&books, &alarm, generation, verdict, ago);
            // Nobody listens any more once the app is ready.
            let _ = tell.send(verdict.clone());
        });
        let watch = watch.map_err(|error| {
            process.end_tree(None);
            Error::io("start the watch thread")(error)
        })?;
        let hook_port = start.fixed_port().unwrap_or(hook_port);
        let app = App {
            generation,
            process,
            watch,
            hook_port,
        };
        match start.wait_until_ready(&app, &told, self.settings.ready_timeout, step) {
            Ok(()) => {
                let ready_ms = u64::try_from(start.began.elapsed().as_millis()).ok();
                self.books()
                    .run
                    .update(generation, |record| record.ready_ms = ready_ms);
                Ok(app)
            }
            Err(error) => {
                drop(app.watch);
                let left = app.process.end_tree(None);
                self.stage().left.extend(left);
                Err(error)
            }
        }
    }

    /// Asks the agent, and if its answer is bad news waits until the watch has them too.
    fn ask_anew(&self) {
        let stage = self.stage();
        let Some(app) = stage.app.as_ref().filter(|app| app.watch.is_fit()) else {
            return;
        };
        let answer = app.watch.client().map(|client| client.health(ANSWER_WITHIN));
        if matches!(&answer, Some(Ok(health)) if health.status == "ok") {
            return;
        }
        let deadline = Instant::now() + VERDICT_WITHIN;
        while app.watch.is_fit() && Instant::now() < deadline {
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
            let times = self.settings.rules.max_respawns;
            summary = format!(
                "{summary}\n  the same failure followed {times} respawns in a row, so there are no more \
                 (live_gui_max_respawns = {times})"
            );
        }
        let stage = self.stage();
        if let Some(app) = &stage.app {
            // The culprit's report has the traceback; here it would hide who that was.
            return app.failure(&summary, trouble.culprit.clone()).in_brief();
        }
        Error::Degraded(Box::new(Failure {
            summary,
            culprit: trouble.culprit.clone(),
            ..Failure::default()
        }))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        lock(&self.stage)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
    }
}

/// A poisoned lock means that a thread of ours panicked; what it guards is still worth more than a
/// second panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On a watch's thread: writes a new verdict into the books and reaches into the running test.
fn record(books: &Mutex<Books>, alarm: &Alarm, generation: u32, verdict: &Verdict, ago: Duration) {
    let mut books = lock(books);
    if generation <= books.retired {
        return; // its end is our own doing
    }
    let cause = verdict.cause();
    // What began before the running test did is none of its doing.
    let before_running = ago > books.running_since.elapsed() + ONSET_SLACK;
    let culprit = cause
        .as_ref()
        .and_then(|cause| books.policy.app_troubled(generation, cause, before_running));
    if cause.is_none() {
        books.policy.app_recovered(generation);
        alarm.quiet();
    }
    books.run.update(generation, |record| {
        verdict.word().clone_into(&mut record.state);
        record.why.clone_from(&cause);
        record.culprit = culprit.or_else(|| record.culprit.take());
    });
    if cause.is_some() && books.policy.concerns_running() {
        alarm.ring();
    }
}

fn never_started() -> Error {
    let summary = "the app was never started".to_owned();
    Error::Unreachable(Box::new(Failure {
        summary,
        ..Failure::default()
    }))
}
