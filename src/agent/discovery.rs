//! The discovery file: how somebody outside finds the endpoint and is let in.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::replace;
use crate::process::{Liveness, ProcessId};
use crate::runtime_dir::{RuntimeDir, create_new_private, read_ours};
use crate::wire::{DISCOVERY_FILE, Discovery};

/// A discovery file that is taken away again when its agent stops.
#[derive(Debug)]
pub struct DiscoveryFile {
    path: PathBuf,
    instance: String,
}

impl DiscoveryFile {
    /// Writes `what` as `agent.json` into `run_dir`, or as `<pid>.json` into the user's runtime folder;
    /// as `<pid>.json` into `run_dir` too if another process that lives has its `agent.json` there: a
    /// helper that the app started with its own environment is not the app. The file appears whole, and
    /// only its owner can read it: it holds the token.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made or written.
    pub fn write(what: &Discovery, run_dir: Option<&Path>) -> Result<Self> {
        let own = format!("{}.json", what.pid);
        let (folder, name) = match run_dir {
            Some(folder) if is_taken(&folder.join(DISCOVERY_FILE), what.pid) => (folder.to_owned(), own),
            Some(folder) => (folder.to_owned(), DISCOVERY_FILE.to_owned()),
            None => (RuntimeDir::path_of_user(), own),
        };
        let path = folder.join(name);
        let doing = format!("write the discovery file {}", path.display());
        let write = || -> io::Result<()> {
            match run_dir {
                Some(folder) => make_private_folder(folder)?,
                None => drop(RuntimeDir::make()?),
            }
            let draft = path.with_extension(format!("{}.tmp", what.pid));
            // An older draft may have other rights, or be a link.
            let _ = fs::remove_file(&draft);
            let mut file = create_new_private(&draft)?;
            serde_json::to_writer(&mut file, what)?;
            file.write_all(b"\n")?;
            drop(file);
            replace(&draft, &path)
        };
        write().map_err(Error::io(doing))?;
        Ok(Self {
            path,
            instance: what.instance.clone(),
        })
    }
}

impl Drop for DiscoveryFile {
    fn drop(&mut self) {
        // It may be gone already, with its folder, or be another agent's by now.
        if read(&self.path).is_some_and(|found| found.instance == self.instance) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Option<Discovery> {
    serde_json::from_slice(&read_ours(path).ok()?).ok()
}

/// Whether the file there is that of another process that lives.
fn is_taken(path: &Path, pid: u32) -> bool {
    read(path).is_some_and(|found| {
        let process = found.process.unwrap_or_else(|| ProcessId::unverified(found.pid));
        found.pid != pid && process.liveness() != Liveness::Gone
    })
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The folders above it are made as any are.
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
