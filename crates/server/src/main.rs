//! The binary `squall`: configuration, wiring, shutdown; no logic.
fn main() {}
