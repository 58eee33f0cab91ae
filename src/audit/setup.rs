//! What to audit, and how.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What to audit, and how.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The Python that has pytest and livegui.
    pub python: PathBuf,
    /// The folder that node ids are relative to.
    pub root: PathBuf,
    /// Test files or folders; if empty, what pytest collects by default.
    pub paths: Vec<String>,
    /// Arguments for pytest.
    pub arguments: Vec<String>,
    /// How many times a difference must be seen.
    pub repeat: u32,
    /// How many ready apps to keep waiting; `None` chooses by whether two instances of the app can run at the same
    /// time.
    pub spares: Option<u32>,
    /// How many experiments run at a time; `None` chooses in the same way.
    pub jobs: Option<usize>,
    /// How long a test may take before its pytest is ended.
    pub timeout: Duration,
}

impl Setup {
    /// The beginning of every pytest command line of an audit: in the suite's order, everything, no cached state.
    pub fn pytest(&self) -> Vec<OsString> {
        let mut command = vec![self.python.clone().into_os_string()];
        let words = "-m pytest -q -p no:randomly -p no:cacheprovider -p livegui._audit --maxfail=0";
        command.extend(words.split(' ').map(Into::into));
        command
    }
}
