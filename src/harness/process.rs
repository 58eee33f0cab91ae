//! One process of ours, an app or a pytest: started with its output in files, ended with everything it
//! started.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use process_wrap::std::{ChildWrapper, CommandWrap};

use super::fault;
use crate::table::{self, Member};

/// How long a process may take to end after SIGTERM before it is killed.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long a killed process may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often a wait looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Bytes of standard error that an error message shows.
const TAIL: u64 = 2048;
/// Bytes of standard error in which a fault handler's report is looked for: a hundred threads and more.
const FAULT: u64 = 128 * 1024;

/// Name of the file that takes the app's standard output.
pub const STDOUT: &str = "stdout.log";
/// Name of the file that takes the app's standard error.
pub const STDERR: &str = "stderr.log";

/// How to start a process.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The command line.
    pub command: Vec<String>,
    /// Added to the environment.
    pub environment: Vec<(String, String)>,
    /// Added to the environment, too, and to nobody else's: whoever carries it came from this process,
    /// though the parents in between are gone.
    pub mark: (&'static str, String),
    /// The working folder.
    pub cwd: PathBuf,
    /// Takes the output.
    pub folder: PathBuf,
}

/// A process that was started, whether or not it still runs, and what came from it.
#[derive(Debug)]
pub struct ProcessTree {
    child: Mutex<Box<dyn ChildWrapper>>,
    pid: u32,
    created_at: u64,
    mark: String,
    folder: PathBuf,
}

impl ProcessTree {
    /// Starts it, at the head of a process group (on Windows a job) of its own: a Ctrl-C at the
    /// terminal is for pytest, which ends it in good order.
    ///
    /// # Errors
    /// What the operating system says: no such program, no such folder, no right.
    pub fn start(launch: &Launch) -> io::Result<Self> {
        let (program, arguments) = launch.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let output = |name| File::create(launch.folder.join(name));
        let (stdout, stderr) = (output(STDOUT)?, output(STDERR)?);
        let mut command = CommandWrap::with_new(program, |command| {
            command
                .args(arguments)
                .current_dir(&launch.cwd)
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(stderr);
            command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
            let (name, value) = &launch.mark;
            command.env(name, value);
        });
        #[cfg(unix)]
        command.wrap(process_wrap::std::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::std::JobObject);
        let child = command.spawn()?;
        let pid = child.id();
        let created_at = table::created_at(pid).unwrap_or(0);
        Ok(Self {
            child: Mutex::new(child),
            pid,
            created_at,
            mark: format!("{}={}", launch.mark.0, launch.mark.1),
            folder: launch.folder.clone(),
        })
    }

    /// Its process id.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// When it was created, in seconds since the epoch; 0 if it was gone before that could be asked.
    pub const fn created_at(&self) -> u64 {
        self.created_at
    }

    /// Its exit status, once it has one.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It can fail only if somebody else reaped it; then it is gone, and nobody knows how.
        child.try_wait().unwrap_or_else(|_| Some(ExitStatus::default()))
    }

    /// Waits for its end, for at most `limit`.
    pub fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.exit_status();
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        if self.exit_status().is_some() {
            return;
        }
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever this says, who waits will see whether it ended.
        #[cfg(unix)]
        let _ = child.signal(nix::sys::signal::Signal::SIGTERM as i32);
        #[cfg(not(unix))]
        let _ = { child }.start_kill();
    }

    /// Asks it to end as Ctrl-C does. On Windows there is no such way to a process of another group.
    pub fn interrupt(&self) {
        if self.exit_status().is_some() {
            return;
        }
        #[cfg(unix)]
        if let Ok(pid) = i32::try_from(self.pid) {
            use nix::sys::signal::{Signal, kill};
            let _ = kill(nix::unistd::Pid::from_raw(pid), Signal::SIGINT);
        }
    }

    /// Ends it.
    pub fn kill(&self) {
        if self.exit_status().is_none() {
            let _ = self
                .child
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .start_kill();
        }
    }

    /// Ends it and everything that it started, and sees to it that they are gone. With a `grace` it
    /// is first asked to end by itself. Returns the pids that are still there, which should be none.
    pub fn end_tree(&self, grace: Option<Duration>) -> Vec<u32> {
        let family = table::family(self.pid, &self.mark);
        if let Some(grace) = grace {
            self.terminate();
            self.wait(grace);
        }
        self.kill();
        // The group outlives its leader: an app that ended first leaves its helpers in it.
        #[cfg(unix)]
        if let Ok(leader) = i32::try_from(self.pid) {
            use nix::sys::signal::{Signal, killpg};
            let _ = killpg(nix::unistd::Pid::from_raw(leader), Signal::SIGKILL);
        }
        self.wait(GONE_WITHIN);
        kill_family(family, || table::family(self.pid, &self.mark))
    }

    /// Everything of it that runs: itself, and what came from it.
    pub fn pids(&self) -> Vec<u32> {
        let family = table::family(self.pid, &self.mark);
        let came_from_it = family.iter().map(Member::pid);
        came_from_it.chain([self.pid]).collect()
    }

    /// The last lines that it wrote to its standard error; of a fault handler's report what matters.
    pub fn stderr_tail(&self) -> String {
        let end = |bytes| tail(&self.folder.join(STDERR), bytes).unwrap_or_default();
        fault::in_order(&end(FAULT)).unwrap_or_else(|| end(TAIL))
    }
}

/// Ends a process that somebody else started, or nobody any more, and everything that came from it: what has
/// `mark`, a name and a value, in its environment. Returns the pids that are still there, which should be none.
#[must_use]
pub fn end_left_over(itself: Member, mark: (&str, &str)) -> Vec<u32> {
    let (pid, mark) = (itself.pid(), format!("{}={}", mark.0, mark.1));
    if !table::runs(itself) {
        // Its pid may be somebody else's by now.
        return kill_family(HashSet::new(), || table::marked(&mark));
    }
    let mut family = table::family(pid, &mark);
    family.insert(itself);
    table::terminate(itself);
    let deadline = Instant::now() + GRACE;
    while table::runs(itself) && Instant::now() < deadline {
        thread::sleep(LOOK_EVERY);
    }
    kill_family(family, || table::family(pid, &mark))
}

fn kill_family(mut family: HashSet<Member>, grown: impl Fn() -> HashSet<Member>) -> Vec<u32> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        // What they start while they are being ended is family too.
        family.extend(grown());
        let left = table::kill_those_left(&family);
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// An exit status for a person.
#[must_use]
pub fn describe_exit(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(number) = status.signal() {
            let name = nix::sys::signal::Signal::try_from(number).map_or("unknown", |signal| signal.as_str());
            return format!("signal {number} ({name})");
        }
    }
    status.code().map_or_else(
        || "an unknown status".to_owned(),
        |code| format!("exit status {code}"),
    )
}

/// The exit status as `subprocess.Popen.returncode` has it: a signal is its negative number.
#[must_use]
pub fn return_code(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(number) = status.signal() {
            return -number;
        }
    }
    status.code().unwrap_or(-1)
}

/// The last whole lines of a file, so many bytes of them.
fn tail(path: &Path, bytes_at_most: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_at_most)))?;
    let mut bytes = Vec::new();
    file.take(bytes_at_most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if length > bytes_at_most {
        text.split_once('\n').map_or("", |(_, whole)| whole)
    } else {
        &*text
    };
    Ok(whole.trim_end().to_owned())
}
