//! Project tasks and checks.
fn main() {}
