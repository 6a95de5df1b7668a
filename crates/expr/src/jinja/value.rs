//! Values while a template runs: Python's, mutable lists and dictionaries included.
//!
//! Data comes in as shared immutable [`squall_value::Value`]s and is turned into these piece by
//! piece, as far as the template looks: [`List`] and [`Dict`] start as handles on the shared data
//! and become owned when they are changed. A container that was handed out once is remembered, so
//! that a change through one path is seen through all others, as in Python.

use std::cell::{Cell, RefCell, RefMut};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use num_bigint::BigInt;
use squall_value::{Str, Value};

use super::generator::{Iter, Plan};
use super::objects::{Cycler, Function, Joiner, LoopState, MacroValue, Method, Namespace};
use crate::scope::KeyScope;

/// A value of a running template.
#[derive(Clone)]
pub(crate) enum Val {
    None,
    Bool(bool),
    Int(i64),
    /// Outside 64 bits.
    Big(Arc<BigInt>),
    Float(f64),
    Str(Str),
    /// Text that is not to be escaped again.
    Safe(Str),
    Bytes(Rc<[u8]>),
    List(Rc<List>),
    Tuple(Rc<Tuple>),
    Dict(Rc<Dict>),
    Set(Rc<Set>),
    Date(jiff::civil::Date),
    Moment(Rc<Moment>),
    Undefined(Rc<Missing>),
    Range(Rc<Range>),
    /// Elements that can be taken once.
    Iter(Rc<Iter>),
    View(ViewKind, Rc<Dict>),
    Function(Function),
    Method(Rc<Method>),
    Macro(Rc<MacroValue>),
    Loop(Rc<LoopState>),
    Cycler(Rc<Cycler>),
    Joiner(Rc<Joiner>),
    Namespace(Rc<Namespace>),
    /// A datastore look-up that has not happened yet.
    Key(Rc<Lookup>),
    /// A value of YAQL's that templates have none like: only its type and its text are known.
    Foreign(Rc<squall_yaql::Value>),
    /// An object that there is nothing to know about but its type's name and its text.
    Opaque(&'static str, Str),
}

/// A date and time, naive or with an offset in seconds east of UTC.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    pub(crate) civil: jiff::civil::DateTime,
    pub(crate) offset: Option<i32>,
}

/// What a missing variable, attribute or element leaves behind.
pub(crate) struct Missing {
    /// `UndefinedError`, or `SecurityError` where the sandbox hid something.
    pub(crate) class: &'static str,
    pub(crate) message: String,
    pub(crate) is_lenient: bool,
}

pub(crate) struct Tuple {
    pub(crate) items: Vec<Val>,
    /// Whether the two items are also attributes `grouper` and `list`.
    pub(crate) is_group: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) stop: i64,
    pub(crate) step: i64,
}

impl Range {
    pub(crate) fn len(&self) -> usize {
        let span = if self.step > 0 {
            i128::from(self.stop) - i128::from(self.start)
        } else {
            i128::from(self.start) - i128::from(self.stop)
        };
        let step = i128::from(self.step).abs();
        usize::try_from((span + step - 1).div_euclid(step).max(0)).unwrap_or(usize::MAX)
    }

    pub(crate) fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| {
            self.start
                .wrapping_add(self.step.wrapping_mul(i64::try_from(index).unwrap_or(0)))
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum ViewKind {
    Keys,
    Values,
    Items,
}

/// `st2kv.system.a.b`: the key is known, the value is read when text is needed.
pub(crate) struct Lookup {
    pub(crate) scope: KeyScope,
    /// Empty for the scope itself.
    pub(crate) key: String,
}

/// Children of shared data that were handed out, by position.
type Children = Vec<(usize, Val)>;

/// From so many remembered children on, the whole container is converted.
const CHILDREN_MAX: usize = 16;

#[derive(Default)]
pub(crate) struct List {
    state: RefCell<ListState>,
}

enum ListState {
    Shared(Arc<Vec<Value>>, Children),
    Own(Vec<Val>),
}

impl Default for ListState {
    fn default() -> ListState {
        ListState::Own(Vec::new())
    }
}

impl List {
    pub(crate) fn new(items: Vec<Val>) -> List {
        List {
            state: RefCell::new(ListState::Own(items)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &*self.state.borrow() {
            ListState::Shared(items, _) => items.len(),
            ListState::Own(items) => items.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Val> {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            ListState::Own(items) => return items.get(index).cloned(),
            ListState::Shared(items, children) => {
                let item = items.get(index)?;
                if let Some(scalar) = scalar(item) {
                    return Some(scalar);
                }
                if let Some((_, child)) = children.iter().find(|(at, _)| *at == index) {
                    return Some(child.clone());
                }
                if children.len() < CHILDREN_MAX {
                    let child = Val::from(item);
                    children.push((index, child.clone()));
                    return Some(child);
                }
            }
        }
        state.own().get(index).cloned()
    }

    /// Looks at an element that is still as it came, without handing it out.
    pub(super) fn peek<T>(
        &self,
        index: usize,
        look: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        match &*self.state.borrow() {
            ListState::Shared(items, children)
                if children.iter().all(|(known, _)| *known != index) =>
            {
                look(items.get(index)?)
            }
            _ => None,
        }
    }

    /// The elements, to be changed.
    pub(crate) fn own(&self) -> RefMut<'_, Vec<Val>> {
        RefMut::map(self.state.borrow_mut(), ListState::own)
    }

    pub(crate) fn to_vec(&self) -> Vec<Val> {
        self.own().clone()
    }

    /// The data this list still shares, if nothing of it was handed out or changed.
    pub(crate) fn shared(&self) -> Option<Arc<Vec<Value>>> {
        match &*self.state.borrow() {
            ListState::Shared(items, children) if children.is_empty() => Some(Arc::clone(items)),
            _ => None,
        }
    }
}

impl ListState {
    fn own(&mut self) -> &mut Vec<Val> {
        if let ListState::Shared(items, children) = self {
            let mut owned: Vec<Val> = items.iter().map(Val::from).collect();
            for (index, child) in std::mem::take(children) {
                owned[index] = child;
            }
            *self = ListState::Own(owned);
        }
        match self {
            ListState::Own(items) => items,
            ListState::Shared(..) => unreachable!("converted above"),
        }
    }
}

pub(crate) type Entries = IndexMap<Key, Val, foldhash::fast::RandomState>;

#[derive(Default)]
pub(crate) struct Dict {
    state: RefCell<DictState>,
}

enum DictState {
    Shared(Arc<squall_value::Dict>, Children),
    Own(Entries),
}

impl Default for DictState {
    fn default() -> DictState {
        DictState::Own(Entries::default())
    }
}

impl Dict {
    pub(crate) fn new(entries: Entries) -> Dict {
        Dict {
            state: RefCell::new(DictState::Own(entries)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &*self.state.borrow() {
            DictState::Shared(dict, _) => dict.len(),
            DictState::Own(entries) => entries.len(),
        }
    }

    pub(crate) fn get_str(&self, key: &str) -> Option<Val> {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            DictState::Own(entries) => return entries.get(&StrKey(key)).cloned(),
            DictState::Shared(dict, children) => {
                let item = dict.get(key)?;
                if let Some(scalar) = scalar(item) {
                    return Some(scalar);
                }
                // The address of the entry tells it apart as well as its position would.
                let index = std::ptr::from_ref(item) as usize;
                if let Some((_, child)) = children.iter().find(|(at, _)| *at == index) {
                    return Some(child.clone());
                }
                if children.len() < CHILDREN_MAX {
                    let child = Val::from(item);
                    children.push((index, child.clone()));
                    return Some(child);
                }
            }
        }
        state.own().get(&StrKey(key)).cloned()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Val> {
        match &key.0 {
            Val::Str(key) | Val::Safe(key) => self.get_str(key),
            _ if self.is_shared() => None,
            _ => self.own().get(key).cloned(),
        }
    }

    fn is_shared(&self) -> bool {
        matches!(&*self.state.borrow(), DictState::Shared(..))
    }

    pub(crate) fn key_at(&self, index: usize) -> Option<Val> {
        match &*self.state.borrow() {
            DictState::Shared(dict, _) => {
                dict.get_index(index).map(|(key, _)| Val::Str(key.clone()))
            }
            DictState::Own(entries) => entries.get_index(index).map(|(key, _)| key.0.clone()),
        }
    }

    /// The entries, to be changed.
    pub(crate) fn own(&self) -> RefMut<'_, Entries> {
        RefMut::map(self.state.borrow_mut(), DictState::own)
    }

    pub(crate) fn keys(&self) -> Vec<Val> {
        (0..self.len()).filter_map(|at| self.key_at(at)).collect()
    }

    pub(crate) fn items(&self) -> Vec<(Val, Val)> {
        let entries = self.own();
        let pair = |(key, value): (&Key, &Val)| (key.0.clone(), value.clone());
        entries.iter().map(pair).collect()
    }

    /// The data this dictionary still shares, if nothing of it was handed out or changed.
    pub(crate) fn shared(&self) -> Option<Arc<squall_value::Dict>> {
        match &*self.state.borrow() {
            DictState::Shared(dict, children) if children.is_empty() => Some(Arc::clone(dict)),
            _ => None,
        }
    }
}

impl DictState {
    fn own(&mut self) -> &mut Entries {
        if let DictState::Shared(dict, children) = self {
            let children = std::mem::take(children);
            let mut entries = Entries::with_capacity_and_hasher(
                dict.len(),
                foldhash::fast::RandomState::default(),
            );
            for (key, item) in dict.iter() {
                let address = std::ptr::from_ref(item) as usize;
                let known = children.iter().find(|(at, _)| *at == address);
                let value = known.map_or_else(|| Val::from(item), |(_, child)| child.clone());
                entries.insert(Key(Val::Str(key.clone())), value);
            }
            *self = DictState::Own(entries);
        }
        match self {
            DictState::Own(entries) => entries,
            DictState::Shared(..) => unreachable!("converted above"),
        }
    }
}

#[derive(Default)]
pub(crate) struct Set {
    pub(crate) items: RefCell<Entries>,
    /// Whether it is a `frozenset`, as YAQL's are.
    pub(crate) is_frozen: bool,
}

/// A hashable value, with Python's equality: `1`, `1.0` and `True` are one key.
#[derive(Clone)]
pub(crate) struct Key(pub(crate) Val);

impl Key {
    /// The key that `value` makes.
    ///
    /// # Errors
    ///
    /// `TypeError` for lists, dictionaries and sets, the missing value's error for an undefined.
    pub(crate) fn new(value: Val) -> super::Res<Key> {
        Key::check(&value, 0)?;
        Ok(Key(value))
    }

    fn check(value: &Val, depth: usize) -> super::Res<()> {
        if depth > 100 {
            return Err(super::limit_error("the key is nested too deeply"));
        }
        match value {
            Val::Set(set) if set.is_frozen => Ok(()),
            Val::List(_) | Val::Dict(_) | Val::Set(_) => Err(super::type_error(format!(
                "unhashable type: '{}'",
                value.type_name()
            ))),
            Val::Undefined(missing) if !missing.is_lenient => Err(missing.error()),
            Val::Tuple(tuple) => {
                for item in &tuple.items {
                    Key::check(item, depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        super::ops::equals(&self.0, &other.0).unwrap_or(false)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Val::Str(text) | Val::Safe(text) => text.hash(state),
            Val::Bool(truth) => i64::from(*truth).hash(state),
            Val::Int(number) => number.hash(state),
            Val::Float(number) => {
                #[allow(clippy::cast_possible_truncation)]
                let whole = *number as i64;
                #[allow(clippy::cast_precision_loss)]
                if whole as f64 == *number {
                    whole.hash(state);
                } else {
                    number.to_bits().hash(state);
                }
            }
            Val::Tuple(tuple) => {
                for item in &tuple.items {
                    Key(item.clone()).hash(state);
                }
            }
            // Rare as keys: equality alone tells them apart.
            _ => {}
        }
    }
}

/// A text as a key, borrowed.
struct StrKey<'a>(&'a str);

impl Hash for StrKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Key> for StrKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(&key.0, Val::Str(text) | Val::Safe(text) if **text == *self.0)
    }
}

/// A value that holds no others.
pub(super) fn scalar(value: &Value) -> Option<Val> {
    Some(match value {
        Value::Null => Val::None,
        Value::Bool(truth) => Val::Bool(*truth),
        Value::Int(number) => Val::Int(*number),
        Value::BigInt(number) => Val::Big(Arc::clone(number)),
        Value::Float(number) => Val::Float(*number),
        Value::String(text) => Val::Str(text.clone()),
        Value::List(_) | Value::Dict(_) => return None,
    })
}

impl From<&Value> for Val {
    fn from(value: &Value) -> Val {
        if let Some(scalar) = scalar(value) {
            return scalar;
        }
        match value {
            Value::List(items) => Val::List(Rc::new(List {
                state: RefCell::new(ListState::Shared(Arc::clone(items), Vec::new())),
            })),
            Value::Dict(dict) => Val::from(Arc::clone(dict)),
            _ => Val::None,
        }
    }
}

impl From<Arc<squall_value::Dict>> for Val {
    fn from(dict: Arc<squall_value::Dict>) -> Val {
        Val::Dict(Rc::new(Dict {
            state: RefCell::new(DictState::Shared(dict, Vec::new())),
        }))
    }
}

impl Val {
    pub(crate) fn str(text: impl Into<Str>) -> Val {
        Val::Str(text.into())
    }

    pub(crate) fn list(items: Vec<Val>) -> Val {
        Val::List(Rc::new(List::new(items)))
    }

    pub(crate) fn tuple(items: Vec<Val>) -> Val {
        Val::Tuple(Rc::new(Tuple {
            items,
            is_group: false,
        }))
    }

    pub(crate) fn dict(entries: Entries) -> Val {
        Val::Dict(Rc::new(Dict::new(entries)))
    }

    /// A generator that has done nothing yet.
    pub(super) fn generator(plan: Plan) -> Val {
        Val::Iter(Rc::new(Iter::lazy(plan)))
    }

    pub(crate) fn iter(kind: &'static str, items: Vec<Val>) -> Val {
        Val::Iter(Rc::new(Iter::ready(kind, items)))
    }

    pub(crate) fn big(number: BigInt) -> Val {
        i64::try_from(&number).map_or_else(|_| Val::Big(Arc::new(number)), Val::Int)
    }

    pub(crate) fn len_of(length: usize) -> Val {
        Val::Int(i64::try_from(length).unwrap_or(i64::MAX))
    }

    pub(crate) fn undefined(message: impl Into<String>, is_lenient: bool) -> Val {
        Val::Undefined(Rc::new(Missing {
            class: "UndefinedError",
            message: message.into(),
            is_lenient,
        }))
    }

    pub(crate) fn as_str(&self) -> Option<&Str> {
        match self {
            Val::Str(text) | Val::Safe(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Val::Undefined(_))
    }

    /// What Python's `type(value).__name__` says.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Val::None => "NoneType",
            Val::Bool(_) => "bool",
            Val::Int(_) | Val::Big(_) => "int",
            Val::Float(_) => "float",
            Val::Str(_) => "str",
            Val::Safe(_) => "Markup",
            Val::Bytes(_) => "bytes",
            Val::List(_) => "list",
            Val::Tuple(tuple) if tuple.is_group => "_GroupTuple",
            Val::Tuple(_) => "tuple",
            Val::Dict(_) => "dict",
            Val::Set(set) if set.is_frozen => "frozenset",
            Val::Set(_) => "set",
            Val::Date(_) => "date",
            Val::Moment(_) => "datetime",
            Val::Undefined(missing) if missing.is_lenient => "Undefined",
            Val::Undefined(_) => "StrictUndefined",
            Val::Range(_) => "range",
            Val::Iter(iter) => iter.kind,
            Val::View(ViewKind::Keys, _) => "dict_keys",
            Val::View(ViewKind::Values, _) => "dict_values",
            Val::View(ViewKind::Items, _) => "dict_items",
            Val::Function(function) => function.type_name(),
            Val::Method(_) => "builtin_function_or_method",
            Val::Macro(_) => "Macro",
            Val::Loop(_) => "LoopContext",
            Val::Cycler(_) => "Cycler",
            Val::Joiner(_) => "Joiner",
            Val::Namespace(_) => "Namespace",
            Val::Key(_) => "KeyValueLookup",
            Val::Foreign(value) => match value.type_name().rsplit_once('.') {
                Some((_, name)) => name,
                None => value.type_name(),
            },
            Val::Opaque(name, _) => name,
        }
    }

    /// The type's name with the module that it is from, as some of Python's messages have it.
    pub(crate) fn class_name(&self) -> String {
        let module = match self {
            Val::Date(_) | Val::Moment(_) => "datetime.",
            Val::Undefined(_) | Val::Macro(_) | Val::Loop(_) => "jinja2.runtime.",
            Val::Cycler(_) | Val::Joiner(_) | Val::Namespace(_) => "jinja2.utils.",
            Val::Foreign(value) => return value.type_name().into(),
            _ => "",
        };
        format!("{module}{}", self.type_name())
    }

    /// What Python's `str(type(value))` says: `<class 'int'>`.
    pub(crate) fn class_text(&self) -> String {
        format!("<class '{}'>", self.class_name())
    }

    /// How messages about missing attributes call the value.
    pub(crate) fn described(&self) -> String {
        match self {
            Val::None => "None".into(),
            Val::Function(Function::Catalogue(function)) if function.needs_scope => {
                "functools.partial object".into()
            }
            Val::Macro(_) | Val::Loop(_) => format!("jinja2.runtime.{} object", self.type_name()),
            Val::Cycler(_) | Val::Joiner(_) | Val::Namespace(_) => {
                format!("jinja2.utils.{} object", self.type_name())
            }
            Val::Date(_) | Val::Moment(_) => format!("datetime.{} object", self.type_name()),
            _ => format!("{} object", self.type_name()),
        }
    }
}

impl Missing {
    pub(crate) fn error(&self) -> Box<crate::Error> {
        let kind = if self.class == "SecurityError" {
            crate::Kind::Security
        } else {
            crate::Kind::Undefined
        };
        Box::new(crate::Error::new(self.class, kind, self.message.clone()))
    }
}

thread_local! {
    /// What is still to be dropped, while something is.
    static DROPPING: RefCell<Option<Vec<Val>>> = const { RefCell::new(None) };
}

/// Drops values one after the other instead of one within the other: templates can nest values more
/// deeply than the stack bears.
pub(super) fn drop_flat(values: impl IntoIterator<Item = Val>) {
    let nested: Vec<Val> = values.into_iter().filter(Val::is_shared_object).collect();
    if nested.is_empty() {
        return;
    }
    let is_outermost = DROPPING.with_borrow_mut(|dropping| match dropping {
        Some(waiting) => {
            waiting.extend(nested);
            false
        }
        None => {
            *dropping = Some(nested);
            true
        }
    });
    if !is_outermost {
        return;
    }
    while let Some(value) = DROPPING.with_borrow_mut(|dropping| dropping.as_mut()?.pop()) {
        drop(value);
    }
    DROPPING.with_borrow_mut(|dropping| *dropping = None);
}

impl Drop for List {
    fn drop(&mut self) {
        match self.state.get_mut() {
            ListState::Own(items) => drop_flat(items.drain(..)),
            ListState::Shared(_, children) => drop_flat(children.drain(..).map(|(_, child)| child)),
        }
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        match self.state.get_mut() {
            DictState::Own(entries) => {
                drop_flat(entries.drain(..).flat_map(|(key, value)| [key.0, value]));
            }
            DictState::Shared(_, children) => drop_flat(children.drain(..).map(|(_, child)| child)),
        }
    }
}

impl Drop for Tuple {
    fn drop(&mut self) {
        drop_flat(self.items.drain(..));
    }
}

impl Val {
    /// Whether the value holds others.
    pub(super) fn is_shared_object(&self) -> bool {
        !matches!(
            self,
            Val::None
                | Val::Bool(_)
                | Val::Int(_)
                | Val::Big(_)
                | Val::Float(_)
                | Val::Str(_)
                | Val::Safe(_)
                | Val::Bytes(_)
                | Val::Date(_)
                | Val::Moment(_)
                | Val::Undefined(_)
                | Val::Range(_)
                | Val::Function(_)
                | Val::Key(_)
                | Val::Foreign(_)
                | Val::Opaque(..)
        )
    }

    /// Lets go of all values within, so that one that holds itself can be freed.
    pub(super) fn empty(&self) {
        match self {
            Val::List(list) => {
                let items = std::mem::take(&mut *list.own());
                drop_flat(items);
            }
            Val::Dict(dict) => {
                let entries = std::mem::take(&mut *dict.own());
                drop_flat(entries.into_iter().flat_map(|(key, value)| [key.0, value]));
            }
            Val::Namespace(namespace) => namespace.empty(),
            _ => {}
        }
    }
}

/// The budget of one evaluation, counted down.
pub(crate) struct Budget {
    pub(crate) steps: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
}

impl Budget {
    pub(crate) fn new(limits: &crate::Limits) -> Budget {
        Budget {
            steps: Cell::new(limits.steps),
            bytes: Cell::new(limits.bytes),
        }
    }

    /// Takes `count` steps of work.
    pub(crate) fn step(&self, count: usize) -> super::Res<()> {
        let left = self.steps.get();
        let count = count as u64;
        if left < count {
            return Err(super::limit_error("the template takes too many steps"));
        }
        self.steps.set(left - count);
        Ok(())
    }

    /// Takes `count` bytes of result.
    pub(crate) fn bytes(&self, count: usize) -> super::Res<()> {
        let left = self.bytes.get();
        let count = count as u64;
        if left < count {
            return Err(super::limit_error("the template produces too much data"));
        }
        self.bytes.set(left - count);
        Ok(())
    }

    /// Takes room for `count` elements of a collection.
    pub(crate) fn elements(&self, count: usize) -> super::Res<()> {
        self.step(count)?;
        self.bytes(count.saturating_mul(16))
    }
}
