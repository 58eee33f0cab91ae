//! The operating system's table of processes: who they are, and who came from whom.

use std::collections::HashSet;

use jiff::Timestamp;
use sysinfo::{
    Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, Signal, System, UpdateKind,
};

/// A process by pid and creation time, so that a reused pid is not taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    pid: Pid,
    created_at: u64,
}

impl Member {
    /// The process of this pid that was created then.
    #[must_use]
    pub fn new(pid: u32, created_at: u64) -> Self {
        let pid = Pid::from_u32(pid);
        Self { pid, created_at }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_u32()
    }
}

/// When a process was created, in seconds since the epoch; `None` if there is none of that pid.
#[must_use]
pub fn created_at(pid: u32) -> Option<u64> {
    Some(look(&[pid])?.process(Pid::from_u32(pid))?.start_time())
}

/// Whether there is a process of that pid.
#[must_use]
pub fn exists(pid: u32) -> bool {
    created_at(pid).is_some()
}

/// A process for a person: pid, start time, command line.
pub fn describe(pid: u32) -> Option<String> {
    let system = look(&[pid])?;
    let process = system.process(Pid::from_u32(pid))?;
    let command: Vec<_> = process.cmd().iter().map(|word| word.to_string_lossy()).collect();
    let since = i64::try_from(process.start_time())
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok());
    let since = since.map_or_else(String::new, |since| format!(", started {since}"));
    Some(format!("pid {pid}{since}: {}", command.join(" ")))
}

/// What a process has in its environment under this name; `None` also if that must not be seen.
pub fn environment(pid: u32, name: &str) -> Option<String> {
    let system = look(&[pid])?;
    let entries = system.process(Pid::from_u32(pid))?.environ();
    let mut values = entries
        .iter()
        .filter_map(|entry| entry.to_str()?.strip_prefix(name)?.strip_prefix('='));
    values.next().map(str::to_owned)
}

/// Everything that `ancestor` started and that still runs: its descendants, and whoever carries
/// `mark` in the environment though its parent is gone.
pub fn family(ancestor: u32, mark: &str) -> HashSet<Member> {
    let ancestor = Pid::from_u32(ancestor);
    let mut family = grown_from(HashSet::from([ancestor]), mark);
    family.retain(|member| member.pid != ancestor);
    family
}

/// Everything that runs and carries `mark`, and what that started: the family of somebody who is gone.
pub fn marked(mark: &str) -> HashSet<Member> {
    grown_from(HashSet::new(), mark)
}

fn grown_from(mut family: HashSet<Pid>, mark: &str) -> HashSet<Member> {
    let Ok(mut system) = System::new() else {
        return HashSet::new();
    };
    // A thread is no member of its own: what is sent to it ends its process.
    let what = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    loop {
        let before = family.len();
        for (pid, process) in system.processes() {
            let born_here = process.parent().is_some_and(|parent| family.contains(&parent));
            if born_here || process.environ().iter().any(|entry| entry == mark) {
                family.insert(*pid);
            }
        }
        if family.len() == before {
            break;
        }
    }
    let member = |pid: Pid| {
        Some(Member {
            pid,
            created_at: system.process(pid)?.start_time(),
        })
    };
    family.into_iter().filter_map(member).collect()
}

/// Whether a process still runs.
#[must_use]
pub fn runs(member: Member) -> bool {
    look(&[member.pid()]).is_some_and(|system| find(&system, member).is_some())
}

/// Asks a process to end; where it cannot be asked (Windows) it is ended.
pub fn terminate(member: Member) {
    let Some(system) = look(&[member.pid()]) else {
        return;
    };
    if let Some(process) = find(&system, member)
        && process.kill_with(Signal::Term).is_none()
    {
        process.kill();
    }
}

/// Kills those that still run, and says which these were.
pub fn kill_those_left(members: &HashSet<Member>) -> Vec<u32> {
    let pids: Vec<_> = members.iter().map(Member::pid).collect();
    let Some(system) = look(&pids) else {
        return Vec::new();
    };
    let left = members.iter().filter_map(|member| find(&system, *member));
    left.map(|process| {
        process.kill();
        process.pid().as_u32()
    })
    .collect()
}

/// A process that still runs.
fn find(system: &System, member: Member) -> Option<&Process> {
    let process = system.process(member.pid)?;
    let ended = matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
    let gone = ended && !has_other_threads(member.pid);
    (process.start_time() == member.created_at && !gone).then_some(process)
}

/// Whether threads of a process whose first thread has ended are still there, and with them its ports.
fn has_other_threads(pid: Pid) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")); // of Linux; elsewhere a process ends whole
    tasks.is_ok_and(|tasks| tasks.count() > 1)
}

fn look(pids: &[u32]) -> Option<System> {
    if pids.is_empty() {
        return None;
    }
    let pids: Vec<_> = pids.iter().copied().map(Pid::from_u32).collect();
    let mut system = System::new().ok()?;
    let what = ProcessRefreshKind::nothing()
        .with_cmd(UpdateKind::Always)
        .with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
    Some(system)
}
