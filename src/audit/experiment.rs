//! One experiment: its own pytest, followed through its events until there is a result.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::experiment_result::{Crash, Experiment, ExperimentOutcome, ExperimentResult, Kind, Observed};
use super::probe::tail;
use super::test_index::TestIndex;
use crate::command_error::Result;
use crate::file_url::text_path;
use crate::harness::{PytestLaunch, PytestProcess, read_run};
use crate::wire::Event;
use crate::wire::file_of;

/// How many characters of a failure are kept.
const MAX_SAID: usize = 200;

/// The progress of an experiment, for display.
#[derive(Debug, Clone)]
pub struct Running {
    /// What it is.
    pub label: String,
    /// How many of its tests have ended.
    pub done: usize,
    /// How many tests it has.
    pub total: usize,
}

/// A running pytest of ours.
pub struct Current {
    /// What it should find out.
    pub experiment: Experiment,
    suite: PytestProcess,
    /// Its result so far.
    pub result: ExperimentResult,
    began: Instant,
    heard: Instant,
    total: usize,
    running_test: Option<String>,
    run_folder: Option<PathBuf>,
}

impl Current {
    /// Starts it. At its end it will have run `total` tests.
    ///
    /// # Errors
    /// [`Error::Io`](crate::command_error::Error::Io) if it cannot be started.
    pub fn start(
        experiment: Experiment,
        result: ExperimentResult,
        total: usize,
        launch: &PytestLaunch,
    ) -> Result<Self> {
        let suite = PytestProcess::start(launch)?;
        let now = Instant::now();
        Ok(Self {
            experiment,
            suite,
            result,
            began: now,
            heard: now,
            total,
            running_test: None,
            run_folder: None,
        })
    }

    /// How long it has been running.
    pub fn runs_for(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes in new events. Returns whether it has ended.
    pub fn look(&mut self, timeout: Duration) -> bool {
        let ended = self.suite.wait(Duration::ZERO).is_some();
        self.take_events();
        ended || self.heard.elapsed() > timeout
    }

    /// Takes in new events.
    pub fn take_events(&mut self) {
        for line in self.suite.events() {
            self.heard = Instant::now();
            match line.event {
                Event::AppOpened { run_folder } => self.run_folder = Some(text_path(&run_folder)),
                Event::TestStarted { test } => self.running_test = Some(test),
                Event::TestFinished(result) => {
                    self.running_test = None;
                    self.result.tests.push(Observed {
                        outcome: ExperimentOutcome::of(&result.outcome),
                        said: last_words(&result.message),
                        // 0 means that the test's app did not start.
                        generation: result.generation.filter(|generation| *generation > 0),
                        ms: rounded(result.duration_ms),
                        test: result.test,
                    });
                }
                Event::SessionStarted { .. }
                | Event::CollectionFailed { .. }
                | Event::Collected { .. }
                | Event::SessionFinished { .. } => {}
            }
        }
    }

    /// Ends it early. The test that is running does not count.
    pub fn abandon(&mut self) {
        self.take_events();
        self.running_test = None;
        self.close();
    }

    /// The last lines of its output.
    pub fn tail(&self) -> String {
        let said = tail(&self.suite.stdout()).or_else(|| tail(&self.suite.stderr()));
        said.unwrap_or_default()
    }

    /// Ends what is left of it and completes the result. Returns whether the app never started.
    pub fn close(&mut self) -> bool {
        self.suite.end();
        self.take_events();
        self.result.seconds = rounded(self.began.elapsed().as_secs_f64());
        if let Some(test) = self.running_test.take() {
            let generation = self.result.tests.last().and_then(|seen| seen.generation);
            self.result.tests.push(Observed {
                test,
                outcome: ExperimentOutcome::Lost,
                generation: generation.or(Some(1)),
                ms: rounded(self.heard.elapsed().as_secs_f64() * 1e3),
                said: "pytest ended during it, or it took too long".to_owned(),
            });
        }
        let Some(run) = self.run_folder.as_deref().and_then(read_run) else {
            return false;
        };
        for generation in &run.generations {
            self.result
                .crashes
                .extend(generation.culprit.iter().map(|culprit| Crash {
                    test: culprit.test.clone(),
                    inferred: culprit.inferred,
                    why: generation.why.clone().unwrap_or_default(),
                }));
        }
        // The others may have been started in the background.
        let first = run.generations.first();
        self.result.starts_ms = first
            .and_then(|generation| generation.ready_ms)
            .into_iter()
            .collect();
        !run.generations.is_empty() && run.generations.iter().all(|one| one.ready_ms.is_none())
    }

    /// Its progress.
    pub fn show(&self) -> Running {
        Running {
            label: label(&self.result),
            done: self.result.tests.len(),
            total: self.total,
        }
    }

    /// Its result, on one line.
    pub fn line(&self) -> String {
        let count = |outcomes: &[ExperimentOutcome]| {
            let seen = self.result.tests.iter();
            seen.filter(|seen| outcomes.contains(&seen.outcome)).count()
        };
        let not_run = match count(&[ExperimentOutcome::Skipped, ExperimentOutcome::Victim]) {
            0 => String::new(),
            number => format!(", {number} not run"),
        };
        format!(
            "{}: {} passed, {} failed{not_run} ({:.1} s)",
            label(&self.result),
            count(&[ExperimentOutcome::Passed]),
            count(&[ExperimentOutcome::Failed, ExperimentOutcome::Lost]),
            self.result.seconds
        )
    }
}

/// The test side's options for it. A test that follows a crash in its own file is judged on a separate process.
pub fn options(result: &ExperimentResult, spares: u32, runs: &Path) -> Vec<OsString> {
    let (scope, spares) = match result.kind {
        Kind::Fresh => ("module", spares),
        Kind::Warm | Kind::Together => ("session", 0),
    };
    let options = [
        ("scope", scope.into()),
        ("respawn", "test".into()),
        ("max-respawns", u16::MAX.to_string().into()),
        ("spares", spares.to_string().into()),
        ("run-dir", runs.as_os_str().to_owned()),
    ];
    let option = |(name, value): (&str, OsString)| {
        let mut option = OsString::from(format!("--live-gui-{name}="));
        option.push(value);
        option
    };
    options.into_iter().map(option).collect()
}

/// The arguments for pytest: whole files, if all of a file is to run.
pub fn targets(result: &ExperimentResult, test_index: &TestIndex) -> Vec<String> {
    if result.kind != Kind::Together {
        return result.files.clone();
    }
    let mut targets = Vec::new();
    for tests in [&result.before, &result.target] {
        for group in tests.chunk_by(|a, b| file_of(a) == file_of(b)) {
            let file = file_of(&group[0]);
            let all = test_index.tests().iter().filter(|test| file_of(test) == file);
            if group.len() == all.count() {
                targets.push(file.to_owned());
            } else {
                targets.extend(group.iter().cloned());
            }
        }
    }
    targets
}

/// A word for a folder's name.
pub fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Warm => "warm",
        Kind::Fresh => "fresh",
        Kind::Together => "together",
    }
}

fn label(result: &ExperimentResult) -> String {
    let files = match result.files.as_slice() {
        [one] => one.clone(),
        many => format!("{} files", many.len()),
    };
    match result.kind {
        Kind::Warm => format!("warm: {files} in the suite's order"),
        Kind::Fresh => format!("fresh: {files}, each on a process of its own"),
        Kind::Together => {
            let before: Vec<_> = result.before.chunk_by(|a, b| file_of(a) == file_of(b)).collect();
            let before = match before.as_slice() {
                [[test]] => test.clone(),
                [[test, ..]] => file_of(test).to_owned(),
                [] => return format!("{files} alone"),
                many => format!("{} files", many.len()),
            };
            format!("{files} after {before}")
        }
    }
}

/// The line of a failure that pytest marks as its gist.
fn last_words(message: &str) -> String {
    let marked = message.lines().find_map(|line| line.strip_prefix("E  "));
    let line = marked.or_else(|| message.lines().next()).unwrap_or_default();
    line.trim().chars().take(MAX_SAID).collect()
}

/// Rounds a figure to a precision that is useful for readers of the record.
fn rounded(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}
