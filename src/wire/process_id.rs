//! The identity of a process, which is more than its number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Identifies a process for ever. Its number alone may later belong to another process, and a time of the wall
/// clock changes when the clock is set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it was started, in the system's own unit (ticks since the boot on Linux, microseconds on macOS, the
    /// creation FILETIME on Windows); null if that could not be seen.
    pub start: Option<u64>,
    /// The id of the boot on Linux; empty elsewhere.
    #[serde(default)]
    pub boot: String,
    /// The PID namespace in which the number and the start are valid, on Linux; empty elsewhere.
    #[serde(default)]
    pub namespace: String,
    /// The machine: its name, and what distinguishes it from others of that name. Empty if nothing does.
    #[serde(default)]
    pub host: String,
}
