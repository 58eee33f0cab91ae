//! What would run: pytest collects each batch, but runs nothing.

use std::fs;
use std::io;
use std::path::Path;

use super::command::Pytest;
use super::plan::Batch;
use super::results::Results;
use super::runner::StopRequest;
use crate::command_error::{Error, Result};
use crate::harness::{PytestLaunch, PytestProcess};
use crate::io_error::cannot;
use crate::runtime_dir::private_temporary_folder;
use crate::text::{Print, count, line};
use crate::wire::file_of;

const TICK: std::time::Duration = std::time::Duration::from_millis(25);

/// Shows batches, their files and numbers of tests. Returns whether all could be collected.
///
/// # Errors
/// [`Error::Io`] if a pytest cannot be started; [`Error::Interrupted`] if the user ends it.
pub fn show(
    batches: &[Batch],
    pytest: &Pytest<'_>,
    out: &mut dyn Print,
    stop_request: &mut dyn FnMut() -> StopRequest,
) -> Result<bool> {
    // Closed to others, and with a name that cannot be predicted.
    let scratch = private_temporary_folder().map_err(cannot("make a temporary folder"))?;
    batches.iter().try_fold(true, |all, batch| {
        let (results, failed) = collect(batch, pytest, &scratch.path().join(&batch.name), stop_request)?;
        print(batch, &results, failed.as_deref(), out).map_err(cannot("write the list"))?;
        Ok(all && failed.is_none())
    })
}

/// What was collected, and why that may not be all.
fn collect(
    batch: &Batch,
    pytest: &Pytest<'_>,
    folder: &Path,
    stop_request: &mut dyn FnMut() -> StopRequest,
) -> Result<(Results, Option<String>)> {
    fs::create_dir_all(folder).map_err(cannot(format!("make the folder {}", folder.display())))?;
    let mut suite = PytestProcess::start(&PytestLaunch {
        command: pytest.collect_command(batch),
        environment: batch.environment(),
        cwd: pytest.root.to_owned(),
        folder: folder.to_owned(),
    })?;
    let status = loop {
        if let Some(status) = suite.wait(TICK) {
            break status;
        }
        if stop_request() != StopRequest::None {
            suite.end();
            return Err(Error::Interrupted);
        }
    };
    let mut results = Results::default();
    for line in suite.events() {
        results.take(&line);
    }
    suite.end();
    let broken = results
        .broken()
        .first()
        .map(|broken| format!("{} cannot be collected", broken.node));
    let heard = results.root().is_some();
    let silent = (!heard).then(|| {
        let said = fs::read_to_string(suite.stderr()).unwrap_or_default();
        format!("pytest ended with {}\n{}", status.describe(), said.trim_end())
    });
    Ok((results, broken.or(silent)))
}

fn print(batch: &Batch, results: &Results, failed: Option<&str>, out: &mut dyn Print) -> io::Result<()> {
    let (_, tests) = results.progress();
    write!(
        out,
        "{}: {}, at most {}",
        batch.name,
        count(tests, "test"),
        humantime::format_duration(batch.timeout)
    )?;
    if !batch.needs.is_empty() {
        write!(out, ", needs {}", batch.needs.join(", "))?;
    }
    writeln!(out)?;
    let mut files: Vec<(&str, usize)> = Vec::new();
    for (test, _) in results.tests() {
        match files.iter_mut().find(|(known, _)| *known == file_of(test)) {
            Some((_, count)) => *count += 1,
            None => files.push((file_of(test), 1)),
        }
    }
    for (file, count) in files {
        writeln!(out, "{count:>6}  {}", line(file))?;
    }
    match failed {
        Some(why) => writeln!(out, "   !!!  {why}"),
        None => Ok(()),
    }
}
