//! Folders and files in shared places. They are opened only if they belong to this user.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::process::{Liveness, ProcessId};
use crate::wire::{Discovery, JOURNAL_FILE, RunPointer};

/// A larger file was not written by livegui.
const MAX_FILE: u64 = 64 * 1024;
/// How many logs of apps that are gone are kept.
const KEPT_LOGS: usize = 10;

/// The folder for this user's discovery files, for agents that have no run folder.
#[derive(Debug, Clone)]
pub struct RuntimeDir {
    path: PathBuf,
}

impl RuntimeDir {
    /// Its path, whether it exists or not.
    #[must_use]
    pub fn path_of_user() -> PathBuf {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let mut folders = ["XDG_RUNTIME_DIR", "LOCALAPPDATA"].into_iter().filter_map(set);
        // A named folder that does not exist is not ours to create.
        if let Some(folder) = folders.find(|folder| folder.is_dir()) {
            return folder.join("livegui");
        }
        std::env::temp_dir().join(format!("livegui-{}", user()))
    }

    /// Opens the folder, which must exist.
    ///
    /// # Errors
    /// `NotFound` if there is none; otherwise why it must not be used.
    pub fn open() -> io::Result<Self> {
        let path = Self::path_of_user();
        check_folder(&path)?;
        Ok(Self { path })
    }

    /// Opens the folder, and creates it if there is none.
    ///
    /// # Errors
    /// As [`RuntimeDir::open`], or that it cannot be created.
    pub fn make() -> io::Result<Self> {
        let path = Self::path_of_user();
        match make_private(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(refused(&path, &error.to_string()));
            }
            _ => {}
        }
        check_folder(&path)?;
        Ok(Self { path })
    }

    /// Creates a folder that nobody else knows, for an app that cannot use the one of its user.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn make_private() -> io::Result<Self> {
        let path = private_temporary_folder()?.keep();
        Ok(Self { path })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The discovery files in it.
    pub fn discovery_files(&self) -> impl Iterator<Item = PathBuf> {
        self.files()
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    }

    /// Deletes what apps that are gone have left: the files that name them, and all but their latest logs.
    pub fn sweep(&self) {
        for file in self.discovery_files() {
            let text = read_ours(&file).unwrap_or_default();
            let app = serde_json::from_slice::<Discovery>(&text).map(|found| found.process_id());
            // A run whose pytest was killed leaves one too.
            let run = || serde_json::from_slice::<RunPointer>(&text).map(|found| found.process);
            if app
                .or_else(|_| run())
                .is_ok_and(|process| process.liveness() == Liveness::Gone)
            {
                let _ = fs::remove_file(file);
            }
        }
        let mut logs: BTreeMap<u32, (SystemTime, Vec<PathBuf>)> = BTreeMap::new();
        for file in self.files() {
            let Some((number, rest)) = file.file_name().and_then(|name| name.to_str()?.split_once('.'))
            else {
                continue;
            };
            let Ok(pid) = number.parse() else { continue };
            if ProcessId::unverified(pid).liveness() != Liveness::Gone {
                continue;
            }
            if rest.ends_with("tmp") {
                let _ = fs::remove_file(file);
            } else if rest.starts_with(JOURNAL_FILE) {
                let written = fs::symlink_metadata(&file).and_then(|found| found.modified());
                let log = logs.entry(pid).or_insert((SystemTime::UNIX_EPOCH, Vec::new()));
                log.0 = log.0.max(written.unwrap_or(SystemTime::UNIX_EPOCH));
                log.1.push(file);
            }
        }
        let mut logs: Vec<_> = logs.into_values().collect();
        logs.sort();
        logs.reverse();
        for file in logs.into_iter().skip(KEPT_LOGS).flat_map(|(_, files)| files) {
            let _ = fs::remove_file(file);
        }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    }
}

/// Creates a folder that is closed to others, and is deleted when this is dropped.
///
/// # Errors
/// What the operating system reports.
pub fn private_temporary_folder() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("livegui-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    builder.tempdir()
}

/// Opens a file for reading. It may be anybody's, or a link, but opening never waits for the other end of a pipe.
///
/// # Errors
/// Why it must not be read, or what the operating system reports.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    open_regular(&mut options, path, Links::Followed)
}

/// Reads such a file completely.
///
/// # Errors
/// As [`open_to_read`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a small file completely. It must be a regular file of this user, and not a link.
///
/// # Errors
/// Why it must not be read, or what the operating system reports.
pub fn read_ours(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    let file = open_regular(&mut options, path, Links::Refused)?;
    check_owner(&file, path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(refused(path, "it is too large"));
    }
    Ok(bytes)
}

/// Opens a file for appending, and creates it if there is none. It must be a regular file of this user, neither a
/// symbolic link nor a second name of another file.
///
/// # Errors
/// As [`read_ours`].
pub fn append_to_ours(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = open_regular(&mut options, path, Links::Refused)?;
    check_owner(&file, path)?;
    check_names(&file, path)?;
    Ok(file)
}

/// Creates a new file that only this user can read.
///
/// # Errors
/// What the operating system reports.
#[cfg(unix)]
pub fn create_new_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(windows)]
pub use crate::owner_only::create_file as create_new_private;

fn refused(path: &Path, why: &str) -> io::Error {
    let what = format!("{} is not used: {why}", path.display());
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}

/// Whether a path may be a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

/// Opens a regular file without waiting for the other end of a pipe.
fn open_regular(options: &mut OpenOptions, path: &Path, links: Links) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let follow = if links == Links::Refused {
            nix::libc::O_NOFOLLOW
        } else {
            0
        };
        options.custom_flags(follow | nix::libc::O_NONBLOCK);
    }
    #[cfg(windows)]
    if links == Links::Refused {
        use std::os::windows::fs::OpenOptionsExt;
        use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OPEN_REPARSE_POINT;
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    }
    let file = options.open(path).map_err(|error| {
        #[cfg(unix)]
        if error.raw_os_error() == Some(nix::libc::ELOOP) {
            return refused(path, "it is a link");
        }
        error
    })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(refused(path, "it is no regular file"))
    }
}

#[cfg(unix)]
fn user() -> String {
    nix::unistd::getuid().to_string()
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(unix)]
fn check_owner(open: &File, path: &Path) -> io::Result<()> {
    is_of_this_user(&open.metadata()?, path)
}

#[cfg(unix)]
fn is_of_this_user(found: &fs::Metadata, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if found.uid() == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    Err(refused(path, "it belongs to another user"))
}

#[cfg(unix)]
fn check_names(open: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if open.metadata()?.nlink() <= 1 {
        return Ok(());
    }
    Err(refused(path, "it is another file too (a hard link)"))
}

#[cfg(unix)]
fn check_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(refused(path, "it is no folder, or a link to one; remove it"));
    }
    is_of_this_user(&found, path)?;
    if found.mode() & 0o077 != 0 {
        let why = "others may look or write into it; remove it, and it is made anew";
        return Err(refused(path, why));
    }
    Ok(())
}

/// On Windows it is in the user's own profile.
#[cfg(windows)]
fn user() -> String {
    "user".to_owned()
}

#[cfg(windows)]
fn make_private(path: &Path) -> io::Result<()> {
    crate::owner_only::create_folder(path)
}

/// In a folder that only its owner can write to, nobody else can create names.
#[cfg(windows)]
fn check_names(_open: &File, _path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(windows)]
fn check_owner(open: &File, path: &Path) -> io::Result<()> {
    if crate::owner_only::is_ours(open)? {
        return Ok(());
    }
    Err(refused(path, "it belongs to another user"))
}

/// The access list that its owner has set decides who else can look into it.
#[cfg(windows)]
fn check_folder(path: &Path) -> io::Result<()> {
    use std::os::windows::fs::OpenOptionsExt;
    use windows_sys::Win32::Storage::FileSystem::{
        FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, READ_CONTROL,
    };
    let folder = OpenOptions::new()
        .access_mode(READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    if !fs::symlink_metadata(path)?.is_dir() {
        return Err(refused(path, "it is no folder, or a link to one; remove it"));
    }
    check_owner(&folder, path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_folder_is_ours_only_if_it_is_closed_to_others_and_no_link() {
        let parent = tempfile::tempdir().unwrap();
        let ours = parent.path().join("ours");
        make_private(&ours).unwrap();
        check_folder(&ours).unwrap();
        let link = parent.path().join("link");
        symlink(&ours, &link).unwrap();
        assert!(check_folder(&link).unwrap_err().to_string().contains("a link"));
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(
            check_folder(&ours)
                .unwrap_err()
                .to_string()
                .contains("others may")
        );
    }

    #[test]
    fn of_apps_that_are_gone_the_newest_logs_are_kept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = RuntimeDir {
            path: folder.path().to_owned(),
        };
        let gone = |number: u32| (u32::MAX >> 1) - number;
        let ours = std::process::id();
        let time = |second| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        for number in 0..15 {
            for rest in ["heartbeat.jsonl", "heartbeat.jsonl.1", "9.tmp"] {
                let file = File::create(folder.path().join(format!("{}.{rest}", gone(number)))).unwrap();
                file.set_modified(time(1000 + u64::from(number))).unwrap();
            }
        }
        let live = folder.path().join(format!("{ours}.heartbeat.jsonl"));
        File::create(&live).unwrap().set_modified(time(1)).unwrap();
        fs::write(folder.path().join("somebody.else"), "").unwrap();
        for (name, pid) in [("run-gone.json", gone(0)), ("run-live.json", ours)] {
            let pointer = RunPointer {
                schema: crate::wire::RUN_POINTER_SCHEMA.to_owned(),
                process: ProcessId::unverified(pid),
                folder: "/runs".to_owned(),
            };
            fs::write(folder.path().join(name), serde_json::to_vec(&pointer).unwrap()).unwrap();
        }
        runtime.sweep();
        let mut expected = vec![
            live,
            folder.path().join("somebody.else"),
            folder.path().join("run-live.json"),
        ];
        for number in 5..15 {
            for rest in ["heartbeat.jsonl", "heartbeat.jsonl.1"] {
                expected.push(folder.path().join(format!("{}.{rest}", gone(number))));
            }
        }
        let mut found: Vec<_> = runtime.files().collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_link_or_a_pipe_is_neither_read_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        let link = folder.path().join("link");
        symlink(&target, &link).unwrap();
        assert!(append_to_ours(&link).is_err());
        assert!(read_ours(&link).is_err());
        assert_eq!(read(&link).unwrap(), b"precious", "somebody names it");
        let name = folder.path().join("second name");
        fs::hard_link(&target, &name).unwrap();
        assert!(append_to_ours(&name).is_err());
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(read_ours(&pipe).is_err(), "and it does not wait");
        assert!(read(&pipe).is_err());
        assert!(append_to_ours(&pipe).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
