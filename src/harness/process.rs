//! One process of ours, an app or a pytest. Its output goes into files, and it is ended with everything that it
//! started.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::fault;
use super::output::Outputs;
use crate::process::{
    Child, Exit, Handle, Liveness, Mark, ProcessId, family, family_of_child, liveness, marked,
};

/// How long a process may take to end after SIGTERM before it is killed.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long a killed process may take to disappear.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often a wait checks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How much later than the app a script that waits for the app ends, with the app's status.
const STATUS_WITHIN: Duration = Duration::from_millis(20);
/// How many bytes of standard error an error message shows.
const TAIL: u64 = 2048;
/// How many bytes of standard error are searched for a report of the fault handler: enough for over a hundred
/// threads.
const FAULT: u64 = 128 * 1024;

/// Name of the file with the app's standard output.
pub const STDOUT: &str = "stdout.log";
/// Name of the file with the app's standard error.
pub const STDERR: &str = "stderr.log";

/// How to start a process.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The command line.
    pub command: Vec<OsString>,
    /// Variables to add to the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// One more variable, which no other process gets. So every process that has it came from this one, even if the
    /// parents in between are gone.
    pub mark: (&'static str, OsString),
    /// The working folder.
    pub cwd: PathBuf,
    /// The folder for its output.
    pub folder: PathBuf,
    /// Roughly how many bytes to keep of each of its outputs.
    pub output_limit: u64,
}

/// A process that was started, whether it still runs or not, and everything that it started.
#[derive(Debug)]
pub struct ProcessTree {
    child: Child,
    /// The process that has the agent, if that is not the one that was started (a script, a launcher).
    followed: Mutex<Option<Followed>>,
    mark: Mark,
    folder: PathBuf,
    outputs: Outputs,
    /// Whether a test asked it to end.
    asked_to_end: AtomicBool,
}

/// The state of a process that has no agent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartState {
    /// It runs.
    Running,
    /// It has ended, but other processes that it started run. A launcher may end as soon as the app runs.
    Launched,
    /// It has ended, and nothing that it started runs.
    Ended(Exit),
}

#[derive(Debug)]
struct Followed {
    process: Handle,
    /// Whether the process that was started still existed when this one last did. Only then does its status say how
    /// this one ended, because a launcher ends much earlier.
    is_waited_for: bool,
    exit: Option<Exit>,
}

impl ProcessTree {
    /// Starts it at the head of its own process group (on Windows, in its own job). A Ctrl-C at the terminal is for
    /// pytest, which ends the app properly.
    ///
    /// # Errors
    /// What the operating system reports: no such program, no such folder, no permission.
    pub fn start(launch: &Launch) -> io::Result<Self> {
        let (program, arguments) = launch.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let outputs = Outputs::new(&launch.folder, launch.output_limit);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&launch.cwd)
            .stdin(Stdio::null())
            .stdout(outputs.create(STDOUT)?)
            .stderr(outputs.create(STDERR)?);
        command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        let (name, value) = &launch.mark;
        command.env(name, value);
        Ok(Self {
            child: Child::start(command)?,
            followed: Mutex::default(),
            mark: Mark::new(name, value),
            folder: launch.folder.clone(),
            outputs,
            asked_to_end: AtomicBool::new(false),
        })
    }

    /// Records that a test asks it to end.
    pub fn note_asked_to_end(&self) {
        self.asked_to_end.store(true, Ordering::Relaxed);
    }

    /// Whether a test asked it to end.
    #[must_use]
    pub fn was_asked_to_end(&self) -> bool {
        self.asked_to_end.load(Ordering::Relaxed)
    }

    /// Its identity: the process that has the agent, once that is known, or else the one that was started.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        let followed = self.followed();
        let id = followed.as_ref().map(|followed| followed.process.id());
        id.unwrap_or(self.child.id()).clone()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.id().pid
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// From now on this is the process, if the one that was started has started it.
    pub fn follow(&self, agent: Option<&ProcessId>) {
        let Some(agent) = agent.filter(|agent| agent.is_of_here()) else {
            return;
        };
        if *agent == self.id() || liveness(Some(agent)) != Liveness::Alive {
            return;
        }
        let followed = if agent == self.child.id() {
            None
        } else {
            let process = self.family().into_iter().find(|member| member.id() == agent);
            let Some(process) = process else { return };
            Some(Followed {
                process,
                is_waited_for: self.child.exit().is_none(),
                exit: None,
            })
        };
        *self.followed() = followed;
    }

    /// How it ended, once it did.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        let mut followed = self.followed();
        let Some(followed) = followed.as_mut() else {
            return self.child.exit();
        };
        if followed.exit.is_none() {
            let is_waited_for = self.child.exit().is_none();
            if followed.process.liveness() != Liveness::Gone {
                followed.is_waited_for = is_waited_for;
            } else if let Some(exit) = followed.process.exit() {
                followed.exit = Some(exit);
            } else if followed.is_waited_for {
                // It is not a child of ours. A process that waits for it usually passes its status on.
                followed.exit = Some(self.child.wait(STATUS_WITHIN).unwrap_or(Exit::Unknown));
            } else {
                followed.exit = Some(Exit::Unknown);
            }
        }
        followed.exit
    }

    /// Keeps its outputs within their limit.
    pub fn trim_outputs(&self) {
        self.outputs.trim();
    }

    /// Its state, as long as it has no agent.
    #[must_use]
    pub fn start_state(&self) -> StartState {
        let Some(exit) = self.child.exit() else {
            return StartState::Running;
        };
        // A process that failed is not a launcher, whatever it leaves running.
        let failed = matches!(exit, Exit::Status(status) if !status.success());
        if failed || self.family().is_empty() {
            StartState::Ended(exit)
        } else {
            StartState::Launched
        }
    }

    /// Waits for its end, for at most `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Exit> {
        let deadline = Instant::now() + limit;
        loop {
            self.outputs.trim();
            let exit = self.exit();
            let left = deadline.saturating_duration_since(Instant::now());
            if exit.is_some() || left.is_zero() {
                return exit;
            }
            if self.followed().is_some() {
                thread::sleep((5 * LOOK_EVERY).min(left));
            } else {
                let _ = self.child.wait(left);
            }
        }
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.child.send_group(false);
        if let Some(followed) = &*self.followed() {
            followed.process.terminate();
        }
    }

    /// Asks it to end as Ctrl-C does; on Windows, as Ctrl-Break does.
    pub fn interrupt(&self) {
        self.child.interrupt();
    }

    /// Kills it.
    pub fn kill(&self) {
        self.child.send_group(true);
        if let Some(followed) = &*self.followed() {
            followed.process.kill();
        }
    }

    /// Ends it and everything that it started, and makes sure that they are gone. With a `grace`, first asks it to
    /// end by itself. Returns the pids that still exist; there should be none.
    pub fn end_tree(&self, grace: Option<Duration>) -> Vec<u32> {
        // Processes that left its group can be recognised as its children only while it runs.
        let family = if self.child.exit().is_none() || self.followed().is_some() {
            self.family()
        } else {
            Vec::new()
        };
        if let Some(grace) = grace {
            self.terminate();
            let _ = self.wait(grace);
        }
        // The group outlives its leader: an app that ended first leaves its helpers in it.
        self.kill();
        let _ = self.child.wait(GONE_WITHIN);
        let left = kill_family(family, || self.family());
        self.outputs.trim();
        // Do this last: until here no other process could get its number, or its group's.
        self.child.reap();
        left
    }

    /// All of it that runs: itself, and what it started.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let family = self.family();
        let came_from_it = family.iter().map(|member| member.id().pid);
        came_from_it.chain([self.child.id().pid]).collect()
    }

    fn family(&self) -> Vec<Handle> {
        family_of_child(self.child.id(), &self.mark)
    }

    fn followed(&self) -> MutexGuard<'_, Option<Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last lines that it wrote to standard error; of a fault handler's report, the part that matters.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        let end = |bytes| tail(&self.folder.join(STDERR), bytes).unwrap_or_default();
        fault::in_order(&end(FAULT)).unwrap_or_else(|| end(TAIL))
    }
}

/// Ends a process that something else started, and everything that came from it: processes with `mark`, a name and
/// a value, in their environment. Does not end a process whose identity is uncertain. Returns the pids that still
/// exist; there should be none.
#[must_use]
pub fn end_left_over(itself: Option<&ProcessId>, mark: (&str, &OsStr)) -> Vec<u32> {
    let mark = Mark::new(mark.0, mark.1);
    let Some(itself) = itself.and_then(Handle::open) else {
        // Another process may have its number by now.
        return kill_family(Vec::new(), || marked(&mark));
    };
    let id = itself.id().clone();
    let mut members = family(&id, &mark);
    itself.terminate();
    let deadline = Instant::now() + GRACE;
    while itself.liveness() == Liveness::Alive && Instant::now() < deadline {
        thread::sleep(LOOK_EVERY);
    }
    members.push(itself);
    kill_family(members, || family(&id, &mark))
}

fn kill_family(mut members: Vec<Handle>, grown: impl Fn() -> Vec<Handle>) -> Vec<u32> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        // What they start while they are being ended belongs to the family too.
        for member in grown() {
            if members.iter().all(|known| known.id() != member.id()) {
                members.push(member);
            }
        }
        members.retain(|member| member.liveness() == Liveness::Alive);
        members.iter().for_each(Handle::kill);
        if members.is_empty() || Instant::now() >= deadline {
            return members.iter().map(|member| member.id().pid).collect();
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The last complete lines of a file, up to this many bytes.
fn tail(path: &Path, bytes_at_most: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_at_most)))?;
    let mut bytes = Vec::new();
    file.take(bytes_at_most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if length > bytes_at_most {
        text.split_once('\n').map_or("", |(_, whole)| whole)
    } else {
        &*text
    };
    Ok(whole.trim_end().to_owned())
}
