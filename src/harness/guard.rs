//! A process beside this one. If this process is killed, it ends what this one has started. An app with an agent
//! then ends itself, so this is for an app whose agent never started.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::process::{GRACE, end_left_over};
use crate::process::{Child, Handle, Mark, Parent, ProcessId, marked};
use crate::wire::env;

/// The command of `livegui` that is the guard.
pub const COMMAND: &str = "guard";
/// How often it checks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Apps with an agent end themselves within this time, and say why.
const AGENTS_FIRST: Duration = Duration::from_secs(3);

/// The guard of this process. It ends with this process, or when this is dropped.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    marks: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Starts a guard; `None` if that is impossible, which is no failure. On Windows, jobs take its place.
    #[must_use]
    pub fn start(python: &Path) -> Option<Self> {
        if cfg!(windows) || python.as_os_str().is_empty() {
            return None;
        }
        let mut command = Command::new(python);
        command
            .args(["-m", "livegui", COMMAND])
            .env(env::PARENT, serde_json::to_string(&ProcessId::current()).ok()?)
            .env_remove(env::RUN_DIR)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = Child::start(command).ok()?;
        let marks = Mutex::new(child.take_input());
        Some(Self { child, marks })
    }

    /// From now on, no process with this name and value in its environment outlives this process.
    pub fn watch(&self, mark: (&str, &OsStr)) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = marks.as_mut()
            && let Ok(line) = serde_json::to_string(&mark)
            && writeln!(input, "{line}").is_err()
        {
            *marks = None;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.child.send_group(true);
        let _ = self.child.wait(GRACE);
    }
}

/// The body of the guard process. Returns when everything that it must end is gone.
///
/// # Errors
/// What the operating system reports if it cannot begin.
pub fn run() -> io::Result<()> {
    let Some(parent) = Parent::named().filter(|parent| parent.unseen_because().is_none()) else {
        return Ok(());
    };
    // A signal that asks a whole tree to end is not meant for the guard, which exists for processes that ignore it.
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::new(AtomicBool::new(false)))?;
    let marks: Arc<Mutex<Vec<(String, OsString)>>> = Arc::default();
    let heard = Arc::clone(&marks);
    thread::Builder::new().spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Ok(mark) = serde_json::from_str(&line) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
            }
        }
    })?;
    while !parent.is_gone() {
        thread::sleep(LOOK_EVERY);
    }
    let marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
    let left = || {
        let marks = marks.iter();
        marks
            .flat_map(|(name, value)| marked(&Mark::new(name, value)))
            .collect::<Vec<_>>()
    };
    if is_empty_within(AGENTS_FIRST, left) {
        return Ok(());
    }
    left().iter().for_each(Handle::terminate);
    if !is_empty_within(GRACE, left) {
        for (name, value) in marks.iter() {
            let _ = end_left_over(None, (name, value));
        }
    }
    Ok(())
}

fn is_empty_within(limit: Duration, left: impl Fn() -> Vec<Handle>) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if left().is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
}
