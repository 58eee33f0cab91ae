//! What is asked of a run.

use std::path::PathBuf;
use std::time::Duration;

/// What is to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The folder with `pyproject.toml`, in which every pytest runs.
    pub root: PathBuf,
    /// Where run folders go, if not where they do as a rule.
    pub run_dir: Option<PathBuf>,
    /// Names of batches, and paths; all batches if there is none.
    pub wanted: Vec<String>,
    /// The interpreter.
    pub python: String,
    /// Instead of what the batches say.
    pub timeout: Option<Duration>,
    /// Arguments of every pytest.
    pub extra: Vec<String>,
    /// With these a batch may have no test left.
    pub narrowed: bool,
    /// Which of them.
    pub which: Which,
    /// Go on with the files after the one in which a pytest died.
    pub resume_lost: bool,
    /// What the terminal can do.
    pub output: OutputMode,
}

/// What the terminal can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputMode {
    /// The standard error output is a terminal, which takes a bar.
    pub bar: bool,
    /// The standard output is one, which takes colours.
    pub colour: bool,
}

/// Which tests of the batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// All.
    #[default]
    All,
    /// What the newest run did not get to.
    Unfinished,
    /// What did not end well in the newest run.
    Failed,
}
