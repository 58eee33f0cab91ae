//! livegui keeps the results of a test suite trustworthy that drives one long-lived GUI process.
//!
//! An [`agent`] inside the app knows at once when the app is no longer fit to be tested. A [`harness`] on the other
//! side blames the right test, saves the other tests the time-out, and starts a fresh process for the next file.
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
//! Both sides share the schema in [`wire`]. Python is a shim over this crate (feature `python`).
// Allowed in `python`, and where Windows and macOS offer no safe form of a call.
#![deny(unsafe_code)]

pub mod agent;
pub mod audit;
pub mod batch;
pub mod cli;
pub mod command_error;
mod file_url;
mod files;
pub mod harness;
pub mod health;
mod http_head;
pub mod injection;
pub mod io_error;
#[cfg(windows)]
#[allow(unsafe_code, reason = "access lists have no safe form")]
mod owner_only;
mod process;
#[cfg(feature = "python")]
#[allow(unsafe_code, reason = "calls of the interpreter, and what pyo3's macros make")]
mod python;
pub mod report;
mod runtime_dir;
mod shell;
pub mod text;
pub mod top;
pub mod wire;
