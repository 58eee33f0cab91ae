//! `events.jsonl`, the record of what a pytest does: the schema `livegui/events/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::TestOutcome;

/// What a pytest does, for a program that follows it: an append-only file with one JSON object a line, complete up
/// to the moment at which the process is killed. Under pytest-xdist every worker writes into the same file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The session begins; for each worker and for a process that runs alone, but not for xdist's controller.
    SessionStarted {
        /// `livegui/events/1`.
        schema: String,
        /// The process.
        pid: u32,
        /// pytest's root folder, which node ids are relative to; its `file://` URL if its name is no text.
        #[serde(default)]
        root: String,
    },
    /// A file, or something in it, could not be collected.
    CollectionFailed {
        /// Its node id.
        node: String,
        /// The error, cut like the message of a test.
        message: String,
    },
    /// pytest has collected its tests, in the order in which it would run them.
    Collected {
        /// Node ids.
        tests: Vec<String>,
    },
    /// The fixture `live_gui` was set up.
    AppOpened {
        /// The folder of the run, with `run.json`; its `file://` URL if its name is no text.
        run_folder: String,
    },
    /// A test begins, including its set-up.
    TestStarted {
        /// Its node id.
        test: String,
    },
    /// A test has ended, including its tear-down.
    TestFinished(Box<TestResult>),
    /// The session has ended, as far as pytest itself can tell.
    SessionFinished {
        /// pytest's exit status.
        exit_status: i32,
    },
}

/// How a test ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestResult {
    /// Its node id.
    pub test: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// The duration of all its phases.
    pub duration_ms: f64,
    /// The failure in full, cut to 16 KiB, or why the test was skipped.
    pub message: String,
    /// The test that is blamed, for a victim.
    pub culprit: Option<String>,
    /// The generation on which it ran; null if it does not use `live_gui`.
    pub generation: Option<u32>,
    /// How many times it was run before (pytest-rerunfailures).
    #[serde(default)]
    pub reruns: u32,
    /// The line at which it begins in its file, counted from 1.
    #[serde(default)]
    pub line: Option<u32>,
    /// Pictures of the app, taken when the test failed or ended: paths relative to the run's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub screenshots: Vec<String>,
}
