//! Connections: the URL, errors for people, prepared statements, the schema.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use squall_store::Error;
use squall_store::migrate::{self, Migration};
use tokio::sync::{Mutex, watch};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, Statement};

const MIGRATIONS: [Migration; 6] = [
    Migration {
        number: 1,
        name: "initial",
        sql: include_str!("schema/0001_initial.sql"),
    },
    Migration {
        number: 2,
        name: "lists",
        sql: include_str!("schema/0002_lists.sql"),
    },
    Migration {
        number: 3,
        name: "runner",
        sql: include_str!("schema/0003_runner.sql"),
    },
    Migration {
        number: 4,
        name: "buckets",
        sql: include_str!("schema/0004_buckets.sql"),
    },
    Migration {
        number: 5,
        name: "audit",
        sql: include_str!("schema/0005_audit.sql"),
    },
    Migration {
        number: 6,
        name: "settled",
        sql: include_str!("schema/0006_settled.sql"),
    },
];

/// Taken while the schema is changed, so that servers that start together take turns.
const MIGRATION_LOCK: i64 = 0x5351_4c4c;

/// The channel of the hints.
pub(crate) const CHANNEL: &str = "squall_change";

/// How many statements a session keeps prepared; lists with unusual filters come and go.
const STATEMENTS_MAX: usize = 200;

pub(crate) type Parameter<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// A statement to be sent, with its parameters.
pub(crate) struct Call<'a> {
    pub(crate) sql: &'static str,
    pub(crate) parameters: Vec<Parameter<'a>>,
}

/// The configuration behind a `postgres://` URL.
pub(crate) fn parse(url: &str) -> Result<Config, Error> {
    // The parser's messages name options, never values: a password does not get into them.
    let mut config: Config = url.parse().map_err(|error| {
        Error::Unusable(format!(
            "the database URL cannot be read ({}): write \
             postgres://user:password@host:5432/database",
            describe_text(&error)
        ))
    })?;
    config.application_name("squall");
    Ok(config)
}

/// What went wrong, for people; without secrets.
fn describe_text(error: &tokio_postgres::Error) -> String {
    let mut text = match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    };
    let mut source = std::error::Error::source(error);
    while let (Some(cause), None) = (source, error.as_db_error()) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// An error of a statement as the port's.
pub(crate) fn describe(error: &tokio_postgres::Error) -> Error {
    Error::Unavailable(format!("PostgreSQL: {}", describe_text(error)))
}

fn describe_connect(config: &Config, error: &tokio_postgres::Error) -> Error {
    let user = config.get_user().unwrap_or("the user of this process");
    let database = config.get_dbname().unwrap_or(user);
    match error.code() {
        Some(&(SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION)) => {
            Error::Unusable(format!(
                "PostgreSQL refuses the user `{user}`: check the user and the password in the \
                 database URL, and pg_hba.conf"
            ))
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => Error::Unusable(format!(
            "the database `{database}` does not exist: create it with `createdb -O {user} \
             {database}`"
        )),
        _ => Error::Unavailable(format!(
            "no connection to PostgreSQL: {}",
            describe_text(error)
        )),
    }
}

/// A connection with its prepared statements. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    statements: Mutex<HashMap<Arc<str>, Statement>>,
}

impl Session {
    /// Connects. `hints` gets the positions that notifications name.
    pub(crate) async fn open(
        config: &Config,
        hints: Option<watch::Sender<u64>>,
    ) -> Result<Session, Error> {
        let connected = config.connect(NoTls).await;
        let (client, mut connection) =
            connected.map_err(|error| describe_connect(config, &error))?;
        tokio::spawn(async move {
            let messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
            futures::pin_mut!(messages);
            while let Some(Ok(message)) = futures::StreamExt::next(&mut messages).await {
                if let (AsyncMessage::Notification(told), Some(hints)) = (message, &hints) {
                    // What can't be read is a hint nevertheless.
                    let position = told.payload().parse().unwrap_or(u64::MAX);
                    hints.send_replace(position);
                }
            }
        });
        Ok(Session {
            client,
            statements: Mutex::default(),
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn statement(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        let mut statements = self.statements.lock().await;
        if let Some(statement) = statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(Arc::from(sql), statement.clone());
        Ok(statement)
    }

    /// One statement outside of a transaction.
    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let run = async {
            let statement = self.statement(sql).await?;
            self.client.query(&statement, parameters).await
        };
        run.await.map_err(|error| describe(&error))
    }

    /// Text of SQL without parameters.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Error> {
        let done = self.client.batch_execute(sql).await;
        done.map_err(|error| describe(&error))
    }

    /// Sends the calls one behind the other without waiting between them, `before` and `after`
    /// around them, and gives their rows in order.
    pub(crate) async fn pipeline(
        &self,
        before: &str,
        calls: &[Call<'_>],
        after: &str,
    ) -> Result<Vec<Vec<Row>>, Error> {
        let run = async {
            let mut prepared = Vec::with_capacity(calls.len());
            for call in calls {
                prepared.push(self.statement(call.sql).await?);
            }
            let parameters: Vec<Vec<&(dyn ToSql + Sync)>> = calls
                .iter()
                .map(|call| {
                    let borrowed = call.parameters.iter();
                    borrowed.map(|one| &**one as &(dyn ToSql + Sync)).collect()
                })
                .collect();
            let queries = prepared
                .iter()
                .zip(&parameters)
                .map(|(statement, parameters)| self.client.query(statement, parameters));
            // Each future sends its message when it is polled first, which happens in this order.
            let (before, rows, after) = futures::join!(
                self.client.batch_execute(before),
                join_all(queries),
                self.client.batch_execute(after)
            );
            before?;
            // Before `after`: the end of a transaction that failed reports no error of its own.
            let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
            after?;
            Ok(rows)
        };
        run.await
            .map_err(|error: tokio_postgres::Error| describe(&error))
    }
}

/// Brings the schema up to date.
pub(crate) async fn migrate(session: &Session) -> Result<(), Error> {
    session
        .batch(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        .await?;
    let done = migrate_locked(session).await;
    session
        .batch(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
        .await?;
    done
}

async fn migrate_locked(session: &Session) -> Result<(), Error> {
    session
        .batch(
            "SET client_min_messages = warning;
             CREATE TABLE IF NOT EXISTS schema_version (
                 number bigint PRIMARY KEY, name text NOT NULL, checksum bigint NOT NULL)",
        )
        .await?;
    let sql = "SELECT number, checksum FROM schema_version ORDER BY number";
    let mut applied = Vec::new();
    for row in session.query(sql, &[]).await? {
        let (number, checksum): (i64, i64) = (row.get(0), row.get(1));
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        applied.push((number, u32::try_from(checksum).unwrap_or(0)));
    }
    for migration in migrate::pending(&MIGRATIONS, &applied)? {
        let sql = format!(
            "BEGIN; {} INSERT INTO schema_version (number, name, checksum) \
             VALUES ({}, '{}', {}); COMMIT",
            migration.sql,
            migration.number,
            migration.name,
            migration.checksum()
        );
        if let Err(error) = session.batch(&sql).await {
            let _ = session.batch("ROLLBACK").await;
            return Err(Error::Unusable(format!(
                "its schema cannot be brought to version {}: {error}",
                migration.number
            )));
        }
    }
    Ok(())
}
