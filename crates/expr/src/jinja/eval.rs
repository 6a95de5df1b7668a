//! Runs a parsed template.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use squall_value::Str;

use super::ast::{Args, Body, Expr, For, Macro, Stmt, Target};
use super::objects::{Function, LoopState, MacroValue, Recursion};
use super::registry::{self, CallArgs, Environment};
use super::scope::Scope;
use super::text;
use super::value::{Budget, Entries, Key, Lookup, Val};
use super::variables::{plain_variable, workflow_variable};
use super::{Res, limit_error, lookup, ops, runtime_error, type_error, value_error};
use crate::scope::Context;

/// How often the wall clock is asked for, in steps.
const CLOCK_STEPS: u64 = 4096;
/// Nesting of evaluation at run time: expressions, bodies, macro calls.
const DEPTH_MAX: usize = 400;

/// What a template is evaluated against.
#[derive(Clone, Copy)]
pub(crate) enum Outside<'a> {
    Plain(Context<'a>),
    Workflow(&'a dyn crate::Scope),
}

/// One run of one template.
pub(crate) struct Engine<'a> {
    pub(crate) outside: Outside<'a>,
    pub(crate) is_strict: bool,
    pub(crate) budget: Budget,
    pub(super) is_escaping: Cell<bool>,
    /// Whether the text that is evaluated came as data: it may not read the datastore.
    pub(crate) is_data: Cell<bool>,
    depth: Cell<usize>,
    next_clock: Cell<u64>,
    /// Variables from outside that were looked up before: the same name gives the same object.
    known: RefCell<Vec<(Str, Val)>>,
    /// What may hold itself by now, and is emptied in the end.
    cyclic: RefCell<Vec<Val>>,
    cyclic_scopes: RefCell<Vec<Rc<Scope>>>,
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        for scope in self.cyclic_scopes.get_mut() {
            scope.clear();
        }
        for value in self.cyclic.get_mut() {
            value.empty();
        }
    }
}

impl<'a> Engine<'a> {
    pub(crate) fn new(outside: Outside<'a>, is_strict: bool, limits: &crate::Limits) -> Engine<'a> {
        Engine {
            outside,
            is_strict,
            budget: Budget::new(limits),
            is_escaping: Cell::new(false),
            is_data: Cell::new(false),
            depth: Cell::new(0),
            next_clock: Cell::new(limits.steps.saturating_sub(CLOCK_STEPS)),
            known: RefCell::new(Vec::new()),
            cyclic: RefCell::new(Vec::new()),
            cyclic_scopes: RefCell::new(Vec::new()),
        }
    }

    /// Notes that `container` was given `value`, which may hold the container.
    pub(super) fn note_held(&self, container: &Val, value: &Val) {
        let mut cyclic = self.cyclic.borrow_mut();
        let is_known = cyclic
            .last()
            .is_some_and(|last| ops::is_same(last, container));
        if value.is_shared_object() && !is_known {
            cyclic.push(container.clone());
        }
    }

    fn note_scope(&self, scope: &Rc<Scope>) {
        let mut scopes = self.cyclic_scopes.borrow_mut();
        if !scopes.last().is_some_and(|last| Rc::ptr_eq(last, scope)) {
            scopes.push(Rc::clone(scope));
        }
    }

    pub(super) fn environment(&self) -> Environment {
        match self.outside {
            Outside::Plain(_) => Environment::Plain,
            Outside::Workflow(_) => Environment::Workflow,
        }
    }

    pub(crate) fn host(&self) -> Option<&dyn crate::Host> {
        match self.outside {
            Outside::Plain(context) => context.datastore.map(|datastore| datastore.host),
            Outside::Workflow(scope) => Some(scope.host()),
        }
    }

    /// Renders a template.
    pub(super) fn render(&self, body: &Body) -> Res<String> {
        let mut out = String::new();
        self.body(body, &Scope::root(), &mut out)?;
        Ok(out)
    }

    /// Evaluates a bare expression.
    pub(super) fn evaluate(&self, expr: &Expr) -> Res<Val> {
        self.expr(expr, &Scope::root())
    }

    /// One step of work.
    pub(super) fn step(&self) -> Res<()> {
        self.budget.step(1)?;
        if self.budget.steps.get() < self.next_clock.get() {
            self.next_clock
                .set(self.budget.steps.get().saturating_sub(CLOCK_STEPS));
            if self.host().is_some_and(crate::Host::is_out_of_time) {
                return Err(limit_error("the template takes too much time"));
            }
        }
        Ok(())
    }

    /// One step of work, one level deeper.
    fn enter(&self) -> Res<()> {
        self.step()?;
        let depth = self.depth.get();
        if depth >= DEPTH_MAX {
            return Err(limit_error("maximum recursion depth exceeded"));
        }
        self.depth.set(depth + 1);
        Ok(())
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }

    /// Runs `work` one level deeper.
    pub(super) fn nested<T>(&self, work: impl FnOnce() -> Res<T>) -> Res<T> {
        self.enter()?;
        let result = work();
        self.leave();
        result
    }

    fn write(&self, out: &mut String, text: &str) -> Res<()> {
        self.budget.bytes(text.len())?;
        out.push_str(text);
        Ok(())
    }

    fn body(&self, body: &Body, scope: &Rc<Scope>, out: &mut String) -> Res<()> {
        for statement in body {
            match statement {
                Stmt::Data(text) => self.write(out, text)?,
                Stmt::Print(expr) => {
                    let value = self.expr(expr, scope)?;
                    self.print(&value, out)?;
                }
                other => {
                    self.enter()?;
                    let result = self.statement(other, scope, out);
                    self.leave();
                    result?;
                }
            }
        }
        Ok(())
    }

    fn print(&self, value: &Val, out: &mut String) -> Res<()> {
        if let Val::Key(lookup) = value {
            let text = self.key_text(lookup)?;
            return self.write(out, &text);
        }
        if self.is_escaping.get() && !matches!(value, Val::Safe(_)) {
            let escaped = text::escape_html(&self.text(value)?);
            return self.write(out, &escaped);
        }
        let before = out.len();
        text::write_str(out, value)?;
        self.budget.bytes(out.len() - before)
    }

    /// `str(value)`, datastore look-ups included.
    pub(crate) fn text(&self, value: &Val) -> Res<Str> {
        let text = match value {
            Val::Key(lookup) => self.key_text(lookup)?,
            other => text::str(other)?,
        };
        if value.as_str().is_none() {
            self.budget.bytes(text.len())?;
        }
        Ok(text)
    }

    /// The value of a datastore item as text; empty if there is none.
    pub(crate) fn key_text(&self, lookup: &Lookup) -> Res<Str> {
        if lookup.key.is_empty() {
            return Err(super::key_error(&Val::str("")));
        }
        let Some(host) = super::variables::datastore(self)? else {
            return Ok(Str::from(""));
        };
        let value = host
            .key(&lookup.scope, &lookup.key, false)
            .map_err(|error| super::host_error(&error))?;
        match value {
            None => Ok(Str::from("")),
            Some(value) => text::str(&Val::from(&value)),
        }
    }

    fn statement(&self, statement: &Stmt, scope: &Rc<Scope>, out: &mut String) -> Res<()> {
        match statement {
            Stmt::Data(_) | Stmt::Print(_) => Ok(()),
            Stmt::For(node) => self.for_loop(node, scope, out),
            Stmt::If {
                branches,
                otherwise,
            } => {
                for (test, body) in branches {
                    if ops::truth(&self.expr(test, scope)?)? {
                        return self.body(body, scope, out);
                    }
                }
                self.body(otherwise, scope, out)
            }
            Stmt::Set(target, expr) => {
                let value = self.expr(expr, scope)?;
                self.assign(target, value, scope)
            }
            Stmt::SetBlock {
                target,
                filter,
                body,
            } => {
                let mut value = self.captured(body, &Scope::inner(scope))?;
                if let Some(filter) = filter {
                    value = self.filtered(filter, Some(value), scope)?;
                }
                self.assign(target, value, scope)
            }
            Stmt::With { .. }
            | Stmt::AutoEscape(..)
            | Stmt::FilterBlock { .. }
            | Stmt::Block { .. } => self.frame(statement, scope, out),
            Stmt::Macro(node) => {
                let value = self.macro_value(node, scope);
                if let Some(name) = &node.name {
                    scope.set(name, value);
                }
                Ok(())
            }
            Stmt::CallBlock { call, caller } => {
                let caller = self.macro_value(caller, scope);
                let value = self.call_with_caller(call, caller, scope)?;
                self.print(&value, out)
            }
            Stmt::Load { template, .. } => {
                self.expr(template, scope)?;
                Err(type_error("no loader for this environment specified"))
            }
        }
    }

    /// A statement whose body has variables of its own.
    fn frame(&self, statement: &Stmt, scope: &Rc<Scope>, out: &mut String) -> Res<()> {
        let inner = Scope::inner(scope);
        match statement {
            Stmt::With { bindings, body } => {
                // All values are evaluated outside before any name is bound.
                let values: Vec<Val> = bindings
                    .iter()
                    .map(|(_, expr)| self.expr(expr, scope))
                    .collect::<Res<_>>()?;
                for ((target, _), value) in bindings.iter().zip(values) {
                    self.assign(target, value, &inner)?;
                }
                self.body(body, &inner, out)
            }
            Stmt::AutoEscape(enabled, body) => {
                let enabled = ops::truth(&self.expr(enabled, scope)?)?;
                let before = self.is_escaping.replace(enabled);
                let result = self.body(body, &inner, out);
                self.is_escaping.set(before);
                result
            }
            Stmt::FilterBlock { filter, body } => {
                let value = self.captured(body, &inner)?;
                let value = self.filtered(filter, Some(value), &inner)?;
                // The parts of the output are joined as they are.
                if value.as_str().is_none() {
                    return Err(type_error(format!(
                        "sequence item 0: expected str instance, {} found",
                        value.type_name()
                    )));
                }
                self.print(&value, out)
            }
            Stmt::Block {
                is_scoped, body, ..
            } if *is_scoped => self.body(body, &inner, out),
            Stmt::Block { body, .. } => {
                self.body(body, &Scope::inner(&Scope::outermost(scope)), out)
            }
            other => self.statement(other, scope, out),
        }
    }

    fn macro_value(&self, node: &Arc<Macro>, scope: &Rc<Scope>) -> Val {
        self.note_scope(scope);
        Val::Macro(Rc::new(MacroValue {
            node: Arc::clone(node),
            scope: Rc::clone(scope),
        }))
    }

    /// The text of a body.
    pub(super) fn captured(&self, body: &Body, scope: &Rc<Scope>) -> Res<Val> {
        let mut out = String::new();
        self.body(body, scope, &mut out)?;
        Ok(if self.is_escaping.get() {
            Val::Safe(out.into())
        } else {
            Val::str(out)
        })
    }

    fn assign(&self, target: &Target, value: Val, scope: &Rc<Scope>) -> Res<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attribute(name, attribute) => match self.name(name, scope) {
                Val::Namespace(namespace) => {
                    self.budget.elements(1)?;
                    self.note_held(&Val::Namespace(Rc::clone(&namespace)), &value);
                    namespace.set(attribute, value);
                }
                _ => {
                    return Err(runtime_error(
                        "cannot assign attribute on non-namespace object",
                    ));
                }
            },
            Target::Tuple(targets) => {
                let items = lookup::elements(&value, self).map_err(|error| match value {
                    Val::Undefined(_) => error,
                    ref other => type_error(format!(
                        "cannot unpack non-iterable {} object",
                        other.type_name()
                    )),
                })?;
                if items.len() > targets.len() {
                    return Err(value_error(format!(
                        "too many values to unpack (expected {})",
                        targets.len()
                    )));
                }
                if items.len() < targets.len() {
                    return Err(value_error(format!(
                        "not enough values to unpack (expected {}, got {})",
                        targets.len(),
                        items.len()
                    )));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, scope)?;
                }
            }
        }
        Ok(())
    }

    fn for_loop(&self, node: &Arc<For>, scope: &Rc<Scope>, out: &mut String) -> Res<()> {
        let items = self.expr(&node.iter, scope)?;
        self.run_loop(node, &items, scope, 0, out)
    }

    pub(super) fn run_loop(
        &self,
        node: &Arc<For>,
        items: &Val,
        scope: &Rc<Scope>,
        depth: usize,
        out: &mut String,
    ) -> Res<()> {
        let mut items = lookup::elements(items, self)?;
        if let Some(test) = &node.test {
            let mut kept = Vec::new();
            for item in items {
                let inner = Scope::inner(scope);
                self.assign(&node.target, item.clone(), &inner)?;
                if ops::truth(&self.expr(test, &inner)?)? {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.body(&node.otherwise, &Scope::inner(scope), out);
        }
        if node.is_recursive {
            self.note_scope(scope);
        }
        let state = Rc::new(LoopState {
            items,
            index: Cell::new(0),
            depth,
            last: RefCell::new(None),
            recursion: node.is_recursive.then(|| Recursion {
                node: Arc::clone(node),
                scope: Rc::clone(scope),
            }),
            is_strict: self.is_strict,
        });
        let name: Str = Str::from("loop");
        let mut inner = Scope::inner(scope);
        for index in 0..state.items.len() {
            // A macro defined in the last round may hold on to its frame.
            if Rc::strong_count(&inner) > 1 {
                inner = Scope::inner(scope);
            } else {
                inner.clear();
            }
            state.index.set(index);
            inner.set(&name, Val::Loop(Rc::clone(&state)));
            self.assign(&node.target, state.items[index].clone(), &inner)?;
            self.step()?;
            self.body(&node.body, &inner, out)?;
        }
        Ok(())
    }

    /// The value of a name: of a frame, of the context, of the globals.
    pub(super) fn name(&self, name: &Str, scope: &Scope) -> Val {
        if let Some(value) = scope.get(name) {
            return value;
        }
        if let Some((_, value)) = self.known.borrow().iter().find(|(found, _)| found == name) {
            return value.clone();
        }
        let found = match self.outside {
            Outside::Plain(context) => plain_variable(&context, name),
            Outside::Workflow(scope) => workflow_variable(scope, name),
        };
        let global = || match &**name {
            "self" => Some(Val::Opaque(
                "TemplateReference",
                "<TemplateReference None>".into(),
            )),
            name => Function::global(name).map(Val::Function),
        };
        let Some(value) = found.or_else(global) else {
            return Val::undefined(format!("'{name}' is undefined"), !self.is_strict);
        };
        self.known.borrow_mut().push((name.clone(), value.clone()));
        value
    }

    /// A workflow variable, the same object each time.
    pub(crate) fn workflow_variable(&self, name: &Str) -> Option<Val> {
        let Outside::Workflow(scope) = self.outside else {
            return None;
        };
        // No name of a template holds a blank, so these can't be confused with names.
        let key: Str = Str::from(format!("ctx {name}"));
        if let Some((_, value)) = self.known.borrow().iter().find(|(found, _)| *found == key) {
            return Some(value.clone());
        }
        let value = Val::from(&scope.variable(name)?);
        if !matches!(value, Val::List(_) | Val::Dict(_)) {
            return Some(value);
        }
        self.known.borrow_mut().push((key, value.clone()));
        Some(value)
    }

    pub(super) fn expr(&self, expr: &Expr, scope: &Rc<Scope>) -> Res<Val> {
        match expr {
            Expr::Const(value) => Ok(Val::from(value)),
            Expr::Name(name) => Ok(self.name(name, scope)),
            _ => {
                self.enter()?;
                let value = self.compound(expr, scope);
                self.leave();
                value
            }
        }
    }

    fn compound(&self, expr: &Expr, scope: &Rc<Scope>) -> Res<Val> {
        match expr {
            Expr::Const(value) => Ok(Val::from(value)),
            Expr::Name(name) => Ok(self.name(name, scope)),
            Expr::List(items) => Ok(Val::list(self.exprs(items, scope)?)),
            Expr::Tuple(items) => Ok(Val::tuple(self.exprs(items, scope)?)),
            Expr::Dict(items) => self.dict(items, scope),
            Expr::Cond {
                test,
                then,
                otherwise,
                line,
            } => {
                if ops::truth(&self.expr(test, scope)?)? {
                    return self.expr(then, scope);
                }
                match otherwise {
                    Some(otherwise) => self.expr(otherwise, scope),
                    None => Ok(Val::undefined(
                        format!(
                            "the inline if-expression on line {line} evaluated to false and no \
                             else section was defined."
                        ),
                        true,
                    )),
                }
            }
            Expr::Or(operands) => self.first_with(operands, true, scope),
            Expr::And(operands) => self.first_with(operands, false, scope),
            Expr::Not(operand) => Ok(Val::Bool(!ops::truth(&self.expr(operand, scope)?)?)),
            Expr::Neg(operand) => ops::sign(&self.expr(operand, scope)?, true),
            Expr::Pos(operand) => ops::sign(&self.expr(operand, scope)?, false),
            Expr::Chain(first, rest) => {
                let mut value = self.expr(first, scope)?;
                for (operator, operand) in rest {
                    let operand = self.expr(operand, scope)?;
                    value = ops::binary(*operator, &value, &operand, &self.budget)?;
                }
                Ok(value)
            }
            Expr::Concat(operands) => self.concat(operands, scope),
            Expr::Compare(first, rest) => {
                let mut left = self.expr(first, scope)?;
                for (operator, operand) in rest {
                    let right = self.expr(operand, scope)?;
                    if !ops::compare(self, *operator, &left, &right)? {
                        return Ok(Val::Bool(false));
                    }
                    left = right;
                }
                Ok(Val::Bool(true))
            }
            Expr::Attr(target, name) => self.attribute(target, name, scope),
            Expr::Item(target, item) => self.item(target, item, scope),
            Expr::Slice(_) => Err(type_error("a slice is no value")),
            Expr::Filter { target, .. } => {
                let value = match target {
                    Some(target) => Some(self.expr(target, scope)?),
                    None => None,
                };
                self.filtered(expr, value, scope)
            }
            Expr::Test { .. } => self.test(expr, scope),
            Expr::Call { target, args } => {
                let callee = self.expr(target, scope)?;
                let args = self.args(Vec::new(), args, scope)?;
                self.call(&callee, args)
            }
        }
    }

    fn exprs(&self, items: &[Expr], scope: &Rc<Scope>) -> Res<Vec<Val>> {
        self.budget.elements(items.len())?;
        items.iter().map(|item| self.expr(item, scope)).collect()
    }

    fn dict(&self, items: &[(Expr, Expr)], scope: &Rc<Scope>) -> Res<Val> {
        self.budget.elements(items.len())?;
        let mut entries = Entries::default();
        for (key, value) in items {
            let key = Key::new(self.expr(key, scope)?)?;
            entries.insert(key, self.expr(value, scope)?);
        }
        Ok(Val::dict(entries))
    }

    /// `or` gives the first true operand, `and` the first false one, else the last.
    fn first_with(&self, operands: &[Expr], wanted: bool, scope: &Rc<Scope>) -> Res<Val> {
        let mut value = Val::None;
        for (index, operand) in operands.iter().enumerate() {
            value = self.expr(operand, scope)?;
            if index + 1 < operands.len() && ops::truth(&value)? == wanted {
                return Ok(value);
            }
        }
        Ok(value)
    }

    fn concat(&self, operands: &[Expr], scope: &Rc<Scope>) -> Res<Val> {
        let mut out = String::new();
        let mut is_safe = self.is_escaping.get();
        let values = self.exprs(operands, scope)?;
        is_safe = is_safe && values.iter().any(|value| matches!(value, Val::Safe(_)));
        for value in &values {
            let text = self.text(value)?;
            if is_safe && !matches!(value, Val::Safe(_)) {
                out.push_str(&text::escape_html(&text));
            } else {
                out.push_str(&text);
            }
        }
        self.budget.bytes(out.len())?;
        Ok(if is_safe {
            Val::Safe(out.into())
        } else {
            Val::str(out)
        })
    }

    /// Whether an expression is `ctx()`, so that single variables can be taken without the whole.
    fn is_context_call(&self, expr: &Expr, scope: &Scope) -> bool {
        matches!(self.outside, Outside::Workflow(_))
            && matches!(expr, Expr::Call { target, args } if args.is_empty()
                && matches!(&**target, Expr::Name(name) if **name == *"ctx"
                    && scope.get(name).is_none()))
    }

    /// `ctx().name`, if it is a variable's value.
    fn context_member(&self, target: &Expr, name: &Str, scope: &Scope) -> Option<Val> {
        if !self.is_context_call(target, scope) {
            return None;
        }
        if name.starts_with("__") {
            return None;
        }
        self.workflow_variable(name)
    }

    fn attribute(&self, target: &Expr, name: &Str, scope: &Rc<Scope>) -> Res<Val> {
        if !super::methods::is_dict_method(name)
            && let Some(value) = self.context_member(target, name, scope)
        {
            return Ok(value);
        }
        let value = self.expr(target, scope)?;
        lookup::attribute(&value, name, self.is_strict)
    }

    fn item(&self, target: &Expr, item: &Expr, scope: &Rc<Scope>) -> Res<Val> {
        if let Expr::Const(squall_value::Value::String(name)) = item
            && let Some(value) = self.context_member(target, name, scope)
        {
            return Ok(value);
        }
        let value = self.expr(target, scope)?;
        if let Expr::Slice(parts) = item {
            let part =
                |part: &Option<Expr>| part.as_ref().map(|part| self.expr(part, scope)).transpose();
            let parts = [part(&parts[0])?, part(&parts[1])?, part(&parts[2])?];
            let sliced = lookup::slice(&value, &parts)?;
            if let Some(text) = sliced.as_str() {
                self.budget.bytes(text.len())?;
            } else if let Ok(length) = lookup::length(&sliced) {
                self.budget.elements(length)?;
            }
            return Ok(sliced);
        }
        let item = self.expr(item, scope)?;
        let item = match item {
            Val::Key(lookup) => Val::Str(self.key_text(&lookup)?),
            other => other,
        };
        lookup::item(&value, &item, self.is_strict)
    }

    /// Applies a chain of filters whose innermost target is `value`.
    fn filtered(&self, expr: &Expr, value: Option<Val>, scope: &Rc<Scope>) -> Res<Val> {
        let Expr::Filter {
            target,
            name,
            filter,
            args,
        } = expr
        else {
            return Ok(value.unwrap_or(Val::None));
        };
        // In a block the innermost filter has no target of its own; those around it do.
        let value = match (target, value) {
            (Some(target), Some(value)) if is_open_chain(target) => {
                self.filtered(target, Some(value), scope)?
            }
            (_, Some(value)) => value,
            (_, None) => Val::None,
        };
        let Some(filter) = filter else {
            return Err(runtime_error(format!("No filter named '{name}' found.")));
        };
        let args = self.args(vec![value], args, scope)?;
        self.apply(filter, args)
    }

    /// Applies a filter.
    pub(super) fn apply(&self, filter: &'static registry::Filter, args: CallArgs) -> Res<Val> {
        if filter.needs_scope {
            return Err(registry::needs_scope(filter, args));
        }
        (filter.call)(self, registry::bind(filter, args)?)
    }

    fn test(&self, expr: &Expr, scope: &Rc<Scope>) -> Res<Val> {
        let Expr::Test {
            target,
            name,
            test,
            args,
        } = expr
        else {
            return Ok(Val::None);
        };
        let value = self.expr(target, scope)?;
        let Some(test) = test else {
            return Err(runtime_error(format!("No test named '{name}' found.")));
        };
        let args = self.args(vec![value], args, scope)?;
        (test.call)(self, registry::bind(test, args)?)
    }

    pub(super) fn args(
        &self,
        mut positional: Vec<Val>,
        args: &Args,
        scope: &Rc<Scope>,
    ) -> Res<CallArgs> {
        for expr in &args.positional {
            positional.push(self.expr(expr, scope)?);
        }
        let mut named = Vec::with_capacity(args.named.len());
        for (name, expr) in &args.named {
            if named.iter().any(|(found, _)| found == name) {
                return Err(super::syntax_error(
                    format!("keyword argument repeated: {name}"),
                    1,
                ));
            }
            named.push((name.clone(), self.expr(expr, scope)?));
        }
        if let Some(star) = &args.star {
            let star = self.expr(star, scope)?;
            positional.extend(lookup::elements(&star, self)?);
        }
        if let Some(star_star) = &args.star_star {
            match self.expr(star_star, scope)? {
                Val::Dict(dict) => {
                    for (key, value) in dict.items() {
                        let Some(key) = key.as_str() else {
                            return Err(type_error("keywords must be strings"));
                        };
                        named.push((key.clone(), value));
                    }
                }
                Val::Undefined(missing) => return Err(missing.error()),
                other => {
                    return Err(type_error(format!(
                        "argument after ** must be a mapping, not {}",
                        other.type_name()
                    )));
                }
            }
        }
        Ok(CallArgs { positional, named })
    }

    fn call_with_caller(&self, call: &Expr, caller: Val, scope: &Rc<Scope>) -> Res<Val> {
        let Expr::Call { target, args } = call else {
            return Err(type_error("expected call"));
        };
        let callee = self.expr(target, scope)?;
        let mut args = self.args(Vec::new(), args, scope)?;
        args.named.push((Str::from("caller"), caller));
        self.call(&callee, args)
    }
}

/// Whether a filter's target is a filter without a target: the head of a block's chain.
fn is_open_chain(expr: &Expr) -> bool {
    match expr {
        Expr::Filter { target: None, .. } => true,
        Expr::Filter {
            target: Some(target),
            ..
        } => is_open_chain(target),
        _ => false,
    }
}
