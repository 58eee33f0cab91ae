//! The process that started this one for a test run: an app, or a pytest that is followed. When it is gone,
//! nobody will end this one any more: then it ends itself, so that nothing outlives its run.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use super::handle::Handle;
use super::id::Liveness;
use super::table::{self, Mark};
use crate::wire::{ProcessId, env};

/// How long this process gets between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(2);
/// How often a wait for the others looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a process that does nothing else for it looks after its parent.
const LOOK_AFTER_PARENT_EVERY: Duration = Duration::from_millis(200);
/// How long standard error may take to the line that says why this process ends: nobody may be reading it.
const SAID_WITHIN: Duration = Duration::from_millis(200);

/// Somebody whose end is ours. Holds no descriptor: an app may close what it did not open, and open something
/// else under the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent(ProcessId);

impl Parent {
    /// This process.
    #[must_use]
    pub const fn new(id: ProcessId) -> Self {
        Self(id)
    }

    /// The process that the environment names, if it names one.
    #[must_use]
    pub fn named() -> Option<Self> {
        let text = std::env::var(env::PARENT).ok()?;
        serde_json::from_str(&text).ok().map(Self)
    }

    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> &ProcessId {
        &self.0
    }

    /// Whether it is known to be gone: no such process, where its number means what it meant to whoever wrote
    /// it down. Waits for nothing.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_of_here() && self.0.liveness() == Liveness::Gone
    }

    /// Why its end would not be noticed from here, if it would not be.
    #[must_use]
    pub fn unseen_because(&self) -> Option<String> {
        let pid = self.0.pid;
        if !self.0.is_of_here() {
            return Some(format!(
                "pid {pid} is of another PID namespace or machine: it cannot be seen from here"
            ));
        }
        (self.0.liveness() == Liveness::Unknown).then(|| format!("the system does not tell of pid {pid}"))
    }

    /// What is said before this process ends itself.
    #[must_use]
    pub fn gone(&self) -> String {
        format!(
            "the test run that started this process (pid {}) is gone, so it ends itself",
            self.0.pid
        )
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
    if let Some(why) = parent.unseen_because() {
        say(&format!(
            "this test run does not end with the one that started it, should that be killed: {why}"
        ));
        return Ok(());
    }
    let body = move || {
        while !parent.is_gone() {
            thread::sleep(LOOK_AFTER_PARENT_EVERY);
        }
        say(&parent.gone());
        end_with_family(env::EVENTS);
    };
    let thread = thread::Builder::new().name("livegui-parent".to_owned());
    thread.spawn(body).map(drop)
}

/// Ends an app: everything that it started, also what left its group and is known by `mark`, a variable of its
/// environment; then asks this process to end, and ends it and its group if it does not. Says `why` on
/// standard error. Does not return.
pub fn end_after_family(mark: &str, why: &str) -> ! {
    say(why);
    // First: once this process has ended there is nobody left to see to the others.
    let family = ask_family(mark);
    let mut left = GRACE;
    while !left.is_zero() && family.iter().any(|member| member.liveness() == Liveness::Alive) {
        thread::sleep(LOOK_EVERY);
        left = left.saturating_sub(LOOK_EVERY);
    }
    family.iter().for_each(Handle::kill);
    end_itself()
}

/// Ends a pytest and what it started at the same time: it is not to take the end of its app for a failure of a
/// test. An app that does not end when it is asked will miss its own parent. Does not return.
fn end_with_family(mark: &str) -> ! {
    ask_family(mark);
    end_itself()
}

fn ask_family(mark: &str) -> Vec<Handle> {
    let itself = ProcessId::current();
    let value = table::environment(&itself, mark).unwrap_or_default();
    let family = table::family(&itself, &Mark::new(mark, &value));
    family.iter().for_each(Handle::terminate);
    family
}

/// On a thread of its own: it may wait for a reader for ever.
fn say(why: &str) {
    let line = format!("livegui: {why}\n");
    let (done, said) = crossbeam_channel::bounded(1);
    let body = move || {
        let _ = io::stderr().write_all(line.as_bytes());
        let _ = done.try_send(());
    };
    if thread::Builder::new().spawn(body).is_ok() {
        let _ = said.recv_timeout(SAID_WITHIN);
    }
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
}

/// On Windows the harness puts it into a job, which ends with the harness: this is for one that nobody put there.
#[cfg(windows)]
mod imp {
    pub fn ask() {}

    pub fn end() {
        crate::process::windows::end_itself();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_parent_that_is_known_to_be_gone_is_gone() {
        let ours = Parent::new(ProcessId::current());
        assert!(!ours.is_gone());
        assert_eq!(ours.unseen_because(), None);
        let elsewhere = Parent::new(ProcessId {
            pid: u32::MAX >> 1,
            namespace: "elsewhere".to_owned(),
            ..ProcessId::current()
        });
        assert!(!elsewhere.is_gone());
        assert!(elsewhere.unseen_because().is_some());
        let number = Parent::new(ProcessId::unverified(u32::MAX >> 1));
        assert!(number.is_gone());
    }
}
