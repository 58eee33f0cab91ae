//! The identity of a process, and whether it still exists.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::start::{self, Looked};
use crate::wire::{Discovery, ProcessId};

/// Whether a process still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// There is no such process, or it has ended and only its exit status is still to be read.
    Gone,
    /// That cannot be told from here.
    Unknown,
}

impl ProcessId {
    /// The process that has this number now; `None` if there is none, or it cannot be seen.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        match start::look(pid) {
            Looked::Runs { start } => Some(Self::from_here(pid, Some(start))),
            Looked::Ended { .. } | Looked::NoSuch | Looked::Unseen => None,
        }
    }

    /// A child of this process that was just started. It may have ended since, but no other process can have its
    /// number.
    pub(super) fn of_child(pid: u32) -> Self {
        match start::look(pid) {
            Looked::Runs { start } | Looked::Ended { start } => Self::from_here(pid, Some(start)),
            Looked::NoSuch | Looked::Unseen => Self::unverified(pid),
        }
    }

    /// Whether the process that has its number now, running or ended, is still this one, as far as can be told.
    pub(super) fn has_its_number(&self) -> bool {
        match (start::look(self.pid), self.start) {
            (Looked::Runs { start } | Looked::Ended { start }, Some(known)) => start == known,
            (Looked::NoSuch, _) => false,
            (Looked::Unseen, _) | (_, None) => true,
        }
    }

    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        Self::of(pid).unwrap_or_else(|| Self::from_here(pid, None))
    }

    /// A process of this machine of which only the number is known. It can be known to be gone, but never to be
    /// alive.
    #[must_use]
    pub fn unverified(pid: u32) -> Self {
        Self::from_here(pid, None)
    }

    fn from_here(pid: u32, start: Option<u64>) -> Self {
        Self {
            pid,
            start,
            boot: start::boot(),
            namespace: start::namespace(),
            host: start::host(),
        }
    }

    /// Whether its number means the same here as where it was written down.
    #[must_use]
    pub fn is_of_here(&self) -> bool {
        self.boot == start::boot() && self.namespace == start::namespace()
    }

    /// Whether it still exists.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        if self.boot != start::boot() {
            // What ran before this machine was started is gone. Nothing is known of another machine. The name of
            // the machine alone is not enough, because copies of a machine share it.
            let is_same_machine = !self.host.is_empty() && self.host == start::host();
            return if is_same_machine {
                Liveness::Gone
            } else {
                Liveness::Unknown
            };
        }
        if self.namespace != start::namespace() {
            return Liveness::Unknown;
        }
        match (start::look(self.pid), self.start) {
            (Looked::Runs { start }, Some(known)) if start == known => Liveness::Alive,
            (Looked::NoSuch, _) | (Looked::Ended { .. } | Looked::Runs { .. }, Some(_)) => Liveness::Gone,
            (Looked::Unseen, _) | (_, None) => Liveness::Unknown,
        }
    }
}

impl Discovery {
    /// The process that contains its agent.
    #[must_use]
    pub fn process_id(&self) -> ProcessId {
        self.process
            .clone()
            .unwrap_or_else(|| ProcessId::unverified(self.pid))
    }
}

/// The process that a record names, if it names one.
#[must_use]
pub fn liveness(process: Option<&ProcessId>) -> Liveness {
    process.map_or(Liveness::Unknown, ProcessId::liveness)
}

/// Distinguishes a program that a process runs from the next one that it runs after an `exec`; `None` where that is
/// impossible.
#[must_use]
pub fn program(pid: u32) -> Option<u64> {
    // The addresses in it are chosen anew for each program.
    let addresses = std::fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let mut hasher = DefaultHasher::new();
    addresses.hash(&mut hasher);
    (!addresses.is_empty()).then(|| hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_no_such_process_is_gone() {
        let ours = ProcessId::current();
        assert_eq!(ours.liveness(), Liveness::Alive);
        let another = ProcessId {
            start: ours.start.map(|start| start + 1),
            ..ours.clone()
        };
        assert_eq!(another.liveness(), Liveness::Gone);
        assert_eq!(ProcessId::unverified(ours.pid).liveness(), Liveness::Unknown);
        assert_eq!(ProcessId::unverified(u32::MAX >> 1).liveness(), Liveness::Gone);
        assert_eq!(liveness(None), Liveness::Unknown);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_another_machine_or_namespace_nothing_is_known() {
        let ours = ProcessId::current();
        let of = |boot: &str, host: &str, namespace: &str| ProcessId {
            boot: boot.to_owned(),
            host: host.to_owned(),
            namespace: namespace.to_owned(),
            ..ours.clone()
        };
        assert_eq!(
            of(&ours.boot, &ours.host, "elsewhere").liveness(),
            Liveness::Unknown
        );
        assert_eq!(
            of("earlier", &start::host(), &ours.namespace).liveness(),
            if start::host().is_empty() {
                Liveness::Unknown
            } else {
                Liveness::Gone
            },
        );
        let name = sysinfo::System::host_name().unwrap();
        assert_eq!(
            of("its own", &name, &ours.namespace).liveness(),
            Liveness::Unknown,
            "a copy of this machine has its name too"
        );
        assert_eq!(of("its own", "", &ours.namespace).liveness(), Liveness::Unknown);
        assert_eq!(
            of("its own", "another", &ours.namespace).liveness(),
            Liveness::Unknown
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_known_although_its_name_was_cut_in_the_middle_of_a_character() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("fourteen-bytesä");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let mut child = std::process::Command::new(program)
            .args(["-c", "echo; read line"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Only what it prints shows that it has its name. spawn() may return a moment before.
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let name = std::fs::read(format!("/proc/{}/comm", child.id())).unwrap();
        let liveness = ProcessId::of_child(child.id()).liveness();
        let condition = crate::process::condition(child.id());
        child.wait().unwrap(); // it reads the end of its input
        assert!(std::str::from_utf8(&name).is_err(), "{name:?}");
        assert_eq!(liveness, Liveness::Alive);
        assert!(condition.is_some_and(|condition| condition.memory.is_some()));
    }
}
