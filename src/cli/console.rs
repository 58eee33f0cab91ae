//! The terminal that a command runs in: whether it supports colours, and how it ends the command.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Whether to print in colour: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub fn takes_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stdout().is_terminal() && imp::understands_escapes()
}

/// Sets `ended` when this process is asked to end, other than by Ctrl-C.
///
/// # Errors
/// What the operating system reports.
pub fn on_end(ended: &Arc<AtomicBool>) -> io::Result<()> {
    imp::on_end(ended)
}

#[cfg(unix)]
mod imp {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGHUP, SIGTERM};

    pub const fn understands_escapes() -> bool {
        true
    }

    pub fn on_end(ended: &Arc<AtomicBool>) -> io::Result<()> {
        for signal in [SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(ended))?;
        }
        Ok(())
    }
}

#[cfg(windows)]
#[allow(unsafe_code, reason = "the console has no safe form")]
mod imp {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use once_cell::sync::OnceCell;
    use windows_sys::Win32::System::Console::{
        CTRL_BREAK_EVENT, CTRL_C_EVENT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode, GetStdHandle,
        STD_OUTPUT_HANDLE, SetConsoleCtrlHandler, SetConsoleMode,
    };

    static ENDED: OnceCell<Arc<AtomicBool>> = OnceCell::new();

    /// Windows Terminal understands escapes; the older console does so only when it is asked to.
    pub fn understands_escapes() -> bool {
        let mut mode = 0;
        // SAFETY: the pointer is to a live number; if standard output is no console, the other calls fail.
        unsafe {
            let out = GetStdHandle(STD_OUTPUT_HANDLE);
            GetConsoleMode(out, &raw mut mode) != 0
                && SetConsoleMode(out, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0
        }
    }

    pub fn on_end(ended: &Arc<AtomicBool>) -> io::Result<()> {
        if ENDED.set(Arc::clone(ended)).is_err() {
            return Ok(()); // a second run in one process
        }
        // SAFETY: the function exists for as long as this library does.
        if unsafe { SetConsoleCtrlHandler(Some(handle), 1) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Windows calls this on a separate thread. Ctrl-C is left to Python, which installed its handler earlier.
    unsafe extern "system" fn handle(event: u32) -> i32 {
        if event == CTRL_C_EVENT {
            return 0;
        }
        if let Some(ended) = ENDED.get() {
            ended.store(true, Ordering::Relaxed);
        }
        if event != CTRL_BREAK_EVENT {
            // The console closes, or the user logs off. Windows ends the process as soon as this returns. So wait
            // until the process ends by itself, or until Windows ends it anyway.
            thread::sleep(Duration::from_mins(1));
        }
        1
    }
}
