//! Folders of runs: made under a name of their own, with a record that is written whole, the last ones kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::table::{self, Member};

/// Runs of which the folders are kept.
pub const KEPT: usize = 10;

/// What every record has, of whatever kind of run.
#[derive(Debug, Deserialize)]
struct Head {
    schema: String,
    pid: u32,
    #[serde(default)]
    created_at: u64,
    started_at: String,
    ended_at: Option<String>,
}

/// Makes a folder in `parent`, an absolute path, for a run of this process that begins now.
///
/// # Errors
/// What the operating system says.
pub fn make_run_folder(parent: &Path, started: Timestamp) -> io::Result<PathBuf> {
    let run = format!("{}-{}", started.strftime("%Y%m%dT%H%M%S"), std::process::id());
    let path = first_free(parent, &run)?;
    // Nothing in here is for version control. In the run's own folder: the one above may be somebody's
    // with a file of that name that says something else.
    let _ = fs::write(path.join(".gitignore"), "*\n");
    Ok(path)
}

/// Writes a run's record into `file` of its folder, by rename: who reads it never sees half of it.
///
/// # Errors
/// What the operating system says.
pub fn write_record(folder: &Path, file: &str, record: &impl Serialize) -> io::Result<()> {
    let path = folder.join(file);
    let draft = path.with_extension("json.tmp");
    let mut text = serde_json::to_vec_pretty(record)?;
    text.push(b'\n');
    fs::write(&draft, text)?;
    fs::rename(&draft, &path)
}

/// The folders in `parent` of runs with a record of this `schema` in `file`, the newest first.
#[must_use]
pub fn run_folders(parent: &Path, file: &str, schema: &str) -> Vec<PathBuf> {
    records(parent, file, schema)
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

/// Takes away the oldest run folders that nobody uses any more. What cannot be taken away stays.
pub fn forget_old_runs(parent: &Path, file: &str, schema: &str) {
    for (path, record) in records(parent, file, schema).into_iter().skip(KEPT) {
        let driver = Member::new(record.pid, record.created_at);
        if record.ended_at.is_some() || !table::runs(driver) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn records(parent: &Path, file: &str, schema: &str) -> Vec<(PathBuf, Head)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut runs: Vec<_> = entries
        .filter_map(|entry| {
            let record = fs::read(entry.path().join(file)).ok()?;
            let record: Head = serde_json::from_slice(&record).ok()?;
            (record.schema == schema).then(|| (entry.path(), record))
        })
        .collect();
    // The name tells apart those that began within one millisecond.
    runs.sort_by(|(path, record), (other_path, other)| {
        (&other.started_at, other_path).cmp(&(&record.started_at, path))
    });
    runs
}

/// Runs that begin within the same second, in one process, get a number.
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
