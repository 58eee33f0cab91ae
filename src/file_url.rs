//! Paths as `file://` URLs, and as text that can be read back.

use std::path::{Component, Path, PathBuf, Prefix};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What a part of a path cannot have in a URL.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const SCHEME: &str = "file://";

/// The URL of an absolute path.
#[must_use]
pub fn file_url(path: &Path) -> String {
    let mut host = String::new();
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            // Browsers need a drive without encoding, and a server as the host.
            Component::Prefix(prefix) => match prefix.kind() {
                Prefix::Disk(drive) | Prefix::VerbatimDisk(drive) => {
                    parts.push(format!("{}:", char::from(drive)));
                }
                Prefix::UNC(server, share) | Prefix::VerbatimUNC(server, share) => {
                    host = server.to_string_lossy().into_owned();
                    parts.push(encode(share.as_encoded_bytes()));
                }
                _ => parts.push(encode_part(part)),
            },
            Component::RootDir => {}
            part => parts.push(encode_part(part)),
        }
    }
    format!("{SCHEME}{host}/{}", parts.join("/"))
}

/// Percent-encodes one part of a path.
#[must_use]
pub fn encode_part(part: Component<'_>) -> String {
    encode(part.as_os_str().as_encoded_bytes())
}

fn encode(part: &[u8]) -> String {
    percent_encode(part, &ESCAPED).to_string()
}

/// An absolute path as text for [`text_path`], which reads it back. It is the path itself. Only if that is no text,
/// which a path on Unix need not be, it is its URL.
#[must_use]
pub fn path_text(path: &Path) -> String {
    match path.to_str() {
        None if cfg!(unix) => file_url(path),
        _ => path.display().to_string(),
    }
}

/// The path that [`path_text`] has written.
#[must_use]
pub fn text_path(text: &str) -> PathBuf {
    #[cfg(unix)]
    if let Some(encoded) = text.strip_prefix(SCHEME) {
        use std::os::unix::ffi::OsStringExt;
        let bytes = percent_encoding::percent_decode_str(encoded).collect();
        return std::ffi::OsString::from_vec(bytes).into();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_path_is_a_url() {
        assert_eq!(file_url(Path::new("/a b/ü#")), "file:///a%20b/%C3%BC%23");
    }

    #[cfg(windows)]
    #[test]
    fn a_path_on_a_drive_or_a_server_is_a_url() {
        let drive = "file:///C:/a%20b/%C3%BC%23";
        assert_eq!(file_url(Path::new("C:\\a b\\ü#")), drive);
        assert_eq!(file_url(Path::new("\\\\?\\C:\\a b\\ü#")), drive);
        assert_eq!(
            file_url(Path::new("\\\\server\\it s\\x")),
            "file://server/it%20s/x"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_path_is_read_back_from_its_text_whatever_its_bytes_are() {
        use std::os::unix::ffi::OsStrExt;
        for bytes in [&b"/plain/caf\xc3\xa9 50%"[..], b"/no text/caf\xe9/%41 b"] {
            let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
            assert_eq!(text_path(&path_text(path)), path);
        }
        assert_eq!(path_text(Path::new("/plain/50%")), "/plain/50%");
    }
}
