//! When a process was started, as the system recorded it then. Setting the clock does not change it.

/// What can be seen of the process with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// It runs.
    Runs {
        /// In the system's own unit. It is compared, but never converted.
        start: u64,
    },
    /// It has ended, and its exit status is still to be read.
    Ended {
        /// As for one that runs. This distinguishes a child from another one that got its number.
        start: u64,
    },
    /// There is no such process.
    NoSuch,
    /// It cannot be told.
    Unseen,
}

pub use imp::{boot, look, namespace};

use std::hash::{DefaultHasher, Hash, Hasher};

use once_cell::sync::OnceCell;

/// The machine: its name, and what distinguishes it from another of that name, such as a copy. Empty if nothing
/// does.
pub fn host() -> String {
    static HOST: OnceCell<String> = OnceCell::new();
    HOST.get_or_init(|| {
        let number = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .iter()
            .find_map(|file| {
                std::fs::read_to_string(file)
                    .ok()
                    .filter(|id| !id.trim().is_empty())
            });
        let name = sysinfo::System::host_name().unwrap_or_default();
        number.map_or_else(String::new, |number| {
            // Hash the number, because others should not be able to read it.
            let mut hasher = DefaultHasher::new();
            ("livegui", number.trim()).hash(&mut hasher);
            format!("{name} {:016x}", hasher.finish())
        })
    })
    .clone()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;
    use std::io::ErrorKind;

    use once_cell::sync::OnceCell;

    use super::Looked;
    use crate::process::proc_text::proc_text;
    use crate::process::signal::{Probe, probe};

    /// Identifies the running system; it changes with each start of the machine.
    pub fn boot() -> String {
        static BOOT: OnceCell<String> = OnceCell::new();
        let read = || fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        BOOT.get_or_init(|| read().trim().to_owned()).clone()
    }

    /// The PID namespace, in which numbers and start times are valid. Not cached, because a process can change it.
    pub fn namespace() -> String {
        let link = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}"));
        let names = ["pid", "time"].map(|kind| link(kind).unwrap_or_default().display().to_string());
        names.join(" ")
    }

    pub fn look(pid: u32) -> Looked {
        match proc_text(format!("/proc/{pid}/stat")) {
            Ok(stat) => parse(&stat, pid).unwrap_or(Looked::Unseen),
            // /proc may hide what exists, or not be mounted.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) || is_no_such(&error) => {
                match probe(pid) {
                    Probe::NoSuch => Looked::NoSuch,
                    Probe::Some => Looked::Unseen,
                }
            }
            Err(_) => Looked::Unseen,
        }
    }

    fn is_no_such(error: &std::io::Error) -> bool {
        error.raw_os_error() == Some(nix::libc::ESRCH)
    }

    fn parse(stat: &str, pid: u32) -> Option<Looked> {
        // The name, in parentheses, may contain anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X" | "x");
        let start = fields.nth(18)?.parse().ok()?;
        Some(if ended && !has_other_threads(pid) {
            Looked::Ended { start }
        } else {
            Looked::Runs { start }
        })
    }

    /// Whether other threads of a process whose first thread has ended still exist, and with them its ports.
    fn has_other_threads(pid: u32) -> bool {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        tasks.is_ok_and(|tasks| tasks.count() > 1)
    }
}

#[cfg(target_os = "macos")]
#[allow(unsafe_code, reason = "proc_pidinfo has no safe form")]
mod imp {
    use super::Looked;
    use crate::process::signal::{Probe, probe};
    use nix::libc;

    /// A different start time tells as much as an identifier of the system's start would. So this identifies the
    /// machine.
    pub fn boot() -> String {
        super::host()
    }

    pub fn namespace() -> String {
        String::new()
    }

    pub fn look(pid: u32) -> Looked {
        let Ok(number) = libc::c_int::try_from(pid) else {
            return Looked::NoSuch;
        };
        let size = std::mem::size_of::<libc::proc_bsdinfo>();
        // SAFETY: a plain C struct of integers, for which all zeros is a value.
        let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
        // SAFETY: the buffer is `info`, which is as long as stated, and lives through the call.
        let filled = unsafe {
            libc::proc_pidinfo(
                number,
                libc::PROC_PIDTBSDINFO,
                1, // also of a process that has ended
                (&raw mut info).cast(),
                libc::c_int::try_from(size).unwrap_or(0),
            )
        };
        if usize::try_from(filled) != Ok(size) {
            return match probe(pid) {
                Probe::NoSuch => Looked::NoSuch,
                Probe::Some => Looked::Unseen,
            };
        }
        let start = info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec;
        if info.pbi_status == libc::SZOMB {
            return Looked::Ended { start };
        }
        Looked::Runs { start }
    }
}

#[cfg(windows)]
mod imp {
    use std::time::Duration;

    use super::Looked;
    use crate::process::windows::Process;

    /// The system has no identifier for its start, but a different start time tells as much. So this identifies the
    /// machine.
    pub fn boot() -> String {
        super::host()
    }

    pub fn namespace() -> String {
        String::new()
    }

    pub fn look(pid: u32) -> Looked {
        match Process::open(pid) {
            Ok(process) => match process.started() {
                // Something may hold a handle of a process that has ended.
                Some(start) if process.wait(Duration::ZERO) => Looked::Ended { start },
                Some(start) => Looked::Runs { start },
                None => Looked::Unseen,
            },
            Err(error) if Process::is_no_such(&error) => Looked::NoSuch,
            Err(_) => Looked::Unseen,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod imp {
    use super::Looked;
    use crate::process::signal::{Probe, probe};

    pub fn boot() -> String {
        String::new()
    }

    pub fn namespace() -> String {
        String::new()
    }

    /// No start time: a process can be known to be gone, but never be taken for one that was known.
    pub fn look(pid: u32) -> Looked {
        match probe(pid) {
            Probe::NoSuch => Looked::NoSuch,
            Probe::Some => Looked::Unseen,
        }
    }
}
