//! Which migrations a database still needs: the same rules for every SQL back end.
//!
//! Migrations are numbered texts of SQL that only ever go forward. A database keeps the number and
//! the checksum of each that it has seen, so that a text that was changed after the fact, or a
//! database of a newer program, is noticed before anything is written.

use crate::Error;

/// One step of a schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number: 1, 2, 3, …
    pub number: u32,
    /// What it does, for people.
    pub name: &'static str,
    /// The SQL.
    pub sql: &'static str,
}

impl Migration {
    /// The checksum of the text.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        crc32fast::hash(self.sql.as_bytes())
    }
}

/// The migrations that are still to be carried out. `applied` holds number and checksum of those
/// that were, in order.
///
/// # Errors
///
/// [`Error::Unusable`] when the database is newer than the program, or was made by another text.
pub fn pending<'a>(
    known: &'a [Migration],
    applied: &[(u32, u32)],
) -> Result<&'a [Migration], Error> {
    if applied.len() > known.len() {
        return Err(Error::Unusable(format!(
            "its schema has version {}, and this program knows versions up to {}: start the newer \
             program, or restore a backup",
            applied.len(),
            known.len()
        )));
    }
    for (migration, (number, checksum)) in known.iter().zip(applied) {
        if migration.number != *number || migration.checksum() != *checksum {
            return Err(Error::Unusable(format!(
                "version {number} of its schema was made by another program than this one"
            )));
        }
    }
    Ok(&known[applied.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 2] = [
        Migration {
            number: 1,
            name: "first",
            sql: "CREATE TABLE a (b)",
        },
        Migration {
            number: 2,
            name: "second",
            sql: "CREATE TABLE c (d)",
        },
    ];

    #[track_caller]
    fn check(applied: &[(u32, u32)], expect: &str) {
        let got = match pending(&KNOWN, applied) {
            Ok(left) => format!(
                "{:?}",
                left.iter().map(|one| one.number).collect::<Vec<_>>()
            ),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn only_forward() {
        let [first, second] = KNOWN.map(|one| (one.number, one.checksum()));
        check(&[], "[1, 2]");
        check(&[first], "[2]");
        check(&[first, second], "[]");
        check(
            &[first, second, (3, 0)],
            "the store cannot be used: its schema has version 3, and this program knows versions \
             up to 2: start the newer program, or restore a backup",
        );
        check(
            &[(1, 5)],
            "the store cannot be used: version 1 of its schema was made by another program than \
             this one",
        );
    }
}
