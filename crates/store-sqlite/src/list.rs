//! Lists: filters in SQLite's dialect, and the index that each list is walked by.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use squall_model::{AuditRecord, Document, Enforcement, Execution, TriggerInstance};
use squall_store::codec::Damage;
use squall_store::sql::{self, Conditions, Dialect, ExecutionIndex, Parameter};
use squall_store::{AuditFilter, Error, ExecutionFilter, ExecutionOrder, Listing, Page};

use crate::open::describe;
use crate::read;
use crate::store::limit_of;

/// SQLite holds every text as it is.
pub(crate) const DIALECT: Dialect = Dialect {
    placeholder: '?',
    text: |text| Cow::Borrowed(text),
};

/// Up to how many executions it is better to collect them by whatever selects them and to sort them
/// than to walk all in their order.
const SPARSE_MAX: u64 = 5_000;

/// The same for executions of several rules, which an index finds but not in their order: each is an
/// entry of that index.
const SPARSE_RULES_MAX: u64 = 50_000;

/// How many times as long it takes to look at a row as at an entry of an index.
const ROW_COST: u64 = 10;

/// Parameters as SQLite's values.
pub(crate) fn values(parameters: Vec<Parameter>) -> Vec<Value> {
    let values = parameters.into_iter().map(|parameter| match parameter {
        Parameter::Text(text) => Value::Text(text),
        Parameter::Integer(number) => Value::Integer(number),
        Parameter::Bytes(bytes) => Value::Blob(bytes),
    });
    values.collect()
}

type Decode<T> = fn(&Row<'_>) -> Result<T, Damage>;

/// What is read from one table.
pub(crate) struct Table<T> {
    name: &'static str,
    columns: &'static str,
    /// The column that names a row for people.
    decode: Decode<T>,
}

pub(crate) const EXECUTIONS: Table<Execution> = Table {
    name: "execution",
    columns: read::EXECUTION,
    decode: read::execution,
};

pub(crate) const TRIGGER_INSTANCES: Table<TriggerInstance> = Table {
    name: "trigger_instance",
    columns: read::TRIGGER_INSTANCE,
    decode: read::trigger_instance,
};

pub(crate) const ENFORCEMENTS: Table<Enforcement> = Table {
    name: "enforcement",
    columns: read::ENFORCEMENT,
    decode: read::enforcement,
};

pub(crate) const DOCUMENTS: Table<Document> = Table {
    name: "document",
    columns: read::DOCUMENT,
    decode: read::document,
};

pub(crate) const AUDIT: Table<AuditRecord> = Table {
    name: "audit",
    columns: read::AUDIT,
    decode: read::audit,
};

/// The id of a row for people: that of the first column that holds one.
fn name_of(row: &Row<'_>) -> String {
    let id = read::id::<()>(row, 0).or_else(|_| read::id::<()>(row, 2));
    id.map_or_else(|_| "without an id".to_owned(), |id| id.to_string())
}

impl<T> Table<T> {
    /// All rows that a query's tail selects. A damaged row is reported and passed over, so that it
    /// does not hide the others.
    pub(crate) fn all(
        &self,
        connection: &Connection,
        tail: &str,
        parameters: &[Value],
    ) -> Result<Vec<Arc<T>>, Error> {
        let fail = |error: rusqlite::Error| describe(&error);
        let sql = format!("SELECT {} FROM {}{tail}", self.columns, self.name);
        let mut statement = connection.prepare_cached(&sql).map_err(fail)?;
        let mut rows = statement
            .query(params_from_iter(parameters))
            .map_err(fail)?;
        let mut items = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
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

    pub(crate) fn one(
        &self,
        connection: &Connection,
        tail: &str,
        parameters: &[Value],
    ) -> Result<Option<Arc<T>>, Error> {
        let fail = |error: rusqlite::Error| describe(&error);
        let sql = format!("SELECT {} FROM {}{tail}", self.columns, self.name);
        let mut statement = connection.prepare_cached(&sql).map_err(fail)?;
        let mut rows = statement
            .query(params_from_iter(parameters))
            .map_err(fail)?;
        let Some(row) = rows.next().map_err(fail)? else {
            return Ok(None);
        };
        let item = (self.decode)(row).map_err(|damage| damage.of(self.name, &name_of(row)))?;
        Ok(Some(Arc::new(item)))
    }

    /// A page and the total. `tally` answers the total from the table's tally.
    pub(crate) fn list(
        &self,
        connection: &Connection,
        conditions: Conditions,
        tally: Option<Conditions>,
        order: &str,
        page: Page,
    ) -> Result<Listing<Arc<T>>, Error> {
        // One transaction: the total and the page belong to the same state.
        let transaction = connection
            .unchecked_transaction()
            .map_err(|error| describe(&error))?;
        let name = self.name;
        let total = match tally {
            Some(tally) => sum(&transaction, &format!("{name}_tally"), tally)?,
            None => number(
                &transaction,
                &format!("SELECT count(*) FROM {name}"),
                conditions.clone(),
            )?,
        };
        self.page(&transaction, None, conditions, order, page, total)
    }

    /// The page of a list whose total is known, by an index or as the planner decides.
    fn page(
        &self,
        connection: &Connection,
        index: Option<ExecutionIndex>,
        conditions: Conditions,
        order: &str,
        page: Page,
        total: u64,
    ) -> Result<Listing<Arc<T>>, Error> {
        if page.limit == 0 || page.offset >= total {
            return Ok(Listing {
                items: Vec::new(),
                total,
            });
        }
        let tail = format!(
            "{}{} ORDER BY {order} LIMIT ?{} OFFSET ?{}",
            hint(index),
            conditions.clause(),
            conditions.parameters.len() + 1,
            conditions.parameters.len() + 2,
        );
        let mut parameters = values(conditions.parameters);
        parameters.push(limit_of(page.limit).into());
        parameters.push(limit_of(page.offset).into());
        let items = self.all(connection, &tail, &parameters)?;
        Ok(Listing { items, total })
    }
}

fn hint(index: Option<ExecutionIndex>) -> String {
    index.map_or_else(String::new, |index| format!(" INDEXED BY {}", index.name()))
}

/// The one number that a query gives.
fn number(connection: &Connection, select: &str, conditions: Conditions) -> Result<u64, Error> {
    let sql = format!("{select}{}", conditions.clause());
    let number: i64 = connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let parameters = values(conditions.parameters);
            statement.query_row(params_from_iter(parameters), |row| row.get(0))
        })
        .map_err(|error| describe(&error))?;
    Ok(number.cast_unsigned())
}

/// The sum of a tally.
fn sum(connection: &Connection, tally: &str, conditions: Conditions) -> Result<u64, Error> {
    let select = format!("SELECT coalesce(sum(count), 0) FROM {tally}");
    number(connection, &select, conditions)
}

/// Entries of the audit record: a page and the total.
pub(crate) fn audit(
    connection: &Connection,
    filter: &AuditFilter,
    page: Page,
) -> Result<Listing<Arc<AuditRecord>>, Error> {
    // One transaction: the total and the page belong to the same state.
    let transaction = connection
        .unchecked_transaction()
        .map_err(|error| describe(&error))?;
    let conditions = sql::audit(DIALECT, filter);
    let total = if filter.is_all() {
        // Numbers have no gaps.
        let select = "SELECT coalesce((SELECT max(number) FROM audit) -
             (SELECT min(number) FROM audit) + 1, 0)";
        number(&transaction, select, conditions.clone())?
    } else {
        number(
            &transaction,
            "SELECT count(*) FROM audit",
            conditions.clone(),
        )?
    };
    let order = if filter.oldest_first {
        "at, number"
    } else {
        "at DESC, number DESC"
    };
    AUDIT.page(&transaction, None, conditions, order, page, total)
}

/// Executions: a page and the total.
pub(crate) fn executions(
    connection: &Connection,
    filter: &ExecutionFilter,
    page: Page,
) -> Result<Listing<Arc<Execution>>, Error> {
    // One transaction: the total and the page belong to the same state.
    let transaction = connection
        .unchecked_transaction()
        .map_err(|error| describe(&error))?;
    let mut index = execution_index(&transaction, filter)?;
    let total = execution_total(&transaction, filter, index)?;
    if index == Some(ExecutionIndex::Requested) {
        if filter.rules.len() > 1 && total <= SPARSE_RULES_MAX {
            index = Some(ExecutionIndex::Rule);
        } else if total <= SPARSE_MAX {
            index = None;
        }
    }
    let order = match filter.order {
        ExecutionOrder::NewestFirst => "requested DESC, id DESC",
        ExecutionOrder::OldestFirst => "requested, id",
    };
    let conditions = sql::executions(DIALECT, filter);
    EXECUTIONS.page(&transaction, index, conditions, order, page, total)
}

fn execution_total(
    connection: &Connection,
    filter: &ExecutionFilter,
    index: Option<ExecutionIndex>,
) -> Result<u64, Error> {
    if let Some(tally) = sql::execution_tally(DIALECT, filter) {
        return sum(connection, "execution_tally", tally);
    }
    let count = |filter: &ExecutionFilter, index| {
        // No order is asked for, so several rules are counted where each lies together.
        let index = match index {
            Some(ExecutionIndex::Requested) if filter.rules.len() > 1 => Some(ExecutionIndex::Rule),
            index => index,
        };
        let select = format!("SELECT count(*) FROM execution{}", hint(index));
        number(connection, &select, sql::executions(DIALECT, filter))
    };
    let Some(parts) = sql::execution_time_total(DIALECT, filter) else {
        return count(filter, index);
    };
    let mut total = 0;
    for part in parts.sums {
        total += sum(connection, "execution_time_tally", part)?;
    }
    for part in &parts.counted {
        total += count(part, execution_index(connection, part)?)?;
    }
    Ok(total)
}

/// The index that a list is walked by with the least effort; `None` leaves it to the planner, which
/// knows nothing of how many records a condition selects.
fn execution_index(
    connection: &Connection,
    filter: &ExecutionFilter,
) -> Result<Option<ExecutionIndex>, Error> {
    let indexes = sql::execution_indexes(filter);
    if indexes.len() < 2 {
        return Ok(indexes.first().copied());
    }
    let mut best = None;
    for index in indexes {
        let tally = match index {
            ExecutionIndex::Rule => "enforcement_tally",
            _ => "execution_tally",
        };
        let share = sum(
            connection,
            tally,
            sql::execution_share(DIALECT, index, filter),
        )?;
        let cost = share.saturating_mul(if index.covers(filter) { 1 } else { ROW_COST });
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, index));
        }
    }
    Ok(best.map(|(_, index)| index))
}
