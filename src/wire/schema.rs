//! The published form of the records: JSON Schema, made from the types themselves.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::{Discovery, EventLine, Health, JournalLine, RunRecord};

/// Of the answer of `/health`.
#[must_use]
pub fn health() -> Value {
    of::<Health>("livegui/health/1")
}

/// Of `run.json`.
#[must_use]
pub fn run() -> Value {
    of::<RunRecord>("livegui/run/1")
}

/// Of a line of `events.jsonl`.
#[must_use]
pub fn events() -> Value {
    of::<EventLine>("livegui/events/1")
}

/// Of a line of `heartbeat.jsonl`.
#[must_use]
pub fn journal() -> Value {
    of::<JournalLine>("livegui/journal/1")
}

/// Of a discovery file.
#[must_use]
pub fn agent() -> Value {
    of::<Discovery>("livegui/agent/1")
}

/// Of what is written; readers are to pass over properties that they do not know.
fn of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), Value::from(title));
    schema.to_value()
}
