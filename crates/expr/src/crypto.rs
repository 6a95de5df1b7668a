//! The ciphertext of StackStorm's datastore.
