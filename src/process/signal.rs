//! Signals to process numbers that the caller has verified.

/// What to ask a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To end.
    Terminate,
    /// To end as after Ctrl-C. On Windows only a group can be asked this way.
    #[cfg(unix)]
    Interrupt,
    /// To be killed.
    Kill,
}

#[cfg(unix)]
pub use unix::{Probe, group, probe, process};

#[cfg(unix)]
mod unix {
    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill, killpg};
    use nix::unistd::Pid;

    use super::Ask;

    /// Whether a process has this number.
    pub enum Probe {
        /// No process has it.
        NoSuch,
        /// A process has it, or that cannot be told.
        Some,
    }

    impl From<Ask> for Signal {
        fn from(ask: Ask) -> Self {
            match ask {
                Ask::Terminate => Self::SIGTERM,
                Ask::Interrupt => Self::SIGINT,
                Ask::Kill => Self::SIGKILL,
            }
        }
    }

    /// A number of 0 or below would mean a group, or everybody.
    fn number(pid: u32) -> Option<Pid> {
        i32::try_from(pid).ok().filter(|pid| *pid > 0).map(Pid::from_raw)
    }

    pub fn probe(pid: u32) -> Probe {
        match number(pid).map(|pid| kill(pid, None)) {
            None | Some(Err(Errno::ESRCH)) => Probe::NoSuch,
            Some(_) => Probe::Some,
        }
    }

    pub fn process(pid: u32, ask: Ask) {
        if let Some(pid) = number(pid) {
            let _ = kill(pid, Signal::from(ask));
        }
    }

    pub fn group(leader: u32, ask: Ask) {
        if let Some(leader) = number(leader).filter(|leader| leader.as_raw() > 1) {
            let _ = killpg(leader, Signal::from(ask));
        }
    }
}
