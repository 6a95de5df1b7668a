//! Ids, references, definitions, states and their transitions.
