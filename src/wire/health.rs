//! The answer of an agent: the schema `livegui/health/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{CheckState, JournalState, Status};

/// The answer of `/health`, and of `agent.health()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `livegui/health/1`.
    pub schema: String,
    /// The status of the whole app.
    pub status: Status,
    /// Counts changes. Send it back as `after=` to wait for the next one.
    pub seq: u64,
    /// Random, new for every agent.
    pub instance: String,
    /// The app's process.
    pub pid: u32,
    /// The app's name, as the app gave it.
    pub app: String,
    /// Wall time of the agent's start, RFC 3339 in UTC.
    pub started_at: String,
    /// Observed-awake time since the agent started.
    pub uptime_ms: u64,
    /// Time since the status changed.
    pub since_ms: u64,
    /// Why the app is degraded, oldest first; empty if and only if it is not.
    pub reasons: Vec<Reason>,
    /// The state of each part.
    pub checks: Checks,
    /// How well the agent itself could observe.
    pub observer: Observer,
    /// Reasons that no longer hold, latest last.
    pub history: Vec<Reason>,
    /// Exceptions that a toolkit, a thread or the interpreter caught while the app went on, latest last; at most
    /// 32.
    #[serde(default)]
    pub exceptions: Vec<CaughtException>,
}

/// An exception that left the app's own code and did not end its main loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaughtException {
    /// Its number, from 1.
    pub number: u64,
    /// What caught it: `gui`, `asyncio`, `thread`, `task`, `unraisable` or `wake` (the function that wakes the main
    /// loop raised). `toolkit`: an error that the toolkit itself reported.
    pub source: String,
    /// `file:line in function` of the innermost frame of the app's own code.
    pub place: String,
    /// `Type: text`.
    pub message: String,
    /// How often it was raised. Not every time changes `seq`.
    pub count: u64,
    /// Time since it was first raised.
    pub since_ms: u64,
    /// Time since it was last raised.
    pub newest_ms: u64,
    /// The traceback of the first.
    #[serde(default)]
    pub detail: Detail,
}

/// A reason that holds, or held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// A reason code.
    pub code: String,
    /// `main_loop`, or the name of something watched.
    pub component: String,
    /// Whether it clears itself or can be cleared.
    pub recoverable: bool,
    /// Its number.
    pub episode: u64,
    /// Time since it began.
    pub since_ms: u64,
    /// How long it held; only in `history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted_ms: Option<u64>,
    /// One line for people.
    pub message: String,
    /// Details, if there are any.
    #[serde(default)]
    pub detail: Detail,
}

impl Reason {
    /// `code: message`, which names a reason on one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }
}

/// Details that do not fit on a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// The Python traceback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

/// The state of each part of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MainLoopCheck {
    /// `waiting`, `ok`, `not_watched` (its beats cannot be seen), `paused`, `stalled`, `held`, `crashed` or `ended`.
    pub state: CheckState,
    /// Beats since the start.
    pub beats: u64,
    /// Observed-awake time since the last beat; null before the first.
    pub age_ms: Option<u64>,
    /// The wait that the app has declared, while it lasts.
    #[serde(default)]
    pub paused: Option<Paused>,
    /// What is open on top of the main window: dialogs, grabs, nested loops. Also empty if the toolkit does not
    /// report it.
    #[serde(default)]
    pub left_open: Vec<String>,
    /// Where Python's main thread is, innermost frame first: `wait (app.py:7), called by main (app.py:9)`. Only
    /// while no beat comes and somebody waits for one, or none has come for half of `stall_after_ms`. Null while
    /// native code holds the interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Time between beats since the start, in milliseconds.
    pub frame_ms: FrameMs,
}

impl MainLoopCheck {
    /// Whether anything is known of the loop: its beats can be seen, or are still to come.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.state != CheckState::NotWatched
    }
}

/// A wait that the app declared with `paused()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// What the app waits for.
    pub what: String,
    /// Whether users can use the app meanwhile.
    pub usable: bool,
}

/// Statistics of the time between beats, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrameMs {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// The Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterpreterCheck {
    /// `waiting`, `ok` or `held`.
    pub state: CheckState,
    /// Observed-awake time since the canary ran; null before it first ran.
    pub canary_age_ms: Option<u64>,
    /// The total time for which the canary has waited to run since the start: for the interpreter lock, or for
    /// a processor.
    #[serde(default)]
    pub starved_ms: u64,
    /// How many checks of the watched threads and executors the canary has begun.
    #[serde(default)]
    pub looks: u64,
    /// The number of the last of these that was complete while somebody waited for it (`look_after=`). Its findings
    /// are in this answer.
    #[serde(default)]
    pub looked: u64,
}

/// A watched executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutorCheck {
    /// The name it is watched under.
    pub name: String,
    /// Its Python type.
    pub kind: String,
    /// `ok`, `shutdown`, `broken` or `gone`.
    pub state: CheckState,
    /// Work items that no worker has taken yet; null until first checked.
    pub queued: Option<u64>,
    /// Worker threads or processes; null until first checked.
    pub workers: Option<u64>,
    /// How long work has been queued without any being known to have finished; null while none is queued.
    #[serde(default)]
    pub queued_for_ms: Option<u64>,
}

/// A watched thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadCheck {
    /// The name it is watched under.
    pub name: String,
    /// `alive` or `ended`.
    pub state: CheckState,
}

/// The heartbeat log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalCheck {
    /// Whether it is written.
    pub state: JournalState,
    /// Lines that could not be written.
    pub dropped: u64,
}

/// How well the agent could observe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Observer {
    /// Spans in which the agent itself did not run. Nothing ages during them.
    pub gaps: u64,
    /// The length of the last gap.
    pub last_gap_ms: u64,
    /// Messages that found the monitor's inbox full.
    #[serde(default)]
    pub dropped: u64,
    /// The test run that this app must end with: `none`, `watched`, or `not watched: ` and why.
    #[serde(default)]
    pub parent: String,
    /// Why the user's runtime folder is not used, and what is used instead; usually empty.
    #[serde(default)]
    pub runtime_dir: String,
}
