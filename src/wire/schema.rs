//! The published form of the records: JSON Schema, generated from the types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::{Discovery, EventLine, Health, JournalLine, RunRecord};

/// The schema of the answer of `/health`.
#[must_use]
pub fn health() -> Value {
    of::<Health>("livegui/health/1")
}

/// The schema of `run.json`.
#[must_use]
pub fn run() -> Value {
    of::<RunRecord>("livegui/run/1")
}

/// The schema of a line of `events.jsonl`.
#[must_use]
pub fn events() -> Value {
    of::<EventLine>("livegui/events/1")
}

/// The schema of a line of `heartbeat.jsonl`.
#[must_use]
pub fn journal() -> Value {
    of::<JournalLine>("livegui/journal/1")
}

/// The schema of a discovery file.
#[must_use]
pub fn agent() -> Value {
    of::<Discovery>("livegui/agent/1")
}

/// The schema of what is written. Readers must ignore properties that they do not know.
fn of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), Value::from(title));
    schema.to_value()
}
