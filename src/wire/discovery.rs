//! Where an agent can be reached: the schema `livegui/agent/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process_id::ProcessId;

/// The discovery file: the endpoint's address and token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discovery {
    /// `livegui/agent/1`.
    pub schema: String,
    /// The app's process.
    pub pid: u32,
    /// The process by an identity that is never reused; null in the file of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Identifies the program; it changes when the process re-executes itself; null if that cannot be told.
    #[serde(default)]
    pub program: Option<u64>,
    /// As in `instance` in `/health`.
    pub instance: String,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// For `Authorization: Bearer`.
    pub token: String,
    /// Where the journal is, if one is kept.
    pub journal: Option<String>,
}
