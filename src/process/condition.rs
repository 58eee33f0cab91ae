//! The condition of a process, as the system sees it from outside, for errors about a process that does not answer.

use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// The state of a process according to the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, or is ready to run.
    Running,
    /// It waits for something.
    Sleeping,
    /// It waits for the disk or a driver, and cannot be interrupted.
    Uninterruptible,
    /// It was stopped, as with Ctrl-Z.
    Stopped,
    /// A debugger holds it.
    Traced,
    /// It has ended, but its exit status was not read.
    Ended,
    /// It exists. Windows does not tell more, even if all its threads are suspended.
    Alive,
}

impl State {
    /// The letter that `ps` shows, and a description.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Running => "running (state R)",
            Self::Sleeping => "sleeping (state S)",
            Self::Uninterruptible => "waiting for the disk or a driver (state D)",
            Self::Stopped => "stopped (state T)",
            Self::Traced => "held by a debugger (state t)",
            Self::Ended => "ended, and nobody has read its exit status (state Z)",
            Self::Alive => "alive",
        }
    }
}

/// The condition of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The state according to the scheduler.
    pub state: State,
    /// The CPU time that it has used since its start.
    pub cpu: Duration,
    /// The process that debugs it, for example `gdb, pid 7`. This and the rest is known on Linux only.
    pub debugger: Option<String>,
    /// Bytes of its memory that are resident, and bytes that are swapped out.
    pub memory: Option<(u64, u64)>,
    /// The names of its threads, of which Linux keeps 15 characters.
    pub threads: Option<Vec<String>>,
}

/// Examines a process; `None` if it does not exist, or may not be seen.
#[must_use]
pub fn condition(pid: u32) -> Option<Condition> {
    let mut system = System::new().ok()?;
    let what = ProcessRefreshKind::nothing().without_tasks().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[Pid::from_u32(pid)]), true, what);
    let process = system.process(Pid::from_u32(pid))?;
    let state = match process.status() {
        ProcessStatus::Stop => State::Stopped,
        ProcessStatus::Tracing => State::Traced,
        ProcessStatus::UninterruptibleDiskSleep => State::Uninterruptible,
        ProcessStatus::Zombie | ProcessStatus::Dead => State::Ended,
        ProcessStatus::Run if cfg!(windows) => State::Alive,
        ProcessStatus::Run => State::Running,
        _ => State::Sleeping,
    };
    Some(Condition {
        state,
        cpu: Duration::from_millis(process.accumulated_cpu_time()),
        debugger: imp::debugger(pid),
        memory: imp::memory(pid),
        threads: imp::threads(pid),
    })
}

/// How a process fares with the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduling {
    /// The CPU time that its threads have used.
    pub cpu: Duration,
    /// One of its threads runs or waits for a processor, apart from those of its agent, which have just answered.
    pub is_ready: bool,
}

/// How a process fares with the scheduler. Known on Linux only.
#[must_use]
pub fn scheduling(pid: u32) -> Option<Scheduling> {
    imp::scheduling(pid)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;
    use std::time::Duration;

    use super::Scheduling;
    use crate::process::proc_text::proc_text;

    /// A number in `/proc/PID/status`.
    fn field(pid: u32, name: &str) -> Option<u64> {
        let status = proc_text(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    }

    fn name_at(path: &str) -> Option<String> {
        Some(proc_text(path).ok()?.trim_end().to_owned())
    }

    pub fn debugger(pid: u32) -> Option<String> {
        let by = field(pid, "TracerPid").filter(|by| *by != 0)?;
        let name = name_at(&format!("/proc/{by}/comm"));
        Some(name.map_or_else(|| format!("pid {by}"), |name| format!("{name}, pid {by}")))
    }

    pub fn memory(pid: u32) -> Option<(u64, u64)> {
        Some((1024 * field(pid, "VmRSS")?, 1024 * field(pid, "VmSwap")?))
    }

    pub fn scheduling(pid: u32) -> Option<Scheduling> {
        let mut all = Scheduling {
            cpu: Duration::ZERO,
            is_ready: false,
        };
        for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let read = |name: &str| proc_text(thread.path().join(name));
            // A thread that has just ended has no files.
            let (Ok(stat), Ok(schedstat)) = (read("stat"), read("schedstat")) else {
                continue;
            };
            all.is_ready |= is_ready(&stat);
            let nanos = schedstat.split_whitespace().next()?.parse().ok()?;
            all.cpu += Duration::from_nanos(nanos);
        }
        Some(all)
    }

    /// Whether `/proc/PID/task/TID/stat` is of a thread that runs or waits for a processor, and not the agent's.
    pub fn is_ready(stat: &str) -> bool {
        let Some((before, after)) = stat.rsplit_once(") ") else {
            return false;
        };
        after.starts_with('R') && !before.contains("(livegui-")
    }

    pub fn threads(pid: u32) -> Option<Vec<String>> {
        let entries = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let paths = entries.map(|entry| entry.path().join("comm"));
        Some(paths.filter_map(|path| name_at(path.to_str()?)).collect())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::Scheduling;

    pub fn scheduling(_pid: u32) -> Option<Scheduling> {
        None
    }

    pub fn debugger(_pid: u32) -> Option<String> {
        None
    }

    pub fn memory(_pid: u32) -> Option<(u64, u64)> {
        None
    }

    pub fn threads(_pid: u32) -> Option<Vec<String>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_seen_and_one_that_is_not_there_is_not() {
        let this = condition(std::process::id()).unwrap();
        let expected = if cfg!(windows) {
            matches!(this.state, State::Alive)
        } else {
            matches!(this.state, State::Running | State::Sleeping)
        };
        assert!(expected, "{this:?}");
        if cfg!(target_os = "linux") {
            assert!(this.threads.is_some_and(|threads| !threads.is_empty()));
            assert!(this.memory.is_some_and(|(resident, _)| resident > 0));
        }
        assert_eq!(condition(u32::MAX - 1), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_sleeps_is_not_ready_and_uses_no_processor() {
        let mut asleep = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while scheduling(asleep.id()).unwrap().is_ready {
            assert!(std::time::Instant::now() < deadline, "it never sleeps");
        }
        let before = scheduling(asleep.id()).unwrap();
        asleep.kill().unwrap();
        asleep.wait().unwrap();
        assert!(before.cpu < Duration::from_secs(10));
        assert_eq!(scheduling(u32::MAX - 1), None);
        let own = scheduling(std::process::id()).unwrap();
        assert!(own.is_ready, "this thread runs");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_is_ready_if_it_runs_unless_it_is_of_the_agent() {
        for (stat, is_ready) in [
            ("7 (python) R 1 7", true),
            ("7 (a) S b) R 1 7", true),
            ("7 (a) R b) S 1 7", false),
            ("7 (python) S 1 7", false),
            ("7 (livegui-endpoin) R 1 7", false),
            ("", false),
        ] {
            assert_eq!(imp::is_ready(stat), is_ready, "{stat}");
        }
    }
}
