//! `run.json`, what a run of `live_gui` leaves: the schema `livegui/run/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process_id::ProcessId;
use super::words::GenerationState;

/// `run.json`: what became of every process of a run, and which file got which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// `livegui/run/1`.
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
    /// What its app is called, if the tests have several: each has a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The pytest-xdist worker that drives it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The file with what its pytest did (`EventLine`s), relative to the run's folder.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPointer {
    /// `livegui/run-pointer/1`.
    pub schema: String,
    /// The process that drives the run.
    pub process: ProcessId,
    /// The run's folder.
    pub folder: String,
}

/// One process behind a `live_gui` handle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// How it is, or how it ended.
    pub state: GenerationState,
    /// Why it is in that state, if it is not a good one.
    pub why: Option<String>,
    /// The test that is blamed for it.
    pub culprit: Option<Culprit>,
    /// The test that ended it, if that was on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndOnPurpose>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateChange {
    /// When it was noticed, in milliseconds since the epoch.
    pub at_ms: u64,
    /// As [`GenerationRecord::state`].
    pub state: GenerationState,
    /// As [`GenerationRecord::why`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An end that a test had declared (`live_gui.expect_exit()`, `live_gui.expect_degraded()`,
/// `@pytest.mark.live_gui_ends_app`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndOnPurpose {
    /// Its pytest node id.
    pub test: String,
    /// How it ended, and what is wrong with that, if something is.
    pub how: String,
}

/// The test during which, or after which, a process degraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Culprit {
    /// Its pytest node id.
    pub test: String,
    /// It was not running any more when the process degraded: the blame is an inference.
    pub inferred: bool,
}

/// A file that started on a process it did not inherit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
