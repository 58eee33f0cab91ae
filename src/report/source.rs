//! Reads what a run left: only the records, and the files beside them that people would open first.
//!
//! A run folder may come from another machine, where its absolute paths had a meaning. It is not trusted: files
//! that it names are looked for only inside it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::model::RunState;
use crate::command_error::{Error, Result};
use crate::file_url::text_path;
use crate::harness::{EventReader, Liveness, ProcessId, liveness, read_run};
use crate::io_error::cannot;
use crate::wire::{
    EVENTS_FILE, Event, EventLine, HEALTH_FILE, JOURNAL_FILE, JournalLine, RUN_FILE, RUN_SCHEMA, RunRecord,
};

/// `schema` of the record of a run of batches.
const BATCHES_SCHEMA: &str = "livegui/batches/1";
/// The default places of run folders, relative to pytest's root.
const USUAL: [&[&str]; 2] = [&[".livegui"], &[".livegui", "batches"]];
/// How many bytes of a process's standard error are shown.
const STDERR_TAIL: u64 = 6 * 1024;
/// How many bytes of any other text are shown.
const MAX_TEXT: u64 = 48 * 1024;
/// How many bytes of a journal, or of its rotated part, are read: more than it ever has.
const MAX_JOURNAL: u64 = 16 * 1024 * 1024;
/// The largest picture that goes into the page, in bytes.
const MAX_PICTURE: u64 = 4 * 1024 * 1024;

/// The records of a run.
#[derive(Debug, Default)]
pub struct Records {
    /// Its name.
    pub run: String,
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// Its progress.
    pub state: RunState,
    /// Pytests that share their tests: one unit for a plain run, one for each batch.
    pub units: Vec<Unit>,
}

/// The tests to run, and the processes that ran them.
#[derive(Debug, Default)]
pub struct Unit {
    /// The batch.
    pub name: String,
    /// The processes.
    pub pytests: Vec<Pytest>,
}

/// One process that ran tests.
#[derive(Debug, Default)]
pub struct Pytest {
    /// The name of the xdist worker, or the number among several processes.
    pub name: String,
    /// As [`Records::state`].
    pub state: RunState,
    /// How it ended, if that was recorded.
    pub end: Option<String>,
    /// Its events.
    pub events: Vec<EventLine>,
    /// Its apps: one run for each handle.
    pub runs: Vec<Run>,
    /// The pictures that the events name.
    pub pictures: HashMap<String, Picture>,
}

/// A picture of the app.
#[derive(Debug)]
pub struct Picture {
    /// Its path.
    pub path: PathBuf,
    /// Its content; `None` if that is too large for a page.
    pub bytes: Option<Vec<u8>>,
}

/// The apps behind one handle.
#[derive(Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Its record.
    pub record: RunRecord,
    /// The contents of the folder of each generation.
    pub generations: HashMap<u32, Generation>,
}

/// The contents of the folder of one process.
#[derive(Debug, Default)]
pub struct Generation {
    /// Its journal.
    pub journal: Vec<JournalLine>,
    /// The end of its standard error.
    pub stderr: String,
    /// The stacks of its threads.
    pub stacks: String,
    /// The last answer of its agent while the app was not well.
    pub health: String,
    /// The names of files that people may want to open.
    pub files: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct BatchesRecord {
    #[serde(default)]
    process: Option<ProcessId>,
    #[serde(default)]
    ended_at: Option<String>,
    batches: Vec<BatchRecord>,
}

#[derive(Debug, Deserialize)]
struct BatchRecord {
    batch: BatchName,
    #[serde(default)]
    processes: Vec<BatchProcess>,
}

#[derive(Debug, Deserialize)]
struct BatchName {
    name: String,
}

#[derive(Debug, Deserialize)]
struct BatchProcess {
    folder: PathBuf,
    #[serde(default)]
    process: Option<ProcessId>,
    #[serde(default)]
    end: Value,
}

/// What every kind of record contains.
#[derive(Debug, Deserialize)]
struct Head {
    schema: String,
    started_at: String,
    ended_at: Option<String>,
}

/// Finds the folder of a run: a folder, the name of one in the default places, or the newest of these if none is
/// named.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub fn find(wanted: Option<&Path>, root: &Path) -> Result<PathBuf> {
    let usual = || USUAL.iter().map(|parts| root.join(PathBuf::from_iter(*parts)));
    let Some(wanted) = wanted else {
        let newest = usual().filter_map(|folder| newest(&folder));
        return of_which_none_is_part(newest.collect()).ok_or_else(|| {
            let looked: Vec<_> = usual().map(|folder| folder.display().to_string()).collect();
            Error::NotFound(format!(
                "there is no run in {}: name its folder (pytest's summary does, with -v)",
                looked.join(" or ")
            ))
        });
    };
    // A file in it works too.
    let wanted = if wanted.is_file() {
        wanted.parent().unwrap_or(wanted)
    } else {
        wanted
    };
    let named = usual().map(|folder| folder.join(wanted));
    let mut places = [root.join(wanted)].into_iter().chain(named);
    let found = places.find(|folder| head(folder).is_some());
    // A folder of runs stands for its newest run.
    found
        .or_else(|| of_which_none_is_part(newest(&root.join(wanted)).into_iter().collect()))
        .ok_or_else(|| {
            Error::NotFound(format!(
                "{} is no folder of a run: it has no {RUN_FILE} of ours",
                wanted.display()
            ))
        })
}

/// The newest of several runs, each the newest of its folder. A run of batches stands for the runs that it started.
fn of_which_none_is_part(runs: Vec<(Head, PathBuf)>) -> Option<PathBuf> {
    let contains = |batches: &Head, run: &Head| {
        let ended = batches.ended_at.as_ref();
        batches.schema == BATCHES_SCHEMA
            && batches.started_at <= run.started_at
            && ended.is_none_or(|ended| run.started_at <= *ended)
    };
    let is_part = |run: &Head| {
        runs.iter()
            .any(|(other, _)| run.schema == RUN_SCHEMA && contains(other, run))
    };
    let whole = runs.iter().filter(|(head, _)| !is_part(head));
    let newest = whole.max_by(|(a, _), (b, _)| a.started_at.cmp(&b.started_at));
    newest.map(|(_, folder)| folder.clone())
}

fn newest(parent: &Path) -> Option<(Head, PathBuf)> {
    let entries = fs::read_dir(parent).ok()?.flatten();
    let runs = entries.filter_map(|entry| Some((head(&entry.path())?, entry.path())));
    runs.max_by(|(a, one), (b, other)| (&a.started_at, one).cmp(&(&b.started_at, other)))
}

fn head(folder: &Path) -> Option<Head> {
    let head: Head = serde_json::from_slice(&fs::read(folder.join(RUN_FILE)).ok()?).ok()?;
    [RUN_SCHEMA, BATCHES_SCHEMA]
        .contains(&head.schema.as_str())
        .then_some(head)
}

/// Reads the records of the run in `folder`; for a session of pytest-xdist, those of all its workers.
///
/// # Errors
/// [`Error::NotFound`] if it is not the folder of a run.
pub fn read(folder: &Path) -> Result<Records> {
    let folder = std::path::absolute(folder).map_err(cannot("find the run's folder"))?;
    let no_run = || Error::NotFound(format!("{} is no folder of a run", folder.display()));
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if let Some(record) = read_run(&folder) {
        let pytests = of_session(&folder, record);
        let state = overall(&pytests);
        let units = vec![Unit {
            name: String::new(),
            pytests,
        }];
        return Ok(Records {
            run: name,
            folder,
            state,
            units,
        });
    }
    let text = fs::read(folder.join(RUN_FILE)).map_err(|_| no_run())?;
    let record: BatchesRecord = serde_json::from_slice(&text).map_err(|_| no_run())?;
    let units = record
        .batches
        .iter()
        .map(|batch| of_batch(&folder, batch))
        .collect();
    let state = match record.ended_at {
        Some(_) => RunState::Finished,
        None => state_of(record.process.as_ref()),
    };
    Ok(Records {
        run: name,
        folder,
        state,
        units,
    })
}

fn overall(pytests: &[Pytest]) -> RunState {
    let any = |wanted: &RunState| pytests.iter().any(|pytest| pytest.state == *wanted);
    [RunState::Running, RunState::Killed, RunState::Unknown]
        .into_iter()
        .find(any)
        .unwrap_or_default()
}

fn state_of(process: Option<&ProcessId>) -> RunState {
    match liveness(process) {
        Liveness::Alive => RunState::Running,
        Liveness::Gone => RunState::Killed,
        Liveness::Unknown => RunState::Unknown,
    }
}

fn of_session(folder: &Path, record: RunRecord) -> Vec<Pytest> {
    let mut found = vec![(folder.to_owned(), record)];
    if let (Some(session), Some(parent)) = (found[0].1.session.clone(), folder.parent()) {
        let entries = fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let others = entries.filter(|path| path != folder);
        let others = others.filter_map(|path| read_run(&path).map(|record| (path, record)));
        found.extend(others.filter(|(_, record)| record.session.as_ref() == Some(&session)));
        found.sort_by(|(a, one), (b, other)| (&one.worker, a).cmp(&(&other.worker, b)));
    }
    let mut pytests: Vec<Pytest> = Vec::new();
    for (folder, record) in found {
        let known = |pytest: &Pytest| pytest.runs.iter().any(|run| run.folder == folder);
        if pytests.iter().any(known) {
            continue; // an earlier handle of the same process
        }
        let events = events_file(&folder, &record);
        let finished = record.ended_at.is_some();
        let (name, process) = (record.worker.clone().unwrap_or_default(), record.process.clone());
        let mut pytest = Pytest {
            name,
            events,
            ..Pytest::default()
        };
        // This is the run that the user asked for, whether its events exist or not.
        pytest.runs.push(read_generations(folder.clone(), record));
        add_opened(&mut pytest, &folder);
        pytest.state = if finished || has_finished(&pytest.events) {
            RunState::Finished
        } else {
            state_of(process.as_ref())
        };
        add_pictures(&mut pytest);
        pytests.push(pytest);
    }
    pytests
}

/// The events of the pytest that made this run, in its folder or in that of another run of the same process.
fn events_file(folder: &Path, record: &RunRecord) -> Vec<EventLine> {
    let beside = record.events.as_deref().map(Path::new);
    let beside = beside.filter(|path| path.is_relative() && path.file_name() == Some(EVENTS_FILE.as_ref()));
    let path = folder.join(beside.unwrap_or_else(|| Path::new(EVENTS_FILE)));
    EventReader::new(path).read().unwrap_or_default()
}

fn has_finished(events: &[EventLine]) -> bool {
    events
        .iter()
        .any(|line| matches!(line.event, Event::SessionFinished { .. }))
}

fn of_batch(folder: &Path, batch: &BatchRecord) -> Unit {
    let mut unit = Unit {
        name: batch.batch.name.clone(),
        pytests: Vec::new(),
    };
    for (number, process) in batch.processes.iter().enumerate() {
        if !is_within(&process.folder) {
            continue;
        }
        let events = EventReader::new(folder.join(&process.folder).join(EVENTS_FILE));
        let mut by_worker: Vec<(Option<String>, Vec<EventLine>)> = Vec::new();
        let mut finished = false;
        for line in { events }.read().unwrap_or_default() {
            finished |= matches!(line.event, Event::SessionFinished { .. });
            match by_worker.iter_mut().find(|(worker, _)| *worker == line.worker) {
                Some((_, events)) => events.push(line),
                None => by_worker.push((line.worker.clone(), vec![line])),
            }
        }
        // The controller of xdist runs no tests. What it reports about a worker's test belongs to that worker.
        if by_worker.len() > 1
            && let Some(index) = by_worker.iter().position(|(worker, _)| worker.is_none())
        {
            let (_, said) = by_worker.swap_remove(index);
            by_worker.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (_, events) in &mut by_worker {
                events.extend(of_worker(&said, events));
            }
        }
        for (worker, events) in by_worker {
            let mut pytest = Pytest {
                events,
                end: describe_end(&process.end),
                ..Pytest::default()
            };
            let which = (number > 0).then(|| format!("resumed {number}"));
            let words = which.into_iter().chain(worker);
            pytest.name = words.collect::<Vec<_>>().join(" ");
            pytest.state = match (&process.end, finished) {
                (_, true) => RunState::Finished,
                (Value::Null, false) => state_of(process.process.as_ref()),
                _ => RunState::Killed,
            };
            let beside = folder.ancestors().nth(2).unwrap_or(folder).to_owned();
            add_opened(&mut pytest, &beside.join("none"));
            add_pictures(&mut pytest);
            unit.pytests.push(pytest);
        }
    }
    unit
}

/// The controller's events about tests that this worker began.
fn of_worker(said: &[EventLine], events: &[EventLine]) -> Vec<EventLine> {
    let began = |test: &str| {
        events
            .iter()
            .any(|line| matches!(&line.event, Event::TestStarted { test: began } if began == test))
    };
    let about = said.iter().filter(|line| match &line.event {
        Event::TestFinished(result) => began(&result.test),
        _ => false,
    });
    about.cloned().collect()
}

fn describe_end(end: &Value) -> Option<String> {
    let text = |name: &str| end.get(name).and_then(Value::as_str);
    Some(match text("how")? {
        "exited" => text("text").unwrap_or("it ended").to_owned(),
        "timed_out" => format!("it was ended after {}", text("limit")?),
        "not_started" => format!("it did not start: {}", text("why")?),
        _ => "it was interrupted".to_owned(),
    })
}

/// Adds the runs that the events name, from where they say, or from beside `folder` if everything was moved.
fn add_opened(pytest: &mut Pytest, folder: &Path) {
    let named = pytest.events.iter().filter_map(|line| match &line.event {
        Event::AppOpened { run_folder } => Some(text_path(run_folder)),
        _ => None,
    });
    for named in named.collect::<Vec<_>>() {
        let Some(name) = named.file_name() else { continue };
        let beside = folder.with_file_name(name);
        let known = |path: &Path| {
            pytest
                .runs
                .iter()
                .any(|run| run.folder.file_name() == path.file_name())
        };
        if known(&named) {
            continue;
        }
        let found = [beside, named.clone()]
            .into_iter()
            .find_map(|path| Some((path.clone(), read_run(&path)?)));
        if let Some((path, record)) = found {
            pytest.runs.push(read_generations(path, record));
        }
    }
}

fn add_pictures(pytest: &mut Pytest) {
    for line in &pytest.events {
        let Event::TestFinished(result) = &line.event else {
            continue;
        };
        for name in result
            .screenshots
            .iter()
            .filter(|name| is_within(Path::new(name)))
        {
            let found = pytest
                .runs
                .iter()
                .map(|run| run.folder.join(name))
                .find(|path| path.is_file());
            let Some(path) = found else { continue };
            let small = fs::metadata(&path).is_ok_and(|found| found.len() <= MAX_PICTURE);
            let bytes = small.then(|| fs::read(&path).ok()).flatten();
            pytest.pictures.insert(name.clone(), Picture { path, bytes });
        }
    }
}

/// Whether a path stays inside the folder that it is relative to.
fn is_within(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn read_generations(folder: PathBuf, record: RunRecord) -> Run {
    let numbers = record.generations.iter().map(|generation| generation.generation);
    let generations = numbers.map(|number| (number, read_generation(&folder.join(format!("gen-{number}")))));
    Run {
        generations: generations.collect(),
        folder,
        record,
    }
}

fn read_generation(folder: &Path) -> Generation {
    let shown = [
        "stderr.log",
        "stdout.log",
        JOURNAL_FILE,
        "stacks.txt",
        HEALTH_FILE,
    ];
    let there = shown.into_iter().filter(|name| folder.join(name).is_file());
    let mut journal = Vec::new();
    for name in [format!("{JOURNAL_FILE}.1"), JOURNAL_FILE.to_owned()] {
        let text = text(&folder.join(name), MAX_JOURNAL, false).unwrap_or_default();
        journal.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
    }
    Generation {
        journal,
        stderr: text(&folder.join("stderr.log"), STDERR_TAIL, true).unwrap_or_default(),
        stacks: text(&folder.join("stacks.txt"), MAX_TEXT, false).unwrap_or_default(),
        health: text(&folder.join(HEALTH_FILE), MAX_TEXT, false).unwrap_or_default(),
        files: there.map(str::to_owned).collect(),
    }
}

/// The beginning of a file, or the complete lines at its end. Only a regular file, because anything else might
/// never end.
fn text(path: &Path, at_most: u64, end: bool) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if end && length > at_most {
        file.seek(SeekFrom::Start(length - at_most))?;
    }
    let mut bytes = Vec::new();
    file.take(at_most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match text.split_once('\n') {
        Some((_, whole)) if end && length > at_most => whole.to_owned(),
        _ => text.into_owned(),
    })
}
