//! The process that started this one for a test run: an app, or a pytest that is followed. When it is gone,
//! nobody will end this one any more: then it ends itself, so that nothing outlives its run.

use std::collections::HashSet;
use std::io;
use std::thread;
use std::time::Duration;

use crate::table::{self, Member};
use crate::wire::env;

/// How long this process gets between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(2);
/// How often a wait for the others looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a process that does nothing else for it looks after its parent.
const LOOK_AFTER_PARENT_EVERY: Duration = Duration::from_millis(200);

/// Somebody whose end is ours.
#[derive(Debug)]
pub struct Parent(imp::Handle);

impl Parent {
    /// The process `pid`; one that is gone already counts as gone.
    pub fn of(pid: u32) -> Self {
        Self(imp::Handle::open(pid))
    }

    /// The process that the environment names, if it names one.
    pub fn named() -> Option<Self> {
        let pid = std::env::var(env::PARENT_PID).ok()?.parse().ok()?;
        Some(Self::of(pid))
    }

    /// Whether it is gone. Waits for nothing.
    pub fn is_gone(&self) -> bool {
        self.0.is_gone()
    }
}

/// Ends this process as soon as the one is gone that the environment names, if it names one.
///
/// # Errors
/// If the thread that looks after it cannot be started.
pub fn end_with_parent() -> io::Result<()> {
    let Some(parent) = Parent::named() else {
        return Ok(());
    };
    let body = move || {
        while !parent.is_gone() {
            thread::sleep(LOOK_AFTER_PARENT_EVERY);
        }
        end_with_family(env::EVENTS);
    };
    let thread = thread::Builder::new().name("livegui-parent".to_owned());
    thread.spawn(body).map(drop)
}

/// Ends an app: everything that it started, also what left its group and is known by `mark`, a variable of its
/// environment; then asks this process to end, and ends it and its group if it does not. Does not return.
pub fn end_after_family(mark: &str) -> ! {
    // First: once this process has ended there is nobody left to see to the others.
    let family = ask_family(mark);
    let mut left = GRACE;
    while !left.is_zero() && family.iter().any(|member| table::runs(*member)) {
        thread::sleep(LOOK_EVERY);
        left = left.saturating_sub(LOOK_EVERY);
    }
    table::kill_those_left(&family);
    end_itself()
}

/// Ends a pytest and what it started at the same time: it is not to take the end of its app for a failure of a
/// test. An app that does not end when it is asked will miss its own parent. Does not return.
fn end_with_family(mark: &str) -> ! {
    ask_family(mark);
    end_itself()
}

fn ask_family(mark: &str) -> HashSet<Member> {
    let pid = std::process::id();
    let value = table::environment(pid, mark).unwrap_or_default();
    let family = table::family(pid, &format!("{mark}={value}"));
    for member in &family {
        table::terminate(*member);
    }
    family
}

fn end_itself() -> ! {
    imp::ask();
    thread::sleep(GRACE);
    imp::end();
    std::process::abort()
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
        // The harness made it the leader of a group of its own; any other group is not ours to end.
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

/// On Windows the harness puts it into a job, which ends with it.
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
