//! Any bytes as a request: `cargo fuzz run request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| livegui::agent::fuzz::request(bytes));
