//! Replaces a file that may be in use.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for a reader that does not let others replace the file.
const HELD_FOR: Duration = Duration::from_millis(500);
/// How often to try.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// Replaces `path` by `draft`: a program that opens `path` sees one or the other, complete. On Windows most
/// programs that read a file prevent its replacement, so this waits a moment for them.
///
/// # Errors
/// What the operating system reports; `draft` still exists then.
pub fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + HELD_FOR;
    loop {
        match fs::rename(draft, path) {
            Err(error) if is_held(&error) && Instant::now() < deadline => thread::sleep(TRY_EVERY),
            done => return done,
        }
    }
}

/// Whether the file is in use: on Windows, access denied, a sharing violation or a lock violation. Elsewhere never.
fn is_held(error: &io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::windows::fs::OpenOptionsExt;

    /// The share mode of Python's `open()` and of most editors: others may read and write, but not delete.
    const NO_DELETE: u32 = 3;

    #[test]
    fn a_file_that_is_being_read_is_replaced_as_soon_as_that_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (draft, path) = (folder.path().join("draft"), folder.path().join("file"));
        fs::write(&path, "old").unwrap();
        fs::write(&draft, "new").unwrap();
        let open = || {
            OpenOptions::new()
                .read(true)
                .share_mode(NO_DELETE)
                .open(&path)
                .unwrap()
        };
        let reader = open();
        assert!(fs::rename(&draft, &path).is_err(), "it would need no waiting");
        let reading = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(reader);
        });
        replace(&draft, &path).unwrap();
        reading.join().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::write(&draft, "newer").unwrap();
        let _reader = open();
        assert!(replace(&draft, &path).is_err(), "somebody who never lets go");
        assert_eq!(fs::read_to_string(&draft).unwrap(), "newer");
    }
}
