//! Windows' replacements for descriptors, process groups and signals: handles, jobs and console events. These calls
//! have no safe form. Nothing else in this module makes such calls.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::ptr::null;
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FILETIME, HANDLE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Diagnostics::Debug::{
    SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, GetCurrentProcess, GetExitCodeProcess, GetProcessTimes,
    OpenProcess, OpenThread, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE,
    ResumeThread, THREAD_SUSPEND_RESUME, TerminateProcess, WaitForSingleObject,
};

/// The exit status of a process that was killed, as with `taskkill` and `subprocess`.
const ENDED: u32 = 1;

/// A hold on a process. As long as there is one, no other process gets its number.
#[derive(Debug)]
pub struct Process(OwnedHandle);

impl Process {
    /// The process with this number, even if it may be seen but not ended.
    pub fn open(pid: u32) -> io::Result<Self> {
        let look = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        let open = |rights| {
            // SAFETY: takes plain values; only we own what it returns.
            unsafe { owned(OpenProcess(rights, 0, pid)) }
        };
        open(look | PROCESS_TERMINATE).or_else(|_| open(look)).map(Self)
    }

    /// A separate hold on a child.
    pub fn of(child: &Child) -> io::Result<Self> {
        child.as_handle().try_clone_to_owned().map(Self)
    }

    /// Whether [`Process::open`] failed because there is no such process.
    pub fn is_no_such(error: &io::Error) -> bool {
        error.raw_os_error() == i32::try_from(ERROR_INVALID_PARAMETER).ok()
    }

    /// When it was started, in the system's own unit.
    pub fn started(&self) -> Option<u64> {
        let zero = FILETIME {
            dwLowDateTime: 0,
            dwHighDateTime: 0,
        };
        let (mut created, mut exited, mut kernel, mut user) = (zero, zero, zero, zero);
        // SAFETY: the handle is open, and each pointer is to a live FILETIME of its own.
        let known = unsafe {
            GetProcessTimes(
                self.0.as_raw_handle(),
                &raw mut created,
                &raw mut exited,
                &raw mut kernel,
                &raw mut user,
            )
        } != 0;
        known.then(|| u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
    }

    /// Its exit status, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        let mut code = 0_u32;
        // SAFETY: the handle is open, and the pointer is to a live value.
        let known = unsafe { GetExitCodeProcess(self.0.as_raw_handle(), &raw mut code) } != 0;
        (known && self.wait(Duration::ZERO)).then(|| code.cast_signed())
    }

    /// Waits for its end, for at most `limit`. Returns whether it has ended.
    pub fn wait(&self, limit: Duration) -> bool {
        // Round up, so that a wait for less than a millisecond does not become none at all.
        let limit = u32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u32::MAX - 1);
        // SAFETY: the handle is open, with the right to wait for it.
        unsafe { WaitForSingleObject(self.0.as_raw_handle(), limit) == WAIT_OBJECT_0 }
    }

    /// Kills it. A process outside of our groups cannot be asked to end.
    pub fn end(&self) {
        // SAFETY: the handle is open; without the right to end it this fails.
        unsafe { TerminateProcess(self.0.as_raw_handle(), ENDED) };
    }
}

/// Kills this process, at once.
pub fn end_itself() {
    // SAFETY: takes a constant that stands for this process.
    unsafe { TerminateProcess(GetCurrentProcess(), ENDED) };
}

/// Holds what a process starts, and what that starts in turn: nothing can leave a job. When the last handle of a
/// job is closed, which also happens if this process is killed, everything in it ends.
#[derive(Debug)]
pub struct Job(OwnedHandle);

impl Job {
    fn new() -> io::Result<Self> {
        // SAFETY: without a name and attributes; the handle is not inherited by what this process starts.
        let job = unsafe { owned(CreateJobObjectW(null(), null())) }?;
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        let size = size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>();
        // SAFETY: the buffer is `limits`, which is as long as stated, and lives through the call.
        succeeded(unsafe {
            SetInformationJobObject(
                job.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                u32::try_from(size).unwrap_or(0),
            )
        })?;
        Ok(Self(job))
    }

    fn take(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both handles are open.
        succeeded(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle()) })
    }

    /// Kills everything in it.
    pub fn end(&self) {
        // SAFETY: the handle is open.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), ENDED) };
    }
}

/// Starts a process in its own job and its own console group. It runs only once it is in the job, so that
/// everything it starts is in the job too.
pub fn start(command: Command) -> io::Result<(Child, Job)> {
    start_in_a_job(command, CREATE_NEW_PROCESS_GROUP)
}

/// Runs a process in place of this one. Ctrl-C on the console reaches both, and it ends if this one does.
pub fn run(command: Command) -> io::Result<ExitStatus> {
    let (mut child, _job) = start_in_a_job(command, 0)?;
    child.wait()
}

fn start_in_a_job(mut command: Command, flags: u32) -> io::Result<(Child, Job)> {
    let job = Job::new()?;
    // What it starts inherits this, so that a crash ends it, and no invisible dialog keeps it.
    let quiet = SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX;
    // SAFETY: takes plain values. Another thread that runs meanwhile only shows no dialogs.
    let before = unsafe { SetErrorMode(quiet) };
    let child = command.creation_flags(CREATE_SUSPENDED | flags).spawn();
    // SAFETY: as above.
    unsafe { SetErrorMode(before) };
    let mut child = child?;
    let runs = job.take(child.as_handle()).and_then(|()| resume(child.id()));
    if let Err(error) = runs {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok((child, job))
}

/// Sends Ctrl-Break to a console group, which is named after its first process. (Ctrl-C cannot be sent to a chosen
/// group.) False if this process has no console.
pub fn press_break(group: u32) -> bool {
    // 0 would mean every process on this console.
    // SAFETY: takes plain values.
    group != 0 && unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, group) } != 0
}

/// Resumes the only thread of a process that was started suspended.
fn resume(pid: u32) -> io::Result<()> {
    // SAFETY: takes plain values; what it returns is ours alone.
    let all = unsafe { owned(CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0)) }?;
    let mut entry = THREADENTRY32 {
        dwSize: u32::try_from(size_of::<THREADENTRY32>()).unwrap_or(0),
        ..THREADENTRY32::default()
    };
    // SAFETY: the handle is open, and the entry says how long it is.
    let mut there = unsafe { Thread32First(all.as_raw_handle(), &raw mut entry) };
    while there != 0 {
        if entry.th32OwnerProcessID == pid {
            // SAFETY: takes plain values; what it returns is ours alone.
            let thread = unsafe { owned(OpenThread(THREAD_SUSPEND_RESUME, 0, entry.th32ThreadID)) }?;
            // SAFETY: the handle is open, with the right to do this.
            let before = unsafe { ResumeThread(thread.as_raw_handle()) };
            return if before == u32::MAX {
                Err(io::Error::last_os_error())
            } else {
                Ok(())
            };
        }
        // SAFETY: as above.
        there = unsafe { Thread32Next(all.as_raw_handle(), &raw mut entry) };
    }
    Err(io::Error::other("the process that was started has no thread"))
}

/// # Safety
/// The handle is null, -1, or one that nothing else closes.
unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller promises that only we own it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn succeeded(done: i32) -> io::Result<()> {
    if done == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
