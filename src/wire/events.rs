//! `events.jsonl`, what a pytest does: the schema `livegui/events/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::TestOutcome;

/// What a pytest does, for whoever follows it from outside: an append-only file of one JSON a line, which
/// is whole up to the moment at which the process is killed. Under pytest-xdist every worker writes into
/// the same file.
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
    /// It begins. Of each worker, and of the process that runs alone; not of xdist's controller.
    SessionStarted {
        /// `livegui/events/1`.
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestResult {
    /// Its node id.
    pub test: String,
    /// How it ended.
    pub outcome: TestOutcome,
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
