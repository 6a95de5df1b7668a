//! Event sources: sensor processes, timers, and native sources.
