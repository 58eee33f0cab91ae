//! Earlier runs, and the processes that they left running.

use std::ffi::OsString;
use std::path::Path;

use super::process::end_left_over;
use super::run_record;
use crate::file_url::text_path;
use crate::process::port::Holder;
use crate::process::{ProcessId, environment};
use crate::wire::env;

/// A process that one of our runs started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousRun {
    process: ProcessId,
    /// The folder of its generation.
    folder: OsString,
    /// The run's name.
    pub run: String,
    /// Whether the run is still in progress: its pytest exists.
    pub goes_on: bool,
}

impl PreviousRun {
    /// The run under `run_dir` that a process belongs to, known by the identity of the process or by its
    /// environment. `None` if the process is foreign.
    pub fn of(holder: &Holder, run_dir: &Path) -> Option<Self> {
        let process = &holder.process;
        let record = run_record::records(run_dir).find_map(|(_, record)| {
            let mut generations = record.generations.iter();
            let found = generations.find(|found| found.process.as_ref() == Some(process))?;
            Some((text_path(&found.folder).into_os_string(), record))
        });
        let (folder, record) = record.or_else(|| {
            let folder = environment(process, env::RUN_DIR)?;
            let run = Path::new(&folder)
                .parent()
                .filter(|run| run.parent() == Some(run_dir))?;
            Some((folder.clone(), run_record::read(run)?))
        })?;
        Some(Self {
            process: process.clone(),
            folder,
            goes_on: run_record::goes_on(&record),
            run: record.run,
        })
    }

    /// Ends it and everything that it started. Returns the pids that still exist; there should be none.
    pub fn end(&self) -> Vec<u32> {
        end_left_over(Some(&self.process), (env::RUN_DIR, &self.folder))
    }
}
