//! The engine on a virtual clock and a faulty store, from one seed.
