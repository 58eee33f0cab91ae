//! `livegui run`: batches of tests, each in a pytest of its own, none of which keeps the next from running.
//!
//! ```text
//! pyproject.toml ─ config ─ plan ─▶ Run (drive) ─ Suite, one pytest after the other ─ events ─▶ Tally (pure)
//!                                    │    ▲                                                      │
//!                                    ▼    └── record (run.json): --resume, --last-failed         ▼
//!                                 progress                                      summary, junit, github
//! ```

mod choose;
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
mod request;
mod summary;
mod tally;
mod words;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::harness::write_record;
use crate::text::Print;
use crate::wire::RUN_FILE;
use choose::{chosen, prepare};
use command::Pytest;
use drive::Run;
use estimate::History;
use progress::Console;
use record::BatchesRecord;

pub use config::parse_timeout;
pub use drive::Wish;
pub use request::{Reader, Request, Which};
pub use tally::{Broken, Counts, End, Lost, Running, Tally, Verdict};

/// Where run folders go, in the root.
const RUN_DIR: &str = ".livegui/batches";

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
pub fn run(request: &Request, out: &mut dyn Print, wish: &mut dyn FnMut() -> Wish) -> Result<Outcome> {
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
    write_record(&folder, RUN_FILE, &record).map_err(Error::io("write the record of the run"))?;
    junit::write(&folder, &record.batches, &tallies).map_err(Error::io("write the JUnit report"))?;
    show_report(&folder, &root, out);
    Ok(outcome(&record))
}

/// Writes the page that shows the run, and says where it is. The run is over, however that goes.
fn show_report(folder: &Path, root: &Path, out: &mut dyn Print) {
    let line = match crate::report::write_into(folder) {
        Ok(file) => format!("report: {}", file.strip_prefix(root).unwrap_or(&file).display()),
        Err(error) => format!("no report was written: {error}"),
    };
    let _ = writeln!(out, "{line}");
}

fn report(
    request: &Request,
    record: &BatchesRecord,
    tallies: &[Tally],
    folder: &Path,
    root: &Path,
    out: &mut dyn Print,
) -> io::Result<()> {
    write!(out, "{}", summary::details(record, tallies, folder, root))?;
    // Names of batches, words and figures, in colours.
    out.raw(&format!("{}\n", summary::table(record, request.reader.colour)))?;
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        let workspace = std::env::var_os("GITHUB_WORKSPACE").map_or_else(|| root.to_owned(), PathBuf::from);
        for line in github::annotations(&record.batches, tallies, &workspace) {
            // Here it is meant to be a command.
            out.raw(&format!("{line}\n"))?;
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
pub fn list(request: &Request, out: &mut dyn Print, wish: &mut dyn FnMut() -> Wish) -> Result<bool> {
    let root = std::path::absolute(&request.root).map_err(Error::io("find the root"))?;
    let batches = chosen(request, &root)?;
    let pytest = Pytest {
        python: &request.python,
        extra: &request.extra,
        root: &root,
    };
    list::show(&batches, &pytest, out, wish)
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
