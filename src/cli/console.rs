//! The terminal that a command runs in: whether it takes colours, and how it asks for an end.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Whether what is printed may have colours: on a terminal, unless somebody set `NO_COLOR` (<https://no-color.org>).
pub fn takes_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && io::stdout().is_terminal() && imp::understands_escapes()
}

/// Has `ended` set when somebody asks this process to end, other than by Ctrl-C.
///
/// # Errors
/// What the operating system says.
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

    /// Windows Terminal does, the older console only if it is told to.
    pub fn understands_escapes() -> bool {
        let mut mode = 0;
        // SAFETY: the pointer is to a live number; if the standard output is no console the other calls fail.
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
        // SAFETY: the function is there for as long as this library is.
        if unsafe { SetConsoleCtrlHandler(Some(handle), 1) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Called on a thread of its own. Ctrl-C is left to Python, whose handler was there before.
    unsafe extern "system" fn handle(event: u32) -> i32 {
        if event == CTRL_C_EVENT {
            return 0;
        }
        if let Some(ended) = ENDED.get() {
            ended.store(true, Ordering::Relaxed);
        }
        if event != CTRL_BREAK_EVENT {
            // The console is closed, or somebody logs off: as soon as this returns the process is ended. It
            // ends by itself before that, or the system's patience does.
            thread::sleep(Duration::from_mins(1));
        }
        1
    }
}
