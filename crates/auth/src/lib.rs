//! Users, tokens, API keys, roles.
