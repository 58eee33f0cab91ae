//! Interrupts a Python thread from outside, without the interpreter; and ends one, with it.

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

/// A signal was sent, and no handler has taken it yet.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the signal whose handler runs now is ours, however late; false if something else sent it.
#[pyfunction]
pub fn take_interrupt() -> bool {
    INTERRUPTED.swap(false, Ordering::SeqCst)
}

/// Returns a function that interrupts the calling thread: a wait that a signal can end ends early, and as soon as
/// the thread runs Python code again, it runs its handler of `signal`.
pub fn at_this_thread(py: Python<'_>, signal: i32) -> impl Fn() + Send + 'static {
    let send = imp::at_this_thread(py, signal);
    move || {
        INTERRUPTED.store(true, Ordering::SeqCst);
        send();
    }
}

#[cfg(unix)]
mod imp {
    use nix::sys::pthread::{pthread_kill, pthread_self};
    use nix::sys::signal::Signal;
    use pyo3::Python;

    pub fn at_this_thread(_py: Python<'_>, signal: i32) -> impl Fn() + Send + 'static {
        let thread = pthread_self();
        let signal = Signal::try_from(signal).ok();
        move || {
            // A thread that is gone runs no tests any more.
            let _ = pthread_kill(thread, signal);
        }
    }
}

/// Windows has no signals to a thread, but the interpreter can simulate one. Where its main thread can be woken at
/// all, as in `time.sleep()`, it also waits for an event, which the interpreter sets only for a Ctrl-C.
#[cfg(windows)]
mod imp {
    use pyo3::prelude::*;
    use windows_sys::Win32::Foundation::{HANDLE, HMODULE};
    use windows_sys::Win32::System::LibraryLoader::GetProcAddress;
    use windows_sys::Win32::System::Threading::SetEvent;

    pub fn at_this_thread(py: Python<'_>, signal: i32) -> impl Fn() + Send + 'static {
        let event = sigint_event(py);
        move || {
            // SAFETY: it takes a plain number, and may be called from any thread at any time, with or
            // without the GIL (Python's C API, "Exception Handling", PyErr_SetInterruptEx).
            unsafe { pyo3::ffi::PyErr_SetInterruptEx(signal) };
            if let Some(event) = event {
                // SAFETY: the interpreter never closes it, and ignores it if it is set outside of a wait, because
                // it resets it before each wait.
                unsafe { SetEvent(event as HANDLE) };
            }
        }
    }

    /// It is not part of the stable ABI, so it is looked up at run time; `None` in an interpreter without it.
    fn sigint_event(py: Python<'_>) -> Option<usize> {
        let dll: usize = py.import("sys").ok()?.getattr("dllhandle").ok()?.extract().ok()?;
        // SAFETY: the handle is that of the interpreter's own library, which is never unloaded, and the name ends
        // with a zero.
        let found = unsafe { GetProcAddress(dll as HMODULE, c"_PyOS_SigintEvent".as_ptr().cast()) }?;
        // SAFETY: CPython declares it as `HANDLE _PyOS_SigintEvent(void)`.
        let event: extern "C" fn() -> HANDLE = unsafe { std::mem::transmute(found) };
        Some(event().addr()).filter(|event| *event != 0)
    }
}

/// Makes a thread raise `SystemExit`, which ends it silently, as soon as it runs Python code. Returns whether there
/// is a thread with this `threading.get_ident()`.
#[pyfunction]
pub fn end_thread(_py: Python<'_>, ident: c_ulong) -> bool {
    // SAFETY: the interpreter is attached, as `_py` proves. The call takes a plain number, looks it up among its
    // threads, and takes its own reference to the exception, which lives as long as the interpreter does.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident.cast_signed(), pyo3::ffi::PyExc_SystemExit) == 1 }
}
