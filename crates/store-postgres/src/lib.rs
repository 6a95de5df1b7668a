//! The store for many nodes: PostgreSQL in batches.
