//! `livegui run`: batches of tests, each in its own pytest. None of them blocks the next.
//!
//! ```text
//! pyproject.toml ─ config ─ plan ─▶ Run (runner) ─ one pytest after the other ─ events ─▶ Results (pure fold)
//!                                    │    ▲                                              │
//!                                    │    └── record (run.json): --resume, --last-failed ◀┘ recovery (pure)
//!                                    ▼
//!                                 RunEvent ─▶ Reporters: terminal (summary), junit, github, html
//! ```

mod command;
mod config;
mod estimate;
mod format;
mod github;
mod html;
mod junit;
mod list;
mod plan;
mod record;
mod recovery;
mod reporter;
mod request;
mod results;
mod runner;
mod select;
mod suggest;
mod summary;
mod terminal;
mod verdict;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::command_error::Result;
use crate::harness::write_record;
use crate::io_error::cannot;
use crate::text::Print;
use crate::wire::RUN_FILE;
use command::Pytest;
use estimate::History;
use github::GithubReporter;
use html::HtmlReporter;
use junit::JunitReporter;
use reporter::{FinishedRun, Reporter, Reporters};
use runner::Run;
use select::{chosen, prepare};
use terminal::TerminalReporter;

pub use config::parse_timeout;
pub use request::{OutputMode, Request, Which};
pub use results::{Broken, Results, Running};
pub use runner::StopRequest;
pub use verdict::{BatchVerdict, Counts, End, Lost};

/// The default folder for run folders, relative to the root.
const RUN_DIR: [&str; 2] = [".livegui", "batches"];

/// How a run ended: the first of these that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// The user stopped it.
    Interrupted,
    /// A batch or tests did not run to their end.
    Lost,
    /// Tests failed.
    Failed,
    /// No test was selected.
    NothingRan,
    /// All is well.
    Passed,
}

/// Runs batches, and shows their progress.
///
/// # Errors
/// Before anything runs: if the request is invalid, or if the run's folder cannot be created.
pub fn run(
    request: &Request,
    out: &mut dyn Print,
    stop_request: &mut dyn FnMut() -> StopRequest,
) -> Result<RunOutcome> {
    let root = std::path::absolute(&request.root).map_err(cannot("find the root"))?;
    let parent = match &request.run_dir {
        Some(folder) => std::path::absolute(folder).map_err(cannot("find the run folders"))?,
        None => root.join(PathBuf::from_iter(RUN_DIR)),
    };
    let (folder, record) = prepare(request, &root, &parent)?;
    let mut reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(TerminalReporter::new(request.output, History::read(&parent))),
        Box::new(JunitReporter),
    ];
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        let workspace = std::env::var_os("GITHUB_WORKSPACE").map_or_else(|| root.clone(), PathBuf::from);
        reporters.push(Box::new(GithubReporter { workspace }));
    }
    reporters.push(Box::new(HtmlReporter));
    let mut run = Run {
        folder,
        record,
        root: &root,
        resume_lost: request.resume_lost,
        reporters: Reporters::new(reporters, out),
        stop_request,
        left: Vec::new(),
    };
    let results = run.go();
    let Run {
        folder,
        mut record,
        reporters,
        ..
    } = run;
    record.ended_at = Some(now());
    write_record(&folder, RUN_FILE, &record).map_err(cannot("write the record of the run"))?;
    let finished = FinishedRun {
        record: &record,
        results: &results,
        folder: &folder,
        root: &root,
    };
    reporters
        .finish(&finished)
        .map_err(cannot("write the JUnit report"))?;
    Ok(record.outcome())
}

/// Shows what would run. Returns whether everything could be collected.
///
/// # Errors
/// As [`run`].
pub fn list(
    request: &Request,
    out: &mut dyn Print,
    stop_request: &mut dyn FnMut() -> StopRequest,
) -> Result<bool> {
    let root = std::path::absolute(&request.root).map_err(cannot("find the root"))?;
    let batches = chosen(request, &root)?;
    let pytest = Pytest {
        python: &request.python,
        extra: &request.extra,
        root: &root,
    };
    list::show(&batches, &pytest, out, stop_request)
}

fn now() -> String {
    format!("{:.3}", Timestamp::now())
}
