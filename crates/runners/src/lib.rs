//! The runner port, and one module per runner.
