//! `run.json`, the record of a run of `live_gui`: the schema `livegui/run/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process_id::ProcessId;
use super::words::GenerationState;

/// `run.json`: what happened to each process of a run, and which file used which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// `livegui/run/1`.
    pub schema: String,
    /// The run's name, which is the name of its folder.
    pub run: String,
    /// The process that drives the run (pytest's).
    pub pid: u32,
    /// The process by an identity that is never reused; null in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// The session of pytest-xdist that it belongs to, if any; each of its workers has its own run.
    #[serde(default)]
    pub session: Option<String>,
    /// The name of its app, if the tests have several; each has its own run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The pytest-xdist worker that drives it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The file that records what its pytest did (`EventLine`s), relative to the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    /// Wall time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// Wall time of the end; null while the run goes on, and if it was killed.
    pub ended_at: Option<String>,
    /// Every process, in order.
    pub generations: Vec<GenerationRecord>,
    /// Which files started on a fresh process, and why.
    pub notes: Vec<Note>,
    /// Other remarks on this run, for people.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// Names the folder of a running run: a file `run-*.json` in the user's runtime folder, which exists while the run
/// does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPointer {
    /// `livegui/run-pointer/1`.
    pub schema: String,
    /// The process that drives the run.
    pub process: ProcessId,
    /// The run's folder; its `file://` URL if its name is no text.
    pub folder: String,
}

/// One process behind a `live_gui` handle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GenerationRecord {
    /// 1 for the first.
    pub generation: u32,
    /// Its process.
    pub pid: u32,
    /// The process by an identity that is never reused; null in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// The command line it was started with.
    pub command: Vec<String>,
    /// Its folder; a `file://` URL if its name is no text.
    pub folder: String,
    /// Time from start to `ok`; null if it was never `ok`.
    pub ready_ms: Option<u64>,
    /// Its state, or how it ended.
    pub state: GenerationState,
    /// Why it is in that state, if that is a bad one.
    pub why: Option<String>,
    /// The test that is blamed for that.
    pub culprit: Option<Culprit>,
    /// The test that ended it on purpose, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndOnPurpose>,
    /// When it was started, in milliseconds since the epoch; null in the record of an older version, as below.
    #[serde(default)]
    pub started_at_ms: Option<u64>,
    /// When it ended or was ended, as far as known, in milliseconds since the epoch; null while it runs.
    #[serde(default)]
    pub ended_at_ms: Option<u64>,
    /// Its states, in order; at most 64.
    #[serde(default)]
    pub states: Vec<StateChange>,
}

/// A state of a process, and since when.
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
    /// How the app ended, and what is wrong with that, if anything.
    pub how: String,
}

/// The test during which, or after which, a process degraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Culprit {
    /// Its pytest node id.
    pub test: String,
    /// The test was no longer running when the process degraded, so the blame is inferred.
    pub inferred: bool,
}

/// A file that started on a fresh process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// The test file.
    pub file: String,
    /// The first test in it that used the process.
    pub test: String,
    /// The number of the process.
    pub generation: u32,
    /// Why it is a fresh one.
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
