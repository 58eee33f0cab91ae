//! Interrupting a Python thread from outside, without the interpreter.

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
