//! What StackStorm's functions do, apart from either language.

pub(crate) mod json;
pub(crate) mod jsonpath;
pub(crate) mod time;
pub(crate) mod version;
pub(crate) mod yaml;
