//! livegui keeps a test suite that drives one long-lived GUI process honest and alive.
#![cfg_attr(not(feature = "python"), forbid(unsafe_code))]

pub mod agent;
pub mod error;
pub mod harness;
pub mod health;
#[cfg(feature = "python")]
mod python;
pub mod wire;
