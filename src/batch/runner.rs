//! Runs batches: one pytest after another, until every test has a result or will never get one.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::command::Pytest;
use super::record::{BatchesRecord, ProcessRecord};
use super::reporter::{Reporters, RunEvent};
use super::results::Results;
use super::verdict::{BatchVerdict, End};
use crate::command_error::Result;
use crate::harness::{
    EVENTS_FILE, Exit, Leftover, LeftoverState, PytestLaunch, PytestProcess, end_left_over, leftovers_of,
    write_record,
};
use crate::io_error::cannot;
use crate::wire::{RUN_FILE, env};

/// How many times a batch continues in a new process after the one before died.
const MAX_RESUMES: usize = 10;
/// How often to check a running pytest.
const TICK: Duration = Duration::from_millis(25);
/// How long a pytest that took too long has to clean up and to report where it was.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// pytest's exit status after it was interrupted.
const STOPPED: i32 = 2;
/// Makes a pytest run what it could collect, even if it could not collect everything.
const PAST_BROKEN: &str = "--continue-on-collection-errors";
const ONLY_FILE: &str = "only.json";

/// Whether the user wants to stop the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// No.
    None,
    /// After the running test.
    AfterTest,
    /// Now.
    Now,
}

/// A run of batches.
pub struct Run<'a> {
    /// Its folder.
    pub folder: PathBuf,
    /// Its record, which is also in that folder.
    pub record: BatchesRecord,
    /// The working folder of every pytest.
    pub root: &'a Path,
    /// Whether to run the files after the one in which a pytest died.
    pub resume_lost: bool,
    /// The reporters.
    pub reporters: Reporters<'a>,
    /// Called a few times a second.
    pub stop_request: &'a mut dyn FnMut() -> StopRequest,
    /// What the previous process left, to be reported before the next one.
    pub left: Vec<String>,
}

impl Run<'_> {
    /// Runs every batch that must still run. Returns the results of each batch.
    pub fn go(&mut self) -> Vec<Results> {
        let total = self.record.batches.len();
        let mut all = Vec::with_capacity(total);
        for index in 0..total {
            let mut results = self.record.batches[index].replay(&self.folder);
            if self.record.batches[index].is_open() && (self.stop_request)() == StopRequest::None {
                self.batch(index, &mut results);
            }
            all.push(results);
        }
        for left in std::mem::take(&mut self.left) {
            self.reporters.event(&RunEvent::Warned(&left));
        }
        all
    }

    fn batch(&mut self, index: usize, results: &mut Results) {
        let total = self.record.batches.len();
        let open = self.record.batches[index + 1..]
            .iter()
            .filter(|batch| batch.is_open());
        let after = open.map(|batch| batch.batch.name.clone()).collect();
        self.reporters.event(&RunEvent::BatchStarted {
            record: &self.record.batches[index],
            number: index + 1,
            total,
            after,
        });
        if let Some(why) = self.unmet_need(index) {
            let record = &mut self.record.batches[index];
            (record.verdict, record.why) = (Some(BatchVerdict::NotRun), Some(why));
        } else {
            let began = Instant::now();
            self.processes(index, results);
            let narrowed = self.record.narrowed || self.record.batches[index].only.is_some();
            let record = &mut self.record.batches[index];
            record.seconds += began.elapsed().as_secs_f64();
            record.take(results);
            let (verdict, why) = results.verdict(narrowed);
            (record.verdict, record.why) = (Some(verdict), why);
        }
        self.save();
        let record = &self.record.batches[index];
        self.reporters.event(&RunEvent::BatchFinished { record });
    }

    /// A needed batch that did not pass, if there is one. Needed batches that are not part of this run count as
    /// passed, because the user left them out.
    fn unmet_need(&self, index: usize) -> Option<String> {
        let needs = &self.record.batches[index].batch.needs;
        let needed = self
            .record
            .batches
            .iter()
            .filter(|other| needs.contains(&other.batch.name));
        let mut unmet = needed.filter(|other| !other.verdict.is_some_and(BatchVerdict::is_good));
        let other = unmet.next()?;
        let verdict = other.verdict.map_or("interrupted", BatchVerdict::as_str);
        Some(format!("it needs {}: {verdict}", other.batch.name))
    }

    fn processes(&mut self, index: usize, results: &mut Results) {
        let record = &self.record.batches[index];
        let mut only = record.only.clone();
        if !record.processes.is_empty() {
            self.clear_away(index);
            let unfinished = results.unfinished();
            let (_, known) = results.progress();
            if known > 0 && unfinished.is_empty() {
                return;
            }
            only = if known > 0 { Some(unfinished) } else { only };
        }
        for resumes in 0.. {
            let before = results.lost().len();
            let rest = self.process(index, results, only.as_deref());
            let interrupted = (self.stop_request)() != StopRequest::None;
            let goes_on = self.resume_lost && resumes < MAX_RESUMES && !interrupted;
            self.reporters.event(&RunEvent::ProcessDied {
                lost: results.lost().get(before..).unwrap_or_default(),
                goes_on_with: if goes_on { rest.len() } else { 0 },
            });
            if rest.is_empty() {
                return;
            }
            if interrupted {
                return results.interrupt();
            }
            if !goes_on {
                return results.give_up(&rest);
            }
            only = Some(rest);
        }
    }

    /// Runs one pytest, from its start until nothing of it is left. Returns the tests for the next one.
    fn process(&mut self, index: usize, results: &mut Results, only: Option<&[String]>) -> Vec<String> {
        for left in std::mem::take(&mut self.left) {
            let text = format!("{left} This batch starts on a fresh process.");
            self.reporters.event(&RunEvent::Warned(&text));
        }
        let past_broken = results.goes_past_broken();
        results.begin();
        let end = match self.start(index, only, past_broken) {
            Ok(mut suite) => {
                let timeout = self.record.batches[index].batch.timeout;
                let end = self.follow(&mut suite, results, timeout);
                self.clear_up(index, &suite, results, &end);
                if results.root().is_none() {
                    self.record.batches[index].said = Some(suite.stderr_tail());
                }
                end
            }
            Err(error) => End::NotStarted {
                why: error.to_string(),
            },
        };
        let rest = results.end(&end);
        let record = &mut self.record.batches[index];
        if let Some(process) = record.processes.last_mut() {
            process.end = Some(end);
        }
        record.take(results);
        self.save();
        rest
    }

    fn start(&mut self, index: usize, only: Option<&[String]>, past_broken: bool) -> Result<PytestProcess> {
        let record = &self.record.batches[index];
        let mut folder = PathBuf::from(&record.batch.name);
        if !record.processes.is_empty() {
            folder.push(format!("resumed-{}", record.processes.len()));
        }
        let path = self.folder.join(&folder);
        let mut environment = record.batch.environment();
        let pytest = Pytest {
            python: &self.record.python,
            extra: &self.record.extra,
            root: self.root,
        };
        let mut command = pytest.command(&record.batch);
        command.extend(past_broken.then(|| PAST_BROKEN.into()));
        self.record.batches[index].processes.push(ProcessRecord {
            pid: 0,
            process: None,
            folder,
            end: None,
        });
        fs::create_dir_all(&path).map_err(cannot(format!("make the folder {}", path.display())))?;
        if let Some(only) = only {
            let file = path.join(ONLY_FILE);
            let write = serde_json::to_vec(only)
                .map_err(Into::into)
                .and_then(|text| fs::write(&file, text));
            write.map_err(cannot(format!("write {}", file.display())))?;
            environment.push((env::ONLY.into(), file.into_os_string()));
        }
        let suite = PytestProcess::start(&PytestLaunch {
            command,
            environment,
            cwd: self.root.to_owned(),
            folder: path,
        })?;
        if let Some(process) = self.record.batches[index].processes.last_mut() {
            (process.pid, process.process) = (suite.pid(), Some(suite.id()));
        }
        self.save();
        Ok(suite)
    }

    fn follow(&mut self, suite: &mut PytestProcess, results: &mut Results, limit: Duration) -> End {
        let deadline = Instant::now() + limit;
        let mut asked = false;
        loop {
            thread::sleep(TICK);
            let status = suite.wait(Duration::ZERO);
            self.listen(suite, results);
            if let Some(status) = status {
                return ended(status, asked);
            }
            match (self.stop_request)() {
                StopRequest::Now => return End::Interrupted,
                StopRequest::AfterTest if !asked => {
                    asked = true;
                    let _ = suite.ask_to_stop();
                    self.reporters.event(&RunEvent::StopRequested);
                }
                _ => {}
            }
            if Instant::now() >= deadline {
                return self.time_out(suite, results, limit);
            }
        }
    }

    /// Interrupts it as with Ctrl-C, so that it reports where it was and ends its app properly. If the test
    /// swallows that, no other test may begin.
    fn time_out(&mut self, suite: &mut PytestProcess, results: &mut Results, limit: Duration) -> End {
        let _ = suite.ask_to_stop();
        suite.interrupt();
        let deadline = Instant::now() + LAST_WORDS;
        while suite.wait(TICK).is_none()
            && Instant::now() < deadline
            && (self.stop_request)() != StopRequest::Now
        {
            self.reporters.event(&RunEvent::TimePassed { results });
        }
        self.listen(suite, results);
        End::TimedOut {
            limit: humantime::format_duration(limit).to_string(),
        }
    }

    fn listen(&mut self, suite: &mut PytestProcess, results: &mut Results) {
        for line in suite.events() {
            results.take(&line);
            let line = &line;
            self.reporters.event(&RunEvent::TestEvent { line, results });
        }
        self.reporters.event(&RunEvent::TimePassed { results });
    }

    /// Checks what it left, ends that, and remembers to report it.
    fn clear_up(&mut self, index: usize, suite: &PytestProcess, results: &Results, end: &End) {
        let left = left_in(results);
        let mut still_there = suite.end();
        still_there.extend(left.iter().flat_map(Leftover::end));
        let how = match end {
            End::Exited { text, .. } => format!("its pytest ended with {text}"),
            End::TimedOut { .. } => "its pytest hung".to_owned(),
            End::Interrupted | End::NotStarted { .. } => "its pytest was ended".to_owned(),
        };
        self.remember(index, &left, &still_there, &how);
    }

    /// Ends what is left of a pytest whose runner was killed.
    fn clear_away(&mut self, index: usize) {
        let record = &self.record.batches[index];
        let Some(process) = record.processes.last().filter(|process| process.end.is_none()) else {
            return;
        };
        let events = self.folder.join(&process.folder).join(EVENTS_FILE);
        let left = left_in(&record.replay(&self.folder));
        let mut still_there = end_left_over(process.process.as_ref(), (env::EVENTS, events.as_os_str()));
        still_there.extend(left.iter().flat_map(Leftover::end));
        self.remember(index, &left, &still_there, "its run was killed");
    }

    fn remember(&mut self, index: usize, left: &[Leftover], still_there: &[u32], how: &str) {
        let record = &mut self.record.batches[index];
        let mut told: Vec<_> = left.iter().map(|left| tell(left, how)).collect();
        if !still_there.is_empty() {
            let pids: Vec<_> = still_there.iter().map(ToString::to_string).collect();
            told.push(format!(
                "processes that could not be ended: pid {}.",
                pids.join(", ")
            ));
        }
        let name = &record.batch.name;
        self.left.extend(
            told.iter()
                .map(|told| format!("prior batch {name:?} left {told}")),
        );
        record.left.extend(told);
    }

    /// The record is for people and for `--resume`. A disk that fills up during the run must not end it.
    fn save(&self) {
        let _ = write_record(&self.folder, RUN_FILE, &self.record);
    }
}

fn left_in(results: &Results) -> Vec<Leftover> {
    results
        .run_folders()
        .iter()
        .flat_map(|folder| leftovers_of(folder))
        .collect()
}

fn tell(left: &Leftover, how: &str) -> String {
    let state = match left.state {
        LeftoverState::Dead => "dead",
        LeftoverState::Degraded => "degraded (it was ended)",
        LeftoverState::Running => "running (it was ended)",
    };
    let why = left.why.as_deref().unwrap_or(how).trim_end_matches('.');
    format!("the live_gui subprocess (pid={}) {state}: {why}.", left.pid)
}

fn ended(exit: Exit, asked_to_stop: bool) -> End {
    if asked_to_stop && exit.code() == Some(STOPPED) {
        return End::Interrupted;
    }
    End::Exited {
        code: exit.code(),
        text: exit.describe(),
    }
}
