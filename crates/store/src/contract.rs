//! What every implementation of the port has to keep, as tests.
