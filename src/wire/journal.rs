//! The heartbeat log that an agent keeps: the schema `livegui/journal/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::{CaughtException, ExecutorCheck, FrameMs, Reason, ThreadCheck};
use super::words::Status;

/// A line of the journal. Times are milliseconds on the monotonic clock since the agent started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum JournalLine {
    /// The first line of a file.
    Header(JournalHeader),
    /// Something changed.
    Transition(JournalTransition),
    /// The last line, if the agent was stopped normally.
    End(JournalEnd),
    /// One line a second.
    Beats(JournalBeats),
}

/// The agent whose journal it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalHeader {
    /// `livegui/journal/1`.
    pub schema: String,
    /// The app's process.
    pub pid: u32,
    /// The app's name.
    pub app: String,
    /// As in `instance` in `/health`.
    pub instance: String,
    /// Wall time of the agent's start, RFC 3339 in UTC; `t_ms` counts from here.
    pub started_at: String,
    /// As in `Observer::parent`.
    #[serde(default)]
    pub parent: String,
    /// As in `Observer::runtime_dir`.
    #[serde(default)]
    pub runtime_dir: String,
}

/// The beats of the last second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalBeats {
    /// When.
    pub t_ms: u64,
    /// The status of the whole app.
    pub status: Status,
    /// Beats since the previous line.
    pub beats: u64,
    /// The time between them; null if there were none.
    pub frame_ms: Option<FrameMs>,
    /// Journal lines so far that could not be written.
    pub dropped: u64,
    /// Watched executors; absent if unchanged since the previous line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<Vec<ExecutorCheck>>,
    /// Watched threads; absent if unchanged since the previous line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<Vec<ThreadCheck>>,
}

/// A reason that began or stopped holding, or a new status of the whole app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalTransition {
    /// When.
    pub t_ms: u64,
    /// `opened`, `closed`, `status` or `exception`.
    pub event: String,
    /// The status of the whole app from now on.
    pub status: Status,
    /// The reason, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The exception, if one was caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<CaughtException>,
}

/// The last line of an agent that knew that it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEnd {
    /// When.
    pub t_ms: u64,
    /// `clean`, or why the app ends itself.
    pub end: String,
}
