//! The stages: the only place where logic meets ports.
