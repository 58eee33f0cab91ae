//! The command line of a pytest: for us to run, and for people to run again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::plan::Batch;
use super::record::BatchRecord;
use super::results::Results;
use crate::shell::Shell;
use crate::wire::TestOutcome;

/// With more tests than this, the command names the whole batch instead of each test.
const MAX_NAMED: usize = 10;

/// What all batches of a run share.
#[derive(Debug, Clone)]
pub struct Pytest<'a> {
    /// The interpreter.
    pub python: &'a str,
    /// Arguments that every batch gets.
    pub extra: &'a [String],
    /// The working folder.
    pub root: &'a Path,
}

impl Pytest<'_> {
    /// The command line that runs a batch.
    #[must_use]
    pub fn command(&self, batch: &Batch) -> Vec<OsString> {
        let mut words = self.start();
        words.extend(self.arguments(batch));
        words.into_iter().map(Into::into).collect()
    }

    /// The command line that collects its tests.
    #[must_use]
    pub fn collect_command(&self, batch: &Batch) -> Vec<OsString> {
        let mut words = self.start();
        words.extend(batch.args.iter().chain(self.extra).cloned());
        words.extend(["--collect-only".to_owned(), "-q".to_owned()]);
        words.extend(batch.paths.iter().cloned());
        words.into_iter().map(Into::into).collect()
    }

    /// Names the plugin, so that it is loaded even where plugins are not found automatically.
    fn start(&self) -> Vec<String> {
        [self.python, "-m", "pytest", "-p", "livegui"]
            .map(str::to_owned)
            .to_vec()
    }

    fn arguments(&self, batch: &Batch) -> Vec<String> {
        let workers = batch.workers.iter().flat_map(|workers| ["-n", workers]);
        let rest = batch.args.iter().chain(self.extra).chain(&batch.paths);
        workers
            .chain(rest.map(String::as_str))
            .map(str::to_owned)
            .collect()
    }

    /// A line for a shell that runs again what went wrong: the failing tests, or the whole batch.
    #[must_use]
    pub fn reproduce(&self, record: &BatchRecord, results: &Results, shell: Shell) -> String {
        let culprits = record
            .lost
            .iter()
            .filter(|lost| lost.culprit)
            .map(|lost| lost.test.as_str());
        let failed = results
            .failing()
            .filter(|result| result.outcome != TestOutcome::Victim);
        let tests: Vec<_> = culprits
            .chain(failed.map(|result| result.test.as_str()))
            .collect();
        let mut batch = record.batch.clone();
        if !tests.is_empty() && tests.len() <= MAX_NAMED {
            batch.paths = tests
                .into_iter()
                .map(|test| self.as_argument(test, results))
                .collect();
            batch.workers = None;
        }
        let environment = batch.env.iter();
        let environment = environment.map(|(name, value)| (name.as_str(), value.as_str()));
        let mut command = [self.python, "-m", "pytest"].map(str::to_owned).to_vec();
        command.extend(self.arguments(&batch));
        shell.line(&self.root.display().to_string(), environment, &command)
    }

    /// A node id relative to the working folder; its own form is relative to pytest's root.
    fn as_argument(&self, test: &str, results: &Results) -> String {
        let Some(root) = results.root().filter(|root| *root != self.root) else {
            return test.to_owned();
        };
        // What follows the file may contain anything.
        let (file, rest) = test.find("::").map_or((test, ""), |at| test.split_at(at));
        // Join by parts: on Windows the node id has slashes, and the root backslashes.
        let path: PathBuf = root.join(file).components().collect();
        let path = path.strip_prefix(self.root).unwrap_or(&path);
        format!("{}{rest}", path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::verdict::Lost;

    fn record(lost: usize) -> BatchRecord {
        let batch = Batch {
            name: "live".to_owned(),
            paths: vec!["tests/live gui".to_owned()],
            env: [("A".to_owned(), "it's".to_owned())].into(),
            workers: Some("2".to_owned()),
            ..Batch::default()
        };
        let lost = (0..lost).map(|number| Lost {
            test: format!("t.py::test[{number} $x]"),
            why: String::new(),
            culprit: true,
        });
        BatchRecord {
            lost: lost.collect(),
            ..BatchRecord::new(batch, None)
        }
    }

    #[test]
    fn what_is_to_be_pasted_into_a_shell_is_quoted() {
        let pytest = Pytest {
            python: "/opt/a b/python",
            extra: &["-k".to_owned(), "a or b".to_owned()],
            root: Path::new("/my suite"),
        };
        let results = Results::default();
        assert_eq!(
            pytest.reproduce(&record(1), &results, Shell::Posix),
            "cd '/my suite' && A=\"it's\" '/opt/a b/python' -m pytest -k 'a or b' 't.py::test[0 $x]'"
        );
        let whole = pytest.reproduce(&record(11), &results, Shell::Posix);
        assert!(
            whole.ends_with("pytest -n 2 -k 'a or b' 'tests/live gui'"),
            "{whole}"
        );
    }
}
