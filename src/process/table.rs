//! The operating system's table of processes: which process started which.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::handle::Handle;
use super::id::Liveness;
use crate::wire::ProcessId;

/// How long a process may take to replace its program, on a busy machine.
const REPLACED_WITHIN: Duration = Duration::from_millis(100);
/// How soon to check again meanwhile.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);
/// How many times a process may do so between two checks: a script becomes `setsid`, and that an interpreter.
const PROGRAMS_IN_A_ROW: u32 = 3;

/// A variable in the environment of everything that a process started, even if the parents in between are gone. A
/// mark without a value matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Option<OsString>);

impl Mark {
    /// This variable with this value.
    #[must_use]
    pub fn new(name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        let entry = || [OsStr::new(name), OsStr::new("="), value].into_iter().collect();
        Self((!value.is_empty()).then(entry))
    }

    const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn is_carried_by(&self, process: &Process) -> bool {
        self.0
            .as_ref()
            .is_some_and(|mark| process.environ().iter().any(|entry| entry == mark))
    }
}

/// Describes a process for people: pid, start time, command line.
pub fn describe(pid: u32) -> Option<String> {
    let system = look(pid)?;
    let process = system.process(Pid::from_u32(pid))?;
    let command: Vec<_> = process.cmd().iter().map(|word| word.to_string_lossy()).collect();
    let since = i64::try_from(process.start_time())
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok());
    let since = since.map_or_else(String::new, |since| format!(", started {since}"));
    Some(format!("pid {pid}{since}: {}", command.join(" ")))
}

/// The value of a variable in the environment of a process; `None` also if it may not be read.
#[must_use]
pub fn environment(process: &ProcessId, name: &str) -> Option<OsString> {
    let system = look(process.pid)?;
    let entries = system.process(Pid::from_u32(process.pid))?.environ();
    let value = entries.iter().find_map(|entry| value_of(entry, name))?;
    (process.liveness() == Liveness::Alive).then_some(value)
}

#[cfg(unix)]
fn value_of(entry: &OsStr, name: &str) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt;
    let value = entry
        .as_bytes()
        .strip_prefix(name.as_bytes())?
        .strip_prefix(b"=")?;
    Some(OsStr::from_bytes(value).to_owned())
}

#[cfg(not(unix))]
fn value_of(entry: &OsStr, name: &str) -> Option<OsString> {
    Some(entry.to_str()?.strip_prefix(name)?.strip_prefix('=')?.into())
}

/// Everything that `ancestor` started and that still runs: its descendants, and processes that carry `mark`
/// although their parent is gone.
#[must_use]
pub fn family(ancestor: &ProcessId, mark: &Mark) -> Vec<Handle> {
    let mut family = grown_from(Handle::open(ancestor), mark, Bearers::Any);
    family.retain(|member| member.id() != ancestor);
    family
}

/// The same for a process that this one started, and which got `mark` at its start. Nothing in its family is older,
/// so the environments of many other processes need not be read.
#[must_use]
pub fn family_of_child(child: &ProcessId, mark: &Mark) -> Vec<Handle> {
    let mut family = grown_from(Handle::open(child), mark, Bearers::NoOlder);
    family.retain(|member| member.id() != child);
    family
}

/// Everything that runs and carries `mark`, and what that started: the family of a process that is gone.
#[must_use]
pub fn marked(mark: &Mark) -> Vec<Handle> {
    grown_from(None, mark, Bearers::Any)
}

/// Which processes may carry a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bearers {
    /// Any process.
    Any,
    /// Only processes that are no older than the root.
    NoOlder,
}

/// First a quick check of all processes, then a slow one of those that may belong to the family. What is read of a
/// number counts only if the same process had it before and after.
fn grown_from(root: Option<Handle>, mark: &Mark, bearers: Bearers) -> Vec<Handle> {
    let mut family = Vec::from_iter(root);
    let mut candidates = candidates(family.first().map(|root| root.id().pid), mark, bearers);
    loop {
        let before = family.len();
        candidates.retain(|pid| match belongs(*pid, &family, mark) {
            Some(member) => {
                family.push(member);
                false
            }
            None => true,
        });
        if family.len() == before {
            return family;
        }
    }
}

/// Numbers of the processes that seem to belong to the family, usually parents first.
fn candidates(root: Option<u32>, mark: &Mark, bearers: Bearers) -> Vec<u32> {
    let Ok(mut system) = System::new() else {
        return Vec::new();
    };
    // A thread is not a member, because a signal to it ends its process.
    let what = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let since = root.filter(|_| bearers == Bearers::NoOlder);
    let later = started_after(since, &system);
    let what = what
        .with_environ(UpdateKind::Always)
        .with_user(UpdateKind::OnlyIfNotSet);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&later), false, what);
    // The environment of another user's process can never be read.
    let user = |process: &Process| process.effective_user_id().cloned();
    let own = system.process(Pid::from_u32(std::process::id())).and_then(user);
    let may_carry = |process: &Process| {
        mark.is_carried_by(process) || !mark.is_empty() && is_blank(process) && user(process) == own
    };
    let mut known: HashSet<Pid> = root.map(Pid::from_u32).into_iter().collect();
    let mut found = Vec::new();
    loop {
        let before = known.len();
        for (pid, process) in system.processes() {
            let born_here = process.parent().is_some_and(|parent| known.contains(&parent));
            if (born_here || may_carry(process)) && known.insert(*pid) {
                found.push(pid.as_u32());
            }
        }
        if known.len() == before {
            return found;
        }
    }
}

/// The processes that are no older than the given one; all, if there is none. Reading the environments of all is
/// slow if there are many.
fn started_after(root: Option<u32>, system: &System) -> Vec<Pid> {
    let root = root.and_then(|root| system.process(Pid::from_u32(root)));
    let since = root.map_or(0, Process::start_time);
    let is_later = |process: &&Process| process.start_time() >= since;
    system
        .processes()
        .values()
        .filter(is_later)
        .map(Process::pid)
        .collect()
}

fn belongs(pid: u32, family: &[Handle], mark: &Mark) -> Option<Handle> {
    let member = Handle::open(&ProcessId::of(pid)?)?;
    let system = look(pid)?;
    let process = system.process(Pid::from_u32(pid))?;
    let parent = process.parent().map(Pid::as_u32);
    let parent = family.iter().find(|other| Some(other.id().pid) == parent);
    // A parent that still exists existed when its child named it.
    let born_here = parent.is_some_and(|parent| parent.liveness() == Liveness::Alive);
    let belongs = born_here || mark.is_carried_by(process);
    (belongs && member.liveness() == Liveness::Alive).then_some(member)
}

fn look(pid: u32) -> Option<System> {
    let what = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_cmd(UpdateKind::Always)
        .with_environ(UpdateKind::Always);
    let pid = Pid::from_u32(pid);
    let deadline = Instant::now() + REPLACED_WITHIN;
    let mut whole = 0;
    loop {
        // A new one each time, because it keeps what it read before where it now reads nothing.
        let mut system = System::new().ok()?;
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
        let Some(process) = system.process(pid).filter(|process| is_blank(process)) else {
            return Some(system);
        };
        // A process that is half-way has neither. If it has a command line, its environment was read later.
        if process.cmd().is_empty() {
            thread::sleep(LOOK_AGAIN_AFTER);
        } else {
            whole += 1;
        }
        if whole > PROGRAMS_IN_A_ROW || Instant::now() >= deadline {
            return Some(system);
        }
    }
}

/// Whether it has no environment. Usually it is just replacing its program, and for a moment the system shows
/// nothing of it.
fn is_blank(process: &Process) -> bool {
    let may_run = !matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
    let is_kernel = process.thread_kind().is_some();
    cfg!(target_os = "linux") && process.environ().is_empty() && may_run && !is_kernel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_without_a_value_matches_nobody() {
        let mut command = std::process::Command::new(if cfg!(windows) { "ping" } else { "sleep" });
        command.args(if cfg!(windows) {
            vec!["-n", "60", "127.0.0.1"]
        } else {
            vec!["60"]
        });
        let mut child = command.env("LIVEGUI_TEST_MARK", "").spawn().unwrap();
        assert!(marked(&Mark::new("LIVEGUI_TEST_MARK", "")).is_empty());
        assert!(
            family(&ProcessId::current(), &Mark::new("LIVEGUI_TEST_MARK", ""))
                .iter()
                .any(|member| member.id().pid == child.id()),
            "a child is known without a mark"
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_replaces_its_program_all_the_time_is_found_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let again = folder.path().join("again");
        std::fs::write(&again, "exec sh \"$0\"").unwrap();
        let value = folder.path().as_os_str();
        let mut command = std::process::Command::new("sh");
        let mut child = command
            .arg(&again)
            .env("LIVEGUI_TEST_MARK", value)
            .spawn()
            .unwrap();
        let mark = Mark::new("LIVEGUI_TEST_MARK", value);
        let missed = (0..60).filter(|_| marked(&mark).is_empty()).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(missed, 0);
    }
}
