//! Lists: filters in PostgreSQL's dialect, and what is read from each table.

use std::fmt;
use std::sync::Arc;

use squall_model::{
    ActionRef, AuditRecord, Document, Enforcement, Execution, ExecutionId, OutputChunk,
    TriggerInstance,
};
use squall_store::codec::{self, Damage};
use squall_store::sql::{self, Conditions, Dialect};
use squall_store::visible::Part;
use squall_store::{Error, ExecutionFilter, ExecutionOrder, Listing, Page};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::connect::{Parameter, Session};
use crate::read;
use crate::text::escape;

/// PostgreSQL's, which cannot hold every text as it is.
pub(crate) const DIALECT: Dialect = Dialect {
    placeholder: '$',
    text: escape,
};

type Decode<T> = fn(&Row) -> Result<T, Damage>;

/// What is read from one table.
pub(crate) struct Table<T> {
    name: &'static str,
    columns: &'static str,
    decode: Decode<T>,
    /// Whether an id names one row.
    is_by_id: bool,
}

pub(crate) const EXECUTIONS: Table<Execution> = Table {
    name: "execution",
    columns: read::EXECUTION,
    decode: read::execution,
    is_by_id: true,
};

pub(crate) const TRIGGER_INSTANCES: Table<TriggerInstance> = Table {
    name: "trigger_instance",
    columns: read::TRIGGER_INSTANCE,
    decode: read::trigger_instance,
    is_by_id: true,
};

pub(crate) const ENFORCEMENTS: Table<Enforcement> = Table {
    name: "enforcement",
    columns: read::ENFORCEMENT,
    decode: read::enforcement,
    is_by_id: true,
};

pub(crate) const DOCUMENTS: Table<Document> = Table {
    name: "document",
    columns: read::DOCUMENT,
    decode: read::document,
    is_by_id: false,
};

pub(crate) const AUDIT: Table<AuditRecord> = Table {
    name: "audit",
    columns: read::AUDIT,
    decode: read::audit,
    is_by_id: false,
};

type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// The id of a row for people: that of the first column that holds one.
fn name_of(row: &Row) -> String {
    let id = read::id::<()>(row, 0).or_else(|_| read::id::<()>(row, 2));
    id.map_or_else(|_| "without an id".to_owned(), |id| id.to_string())
}

/// Parameters of conditions as PostgreSQL's.
fn owned(parameters: Vec<sql::Parameter>) -> Vec<Parameter<'static>> {
    let owned = parameters.into_iter().map(|parameter| match parameter {
        sql::Parameter::Text(text) => Box::new(text) as Parameter<'static>,
        sql::Parameter::Integer(number) => Box::new(number),
        sql::Parameter::Bytes(bytes) => Box::new(bytes),
    });
    owned.collect()
}

fn borrowed<'a>(parameters: &'a [Parameter<'static>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let borrowed = parameters.iter();
    borrowed.map(|one| &**one as &(dyn ToSql + Sync)).collect()
}

impl<T> Table<T> {
    fn select(&self, tail: &str) -> String {
        format!("SELECT {} FROM {}{tail}", self.columns, self.name)
    }

    /// All rows that a query's tail selects. A damaged row is reported and passed over, so that it
    /// does not hide the others.
    pub(crate) async fn all(
        &self,
        session: &Session,
        tail: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Arc<T>>, Error> {
        let rows = session.query(&self.select(tail), parameters).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            match (self.decode)(row) {
                Ok(item) => items.push(Arc::new(item)),
                Err(damage) => {
                    let error = damage.of(self.name, &name_of(row));
                    tracing::error!(%error, "a record was left out of a list");
                }
            }
        }
        Ok(items)
    }

    pub(crate) async fn one(
        &self,
        session: &Session,
        tail: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<Arc<T>>, Error> {
        let rows = session.query(&self.select(tail), parameters).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let item = (self.decode)(row).map_err(|damage| damage.of(self.name, &name_of(row)))?;
        Ok(Some(Arc::new(item)))
    }

    pub(crate) async fn by_id<K>(
        &self,
        session: &Session,
        id: squall_model::Id<K>,
    ) -> Result<Option<Arc<T>>, Error> {
        let id = id.to_bytes().to_vec();
        self.one(session, " WHERE id = $1", &[&id]).await
    }

    /// A page and the total. `tally` answers the total from the table's tally.
    pub(crate) async fn list(
        &self,
        session: &Session,
        conditions: Conditions,
        tally: Option<Conditions>,
        order: &str,
        page: Page,
    ) -> Result<Listing<Arc<T>>, Error> {
        let name = self.name;
        let total = match tally {
            Some(tally) => sum(session, &format!("{name}_tally"), tally).await?,
            None => count(session, name, conditions.clone()).await?,
        };
        self.page(session, conditions, order, page, total).await
    }

    /// The page of a list whose total is known.
    pub(crate) async fn page(
        &self,
        session: &Session,
        conditions: Conditions,
        order: &str,
        page: Page,
        total: u64,
    ) -> Result<Listing<Arc<T>>, Error> {
        let selected = format!("{} ORDER BY {order}", conditions.clause());
        let tail = |cut: &str| {
            if self.is_by_id {
                // The page is found in an index alone; only its own rows are read.
                let name = self.name;
                format!(" WHERE id IN (SELECT id FROM {name}{selected}{cut}) ORDER BY {order}")
            } else {
                format!("{selected}{cut}")
            }
        };
        let parameters = conditions.parameters;
        self.cut(session, tail, parameters, page, total).await
    }

    /// A page out of a list whose total is known. `tail` gives the query's tail with the text that
    /// cuts the page out.
    async fn cut(
        &self,
        session: &Session,
        tail: impl FnOnce(&str) -> String,
        parameters: Vec<sql::Parameter>,
        page: Page,
        total: u64,
    ) -> Result<Listing<Arc<T>>, Error> {
        if page.limit == 0 || page.offset >= total {
            return Ok(Listing::empty(total));
        }
        let count = parameters.len();
        let tail = tail(&format!(" LIMIT ${} OFFSET ${}", count + 1, count + 2));
        let mut parameters = owned(parameters);
        parameters.push(Box::new(limit_of(page.limit)));
        parameters.push(Box::new(limit_of(page.offset)));
        let items = self.all(session, &tail, &borrowed(&parameters)).await?;
        Ok(Listing { items, total })
    }
}

/// The one number that a query gives.
pub(crate) async fn number(
    session: &Session,
    select: &str,
    conditions: Conditions,
) -> Result<u64, Error> {
    let sql = format!("{select}{}", conditions.clause());
    number_of(session, &sql, conditions.parameters).await
}

async fn number_of(
    session: &Session,
    sql: &str,
    parameters: Vec<sql::Parameter>,
) -> Result<u64, Error> {
    let parameters = owned(parameters);
    let rows = session.query(sql, &borrowed(&parameters)).await?;
    let number = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    Ok(number.cast_unsigned())
}

pub(crate) async fn count(
    session: &Session,
    table: &str,
    conditions: Conditions,
) -> Result<u64, Error> {
    number(
        session,
        &format!("SELECT count(*) FROM {table}"),
        conditions,
    )
    .await
}

/// The sum of a tally.
async fn sum(session: &Session, tally: &str, conditions: Conditions) -> Result<u64, Error> {
    let select = format!("SELECT coalesce(sum(count), 0)::bigint FROM {tally}");
    number(session, &select, conditions).await
}

/// Executions: a page and the total.
pub(crate) async fn executions(
    session: &Session,
    filter: &ExecutionFilter,
    page: Page,
) -> Result<Listing<Arc<Execution>>, Error> {
    let Some(filter) = &filter.narrowed() else {
        return Ok(Listing::empty(0));
    };
    let order = match filter.order {
        ExecutionOrder::NewestFirst => "requested DESC, id DESC",
        ExecutionOrder::OldestFirst => "requested, id",
    };
    let parts = parts(session, filter).await?;
    let total = execution_total(session, filter, parts.as_deref()).await?;
    let Some(parts) = parts else {
        let conditions = sql::executions(DIALECT, filter);
        return EXECUTIONS
            .page(session, conditions, order, page, total)
            .await;
    };
    // Each part is found in the order of the list, and no more of it than the page may need: else
    // the planner would sort them all.
    let most = limit_of(page.offset.saturating_add(page.limit));
    let behind = format!(" ORDER BY {order} LIMIT {most})");
    let (union, parameters) = union(&parts, "(SELECT id, requested FROM execution", &behind);
    let tail = |cut: &str| {
        format!(
            " WHERE id IN (SELECT id FROM ({union} ORDER BY {order}{cut}) AS part) ORDER BY {order}"
        )
    };
    EXECUTIONS.cut(session, tail, parameters, page, total).await
}

/// The parts of what a caller with few rights sees; `None` when other conditions select more.
async fn parts(session: &Session, filter: &ExecutionFilter) -> Result<Option<Vec<Part>>, Error> {
    let mut contents = Vec::new();
    if let Some((sql, parameters)) = sql::actions_in_packs(DIALECT, filter.visible_packs()) {
        let parameters = owned(parameters);
        let rows = session.query(&sql, &borrowed(&parameters)).await?;
        let actions = rows.iter().filter_map(|row| {
            let action = read::text(row, 0).ok()?;
            ActionRef::parse(&action).ok()
        });
        contents.extend(actions);
    }
    Ok(filter.parts(&contents))
}

/// The union of parts, each with what stands before and behind its conditions.
fn union(parts: &[Part], before: &str, behind: &str) -> (String, Vec<sql::Parameter>) {
    let parts = parts.iter().map(|part| (part, before.to_owned()));
    sql::execution_union(DIALECT, parts, behind)
}

/// How many executions a filter selects.
pub(crate) async fn execution_total(
    session: &Session,
    filter: &ExecutionFilter,
    parts: Option<&[Part]>,
) -> Result<u64, Error> {
    if let Some(tally) = sql::execution_tally(DIALECT, filter) {
        return sum(session, "execution_tally", tally).await;
    }
    if let Some(parts) = sql::execution_time_total(DIALECT, filter) {
        let mut total = 0;
        for part in parts.sums {
            total += sum(session, "execution_time_tally", part).await?;
        }
        for part in &parts.counted {
            total += count(session, "execution", sql::executions(DIALECT, part)).await?;
        }
        return Ok(total);
    }
    let Some(parts) = parts else {
        return count(session, "execution", sql::executions(DIALECT, filter)).await;
    };
    let (union, parameters) = union(parts, "SELECT count(*) AS n FROM execution", "");
    number_of(session, &sql::sum_of(&union), parameters).await
}

pub(crate) fn limit_of(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Rows of some columns that are not a table's whole record.
pub(crate) async fn rows<T>(
    session: &Session,
    sql: &str,
    parameters: &Parameters<'_>,
    table: &str,
    id: &(dyn fmt::Display + Sync),
    decode: impl Fn(&Row) -> Result<T, Damage>,
) -> Result<Vec<T>, Error> {
    let rows = session.query(sql, parameters).await?;
    rows.iter()
        .map(|row| decode(row).map_err(|damage| damage.of(table, id)))
        .collect()
}

/// Output chunks of an execution.
pub(crate) async fn output(
    session: &Session,
    id: ExecutionId,
    first: u64,
    limit: usize,
) -> Result<Vec<OutputChunk>, Error> {
    let (key, first, limit) = (id.to_bytes().to_vec(), limit_of(first), limit_of(limit));
    rows(
        session,
        "SELECT stream, at, body FROM output WHERE execution = $1 AND number >= $2
         ORDER BY number LIMIT $3",
        &[&key, &first, &limit],
        "output",
        &id,
        |row| codec::decode_chunk(read::get(row, 0)?, read::get(row, 1)?, read::get(row, 2)?),
    )
    .await
}
