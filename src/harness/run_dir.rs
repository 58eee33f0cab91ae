//! Folders of runs. Each has a unique name and a record that is written atomically; the latest are kept.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::files::replace;
use crate::process::{Liveness, liveness};
use crate::runtime_dir::read;
use crate::wire::ProcessId;

/// How many runs' folders are kept. The runs of one pytest-xdist session count as one.
pub const KEPT: usize = 10;

/// If it cannot be told whether a run is still in progress, for example on another machine, it counts as over after
/// this time.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What every kind of record contains.
#[derive(Debug, Deserialize)]
struct Head {
    schema: String,
    #[serde(default)]
    process: Option<ProcessId>,
    #[serde(default)]
    session: Option<String>,
    started_at: String,
    ended_at: Option<String>,
}

/// Creates a folder in `parent`, an absolute path, for a run of this process that begins now.
///
/// # Errors
/// What the operating system reports.
pub fn make_run_folder(parent: &Path, started: Timestamp) -> io::Result<PathBuf> {
    let run = format!("{}-{}", started.strftime("%Y%m%dT%H%M%S"), std::process::id());
    let path = first_free(parent, &run)?;
    // Nothing in here belongs under version control. This file is in the run's own folder, because the folder above
    // may be the user's and have its own file of that name.
    let _ = fs::write(path.join(".gitignore"), "*\n");
    Ok(path)
}

/// Writes a run's record into `file` in its folder, by renaming, so that a reader never sees half of it.
///
/// # Errors
/// What the operating system reports.
pub fn write_record(folder: &Path, file: &str, record: &impl Serialize) -> io::Result<()> {
    let path = folder.join(file);
    let draft = path.with_extension("json.tmp");
    let mut text = serde_json::to_vec_pretty(record)?;
    text.push(b'\n');
    fs::write(&draft, text)?;
    replace(&draft, &path)
}

/// The folders in `parent` of runs with a record of this `schema` in `file`, latest first.
#[must_use]
pub fn run_folders(parent: &Path, file: &str, schema: &str) -> Vec<PathBuf> {
    records(parent, file, schema)
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

/// Deletes the oldest run folders that nothing uses any more. What cannot be deleted stays.
pub fn forget_old_runs(parent: &Path, file: &str, schema: &str) {
    let mut state = HashSet::new();
    for (path, record) in records(parent, file, schema) {
        let session = record.session.clone();
        let session = session.unwrap_or_else(|| path.display().to_string());
        if state.len() < KEPT || state.contains(&session) {
            state.insert(session);
            continue;
        }
        // If its driver may still exist, the run may still be in use.
        let is_over = record.ended_at.is_some()
            || match liveness(record.process.as_ref()) {
                Liveness::Gone => true,
                Liveness::Alive => false,
                Liveness::Unknown => began_before(&record, Timestamp::now() - LONGEST_RUN),
            };
        if is_over {
            let _ = forget(&path);
        }
    }
}

fn began_before(record: &Head, time: Timestamp) -> bool {
    let began: Result<Timestamp, _> = record.started_at.parse();
    began.is_ok_and(|began| began < time)
}

/// Deletes a run folder, or leaves it whole. On Windows an open file prevents the deletion of all folders above it,
/// and a folder without its record would stay for ever.
fn forget(path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    let aside = PathBuf::from(name);
    fs::rename(path, &aside)?;
    fs::remove_dir_all(aside)
}

/// Why another process must not continue a run that has not finished, if that is so.
#[must_use]
pub fn still_goes_on(driver: Liveness, pid: u32) -> Option<String> {
    match driver {
        Liveness::Gone => None,
        Liveness::Alive => Some(format!("still goes on: pid {pid}")),
        Liveness::Unknown => Some(format!(
            "may still go on: whether its process (pid {pid}) is there cannot be told from here. If it is not, take \
             that folder away and start anew"
        )),
    }
}

fn records(parent: &Path, file: &str, schema: &str) -> Vec<(PathBuf, Head)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut runs: Vec<_> = entries
        .filter_map(|entry| {
            let record = read(&entry.path().join(file)).ok()?;
            let record: Head = serde_json::from_slice(&record).ok()?;
            (record.schema == schema).then(|| (entry.path(), record))
        })
        .collect();
    // The name distinguishes runs that began within the same millisecond.
    runs.sort_by(|(path, record), (other_path, other)| {
        (&other.started_at, other_path).cmp(&(&record.started_at, path))
    });
    runs
}

/// Runs of one process that begin within the same second get a number.
fn first_free(parent: &Path, run: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(parent)?;
    for number in 1.. {
        let name = if number == 1 {
            run.to_owned()
        } else {
            format!("{run}-{number}")
        };
        let path = parent.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|()| path),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
