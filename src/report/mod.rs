//! What happened in a run, as a page and a trace. It is read from `run.json`, `events.jsonl` and the journals, so
//! that even a run whose pytest was killed has a report.
//!
//! ```text
//! run folder ─ source (reads) ─▶ Records ─ build (pure) ─▶ Report ─┬─ page ─▶ report.html
//!                                            └ journal             └─ trace ─▶ trace.json
//! ```

mod build;
mod journal;
mod model;
mod page;
mod sentence;
mod source;
mod trace;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::command_error::Result;
use crate::io_error::cannot;

pub use build::build;
pub use model::Report;
pub use page::{Setting, json, page};
pub use source::{Records, find, read};
pub use trace::trace;

/// Name of the page in a run's folder.
pub const REPORT_FILE: &str = "report.html";

/// Writes the page of a report, made from `records`, into `file`, completely or not at all.
///
/// # Errors
/// What the operating system reports.
pub fn write(report: &Report, records: &Records, file: &Path) -> io::Result<()> {
    let elsewhere = std::path::absolute(file)?.parent() != Some(&records.folder);
    let page = if elsewhere {
        // The page is in another folder than the files that it links to.
        page(&build::moved(report, &records.folder), &Setting::File)
    } else {
        page(report, &Setting::File)
    };
    write_whole(file, &page)
}

/// Writes the report of the run in `folder` into that folder. Returns the file.
///
/// # Errors
/// [`NotFound`](crate::command_error::Error::NotFound) if there is no run, [`Io`](crate::command_error::Error::Io) if the file cannot be written.
pub fn write_into(folder: &Path) -> Result<PathBuf> {
    let records = read(folder)?;
    let file = records.folder.join(REPORT_FILE);
    let written = write(&build(&records), &records, &file);
    written.map_err(cannot(format!("write {}", file.display())))?;
    Ok(file)
}

/// Writes a file by renaming, so that a reader never sees half of it.
///
/// # Errors
/// What the operating system reports.
pub fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let draft = file.with_file_name(name);
    fs::write(&draft, text)?;
    fs::rename(&draft, file)
}
