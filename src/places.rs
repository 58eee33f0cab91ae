//! Where both sides look for what they leave each other.

use std::path::PathBuf;

/// Where the agents of this user leave their discovery files if no run folder is named.
#[must_use]
pub fn runtime_folder() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set("XDG_RUNTIME_DIR").or_else(|| set("LOCALAPPDATA")) {
        return folder.join("livegui");
    }
    std::env::temp_dir().join(format!("livegui-{}", user()))
}

#[cfg(unix)]
fn user() -> String {
    nix::unistd::getuid().to_string()
}

#[cfg(not(unix))]
fn user() -> String {
    "user".to_owned()
}
