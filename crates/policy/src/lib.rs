//! Admit, delay, retry, concurrency: every scheduling decision.
