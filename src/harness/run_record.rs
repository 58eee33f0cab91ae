//! Run folders, and what is written into them for people and other programs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::Result;
use super::run_dir::{forget_old_runs, make_run_folder, write_record};
use crate::file_url::path_text;
use crate::io_error::cannot;
use crate::process::{Liveness, ProcessId, liveness};
use crate::runtime_dir::{RuntimeDir, create_new_private, read as read_file};
use crate::wire::{
    GenerationRecord, GenerationState, Note, RUN_FILE, RUN_POINTER_SCHEMA, RUN_SCHEMA, RunPointer, RunRecord,
    StateChange,
};

/// How many remarks a run keeps. Each one rewrites the record.
const MAX_REMARKS: usize = 100;
/// How many of them can be about exceptions. An app may raise ever new ones, and these must not displace the rest.
const MAX_EXCEPTIONS: usize = 50;
/// How many states are kept of one process. Each one rewrites the record.
const MAX_STATES: usize = 64;

/// The folder of one run and its record.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    record: RunRecord,
    /// How many remarks are about exceptions.
    exceptions: usize,
    /// The file with which other programs of this user find this run while it is in progress.
    pointer: Option<PathBuf>,
}

impl RunFolder {
    /// Creates a folder for a run that begins now, and deletes the oldest ones.
    ///
    /// # Errors
    /// [`Error::Io`](super::error::Error::Io) if it cannot be created or written.
    pub fn create(parent: &Path) -> Result<Self> {
        let doing = || format!("make a run folder in {}", parent.display());
        let parent = std::path::absolute(parent).map_err(cannot(doing()))?;
        let started = Timestamp::now();
        let pid = std::process::id();
        let path = make_run_folder(&parent, started).map_err(cannot(doing()))?;
        let record = RunRecord {
            schema: RUN_SCHEMA.to_owned(),
            run: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            pid,
            process: Some(ProcessId::current()),
            session: session(),
            worker: worker(),
            started_at: format!("{started:.3}"),
            ..RunRecord::default()
        };
        let pointer = point_to(&path, &record);
        let folder = Self {
            path,
            record,
            exceptions: 0,
            pointer,
        };
        folder.write()?;
        forget_old_runs(&parent, RUN_FILE, RUN_SCHEMA);
        Ok(folder)
    }

    /// Its path, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the folder of a generation, and in it an empty one for the app's state.
    ///
    /// # Errors
    /// [`Error::Io`](super::error::Error::Io) if it cannot be created.
    pub fn generation_folder(&self, generation: u32) -> Result<(PathBuf, PathBuf)> {
        let folder = generation_in(&self.path, generation);
        let state = folder.join("state");
        fs::create_dir_all(&state).map_err(cannot(format!("make the folder {}", state.display())))?;
        Ok((folder, state))
    }

    /// Records a process.
    pub fn add(&mut self, mut generation: GenerationRecord) {
        note_state(&mut generation);
        self.record.generations.push(generation);
        self.write_best_effort();
    }

    /// Whether there is a record of this process.
    #[must_use]
    pub fn has(&self, generation: u32) -> bool {
        let mut records = self.record.generations.iter();
        records.any(|record| record.generation == generation)
    }

    /// Changes the record of a process.
    pub fn update(&mut self, generation: u32, change: impl FnOnce(&mut GenerationRecord)) {
        let found = self
            .record
            .generations
            .iter_mut()
            .find(|record| record.generation == generation);
        if let Some(record) = found {
            change(record);
            note_state(record);
            self.write_best_effort();
        }
    }

    /// Records that a process is gone.
    pub fn ended(&mut self, generation: u32) {
        self.update(generation, |record| {
            record.ended_at_ms = record.ended_at_ms.or(Some(now_ms()));
        });
    }

    /// Records the name of its app, if there are several.
    pub fn set_app(&mut self, name: &str) {
        if !name.is_empty() {
            self.record.app = Some(name.to_owned());
            self.write_best_effort();
        }
    }

    /// Records which file has the events of pytest.
    pub fn set_events(&mut self, file: &Path) {
        let parent = self.path.parent().unwrap_or(&self.path);
        let relative = match (file.strip_prefix(&self.path), file.strip_prefix(parent)) {
            (Ok(within), _) => within.to_owned(),
            (_, Ok(beside)) => Path::new("..").join(beside),
            _ => file.to_owned(),
        };
        self.record.events = Some(relative.display().to_string());
        self.write_best_effort();
    }

    /// Records the notes.
    pub fn set_notes(&mut self, notes: &[Note]) {
        if self.record.notes != notes {
            self.record.notes = notes.to_vec();
            self.write_best_effort();
        }
    }

    /// Records a remark on this run, for people. A remark that is repeated is recorded once.
    pub fn remark(&mut self, remark: String) {
        self.remark_if_room(
            remark,
            self.record.remarks.len(),
            MAX_REMARKS,
            "further remarks omitted",
        );
    }

    /// The same, for a remark on an exception that the app survived.
    pub fn remark_exception(&mut self, remark: String) {
        let omitted = "further remarks on exceptions omitted";
        if self.remark_if_room(remark, self.exceptions, MAX_EXCEPTIONS, omitted) {
            self.exceptions += 1;
        }
    }

    /// Records a remark, or, if it is the last one that there is room for, that others are omitted. Returns whether
    /// it recorded anything.
    fn remark_if_room(&mut self, remark: String, count: usize, room: usize, omitted: &str) -> bool {
        let remarks = &mut self.record.remarks;
        if count >= room || remarks.len() >= MAX_REMARKS || remarks.contains(&remark) {
            return false;
        }
        let is_last = count + 1 == room;
        remarks.push(if is_last { omitted.to_owned() } else { remark });
        self.write_best_effort();
        true
    }

    /// The remarks.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.record.remarks
    }

    /// Records the end of the run.
    pub fn finish(&mut self) {
        self.record.ended_at = Some(format!("{:.3}", Timestamp::now()));
        self.write_best_effort();
        if let Some(pointer) = self.pointer.take() {
            let _ = fs::remove_file(pointer);
        }
    }

    /// The record is for people and tools that look later. A disk that fills up during the run must not fail tests.
    fn write_best_effort(&self) {
        let _ = self.write();
    }

    fn write(&self) -> Result<()> {
        let doing = || format!("write {}", self.path.join(RUN_FILE).display());
        Ok(write_record(&self.path, RUN_FILE, &self.record).map_err(cannot(doing()))?)
    }
}

/// The folders and the records of the runs in a folder, in any order.
pub fn records(parent: &Path) -> impl Iterator<Item = (PathBuf, RunRecord)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), read(&entry.path())?)))
}

fn generation_in(run: &Path, generation: u32) -> PathBuf {
    run.join(format!("gen-{generation}"))
}

/// The record of the run in this folder, if there is one.
#[must_use]
pub fn read(folder: &Path) -> Option<RunRecord> {
    let record = read_file(&folder.join(RUN_FILE)).ok()?;
    let record: RunRecord = serde_json::from_slice(&record).ok()?;
    (record.schema == RUN_SCHEMA).then_some(record)
}

/// The pytest-xdist session that this process is a worker of, if it is one. The runs of a session belong together.
fn session() -> Option<String> {
    let session = std::env::var("PYTEST_XDIST_TESTRUNUID").ok()?;
    std::env::var_os("PYTEST_XDIST_WORKER").map(|_| session)
}

/// The pytest-xdist worker that this process is, if it is one.
fn worker() -> Option<String> {
    std::env::var("PYTEST_XDIST_WORKER").ok()
}

/// Best effort. Without it, `livegui top` does not show the apps of this run.
fn point_to(folder: &Path, record: &RunRecord) -> Option<PathBuf> {
    let runtime = RuntimeDir::make().ok()?;
    // A suite whose apps write only into run folders has nobody else who removes what killed pytests left.
    runtime.sweep();
    let path = runtime.path().join(format!("run-{}.json", record.run));
    let pointer = RunPointer {
        schema: RUN_POINTER_SCHEMA.to_owned(),
        process: record.process.clone()?,
        folder: path_text(folder),
    };
    let mut file = create_new_private(&path).ok()?;
    file.write_all(&serde_json::to_vec(&pointer).ok()?).ok()?;
    Some(path)
}

/// Adds the current state of a process to its earlier states, if it differs.
fn note_state(record: &mut GenerationRecord) {
    let same = |last: &StateChange| last.state == record.state && last.why == record.why;
    if record.states.last().is_some_and(same) || record.states.len() >= MAX_STATES {
        return;
    }
    let at_ms = now_ms();
    if record.state == GenerationState::Exited {
        record.ended_at_ms = record.ended_at_ms.or(Some(at_ms));
    }
    record.states.push(StateChange {
        at_ms,
        state: record.state.clone(),
        why: record.why.clone(),
    });
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// Whether a run is still in progress: it has not finished, and the process that drives it exists, or may exist.
pub fn goes_on(record: &RunRecord) -> bool {
    record.ended_at.is_none() && liveness(record.process.as_ref()) != Liveness::Gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::run_dir::KEPT;
    use jiff::SignedDuration;

    fn names(parent: &Path) -> Vec<String> {
        let entries = fs::read_dir(parent).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_of_which_nothing_is_known_is_kept_for_a_week() {
        let parent = tempfile::tempdir().unwrap();
        let hours_ago = |hours| format!("{:.3}", Timestamp::now() - SignedDuration::from_hours(hours));
        let elsewhere = ProcessId {
            boot: "of another machine".to_owned(),
            host: "another".to_owned(),
            ..ProcessId::current()
        };
        let runs = [
            ("1-elsewhere-long-ago", &elsewhere, hours_ago(8 * 24)),
            ("2-elsewhere", &elsewhere, hours_ago(6 * 24)),
            ("3-ours-long-ago", &ProcessId::current(), hours_ago(8 * 24)),
        ];
        for (name, process, started_at) in runs {
            let record = RunRecord {
                schema: RUN_SCHEMA.to_owned(),
                run: name.to_owned(),
                process: Some(process.clone()),
                started_at,
                ..RunRecord::default()
            };
            fs::create_dir(parent.path().join(name)).unwrap();
            write_record(&parent.path().join(name), RUN_FILE, &record).unwrap();
        }
        for _ in 0..KEPT {
            RunFolder::create(parent.path()).unwrap().finish();
        }
        let mut names = names(parent.path());
        names.retain(|name| name.contains("-elsewhere") || name.contains("-ours"));
        assert_eq!(names, ["2-elsewhere", "3-ours-long-ago"]);
    }

    #[test]
    fn ever_new_exceptions_leave_room_for_other_remarks_and_both_are_limited() {
        let parent = tempfile::tempdir().unwrap();
        let mut run = RunFolder::create(parent.path()).unwrap();
        for number in 0..200 {
            run.remark_exception(format!("exception {number}"));
            run.remark_exception("exception 7".to_owned());
        }
        assert_eq!(run.remarks().len(), MAX_EXCEPTIONS);
        assert_eq!(run.remarks()[48], "exception 48");
        assert_eq!(run.remarks()[49], "further remarks on exceptions omitted");
        for number in 0..200 {
            run.remark(format!("left open: dialog {number}"));
        }
        assert_eq!(run.remarks()[50], "left open: dialog 0");
        assert_eq!(run.remarks().len(), MAX_REMARKS);
        assert_eq!(run.remarks()[99], "further remarks omitted");
    }

    #[test]
    fn the_last_ten_runs_are_kept_and_nothing_that_is_not_a_run_is_touched() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("mine")).unwrap();
        for _ in 0..14 {
            RunFolder::create(parent.path()).unwrap().finish();
        }
        let runs = fs::read_dir(parent.path())
            .unwrap()
            .flatten()
            .filter(|e| e.path().join(RUN_FILE).exists());
        assert_eq!(runs.count(), KEPT);
        assert!(parent.path().join("mine").exists());
    }
}
