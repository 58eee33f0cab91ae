//! The discovery file, from which other programs learn the endpoint's address and token.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::Result;
use crate::files::replace;
use crate::io_error::cannot;
use crate::process::Liveness;
use crate::runtime_dir::{RuntimeDir, create_new_private, read_ours};
use crate::wire::{DISCOVERY_FILE, Discovery};

/// Where an agent without a run folder puts its files.
#[derive(Debug, Default)]
pub struct Place {
    /// `None` if there is no place for them at all.
    pub folder: Option<RuntimeDir>,
    /// Why this is not the user's runtime folder, if it is not.
    pub remark: String,
}

impl Place {
    /// The user's runtime folder. If that cannot be used, a folder that only this app knows. An app must start
    /// whatever another user may have planted there.
    pub fn find() -> Self {
        let why = match RuntimeDir::make() {
            Ok(folder) => {
                folder.sweep();
                return Self {
                    folder: Some(folder),
                    remark: String::new(),
                };
            }
            Err(why) => why,
        };
        match RuntimeDir::make_private() {
            Ok(folder) => Self {
                remark: format!("{why}; {} is used instead", folder.path().display()),
                folder: Some(folder),
            },
            Err(error) => Self {
                folder: None,
                remark: format!("{why}; nor is there another place: {error}"),
            },
        }
    }

    /// The same path in this folder, if it was in a runtime folder that is not used.
    pub fn moved(&self, path: &Path) -> PathBuf {
        match (&self.folder, path.file_name()) {
            (Some(folder), Some(name)) if path.parent() == Some(&RuntimeDir::path_of_user()) => {
                folder.path().join(name)
            }
            _ => path.to_owned(),
        }
    }
}

/// A discovery file, which is deleted when its agent stops.
#[derive(Debug)]
pub struct DiscoveryFile {
    path: PathBuf,
    instance: String,
    /// A folder that exists only for this file.
    alone_in: Option<PathBuf>,
}

impl DiscoveryFile {
    /// Writes `what` as `agent.json` into `run_dir`, or as `<pid>.json` into `place`, if there is one. If `run_dir`
    /// already has the `agent.json` of another live process, writes `<pid>.json` there, because a helper that the
    /// app started with its own environment is not the app. The file appears as a whole, and only its owner can
    /// read it, because it contains the token.
    ///
    /// # Errors
    /// [`Error::Io`](super::error::Error::Io) if the folder cannot be created or written.
    pub fn write(what: &Discovery, run_dir: Option<&Path>, place: &Place) -> Result<Option<Self>> {
        let own = format!("{}.json", what.pid);
        let (folder, name) = match (run_dir, &place.folder) {
            (Some(folder), _) if agent_in(folder).is_some_and(|pid| pid != what.pid) => (folder, own),
            (Some(folder), _) => (folder, DISCOVERY_FILE.to_owned()),
            (None, Some(folder)) => (folder.path(), own),
            (None, None) => return Ok(None),
        };
        let path = folder.join(name);
        let doing = format!("write the discovery file {}", path.display());
        let write = || -> io::Result<()> {
            run_dir.map_or(Ok(()), make_private_folder)?;
            let draft = path.with_extension(format!("{}.tmp", what.pid));
            // An older draft may have other permissions, or be a link.
            let _ = fs::remove_file(&draft);
            let mut file = create_new_private(&draft)?;
            serde_json::to_writer(&mut file, what)?;
            file.write_all(b"\n")?;
            drop(file);
            replace(&draft, &path)
        };
        write().map_err(cannot(doing))?;
        Ok(Some(Self {
            path,
            instance: what.instance.clone(),
            alone_in: (run_dir.is_none() && !place.remark.is_empty()).then(|| folder.to_owned()),
        }))
    }
}

impl Drop for DiscoveryFile {
    fn drop(&mut self) {
        // It may be gone already, with its folder, or belong to another agent by now.
        if read(&self.path).is_some_and(|found| found.instance == self.instance) {
            let _ = fs::remove_file(&self.path);
        }
        // The folder was made for this file; it stays if it has a journal in it.
        if let Some(folder) = self.alone_in.take() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn read(path: &Path) -> Option<Discovery> {
    serde_json::from_slice(&read_ours(path).ok()?).ok()
}

/// The process that has the agent of a run folder, unless it is gone.
#[must_use]
pub fn agent_in(run_dir: &Path) -> Option<u32> {
    read(&run_dir.join(DISCOVERY_FILE))
        .filter(|found| found.process_id().liveness() != Liveness::Gone)
        .map(|found| found.pid)
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Creates the folders above it like any others.
#[cfg(windows)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    crate::owner_only::create_folder(folder)
}
