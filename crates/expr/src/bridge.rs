//! Values on their way between YAQL and the catalogue's functions, which templates share.
//!
//! Plain data crosses without a copy. What templates have no like of crosses as it is, so that it
//! comes back the same and functions can say what they were given.

use std::cell::RefCell;
use std::rc::Rc;

use squall_value::Str;
use squall_yaql::{DateTime, Key as YaqlKey, Map, Set as YaqlSet, Value};

use crate::jinja::{Engine, Entries, Key, Moment, Set, Val, moment_text, str};
use crate::yaql::to_yaql as failed;

type Result<T> = std::result::Result<T, squall_yaql::Error>;

/// A YAQL value as an argument of the catalogue.
///
/// # Errors
///
/// When it is too large for what is left of the budget, or nests what can't be nested.
pub(crate) fn from_yaql(engine: &Engine<'_>, value: &Value) -> Result<Val> {
    if let Some(data) = value.shared_data() {
        return Ok(Val::from(&data));
    }
    Ok(match value {
        Value::Sequence(items) => {
            let all = items.iter().map(|item| from_yaql(engine, &item));
            let all = all.collect::<Result<Vec<Val>>>()?;
            charge(engine, all.len())?;
            match items.is_mutable() {
                true => Val::list(all),
                false => Val::tuple(all),
            }
        }
        Value::Dict(dict) => {
            charge(engine, dict.len())?;
            let mut entries = Entries::default();
            for (key, item) in dict.iter() {
                entries.insert(key_from(engine, &key)?, from_yaql(engine, &item)?);
            }
            Val::dict(entries)
        }
        Value::Set(set) => {
            charge(engine, set.len())?;
            let mut items = Entries::default();
            for item in set.iter() {
                items.insert(key_from(engine, item)?, Val::None);
            }
            Val::Set(Rc::new(Set {
                items: RefCell::new(items),
                is_frozen: true,
            }))
        }
        Value::DateTime(time) => match moment(time) {
            Some(moment) => Val::Moment(Rc::new(moment)),
            None => Val::Foreign(Rc::new(value.clone())),
        },
        Value::HostDict(_) => {
            return Err(squall_yaql::Error::type_error(
                "the context can't be passed",
            ));
        }
        other => Val::Foreign(Rc::new(other.clone())),
    })
}

/// What a function of the catalogue gave as a YAQL value: lists and dictionaries are mutable ones.
///
/// # Errors
///
/// When the value can't be YAQL's, or has no text where only that is left of it.
pub(crate) fn to_yaql(engine: &Engine<'_>, value: &Val) -> Result<Value> {
    Ok(match value {
        Val::None => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Int(number) => Value::Int(*number),
        Val::Big(number) => Value::BigInt(number.clone()),
        Val::Float(number) => Value::Float(*number),
        Val::Str(text) | Val::Safe(text) => Value::String(text.clone()),
        Val::List(list) => match list.shared() {
            Some(items) => Value::from_mutable_data(squall_value::Value::List(items)),
            None => Value::list(all_to(engine, &list.to_vec())?)?,
        },
        Val::Tuple(tuple) => Value::tuple(all_to(engine, &tuple.items)?)?,
        Val::Dict(dict) => match dict.shared() {
            Some(dict) => Value::from_mutable_data(squall_value::Value::Dict(dict)),
            None => {
                let mut map = Map::default();
                for (key, item) in dict.items() {
                    map.insert(
                        YaqlKey::new(to_yaql(engine, &key)?)?,
                        to_yaql(engine, &item)?,
                    );
                }
                Value::plain_dict(map)?
            }
        },
        Val::Set(set) => {
            let items: Vec<Val> = set.items.borrow().keys().map(|key| key.0.clone()).collect();
            Value::Set(YaqlSet::from_values(all_to(engine, &items)?)?)
        }
        Val::Moment(moment) => Value::from(DateTime::from_iso(&moment_text(moment, 'T'))?),
        Val::Foreign(value) => (**value).clone(),
        other => Value::String(text(engine, other)?),
    })
}

fn all_to(engine: &Engine<'_>, items: &[Val]) -> Result<Vec<Value>> {
    items.iter().map(|item| to_yaql(engine, item)).collect()
}

fn key_from(engine: &Engine<'_>, key: &Value) -> Result<Key> {
    Key::new(from_yaql(engine, key)?).map_err(|error| failed(*error))
}

fn charge(engine: &Engine<'_>, elements: usize) -> Result<()> {
    let charged = engine.budget.elements(elements);
    charged.map_err(|error| failed(*error))
}

fn text(engine: &Engine<'_>, value: &Val) -> Result<Str> {
    str(engine, value).map_err(|error| failed(*error))
}

/// The date and time as templates have it; none where its offset is no whole number of seconds.
fn moment(time: &DateTime) -> Option<Moment> {
    let offset = match time.offset() {
        Some(micros) if micros % 1_000_000 != 0 => return None,
        Some(micros) => Some(i32::try_from(micros / 1_000_000).ok()?),
        None => None,
    };
    let local = time.instant() + time.offset_micros();
    let local = jiff::Timestamp::from_microsecond(i64::try_from(local).ok()?).ok()?;
    Some(Moment {
        civil: local.to_zoned(jiff::tz::TimeZone::UTC).datetime(),
        offset,
    })
}
