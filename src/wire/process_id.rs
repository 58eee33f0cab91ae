//! Which process: for good, not by its number alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names a process for good: a number alone comes to stand for another one, and a time on the wall clock is
/// another one after that was set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When the system says it was started, in the system's own unit (ticks since the boot on Linux,
    /// microseconds on macOS, the creation FILETIME on Windows); null if that could not be seen.
    pub start: Option<u64>,
    /// The id of the boot on Linux; empty elsewhere.
    #[serde(default)]
    pub boot: String,
    /// Within which the number and the start mean something, on Linux; empty elsewhere.
    #[serde(default)]
    pub namespace: String,
    /// The machine: its name, and what tells it from others of that name. Empty where nothing does.
    #[serde(default)]
    pub host: String,
}
