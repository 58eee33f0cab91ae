//! Reads the text files in Linux' `/proc`.

use std::fs;
use std::io;
use std::path::Path;

/// The text of such a file. Many of them contain a process's name, which need not be UTF-8: the system cuts it after
/// 15 bytes, also in the middle of a character.
pub fn proc_text(path: impl AsRef<Path>) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}
