//! HTTP: REST, stream, webhooks, catalogue.
