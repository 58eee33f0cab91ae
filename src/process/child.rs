//! A process that this process started: how it ends (even if something else reads its exit status), and its group.

use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::id::Liveness;
use super::signal::Ask;
use crate::wire::ProcessId;

/// How often to check during a wait where nothing can notify.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(ExitStatus),
    /// Nobody knows any more: something else read its exit status, or the system discarded it.
    Unknown,
}

impl Exit {
    /// The end of a process of which only the number is known that it ended with.
    #[cfg(windows)]
    pub fn of_code(code: i32) -> Self {
        use std::os::windows::process::ExitStatusExt;
        Self::Status(ExitStatus::from_raw(code.cast_unsigned()))
    }

    /// A description for people.
    #[must_use]
    pub fn describe(self) -> String {
        let Self::Status(status) = self else {
            return "exit status unknown: reaped by somebody else".to_owned();
        };
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt;
            if let Some(number) = status.signal() {
                let name =
                    nix::sys::signal::Signal::try_from(number).map_or("unknown", |signal| signal.as_str());
                return format!("signal {number} ({name})");
            }
        }
        let code = status.code();
        if let Some((number, what)) = code.and_then(failure_of_windows) {
            return format!("exit status {number:#x} ({what})");
        }
        code.map_or_else(
            || "an unknown status".to_owned(),
            |code| format!("exit status {code}"),
        )
    }

    /// As `subprocess.Popen.returncode`: negative if it is the number of a signal. 255, as in asyncio, if nobody
    /// knows.
    #[must_use]
    pub fn return_code(self) -> i32 {
        let Self::Status(status) = self else { return 255 };
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt;
            if let Some(number) = status.signal() {
                return -number;
            }
        }
        status.code().unwrap_or(-1)
    }

    /// The same, but unsigned on Windows, as in `subprocess` there; `None` if nobody knows.
    #[must_use]
    pub fn status(self) -> Option<i64> {
        let code = match self {
            Self::Status(_) => self.return_code(),
            Self::Unknown => return None,
        };
        Some(if cfg!(windows) {
            code.cast_unsigned().into()
        } else {
            code.into()
        })
    }

    /// Its exit code; `None` if a signal ended it, or nobody knows.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Status(status) => status.code(),
            Self::Unknown => None,
        }
    }
}

/// The status of a process that failed on Windows, and what it means.
fn failure_of_windows(code: i32) -> Option<(u32, &'static str)> {
    let number = code.cast_unsigned();
    let what = match number {
        0xC000_0005 => "access violation",
        0xC000_0094 => "division by zero",
        0xC000_00FD => "stack overflow",
        0xC000_0135 => "a DLL is missing",
        0xC000_013A => "ended by Ctrl-C, Ctrl-Break or the end of its console",
        0xC000_0374 => "heap corruption",
        0xC000_0409 => "it aborted itself",
        _ => return None,
    };
    (cfg!(windows) || cfg!(test)).then_some((number, what))
}

/// A child at the head of its own process group (on Windows, of its own job).
#[derive(Debug)]
pub struct Child {
    id: ProcessId,
    state: Mutex<State>,
    #[cfg(windows)]
    process: Option<super::windows::Process>,
}

#[derive(Debug)]
struct State {
    child: imp::Started,
    exit: Option<Exit>,
    /// We have read its exit status. From then on another process may get its number.
    reaped: bool,
}

impl Child {
    /// Starts the process.
    ///
    /// # Errors
    /// What the operating system reports: no such program, no such folder, no permission.
    pub fn start(command: std::process::Command) -> std::io::Result<Self> {
        let child = imp::start(command)?;
        #[cfg(windows)]
        let process = super::windows::Process::of(&child).ok();
        Ok(Self {
            id: ProcessId::of_child(child.id()),
            state: Mutex::new(State {
                child,
                exit: None,
                reaped: false,
            }),
            #[cfg(windows)]
            process,
        })
    }

    /// Its identity.
    pub const fn id(&self) -> &ProcessId {
        &self.id
    }

    /// The pipe to its standard input, if it has one; only the first time.
    pub fn take_input(&self) -> Option<std::process::ChildStdin> {
        imp::take_input(&mut self.state().child)
    }

    /// How it ended, once it has. This does not read its exit status, because until somebody does, no other process
    /// can get its number or its group's.
    pub fn exit(&self) -> Option<Exit> {
        self.look(&mut self.state())
    }

    fn look(&self, state: &mut State) -> Option<Exit> {
        if state.exit.is_none() {
            state.exit = match self.ended(state) {
                imp::Ended::With(status) => Some(Exit::Status(status)),
                imp::Ended::Not => None,
                // It is no longer anybody's child, or after a fork, it is the child of the process that forked.
                imp::Ended::NoChild => (self.id.liveness() == Liveness::Gone).then_some(Exit::Unknown),
            };
        }
        state.exit
    }

    /// What the system says about it; `NoChild` also if another child of this process has its number by now.
    fn ended(&self, state: &mut State) -> imp::Ended {
        match imp::ended(&mut state.child) {
            // Windows reuses a number only after the last handle is closed, and we have one.
            imp::Ended::With(_) | imp::Ended::Not
                if cfg!(unix) && (state.reaped || !self.id.has_its_number()) =>
            {
                imp::Ended::NoChild
            }
            ended => ended,
        }
    }

    /// Waits for its end, for at most `limit`.
    pub fn wait(&self, limit: Duration) -> Option<Exit> {
        let deadline = Instant::now() + limit;
        #[cfg(target_os = "linux")]
        let descriptor = super::handle::Descriptor::open(self.id.pid);
        loop {
            // After opening the descriptor: if the number belonged to another process by then, this one has ended.
            let exit = self.exit();
            let left = deadline.saturating_duration_since(Instant::now());
            if exit.is_some() || left.is_zero() {
                return exit;
            }
            #[cfg(target_os = "linux")]
            if descriptor
                .as_ref()
                .is_some_and(|descriptor| descriptor.wait(left))
            {
                continue;
            }
            #[cfg(windows)]
            if let Some(process) = &self.process {
                process.wait(left);
                continue;
            }
            thread::sleep(LOOK_EVERY.min(left));
        }
    }

    /// Asks it and its group to end, if the group is still its own.
    pub fn send_group(&self, kill: bool) {
        let mut state = self.state();
        if !matches!(self.ended(&mut state), imp::Ended::NoChild) {
            imp::send_group(&mut state.child, if kill { Ask::Kill } else { Ask::Terminate });
        }
    }

    /// Asks it to end as Ctrl-C does. On Windows, as Ctrl-Break does, because only that can be sent to another
    /// group; it works only if both have the same console.
    pub fn interrupt(&self) {
        let mut state = self.state();
        if self.look(&mut state).is_none() && matches!(self.ended(&mut state), imp::Ended::Not) {
            imp::interrupt(&state.child);
        }
    }

    /// Reads its exit status, if it has ended. Do this last of all, because from then on another process may get
    /// its number.
    pub fn reap(&self) {
        let mut state = self.state();
        self.look(&mut state);
        if matches!(self.ended(&mut state), imp::Ended::With(_)) {
            state.reaped = true;
            imp::reap(&mut state.child);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.reap();
    }
}

#[cfg(unix)]
mod imp {
    use std::io;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{ChildStdin, Command, ExitStatus};

    use rustix::io::Errno;
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    use crate::process::signal::{self, Ask};

    pub type Started = std::process::Child;

    pub enum Ended {
        With(ExitStatus),
        Not,
        NoChild,
    }

    pub fn start(mut command: Command) -> io::Result<Started> {
        command.process_group(0).spawn()
    }

    pub fn ended(child: &mut Started) -> Ended {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return Ended::NoChild };
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), how) {
            // The status as wait(2) would have returned it.
            Ok(Some(status)) => Ended::With(ExitStatus::from_raw(match status.terminating_signal() {
                Some(signal) => signal | if status.dumped() { 0x80 } else { 0 },
                None => (status.exit_status().unwrap_or_default() & 0xff) << 8,
            })),
            Err(Errno::CHILD) => Ended::NoChild,
            Ok(None) | Err(_) => Ended::Not,
        }
    }

    pub fn send_group(child: &mut Started, ask: Ask) {
        signal::group(child.id(), ask);
    }

    pub fn interrupt(child: &Started) {
        signal::process(child.id(), Ask::Interrupt);
    }

    pub fn reap(child: &mut Started) {
        let _ = child.try_wait();
    }

    pub fn take_input(child: &mut Started) -> Option<ChildStdin> {
        child.stdin.take()
    }
}

#[cfg(windows)]
mod imp {
    use std::io;
    use std::process::{ChildStdin, Command, ExitStatus};

    use crate::process::signal::Ask;
    use crate::process::windows::{self, Job};

    #[derive(Debug)]
    pub struct Started {
        child: std::process::Child,
        job: Job,
    }

    impl Started {
        pub fn id(&self) -> u32 {
            self.child.id()
        }
    }

    impl std::ops::Deref for Started {
        type Target = std::process::Child;

        fn deref(&self) -> &Self::Target {
            &self.child
        }
    }

    #[allow(
        dead_code,
        reason = "a handle of it is ours: nobody else reads its exit status"
    )]
    pub enum Ended {
        With(ExitStatus),
        Not,
        NoChild,
    }

    pub fn start(command: Command) -> io::Result<Started> {
        let (child, job) = windows::start(command)?;
        Ok(Started { child, job })
    }

    pub fn ended(child: &mut Started) -> Ended {
        match child.child.try_wait() {
            Ok(Some(status)) => Ended::With(status),
            Ok(None) | Err(_) => Ended::Not,
        }
    }

    /// A process that shares no console with this one cannot be asked, so it is killed.
    pub fn send_group(child: &mut Started, ask: Ask) {
        let asked = ask != Ask::Kill && windows::press_break(child.id());
        if !asked {
            child.job.end();
        }
    }

    /// Sends Ctrl-Break, because Ctrl-C cannot be sent to another group.
    pub fn interrupt(child: &Started) {
        windows::press_break(child.id());
    }

    pub fn reap(_child: &mut Started) {}

    pub fn take_input(child: &mut Started) -> Option<ChildStdin> {
        child.child.stdin.take()
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use rustix::process::{Pid, WaitOptions, waitpid};

    fn start(script: &str) -> Child {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        Child::start(command).unwrap()
    }

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(i32::try_from(child.id().pid).unwrap()).unwrap()
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn the_exit_status_is_left_for_whoever_asks() {
        let child = start("exit 3");
        assert_eq!(child.wait(LONG).unwrap().describe(), "exit status 3");
        let (_, status) = waitpid(Some(pid(&child)), WaitOptions::empty()).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(3));
        assert_eq!(child.exit().unwrap().return_code(), 3);
    }

    #[test]
    fn one_that_somebody_else_reaped_ended_nobody_knows_how() {
        let child = start("exit 0");
        waitpid(Some(pid(&child)), WaitOptions::empty()).unwrap();
        let exit = child.wait(LONG).unwrap();
        assert_eq!(exit, Exit::Unknown);
        assert_eq!(exit.describe(), "exit status unknown: reaped by somebody else");
        assert_ne!(exit.return_code(), 0);
    }

    #[test]
    fn a_group_is_signalled_as_long_as_its_number_is_its_own() {
        let child = start("sleep 60 & echo; exit 0");
        child.wait(LONG).unwrap();
        let group = nix::unistd::Pid::from_raw(pid(&child).as_raw_nonzero().get());
        let is_there = || nix::sys::signal::killpg(group, None).is_ok();
        assert!(is_there(), "the leader has ended, and waits to be reaped");
        child.send_group(true);
        child.reap();
        let deadline = Instant::now() + LONG;
        while is_there() {
            assert!(Instant::now() < deadline, "its helper lives");
            thread::sleep(LOOK_EVERY);
        }
        child.send_group(true); // another process may have its number by now
    }

    #[test]
    fn a_signal_is_named() {
        let child = start("kill -9 $$");
        let exit = child.wait(LONG).unwrap();
        assert_eq!(exit.describe(), "signal 9 (SIGKILL)");
        assert_eq!(exit.return_code(), -9);
    }
}

#[cfg(test)]
mod tests_of_windows {
    use super::failure_of_windows;

    #[test]
    fn a_failure_is_named_and_a_status_of_the_app_s_own_is_not() {
        let access_violation = 0xC000_0005_u32.cast_signed();
        assert_eq!(
            failure_of_windows(access_violation),
            Some((0xC000_0005, "access violation"))
        );
        assert_eq!(failure_of_windows(3), None);
        assert_eq!(failure_of_windows(-1), None);
    }
}
