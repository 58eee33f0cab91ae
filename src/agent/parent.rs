//! The process that started the app for a test run. When it is gone, nobody will end the app any more:
//! then the agent does, so that no app outlives its run, not even one whose pytest was killed.

use std::thread;
use std::time::Duration;

use crate::table;
use crate::wire::env;

/// How long the app gets between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(2);
/// How often a wait for the others looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Somebody whose end is ours.
#[derive(Debug)]
pub struct Parent(imp::Handle);

impl Parent {
    /// The process `pid`; one that is gone already counts as gone.
    pub fn of(pid: u32) -> Self {
        Self(imp::Handle::open(pid))
    }

    /// Whether it is gone. Waits for nothing.
    pub fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}

/// Ends everything that this process started, also what left its group, and then asks this process to
/// end, and ends it and its group if it does not. Does not return.
pub fn end_this_process() -> ! {
    // First: once this process has ended there is nobody left to see to the others.
    end_family();
    imp::ask();
    thread::sleep(GRACE);
    imp::end();
    std::process::abort()
}

fn end_family() {
    let pid = std::process::id();
    let folder = table::environment(pid, env::RUN_DIR).unwrap_or_default();
    let family = table::family(pid, &format!("{}={folder}", env::RUN_DIR));
    for member in &family {
        table::terminate(*member);
    }
    let mut left = GRACE;
    while !left.is_zero() && family.iter().any(|member| table::runs(*member)) {
        thread::sleep(LOOK_EVERY);
        left = left.saturating_sub(LOOK_EVERY);
    }
    table::kill_those_left(&family);
}

#[cfg(unix)]
mod imp {
    use nix::sys::signal::{Signal, kill, killpg};
    use nix::unistd::{getpgrp, getpid};

    pub fn ask() {
        send(Signal::SIGTERM);
    }

    pub fn end() {
        send(Signal::SIGKILL);
    }

    fn send(signal: Signal) {
        // The harness made the app the leader of a group of its own; any other group is not ours to end.
        let _ = if getpgrp() == getpid() {
            killpg(getpgrp(), signal)
        } else {
            kill(getpid(), signal)
        };
    }

    /// On Linux a descriptor of the process: unlike its number it cannot come to stand for another one,
    /// and it tells of an end that nobody has taken note of yet.
    #[cfg(target_os = "linux")]
    #[derive(Debug)]
    pub struct Handle(Option<rustix::fd::OwnedFd>);

    #[cfg(target_os = "linux")]
    impl Handle {
        pub fn open(pid: u32) -> Self {
            use rustix::process::{PidfdFlags, pidfd_open};
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            Self(pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
        }

        pub fn is_gone(&self) -> bool {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let Some(descriptor) = &self.0 else { return true };
            let mut watched = [PollFd::new(descriptor, PollFlags::IN)];
            poll(&mut watched, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[derive(Debug)]
    pub struct Handle(i32);

    #[cfg(not(target_os = "linux"))]
    impl Handle {
        pub fn open(pid: u32) -> Self {
            Self(i32::try_from(pid).unwrap_or(-1))
        }

        pub fn is_gone(&self) -> bool {
            self.0 <= 0 || kill(nix::unistd::Pid::from_raw(self.0), None) == Err(nix::errno::Errno::ESRCH)
        }
    }
}

/// On Windows the harness puts the app into a job, which ends with it.
#[cfg(not(unix))]
mod imp {
    pub fn ask() {}

    pub fn end() {}

    #[derive(Debug)]
    pub struct Handle;

    impl Handle {
        pub fn open(_pid: u32) -> Self {
            Self
        }

        pub fn is_gone(&self) -> bool {
            false
        }
    }
}
