//! Finds the apps of this user, and queries each once a second, on its own thread, so that a hung app delays no
//! other.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::file_url::text_path;
use crate::harness::{Client, EventReader, Liveness, NoAnswer, ProcessId, read_run};
use crate::runtime_dir::{RuntimeDir, read_ours};
use crate::wire::{EVENTS_FILE, Event, Health, RUN_POINTER_SCHEMA, RunPointer};

/// How often an app is queried.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_millis(800);
/// How many apps are queried at once.
const MAX_APPS: usize = 64;

/// News of an app.
#[derive(Debug)]
pub enum Sighting {
    /// Its agent answered.
    Answered {
        /// The answer.
        health: Box<Health>,
        /// Its number within a test run.
        generation: Option<u32>,
        /// The running test.
        test: Option<String>,
        /// Its heartbeat log.
        journal: Option<PathBuf>,
    },
    /// Its agent did not answer.
    Silent {
        /// Its process.
        pid: u32,
        /// Why.
        why: String,
    },
    /// It has ended.
    Gone {
        /// Its process.
        pid: u32,
    },
}

/// Looks for apps until it is dropped.
#[derive(Debug)]
pub struct Finder {
    /// Receives the news.
    pub sightings: Receiver<Sighting>,
    stopped: Arc<AtomicBool>,
}

impl Finder {
    /// Starts looking.
    ///
    /// # Errors
    /// What the operating system reports if it cannot start the thread.
    pub fn start() -> std::io::Result<Self> {
        let (sender, sightings) = crossbeam_channel::bounded(4 * MAX_APPS);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let look = move || {
            let mut search = Search {
                asked: HashMap::new(),
                runs: HashMap::new(),
                sender,
                stop,
            };
            while !search.stop.load(Ordering::Relaxed) {
                search.look();
                thread::sleep(ASK_EVERY);
            }
        };
        thread::Builder::new()
            .name("livegui-find".to_owned())
            .spawn(look)?;
        Ok(Self { sightings, stopped })
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// The running test of a pytest, as far as its events tell.
type RunningTest = Arc<Mutex<Option<String>>>;

struct Search {
    /// Whether an app is still queried, by the instance of its agent.
    asked: HashMap<String, Arc<AtomicBool>>,
    runs: HashMap<PathBuf, (EventReader, RunningTest)>,
    sender: Sender<Sighting>,
    stop: Arc<AtomicBool>,
}

impl Search {
    fn look(&mut self) {
        self.asked.retain(|_, over| !over.load(Ordering::Relaxed));
        let Ok(runtime) = RuntimeDir::open() else { return };
        let mut runs = Vec::new();
        for entry in fs::read_dir(runtime.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            if let Ok(client) = Client::read(&path) {
                self.ask(client, None, None);
            } else if let Some(folder) = run_of(&path) {
                runs.push(folder);
            }
        }
        self.runs.retain(|folder, _| runs.contains(folder));
        for folder in runs {
            self.look_at_run(&folder);
        }
    }

    fn look_at_run(&mut self, folder: &Path) {
        let Some(record) = read_run(folder) else { return };
        let events = record.events.clone().unwrap_or_else(|| EVENTS_FILE.to_owned());
        let (reader, test) = self
            .runs
            .entry(folder.to_owned())
            .or_insert_with(|| (EventReader::new(folder.join(events)), RunningTest::default()));
        for line in reader.read().unwrap_or_default() {
            let mut running = test.lock().unwrap_or_else(PoisonError::into_inner);
            match line.event {
                Event::TestStarted { test } => *running = Some(test),
                Event::TestFinished(_) => *running = None,
                _ => {}
            }
        }
        let test = Arc::clone(test);
        // The latest is the one under test, unless it is still a spare.
        let in_use = record
            .generations
            .iter()
            .rfind(|generation| generation.state.was_tested());
        let in_use = in_use.map(|generation| generation.generation);
        for generation in record
            .generations
            .iter()
            .filter(|generation| generation.ended_at_ms.is_none())
        {
            let number = generation.generation;
            if let Some(client) = Client::find(&folder.join(format!("gen-{number}"))) {
                let test = (in_use == Some(number)).then(|| Arc::clone(&test));
                self.ask(client, Some(number), test);
            }
        }
    }

    fn ask(&mut self, client: Client, generation: Option<u32>, test: Option<RunningTest>) {
        let instance = client.instance().to_owned();
        if self.asked.contains_key(&instance) || self.asked.len() >= MAX_APPS {
            return;
        }
        let over = Arc::new(AtomicBool::new(false));
        self.asked.insert(instance, Arc::clone(&over));
        let (sender, stop) = (self.sender.clone(), Arc::clone(&self.stop));
        let known = Arc::clone(&over);
        let run = move || {
            let process = client.process().cloned();
            let process = process.unwrap_or_else(|| ProcessId::unverified(client.pid()));
            while !stop.load(Ordering::Relaxed) {
                let sighting = match client.health(ANSWER_WITHIN) {
                    Ok(health) => Sighting::Answered {
                        health: Box::new(health),
                        generation,
                        test: test
                            .as_ref()
                            .and_then(|test| test.lock().unwrap_or_else(PoisonError::into_inner).clone()),
                        journal: client.journal(),
                    },
                    Err(_) if process.liveness() == Liveness::Gone => break,
                    Err(NoAnswer { why, .. }) => Sighting::Silent {
                        pid: client.pid(),
                        why,
                    },
                };
                if sender.send(sighting).is_err() {
                    break;
                }
                thread::sleep(ASK_EVERY);
            }
            let _ = sender.send(Sighting::Gone { pid: client.pid() });
            over.store(true, Ordering::Relaxed);
        };
        if thread::Builder::new()
            .name("livegui-ask".to_owned())
            .spawn(run)
            .is_err()
        {
            known.store(true, Ordering::Relaxed);
        }
    }
}

/// The folder of a run in progress. If the run is over, deletes the file that names it.
fn run_of(path: &Path) -> Option<PathBuf> {
    let pointer: RunPointer = serde_json::from_slice(&read_ours(path).ok()?).ok()?;
    if pointer.schema != RUN_POINTER_SCHEMA {
        return None;
    }
    if pointer.process.liveness() == Liveness::Gone {
        let _ = fs::remove_file(path);
        return None;
    }
    Some(text_path(&pointer.folder))
}
