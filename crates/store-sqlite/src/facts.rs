//! What is stored, for the one who decides.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use squall_model::{Document, DocumentKind, Lease, RawId};
use squall_store::Error;
use squall_store::codec::{self, Damage};
use squall_store::decide::{Fact, Facts, Key};

use crate::open::describe;
use crate::read;

/// The stored facts as the writer's connection sees them.
pub(crate) struct Stored<'a>(pub(crate) &'a Connection);

impl Stored<'_> {
    fn row<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let fail = |error: rusqlite::Error| describe(&error);
        let mut statement = self.0.prepare_cached(sql).map_err(fail)?;
        let mut rows = statement.query(parameters).map_err(fail)?;
        rows.next().map_err(fail)?.map(read).transpose()
    }

    fn number(&self, sql: &str, id: [u8; 12]) -> Result<Fact, Error> {
        let mut statement = self
            .0
            .prepare_cached(sql)
            .map_err(|error| describe(&error))?;
        let last: Option<i64> = statement
            .query_row([id], |row| row.get(0))
            .optional()
            .map_err(|error| describe(&error))?;
        Ok(Fact::Next(last.map_or(0, |last| last.cast_unsigned() + 1)))
    }
}

impl Facts for Stored<'_> {
    fn look_up(&mut self, key: &Key) -> Result<Fact, Error> {
        let fact = match key {
            Key::Remembered(key) => self.row(
                "SELECT id, expires FROM remembered WHERE key = ?1",
                [&**key],
                |row| {
                    let fact = || {
                        Ok::<_, Damage>(Fact::Remembered {
                            id: read::id(row, 0)?,
                            expires: codec::moment(read::integer(row, 1)?)?,
                        })
                    };
                    fact().map_err(|damage| damage.of("remembered", key))
                },
            )?,
            Key::TriggerInstance(id) => {
                self.row(read::TRIGGER_INSTANCE_BY_ID, [id.to_bytes()], |row| {
                    let instance = read::trigger_instance(row);
                    let instance = instance.map_err(|damage| damage.of("trigger_instance", id))?;
                    Ok(Fact::TriggerInstance(Arc::new(instance)))
                })?
            }
            Key::Enforcement(id) => {
                self.exists("SELECT 1 FROM enforcement WHERE id = ?1", [id.to_bytes()])?
            }
            Key::EnforcementOf(instance, rule) => self.exists(
                "SELECT 1 FROM enforcement WHERE trigger_instance = ?1 AND rule = ?2",
                (instance.to_bytes(), rule.as_str()),
            )?,
            Key::Execution(id) => self.row(
                "SELECT revision, status FROM execution WHERE id = ?1",
                [id.to_bytes()],
                |row| {
                    let fact = || {
                        Ok::<_, Damage>(Fact::Execution {
                            revision: read::integer(row, 0)?.cast_unsigned(),
                            status: read::text(row, 1)?
                                .parse()
                                .map_err(|_| Damage::from("its status is unknown"))?,
                        })
                    };
                    fact().map_err(|damage| damage.of("execution", id))
                },
            )?,
            Key::Pieces(id) => Some(self.number(
                "SELECT number FROM piece WHERE execution = ?1 ORDER BY number DESC LIMIT 1",
                id.to_bytes(),
            )?),
            Key::Output(id) => Some(self.number(
                "SELECT number FROM output WHERE execution = ?1 ORDER BY number DESC LIMIT 1",
                id.to_bytes(),
            )?),
            Key::Document(kind, key) => self.document(*kind, key)?,
            Key::DocumentId(kind, id) => self.document_key(*kind, *id)?,
            Key::Lease(name) => self.lease(name)?,
            Key::Server(lease) => self.row(
                "SELECT until FROM server WHERE lease = ?1",
                [lease.0.cast_signed()],
                |row| {
                    let until = read::integer(row, 0).and_then(codec::moment);
                    let until = until.map_err(|damage| damage.of("server", &lease.0))?;
                    Ok(Fact::Server { until })
                },
            )?,
        };
        Ok(fact.unwrap_or(Fact::Absent))
    }
}

impl Stored<'_> {
    fn exists(&self, sql: &str, key: impl rusqlite::Params) -> Result<Option<Fact>, Error> {
        self.row(sql, key, |_| Ok(Fact::Exists))
    }

    fn lease(&self, name: &str) -> Result<Option<Fact>, Error> {
        self.row(
            "SELECT holder, until FROM lease WHERE name = ?1",
            [name],
            |row| {
                let fact = || {
                    Ok::<_, Damage>(Fact::Lease {
                        holder: Lease(read::integer(row, 0)?.cast_unsigned()),
                        until: codec::moment(read::integer(row, 1)?)?,
                    })
                };
                fact().map_err(|damage| damage.of("lease", &name))
            },
        )
    }

    fn document(&self, kind: DocumentKind, key: &str) -> Result<Option<Fact>, Error> {
        self.row(read::DOCUMENT_BY_KEY, (kind.as_str(), key), |row| {
            let document: Result<Document, Damage> = read::document(row);
            let id = format!("{} {key}", kind.as_str());
            let document = document.map_err(|damage| damage.of("document", &id))?;
            Ok(Fact::Document(Arc::new(document)))
        })
    }

    fn document_key(&self, kind: DocumentKind, id: RawId) -> Result<Option<Fact>, Error> {
        let sql = "SELECT key FROM document WHERE kind = ?1 AND id = ?2";
        self.row(sql, (kind.as_str(), id.to_bytes()), |row| {
            let key = read::text(row, 0).map_err(|damage| damage.of("document", &id))?;
            Ok(Fact::DocumentKey(Arc::from(key)))
        })
    }
}
