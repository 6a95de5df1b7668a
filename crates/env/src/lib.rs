//! Clock, sleeping, fresh ids and randomness: the real ones and fakes.
