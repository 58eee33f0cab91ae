//! `run.json` of a run of batches: what was to run, how it ended, and enough to resume it.

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
    /// The process by an identity that is never reused; null in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Wall time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// Wall time of the end; null while the run goes on, and if it was killed.
    pub ended_at: Option<String>,
    /// The interpreter.
    pub python: String,
    /// Arguments for every pytest.
    pub extra: Vec<String>,
    /// Whether the arguments may deselect all tests of a batch.
    pub narrowed: bool,
    /// The batches in the order in which they run.
    pub batches: Vec<BatchRecord>,
}

/// One batch of the run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Its configuration.
    pub batch: Batch,
    /// The only tests of it to run; null for all.
    pub only: Option<Vec<String>>,
    /// How it ended; null if it has not ended.
    pub verdict: Option<BatchVerdict>,
    /// Details about that.
    pub why: Option<String>,
    /// The numbers of its tests.
    pub counts: Counts,
    /// Node ids of tests that failed, including victims.
    pub failing: Vec<String>,
    /// Tests without a result.
    pub lost: Vec<Lost>,
    /// Wall time.
    pub seconds: f64,
    /// Its pytest processes; more than one if it was resumed.
    pub processes: Vec<ProcessRecord>,
    /// What pytest printed before it ended, if nothing else is known about it.
    pub said: Option<String>,
    /// The state of the app processes that they left, one line each.
    pub left: Vec<String>,
}

/// A pytest process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its process id; 0 if it was not started.
    pub pid: u32,
    /// The process by an identity that is never reused; null if it was not started, and in the record of an older
    /// version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Its folder, relative to that of the run.
    pub folder: PathBuf,
    /// How it ended; null if the process that watched it was killed before.
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
    /// A batch that will run.
    #[must_use]
    pub fn new(batch: Batch, only: Option<Vec<String>>) -> Self {
        Self {
            batch,
            only,
            ..Self::default()
        }
    }

    /// The results of its tests, read again from the events in `run`, the run's folder.
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

    /// Records the results of its tests so far.
    pub fn take(&mut self, results: &Results) {
        self.counts = results.counts();
        self.failing = results.failing().map(|result| result.test.clone()).collect();
        self.lost = results.lost().to_vec();
    }

    /// Whether it must still run, or be resumed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.verdict
            .is_none_or(|verdict| verdict == BatchVerdict::Interrupted)
    }
}

/// The latest run of batches in `parent`, and its folder.
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
