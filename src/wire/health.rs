//! What an agent answers: the schema `livegui/health/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{CheckState, JournalState, Status};

/// The answer of `/health`, and of `agent.health()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `livegui/health/1`.
    pub schema: String,
    /// The word for the whole app.
    pub status: Status,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// The Python traceback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

/// The parts of the app, one by one.
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

impl MainLoopCheck {
    /// Whether anything is known of the loop: beats of it can be seen, or are to come.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.state != CheckState::NotWatched
    }
}

/// A wait that the app declared by `paused()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// What it waits for.
    pub what: String,
    /// Whether the app serves its users meanwhile.
    pub usable: bool,
}

/// Figures of the time between beats, in milliseconds.
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
    /// Observed-awake time since the canary ran; null before it first did.
    pub canary_age_ms: Option<u64>,
    /// How long the canary has waited to run since the start, all together: for the interpreter lock, or for
    /// a processor.
    #[serde(default)]
    pub starved_ms: u64,
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
    /// Work items that no worker has taken yet; null until first looked at.
    pub queued: Option<u64>,
    /// Worker threads or processes; null until first looked at.
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
    /// Whether it is kept.
    pub state: JournalState,
    /// Lines that could not be written.
    pub dropped: u64,
}

/// How well the agent could observe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Why the user's runtime folder is not used, and what is used instead; empty as a rule.
    #[serde(default)]
    pub runtime_dir: String,
}
