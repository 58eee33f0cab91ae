//! Starting something at low priority, and putting it back to normal once it is up.
//!
//! Only where the way back is open: an app under test that stayed at low priority would be called
//! stalled on a busy machine. On Linux that takes a right (root, `CAP_SYS_NICE`, `ulimit -e 20`), and
//! niceness is a thread's own; elsewhere it is the whole process's, pytest's included, and left alone.

use std::thread;

/// The nicest that there is.
const NICEST: i32 = 19;

/// Nicer than normal.
fn low(normal: i32) -> i32 {
    (normal + 10).min(NICEST)
}

/// While this lives, its thread is at low priority, and so is what it starts.
pub struct Lowered {
    normal: i32,
}

impl Lowered {
    /// Lowers the calling thread; `None` if it could not be put back.
    pub fn this_thread() -> Option<Self> {
        let normal = imp::nice(None)?;
        // Tried on a thread that is thrown away, in case there is no way back.
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

/// Puts the threads of a process that was started at low priority back to that of the calling thread,
/// those aside that the process itself gave another one.
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

    /// How nice a thread is, or the calling one.
    pub fn nice(thread: Option<i32>) -> Option<i32> {
        getpriority_process(thread.and_then(Pid::from_raw)).ok()
    }

    /// False if that is not allowed, or the thread is gone.
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
