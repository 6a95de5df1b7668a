//! The JSON that clients see, and the conversion from and to the model.
