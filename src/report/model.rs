//! What a report shows, as the page gets it: times in milliseconds since the report's zero, text made visible.

use serde::{Serialize, Serializer};

use crate::wire::{GenerationState, TestOutcome};

/// `schema` of [`Report`].
pub const REPORT_SCHEMA: &str = "livegui/report/1";

/// The whole of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// `livegui/report/1`.
    pub schema: &'static str,
    /// The run's name.
    pub run: String,
    /// The zero of every time, in milliseconds since the epoch.
    pub zero_ms: u64,
    /// From there to the end, or to now.
    pub span: f64,
    /// How far it is.
    pub state: RunState,
    /// What it comes to.
    pub sentence: String,
    /// Whether somebody has to look at it.
    pub bad: bool,
    /// One a pytest process that ran tests: an xdist worker, a process of a batch.
    pub groups: Vec<Group>,
    /// Every test that was collected, in the order in which they began; those that never did come last.
    pub tests: Vec<Test>,
    /// The files, in the order of their first tests.
    pub files: Vec<File>,
    /// What else a person should know.
    pub remarks: Vec<String>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It goes on.
    Running,
    /// It is over.
    #[default]
    Finished,
    /// Its process is gone, and did not say goodbye.
    Killed,
    /// Whether its process is there cannot be told.
    Unknown,
}

/// How far a test is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TestState {
    /// It never began.
    #[default]
    NotRun,
    /// It has begun, and its pytest goes on.
    Running,
    /// Its pytest ended during it.
    Lost,
    /// It ended.
    Ended(TestOutcome),
}

impl TestState {
    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotRun => "not_run",
            Self::Running => "running",
            Self::Lost => "lost",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }

    /// Whether there is nothing to read about it: it passed as it should, was skipped or never began.
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
    /// What it is called.
    pub name: String,
    /// As [`Report::state`].
    pub state: RunState,
    /// How it ended, where that is known.
    pub end: Option<String>,
    /// The apps, the first first.
    pub processes: Vec<Process>,
}

/// What the main loop did until a moment: when that was; the median, the 99th percentile and the longest of its frame
/// times in milliseconds, `None` if there was no frame; its beats.
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
    /// When it ended; null while it runs, or if nobody saw it.
    pub end: Option<f64>,
    /// Start to `ok`.
    pub ready_ms: Option<u64>,
    /// The last of `states`.
    pub state: GenerationState,
    /// Why it is in that state.
    pub why: Option<String>,
    /// Why it is there at all, if it is not the first.
    pub because: Option<String>,
    /// The test that is blamed for its end, an index into the tests.
    pub culprit: Option<usize>,
    /// The same by name, also if that test is not known here.
    pub culprit_name: Option<String>,
    /// That is an inference: the test was not running any more.
    pub inferred: bool,
    /// Its states.
    pub states: Vec<State>,
    /// Its main loop, second by second.
    pub frames: Vec<Frames>,
    /// Spans in which something was wrong.
    pub episodes: Vec<Episode>,
    /// Executors and threads that are watched.
    pub parts: Vec<Part>,
    /// How its journal ended: `clean`, or why the app ended itself.
    pub last_words: Option<String>,
    /// The end of its standard error, if it did not end well.
    pub stderr: Option<String>,
    /// What its threads were at.
    pub stacks: Option<String>,
    /// What its agent said last while it was not well, as JSON.
    pub health: Option<String>,
    /// Files with more, `(name, URL relative to the page)`.
    pub files: Vec<(String, String)>,
}

/// A state from some moment on.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(clippy::struct_field_names, reason = "it is what the records call it")]
pub struct State {
    /// When it began.
    pub at: f64,
    /// Which.
    pub state: GenerationState,
    /// Why.
    pub why: Option<String>,
}

/// A span in which something was wrong, or a moment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Episode {
    /// When it began.
    pub at: f64,
    /// When it ceased; null if it never did.
    pub end: Option<f64>,
    /// A reason code, or `callback_exception`.
    pub code: String,
    /// What it is about.
    pub component: String,
    /// One line.
    pub message: String,
    /// The traceback, if there is one.
    pub traceback: Option<String>,
}

/// An executor or a thread that is watched.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its Python type, or `thread`.
    pub kind: String,
    /// `(t, state, queued)` from each change on.
    pub states: Vec<(f64, String, Option<u64>)>,
}

/// One test.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Test {
    /// An index into the files.
    pub file: usize,
    /// The node id without the file.
    pub name: String,
    /// An index into the groups; null if it never began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// How it ended, if it did.
    pub outcome: TestState,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Its end less its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took: Option<f64>,
    /// The process that it ran on, an index into the group's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<usize>,
    /// The test that is blamed, for a victim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culprit: Option<usize>,
    /// The processes that it is blamed for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub took_down: Vec<usize>,
    /// What it said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How often it was run before that.
    #[serde(skip_serializing_if = "is_zero")]
    pub reruns: u32,
    /// The line of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The command that runs it alone; only of what did not pass.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reproduce: String,
    /// What the app looked like: `data:` URLs, or relative ones of pictures that are too large.
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
    /// Its path from pytest's root.
    pub name: String,
    /// `fresh process (generation 2): why`, of each process that it did not inherit.
    pub notes: Vec<String>,
}
