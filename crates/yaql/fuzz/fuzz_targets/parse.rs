//! Any text parses or fails with a position inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squall_yaql::{Engine, Options};

fuzz_target!(|text: &str| {
    let engine = Engine::new(Options {
        delegates: true,
        ..Options::default()
    });
    if let Err(error) = engine.parse(text)
        && let Some(position) = error.position
    {
        assert!(position <= text.chars().count());
    }
});
