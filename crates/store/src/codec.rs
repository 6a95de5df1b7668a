//! How the SQL stores write records as text, and read them again.
