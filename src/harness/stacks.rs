//! The current stack of every Python thread of an app, as py-spy sees it from outside, if it is installed.

use std::env::consts::EXE_SUFFIX;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use super::process::ProcessTree;
use crate::files::replace;

/// A test that waits for a verdict waits for this as well.
const WITHIN: Duration = Duration::from_secs(2);
/// How often the wait checks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How many bytes of it an error message shows.
const SHOWN: usize = 16 * 1024;
/// How many frames one line shows.
const FRAMES: usize = 3;
/// The file in the generation's folder.
const FILE: &str = "stacks.txt";

/// Records the stacks of an app's threads. Best effort: py-spy may not be installed or permitted. `python` is the
/// interpreter beside which it would be installed.
pub fn take(python: &Path, process: &ProcessTree) {
    // What was started may be a script that started the app.
    let agent = Client::find(process.folder());
    let pid = agent.map_or_else(|| process.pid(), |client| client.pid());
    let _ = dump(&find(python), pid, process.folder());
}

/// The recorded stacks; empty if there are none.
pub fn taken(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join(FILE)).unwrap_or_default();
    let text = text.trim_end();
    let shown = text.floor_char_boundary(SHOWN);
    text[..shown].to_owned()
}

/// Where the main thread is in such a text: its innermost frames, in order.
pub fn innermost(stacks: &str) -> Option<String> {
    let of_main = stacks.split_once("\"MainThread\"")?.1;
    let frames = of_main.lines().skip(1).take_while(|line| line.starts_with(' '));
    let shown: Vec<_> = frames.map(str::trim).take(FRAMES).collect();
    (!shown.is_empty()).then(|| shown.join(", called by "))
}

fn find(python: &Path) -> PathBuf {
    let name = format!("py-spy{EXE_SUFFIX}");
    let beside = python.with_file_name(&name);
    if beside.is_file() { beside } else { name.into() }
}

fn dump(py_spy: &Path, pid: u32, folder: &Path) -> io::Result<()> {
    let draft = folder.join(FILE).with_extension("tmp");
    let mut child = Command::new(py_spy)
        .args(["dump", "--pid", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(File::create(&draft)?)
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + WITHIN;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
            None => {
                child.kill()?;
                break child.wait()?;
            }
        }
    };
    if status.success() {
        replace(&draft, &folder.join(FILE))
    } else {
        fs::remove_file(&draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_shows_the_innermost_frames_of_the_main_thread() {
        let text = "Process 7: python app.py\nPython v3.11.7 (/usr/bin/python3)\n\n\
                    Thread 9 (active): \"hooks\"\n    accept (socket.py:294)\n\
                    Thread 7 (idle): \"MainThread\"\n    wait (app.py:4)\n    click (app.py:9)\n    \
                    main (app.py:20)\n    <module> (app.py:30)\nThread 8 (idle): \"x\"\n    run (x.py:1)\n";
        let shown = innermost(text);
        let expected = "wait (app.py:4), called by click (app.py:9), called by main (app.py:20)";
        assert_eq!(shown.as_deref(), Some(expected));
        assert_eq!(innermost("Process 7: python app.py\n"), None);
    }

    #[test]
    fn without_py_spy_nothing_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        assert!(dump(&folder.path().join("py-spy"), 1, folder.path()).is_err());
        assert_eq!(taken(folder.path()), "");
    }

    /// A fake, because the real one hangs only if the kernel does.
    #[cfg(unix)]
    #[test]
    fn one_that_hangs_is_ended_and_leaves_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let fake = folder.path().join("py-spy");
        fs::write(&fake, "#!/bin/sh\necho half a line\nexec sleep 600\n").unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(&folder.path().join("python")), fake);
        dump(&fake, 1, folder.path()).unwrap();
        assert_eq!(taken(folder.path()), "");
    }
}
