//! Turns records into a report. Pure: the same records give the same report.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::journal::{self, thin_out};
use super::model::{File, Group, Process, REPORT_SCHEMA, Report, RunState, State, Test, TestState};
use super::sentence::sentence;
use super::source::{Generation, Picture, Pytest, Records, Unit};
use crate::file_url::{encode_part, file_url};
use crate::text::visible;
use crate::wire::{Event, GenerationRecord, RunRecord, TestOutcome, TestResult, file_of};

/// Roughly how many seconds of frames the page has for all processes together, and at least for one.
const FRAMES_OF_ALL: usize = 6_000;
const FRAMES_OF_ONE: usize = 60;
/// How many bytes of the messages of all tests are kept. Beyond that, each is shortened.
const MESSAGES: usize = 1024 * 1024;
const SHORT_MESSAGE: usize = 600;
/// How many bytes of pictures go into the page. Beyond that, pictures are linked.
const PICTURES: usize = 24 * 1024 * 1024;

/// Makes a report from the records of a run.
#[must_use]
pub fn build(records: &Records) -> Report {
    let mut builder = Builder::default();
    for unit in &records.units {
        builder.unit(unit, &records.folder);
    }
    builder.finish(records)
}

#[derive(Default)]
struct Builder {
    report: Report,
    files: HashMap<String, usize>,
    messages: usize,
    pictures: usize,
    /// The time of the last event.
    last: f64,
}

/// The tests of a process by name, while its events are read.
type Known = HashMap<String, usize>;

impl Builder {
    fn unit(&mut self, unit: &Unit, folder: &Path) {
        let mut began: HashMap<&str, usize> = HashMap::new();
        for pytest in &unit.pytests {
            let known = self.pytest(unit, pytest, folder);
            for name in pytest.events.iter().filter_map(|line| match &line.event {
                Event::TestStarted { test } => Some(test.as_str()),
                Event::TestFinished(result) => Some(result.test.as_str()),
                _ => None,
            }) {
                began.insert(name, known.get(name).copied().unwrap_or_default());
            }
        }
        let collected = unit.pytests.iter().flat_map(|pytest| &pytest.events);
        for line in collected {
            let Event::Collected { tests } = &line.event else {
                continue;
            };
            for test in tests {
                if began.contains_key(test.as_str()) {
                    continue;
                }
                let index = self.test(test, TestState::NotRun);
                began.insert(test, index);
            }
        }
    }

    fn pytest(&mut self, unit: &Unit, pytest: &Pytest, folder: &Path) -> Known {
        let words = [unit.name.as_str(), pytest.name.as_str()];
        let words = words.into_iter().filter(|word| !word.is_empty());
        let name = visible(&words.collect::<Vec<_>>().join(" ")).into_owned();
        let index = self.report.groups.len();
        self.report.groups.push(Group {
            name: if name.is_empty() {
                "pytest".to_owned()
            } else {
                name
            },
            state: pytest.state,
            end: pytest.end.as_deref().map(|end| visible(end).into_owned()),
            processes: Vec::new(),
        });
        let known = self.tests(pytest, index, folder);
        for run in &pytest.runs {
            for record in &run.record.generations {
                let empty = Generation::default();
                let files = run.generations.get(&record.generation).unwrap_or(&empty);
                let at = run.folder.join(format!("gen-{}", record.generation));
                self.process(
                    (index, &run.record, record, files),
                    &known,
                    &relative(folder, &at),
                );
            }
            let remarks = run
                .record
                .remarks
                .iter()
                .map(|remark| visible(remark).into_owned());
            self.report.remarks.extend(remarks);
            for note in &run.record.notes {
                let file = self.file(&note.file);
                let line = format!("fresh process (generation {}): {}", note.generation, note.because);
                self.report.files[file].notes.push(visible(&line).into_owned());
            }
        }
        self.join(index);
        known
    }

    /// Folds the events of one process. Returns the last test with each name.
    fn tests(&mut self, pytest: &Pytest, group: usize, folder: &Path) -> Known {
        let mut known = Known::new();
        let mut culprits = Vec::new();
        let unfinished = if pytest.state == RunState::Running {
            TestState::Running
        } else {
            TestState::Lost
        };
        for line in &pytest.events {
            let at = line.at_ms as f64;
            self.last = self.last.max(at);
            match &line.event {
                Event::TestStarted { test } => {
                    let index = self.test(test, unfinished.clone());
                    let entry = &mut self.report.tests[index];
                    (entry.group, entry.at) = (Some(group), Some(at));
                    known.insert(test.clone(), index);
                }
                Event::TestFinished(result) => {
                    let index = known.get(&result.test).copied();
                    let index = index.unwrap_or_else(|| {
                        let index = self.test(&result.test, TestState::NotRun);
                        let entry = &mut self.report.tests[index];
                        (entry.group, entry.at) = (Some(group), Some(at - result.duration_ms));
                        known.insert(result.test.clone(), index);
                        index
                    });
                    self.finish_test(index, at, result, pytest, folder);
                    if let Some(culprit) = &result.culprit {
                        culprits.push((index, culprit.clone()));
                    }
                }
                Event::CollectionFailed { node, message } => {
                    let index = self.test(node, TestState::Ended(TestOutcome::Error));
                    let entry = &mut self.report.tests[index];
                    entry.group = Some(group);
                    entry.message = visible(message).into_owned();
                    "(could not be collected)".clone_into(&mut entry.name);
                }
                _ => {}
            }
        }
        for (victim, culprit) in culprits {
            self.report.tests[victim].culprit = known.get(&culprit).copied();
        }
        known
    }

    fn finish_test(&mut self, index: usize, at: f64, result: &TestResult, pytest: &Pytest, folder: &Path) {
        let pictures = result
            .screenshots
            .iter()
            .filter_map(|name| pytest.pictures.get(name));
        let pictures = pictures.map(|picture| self.picture(picture, folder)).collect();
        let message = self.message(&result.message);
        let entry = &mut self.report.tests[index];
        entry.outcome = TestState::Ended(result.outcome.clone());
        entry.took = entry.at.map(|began| (at - began).max(0.0));
        entry.message = message;
        (entry.reruns, entry.line) = (result.reruns, result.line);
        // This is its number for now, because the processes come later.
        entry.process = result.generation.map(|generation| generation as usize);
        entry.pictures = pictures;
        if !entry.outcome.is_quiet() {
            let words = ["python", "-m", "pytest", result.test.as_str()];
            entry.reproduce =
                shlex::try_join(words).map_or_else(|_| String::new(), |text| visible(&text).into_owned());
        }
    }

    fn message(&mut self, text: &str) -> String {
        let text = visible(text);
        self.messages += text.len();
        if self.messages <= MESSAGES || text.len() <= SHORT_MESSAGE {
            return text.into_owned();
        }
        let end = &text[text.ceil_char_boundary(text.len() - SHORT_MESSAGE)..];
        format!("[cut: there was more to say than fits into a page; events.jsonl has it]\n…{end}")
    }

    fn picture(&mut self, picture: &Picture, folder: &Path) -> String {
        if let Some(bytes) = &picture.bytes
            && self.pictures + bytes.len() <= PICTURES
            && bytes.starts_with(b"\x89PNG")
        {
            self.pictures += bytes.len();
            return format!("data:image/png;base64,{}", STANDARD.encode(bytes));
        }
        relative(folder, &picture.path)
    }

    fn process(
        &mut self,
        (group, run, record, files): (usize, &RunRecord, &GenerationRecord, &Generation),
        known: &Known,
        folder: &str,
    ) {
        let story = journal::fold(&files.journal);
        let first = story.frames.first().map(|frame| frame.0);
        let states = record.states.iter().map(|change| State {
            at: change.at_ms as f64,
            state: change.state.clone(),
            why: change.why.as_deref().map(|why| visible(why).into_owned()),
        });
        let started = record.started_at_ms.map(|at| at as f64).or(first);
        let end = record.ended_at_ms.map(|at| at as f64);
        // If an app's pytest was killed, nothing recorded the app's end. The last line of its journal is the best
        // estimate.
        let end = end.or_else(|| {
            story
                .until
                .filter(|_| self.report.groups[group].state != RunState::Running)
        });
        let culprit = record.culprit.as_ref();
        let is_good = record.state.is_good();
        let text = |text: &str| (!text.trim().is_empty()).then(|| visible(text.trim_end()).into_owned());
        let notes = run.notes.iter().find(|note| note.generation == record.generation);
        let process = Process {
            generation: record.generation,
            pid: record.pid,
            command: shlex::try_join(record.command.iter().map(String::as_str))
                .map_or_else(|_| String::new(), |command| visible(&command).into_owned()),
            start: started.unwrap_or_default(),
            end,
            ready_ms: record.ready_ms,
            state: record.state.clone(),
            why: why(record).map(|why| visible(&why).into_owned()),
            because: notes.map(|note| visible(&note.because).into_owned()),
            culprit: culprit.and_then(|culprit| known.get(&culprit.test).copied()),
            culprit_name: culprit.map(|culprit| visible(&culprit.test).into_owned()),
            inferred: culprit.is_some_and(|culprit| culprit.inferred),
            states: states.collect(),
            frames: story.frames,
            episodes: story.episodes,
            parts: story.parts,
            last_words: story.last_words,
            stderr: if is_good { None } else { text(&files.stderr) },
            stacks: text(&files.stacks),
            health: text(&files.health),
            files: files
                .files
                .iter()
                .map(|name| (name.clone(), format!("{folder}/{name}")))
                .collect(),
        };
        self.last = self
            .last
            .max(end.unwrap_or_default())
            .max(story.until.unwrap_or_default());
        self.report.groups[group].processes.push(process);
    }

    /// Connects the tests of a group with its processes.
    fn join(&mut self, group: usize) {
        let processes = &self.report.groups[group].processes;
        let by_number: HashMap<_, _> = processes
            .iter()
            .enumerate()
            .map(|(index, it)| (it.generation, index))
            .collect();
        for test in self
            .report
            .tests
            .iter_mut()
            .filter(|test| test.group == Some(group))
        {
            let number = test.process.and_then(|number| u32::try_from(number).ok());
            test.process = number.and_then(|number| by_number.get(&number).copied());
        }
        for (index, process) in processes.iter().enumerate() {
            if let Some(culprit) = process.culprit {
                self.report.tests[culprit].took_down.push(index);
            }
        }
    }

    fn test(&mut self, id: &str, outcome: TestState) -> usize {
        let file = self.file(file_of(id));
        let name = id.split_once("::").map_or("", |(_, name)| name);
        self.report.tests.push(Test {
            file,
            name: visible(name).into_owned(),
            outcome,
            ..Test::default()
        });
        self.report.tests.len() - 1
    }

    fn file(&mut self, name: &str) -> usize {
        if let Some(index) = self.files.get(name) {
            return *index;
        }
        let index = self.report.files.len();
        self.files.insert(name.to_owned(), index);
        self.report.files.push(File {
            name: visible(name).into_owned(),
            notes: Vec::new(),
        });
        index
    }

    fn finish(mut self, records: &Records) -> Report {
        let report = &mut self.report;
        report.schema = REPORT_SCHEMA;
        report.run = visible(&records.run).into_owned();
        report.state = records.state;
        report.remarks.dedup();
        let processes = || report.groups.iter().flat_map(|group| &group.processes);
        let began = report.tests.iter().filter_map(|test| test.at);
        let began = began.chain(processes().map(|process| process.start).filter(|at| *at > 0.0));
        let zero = began.fold(f64::INFINITY, f64::min).floor();
        let zero = if zero.is_finite() { zero } else { self.last };
        if records.state == RunState::Running {
            self.last = self.last.max(crate::harness::now_ms() as f64);
        }
        let budget = FRAMES_OF_ALL / processes().count().max(1);
        report.span = (self.last - zero).max(1.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds since the epoch"
        )]
        {
            report.zero_ms = zero as u64;
        }
        shift(report, zero, budget.max(FRAMES_OF_ONE));
        (report.sentence, report.bad) = sentence(report);
        self.report
    }
}

/// Makes all times relative to the report's zero, and thins out the frames.
fn shift(report: &mut Report, zero: f64, frames_at_most: usize) {
    let shifted = |at: &mut f64| *at = ((*at - zero) * 10.0).round() / 10.0;
    for test in &mut report.tests {
        test.at.iter_mut().for_each(shifted);
    }
    for process in report.groups.iter_mut().flat_map(|group| &mut group.processes) {
        shifted(&mut process.start);
        process.end.iter_mut().for_each(shifted);
        process.states.iter_mut().for_each(|state| shifted(&mut state.at));
        process.frames = thin_out(std::mem::take(&mut process.frames), frames_at_most);
        process.frames.iter_mut().for_each(|frame| shifted(&mut frame.0));
        for episode in &mut process.episodes {
            shifted(&mut episode.at);
            episode.end.iter_mut().for_each(shifted);
        }
        let parts = process.parts.iter_mut().flat_map(|part| &mut part.states);
        parts.for_each(|state| shifted(&mut state.0));
    }
}

/// The URL of `path` relative to a page in `folder`. No part of it can be taken for a scheme.
fn relative(folder: &Path, path: &Path) -> String {
    let mut up = 0;
    let within: PathBuf = loop {
        let base = folder.ancestors().nth(up);
        match base.map(|base| path.strip_prefix(base)) {
            Some(Ok(within)) => break within.to_owned(),
            Some(Err(_)) => up += 1,
            None => break path.to_owned(),
        }
    };
    let parts = within.components().map(encode_part);
    let parts = std::iter::repeat_n("..".to_owned(), up).chain(parts);
    format!("./{}", parts.collect::<Vec<_>>().join("/"))
}

/// The same report for a page outside of the run's folder, with absolute links.
pub fn moved(report: &Report, folder: &Path) -> Report {
    let base = format!("{}/", file_url(folder));
    let whole = |url: &mut String| {
        if let Some(relative) = url.strip_prefix("./") {
            *url = format!("{base}{relative}");
        }
    };
    let mut report = report.clone();
    let files = report
        .groups
        .iter_mut()
        .flat_map(|group| &mut group.processes)
        .flat_map(|it| &mut it.files);
    files.for_each(|(_, url)| whole(url));
    report
        .tests
        .iter_mut()
        .flat_map(|test| &mut test.pictures)
        .for_each(whole);
    report
}

/// Why a process is in its state, if that is worth reporting.
fn why(record: &GenerationRecord) -> Option<String> {
    let on_purpose = record.ended_by.as_ref();
    on_purpose
        .map(|end| format!("ended on purpose by {}: {}", end.test, end.how))
        .or_else(|| record.why.clone())
}
