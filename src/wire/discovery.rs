//! Where an agent is: the schema `livegui/agent/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process_id::ProcessId;

/// The discovery file: where the endpoint is and how to be let in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discovery {
    /// `livegui/agent/1`.
    pub schema: String,
    /// The app's process.
    pub pid: u32,
    /// The same process, for good; null in the file of an older version.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// Another one after the process re-executed itself; null where that cannot be told.
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
