//! `livegui run`: batches of tests, each in a pytest of its own, none of which keeps the next from running.
//!
//! ```text
//! pyproject.toml ─ config ─ plan ─▶ Run (drive) ─ Suite, one pytest after the other ─ events ─▶ Tally (pure)
//!                                    │    ▲                                                      │
//!                                    ▼    └── record (run.json): --resume, --last-failed         ▼
//!                                 progress                                      summary, junit, github
//! ```

mod command;
mod config;
mod drive;
mod estimate;
mod github;
mod junit;
mod list;
mod nearest;
mod plan;
mod progress;
mod record;
mod summary;
mod tally;
mod words;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::harness::{
    ProcessId, forget_old_runs, make_run_folder, process_created_at, process_runs, write_record,
};
use command::Pytest;
use config::{Batch, DEFAULT_TIMEOUT, file_of};
use drive::Run;
use estimate::History;
use nearest::nearest;
use progress::Console;
use record::{BATCHES_SCHEMA, BatchRecord, BatchesRecord};

pub use config::parse_timeout;
pub use drive::Wish;
pub use tally::{Broken, Counts, End, Lost, Running, Tally, Verdict};

/// The file that has the batches.
const PYPROJECT: &str = "pyproject.toml";
/// Where run folders go, in the root.
const RUN_DIR: &str = ".livegui/batches";
/// The batch of paths that the command line names. No batch of the configuration can be called so.
const AD_HOC: &str = "(paths)";

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
    /// Who reads what is written.
    pub reader: Reader,
}

/// Who reads what is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reader {
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

/// How a run ended: of those that are true, the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody ended it.
    Interrupted,
    /// A batch, or tests, did not run to an end.
    Lost,
    /// Tests failed.
    Failed,
    /// No test was selected.
    NothingRan,
    /// All is well.
    Passed,
}

/// Runs batches, and shows how that goes.
///
/// # Errors
/// [`Error::BadValue`] before anything runs, if what is asked for cannot be; [`Error::Io`] if there is no
/// place for what it leaves.
pub fn run(request: &Request, out: &mut dyn Write, wish: &mut dyn FnMut() -> Wish) -> Result<Outcome> {
    let root = std::path::absolute(&request.root).map_err(Error::io("find the root"))?;
    let parent = match &request.run_dir {
        Some(folder) => std::path::absolute(folder).map_err(Error::io("find the run folders"))?,
        None => root.join(RUN_DIR),
    };
    let (folder, record) = prepare(request, &root, &parent)?;
    let history = History::read(&parent);
    let mut run = Run {
        folder,
        record,
        root: &root,
        resume_lost: request.resume_lost,
        console: Console::new(out, request.reader.bar, history),
        wish,
        left: Vec::new(),
    };
    let tallies = run.go();
    let Run {
        folder,
        mut record,
        console,
        ..
    } = run;
    record.ended_at = Some(now());
    // How it ended does not hang on whether somebody reads that.
    let _ = report(request, &record, &tallies, &folder, &root, console.finish());
    write_record(&folder, &record).map_err(Error::io("write the record of the run"))?;
    junit::write(&folder, &record.batches, &tallies).map_err(Error::io("write the JUnit report"))?;
    Ok(outcome(&record))
}

fn report(
    request: &Request,
    record: &BatchesRecord,
    tallies: &[Tally],
    folder: &Path,
    root: &Path,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(
        out,
        "{}",
        summary::text(record, tallies, folder, root, request.reader.colour)
    )?;
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        let workspace = std::env::var_os("GITHUB_WORKSPACE").map_or_else(|| root.to_owned(), PathBuf::from);
        for line in github::annotations(&record.batches, tallies, &workspace) {
            writeln!(out, "{line}")?;
        }
    }
    let shown = folder.strip_prefix(root).unwrap_or(folder);
    writeln!(out, "records: {}", shown.display())?;
    match outcome(record) {
        Outcome::Interrupted => writeln!(out, "to go on: livegui run --resume"),
        Outcome::NothingRan => writeln!(out, "no test was selected"),
        _ => Ok(()),
    }
}

/// Shows what would run. Returns whether all of it could be collected.
///
/// # Errors
/// As [`run`].
pub fn list(request: &Request, out: &mut dyn Write, wish: &mut dyn FnMut() -> Wish) -> Result<bool> {
    let root = std::path::absolute(&request.root).map_err(Error::io("find the root"))?;
    let batches = chosen(request, &root)?;
    let pytest = Pytest {
        python: &request.python,
        extra: &request.extra,
        root: &root,
    };
    list::show(&batches, &pytest, out, wish)
}

/// The folder and the record of the run, with everything that is still to be done in it.
fn prepare(request: &Request, root: &Path, parent: &Path) -> Result<(PathBuf, BatchesRecord)> {
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
    let folder = make_run_folder(parent, started).map_err(Error::io(doing()))?;
    let pid = std::process::id();
    let record = BatchesRecord {
        schema: BATCHES_SCHEMA.to_owned(),
        pid,
        created_at: process_created_at(pid).unwrap_or(0),
        started_at: format!("{started:.3}"),
        ended_at: None,
        python: request.python.clone(),
        extra: request.extra.clone(),
        narrowed: request.narrowed,
        batches,
    };
    write_record(&folder, &record).map_err(Error::io(doing()))?;
    forget_old_runs(parent, BATCHES_SCHEMA);
    Ok((folder, record))
}

/// The newest run, to be gone on with.
fn unfinished(parent: &Path) -> Result<(PathBuf, BatchesRecord)> {
    let (folder, mut record) = record::newest(parent)?;
    if !record.batches.iter().any(BatchRecord::is_open) {
        let what = format!(
            "there is nothing to resume: the newest run ({}) came to its end; --last-failed runs what failed in it",
            folder.display()
        );
        return Err(Error::BadValue(what));
    }
    if record.ended_at.is_none() && process_runs(ProcessId::new(record.pid, record.created_at)) {
        let what = format!(
            "the newest run ({}) still goes on: pid {}",
            folder.display(),
            record.pid
        );
        return Err(Error::BadValue(what));
    }
    record.pid = std::process::id();
    record.created_at = process_created_at(record.pid).unwrap_or(0);
    record.ended_at = None;
    write_record(&folder, &record).map_err(Error::io("write the record of the run"))?;
    Ok((folder, record))
}

/// What did not end well in the newest run, each batch as it is configured now if it still is.
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
        return Err(Error::BadValue(format!(
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
        return Err(Error::BadValue(what));
    }
    Ok(again)
}

/// What did not end well of a batch, all of it if nobody knows which tests; `None` if it is well.
fn rest_of(record: &BatchRecord, batch: Batch) -> Option<BatchRecord> {
    let verdict = record.verdict?;
    let lost = record.lost.iter().map(|lost| lost.test.clone());
    let tests: Vec<_> = record.failing.iter().cloned().chain(lost).collect();
    if !tests.is_empty() {
        return Some(BatchRecord::new(batch, Some(tests)));
    }
    let bad = matches!(verdict, Verdict::Lost | Verdict::NotRun | Verdict::Failed);
    bad.then(|| BatchRecord::new(batch, record.only.clone()))
}

/// The batches that are asked for, in the order in which they are to run.
fn chosen(request: &Request, root: &Path) -> Result<Vec<Batch>> {
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
            return Err(Error::BadValue(what));
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
        read => read.map_err(Error::io(format!("read {}", path.display())))?,
    };
    config::parse(&text, PYPROJECT, &|path| root.join(path).exists())
        .map_err(|refused| Error::BadValue(refused.to_string()))
}

fn outcome(record: &BatchesRecord) -> Outcome {
    let verdicts = || record.batches.iter().map(|batch| batch.verdict);
    let any = |wanted: &[Verdict]| verdicts().flatten().any(|verdict| wanted.contains(&verdict));
    if verdicts().any(|verdict| verdict.is_none()) || any(&[Verdict::Interrupted]) {
        Outcome::Interrupted
    } else if any(&[Verdict::Lost, Verdict::NotRun]) {
        Outcome::Lost
    } else if any(&[Verdict::Failed]) {
        Outcome::Failed
    } else if any(&[Verdict::Passed]) {
        Outcome::Passed
    } else {
        Outcome::NothingRan
    }
}

fn now() -> String {
    format!("{:.3}", Timestamp::now())
}
