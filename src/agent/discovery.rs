//! The discovery file: how somebody outside finds the endpoint and is let in.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::places::runtime_folder;
use crate::wire::{DISCOVERY_FILE, Discovery};

/// A discovery file that is taken away again when its agent stops.
#[derive(Debug)]
pub struct DiscoveryFile {
    path: PathBuf,
}

impl DiscoveryFile {
    /// Writes `what` as `agent.json` into `run_dir`, or as `<pid>.json` into the user's runtime
    /// folder. The file appears whole, and only its owner can read it: it holds the token.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made or written.
    pub fn write(what: &Discovery, run_dir: Option<&Path>) -> Result<Self> {
        let path = match run_dir {
            Some(folder) => folder.join(DISCOVERY_FILE),
            None => runtime_folder().join(format!("{}.json", what.pid)),
        };
        let doing = format!("write the discovery file {}", path.display());
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            private_folder(folder)?;
            let draft = path.with_extension(format!("{}.tmp", what.pid));
            let mut file = private_file(&draft)?;
            serde_json::to_writer(&mut file, what)?;
            file.write_all(b"\n")?;
            drop(file);
            fs::rename(&draft, &path)
        };
        write().map_err(Error::io(doing))?;
        Ok(Self { path })
    }
}

impl Drop for DiscoveryFile {
    fn drop(&mut self) {
        // It may be gone already, with its folder; then there is nothing left to do.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // In a shared temporary folder somebody else may have made it first.
    if fs::metadata(folder)?.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the folder belongs to another user",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
        // An older draft may have other rights, or be a link.
        let _ = fs::remove_file(path);
        options.create_new(true);
    }
    options.open(path)
}
