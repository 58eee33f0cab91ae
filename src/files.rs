//! Putting a file in the place of another.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a file may be held by somebody who reads it and lets nobody take it away meanwhile.
const HELD_FOR: Duration = Duration::from_millis(500);
/// How often that is tried.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// Puts `draft` in the place of `path`: whoever opens that sees the one or the other, whole. On Windows most
/// programs that read a file do not let it be replaced; this waits for them for a moment.
///
/// # Errors
/// What the operating system says; `draft` is still there then.
pub fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + HELD_FOR;
    loop {
        match fs::rename(draft, path) {
            Err(error) if is_held(&error) && Instant::now() < deadline => thread::sleep(TRY_EVERY),
            done => return done,
        }
    }
}

/// Access denied, a sharing violation, a lock violation: so Windows calls it. Elsewhere a file is nobody's.
fn is_held(error: &io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::windows::fs::OpenOptionsExt;

    /// As `open()` of Python and most editors have it: others may read and write it, not take it away.
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
