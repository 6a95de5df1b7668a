//! Questions about a parsed template that are answered without running it: which filters and tests
//! are unknown, which names come from outside.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use squall_value::Str;

use super::ast::{Args, Body, Expr, For, Macro, Stmt, Target};
use super::{Res, assertion_error};

/// Calls `visit` on the direct operands of an expression, in order of evaluation.
fn for_operands<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    let args = |args: &'a Args, visit: &mut dyn FnMut(&'a Expr)| args.iter().for_each(visit);
    match expr {
        Expr::Const(_) | Expr::Name(_) => {}
        Expr::List(items)
        | Expr::Tuple(items)
        | Expr::Or(items)
        | Expr::And(items)
        | Expr::Concat(items) => items.iter().for_each(visit),
        Expr::Dict(items) => items.iter().for_each(|(key, value)| {
            visit(key);
            visit(value);
        }),
        Expr::Cond {
            test,
            then,
            otherwise,
            ..
        } => {
            visit(test);
            visit(then);
            otherwise.iter().for_each(|expr| visit(expr));
        }
        Expr::Not(operand) | Expr::Neg(operand) | Expr::Pos(operand) => visit(operand),
        Expr::Chain(first, rest) => {
            visit(first);
            rest.iter().for_each(|(_, expr)| visit(expr));
        }
        Expr::Compare(first, rest) => {
            visit(first);
            rest.iter().for_each(|(_, expr)| visit(expr));
        }
        Expr::Attr(target, _) => visit(target),
        Expr::Item(target, item) => {
            visit(target);
            visit(item);
        }
        Expr::Slice(parts) => parts.iter().flatten().for_each(visit),
        Expr::Filter {
            target, args: a, ..
        } => {
            target.iter().for_each(|expr| visit(expr));
            args(a, visit);
        }
        Expr::Test {
            target, args: a, ..
        }
        | Expr::Call { target, args: a } => {
            visit(target);
            args(a, visit);
        }
    }
}

/// Calls `visit` on the expressions that stand directly in a statement, bodies apart.
fn for_expressions<'a>(statement: &'a Stmt, visit: &mut dyn FnMut(&'a Expr)) {
    match statement {
        Stmt::Data(_) | Stmt::Block { .. } => {}
        Stmt::Print(expr) | Stmt::Set(_, expr) | Stmt::AutoEscape(expr, _) => visit(expr),
        Stmt::For(node) => {
            visit(&node.iter);
            node.test.iter().for_each(visit);
        }
        Stmt::If { branches, .. } => branches.iter().for_each(|(test, _)| visit(test)),
        Stmt::SetBlock { filter, .. } => filter.iter().for_each(visit),
        Stmt::With { bindings, .. } => bindings.iter().for_each(|(_, expr)| visit(expr)),
        Stmt::FilterBlock { filter, .. } => visit(filter),
        Stmt::Macro(node) => node.defaults.iter().for_each(visit),
        Stmt::CallBlock { call, caller } => {
            visit(call);
            caller.defaults.iter().for_each(visit);
        }
        Stmt::Load { template, .. } => visit(template),
    }
}

/// The bodies within a statement.
fn bodies(statement: &Stmt) -> Vec<&Body> {
    match statement {
        Stmt::Data(_) | Stmt::Print(_) | Stmt::Set(..) | Stmt::Load { .. } => Vec::new(),
        Stmt::For(node) => vec![&node.body, &node.otherwise],
        Stmt::If {
            branches,
            otherwise,
        } => branches
            .iter()
            .map(|(_, body)| body)
            .chain([otherwise])
            .collect(),
        Stmt::SetBlock { body, .. }
        | Stmt::With { body, .. }
        | Stmt::AutoEscape(_, body)
        | Stmt::FilterBlock { body, .. }
        | Stmt::Block { body, .. } => vec![body],
        Stmt::Macro(node) => vec![&node.body],
        Stmt::CallBlock { caller, .. } => vec![&caller.body],
    }
}

/// Whether `name` is read anywhere in `body`.
pub(super) fn reads(body: &Body, name: &str) -> bool {
    body.iter().any(|statement| {
        let mut found = false;
        for_expressions(statement, &mut |expr| {
            found = found || expr_reads(expr, name)
        });
        found || bodies(statement).into_iter().any(|body| reads(body, name))
    })
}

fn expr_reads(expr: &Expr, name: &str) -> bool {
    if let Expr::Name(found) = expr {
        return **found == *name;
    }
    let mut found = false;
    for_operands(expr, &mut |operand| {
        found = found || expr_reads(operand, name)
    });
    found
}

/// Refuses filters and tests that do not exist. Within `if` and conditional expressions they are
/// refused only when they are reached.
pub(super) fn check(body: &Body) -> Res<()> {
    check_body(body, false)
}

/// As [`check`], for a bare expression.
pub(super) fn check_expression(expr: &Expr) -> Res<()> {
    check_expr(expr, false)
}

fn check_body(body: &Body, is_soft: bool) -> Res<()> {
    for statement in body {
        let mut result = Ok(());
        for_expressions(statement, &mut |expr| {
            if result.is_ok() {
                result = check_expr(expr, is_soft || matches!(statement, Stmt::If { .. }));
            }
        });
        result?;
        // Statements with a scope of their own end the leniency of an `if` around them.
        let is_soft = matches!(statement, Stmt::If { .. });
        for body in bodies(statement) {
            check_body(body, is_soft)?;
        }
    }
    Ok(())
}

fn check_expr(expr: &Expr, is_soft: bool) -> Res<()> {
    match expr {
        Expr::Filter {
            name, filter: None, ..
        } if !is_soft => return Err(assertion_error(format!("No filter named '{name}'."), 1)),
        Expr::Test {
            name, test: None, ..
        } if !is_soft => return Err(assertion_error(format!("No test named '{name}'."), 1)),
        _ => {}
    }
    let is_soft = is_soft || matches!(expr, Expr::Cond { .. });
    let mut result = Ok(());
    for_operands(expr, &mut |operand| {
        if result.is_ok() {
            result = check_expr(operand, is_soft);
        }
    });
    result
}

/// Names that every template knows.
pub(super) const GLOBALS: [&str; 6] = ["range", "dict", "lipsum", "cycler", "joiner", "namespace"];

/// The names that a template reads from its context.
pub(super) fn undeclared(body: &Body) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut root = Frame::default();
    root.body(body);
    walk(body, &Rc::new(root), &mut found);
    found
}

/// How a name of a frame gets its first value.
#[derive(Clone, Copy, PartialEq)]
enum Load {
    /// Given by the frame itself: a parameter, a loop's target.
    Parameter,
    /// Looked up in the context.
    Context,
    /// Taken from the frame around.
    Outer,
    /// Nothing until it is assigned.
    Nothing,
}

/// The names of one scope. Jinja decides per scope, not per place, where a name comes from: the
/// first use within the scope counts.
#[derive(Clone, Default)]
struct Frame {
    names: HashMap<Str, Load>,
    stores: HashSet<Str>,
    outer: Option<Rc<Frame>>,
}

impl Frame {
    fn inner(outer: &Rc<Frame>) -> Frame {
        Frame {
            outer: Some(Rc::clone(outer)),
            ..Frame::default()
        }
    }

    fn outer_knows(&self, name: &str) -> bool {
        self.outer.as_ref().is_some_and(|outer| outer.knows(name))
    }

    fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name) || self.outer_knows(name)
    }

    fn load(&mut self, name: &str) {
        if !self.knows(name) {
            self.names.insert(name.into(), Load::Context);
        }
    }

    fn store(&mut self, name: &str) {
        self.stores.insert(name.into());
        if !self.names.contains_key(name) {
            let load = if self.outer_knows(name) {
                Load::Outer
            } else {
                Load::Nothing
            };
            self.names.insert(name.into(), load);
        }
    }

    fn parameter(&mut self, name: &str) {
        self.stores.insert(name.into());
        self.names.insert(name.into(), Load::Parameter);
    }

    fn target(&mut self, target: &Target, is_parameter: bool) {
        match target {
            Target::Name(name) if is_parameter => self.parameter(name),
            Target::Name(name) => self.store(name),
            Target::Attribute(name, _) => self.load(name),
            Target::Tuple(targets) => {
                for target in targets {
                    self.target(target, is_parameter);
                }
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if let Expr::Name(name) = expr {
            self.load(name);
        }
        for_operands(expr, &mut |operand| self.expr(operand));
    }

    fn body(&mut self, body: &Body) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Data(_) | Stmt::Block { .. } | Stmt::AutoEscape(..) => {}
            Stmt::Print(expr) => self.expr(expr),
            Stmt::For(node) => self.expr(&node.iter),
            Stmt::If {
                branches,
                otherwise,
            } => self.branches(branches, otherwise),
            Stmt::Set(target, expr) => {
                self.expr(expr);
                self.target(target, false);
            }
            Stmt::SetBlock { target, .. } => self.target(target, false),
            Stmt::With { bindings, .. } => {
                for (_, expr) in bindings {
                    self.expr(expr);
                }
            }
            Stmt::FilterBlock { filter, .. } => self.expr(filter),
            Stmt::Macro(node) => {
                if let Some(name) = &node.name {
                    self.store(name);
                }
            }
            Stmt::CallBlock { call, .. } => self.expr(call),
            Stmt::Load { template, names } => {
                self.expr(template);
                for name in names {
                    self.store(name);
                }
            }
        }
    }

    /// A name that only some branches assign comes from outside in the others.
    fn branches(&mut self, branches: &[(Expr, Body)], otherwise: &Body) {
        let Some(((test, body), elifs)) = branches.split_first() else {
            return;
        };
        self.expr(test);
        let known_stores = self.stores.clone();
        let mut first = self.clone();
        first.body(body);
        let mut second = self.clone();
        for (test, body) in elifs {
            // Each `elif` is an `if` of its own within the branch.
            second.expr(test);
            let mut inner = second.clone();
            inner.body(body);
            second.merge(&[inner]);
        }
        let mut third = self.clone();
        third.body(otherwise);
        let merged = [first, second, third];
        self.merge_from(&merged, &known_stores);
    }

    fn merge(&mut self, branches: &[Frame]) {
        let known = self.stores.clone();
        self.merge_from(branches, &known);
    }

    fn merge_from(&mut self, branches: &[Frame], known: &HashSet<Str>) {
        let mut fresh: HashSet<Str> = HashSet::new();
        for branch in branches {
            fresh.extend(branch.stores.difference(known).cloned());
        }
        for branch in branches {
            for (name, load) in &branch.names {
                self.names.insert(name.clone(), *load);
            }
            self.stores.extend(branch.stores.iter().cloned());
        }
        for name in fresh {
            let load = if self.outer_knows(&name) {
                Load::Outer
            } else {
                Load::Context
            };
            self.names.insert(name, load);
        }
    }
}

/// Adds what the innermost frame looks up in the context, then visits the frames within.
fn walk(body: &Body, frame: &Rc<Frame>, found: &mut BTreeSet<String>) {
    for (name, load) in &frame.names {
        if *load == Load::Context && !GLOBALS.contains(&&**name) {
            found.insert(name.to_string());
        }
    }
    walk_statements(body, frame, found);
}

fn walk_statements(body: &Body, frame: &Rc<Frame>, found: &mut BTreeSet<String>) {
    for statement in body {
        match statement {
            Stmt::Data(_) | Stmt::Print(_) | Stmt::Set(..) | Stmt::Load { .. } => {}
            Stmt::If {
                branches,
                otherwise,
            } => {
                for (_, body) in branches {
                    walk_statements(body, frame, found);
                }
                walk_statements(otherwise, frame, found);
            }
            Stmt::For(node) => walk_loop(node, frame, found),
            Stmt::With { bindings, body } => scoped(frame, found, body, |frame| {
                for (target, _) in bindings {
                    frame.target(target, true);
                }
                frame.body(body);
            }),
            Stmt::AutoEscape(enabled, body) => scoped(frame, found, body, |frame| {
                frame.expr(enabled);
                frame.body(body);
            }),
            Stmt::SetBlock { filter, body, .. } => scoped(frame, found, body, |frame| {
                frame.body(body);
                filter.iter().for_each(|filter| frame.expr(filter));
            }),
            Stmt::FilterBlock { filter, body } => scoped(frame, found, body, |frame| {
                frame.expr(filter);
                frame.body(body);
            }),
            Stmt::Macro(node) | Stmt::CallBlock { caller: node, .. } => {
                walk_macro(node, frame, found);
            }
            Stmt::Block { body, .. } => {
                let mut frame = Frame::default();
                if reads(body, "self") {
                    frame.parameter("self");
                }
                if reads(body, "super") {
                    frame.parameter("super");
                }
                frame.body(body);
                walk(body, &Rc::new(frame), found);
            }
        }
    }
}

fn walk_loop(node: &For, frame: &Rc<Frame>, found: &mut BTreeSet<String>) {
    if let Some(test) = &node.test {
        scoped(frame, found, &Vec::new(), |frame| {
            frame.target(&node.target, true);
            frame.expr(test);
        });
    }
    scoped(frame, found, &node.body, |frame| {
        if node.is_recursive || reads(&node.body, "loop") {
            frame.parameter("loop");
        }
        frame.target(&node.target, true);
        frame.body(&node.body);
    });
    scoped(frame, found, &node.otherwise, |frame| {
        frame.body(&node.otherwise);
    });
}

fn walk_macro(node: &Macro, frame: &Rc<Frame>, found: &mut BTreeSet<String>) {
    scoped(frame, found, &node.body, |frame| {
        for param in &node.params {
            frame.parameter(param);
        }
        for special in ["caller", "kwargs", "varargs"] {
            if reads(&node.body, special) && !frame.names.contains_key(special) {
                frame.parameter(special);
            }
        }
        node.defaults.iter().for_each(|expr| frame.expr(expr));
        frame.body(&node.body);
    });
}

fn scoped(
    frame: &Rc<Frame>,
    found: &mut BTreeSet<String>,
    body: &Body,
    fill: impl FnOnce(&mut Frame),
) {
    let mut inner = Frame::inner(frame);
    fill(&mut inner);
    walk(body, &Rc::new(inner), found);
}
