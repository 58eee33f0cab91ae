//! Qt's own critical and fatal messages, heard on their way to the handler that prints them.
//!
//! The handler is native. One in Python would have to wait for the interpreter lock on whichever thread Qt reports
//! from, and could not run while the interpreter shuts down. It calls the handler that was there before, so
//! everything is printed as without it.
//!
//! There is one handler in a process, as Qt has one. Qt is not linked: its functions are looked up in the library
//! that the app has loaded.
#![allow(unsafe_code, reason = "Qt is called through its C++ interface")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr::fn_addr_eq;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use nix::libc;

/// A message of Qt that means trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QtMessage {
    /// Whether Qt ends the process after it.
    pub is_fatal: bool,
    /// Its text.
    pub text: String,
    /// Where it comes from: `file:line in function`, or else its category; empty if Qt does not tell.
    pub place: String,
}

/// Told of each message. Called on any thread, before the message is printed; must not wait for the app.
pub type Sink = Arc<dyn Fn(QtMessage) + Send + Sync>;

type Handler = unsafe extern "C-unwind" fn(c_int, *const Context, *const c_void);
type Install = unsafe extern "C-unwind" fn(Option<Handler>) -> Option<Handler>;
type Utf16 = unsafe extern "C-unwind" fn(*const c_void) -> *const u16;

/// `QMessageLogContext`, which is the same in Qt 5 and 6.
#[repr(C)]
struct Context {
    version: c_int,
    line: c_int,
    file: *const c_char,
    function: *const c_char,
    category: *const c_char,
}

/// The values of `QtMsgType`.
const WARNING: c_int = 1;
const CRITICAL: c_int = 2;
const FATAL: c_int = 3;
/// What `PySide` makes of a `qFatal()` in Python; the text comes in the warning before it.
const FATAL_OF_PYSIDE: &str = "[A qFatal() call was made from Python code]";
/// How long the test side has to learn the reason before Qt ends the process.
const TOLD_WITHIN: Duration = Duration::from_millis(50);
/// How many UTF-16 units of a message are kept.
const KEPT: usize = 4096;

/// The functions of the Qt that the app has loaded.
struct Qt {
    install: Install,
    utf16: Utf16,
}

static QT: OnceLock<Qt> = OnceLock::new();
/// The handler that ours calls. Locked for writing while ours is installed, so that ours finds the right one.
static BELOW: RwLock<Option<Handler>> = RwLock::new(None);
static SINK: RwLock<Option<Sink>> = RwLock::new(None);
thread_local! {
    /// The latest warning of this thread.
    static WARNED: RefCell<String> = const { RefCell::new(String::new()) };
}
/// Whether our handler is installed. Held while that changes.
static IS_INSTALLED: Mutex<bool> = Mutex::new(false);

/// Hears Qt's messages from now on. `module` is the extension module of a Qt binding that the app has loaded.
/// Returns whether Qt's functions were found.
pub fn hear(module: &Path, sink: Sink) -> bool {
    if QT.get().is_none() {
        let Some(found) = find(module) else {
            return false;
        };
        let _ = QT.set(found);
    }
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    come_back();
    true
}

/// No longer hears anything, and removes the handler.
pub fn leave() {
    step_aside();
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Removes our handler, so that the app can look at the one below and replace it. Something above it that calls it
/// stays.
pub fn step_aside() {
    let mut is_installed = IS_INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(qt) = QT.get().filter(|_| *is_installed) else {
        return;
    };
    // SAFETY: it is the handler that was there before, and Qt's function takes any.
    let top = unsafe { (qt.install)(below()) };
    if top.is_some_and(|top| !fn_addr_eq(top, heard as Handler)) {
        // SAFETY: as above; this one is the app's.
        unsafe { (qt.install)(top) };
    }
    *is_installed = false;
}

/// Puts our handler above the one there is, if somebody hears messages.
pub fn come_back() {
    let mut is_installed = IS_INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = SINK.read().is_ok_and(|sink| sink.is_some());
    let Some(qt) = QT.get().filter(|_| wanted && !*is_installed) else {
        return;
    };
    let mut below = BELOW.write().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: ours is of Qt's type. Qt returns its own handler if the app has none.
    *below = unsafe { (qt.install)(Some(heard)) };
    *is_installed = true;
}

/// The handler.
unsafe extern "C-unwind" fn heard(kind: c_int, context: *const Context, message: *const c_void) {
    // Whatever happens here, the message is printed.
    let told = matches!(kind, WARNING | CRITICAL | FATAL)
        && catch_unwind(AssertUnwindSafe(|| tell(kind, context, message))).unwrap_or_default();
    if let Some(below) = below() {
        // SAFETY: it is the handler that Qt would have called with these arguments.
        unsafe { below(kind, context, message) };
    }
    if told && kind == FATAL {
        thread::sleep(TOLD_WITHIN);
    }
}

/// Returns whether somebody was told.
fn tell(kind: c_int, context: *const Context, message: *const c_void) -> bool {
    let (Some(qt), Some(sink)) = (QT.get(), SINK.try_read().ok().and_then(|sink| sink.clone())) else {
        return false;
    };
    // SAFETY: Qt passes a valid QString, whose utf16() ends with a zero and lives as long as it.
    let mut text = unsafe { text_of((qt.utf16)(message)) };
    if kind == WARNING {
        let _ = WARNED.try_with(|warned| warned.replace(text)); // the thread may be about to end
        return false;
    }
    if text == FATAL_OF_PYSIDE {
        text = WARNED.try_with(RefCell::take).unwrap_or(text);
    }
    // SAFETY: Qt passes a valid context.
    let place = unsafe { context.as_ref() }.map_or_else(String::new, place_of);
    sink(QtMessage {
        is_fatal: kind == FATAL,
        text,
        place,
    });
    true
}

/// # Safety
/// `units` is null, or the beginning of units that end with a zero.
unsafe fn text_of(units: *const u16) -> String {
    if units.is_null() {
        return String::new();
    }
    let mut kept = Vec::new();
    while kept.len() < KEPT {
        // SAFETY: the zero at the end has not been reached.
        match unsafe { *units.add(kept.len()) } {
            0 => break,
            unit => kept.push(unit),
        }
    }
    String::from_utf16_lossy(&kept)
}

fn place_of(context: &Context) -> String {
    let text = |words: *const c_char| {
        // SAFETY: the texts in a context are null, or end with a zero.
        (!words.is_null()).then(|| unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned())
    };
    if let Some(file) = text(context.file) {
        let function = text(context.function).map_or_else(String::new, |name| format!(" in {name}"));
        return format!("{file}:{}{function}", context.line);
    }
    text(context.category)
        .filter(|name| name != "default")
        .map_or_else(String::new, |name| format!("category {name}"))
}

/// Looks up Qt's functions in a loaded module and the libraries that it is linked with.
fn find(module: &Path) -> Option<Qt> {
    let path = CString::new(module.as_os_str().as_encoded_bytes()).ok()?;
    // SAFETY: a valid path. Nothing is loaded that is not.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
    if handle.is_null() {
        return None;
    }
    let look_up = |name: &CStr| {
        // SAFETY: a handle from dlopen, and a name that ends with a zero.
        let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
        (!found.is_null()).then_some(found)
    };
    let install = look_up(c"_Z22qInstallMessageHandlerPFv9QtMsgTypeRK18QMessageLogContextRK7QStringE")?;
    let utf16 = look_up(c"_ZNK7QString5utf16Ev")?;
    // SAFETY: the names carry these types. (A reference and `this` are pointers; the handle is never closed.)
    Some(unsafe {
        Qt {
            install: std::mem::transmute::<*mut c_void, Install>(install),
            utf16: std::mem::transmute::<*mut c_void, Utf16>(utf16),
        }
    })
}

fn below() -> Option<Handler> {
    *BELOW.read().unwrap_or_else(PoisonError::into_inner)
}
