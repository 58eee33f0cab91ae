//! The state machine: the one owner of what is wrong with the app.

use std::time::Duration;

use super::episodes::Episodes;
use super::exceptions::Exceptions;
use super::liveness::{Liveness, seconds};
use super::pauses::Pause;
use super::snapshot::{CheckState, Snapshot, Status};
use super::timers::{Timer, Timers};
use super::watched::WatchList;
use super::{Awake, Caught, Code, Episode, Event, ExecutorEnd, Reason, Source};

/// How long a process may live on after its main thread ended, before that becomes a reason.
const EXIT_GRACE: Duration = Duration::from_secs(1);

/// The component of what the app itself reports.
const APP: &str = "app";
/// The component of every reason about the main loop.
const MAIN_LOOP: &str = "main_loop";

/// Thresholds, all in observed-awake time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long the loop may go without a beat.
    pub stall_after: Duration,
    /// How long the first beat may take.
    pub startup: Duration,
    /// How long queued work may go without any being finished; `None` disables the check.
    pub executor_stall: Option<Duration>,
    /// Whether a callback that raises degrades the app.
    pub callback_errors_degrade: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stall_after: Duration::from_secs(5),
            startup: Duration::from_mins(1),
            executor_stall: None,
            callback_errors_degrade: false,
        }
    }
}

/// What changed in one [`Machine::handle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// A reason began to hold.
    Opened(Episode),
    /// A reason stopped holding.
    Closed(Episode),
    /// An exception was caught for the first time, or so many more times that it is reported again.
    ExceptionCaught(Caught),
    /// The status of the app changed.
    StatusChanged {
        /// The status before.
        from: Status,
        /// The status now.
        to: Status,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loop {
    Live,
    Crashed,
    Exited,
}

/// The health of one app.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    main_loop: Loop,
    liveness: Liveness,
    timers: Timers,
    left_open: Vec<String>,
    /// Where the main thread is, while its loop is silent.
    stands_at: Option<String>,
    executors: WatchList,
    threads: WatchList,
    exceptions: Exceptions,
    stopping: bool,
    /// The threads that keep the process alive, since its main thread ended.
    kept_alive_by: Option<String>,
    episodes: Episodes,
    seq: u64,
    status: Status,
    since: Awake,
}

impl Machine {
    /// A machine for an app that starts at [`Awake::default`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Startup, Awake::at(config.startup));
        Self {
            config,
            main_loop: Loop::Live,
            liveness: Liveness::new(),
            timers,
            left_open: Vec::new(),
            stands_at: None,
            executors: WatchList::default(),
            threads: WatchList::default(),
            exceptions: Exceptions::default(),
            stopping: false,
            kept_alive_by: None,
            episodes: Episodes::default(),
            seq: 1,
            status: Status::Starting,
            since: Awake::default(),
        }
    }

    /// Handles one event. `now` never goes backwards.
    pub fn handle(&mut self, event: Event, now: Awake) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let shown = self.apply(event, now, &mut transitions);
        self.judge_time(now, &mut transitions);
        self.settle_status(now, &mut transitions);
        if shown || !transitions.is_empty() {
            self.seq += 1;
        }
        transitions
    }

    /// When to call again with [`Event::TimePassed`] if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Awake> {
        self.timers.next_timeout()
    }

    /// Whether the very next beat would change something, so that it should wake the monitor.
    #[must_use]
    pub fn wants_beat(&self, now: Awake) -> bool {
        self.is_loop_watched() && self.liveness.wants_beat(now, &self.config)
    }

    /// Whether the canary's very next tick would change something.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.liveness.reason() == Some(Code::InterpreterHeld)
    }

    /// Counts the changes that a snapshot shows.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The status of the app.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// A copy of everything, to be shown.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            status: self.status,
            since: self.since,
            seq: self.seq,
            open: self.episodes.open_now().to_vec(),
            history: self.episodes.history(),
            main_loop: self.main_loop_state(),
            paused: self.liveness.paused(),
            left_open: self.left_open.clone(),
            stands_at: self.stands_at.clone(),
            interpreter: match self.liveness.reason() {
                _ if !self.liveness.has_ticked() => CheckState::Waiting,
                Some(Code::InterpreterHeld) => CheckState::Held,
                _ => CheckState::Ok,
            },
            executors: self.executors.to_vec(),
            threads: self.threads.to_vec(),
            exceptions: self.exceptions.kept(),
        }
    }

    /// Returns whether the event changed something that a snapshot shows.
    #[allow(clippy::too_many_lines, reason = "one match with an arm for each event")]
    fn apply(&mut self, event: Event, now: Awake, transitions: &mut Vec<Transition>) -> bool {
        match event {
            Event::TimePassed => false,
            Event::BeatReceived(at) => self.liveness.beat(at.min(now)),
            Event::CanaryTicked(at) => self.liveness.tick(at.min(now)),
            Event::MainLoopEntered => self.enter_loop(now),
            Event::MainLoopUnseen => self.liveness.go_unseen(),
            Event::MainLoopCrashed { message, traceback } => {
                self.main_loop = Loop::Crashed;
                let reason = Reason::new(Code::MainLoopCrashed, MAIN_LOOP, &message);
                self.episodes
                    .open(reason.with_traceback(traceback.as_deref()), now, transitions);
                true
            }
            Event::MainLoopExited { how } => self.exit_loop(how.as_deref(), now, transitions),
            Event::PauseBegan {
                id,
                what,
                max,
                usable,
            } => self.liveness.begin_pause(
                Pause {
                    id,
                    what,
                    usable,
                    until: now + max,
                },
                now,
            ),
            Event::PauseEnded { id } => self.liveness.end_pause(id, now),
            Event::OpenChanged { things } => {
                self.left_open = things;
                false // a reader that wants to know asks
            }
            Event::MainThreadSeen { at } => {
                self.stands_at = at;
                false // as above
            }
            Event::ExecutorWatched { name, kind } => self.executors.watch(name, kind, now),
            Event::ThreadWatched { name } => self.threads.watch(name, String::new(), now),
            Event::ExecutorObserved { name, load } => {
                if let Some(executor) = self.executors.find(&name) {
                    executor.observe(load, now);
                }
                false
            }
            Event::ExecutorEndExpected { name } => {
                let executor = self.executors.find(&name);
                executor.map(|executor| executor.end_expected = true).is_some()
            }
            Event::ExecutorEnded { name, end } => self.end_executor(&name, &end, now, transitions),
            Event::ExecutorRefused {
                name,
                kind,
                by,
                end,
                ago,
            } => {
                let message = refusal(&name, &kind, &by, &end, ago);
                if !self.stopping {
                    let reason = Reason::new(Code::ExecutorRefused, &name, &message);
                    self.episodes.open(reason, now, transitions);
                }
                false
            }
            Event::ThreadEnded { name, why, traceback } => {
                self.end_thread(&name, why.as_deref(), traceback.as_deref(), now, transitions)
            }
            Event::Reported {
                code,
                message,
                traceback,
                recoverable,
            } => {
                let reason = Reason::new(code, APP, &message).with_traceback(traceback.as_deref());
                self.report(reason.recoverable(recoverable), now, transitions)
            }
            Event::ExceptionSwallowed {
                source,
                place,
                message,
                traceback,
            } => {
                self.hear_exception(source, &place, &message, traceback.as_deref(), now, transitions);
                false
            }
            Event::Cleared { code } => {
                self.episodes.close(&code, APP, now, transitions);
                false
            }
            Event::MainThreadEnded { left } => {
                if self.kept_alive_by.is_none() {
                    self.timers.set(Timer::Exit, now + EXIT_GRACE);
                    self.kept_alive_by = Some(left);
                }
                false
            }
            Event::AgentThreadDied { thread, message } => {
                self.episodes
                    .open(Reason::new(Code::AgentFault, &thread, &message), now, transitions);
                false
            }
            Event::StopAnnounced => {
                self.stopping = true;
                false
            }
        }
    }

    fn report(&mut self, reason: Reason, now: Awake, transitions: &mut Vec<Transition>) -> bool {
        match self.episodes.find(&reason.code, APP) {
            // The same problem reported in other words is still the same.
            Some(episode) if episode.reason != reason => episode.reason = reason,
            Some(_) => return false,
            None => self.episodes.open(reason, now, transitions),
        }
        true
    }

    fn hear_exception(
        &mut self,
        source: Source,
        place: &str,
        message: &str,
        traceback: Option<&str>,
        now: Awake,
        transitions: &mut Vec<Transition>,
    ) {
        let news = self.exceptions.hear(source, place, message, traceback, now);
        transitions.extend(news.cloned().map(Transition::ExceptionCaught));
        if self.config.callback_errors_degrade && source.is_callback() {
            // Keep the first exception, because those that follow are usually caused by it.
            let reason = Reason::new(Code::CallbackException, APP, message);
            self.episodes
                .open(reason.with_traceback(traceback), now, transitions);
        }
    }

    fn enter_loop(&mut self, now: Awake) -> bool {
        // A loop that was left on purpose and is entered again is watched again.
        if self.main_loop == Loop::Exited && !self.episodes.is_open(&Code::MainLoopExited) {
            self.main_loop = Loop::Live;
            self.stopping = false;
            self.liveness.begin_anew(now);
        }
        true
    }

    fn exit_loop(&mut self, how: Option<&str>, now: Awake, out: &mut Vec<Transition>) -> bool {
        if self.main_loop != Loop::Live {
            return false;
        }
        self.main_loop = Loop::Exited;
        if !self.stopping {
            let message = how.map_or_else(
                || "the main loop returned and the app had not called stopping()".to_owned(),
                |how| format!("the app ended itself: {how}"),
            );
            self.episodes
                .open(Reason::new(Code::MainLoopExited, MAIN_LOOP, &message), now, out);
        }
        true
    }

    fn end_executor(&mut self, name: &str, end: &ExecutorEnd, now: Awake, out: &mut Vec<Transition>) -> bool {
        let (stopping, Some(executor)) = (self.stopping, self.executors.find(name)) else {
            return false;
        };
        if executor.state != CheckState::Ok {
            return false;
        }
        let (state, code, message) = match end {
            ExecutorEnd::ShutDown { by } => {
                let by = by.as_deref().unwrap_or("an unknown caller");
                let message = format!("{} {name:?} refuses new work: shut down by {by}", executor.kind);
                (CheckState::Shutdown, Code::ExecutorShutdown, message)
            }
            ExecutorEnd::Broken { why } => {
                let message = format!("{} {name:?} refuses new work: {why}", executor.kind);
                (CheckState::Broken, Code::ExecutorBroken, message)
            }
            ExecutorEnd::Collected => {
                let message = format!("{} {name:?} was garbage-collected", executor.kind);
                (CheckState::Gone, Code::ExecutorGone, message)
            }
        };
        executor.state = state;
        if !stopping && !executor.end_expected {
            self.episodes.open(Reason::new(code, name, &message), now, out);
        }
        true
    }

    fn end_thread(
        &mut self,
        name: &str,
        why: Option<&str>,
        traceback: Option<&str>,
        now: Awake,
        out: &mut Vec<Transition>,
    ) -> bool {
        let (stopping, Some(thread)) = (self.stopping, self.threads.find(name)) else {
            return false;
        };
        if thread.state != CheckState::Ok {
            return false;
        }
        thread.state = CheckState::Ended;
        if !stopping {
            let message = why.map_or_else(
                || format!("thread {name:?} ended"),
                |why| format!("thread {name:?}: {why}"),
            );
            self.episodes.open(
                Reason::new(Code::ThreadDied, name, &message).with_traceback(traceback),
                now,
                out,
            );
        }
        true
    }

    /// Opens and closes the reasons that depend on time alone.
    fn judge_time(&mut self, now: Awake, transitions: &mut Vec<Transition>) {
        self.judge_main_loop(now, transitions);
        self.judge_executors(now, transitions);
        self.judge_exit(now, transitions);
    }

    /// Whether beats of the main loop are expected, now or later.
    fn is_loop_watched(&self) -> bool {
        !self.stopping && self.main_loop == Loop::Live
    }

    fn judge_main_loop(&mut self, now: Awake, transitions: &mut Vec<Transition>) {
        let reason = if self.is_loop_watched() {
            self.liveness.judge(now, &self.config, &mut self.timers)
        } else {
            self.liveness.cease(&mut self.timers);
            None
        };
        for code in [Code::StartupTimeout, Code::MainLoopStalled, Code::InterpreterHeld] {
            if reason.as_ref() != Some(&code) {
                self.episodes.close(&code, MAIN_LOOP, now, transitions);
            }
        }
        if let Some(code) = reason {
            let message = self.liveness.message(&code, now, &self.config);
            self.episodes
                .open(Reason::new(code, MAIN_LOOP, &message), now, transitions);
        }
    }

    fn judge_executors(&mut self, now: Awake, transitions: &mut Vec<Transition>) {
        self.timers.stop(Timer::Executor);
        let Some(limit) = self.config.executor_stall else {
            return;
        };
        for executor in self.executors.iter() {
            let waiting = executor.state.is_ok() && executor.load.is_some_and(|load| load.queued > 0);
            let due = executor.progress + limit;
            if waiting && !self.stopping && now >= due {
                let queued = executor.load.map_or(0, |load| load.queued);
                let idle = seconds(now.since(executor.progress));
                let message = format!(
                    "{} {:?} has finished nothing for {idle}, and {queued} are queued",
                    executor.kind, executor.name
                );
                let reason = Reason::new(Code::ExecutorStalled, &executor.name, &message);
                self.episodes.open(reason, now, transitions);
                continue;
            }
            self.episodes
                .close(&Code::ExecutorStalled, &executor.name, now, transitions);
            if waiting && !self.stopping {
                self.timers.set_earlier(Timer::Executor, due);
            }
        }
    }

    fn judge_exit(&mut self, now: Awake, transitions: &mut Vec<Transition>) {
        if self.stopping {
            self.timers.stop(Timer::Exit);
        }
        if !self.timers.is_expired(Timer::Exit, now) {
            return;
        }
        self.timers.stop(Timer::Exit);
        let left = self.kept_alive_by.as_deref().unwrap_or("a thread");
        let message = format!("the main thread ended, and the process is kept alive by {left}");
        let reason = Reason::new(Code::AppExiting, "process", &message);
        self.episodes.open(reason, now, transitions);
    }

    fn main_loop_state(&self) -> CheckState {
        match (self.main_loop, self.liveness.reason()) {
            (Loop::Crashed, _) => CheckState::Crashed,
            (Loop::Exited, _) => CheckState::Ended,
            (Loop::Live, Some(Code::MainLoopStalled)) => CheckState::Stalled,
            (Loop::Live, Some(Code::InterpreterHeld)) => CheckState::Held,
            (Loop::Live, _) if self.liveness.is_paused() => CheckState::Paused,
            (Loop::Live, _) if self.liveness.is_unseen() => CheckState::NotWatched,
            (Loop::Live, _) if !self.liveness.has_beaten() => CheckState::Waiting,
            (Loop::Live, _) => CheckState::Ok,
        }
    }

    fn settle_status(&mut self, now: Awake, transitions: &mut Vec<Transition>) {
        let to = if !self.episodes.open_now().is_empty() {
            Status::Degraded
        } else if self.stopping {
            Status::Stopping
        } else if !self.liveness.has_beaten() && !self.liveness.is_unseen() {
            Status::Starting
        } else {
            Status::Ok
        };
        if to != self.status {
            transitions.push(Transition::StatusChanged {
                from: self.status,
                to,
            });
            self.status = to;
            self.since = now;
        }
    }
}

/// Describes the refusal of an executor: what submitted the work, and why the executor refused it.
fn refusal(name: &str, kind: &str, by: &str, end: &ExecutorEnd, ago: Option<Duration>) -> String {
    let before = ago.map_or_else(String::new, |ago| format!(" {} before", seconds(ago)));
    let why = match end {
        ExecutorEnd::ShutDown { by } => {
            let by = by.as_deref().unwrap_or("an unknown caller");
            format!("it was shut down by {by}{before}")
        }
        ExecutorEnd::Broken { why } => format!("it is broken: {why}"),
        ExecutorEnd::Collected => "it was garbage-collected".to_owned(),
    };
    format!("{kind} {name:?} refused the work of {by}: {why}")
}
