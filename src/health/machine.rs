//! The state machine itself: one owner of what is wrong with the app.

use std::collections::VecDeque;
use std::time::Duration;

use super::exceptions::Exceptions;
use super::snapshot::{CheckState, Paused, Snapshot, Status, Watched};
use super::{Awake, Caught, Code, Episode, Event, ExecutorEnd, Reason, Source};

/// Closed episodes that are remembered.
const HISTORY: usize = 32;
/// Reasons that can hold at once; far above what the watch limits allow.
const MAX_OPEN: usize = 1024;
/// Executors, and threads, that are shown.
const MAX_WATCHED: usize = 256;
/// Pauses at once.
const MAX_PAUSES: usize = 256;
/// Characters that say what a pause waits for.
const MAX_WHAT: usize = 256;
/// Beats must go on for this long before a stall counts as over, so that one stray frame in a
/// frozen app does not close its episode.
const RECOVERY: Duration = Duration::from_millis(500);

/// Three ticks: however short `stall_after` is, a canary that is only due is not held.
const CANARY_FRESH: Duration = Duration::from_millis(750);
/// A process whose main thread has ended gets this long to end before that is a reason.
const EXIT_GRACE: Duration = Duration::from_secs(1);

/// The component of what the app says itself.
const APP: &str = "app";
/// The component that every reason about the main loop names.
const MAIN_LOOP: &str = "main_loop";

/// Thresholds, all in observed-awake time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long the loop may go without a beat.
    pub stall_after: Duration,
    /// How long it may take to the first beat.
    pub startup: Duration,
    /// How long queued work may go without any being finished; not looked at if `None`.
    pub executor_stall: Option<Duration>,
    /// Whether a callback that raises makes the app degraded.
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

impl Config {
    /// A canary that ran this recently proves that the interpreter is free. Well above the delay
    /// that busy Python threads cause it (0.4 s at p99 beside sixteen), well below `stall_after`,
    /// so that a GIL taken just after a tick is still told from a hung loop.
    fn canary_fresh(&self) -> Duration {
        CANARY_FRESH.max(self.stall_after / 2)
    }

    fn recovery(&self) -> Duration {
        RECOVERY.min(self.stall_after / 2)
    }
}

/// What changed in one [`Machine::handle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// A reason began to hold.
    Opened(Episode),
    /// A reason ceased to hold.
    Closed(Episode),
    /// An exception was caught, for the first time or for so many times more that it is worth saying.
    ExceptionCaught(Caught),
    /// The word for the whole app changed.
    StatusChanged {
        /// The word before.
        from: Status,
        /// The word now.
        to: Status,
    },
}

/// A wait that the app declared.
#[derive(Debug)]
struct Pause {
    id: u64,
    what: String,
    usable: bool,
    /// When it is no longer believed.
    until: Awake,
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
    last_beat: Option<Awake>,
    canary: Option<Awake>,
    pauses: Vec<Pause>,
    left_open: Vec<String>,
    /// The end of the last pause: the loop is given a whole `stall_after` again from there.
    resumed: Awake,
    /// The first beat after a stall; the stall is over once beats go on from here.
    recovering: Option<Awake>,
    /// When the canary first ran again after the interpreter was held.
    freed: Option<Awake>,
    executors: Vec<Watched>,
    threads: Vec<Watched>,
    exceptions: Exceptions,
    stopping: bool,
    /// Since the main thread ended: when that becomes a reason, and who keeps the process alive.
    exiting: Option<(Awake, String)>,
    open: Vec<Episode>,
    history: VecDeque<Episode>,
    episodes: u64,
    seq: u64,
    status: Status,
    since: Awake,
    deadline: Option<Awake>,
}

/// What time alone says about the loop, and when it could next say something else.
struct Timing {
    reason: Option<Code>,
    deadline: Option<Awake>,
}

impl Machine {
    /// A machine for an app that starts at [`Awake::default`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            main_loop: Loop::Live,
            last_beat: None,
            canary: None,
            pauses: Vec::new(),
            left_open: Vec::new(),
            resumed: Awake::default(),
            recovering: None,
            freed: None,
            executors: Vec::new(),
            threads: Vec::new(),
            exceptions: Exceptions::default(),
            stopping: false,
            exiting: None,
            open: Vec::new(),
            history: VecDeque::new(),
            episodes: 0,
            seq: 1,
            status: Status::Starting,
            since: Awake::default(),
            deadline: Some(Awake::at(config.startup)),
        }
    }

    /// Takes in one event. `now` never goes backwards.
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

    /// When to come back with [`Event::TimePassed`] if nothing else happens.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Awake> {
        self.deadline
    }

    /// Whether the very next beat would change something, so that the beat should ring a bell.
    #[must_use]
    pub fn wants_beat(&self, now: Awake) -> bool {
        if self.stopping || self.main_loop != Loop::Live {
            return false;
        }
        match (self.last_beat, self.recovering) {
            (None, _) => true,
            (_, Some(first)) => now >= first + self.config.recovery(),
            _ => self.is_open(&Code::MainLoopStalled) || self.is_open(&Code::InterpreterHeld),
        }
    }

    /// Whether the canary's very next tick would change something.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.is_open(&Code::InterpreterHeld)
    }

    /// Counts what a snapshot would show anew.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The word for the whole app.
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
            open: self.open.clone(),
            history: self.history.iter().cloned().collect(),
            main_loop: self.main_loop_state(),
            paused: self.paused(),
            left_open: self.left_open.clone(),
            interpreter: match (self.canary, self.is_open(&Code::InterpreterHeld)) {
                (None, _) => CheckState::Waiting,
                (Some(_), true) => CheckState::Held,
                (Some(_), false) => CheckState::Ok,
            },
            executors: self.executors.clone(),
            threads: self.threads.clone(),
            exceptions: self.exceptions.kept(),
        }
    }

    /// Returns whether the event changed something that a snapshot shows.
    #[allow(clippy::too_many_lines, reason = "an arm an event")]
    fn apply(&mut self, event: Event, now: Awake, transitions: &mut Vec<Transition>) -> bool {
        match event {
            Event::TimePassed => false,
            Event::BeatReceived(at) => {
                let first = self.last_beat.is_none();
                self.last_beat = self.last_beat.max(Some(at.min(now)));
                first
            }
            Event::CanaryTicked(at) => {
                let first = self.canary.is_none();
                self.canary = self.canary.max(Some(at.min(now)));
                first
            }
            Event::MainLoopEntered => self.enter_loop(now),
            Event::MainLoopCrashed { message, traceback } => {
                self.main_loop = Loop::Crashed;
                let reason = Reason::new(Code::MainLoopCrashed, MAIN_LOOP, &message);
                self.open(reason.with_traceback(traceback.as_deref()), now, transitions);
                true
            }
            Event::MainLoopExited { how } => self.exit_loop(how.as_deref(), now, transitions),
            Event::PauseBegan {
                id,
                what,
                max,
                usable,
            } => {
                // Those that nobody ends are believed no longer, and more at once are nobody's doing.
                if self.pauses.len() >= MAX_PAUSES {
                    self.pauses.retain(|pause| pause.until > now);
                }
                if self.pauses.len() >= MAX_PAUSES {
                    return false;
                }
                let what = what.chars().take(MAX_WHAT).collect();
                self.pauses.push(Pause {
                    id,
                    what,
                    usable,
                    until: now + max,
                });
                true
            }
            Event::PauseEnded { id } => {
                let before = self.pauses.len();
                self.pauses.retain(|pause| pause.id != id);
                let ended = before != self.pauses.len();
                if ended {
                    self.resumed = now;
                }
                ended
            }
            Event::OpenChanged { things } => {
                self.left_open = things;
                false // whoever wants to know asks
            }
            Event::ExecutorWatched { name, kind } => watch(&mut self.executors, name, kind, now),
            Event::ThreadWatched { name } => watch(&mut self.threads, name, String::new(), now),
            Event::ExecutorObserved { name, load } => {
                if let Some(executor) = find(&mut self.executors, &name) {
                    executor.observe(load, now);
                }
                false
            }
            Event::ExecutorEndExpected { name } => {
                let executor = find(&mut self.executors, &name);
                executor.map(|executor| executor.end_expected = true).is_some()
            }
            Event::ExecutorEnded { name, end } => self.end_executor(&name, &end, now, transitions),
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
                self.close(&code, APP, now, transitions);
                false
            }
            Event::MainThreadEnded { left } => {
                self.exiting.get_or_insert((now + EXIT_GRACE, left));
                false
            }
            Event::AgentThreadDied { thread, message } => {
                self.open(Reason::new(Code::AgentFault, &thread, &message), now, transitions);
                false
            }
            Event::StopAnnounced => {
                self.stopping = true;
                false
            }
        }
    }

    fn report(&mut self, reason: Reason, now: Awake, transitions: &mut Vec<Transition>) -> bool {
        match self.find_open(&reason.code, APP) {
            // Said anew in other words it is still the same trouble.
            Some(episode) if episode.reason != reason => episode.reason = reason,
            Some(_) => return false,
            None => self.open(reason, now, transitions),
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
            // The first one stays: those that follow are as a rule of its making.
            let reason = Reason::new(Code::CallbackException, APP, message);
            self.open(reason.with_traceback(traceback), now, transitions);
        }
    }

    fn enter_loop(&mut self, now: Awake) -> bool {
        // A loop that was left on purpose and is entered anew is watched anew.
        if self.main_loop == Loop::Exited && !self.is_open(&Code::MainLoopExited) {
            self.main_loop = Loop::Live;
            self.stopping = false;
            self.resumed = now;
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
            self.open(Reason::new(Code::MainLoopExited, MAIN_LOOP, &message), now, out);
        }
        true
    }

    fn end_executor(&mut self, name: &str, end: &ExecutorEnd, now: Awake, out: &mut Vec<Transition>) -> bool {
        let (stopping, Some(executor)) = (self.stopping, find(&mut self.executors, name)) else {
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
            self.open(Reason::new(code, name, &message), now, out);
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
        let (stopping, Some(thread)) = (self.stopping, find(&mut self.threads, name)) else {
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
            self.open(
                Reason::new(Code::ThreadDied, name, &message).with_traceback(traceback),
                now,
                out,
            );
        }
        true
    }

    /// Opens and closes the reasons that only time makes.
    fn judge_time(&mut self, now: Awake, transitions: &mut Vec<Transition>) {
        let timing = self.timing(now);
        for code in [Code::StartupTimeout, Code::MainLoopStalled, Code::InterpreterHeld] {
            if timing.reason.as_ref() != Some(&code) {
                self.close(&code, MAIN_LOOP, now, transitions);
            }
        }
        if let Some(code) = timing.reason {
            let message = self.time_message(&code, now);
            self.open(Reason::new(code, MAIN_LOOP, &message), now, transitions);
        }
        let executors = self.judge_executors(now, transitions);
        let exiting = self.judge_exit(now, transitions);
        self.deadline = [timing.deadline, executors, exiting].into_iter().flatten().min();
    }

    /// Returns when an executor could next count as stalled.
    fn judge_executors(&mut self, now: Awake, transitions: &mut Vec<Transition>) -> Option<Awake> {
        let limit = self.config.executor_stall?;
        let mut next: Option<Awake> = None;
        for executor in std::mem::take(&mut self.executors) {
            let waiting = executor.state.is_ok() && executor.load.is_some_and(|load| load.queued > 0);
            let due = executor.progress + limit;
            if waiting && !self.stopping && now >= due {
                let queued = executor.load.map_or(0, |load| load.queued);
                let idle = seconds(now.since(executor.progress));
                let message = format!(
                    "{} {:?} has finished nothing for {idle}, and {queued} are queued",
                    executor.kind, executor.name
                );
                self.open(
                    Reason::new(Code::ExecutorStalled, &executor.name, &message),
                    now,
                    transitions,
                );
            } else {
                self.close(&Code::ExecutorStalled, &executor.name, now, transitions);
                if waiting && !self.stopping {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
            self.executors.push(executor);
        }
        next
    }

    /// Returns when a process that is to end could next count as one that does not.
    fn judge_exit(&mut self, now: Awake, transitions: &mut Vec<Transition>) -> Option<Awake> {
        let (due, left) = self.exiting.as_ref().filter(|_| !self.stopping)?;
        if now < *due {
            return Some(*due);
        }
        let message = format!("the main thread ended, and the process is kept alive by {left}");
        self.open(
            Reason::new(Code::AppExiting, "process", &message),
            now,
            transitions,
        );
        None
    }

    fn timing(&mut self, now: Awake) -> Timing {
        const SILENT: Timing = Timing {
            reason: None,
            deadline: None,
        };
        if self.stopping || self.main_loop != Loop::Live {
            return SILENT;
        }
        let believed_until = self.pauses.iter().map(|pause| pause.until).min();
        let Some(last_beat) = self.last_beat else {
            // After a pause the first beat gets as long as any other.
            let resumed = if self.resumed > Awake::default() {
                self.resumed + self.config.stall_after
            } else {
                self.resumed
            };
            let due = Awake::at(self.config.startup)
                .max(resumed)
                .max(believed_until.unwrap_or_default());
            return if now < due {
                Timing {
                    reason: None,
                    deadline: Some(due),
                }
            } else {
                Timing {
                    reason: Some(Code::StartupTimeout),
                    deadline: None,
                }
            };
        };
        let due =
            (last_beat.max(self.resumed) + self.config.stall_after).max(believed_until.unwrap_or_default());
        let stalled = self.is_open(&Code::MainLoopStalled) || self.is_open(&Code::InterpreterHeld);
        if now < due {
            if !stalled {
                self.recovering = None;
                return Timing {
                    reason: None,
                    deadline: Some(due),
                };
            }
            let opened = self.stall_opened();
            if last_beat <= opened {
                // Not a beat but a pause moved the deadline: what has stalled stays so until it beats.
                return Timing {
                    reason: self.open_stall(),
                    deadline: Some(due),
                };
            }
            let first = *self.recovering.get_or_insert(last_beat);
            let over = first + self.config.recovery();
            if last_beat >= over {
                self.recovering = None;
                return Timing {
                    reason: None,
                    deadline: Some(due),
                };
            }
            let reason = self.open_stall();
            return Timing {
                reason,
                deadline: Some(if now < over { over } else { due }),
            };
        }
        self.recovering = None;
        let stalled_until = |deadline| Timing {
            reason: Some(Code::MainLoopStalled),
            deadline,
        };
        let Some(tick) = self.canary else {
            return stalled_until(None);
        };
        let stale = tick + self.config.canary_fresh();
        if now >= stale {
            self.freed = None;
            return Timing {
                reason: Some(Code::InterpreterHeld),
                deadline: None,
            };
        }
        if self.is_open(&Code::InterpreterHeld) {
            // The lock is free again, and the loop gets a moment to show that it was only that.
            let due = *self.freed.get_or_insert(now) + self.config.canary_fresh();
            if now < due {
                return Timing {
                    reason: Some(Code::InterpreterHeld),
                    deadline: Some(due.min(stale)),
                };
            }
        }
        stalled_until(Some(stale))
    }

    /// The stall that holds.
    fn open_stall(&self) -> Option<Code> {
        [Code::InterpreterHeld, Code::MainLoopStalled]
            .into_iter()
            .find(|code| self.is_open(code))
    }

    /// When it began.
    fn stall_opened(&self) -> Awake {
        let stalls = self
            .open
            .iter()
            .filter(|episode| matches!(episode.reason.code, Code::InterpreterHeld | Code::MainLoopStalled));
        stalls.map(|episode| episode.opened).min().unwrap_or_default()
    }

    fn time_message(&self, code: &Code, now: Awake) -> String {
        let silent = seconds(now.since(self.last_beat.unwrap_or_default()));
        let paused = self.pauses.iter().find(|pause| now >= pause.until);
        match (code, paused) {
            (Code::StartupTimeout, _) => {
                format!("no first beat within {}", seconds(self.config.startup))
            }
            (Code::InterpreterHeld, _) => {
                format!("no Python code has run for about {silent}: native code holds the interpreter lock")
            }
            (_, Some(pause)) => format!(
                "no beat for {silent}, and the declared pause {:?} is overdue",
                pause.what
            ),
            _ => format!("no beat for {silent}"),
        }
    }

    fn main_loop_state(&self) -> CheckState {
        match self.main_loop {
            Loop::Crashed => CheckState::Crashed,
            Loop::Exited => CheckState::Ended,
            Loop::Live if self.is_open(&Code::MainLoopStalled) => CheckState::Stalled,
            Loop::Live if self.is_open(&Code::InterpreterHeld) => CheckState::Held,
            Loop::Live if !self.pauses.is_empty() => CheckState::Paused,
            Loop::Live if self.last_beat.is_none() => CheckState::Waiting,
            Loop::Live => CheckState::Ok,
        }
    }

    fn paused(&self) -> Option<Paused> {
        let unusable = self.pauses.iter().find(|pause| !pause.usable);
        let pause = unusable.or_else(|| self.pauses.first())?;
        Some(Paused {
            what: pause.what.clone(),
            usable: pause.usable,
        })
    }

    fn settle_status(&mut self, now: Awake, transitions: &mut Vec<Transition>) {
        let to = if !self.open.is_empty() {
            Status::Degraded
        } else if self.stopping {
            Status::Stopping
        } else if self.last_beat.is_none() {
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

    fn is_open(&self, code: &Code) -> bool {
        self.open.iter().any(|episode| episode.reason.code == *code)
    }

    /// Opens an episode unless this code already holds for this component.
    fn open(&mut self, reason: Reason, now: Awake, transitions: &mut Vec<Transition>) {
        let known = |episode: &Episode| {
            episode.reason.code == reason.code && episode.reason.component == reason.component
        };
        if self.open.len() >= MAX_OPEN || self.open.iter().any(known) {
            return;
        }
        self.episodes += 1;
        let episode = Episode {
            number: self.episodes,
            reason,
            opened: now,
            closed: None,
        };
        transitions.push(Transition::Opened(episode.clone()));
        self.open.push(episode);
    }

    fn find_open(&mut self, code: &Code, component: &str) -> Option<&mut Episode> {
        let known =
            |episode: &&mut Episode| episode.reason.code == *code && episode.reason.component == component;
        self.open.iter_mut().find(known)
    }

    fn close(&mut self, code: &Code, component: &str, now: Awake, transitions: &mut Vec<Transition>) {
        let holds = |episode: &Episode| episode.reason.code == *code && episode.reason.component == component;
        let Some(index) = self.open.iter().position(holds) else {
            return;
        };
        let mut episode = self.open.remove(index);
        episode.closed = Some(now);
        transitions.push(Transition::Closed(episode.clone()));
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(episode);
    }
}

fn watch(list: &mut Vec<Watched>, name: String, kind: String, now: Awake) -> bool {
    let fresh = Watched::new(name, kind, now);
    // The same name again is a new thing in the old one's place: a pool that was rebuilt.
    if let Some(old) = find(list, &fresh.name) {
        *old = fresh;
        return true;
    }
    // The oldest that have ended make room; what they were a reason for is told elsewhere.
    if list.len() >= MAX_WATCHED
        && let Some(ended) = list.iter().position(|watched| !watched.state.is_ok())
    {
        list.remove(ended);
    }
    if list.len() < MAX_WATCHED {
        list.push(fresh);
    }
    true
}

fn find<'a>(list: &'a mut [Watched], name: &str) -> Option<&'a mut Watched> {
    list.iter_mut().find(|watched| watched.name == name)
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}
