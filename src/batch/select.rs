//! Which batches a run is about, and which of their tests: from the configuration, the command line, and the newest
//! run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::config::{self, DEFAULT_TIMEOUT};
use super::plan::{self, Batch};
use super::record::{self, BATCHES_SCHEMA, BatchRecord, BatchesRecord};
use super::request::{Request, Which};
use super::verdict::BatchVerdict;
use crate::command_error::{Error, Result};
use crate::harness::{ProcessId, forget_old_runs, liveness, make_run_folder, still_goes_on, write_record};
use crate::io_error::cannot;
use crate::wire::{RUN_FILE, file_of};

/// The file that configures the batches.
const PYPROJECT: &str = "pyproject.toml";
/// The batch for paths on the command line. No configured batch can have this name.
const AD_HOC: &str = "(paths)";

/// The folder and the record of the run, with everything that must still be done in it.
pub fn prepare(request: &Request, root: &Path, parent: &Path) -> Result<(PathBuf, BatchesRecord)> {
    let batches = match request.which {
        Which::Unfinished => return unfinished(parent),
        Which::Failed => failed(request, root, parent)?,
        Which::All => chosen(request, root)?
            .into_iter()
            .map(|batch| BatchRecord::new(batch, None))
            .collect(),
    };
    let doing = || format!("make a run folder in {}", parent.display());
    let started = Timestamp::now();
    let folder = make_run_folder(parent, started).map_err(cannot(doing()))?;
    let pid = std::process::id();
    let record = BatchesRecord {
        schema: BATCHES_SCHEMA.to_owned(),
        pid,
        process: Some(ProcessId::current()),
        started_at: format!("{started:.3}"),
        ended_at: None,
        python: request.python.clone(),
        extra: request.extra.clone(),
        narrowed: request.narrowed,
        batches,
    };
    write_record(&folder, RUN_FILE, &record).map_err(cannot(doing()))?;
    forget_old_runs(parent, RUN_FILE, BATCHES_SCHEMA);
    Ok((folder, record))
}

/// The newest run, to be resumed.
fn unfinished(parent: &Path) -> Result<(PathBuf, BatchesRecord)> {
    let (folder, mut record) = record::newest(parent)?;
    if !record.batches.iter().any(BatchRecord::is_open) {
        let what = format!(
            "there is nothing to resume: the newest run ({}) came to its end; --last-failed runs what failed in it",
            folder.display()
        );
        return Err(Error::NotFound(what));
    }
    if record.ended_at.is_none()
        && let Some(still) = still_goes_on(liveness(record.process.as_ref()), record.pid)
    {
        let what = format!("the newest run ({}) {still}", folder.display());
        return Err(Error::BadValue(what));
    }
    record.pid = std::process::id();
    record.process = Some(ProcessId::current());
    record.ended_at = None;
    write_record(&folder, RUN_FILE, &record).map_err(cannot("write the record of the run"))?;
    Ok((folder, record))
}

/// What did not end well in the newest run, each batch as it is configured now, if it still is.
fn failed(request: &Request, root: &Path, parent: &Path) -> Result<Vec<BatchRecord>> {
    let (folder, newest) = record::newest(parent)?;
    let configured = configured(root)?;
    let known: Vec<_> = newest
        .batches
        .iter()
        .map(|record| record.batch.name.as_str())
        .collect();
    if let Some(name) = request.wanted.iter().find(|name| !known.contains(&name.as_str())) {
        let what = config::no_such("batch", name, &known);
        return Err(Error::NotFound(format!(
            "the newest run ({}): {what}",
            folder.display()
        )));
    }
    let wanted =
        |record: &&BatchRecord| request.wanted.is_empty() || request.wanted.contains(&record.batch.name);
    let again = newest.batches.iter().filter(wanted).filter_map(|record| {
        let now = configured.iter().find(|batch| batch.name == record.batch.name);
        let mut batch = now.unwrap_or(&record.batch).clone();
        batch.timeout = request.timeout.unwrap_or(batch.timeout);
        rest_of(record, batch)
    });
    let again: Vec<_> = again.collect();
    if again.is_empty() {
        let what = format!("nothing failed in the newest run ({})", folder.display());
        return Err(Error::NotFound(what));
    }
    Ok(again)
}

/// The tests of a batch that did not end well, or all of it if these are unknown; `None` if all is well.
fn rest_of(record: &BatchRecord, batch: Batch) -> Option<BatchRecord> {
    let verdict = record.verdict?;
    let lost = record.lost.iter().map(|lost| lost.test.clone());
    let tests: Vec<_> = record.failing.iter().cloned().chain(lost).collect();
    if !tests.is_empty() {
        return Some(BatchRecord::new(batch, Some(tests)));
    }
    let bad = matches!(
        verdict,
        BatchVerdict::Lost | BatchVerdict::NotRun | BatchVerdict::Failed
    );
    bad.then(|| BatchRecord::new(batch, record.only.clone()))
}

/// The batches that the user asked for, in the order in which they run.
pub fn chosen(request: &Request, root: &Path) -> Result<Vec<Batch>> {
    let configured = configured(root)?;
    let names: Vec<_> = configured.iter().map(|batch| batch.name.as_str()).collect();
    let (wanted, paths): (Vec<_>, Vec<_>) = request
        .wanted
        .iter()
        .cloned()
        .partition(|word| names.contains(&word.as_str()));
    for path in &paths {
        if !root.join(file_of(path)).exists() {
            let what = config::no_such("batch or path", path, &names);
            return Err(Error::NotFound(what));
        }
    }
    let mut batches = if request.wanted.is_empty() {
        let all: Vec<_> = names.iter().map(ToString::to_string).collect();
        plan::order(&configured, &all)
    } else {
        plan::order(&configured, &wanted)
    };
    if !paths.is_empty() {
        batches.push(Batch {
            name: AD_HOC.to_owned(),
            paths,
            timeout: DEFAULT_TIMEOUT,
            ..Batch::default()
        });
    }
    if batches.is_empty() {
        let what = format!(
            "{} has no [tool.livegui.batches.*]: add one, for example\n    \
             [tool.livegui.batches.unit]\n    paths = [\"tests\"]\nor name paths: livegui run tests",
            root.join(PYPROJECT).display()
        );
        return Err(Error::BadValue(what));
    }
    for batch in &mut batches {
        batch.timeout = request.timeout.unwrap_or(batch.timeout);
    }
    Ok(batches)
}

fn configured(root: &Path) -> Result<Vec<Batch>> {
    let path = root.join(PYPROJECT);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(cannot(format!("read {}", path.display())))?,
    };
    config::parse(&text, PYPROJECT, &|path| root.join(path).exists())
        .map_err(|refused| Error::BadValue(refused.to_string()))
}
