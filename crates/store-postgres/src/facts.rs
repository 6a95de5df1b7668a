//! What the decisions of a batch need, read ahead with one statement per kind.

use std::collections::HashSet;
use std::sync::Arc;

use squall_model::Lease;
use squall_store::codec::{self, Damage};
use squall_store::decide::{self, Fact, Facts, Key, Overlay};
use squall_store::{Error, Transaction};
use tokio_postgres::Row;

use crate::connect::Call;
use crate::read;
use crate::text::escape;

/// Nothing is left to look up once everything was read ahead.
pub(crate) struct ReadAhead;

impl Facts for ReadAhead {
    fn look_up(&mut self, key: &Key) -> Result<Fact, Error> {
        Err(Error::Unavailable(format!(
            "a decision asked for {key:?}, which was not read ahead"
        )))
    }
}

/// The keys that some transactions need, by the statement that reads them.
#[derive(Default)]
pub(crate) struct Wanted {
    kinds: [Vec<Key>; KINDS.len()],
}

type Decode = fn(&Row) -> Result<(Key, Fact), Damage>;

struct Kind {
    table: &'static str,
    sql: &'static str,
    decode: Decode,
}

/// One entry per variant of [`Key`], in the order of [`kind_of`].
const KINDS: [Kind; 11] = [
    Kind {
        table: "remembered",
        sql: "SELECT key, id, expires FROM remembered WHERE key = ANY($1::text[])",
        decode: |row| {
            let expires = codec::moment(read::get(row, 2)?)?;
            let id = read::id(row, 1)?;
            let key = Key::Remembered(Arc::from(read::text(row, 0)?));
            Ok((key, Fact::Remembered { id, expires }))
        },
    },
    Kind {
        table: "trigger_instance",
        sql: "SELECT id, \"trigger\", occurred, status, trace_tag, source_execution, body
              FROM trigger_instance WHERE id = ANY($1::bytea[])",
        decode: |row| {
            let instance = Arc::new(read::trigger_instance(row)?);
            Ok((
                Key::TriggerInstance(instance.id),
                Fact::TriggerInstance(instance),
            ))
        },
    },
    Kind {
        table: "enforcement",
        sql: "SELECT id FROM enforcement WHERE id = ANY($1::bytea[])",
        decode: |row| Ok((Key::Enforcement(read::id(row, 0)?), Fact::Exists)),
    },
    Kind {
        table: "enforcement",
        sql: "SELECT trigger_instance, rule FROM enforcement
              WHERE (trigger_instance, rule) IN (SELECT * FROM UNNEST($1::bytea[], $2::text[]))",
        decode: |row| {
            let rule = squall_model::RuleRef::parse(&read::text(row, 1)?);
            let rule = rule.map_err(|_| Damage::from("its rule is damaged"))?;
            Ok((Key::EnforcementOf(read::id(row, 0)?, rule), Fact::Exists))
        },
    },
    Kind {
        table: "execution",
        sql: "SELECT id, revision, status FROM execution WHERE id = ANY($1::bytea[])",
        decode: |row| {
            let status = read::get::<&str>(row, 2)?.parse();
            let fact = Fact::Execution {
                revision: read::get::<i64>(row, 1)?.cast_unsigned(),
                status: status.map_err(|_| Damage::from("its status is unknown"))?,
            };
            Ok((Key::Execution(read::id(row, 0)?), fact))
        },
    },
    Kind {
        table: "piece",
        sql: "SELECT wanted.id, (SELECT max(number) FROM piece WHERE execution = wanted.id)
              FROM UNNEST($1::bytea[]) AS wanted (id)",
        decode: |row| Ok((Key::Pieces(read::id(row, 0)?), next(row)?)),
    },
    Kind {
        table: "output",
        sql: "SELECT wanted.id, (SELECT max(number) FROM output WHERE execution = wanted.id)
              FROM UNNEST($1::bytea[]) AS wanted (id)",
        decode: |row| Ok((Key::Output(read::id(row, 0)?), next(row)?)),
    },
    Kind {
        table: "document",
        sql: "SELECT kind, key, id, pack, revision, changed, expires, body FROM document
              WHERE (kind, key) IN (SELECT * FROM UNNEST($1::text[], $2::text[]))",
        decode: |row| {
            let document = Arc::new(read::document(row)?);
            let key = Key::Document(document.kind, Arc::clone(&document.key));
            Ok((key, Fact::Document(document)))
        },
    },
    Kind {
        table: "document",
        sql: "SELECT kind, id, key FROM document
              WHERE (kind, id) IN (SELECT * FROM UNNEST($1::text[], $2::bytea[]))",
        decode: |row| {
            let kind = squall_model::DocumentKind::from_name(read::get(row, 0)?)
                .ok_or(Damage::from("its kind is unknown"))?;
            let fact = Fact::DocumentKey(Arc::from(read::text(row, 2)?));
            Ok((Key::DocumentId(kind, read::id(row, 1)?), fact))
        },
    },
    Kind {
        table: "lease",
        sql: "SELECT name, holder, until FROM lease WHERE name = ANY($1::text[])",
        decode: |row| {
            let fact = Fact::Lease {
                holder: Lease(read::get::<i64>(row, 1)?.cast_unsigned()),
                until: codec::moment(read::get(row, 2)?)?,
            };
            Ok((Key::Lease(Arc::from(read::text(row, 0)?)), fact))
        },
    },
    Kind {
        table: "server",
        sql: "SELECT lease, until FROM server WHERE lease = ANY($1::bigint[])",
        decode: |row| {
            let until = codec::moment(read::get(row, 1)?)?;
            let lease = Lease(read::get::<i64>(row, 0)?.cast_unsigned());
            Ok((Key::Server(lease), Fact::Server { until }))
        },
    },
];

fn next(row: &Row) -> Result<Fact, Damage> {
    let last = read::get::<Option<i64>>(row, 1)?;
    Ok(Fact::Next(last.map_or(0, |last| last.cast_unsigned() + 1)))
}

fn kind_of(key: &Key) -> usize {
    match key {
        Key::Remembered(_) => 0,
        Key::TriggerInstance(_) => 1,
        Key::Enforcement(_) => 2,
        Key::EnforcementOf(..) => 3,
        Key::Execution(_) => 4,
        Key::Pieces(_) => 5,
        Key::Output(_) => 6,
        Key::Document(..) => 7,
        Key::DocumentId(..) => 8,
        Key::Lease(_) => 9,
        Key::Server(_) => 10,
    }
}

impl Wanted {
    /// All keys that deciding the transactions may ask for.
    pub(crate) fn of<'a>(transactions: impl Iterator<Item = &'a Transaction>) -> Wanted {
        let (mut wanted, mut seen) = (Wanted::default(), HashSet::new());
        for command in transactions.flat_map(|transaction| &transaction.commands) {
            decide::keys(command, |key| {
                if seen.insert(key.clone()) {
                    wanted.kinds[kind_of(&key)].push(key);
                }
            });
        }
        wanted
    }

    fn asked(&self) -> impl Iterator<Item = (&Kind, &Vec<Key>)> {
        KINDS
            .iter()
            .zip(&self.kinds)
            .filter(|(_, keys)| !keys.is_empty())
    }

    /// The statements that read them.
    pub(crate) fn calls(&self) -> Vec<Call<'_>> {
        let calls = self.asked().map(|(kind, keys)| {
            let (mut texts, mut ids, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
            let mut text_first = true;
            for key in keys {
                match key {
                    Key::Remembered(text) | Key::Lease(text) => texts.push(escape(text)),
                    Key::TriggerInstance(id) => ids.push(id.to_bytes().to_vec()),
                    Key::Enforcement(id) => ids.push(id.to_bytes().to_vec()),
                    Key::Execution(id) | Key::Pieces(id) | Key::Output(id) => {
                        ids.push(id.to_bytes().to_vec());
                    }
                    Key::EnforcementOf(id, rule) => {
                        text_first = false;
                        ids.push(id.to_bytes().to_vec());
                        texts.push(escape(rule.as_str()));
                    }
                    Key::Document(of, key) => {
                        texts.push(escape(of.as_str()));
                        texts.push(escape(key));
                    }
                    Key::DocumentId(of, id) => {
                        texts.push(escape(of.as_str()));
                        ids.push(id.to_bytes().to_vec());
                    }
                    Key::Server(lease) => numbers.push(lease.0.cast_signed()),
                }
            }
            let mut parameters: Vec<crate::connect::Parameter<'_>> = Vec::new();
            if matches!(keys[0], Key::Document(..)) {
                let kinds: Vec<_> = texts.iter().step_by(2).cloned().collect();
                let names: Vec<_> = texts.iter().skip(1).step_by(2).cloned().collect();
                parameters.push(Box::new(kinds));
                parameters.push(Box::new(names));
            } else {
                if !texts.is_empty() {
                    parameters.push(Box::new(texts));
                }
                if !ids.is_empty() {
                    parameters.push(Box::new(ids));
                }
                if !numbers.is_empty() {
                    parameters.push(Box::new(numbers));
                }
                if !text_first {
                    parameters.reverse();
                }
            }
            Call {
                sql: kind.sql,
                parameters,
            }
        });
        calls.collect()
    }

    /// Enters what the statements gave. What they did not find is absent.
    ///
    /// A damaged row is not entered, so that the transactions that need it fail, and no others.
    pub(crate) fn enter(self, answers: &[Vec<Row>], overlay: &mut Overlay) {
        let mut found = Vec::new();
        let mut damaged = HashSet::new();
        for ((kind, _), rows) in self.asked().zip(answers) {
            for row in rows {
                match (kind.decode)(row) {
                    Ok(fact) => found.push(fact),
                    Err(damage) => {
                        let error = damage.of(kind.table, &"that a transaction needs");
                        tracing::error!(%error, "a transaction cannot be decided");
                        damaged.insert(kind.sql);
                    }
                }
            }
        }
        for (kind, keys) in KINDS.iter().zip(self.kinds) {
            for key in keys {
                if !damaged.contains(kind.sql) {
                    overlay.enter(key, Fact::Absent);
                }
            }
        }
        for (key, fact) in found {
            overlay.enter(key, fact);
        }
    }
}
