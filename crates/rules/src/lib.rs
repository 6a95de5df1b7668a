//! Criteria, and the index that finds the rules an event concerns.
