//! A thread for each app that always knows the app's state. It waits in a long poll, so that asking for the state
//! is a read.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::client::{Client, NoAnswer};
use super::ends::{Sign, Symptom};
use super::heartbeat_log::{last_lines, open_reasons};
use super::process::{ProcessTree, StartState};
use super::run_dir::write_record;
use super::silence;
use crate::health::Code;
use crate::process::{Exit, Liveness, liveness};
use crate::wire::{CaughtException, GenerationState, HEALTH_FILE, Health, JOURNAL_FILE, Reason, Status};

/// How often to look for the discovery file while the app starts.
const FIND_EVERY: Duration = Duration::from_millis(2);
/// The longest long poll. Between two polls the process's exit is checked as well.
const POLL: Duration = Duration::from_millis(500);
/// An agent that says nothing for this long beyond its long poll is unreachable.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// A connection that breaks usually means that the process ends, which shows this little later.
const EXIT_SHOWS_WITHIN: Duration = Duration::from_millis(250);

/// How often to check for the exit where nothing reports it, and the size of the output.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What an app said last before it ended is in the answer to the long poll, which may take this much longer.
const ANSWER_COMES_WITHIN: Duration = Duration::from_millis(20);

/// What to say of an app that replaced itself by something else.
pub const RUNS_ANOTHER: &str = "it runs another program now, which has started no agent";

/// A launcher that has its own agent is recognised because it does not beat for this long.
const BEATS_WITHIN: Duration = Duration::from_secs(1);
/// How long an agent may take to say whether it is the app's.
const SAYS_WITHIN: Duration = Duration::from_millis(250);

/// News from the watch of an app.
#[derive(Debug)]
pub enum News<'a> {
    /// A new verdict, and how long ago it began to hold.
    AppState(&'a AppState, Duration),
    /// The app that was ready started again: the same process runs another program, or another process took its
    /// place. What was in its memory is gone.
    BeganAnew,
    /// The exceptions that the app has survived so far, including those reported before.
    Survived(&'a [CaughtException]),
}

/// The latest state of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppState {
    /// Not ready yet.
    Starting,
    /// Fit to be tested.
    Ok,
    /// Its agent reports that it is not fit to be tested.
    Degraded(Vec<Reason>),
    /// It announced its end.
    Stopping,
    /// Its process is gone.
    Exited {
        /// How it ended.
        how: String,
        /// Why it was degraded before that, if it was.
        reasons: Vec<Reason>,
    },
    /// Its process lives, but its agent does not answer.
    Unreachable(String),
}

impl AppState {
    /// If its main loop does not run, and nothing else is known to be wrong: how the test before left the app.
    #[must_use]
    pub fn freeze(&self) -> Option<&'static str> {
        match self {
            Self::Degraded(reasons) if reasons.iter().all(is_hung) => Some("left the main loop standing"),
            Self::Unreachable(_) => Some("left the app unresponsive"),
            _ => None,
        }
    }

    /// What is wrong, on one line; `None` while nothing is. Of several reasons the first counts, because it usually
    /// caused the others.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Starting | Self::Ok => None,
            Self::Degraded(reasons) => Some(reasons.iter().map(Reason::line).collect::<Vec<_>>().join("; ")),
            Self::Stopping => Some("the app is stopping".to_owned()),
            Self::Exited { how, reasons } => Some(match reasons.first() {
                Some(reason) => format!("{}; then the process ended with {how}", reason.line()),
                None => format!("the process ended with {how}"),
            }),
            Self::Unreachable(why) => {
                let first = why.lines().next().unwrap_or_default();
                Some(format!("the agent does not answer: {first}"))
            }
        }
    }

    /// What broke first, for the first line of an error.
    #[must_use]
    pub fn gist(&self) -> Option<String> {
        match self {
            Self::Starting | Self::Ok => None,
            Self::Degraded(reasons) => reasons.first().map(Reason::line),
            Self::Stopping => self.cause(),
            Self::Exited { how, reasons } => Some(match reasons.first() {
                Some(reason) => format!("{}; then {how}", reason.line()),
                None => how.clone(),
            }),
            Self::Unreachable(why) => Some(why.clone()),
        }
    }

    /// What it means for an end that a test has declared.
    #[must_use]
    pub fn sign(&self) -> Sign {
        let symptoms = |reasons: &[Reason]| {
            let symptom = |reason: &Reason| Symptom {
                code: reason.code.clone(),
                raised: reason.detail.traceback.is_some(),
            };
            reasons.iter().map(symptom).collect()
        };
        match self {
            Self::Starting | Self::Ok => Sign::Well,
            Self::Stopping => Sign::Stopping,
            Self::Degraded(reasons) => Sign::Degraded(symptoms(reasons)),
            Self::Exited { reasons, .. } => Sign::Gone(symptoms(reasons)),
            Self::Unreachable(_) => Sign::Silent,
        }
    }

    /// Whether the app does not answer and nothing says where it hangs, so that its stacks would help.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        let silent = |reason: &Reason| is_hung(reason) || reason.code == Code::ExecutorStalled.as_str();
        match self {
            Self::Unreachable(_) => true,
            Self::Degraded(reasons) => reasons.first().is_some_and(silent),
            _ => false,
        }
    }

    /// Whether the app announced its end, but has not ended yet.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let left = |reason: &Reason| reason.code == Code::MainLoopExited.as_str();
        match self {
            Self::Stopping => true,
            Self::Degraded(reasons) => reasons.first().is_some_and(left),
            _ => false,
        }
    }

    /// Whether the app can no longer become fit again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Exited { .. } => true,
            Self::Degraded(reasons) => reasons.iter().any(|reason| !reason.recoverable),
            _ => false,
        }
    }

    /// The state for the records.
    #[must_use]
    pub const fn state(&self) -> GenerationState {
        match self {
            Self::Starting => GenerationState::Starting,
            Self::Ok => GenerationState::Ok,
            Self::Degraded(_) => GenerationState::Degraded,
            Self::Stopping => GenerationState::Stopping,
            Self::Exited { .. } => GenerationState::Exited,
            Self::Unreachable(_) => GenerationState::Unreachable,
        }
    }
}

/// The watch of one app.
#[derive(Debug)]
pub struct Watch {
    state: Arc<State>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    fit: AtomicBool,
    /// How many threads are reporting a verdict that can be read already.
    reporting: AtomicU32,
    latest: Mutex<Latest>,
    /// Agents that turned out not to be the app's, by instance.
    passed_over: Mutex<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Latest {
    verdict: AppState,
    client: Option<Client>,
}

impl Watch {
    /// Watches `process`, whose discovery file will appear in its folder. If the app starts again, that file must
    /// appear within `ready_timeout` again. `told` is called, on a thread of the watch, with every new verdict,
    /// once the verdict can be read.
    ///
    /// # Errors
    /// What the operating system reports if it cannot start the thread.
    pub fn start(
        process: Arc<ProcessTree>,
        ready_timeout: Duration,
        told: impl Fn(News<'_>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let latest = Mutex::new(Latest {
            verdict: AppState::Starting,
            client: None,
        });
        let state = Arc::new(State {
            fit: AtomicBool::new(false),
            reporting: AtomicU32::new(0),
            latest,
            passed_over: Mutex::default(),
        });
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let watcher = Watcher {
            process,
            state: Arc::clone(&state),
            ready_timeout,
            stopped,
            told,
        };
        let watcher = Arc::new(watcher);
        let thread = thread::Builder::new()
            .name("livegui-watch".to_owned())
            .spawn(move || run(&watcher))?;
        Ok(Self {
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Whether the app is fit to be tested: one atomic read.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.state.fit.load(Ordering::Acquire)
    }

    /// The latest verdict.
    #[must_use]
    pub fn verdict(&self) -> AppState {
        self.state.latest().verdict.clone()
    }

    /// Whether a verdict can be read that `told` has not handled yet.
    #[must_use]
    pub fn is_reporting(&self) -> bool {
        self.state.reporting.load(Ordering::Acquire) > 0
    }

    /// The client for the app's agent, once there is one.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        self.state.latest().client.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread notices this at the end of its long poll, or as soon as the app is gone. Don't wait for its
        // end, because an app that is stopped with a signal would hold us up.
        self.stop = None;
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

impl State {
    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watcher<F> {
    process: Arc<ProcessTree>,
    state: Arc<State>,
    ready_timeout: Duration,
    stopped: Receiver<()>,
    told: F,
}

/// The body of the watch's thread. A second thread waits for the exit, because a helper of the app that inherited
/// its connection would keep the long poll waiting.
fn run<F: Fn(News<'_>) + Send + Sync + 'static>(watcher: &Arc<Watcher<F>>) {
    let Some(mut client) = watcher.find_agent() else {
        return;
    };
    watcher.process.follow(client.process());
    let for_exit = Arc::clone(watcher);
    let thread = thread::Builder::new()
        .name("livegui-exit".to_owned())
        .spawn(move || for_exit.wait_for_exit());
    // Without that thread, the exit is noticed between two long polls.
    drop(thread);
    let mut was_ready = false;
    while let Some(next) = watcher.listen(&client, &mut was_ready) {
        watcher.process.follow(next.process());
        client = next;
        if was_ready {
            (watcher.told)(News::BeganAnew);
        }
    }
}

impl<F: Fn(News<'_>)> Watcher<F> {
    /// Listens to an agent until there is nothing more to hear. Returns the agent that took its place, if there is
    /// one.
    fn listen(&self, client: &Client, was_ready: &mut bool) -> Option<Client> {
        self.state.latest().client = Some(client.clone());
        let mut seen = 0;
        let mut heard = Instant::now();
        let began = heard;
        while !self.is_stopped(Duration::ZERO) {
            let answer = if seen == 0 {
                client.health(SILENT_AFTER)
            } else {
                client.next_health(seen, POLL, SILENT_AFTER)
            };
            match answer {
                Ok(health) => {
                    seen = health.seq;
                    heard = Instant::now();
                    (self.told)(News::Survived(&health.exceptions));
                    if !health.reasons.is_empty() {
                        // This is for people who look later. A full disk must not end the watch.
                        let _ = write_record(self.process.folder(), HEALTH_FILE, &health);
                    }
                    let ago = began_ago(&health);
                    let verdict = judge(health);
                    *was_ready |= verdict == AppState::Ok;
                    let has_not_beaten = verdict == AppState::Starting && !*was_ready;
                    self.tell(verdict, ago);
                    if has_not_beaten
                        && began.elapsed() >= BEATS_WITHIN
                        && let Some(app) = self.one_that_beats(client)
                    {
                        return Some(app);
                    }
                }
                Err(NoAnswer { why, .. }) => {
                    let exit = self.process.wait(EXIT_SHOWS_WITHIN);
                    if let Some(next) = self.successor(client) {
                        return Some(next);
                    }
                    if let Some(exit) = exit {
                        self.tell_exit(exit);
                        return None;
                    }
                    if client.was_replaced() {
                        let silent = heard.elapsed();
                        self.tell(self.begins_anew(silent), silent);
                        continue;
                    }
                    // Ask once more, because it may be this process that was stopped for a while.
                    let is_known = matches!(self.state.latest().verdict, AppState::Unreachable(_));
                    if !is_known && heard.elapsed() >= SILENT_AFTER && client.health(SILENT_AFTER).is_err() {
                        let why = silence::describe(&self.process, &why);
                        self.tell(AppState::Unreachable(why), heard.elapsed());
                    }
                }
            }
            if let Some(exit) = self.process.exit()
                && self.successor(client).is_none()
            {
                self.tell_exit(exit);
                return None;
            }
        }
        None
    }

    /// An app that runs another program gets as much time as at its start.
    fn begins_anew(&self, silent: Duration) -> AppState {
        if silent < self.ready_timeout {
            return AppState::Starting;
        }
        let seconds = self.ready_timeout.as_secs_f64();
        AppState::Unreachable(format!(
            "{RUNS_ANOTHER} for {seconds:.1} s (live_gui_ready_timeout)"
        ))
    }

    /// The agent of an app that started again: by `execv`, or by a process that it started in its place.
    fn successor(&self, client: &Client) -> Option<Client> {
        let next = Client::find(self.process.folder())?;
        let is_another = next.instance() != client.instance() && !self.was_passed_over(&next);
        (is_another && liveness(next.process()) != Liveness::Gone).then_some(next)
    }

    /// Another agent of this run whose main loop beats. If there is one, the followed agent is a launcher's.
    fn one_that_beats(&self, client: &Client) -> Option<Client> {
        let is_app = |other: &Client| {
            let answer = other.health(SAYS_WITHIN);
            answer.is_ok_and(|health| health.status == Status::Ok)
        };
        let others = Client::all(self.process.folder()).into_iter();
        let mut others = others.filter(|other| other.instance() != client.instance());
        let app = others.find(is_app)?;
        let mut passed_over = self
            .state
            .passed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        passed_over.push(client.instance().to_owned());
        Some(app)
    }

    fn was_passed_over(&self, client: &Client) -> bool {
        let passed_over = self
            .state
            .passed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        passed_over.iter().any(|instance| instance == client.instance())
    }

    fn wait_for_exit(&self) {
        while !self.is_stopped(Duration::ZERO) {
            let Some(exit) = self.process.wait(LOOK_EVERY) else {
                continue;
            };
            let deadline = Instant::now() + ANSWER_COMES_WITHIN;
            while !self.has_exited() && Instant::now() < deadline {
                thread::sleep(FIND_EVERY);
            }
            let successor = || {
                let client = self.state.latest().client.clone();
                client.is_some_and(|client| self.successor(&client).is_some())
            };
            if self.has_exited() || !successor() {
                return self.tell_exit(exit);
            }
        }
    }

    fn has_exited(&self) -> bool {
        matches!(self.state.latest().verdict, AppState::Exited { .. })
    }

    fn find_agent(&self) -> Option<Client> {
        let mut look_at_exit = Instant::now();
        loop {
            // Check the exit first: an app that starts and ends normally between two checks has ended.
            if Instant::now() >= look_at_exit {
                match self.process.start_state() {
                    StartState::Running => {}
                    // Checking all processes takes a while.
                    StartState::Launched => look_at_exit = Instant::now() + LOOK_EVERY,
                    StartState::Ended(exit) => {
                        self.tell_exit(exit);
                        return None;
                    }
                }
            }
            if let Some(client) = Client::find(self.process.folder()) {
                return Some(client);
            }
            self.process.trim_outputs();
            if self.is_stopped(FIND_EVERY) {
                return None;
            }
        }
    }

    fn is_stopped(&self, within: Duration) -> bool {
        self.stopped.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }

    fn tell_exit(&self, exit: Exit) {
        let latest = self.state.latest().clone();
        let reasons = if let AppState::Degraded(reasons) = latest.verdict {
            reasons
        } else {
            // What it said last may have come between two long polls; it is also in its heartbeat log.
            let log = latest.client.and_then(|client| client.journal());
            let log = log.unwrap_or_else(|| self.process.folder().join(JOURNAL_FILE));
            last_lines(&log).map_or_else(Vec::new, |(lines, _)| open_reasons(lines))
        };
        let how = exit.describe();
        self.tell(AppState::Exited { how, reasons }, Duration::ZERO);
    }

    fn tell(&self, verdict: AppState, ago: Duration) {
        let mut latest = self.state.latest();
        // Why an app went bad matters more than that it stopped answering afterwards.
        let only_silent = matches!(verdict, AppState::Unreachable(_)) && latest.verdict.is_final();
        let is_over = matches!(latest.verdict, AppState::Exited { .. });
        if is_over || only_silent || same_kind(&latest.verdict, &verdict) {
            return;
        }
        // Before the verdict can be read, so that whoever reads it knows whether to wait for the report.
        self.state.reporting.fetch_add(1, Ordering::AcqRel);
        latest.verdict = verdict.clone();
        drop(latest);
        // Set this before reporting, because what is woken by the report reads it.
        self.state.fit.store(verdict == AppState::Ok, Ordering::Release);
        (self.told)(News::AppState(&verdict, ago));
        self.state.reporting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether two verdicts say the same, apart from the ages of their reasons.
fn same_kind(before: &AppState, now: &AppState) -> bool {
    match (before, now) {
        (AppState::Degraded(before), AppState::Degraded(now)) => before
            .iter()
            .map(|reason| reason.episode)
            .eq(now.iter().map(|reason| reason.episode)),
        // Why it does not answer is reported once. How long that lasts, and what its process does meanwhile, is no
        // news.
        (AppState::Unreachable(_), AppState::Unreachable(_)) => true,
        _ => before == now,
    }
}

/// How long ago the problem began. A loop that is found hung has hung since its last beat.
fn began_ago(health: &Health) -> Duration {
    let millis = health.reasons.first().map_or(0, |reason| {
        health
            .checks
            .main_loop
            .age_ms
            .filter(|_| is_hung(reason))
            .unwrap_or(reason.since_ms)
    });
    Duration::from_millis(millis)
}

/// Whether this says that the main loop does not run.
fn is_hung(reason: &Reason) -> bool {
    [Code::MainLoopStalled, Code::InterpreterHeld]
        .iter()
        .any(|code| reason.code == code.as_str())
}

fn judge(health: Health) -> AppState {
    match health.status {
        Status::Ok => AppState::Ok,
        Status::Starting => AppState::Starting,
        Status::Stopping => AppState::Stopping,
        Status::Degraded | Status::Unknown(_) => AppState::Degraded(health.reasons),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::process::Launch;
    use super::*;

    #[test]
    fn a_verdict_that_can_be_read_is_being_reported_until_it_was_handled() {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch {
            command: ["sh", "-c", "exit 3"].map(Into::into).to_vec(),
            environment: Vec::new(),
            mark: ("LIVEGUI_RUN_DIR", folder.path().into()),
            cwd: folder.path().into(),
            folder: folder.path().into(),
            output_limit: 4096,
        };
        let process = Arc::new(ProcessTree::start(&launch).unwrap());
        let (go_on, held) = crossbeam_channel::bounded::<()>(0);
        let watch = Watch::start(process, Duration::from_mins(1), move |_| {
            let _ = held.recv();
        })
        .unwrap();
        let until = |condition: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_mins(1);
            while !condition() {
                assert!(Instant::now() < deadline);
                thread::sleep(Duration::from_millis(1));
            }
        };
        until(&|| matches!(watch.verdict(), AppState::Exited { .. }));
        assert!(watch.is_reporting() && !watch.is_fit());
        drop(go_on);
        until(&|| !watch.is_reporting());
    }
}
