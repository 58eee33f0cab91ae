//! An audit's folder: what was found, kept so that an interrupted audit can be resumed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::experiment_result::ExperimentResult;
use super::report::Report;
use crate::command_error::{Error, Result};
use crate::harness::{
    ProcessId, forget_old_runs, liveness, make_run_folder, run_folders, still_goes_on, write_record,
};
use crate::io_error::cannot;
use crate::runtime_dir;

/// `schema` of [`Record`].
pub const AUDIT_SCHEMA: &str = "livegui/audit/1";
/// Name of the record in an audit's folder.
pub const AUDIT_FILE: &str = "audit.json";
/// How many files a suite may have; more are ignored.
const MAX_FILES: usize = 20_000;
/// The types of files that make up a suite and its app.
const SOURCES: [&str; 4] = ["py", "toml", "ini", "cfg"];

/// The progress of an audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It is in progress, or was killed.
    #[default]
    Running,
    /// The user interrupted it.
    Interrupted,
    /// It is complete.
    Finished,
}

/// `audit.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`AUDIT_SCHEMA`].
    pub schema: String,
    /// Its progress.
    pub state: Progress,
    /// A digest of the suite and of the options. Evidence counts only for the same suite.
    pub digest: String,
    /// The folder of the suite.
    pub root: String,
    /// The process that runs the audit.
    #[serde(default)]
    pub pid: u32,
    /// The process by an identity that is never reused; null in the record of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Wall time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// Wall time of the end.
    pub ended_at: Option<String>,
    /// How long it took, not counting interruptions.
    pub seconds: f64,
    /// The live tests, in the suite's order.
    pub tests: Vec<String>,
    /// The findings.
    pub report: Report,
    /// Every experiment and its result.
    #[serde(rename = "trials")]
    pub results: Vec<ExperimentResult>,
}

impl Record {
    /// From now on this process runs the audit.
    fn drive(&mut self) {
        self.pid = std::process::id();
        self.process = Some(ProcessId::current());
        self.ended_at = None;
        self.state = Progress::Running;
    }
}

/// The folder of one audit and its record.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// The record to write.
    pub record: Record,
}

impl Store {
    /// Creates the folder of an audit that begins now, and deletes the oldest ones.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created or written.
    pub fn create(root: &Path) -> Result<Self> {
        let parent = audits(root);
        let started = Timestamp::now();
        let doing = || format!("make a folder in {}", parent.display());
        let path = make_run_folder(&parent, started).map_err(cannot(doing()))?;
        let mut record = Record {
            schema: AUDIT_SCHEMA.to_owned(),
            root: root.display().to_string(),
            started_at: format!("{started:.3}"),
            ..Record::default()
        };
        record.drive();
        let store = Self { path, record };
        store.write()?;
        forget_old_runs(&parent, AUDIT_FILE, AUDIT_SCHEMA);
        Ok(store)
    }

    /// The last audit of the suite with this digest, if it did not finish.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn resume(root: &Path, digest: &str) -> Result<Self> {
        let mut all = run_folders(&audits(root), AUDIT_FILE, AUDIT_SCHEMA)
            .into_iter()
            .filter_map(|path| Some((read(&path)?, path)));
        let Some((mut record, path)) = all.find(|(record, _)| record.state != Progress::Finished) else {
            return Err(Error::NotFound(format!(
                "there is no unfinished audit of {} to go on with; start one without --resume",
                root.display()
            )));
        };
        if record.ended_at.is_none()
            && let Some(still) = still_goes_on(liveness(record.process.as_ref()), record.pid)
        {
            return Err(Error::BadValue(format!(
                "the audit in {} {still}",
                path.display()
            )));
        }
        if record.digest != digest {
            return Err(Error::BadValue(format!(
                "the suite, the app or the options have changed since the audit in {}, so what it found does \
                 not count any more; start one without --resume",
                path.display()
            )));
        }
        record.drive();
        Ok(Self { path, record })
    }

    /// Deletes the folder, because the audit never began.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(self.path);
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates an empty folder for an experiment.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn experiment_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        let make = || -> io::Result<()> {
            // It is left from the interrupted part of the audit.
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            fs::create_dir(&path)
        };
        make().map_err(cannot(format!("make the folder {}", path.display())))?;
        Ok(path)
    }

    /// Writes the record atomically, by renaming.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&self) -> Result<()> {
        let doing = || format!("write {}", self.path.join(AUDIT_FILE).display());
        Ok(write_record(&self.path, AUDIT_FILE, &self.record).map_err(cannot(doing()))?)
    }
}

/// A digest of the sources under `root` and of `asked`.
#[must_use]
pub fn digest(root: &Path, asked: &[String]) -> String {
    let mut sources = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                // A virtual environment is not part of the suite.
                if !hidden && !path.join("pyvenv.cfg").exists() {
                    left.push(path);
                }
            } else if kind.is_ok_and(|kind| kind.is_file()) && is_source(&path) {
                sources.push(path);
            }
        }
        if sources.len() > MAX_FILES {
            break;
        }
    }
    sources.sort();
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_PKG_VERSION"), asked).hash(&mut hasher);
    for path in sources {
        (&path, fs::read(&path).unwrap_or_default()).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| SOURCES.contains(&extension))
}

fn audits(root: &Path) -> PathBuf {
    root.join(".livegui").join("audits")
}

fn read(folder: &Path) -> Option<Record> {
    let text = runtime_dir::read(&folder.join(AUDIT_FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_knows_the_sources_and_what_was_asked_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let asked = ["tests".to_owned()];
        write("tests/test_a.py", "1");
        let before = digest(root.path(), &asked);
        write(".livegui/run/state.py", "state");
        write("venv/pyvenv.cfg", "");
        write("venv/lib/x.py", "");
        write("notes.txt", "");
        assert_eq!(digest(root.path(), &asked), before);
        assert_ne!(digest(root.path(), &[]), before);
        write("tests/test_a.py", "2");
        assert_ne!(digest(root.path(), &asked), before);
    }

    #[test]
    fn an_audit_that_still_goes_on_is_not_resumed_and_one_that_was_ended_is() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::create(root.path()).unwrap();
        store.record.digest = "x".to_owned();
        store.write().unwrap();
        let refused = Store::resume(root.path(), "x").unwrap_err().to_string();
        assert!(refused.contains("still goes on"), "{refused}");
        store.record.state = Progress::Interrupted;
        store.record.ended_at = Some("now".to_owned());
        store.write().unwrap();
        assert_eq!(Store::resume(root.path(), "x").unwrap().record.ended_at, None);
    }

    #[test]
    fn the_last_audits_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..12 {
            let folder = audits(root.path()).join(number.to_string());
            fs::create_dir_all(&folder).unwrap();
            let record = Record {
                schema: AUDIT_SCHEMA.to_owned(),
                started_at: format!("2000-01-{number:02}"),
                ended_at: Some("then".to_owned()),
                ..Record::default()
            };
            fs::write(folder.join(AUDIT_FILE), serde_json::to_vec(&record).unwrap()).unwrap();
        }
        fs::create_dir(audits(root.path()).join("mine")).unwrap();
        let store = Store::create(root.path()).unwrap();
        let left = run_folders(&audits(root.path()), AUDIT_FILE, AUDIT_SCHEMA);
        assert_eq!(left.len(), 10);
        assert_eq!(left[0], store.path());
        assert!(left[9].ends_with("3"), "{left:?}");
        assert!(audits(root.path()).join("mine").exists());
    }
}
