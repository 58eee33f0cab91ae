//! Starts something at low priority, and restores its normal priority once it runs.
//!
//! This is done only if the priority can be restored, because an app under test at low priority would seem stalled
//! on a busy machine. On Linux restoring needs a privilege (root, `CAP_SYS_NICE`, `ulimit -e 20`), and each thread
//! has its own niceness. Elsewhere niceness belongs to the whole process, pytest included, so it is left alone.

use std::thread;

/// The highest niceness.
const NICEST: i32 = 19;

/// A niceness for low priority.
fn low(normal: i32) -> i32 {
    (normal + 10).min(NICEST)
}

/// While this exists, its thread has low priority, and so has what it starts.
pub struct Lowered {
    normal: i32,
}

impl Lowered {
    /// Lowers the priority of the calling thread; `None` if it could not be restored.
    pub fn this_thread() -> Option<Self> {
        let normal = imp::nice(None)?;
        // Try this on a temporary thread, in case it cannot be undone.
        let reversible = thread::spawn(move || imp::set(None, low(normal)) && imp::set(None, normal));
        let reversible = reversible.join().unwrap_or(false);
        (reversible && imp::set(None, low(normal))).then_some(Self { normal })
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        imp::set(None, self.normal);
    }
}

/// Restores the threads of a process that was started at low priority to that of the calling thread, except threads
/// whose priority the process itself has changed.
pub fn restore(pid: u32) {
    let Some(normal) = imp::nice(None) else { return };
    for thread in imp::threads(pid) {
        if imp::nice(Some(thread)) == Some(low(normal)) {
            imp::set(Some(thread), normal);
        }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use rustix::process::{Pid, getpriority_process, setpriority_process};

    /// The niceness of a thread, or of the calling one.
    pub fn nice(thread: Option<i32>) -> Option<i32> {
        getpriority_process(thread.and_then(Pid::from_raw)).ok()
    }

    /// False if that is not permitted, or the thread is gone.
    pub fn set(thread: Option<i32>, nice: i32) -> bool {
        setpriority_process(thread.and_then(Pid::from_raw), nice).is_ok()
    }

    /// The threads of a process.
    pub fn threads(pid: u32) -> Vec<i32> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        let names = tasks.into_iter().flatten().flatten();
        names
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub fn nice(_thread: Option<i32>) -> Option<i32> {
        None
    }

    pub fn set(_thread: Option<i32>, _nice: i32) -> bool {
        false
    }

    pub fn threads(_pid: u32) -> Vec<i32> {
        Vec::new()
    }
}
