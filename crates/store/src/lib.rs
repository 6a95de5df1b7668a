//! The port to durable state: commands, leases, change feed; contract tests; the in-memory implementation.
