//! What an app writes to standard output and standard error: files, of which the head and the tail are kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::{Error, Result};

/// How many bytes of each output are kept by default.
pub const DEFAULT_LIMIT: u64 = 16 * 1024 * 1024;

/// The smallest limit: as much as an error message shows.
const SMALLEST: u64 = 4 * 1024;

/// Parses `live_gui_output_limit`: bytes, or for example `500K`, `16M`, `1G`.
///
/// # Errors
/// [`Error::BadValue`] names the value, and what is valid.
pub fn parse(text: &str) -> Result<u64> {
    let text = text.trim();
    let (digits, unit) = match text.chars().last() {
        Some('k' | 'K') => (&text[..text.len() - 1], 1 << 10),
        Some('m' | 'M') => (&text[..text.len() - 1], 1 << 20),
        Some('g' | 'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let bytes = digits
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes >= SMALLEST).ok_or_else(|| {
        Error::BadValue(format!(
            "live_gui_output_limit = {text}: expected bytes, 4K or more, as in 500K, 16M or 1G"
        ))
    })
}

/// The outputs of one process.
#[derive(Debug)]
pub struct Outputs {
    folder: PathBuf,
    limit: u64,
    files: Mutex<Vec<Output>>,
}

#[derive(Debug)]
struct Output {
    path: PathBuf,
    /// How many bytes were cut out of it.
    cut: u64,
    /// The length of the line that says so.
    marker: usize,
}

impl Outputs {
    /// Files in `folder`, each of roughly `limit` bytes at most.
    pub fn new(folder: &Path, limit: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            limit,
            files: Mutex::default(),
        }
    }

    /// Creates a file for a process to write to. A writer always appends at the end, wherever that is by then.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let path = self.folder.join(name);
        File::create(&path)?;
        let file = OpenOptions::new().append(true).open(&path)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push(Output {
            path,
            cut: 0,
            marker: 0,
        });
        Ok(file)
    }

    /// Cuts the middle out of files that have grown beyond the limit. What is written at this very moment may be
    /// lost.
    pub fn trim(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for file in files.iter_mut() {
            // An output that cannot be cut must not fail a test.
            let _ = file.trim(self.limit);
        }
    }
}

impl Output {
    fn trim(&mut self, limit: u64) -> io::Result<()> {
        if std::fs::metadata(&self.path)?.len() <= limit {
            return Ok(());
        }
        let mut file = OpenOptions::new().read(true).append(true).open(&self.path)?;
        let length = file.metadata()?.len();
        // Together less than the limit, so that this does not happen again with each line.
        let (head, tail) = (limit / 2, limit / 4);
        let mut kept = Vec::new();
        file.seek(SeekFrom::Start(length.saturating_sub(tail)))?;
        // Its end may move faster than it is read.
        (&file).take(2 * tail).read_to_end(&mut kept)?;
        let length = file.metadata()?.len().max(length);
        self.cut += (length - head).saturating_sub(kept.len() as u64 + self.marker as u64);
        let marker = format!("\n[livegui: {} bytes were cut out here]\n", self.cut);
        self.marker = marker.len();
        file.set_len(head)?;
        file.write_all(&[marker.as_bytes(), &kept].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_with_its_unit() {
        assert_eq!(parse("16M").unwrap(), DEFAULT_LIMIT);
        assert_eq!(parse("8192").unwrap(), 8192);
        for bad in ["", "16MB", "-1", "1", "99999999999G"] {
            assert!(
                parse(bad)
                    .unwrap_err()
                    .to_string()
                    .contains("live_gui_output_limit")
            );
        }
    }

    #[test]
    fn the_head_and_the_tail_are_kept_and_what_was_cut_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(folder.path(), 1000);
        let mut file = outputs.create("out").unwrap();
        file.write_all(b"the head\n").unwrap();
        for _ in 0..100 {
            file.write_all(&[b'x'; 150]).unwrap();
            outputs.trim();
        }
        file.write_all(b"the tail\n").unwrap();
        let text = std::fs::read_to_string(folder.path().join("out")).unwrap();
        assert!(text.len() < 1000, "{}", text.len());
        assert!(text.starts_with("the head\n") && text.ends_with("the tail\n"));
        let (_, rest) = text.split_once("[livegui: ").unwrap();
        let cut: usize = rest.split(' ').next().unwrap().parse().unwrap();
        let marker = format!("\n[livegui: {cut} bytes were cut out here]\n").len();
        assert_eq!(cut + text.len() - marker, 18 + 15_000);
        assert_eq!(text.matches("[livegui: ").count(), 1);
    }
}
