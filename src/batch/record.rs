//! `run.json` of a run of batches: what was to run, what became of it, and enough to go on with it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RunOutcome;
use super::plan::Batch;
use super::results::Results;
use super::verdict::{BatchVerdict, Counts, End, Lost};
use crate::command_error::{Error, Result};
use crate::harness::{EVENTS_FILE, EventReader, run_folders};
use crate::io_error::cannot;
use crate::runtime_dir;
use crate::wire::{ProcessId, RUN_FILE};

/// `schema` of [`BatchesRecord`].
pub const BATCHES_SCHEMA: &str = "livegui/batches/1";

/// A run of batches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchesRecord {
    /// [`BATCHES_SCHEMA`].
    pub schema: String,
    /// The process that runs them.
    pub pid: u32,
    /// The same process, for good; null in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Wall time of the beginning, RFC 3339 in UTC.
    pub started_at: String,
    /// Wall time of the end; null while it goes on, and for ever if it was killed.
    pub ended_at: Option<String>,
    /// The interpreter.
    pub python: String,
    /// Arguments of every pytest.
    pub extra: Vec<String>,
    /// The arguments are such that a batch may have no test left.
    pub narrowed: bool,
    /// In the order in which they run.
    pub batches: Vec<BatchRecord>,
}

/// One batch of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BatchRecord {
    /// What it is.
    pub batch: Batch,
    /// The only tests of it that are to run; null for all.
    pub only: Option<Vec<String>>,
    /// How it ended; null if it did not.
    pub verdict: Option<BatchVerdict>,
    /// What there is to say about that.
    pub why: Option<String>,
    /// Figures.
    pub counts: Counts,
    /// Node ids of tests that failed, victims among them.
    pub failing: Vec<String>,
    /// Tests without a result.
    pub lost: Vec<Lost>,
    /// Wall time.
    pub seconds: f64,
    /// Its pytest processes, more than one if it was resumed.
    pub processes: Vec<ProcessRecord>,
    /// What pytest said before it ended, if that is all that was heard of it.
    pub said: Option<String>,
    /// What was found of the app processes after them, a line each.
    pub left: Vec<String>,
}

/// A pytest process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its process id; 0 if it was not started.
    pub pid: u32,
    /// The same process, for good; null if it was not started, and in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Its folder, in that of the run.
    pub folder: PathBuf,
    /// How it ended; null if whoever watched it was killed before.
    pub end: Option<End>,
}

impl BatchesRecord {
    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> RunOutcome {
        let verdicts = || self.batches.iter().map(|batch| batch.verdict);
        let any = |wanted: &[BatchVerdict]| verdicts().flatten().any(|verdict| wanted.contains(&verdict));
        if verdicts().any(|verdict| verdict.is_none()) || any(&[BatchVerdict::Interrupted]) {
            RunOutcome::Interrupted
        } else if any(&[BatchVerdict::Lost, BatchVerdict::NotRun]) {
            RunOutcome::Lost
        } else if any(&[BatchVerdict::Failed]) {
            RunOutcome::Failed
        } else if any(&[BatchVerdict::Passed]) {
            RunOutcome::Passed
        } else {
            RunOutcome::NothingRan
        }
    }
}

impl BatchRecord {
    /// A batch that is to run.
    #[must_use]
    pub fn new(batch: Batch, only: Option<Vec<String>>) -> Self {
        Self {
            batch,
            only,
            ..Self::default()
        }
    }

    /// What became of its tests, read again from the events in `run`, the run's folder.
    #[must_use]
    pub fn replay(&self, run: &Path) -> Results {
        let mut results = Results::default();
        let mut after = Vec::new();
        for process in &self.processes {
            results.begin();
            let mut events = EventReader::new(run.join(&process.folder).join(EVENTS_FILE));
            for line in events.read().unwrap_or_default() {
                results.take(&line);
            }
            after = results.end(process.end.as_ref().unwrap_or(&End::Interrupted));
        }
        if self
            .verdict
            .is_some_and(|verdict| verdict != BatchVerdict::Interrupted)
        {
            results.give_up(&after);
        }
        results
    }

    /// Records what became of its tests so far.
    pub fn take(&mut self, results: &Results) {
        self.counts = results.counts();
        self.failing = results.failing().map(|result| result.test.clone()).collect();
        self.lost = results.lost().to_vec();
    }

    /// Whether it is still to run, or to be gone on with.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.verdict
            .is_none_or(|verdict| verdict == BatchVerdict::Interrupted)
    }
}

/// The newest run of batches in `parent`, and its folder.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub fn newest(parent: &Path) -> Result<(PathBuf, BatchesRecord)> {
    let found = run_folders(parent, RUN_FILE, BATCHES_SCHEMA).into_iter().next();
    let Some(folder) = found else {
        let what = format!(
            "there is no earlier run in {}: run without this option first",
            parent.display()
        );
        return Err(Error::NotFound(what));
    };
    let record = read(&folder)?;
    Ok((folder, record))
}

/// The record of the run in `folder`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read.
pub fn read(folder: &Path) -> Result<BatchesRecord> {
    let path = folder.join(RUN_FILE);
    let doing = || format!("read {}", path.display());
    let text = runtime_dir::read(&path).map_err(cannot(doing()))?;
    let record = serde_json::from_slice(&text).map_err(std::io::Error::from);
    Ok(record.map_err(cannot(doing()))?)
}
