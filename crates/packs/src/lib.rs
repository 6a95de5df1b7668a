//! A pack directory: its text to definitions and diagnostics.
