//! Users, tokens and API keys: who is it that asks?
//!
//! Passwords are kept as bcrypt hashes, tokens and API keys as hashes of their text, so that what is
//! stored signs nobody in. Names without a password here are asked of a [`Backend`], such as a
//! password file ([`Htpasswd`]). Actions get tokens that are signed instead of stored
//! ([`ActionTokens`]): they cost no write and end with the action.

mod action_token;
mod api_key;
mod backend;
mod directory;
mod htpasswd;
mod md5_crypt;
pub mod rbac;
mod secret;
mod throttle;
pub mod users;

pub use action_token::{ActionTokens, Claims};
pub use backend::{Backend, Unavailable, Verdict};
pub use directory::{Directory, Error, Identity, Issued, Method, Settings};
pub use htpasswd::Htpasswd;
pub use secret::{fresh_password, fresh_token};
