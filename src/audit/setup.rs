//! What is to be audited, and how.

use std::path::PathBuf;
use std::time::Duration;

/// What is to be audited, and how.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The Python that has pytest, and livegui.
    pub python: PathBuf,
    /// The folder that node ids are relative to.
    pub root: PathBuf,
    /// Test files or folders; whatever pytest takes by itself if there are none.
    pub paths: Vec<String>,
    /// For pytest.
    pub arguments: Vec<String>,
    /// How often a difference has to be seen.
    pub repeat: u32,
    /// Ready apps held in waiting; chosen by whether the app can run beside itself if `None`.
    pub spares: Option<u32>,
    /// Experiments at a time; chosen by the same.
    pub jobs: Option<usize>,
    /// How long a test may take before its pytest is ended.
    pub timeout: Duration,
}

impl Setup {
    /// What every pytest of an audit begins with: in the suite's order, all of it, nothing remembered.
    pub fn pytest(&self) -> Vec<String> {
        let mut command = vec![self.python.display().to_string()];
        let words = "-m pytest -q -p no:randomly -p no:cacheprovider -p livegui._audit --maxfail=0";
        command.extend(words.split(' ').map(str::to_owned));
        command
    }
}
