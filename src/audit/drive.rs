//! Runs the experiments: each is its own pytest, followed through its events.

use std::time::{Duration, Instant};

use super::evidence::Knowledge;
use super::experiment::{Current, Running, options, targets, word};
use super::experiment_result::{Experiment, ExperimentResult, Kind};
use super::plan::{plan, seconds_left};
use super::probe::probe;
use super::report::report;
use super::setup::Setup;
use super::store::{Progress, Store, digest};
use super::test_index::TestIndex;
use crate::command_error::{Error, Result};
use crate::harness::PytestLaunch;
use crate::wire::file_of;

/// How often to check the running experiments.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Follows the progress of an audit.
pub trait Watcher {
    /// Called a few times a second. The time `left` is not known before every file has had its turns; until then it
    /// is `at_least` that.
    fn tick(&mut self, running: &[Running], left: Duration, at_least: bool);
    /// An experiment has ended.
    fn ended(&mut self, line: &str);
    /// Whether to continue.
    fn go_on(&mut self) -> bool;
}

/// A running audit.
pub struct Audit {
    setup: Setup,
    spares: u32,
    jobs: usize,
    /// Options that keep other plugins from interfering.
    options: Vec<String>,
    knowledge: Knowledge,
    store: Store,
    running: Vec<Current>,
}

impl Audit {
    /// Examines the suite, and creates the audit's folder or resumes the last audit.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is nothing to audit or to resume, [`Error::Io`] if it cannot start.
    pub fn begin(setup: Setup, resume: bool, go_on: &mut dyn FnMut() -> bool) -> Result<Self> {
        let mut asked = vec![setup.python.display().to_string()];
        asked.extend(setup.paths.iter().cloned());
        asked.push("--".to_owned());
        asked.extend(setup.arguments.iter().cloned());
        let digest = digest(&setup.root, &asked);
        let mut store = if resume {
            Store::resume(&setup.root, &digest)?
        } else {
            Store::create(&setup.root)?
        };
        let probe = match store
            .experiment_folder("probe")
            .and_then(|folder| probe(&setup, &folder, go_on))
        {
            Ok(probe) => probe,
            Err(error) => {
                // An audit that should have been resumed can still be, once the suite is repaired.
                if !resume {
                    store.remove();
                }
                return Err(error);
            }
        };
        let beside_itself = probe.beside_itself();
        let mut knowledge = Knowledge::new(TestIndex::new(probe.tests.clone()));
        for result in std::mem::take(&mut store.record.results) {
            knowledge.add(result);
        }
        store.record.digest = digest;
        store.record.tests.clone_from(&probe.tests);
        Ok(Self {
            spares: setup.spares.unwrap_or(u32::from(beside_itself)),
            jobs: setup.jobs.unwrap_or(if beside_itself { 2 } else { 1 }),
            options: probe.options(),
            setup,
            knowledge,
            store,
            running: Vec::new(),
        })
    }

    /// What is known.
    #[must_use]
    pub const fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// The folder and the record.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Runs experiments until there is nothing more to find out, or `watcher` stops it.
    ///
    /// # Errors
    /// [`Error::Program`] if pytest or the app cannot be run. What was found until then is kept.
    pub fn run(&mut self, watcher: &mut dyn Watcher) -> Result<Progress> {
        let began = Instant::now();
        let before = self.store.record.seconds;
        let done = self.experiment(watcher);
        for one in std::mem::take(&mut self.running) {
            self.abandon(one);
        }
        self.store.record.seconds = before + began.elapsed().as_secs_f64();
        self.store.record.ended_at = Some(format!("{:.3}", jiff::Timestamp::now()));
        self.store.record.state = *done.as_ref().unwrap_or(&Progress::Interrupted);
        self.keep()?;
        done
    }

    fn experiment(&mut self, watcher: &mut dyn Watcher) -> Result<Progress> {
        loop {
            self.start_wanted()?;
            if self.running.is_empty() {
                return Ok(Progress::Finished);
            }
            if !watcher.go_on() {
                return Ok(Progress::Interrupted);
            }
            std::thread::sleep(LOOK_EVERY);
            for number in (0..self.running.len()).rev() {
                if self.running[number].look(self.setup.timeout) {
                    let ended = self.running.remove(number);
                    watcher.ended(&self.finish(ended)?);
                }
            }
            self.guess();
            let running: Vec<_> = self.running.iter().map(Current::show).collect();
            watcher.tick(&running, self.left(), !self.knowledge.has_run_all());
        }
    }

    fn start_wanted(&mut self) -> Result<()> {
        while self.running.len() < self.jobs {
            let running: Vec<_> = self.running.iter().map(|one| one.experiment.clone()).collect();
            let wanted = plan(&self.knowledge, self.setup.repeat, &running);
            let Some(next) = wanted.into_iter().next() else {
                break;
            };
            let started = self.start(next)?;
            self.running.push(started);
        }
        Ok(())
    }

    fn start(&self, experiment: Experiment) -> Result<Current> {
        let test_index = self.knowledge.test_index();
        let mut result = ExperimentResult::new(&experiment, test_index);
        let number = self.knowledge.results().len() + self.running.len() + 1;
        let folder = format!("{number:03}-{}", word(result.kind));
        let folder = self.store.experiment_folder(&folder)?;
        result.folder = folder.display().to_string();
        let mut command = self.setup.pytest();
        command.extend(self.options.iter().map(Into::into));
        command.extend(options(&result, self.spares, &folder.join("runs")));
        command.extend(self.setup.arguments.iter().map(Into::into));
        command.extend(targets(&result, test_index).iter().map(Into::into));
        let launch = PytestLaunch {
            command,
            environment: Vec::new(),
            cwd: self.setup.root.clone(),
            folder,
        };
        let total = self.tests_in(&result);
        Current::start(experiment, result, total, &launch)
    }

    fn tests_in(&self, result: &ExperimentResult) -> usize {
        if result.kind == Kind::Together {
            return result.before.len() + result.target.len();
        }
        let all = self.knowledge.test_index().tests().iter();
        all.filter(|test| result.files.iter().any(|file| file == file_of(test)))
            .count()
    }

    /// Takes in the result of an experiment. Returns a line about it.
    fn finish(&mut self, mut ended: Current) -> Result<String> {
        let never_ready = ended.close();
        if ended.result.reached() == 0
            && (ended.result.kind != Kind::Together || ended.result.tests.is_empty())
        {
            return Err(Error::Program(format!(
                "pytest ran no test of {}; all its output is in {}\n{}",
                ended.result.files.join(", "),
                ended.result.folder,
                ended.tail()
            )));
        }
        if never_ready {
            let said = ended.result.tests.iter().map(|seen| seen.said.as_str());
            return Err(Error::Program(format!(
                "the app could not be started: {}; all output is in {}",
                said.into_iter().find(|said| !said.is_empty()).unwrap_or_default(),
                ended.result.folder
            )));
        }
        let line = ended.line();
        self.knowledge.add(ended.result);
        self.keep()?;
        Ok(line)
    }

    /// Ends an experiment whose result is no longer needed. What it has found out about whole files still counts.
    fn abandon(&mut self, mut one: Current) {
        one.abandon();
        if one.result.kind == Kind::Fresh {
            one.result.keep_whole_files(self.knowledge.test_index());
            if one.result.reached() > 0 {
                self.knowledge.add(one.result);
            }
        }
    }

    fn keep(&mut self) -> Result<()> {
        self.store.record.results = self.knowledge.results().to_vec();
        self.store.record.report = report(&self.knowledge, self.setup.repeat, self.spares);
        self.store.write()
    }

    /// Assumes that tests which have not been seen yet take as long as those that have.
    fn guess(&mut self) {
        let running = self.running.iter().flat_map(|one| &one.result.tests);
        let seen: Vec<_> = running.map(|seen| seen.ms / 1e3).collect();
        if !seen.is_empty() {
            self.knowledge.guess(seen.iter().sum::<f64>() / seen.len() as f64);
        }
    }

    fn left(&self) -> Duration {
        let left = seconds_left(&self.knowledge, self.setup.repeat, self.jobs);
        let done: f64 = self.running.iter().map(|one| one.runs_for().as_secs_f64()).sum();
        Duration::try_from_secs_f64(left - done / self.jobs as f64).unwrap_or_default()
    }
}
