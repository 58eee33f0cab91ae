//! A process that was verified: what is sent to it reaches nobody else.

use super::id::Liveness;
use super::signal::Ask;
use crate::wire::ProcessId;

/// A process that was there when it was looked at. On Linux with a descriptor, on Windows with a handle: unlike
/// its number these cannot come to stand for another one.
#[derive(Debug)]
pub struct Handle {
    id: ProcessId,
    #[cfg(target_os = "linux")]
    descriptor: Option<rustix::fd::OwnedFd>,
    #[cfg(windows)]
    process: super::windows::Process,
}

impl Handle {
    /// Takes hold of a process; `None` unless it is known to run.
    #[must_use]
    pub fn open(id: &ProcessId) -> Option<Self> {
        #[cfg(target_os = "linux")]
        let descriptor = descriptor_of(id.pid);
        #[cfg(windows)]
        let process = super::windows::Process::open(id.pid).ok()?;
        // After it was opened: what has this identity now is what was opened, or that is gone.
        (id.liveness() == Liveness::Alive).then(|| Self {
            id: id.clone(),
            #[cfg(target_os = "linux")]
            descriptor,
            #[cfg(windows)]
            process,
        })
    }

    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> &ProcessId {
        &self.id
    }

    /// Whether it is still there.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.id.liveness()
    }

    /// Sends it a signal, if it is still there.
    pub(super) fn send(&self, ask: Ask) {
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = &self.descriptor {
            use rustix::process::{Signal, pidfd_send_signal};
            let signal = match ask {
                Ask::Terminate => Signal::TERM,
                Ask::Interrupt => Signal::INT,
                Ask::Kill => Signal::KILL,
            };
            let _ = pidfd_send_signal(descriptor, signal);
            return;
        }
        #[cfg(unix)]
        if self.liveness() == Liveness::Alive {
            super::signal::process(self.id.pid, ask);
        }
        #[cfg(windows)]
        {
            // What is not at the head of a group of ours cannot be asked.
            let (Ask::Terminate | Ask::Kill) = ask;
            self.process.end();
        }
    }

    /// Asks it to end; where it cannot be asked (Windows) it is ended.
    pub fn terminate(&self) {
        self.send(Ask::Terminate);
    }

    /// Ends it.
    pub fn kill(&self) {
        self.send(Ask::Kill);
    }
}

/// `None` also where the kernel is too old, or does not allow it.
#[cfg(target_os = "linux")]
pub fn descriptor_of(pid: u32) -> Option<rustix::fd::OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}
