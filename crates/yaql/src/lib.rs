//! The YAQL query language: parse once, evaluate many times, within limits.
