//! livegui keeps a test suite that drives one long-lived GUI process honest and alive.
//!
//! An [`agent`] inside the app knows at once when the app is no longer fit to be tested; a
//! [`harness`] on the other side blames the right test, spares the others the time-out, and puts a
//! fresh process under the next file.
//!
//! ```text
//!        the app's process                                  pytest's process
//!  ┌──────────────────────────────┐                 ┌─────────────────────────────────┐
//!  │ main loop ─ beat() ─▶ agent  │  loopback HTTP  │ harness ─▶ policy ─▶ fresh app  │
//!  │ pools, threads ─────▶  │     │ ◀── long poll ──│   │ watch, alarm                │
//!  │                        ▼     │                 │   ▼                             │
//!  │                 health (pure)│                 │ running test fails at once      │
//!  └──────────────────────────────┘                 └─────────────────────────────────┘
//! ```
//!
//! Both sides share [`wire`], the one schema. Python is a shim over this crate (feature `python`).
// Elsewhere the start of a process is known only to calls that have no safe form.
#![cfg_attr(all(not(feature = "python"), target_os = "linux"), forbid(unsafe_code))]

pub mod agent;
pub mod audit;
pub mod batch;
pub mod cli;
pub mod error;
mod files;
pub mod harness;
pub mod health;
mod http_head;
pub mod injection;
#[cfg(windows)]
mod owner_only;
mod process;
#[cfg(feature = "python")]
mod python;
pub mod report;
mod runtime_dir;
mod shell;
pub mod text;
pub mod top;
pub mod wire;
