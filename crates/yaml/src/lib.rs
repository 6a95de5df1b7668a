//! YAML 1.1 as PyYAML reads it, with a position on every value.
