//! Lists: filters in SQLite's dialect, and the index that each list is walked by.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use squall_model::{ActionRef, AuditRecord, Document, Enforcement, Execution, TriggerInstance};
use squall_store::codec::Damage;
use squall_store::sql::{self, Conditions, Dialect, ExecutionIndex, Parameter};
use squall_store::visible::Part;
use squall_store::{AuditFilter, Error, ExecutionFilter, ExecutionOrder, Listing, Page};
use squall_value::Str;

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
        self.walk(&transaction, None, conditions, order, page, total)
    }

    /// The page of a list whose total is known, by an index or as the planner decides.
    fn walk(
        &self,
        connection: &Connection,
        index: Option<ExecutionIndex>,
        conditions: Conditions,
        order: &str,
        page: Page,
        total: u64,
    ) -> Result<Listing<Arc<T>>, Error> {
        let selected = format!("{}{} ORDER BY {order}", hint(index), conditions.clause());
        let tail = |cut: &str| format!("{selected}{cut}");
        self.page(connection, tail, conditions.parameters, page, total)
    }

    /// The page of a list whose total is known. `tail` gives the query's tail with the text that cuts
    /// the page out.
    fn page(
        &self,
        connection: &Connection,
        tail: impl FnOnce(&str) -> String,
        parameters: Vec<Parameter>,
        page: Page,
        total: u64,
    ) -> Result<Listing<Arc<T>>, Error> {
        if page.limit == 0 || page.offset >= total {
            return Ok(Listing::empty(total));
        }
        let count = parameters.len();
        let cut = format!(" LIMIT ?{} OFFSET ?{}", count + 1, count + 2);
        let mut parameters = values(parameters);
        parameters.push(limit_of(page.limit).into());
        parameters.push(limit_of(page.offset).into());
        let items = self.all(connection, &tail(&cut), &parameters)?;
        Ok(Listing { items, total })
    }
}

fn hint(index: Option<ExecutionIndex>) -> String {
    index.map_or_else(String::new, |index| format!(" INDEXED BY {}", index.name()))
}

/// The one number that a query gives.
fn number(connection: &Connection, select: &str, conditions: Conditions) -> Result<u64, Error> {
    let sql = format!("{select}{}", conditions.clause());
    number_of(connection, &sql, conditions.parameters)
}

fn number_of(connection: &Connection, sql: &str, parameters: Vec<Parameter>) -> Result<u64, Error> {
    let number: i64 = connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.query_row(params_from_iter(values(parameters)), |row| row.get(0))
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
    AUDIT.walk(&transaction, None, conditions, order, page, total)
}

/// How executions are found.
enum Way {
    /// One after the other, by an index or as the planner decides.
    Walk(Option<ExecutionIndex>),
    /// Parts of what is wanted, each by an index in the order of the list, merged.
    Merge(Vec<(Part, ExecutionIndex)>),
}

/// How many times as long it takes to walk an index with a choice among users and actions as it takes
/// to merge parts, by entry.
const CHOICE_COST: u64 = 2;

/// Executions: a page and the total.
pub(crate) fn executions(
    connection: &Connection,
    filter: &ExecutionFilter,
    page: Page,
) -> Result<Listing<Arc<Execution>>, Error> {
    let Some(filter) = &filter.narrowed() else {
        return Ok(Listing::empty(0));
    };
    // One transaction: the total and the page belong to the same state.
    let transaction = connection
        .unchecked_transaction()
        .map_err(|error| describe(&error))?;
    let way = way(&transaction, filter)?;
    let total = execution_total(&transaction, filter, &way)?;
    let order = match filter.order {
        ExecutionOrder::NewestFirst => "requested DESC, id DESC",
        ExecutionOrder::OldestFirst => "requested, id",
    };
    let mut index = match way {
        Way::Walk(index) => index,
        Way::Merge(parts) => {
            let (union, parameters) = union(&parts, "SELECT seq, requested, id FROM execution");
            let tail = |cut: &str| {
                format!(
                    " WHERE seq IN (SELECT seq FROM ({union} ORDER BY {order}{cut})) ORDER BY \
                     {order}"
                )
            };
            return EXECUTIONS.page(&transaction, tail, parameters, page, total);
        }
    };
    if index == Some(ExecutionIndex::Requested) {
        if filter.rules.len() > 1 && total <= SPARSE_RULES_MAX {
            index = Some(ExecutionIndex::Rule);
        } else if total <= SPARSE_MAX {
            index = None;
        }
    }
    let conditions = sql::executions(DIALECT, filter);
    EXECUTIONS.walk(&transaction, index, conditions, order, page, total)
}

/// The union of parts, of which `select` reads each.
fn union(parts: &[(Part, ExecutionIndex)], select: &str) -> (String, Vec<Parameter>) {
    let parts = parts.iter();
    let parts = parts.map(|(part, index)| (part, format!("{select}{}", hint(Some(*index)))));
    sql::execution_union(DIALECT, parts, "")
}

fn execution_total(
    connection: &Connection,
    filter: &ExecutionFilter,
    way: &Way,
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
    if let Some(parts) = sql::execution_time_total(DIALECT, filter) {
        let mut total = 0;
        for part in parts.sums {
            total += sum(connection, "execution_time_tally", part)?;
        }
        for part in &parts.counted {
            total += count(part, execution_index(connection, part)?)?;
        }
        return Ok(total);
    }
    match way {
        Way::Walk(index) => count(filter, *index),
        Way::Merge(parts) => {
            let (union, parameters) = union(parts, "SELECT count(*) AS n FROM execution");
            number_of(connection, &sql::sum_of(&union), parameters)
        }
    }
}

/// The way that takes the least effort.
fn way(connection: &Connection, filter: &ExecutionFilter) -> Result<Way, Error> {
    let contents = contents(connection, filter.visible_packs())?;
    let Some(parts) = filter.parts(&contents) else {
        return Ok(Way::Walk(execution_index(connection, filter)?));
    };
    let mut found = Vec::with_capacity(parts.len());
    let mut cost = 0_u64;
    for part in parts {
        let indexes = sql::execution_indexes(&part.filter);
        if let Some((effort, index)) = cheapest(connection, &part.filter, &indexes)? {
            cost = cost.saturating_add(effort);
            found.push((part, index));
        }
    }
    let walk = cheapest(connection, filter, &sql::execution_indexes(filter))?;
    Ok(match walk {
        Some((walk, index)) if cost > walk.saturating_mul(CHOICE_COST) => Way::Walk(Some(index)),
        _ => Way::Merge(found),
    })
}

/// The actions in some packs that executions are of.
fn contents(connection: &Connection, packs: &[Str]) -> Result<Vec<ActionRef>, Error> {
    let Some((sql, parameters)) = sql::actions_in_packs(DIALECT, packs) else {
        return Ok(Vec::new());
    };
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare_cached(&sql)?;
        let parameters = params_from_iter(values(parameters));
        statement.query_map(parameters, |row| row.get(0))?.collect()
    };
    let actions = read().map_err(|error| describe(&error))?;
    let actions = actions
        .iter()
        .filter_map(|action| ActionRef::parse(action).ok());
    Ok(actions.collect())
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
    let best = cheapest(connection, filter, &indexes)?;
    Ok(best.map(|(_, index)| index))
}

/// The best of some indexes, and the effort of walking it all, in entries.
fn cheapest(
    connection: &Connection,
    filter: &ExecutionFilter,
    indexes: &[ExecutionIndex],
) -> Result<Option<(u64, ExecutionIndex)>, Error> {
    let mut best = None;
    for index in indexes.iter().copied() {
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
    Ok(best)
}
