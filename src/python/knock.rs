//! Interrupting a Python thread from outside, without the interpreter; and ending one, with it.

use std::ffi::c_ulong;

use pyo3::prelude::*;

/// Returns what interrupts the calling thread: a system call that it waits in ends early, and as
/// soon as it runs Python code again it runs its handler of `signal`.
#[cfg(unix)]
pub fn at_this_thread(signal: i32) -> impl Fn() + Send + 'static {
    use nix::sys::pthread::{pthread_kill, pthread_self};
    use nix::sys::signal::Signal;

    let thread = pthread_self();
    let signal = Signal::try_from(signal).ok();
    move || {
        // A thread that is gone runs no test any more.
        let _ = pthread_kill(thread, signal);
    }
}

/// On Windows there are no signals to a thread; the interpreter has a way to simulate one, which
/// also wakes its main thread out of `time.sleep` if the signal is SIGINT.
#[cfg(windows)]
pub fn at_this_thread(signal: i32) -> impl Fn() + Send + 'static {
    move || {
        // SAFETY: it takes a plain number, and may be called from any thread at any time, with or
        // without the GIL (Python's C API, "Exception Handling", PyErr_SetInterruptEx).
        unsafe { pyo3::ffi::PyErr_SetInterruptEx(signal) };
    }
}

/// Has a thread raise `SystemExit`, which ends it without a word, as soon as it runs Python code. Returns whether
/// there is a thread of this `threading.get_ident()`.
#[pyfunction]
pub fn end_thread(_py: Python<'_>, ident: c_ulong) -> bool {
    // SAFETY: the interpreter is attached, as `_py` proves; it takes a plain number, looks it up among its threads,
    // and takes a reference of its own to the exception, which lives as long as the interpreter does.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident.cast_signed(), pyo3::ffi::PyExc_SystemExit) == 1 }
}
