//! Parameters: types, defaults, casts, validation, secret masking.
