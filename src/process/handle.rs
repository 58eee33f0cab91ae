//! A verified process: signals sent through this reach no other process.

use super::child::Exit;
use super::id::Liveness;
use super::signal::Ask;
use crate::wire::ProcessId;

/// A process that existed when it was checked. On Unix this holds no descriptor: other code in this process may
/// close any descriptor, and the number may then stand for something else. On Windows it holds a handle, which
/// keeps the process' number from being reused.
#[derive(Debug)]
pub struct Handle {
    id: ProcessId,
    #[cfg(windows)]
    process: super::windows::Process,
}

impl Handle {
    /// Takes hold of a process; `None` unless it is known to run.
    #[must_use]
    pub fn open(id: &ProcessId) -> Option<Self> {
        #[cfg(windows)]
        let process = super::windows::Process::open(id.pid).ok()?;
        // Check after opening: then what has this identity is what was opened, or that is gone.
        (id.liveness() == Liveness::Alive).then(|| Self {
            id: id.clone(),
            #[cfg(windows)]
            process,
        })
    }

    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> &ProcessId {
        &self.id
    }

    /// Whether it still exists.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.id.liveness()
    }

    /// How it ended, if it has. Only Windows tells this to a process that is not its parent.
    #[must_use]
    #[cfg_attr(
        not(windows),
        allow(clippy::unused_self, reason = "only Windows has something to ask")
    )]
    pub fn exit(&self) -> Option<Exit> {
        #[cfg(windows)]
        return self.process.exit_code().map(Exit::of_code);
        #[cfg(not(windows))]
        None
    }

    /// Sends it a signal, if it still exists.
    pub(super) fn send(&self, ask: Ask) {
        #[cfg(target_os = "linux")]
        let descriptor = Descriptor::open(self.id.pid);
        // Check after opening the descriptor: then what has this identity is what the descriptor stands for, or
        // that is gone.
        if self.liveness() != Liveness::Alive {
            return;
        }
        #[cfg(target_os = "linux")]
        if descriptor.is_some_and(|descriptor| descriptor.send(ask)) {
            return;
        }
        #[cfg(unix)]
        super::signal::process(self.id.pid, ask);
        #[cfg(windows)]
        {
            // A process that is not at the head of a group of ours cannot be asked.
            let (Ask::Terminate | Ask::Kill) = ask;
            self.process.end();
        }
    }

    /// Asks it to end. Where that is impossible (on Windows), kills it.
    pub fn terminate(&self) {
        self.send(Ask::Terminate);
    }

    /// Kills it.
    pub fn kill(&self) {
        self.send(Ask::Kill);
    }
}

#[cfg(target_os = "linux")]
pub use linux::Descriptor;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::Ask;

    /// Stands for the process that had this number when this was opened, even if another process has the number
    /// later. Hold it as briefly as possible.
    #[derive(Debug)]
    pub struct Descriptor {
        descriptor: Option<OwnedFd>,
        opened: Option<Seen>,
    }

    /// What is behind a descriptor. Since Linux 6.9 each process has its own file there. Before, only the number
    /// distinguishes them.
    #[derive(Debug, PartialEq, Eq)]
    struct Seen {
        file: (u64, u64),
        /// -1 if there is no such process.
        pid: i32,
    }

    impl Seen {
        fn behind(descriptor: &OwnedFd) -> Option<Self> {
            let number = descriptor.as_raw_fd();
            let file = fs::metadata(format!("/proc/self/fd/{number}")).ok()?;
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
            let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
            Some(Self {
                file: (file.dev(), file.ino()),
                pid: pid.trim().parse().ok()?,
            })
        }
    }

    impl Descriptor {
        /// `None` also if the kernel is too old, or does not allow it.
        pub fn open(pid: u32) -> Option<Self> {
            close_those_for_later();
            let number = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
            let descriptor = pidfd_open(number, PidfdFlags::empty()).ok()?;
            let opened =
                Some(Seen::behind(&descriptor).filter(|seen| seen.pid == number.as_raw_nonzero().get())?);
            let descriptor = Some(descriptor);
            Some(Self { descriptor, opened })
        }

        /// Whether it is still what was opened. Other code may have closed it and opened something else.
        fn is_intact(&self) -> bool {
            let (Some(now), Some(opened)) = (self.descriptor.as_ref().and_then(Seen::behind), &self.opened)
            else {
                return false;
            };
            now.file == opened.file && (now.pid == opened.pid || now.pid == -1)
        }

        /// Whether it was sent, or there is no process left to send it to.
        pub fn send(&self, ask: Ask) -> bool {
            let signal = match ask {
                Ask::Terminate => Signal::TERM,
                Ask::Interrupt => Signal::INT,
                Ask::Kill => Signal::KILL,
            };
            self.is_intact()
                && self.descriptor.as_ref().is_some_and(|descriptor| {
                    matches!(pidfd_send_signal(descriptor, signal), Ok(()) | Err(Errno::SRCH))
                })
        }

        /// Waits until the process has ended, for at most `limit`. False if that is impossible, or there is nothing
        /// to wait for.
        pub fn wait(&self, limit: Duration) -> bool {
            let Some(descriptor) = &self.descriptor else {
                return false;
            };
            let mut watched = [PollFd::new(descriptor, PollFlags::IN)];
            let limit = Timespec::try_from(limit).unwrap_or_default();
            // The caller checks again in any case: other code may have closed it, and its number may stand for
            // another file.
            poll(&mut watched, Some(&limit)) == Ok(0)
        }
    }

    impl Drop for Descriptor {
        fn drop(&mut self) {
            if self.is_intact() {
                return;
            }
            let Some(descriptor) = self.descriptor.take() else {
                return;
            };
            if no_descriptor_is_left() {
                let again = Self {
                    descriptor: Some(descriptor),
                    opened: self.opened.take(),
                };
                LATER.lock().unwrap_or_else(PoisonError::into_inner).push(again);
            } else {
                // Other code has opened something else under this number since, and must close it itself.
                std::mem::forget(descriptor);
            }
        }
    }

    /// Descriptors that could not be checked, because a check needs a free descriptor. They are checked again when
    /// the next one is opened.
    static LATER: Mutex<Vec<Descriptor>> = Mutex::new(Vec::new());

    fn close_those_for_later() {
        let waiting = std::mem::take(&mut *LATER.lock().unwrap_or_else(PoisonError::into_inner));
        drop(waiting);
    }

    fn no_descriptor_is_left() -> bool {
        let exhausted = [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];
        fs::File::open("/proc/self/stat")
            .is_err_and(|error| error.raw_os_error().is_some_and(|code| exhausted.contains(&code)))
    }
}
