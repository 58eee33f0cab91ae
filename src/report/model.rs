//! What a report shows, as the page receives it: times in milliseconds since the report's zero, text made
//! printable.

use serde::{Serialize, Serializer};

use crate::wire::{GenerationState, TestOutcome};

/// `schema` of [`Report`].
pub const REPORT_SCHEMA: &str = "livegui/report/1";

/// A complete run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// `livegui/report/1`.
    pub schema: &'static str,
    /// The run's name.
    pub run: String,
    /// The start of all times, in milliseconds since the epoch.
    pub zero_ms: u64,
    /// The time from there to the end, or to now.
    pub span: f64,
    /// Its progress.
    pub state: RunState,
    /// The result in one sentence.
    pub sentence: String,
    /// Whether it needs attention.
    pub bad: bool,
    /// One for each pytest process that ran tests: an xdist worker, or a process of a batch.
    pub groups: Vec<Group>,
    /// Every collected test, in the order of starting; those that never started come last.
    pub tests: Vec<Test>,
    /// The files, in the order of their first tests.
    pub files: Vec<File>,
    /// Other remarks, for people.
    pub remarks: Vec<String>,
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It is in progress.
    Running,
    /// It is over.
    #[default]
    Finished,
    /// Its process is gone, but did not record its end.
    Killed,
    /// Whether its process exists cannot be told.
    Unknown,
}

/// The state of a test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TestState {
    /// It never started.
    #[default]
    NotRun,
    /// It has started, and its pytest still runs.
    Running,
    /// Its pytest ended during it.
    Lost,
    /// It ended.
    Ended(TestOutcome),
}

impl TestState {
    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotRun => "not_run",
            Self::Running => "running",
            Self::Lost => "lost",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }

    /// Whether there is nothing to read about it: it passed as expected, was skipped or never started.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        match self {
            Self::NotRun => true,
            Self::Running | Self::Lost => false,
            Self::Ended(outcome) => outcome.is_good() && !matches!(outcome, TestOutcome::Xpassed),
        }
    }
}

impl Serialize for TestState {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// One pytest process.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// As [`Report::state`].
    pub state: RunState,
    /// How it ended, if that is known.
    pub end: Option<String>,
    /// The apps, in order.
    pub processes: Vec<Process>,
}

/// What the main loop did up to a point in time: that time; the median, the 99th percentile and the longest of its
/// frame times in milliseconds (`None` if there was no frame); the number of beats.
pub type Frames = (f64, Option<f64>, Option<f64>, Option<f64>, u64);

/// One app process.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Process {
    /// Its number within its handle.
    pub generation: u32,
    /// Its process id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// When it was started.
    pub start: f64,
    /// When it ended; null while it runs, or if nobody saw its end.
    pub end: Option<f64>,
    /// Time from start to `ok`.
    pub ready_ms: Option<u64>,
    /// The last of `states`.
    pub state: GenerationState,
    /// Why it is in that state.
    pub why: Option<String>,
    /// Why it was started, if it is not the first.
    pub because: Option<String>,
    /// The test that is blamed for its end, as an index into the tests.
    pub culprit: Option<usize>,
    /// The name of that test, even if it is not known here.
    pub culprit_name: Option<String>,
    /// The test was no longer running, so the blame is inferred.
    pub inferred: bool,
    /// Its states.
    pub states: Vec<State>,
    /// Its main loop, second by second.
    pub frames: Vec<Frames>,
    /// Spans in which something was wrong.
    pub episodes: Vec<Episode>,
    /// Watched executors and threads.
    pub parts: Vec<Part>,
    /// How its journal ended: `clean`, or why the app ended itself.
    pub last_words: Option<String>,
    /// The end of its standard error, if it did not end well.
    pub stderr: Option<String>,
    /// The stacks of its threads.
    pub stacks: Option<String>,
    /// The last answer of its agent while the app was not well, as JSON.
    pub health: Option<String>,
    /// More files, as `(name, URL relative to the page)`.
    pub files: Vec<(String, String)>,
}

/// A state, and since when.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(clippy::struct_field_names, reason = "it is what the records call it")]
pub struct State {
    /// When it began.
    pub at: f64,
    /// The state.
    pub state: GenerationState,
    /// The reason.
    pub why: Option<String>,
}

/// A span, or a moment, in which something was wrong.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Episode {
    /// When it began.
    pub at: f64,
    /// When it stopped; null if it never did.
    pub end: Option<f64>,
    /// A reason code, or `callback_exception`.
    pub code: String,
    /// The part of the app.
    pub component: String,
    /// The message, on one line.
    pub message: String,
    /// The traceback, if there is one.
    pub traceback: Option<String>,
}

/// A watched executor or thread.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its Python type, or `thread`.
    pub kind: String,
    /// `(t, state, queued)` after each change.
    pub states: Vec<(f64, String, Option<u64>)>,
}

/// One test.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Test {
    /// An index into the files.
    pub file: usize,
    /// The node id without the file.
    pub name: String,
    /// An index into the groups; null if it never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// How it ended, if it did.
    pub outcome: TestState,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Its duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took: Option<f64>,
    /// The process that it ran on, as an index into those of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<usize>,
    /// The test that is blamed, for a victim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culprit: Option<usize>,
    /// The processes that it is blamed for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub took_down: Vec<usize>,
    /// The text of its failure, or why it was skipped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How many times it was run before.
    #[serde(skip_serializing_if = "is_zero")]
    pub reruns: u32,
    /// The line in its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The command that runs it alone; only for tests that did not pass.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reproduce: String,
    /// Pictures of the app: `data:` URLs, or relative URLs of pictures that are too large.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One test file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct File {
    /// Its path relative to pytest's root.
    pub name: String,
    /// `fresh process (generation 2): why`, for each process on which it started fresh.
    pub notes: Vec<String>,
}
