//! The process that started this one (an app, or a followed pytest) for a test run. When it is gone, nothing will
//! end this process any more. So this process then ends itself, and nothing outlives its run.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use super::handle::Handle;
use super::id::Liveness;
use super::table::{self, Mark};
use crate::wire::{ProcessId, env};

/// How long this process has to end when it is asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How often to check while waiting for the others.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a process that does nothing else for it checks for its parent.
const LOOK_AFTER_PARENT_EVERY: Duration = Duration::from_millis(200);
/// How long to wait for the line on standard error that says why this process ends. Nobody may be reading it.
const SAID_WITHIN: Duration = Duration::from_millis(200);

/// A process with which this one must end. Holds no descriptor: an app may close descriptors that it did not open,
/// and open something else under the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent(ProcessId);

impl Parent {
    /// This process.
    #[must_use]
    pub const fn new(id: ProcessId) -> Self {
        Self(id)
    }

    /// The process named in the environment, if there is one.
    #[must_use]
    pub fn named() -> Option<Self> {
        let text = std::env::var(env::PARENT).ok()?;
        serde_json::from_str(&text).ok().map(Self)
    }

    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> &ProcessId {
        &self.0
    }

    /// Whether it is known to be gone: its number is valid here, and there is no such process. Does not wait.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_of_here() && self.0.liveness() == Liveness::Gone
    }

    /// Why this process would not notice its end, if it would not.
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

    /// The message before this process ends itself.
    #[must_use]
    pub fn gone(&self) -> String {
        format!(
            "the test run that started this process (pid {}) is gone, so it ends itself",
            self.0.pid
        )
    }
}

/// Ends this process as soon as the process named in the environment is gone, if there is one.
///
/// # Errors
/// If the thread that checks for it cannot be started.
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

/// Ends an app. Ends everything that the app started, including processes that left its group and are recognised by
/// `mark`, a variable of their environment. Then asks this process to end, and kills it and its group if it does
/// not. Writes `why` to standard error. Does not return.
pub fn end_after_family(mark: &str, why: &str) -> ! {
    say(why);
    // Do this first: when this process has ended, nothing is left to end the others.
    let family = ask_family(mark);
    let mut left = GRACE;
    while !left.is_zero() && family.iter().any(|member| member.liveness() == Liveness::Alive) {
        thread::sleep(LOOK_EVERY);
        left = left.saturating_sub(LOOK_EVERY);
    }
    family.iter().for_each(Handle::kill);
    end_itself()
}

/// Ends a pytest and what it started at the same time, so that pytest does not take the end of its app for a test
/// failure. An app that does not end when it is asked notices the end of its own parent. Does not return.
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

/// Runs on a separate thread, because it may wait for a reader for ever.
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
        // The harness made it the leader of its own group. No other group is ours to end.
        let _ = if getpgrp() == getpid() {
            killpg(getpgrp(), signal)
        } else {
            kill(getpid(), signal)
        };
    }
}

/// On Windows the harness puts it into a job, which ends with the harness. This is for a process without such a
/// job.
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
