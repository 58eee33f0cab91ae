//! What the user asks of a run.

use std::path::PathBuf;
use std::time::Duration;

/// What is to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The folder with `pyproject.toml`; every pytest runs in it.
    pub root: PathBuf,
    /// Where run folders go, if not in the default place.
    pub run_dir: Option<PathBuf>,
    /// Names of batches, and paths; if empty, all batches.
    pub wanted: Vec<String>,
    /// The interpreter.
    pub python: String,
    /// Overrides the timeouts of the batches.
    pub timeout: Option<Duration>,
    /// Arguments for every pytest.
    pub extra: Vec<String>,
    /// Whether these arguments may deselect all tests of a batch.
    pub narrowed: bool,
    /// Which tests to run.
    pub which: Which,
    /// Whether to run the files after the one in which a pytest died.
    pub resume_lost: bool,
    /// What the terminal supports.
    pub output: OutputMode,
}

/// What the terminal supports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputMode {
    /// Standard error is a terminal, which can show a bar.
    pub bar: bool,
    /// Standard output is a terminal, which can show colours.
    pub colour: bool,
}

/// Which tests of the batches to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// All.
    #[default]
    All,
    /// Tests that the newest run did not get to.
    Unfinished,
    /// Tests that did not end well in the newest run.
    Failed,
}
