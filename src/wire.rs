//! What goes over the wire and onto the disk: one schema for both sides.
//!
//! Readers ignore fields they do not know, so that an older test side reads a newer agent.

use serde::{Deserialize, Serialize};

/// `schema` of [`Health`].
pub const HEALTH_SCHEMA: &str = "livegui/health/1";
/// `schema` of [`Discovery`].
pub const DISCOVERY_SCHEMA: &str = "livegui/agent/1";
/// `schema` of [`RunRecord`].
pub const RUN_SCHEMA: &str = "livegui/run/1";
/// Name of the discovery file in a run folder.
pub const DISCOVERY_FILE: &str = "agent.json";
/// Name of the journal in a run folder.
pub const JOURNAL_FILE: &str = "heartbeat.jsonl";
/// `schema` of [`RunPointer`].
pub const RUN_POINTER_SCHEMA: &str = "livegui/run-pointer/1";
/// `schema` of [`JournalHeader`].
pub const JOURNAL_SCHEMA: &str = "livegui/journal/1";
/// `schema` of [`Event::SessionStarted`].
pub const EVENTS_SCHEMA: &str = "livegui/events/1";
/// Name of the run record in a run's folder.
pub const RUN_FILE: &str = "run.json";
/// Name of the file in a generation's folder with what its agent said last while it was not well: a [`Health`].
pub const HEALTH_FILE: &str = "health.json";
/// Name of the file with what a pytest did, [`EventLine`]s, in a run's folder.
pub const EVENTS_FILE: &str = "events.jsonl";

/// What the name of the file has more that asks a pytest to end after the running test.
pub const STOP_SUFFIX: &str = ".stop";

/// Environment that the test side hands the app, or a pytest.
pub mod env {
    /// `0` makes the agent inert.
    pub const SWITCH: &str = "LIVEGUI";
    /// Where the discovery file goes.
    pub const RUN_DIR: &str = "LIVEGUI_RUN_DIR";
    /// A fresh, empty folder for the app's own state.
    pub const STATE_DIR: &str = "LIVEGUI_STATE_DIR";
    /// The port that the app's hook server is to listen on.
    pub const HOOK_PORT: &str = "LIVEGUI_HOOK_PORT";
    /// The process that drives the run, a [`ProcessId`](super::ProcessId) as JSON: when it is gone, the app is
    /// to end, or the pytest.
    pub const PARENT: &str = "LIVEGUI_PARENT";
    /// A file to which a pytest appends what it does, an [`Event`](super::Event) a line; if there is one
    /// of that name with [`STOP_SUFFIX`](super::STOP_SUFFIX), it is to end after the running test.
    pub const EVENTS: &str = "LIVEGUI_EVENTS";
    /// Set, and not empty, for what a followed pytest starts: a pytest that one of its tests runs is not
    /// followed.
    pub const FOLLOWED: &str = "LIVEGUI_FOLLOWED";
    /// A file with the node ids, a JSON list, that a followed pytest is to run of those it collects.
    pub const ONLY: &str = "LIVEGUI_ONLY";
    /// The endpoint's port.
    pub const PORT: &str = "LIVEGUI_PORT";
    /// The endpoint's token.
    pub const TOKEN: &str = "LIVEGUI_TOKEN";
    /// How long the loop may go without a beat.
    pub const STALL_AFTER_MS: &str = "LIVEGUI_STALL_AFTER_MS";
    /// How long it may take to the first beat.
    pub const STARTUP_MS: &str = "LIVEGUI_STARTUP_MS";
    /// How long queued work may go without any being finished.
    pub const EXECUTOR_STALL_MS: &str = "LIVEGUI_EXECUTOR_STALL_MS";
    /// `degrade` makes the app degraded by a callback that raises; `note` and `fail` are for the test side.
    pub const CALLBACK_ERRORS: &str = "LIVEGUI_CALLBACK_ERRORS";
    /// Whether and where a journal is kept.
    pub const JOURNAL: &str = "LIVEGUI_JOURNAL";
}

/// Names a process for good: a number alone comes to stand for another one, and a time on the wall clock is
/// another one after that was set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When the system says it was started, in the system's own unit (ticks since the boot on Linux,
    /// microseconds on macOS, the creation FILETIME on Windows); null if that could not be seen.
    pub start: Option<u64>,
    /// The id of the boot on Linux; empty elsewhere.
    #[serde(default)]
    pub boot: String,
    /// Within which the number and the start mean something, on Linux; empty elsewhere.
    #[serde(default)]
    pub namespace: String,
    /// What the machine calls itself.
    #[serde(default)]
    pub host: String,
}

/// The answer of `/health`, and of `agent.health()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// [`HEALTH_SCHEMA`].
    pub schema: String,
    /// `starting`, `ok`, `degraded` or `stopping`.
    pub status: String,
    /// Counts changes; hand it back as `after=` to be told of the next one.
    pub seq: u64,
    /// Random, new for every agent.
    pub instance: String,
    /// The app's process.
    pub pid: u32,
    /// The app's name, as it gave it.
    pub app: String,
    /// Wall time of the agent's start, RFC 3339 in UTC.
    pub started_at: String,
    /// Observed-awake time since then.
    pub uptime_ms: u64,
    /// Since the status changed.
    pub since_ms: u64,
    /// Why the app is degraded, the oldest first; empty if and only if it is not.
    pub reasons: Vec<Reason>,
    /// The parts, one by one.
    pub checks: Checks,
    /// How well the agent itself could observe.
    pub observer: Observer,
    /// Reasons that held and no longer do, the latest last.
    pub history: Vec<Reason>,
    /// Exceptions that a toolkit, a thread or the interpreter caught while the app went on, the newest last; at most 32.
    #[serde(default)]
    pub exceptions: Vec<CaughtException>,
}

/// An exception that left the app's own code and did not end its main loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtException {
    /// Its number, from 1.
    pub number: u64,
    /// `gui`, `asyncio`, `thread`, `task` or `unraisable`.
    pub source: String,
    /// `file:line in function` of the innermost frame of the app's own code.
    pub place: String,
    /// `Type: text`.
    pub message: String,
    /// How often it came. Not every one changes `seq`.
    pub count: u64,
    /// Since it first came.
    pub since_ms: u64,
    /// Since it last came.
    pub newest_ms: u64,
    /// The traceback of the first.
    #[serde(default)]
    pub detail: Detail,
}

/// A reason that holds, or held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A reason code.
    pub code: String,
    /// `main_loop`, or the name of what was watched.
    pub component: String,
    /// Whether it clears itself or can be cleared.
    pub recoverable: bool,
    /// Its number.
    pub episode: u64,
    /// Since it began.
    pub since_ms: u64,
    /// How long it held; only in `history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted_ms: Option<u64>,
    /// One line for a person.
    pub message: String,
    /// More, if there is more.
    #[serde(default)]
    pub detail: Detail,
}

impl Reason {
    /// `code: message`, the form in which one line names a reason.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }
}

/// What does not fit on a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The Python traceback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

/// The parts of the app, one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// The main loop.
    pub main_loop: MainLoopCheck,
    /// The Python interpreter.
    pub interpreter: InterpreterCheck,
    /// Watched executors.
    pub executors: Vec<ExecutorCheck>,
    /// Watched threads.
    pub threads: Vec<ThreadCheck>,
    /// The heartbeat log.
    pub journal: JournalCheck,
}

/// The main loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MainLoopCheck {
    /// `waiting`, `ok`, `paused`, `stalled`, `held`, `crashed` or `ended`.
    pub state: String,
    /// Beats since the start.
    pub beats: u64,
    /// Observed-awake time since the last beat; null before the first.
    pub age_ms: Option<u64>,
    /// The wait that the app declared, while it is in one.
    #[serde(default)]
    pub paused: Option<Paused>,
    /// What is open on top of the main window: dialogs, grabs, nested loops. Empty also where the toolkit
    /// does not tell.
    #[serde(default)]
    pub left_open: Vec<String>,
    /// Time between beats since the start, in milliseconds.
    pub frame_ms: FrameMs,
}

/// A wait that the app declared by `paused()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// What it waits for.
    pub what: String,
    /// Whether the app serves its users meanwhile.
    pub usable: bool,
}

/// Figures of the time between beats, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FrameMs {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// The Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterpreterCheck {
    /// `waiting`, `ok` or `held`.
    pub state: String,
    /// Observed-awake time since the canary ran; null before it first did.
    pub canary_age_ms: Option<u64>,
    /// How long the canary has waited to run since the start, all together: for the interpreter lock, or for
    /// a processor.
    #[serde(default)]
    pub starved_ms: u64,
}

/// A watched executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorCheck {
    /// The name it is watched under.
    pub name: String,
    /// Its Python type.
    pub kind: String,
    /// `ok`, `shutdown`, `broken` or `gone`.
    pub state: String,
    /// Work items that no worker has taken yet; null until first looked at.
    pub queued: Option<u64>,
    /// Worker threads or processes; null until first looked at.
    pub workers: Option<u64>,
    /// How long work has been queued without any being known to have finished; null while none is queued.
    #[serde(default)]
    pub queued_for_ms: Option<u64>,
}

/// A watched thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadCheck {
    /// The name it is watched under.
    pub name: String,
    /// `alive` or `ended`.
    pub state: String,
}

/// The heartbeat log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalCheck {
    /// `off` if none is kept, `ok`, or `failing` while lines cannot be written.
    pub state: String,
    /// Lines that could not be written.
    pub dropped: u64,
}

/// How well the agent could observe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observer {
    /// Spans in which the agent itself did not run; they age nothing.
    pub gaps: u64,
    /// The last of them.
    pub last_gap_ms: u64,
    /// Messages that found the monitor's inbox full.
    #[serde(default)]
    pub dropped: u64,
    /// The test run that this app is to end with: `none`, `watched`, or `not watched: ` and why.
    #[serde(default)]
    pub parent: String,
}

/// A line of the journal. Times are milliseconds on the monotonic clock since the agent started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JournalLine {
    /// The first line of a file.
    Header(JournalHeader),
    /// Something changed.
    Transition(JournalTransition),
    /// The last line, if the agent was stopped in good order.
    End(JournalEnd),
    /// One a second.
    Beats(JournalBeats),
}

/// Whose journal it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHeader {
    /// [`JOURNAL_SCHEMA`].
    pub schema: String,
    /// The app's process.
    pub pid: u32,
    /// The app's name.
    pub app: String,
    /// As in [`Health::instance`].
    pub instance: String,
    /// Wall time of the agent's start, RFC 3339 in UTC: the zero of every `t_ms`.
    pub started_at: String,
    /// As in [`Observer::parent`].
    #[serde(default)]
    pub parent: String,
}

/// The beats of the last second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalBeats {
    /// When.
    pub t_ms: u64,
    /// The word for the whole app.
    pub status: String,
    /// Beats since the line before.
    pub beats: u64,
    /// The time between them; null if there were none.
    pub frame_ms: Option<FrameMs>,
    /// Journal lines that could not be written so far.
    pub dropped: u64,
    /// Watched executors; absent if all are as in the line before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<Vec<ExecutorCheck>>,
    /// Watched threads; absent if all are as in the line before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<Vec<ThreadCheck>>,
}

/// A reason that began or ceased to hold, or a new word for the whole app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalTransition {
    /// When.
    pub t_ms: u64,
    /// `opened`, `closed`, `status` or `exception`.
    pub event: String,
    /// The word for the whole app from now on.
    pub status: String,
    /// The reason, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The exception, if one was caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<CaughtException>,
}

/// The last line of an agent that knew of its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEnd {
    /// When.
    pub t_ms: u64,
    /// `clean`, or why the app ends itself.
    pub end: String,
}

/// The discovery file: where the endpoint is and how to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// [`DISCOVERY_SCHEMA`].
    pub schema: String,
    /// The app's process.
    pub pid: u32,
    /// The same process, for good; null in the file of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Another one after the process re-executed itself; null where that cannot be told.
    #[serde(default)]
    pub program: Option<u64>,
    /// As in [`Health::instance`].
    pub instance: String,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// For `Authorization: Bearer`.
    pub token: String,
    /// Where the journal is, if one is kept.
    pub journal: Option<String>,
}

/// `run.json`: what became of every process of a run, and which file got which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`RUN_SCHEMA`].
    pub schema: String,
    /// The run's name, which is its folder's.
    pub run: String,
    /// The process that drives the run (pytest's).
    pub pid: u32,
    /// The same process, for good; null in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// The session of pytest-xdist that it is part of, if it is: its workers have a run each.
    #[serde(default)]
    pub session: Option<String>,
    /// The pytest-xdist worker that drives it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The file with what its pytest did ([`EventLine`]s), relative to the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    /// Wall time of its start, RFC 3339 in UTC.
    pub started_at: String,
    /// Wall time of its end; null while it goes on, and for ever if it was killed.
    pub ended_at: Option<String>,
    /// Every process, the first first.
    pub generations: Vec<GenerationRecord>,
    /// Which files started on a process they did not inherit, and why.
    pub notes: Vec<Note>,
    /// What else a person should know of this run.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// Where a run that goes on has its folder: a file `run-*.json` in the user's runtime folder, as long as it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPointer {
    /// [`RUN_POINTER_SCHEMA`].
    pub schema: String,
    /// The process that drives the run.
    pub process: ProcessId,
    /// The run's folder.
    pub folder: String,
}

/// One process behind a `live_gui` handle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// 1 for the first.
    pub generation: u32,
    /// Its process.
    pub pid: u32,
    /// The same process, for good; null in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// The command line it was started with.
    pub command: Vec<String>,
    /// Its folder.
    pub folder: String,
    /// Start to `ok`; null if it never was.
    pub ready_ms: Option<u64>,
    /// `starting`, `ready` (no test has got it yet), `ok`, `degraded`, `stopping`, `exited`, `unreachable`,
    /// or `ended` by us in good health.
    pub state: String,
    /// Why it is in that state, if it is not a good one.
    pub why: Option<String>,
    /// The test that is blamed for it.
    pub culprit: Option<Culprit>,
    /// When it was started, in milliseconds since the epoch; null in the record of an older version, as below.
    #[serde(default)]
    pub started_at_ms: Option<u64>,
    /// When it was known to have ended, or was ended, in milliseconds since the epoch; null while it runs.
    #[serde(default)]
    pub ended_at_ms: Option<u64>,
    /// Its states, the first first; at most 64.
    #[serde(default)]
    pub states: Vec<StateChange>,
}

/// A state of a process, from some moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// When it was noticed, in milliseconds since the epoch.
    pub at_ms: u64,
    /// As [`GenerationRecord::state`].
    pub state: String,
    /// As [`GenerationRecord::why`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The test during which, or after which, a process degraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Culprit {
    /// Its pytest node id.
    pub test: String,
    /// It was not running any more when the process degraded: the blame is an inference.
    pub inferred: bool,
}

/// A file that started on a process it did not inherit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The test file.
    pub file: String,
    /// The test in it that got the process first.
    pub test: String,
    /// The process's number.
    pub generation: u32,
    /// Why it is a new one.
    pub because: String,
}

impl Note {
    /// The line that reports show.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{}  fresh process (generation {}): {}",
            self.file, self.generation, self.because
        )
    }
}

/// What a pytest does, for whoever follows it from outside: an append-only file of one JSON a line, which
/// is whole up to the moment at which the process is killed. Under pytest-xdist every worker writes into
/// the same file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventLine {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// The xdist worker; null without xdist, and for its controller.
    pub worker: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened in a pytest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It begins. Of each worker, and of the process that runs alone; not of xdist's controller.
    SessionStarted {
        /// [`EVENTS_SCHEMA`].
        schema: String,
        /// The process.
        pid: u32,
        /// pytest's root folder, which node ids begin at.
        #[serde(default)]
        root: String,
    },
    /// A file, or what it holds, could not be collected.
    CollectionFailed {
        /// Its node id.
        node: String,
        /// What it said, cut as that of a test.
        message: String,
    },
    /// It knows its tests, in the order in which it would run them.
    Collected {
        /// Node ids.
        tests: Vec<String>,
    },
    /// Its `live_gui` fixture was set up.
    AppOpened {
        /// The folder of the run, with `run.json`.
        run_folder: String,
    },
    /// A test begins, its set-up included.
    TestStarted {
        /// Its node id.
        test: String,
    },
    /// A test has ended, its tear-down included.
    TestFinished(Box<TestResult>),
    /// It has ended in good order, or so far as pytest calls it that.
    SessionFinished {
        /// pytest's exit status.
        exit_status: i32,
    },
}

/// How a test ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Its node id.
    pub test: String,
    /// `passed`, `failed`, `error`, `victim`, `skipped`, `xfailed` or `xpassed`.
    pub outcome: String,
    /// All of its phases.
    pub duration_ms: f64,
    /// What it said: the failure in full, cut to 16 KiB, or why it was skipped.
    pub message: String,
    /// The test that is blamed, for a victim.
    pub culprit: Option<String>,
    /// The generation that it ran on; null if it does not use `live_gui`.
    pub generation: Option<u32>,
    /// How often it was run before that (pytest-rerunfailures).
    #[serde(default)]
    pub reruns: u32,
    /// The line of its file at which it begins, the first being 1.
    #[serde(default)]
    pub line: Option<u32>,
    /// Pictures of the app, taken when the test failed or ended: paths relative to the run's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub screenshots: Vec<String>,
}

/// The file that a node id, or a path that pytest takes, begins with.
#[must_use]
pub fn file_of(node: &str) -> &str {
    node.split_once("::").map_or(node, |(file, _)| file)
}
