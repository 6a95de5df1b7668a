//! Calling things: functions, methods, macros, loops.

use std::cell::Cell;
use std::rc::Rc;

use squall_value::Str;

use super::eval::Engine;
use super::methods::{self, index_argument};
use super::objects::{Cycler, Function, Joiner, LoopState, MacroValue, Namespace};
use super::registry::{self, CallArgs};
use super::scope::Scope;
use super::value::{Entries, Key, Range, Val};
use super::{Res, arithmetic_error, raised, text, type_error};

/// The longest range that a template may make.
const RANGE_MAX: usize = 100_000;

impl Engine<'_> {
    /// `callee(args)`.
    pub(super) fn call(&self, callee: &Val, args: CallArgs) -> Res<Val> {
        match callee {
            Val::Undefined(missing) => Err(missing.error()),
            Val::Function(function) => self.call_function(*function, args),
            Val::Method(method) => {
                let mut args = args;
                args.positional.insert(0, method.target.clone());
                (method.callable.call)(self, registry::bind(method.callable, args)?)
            }
            Val::Macro(value) => self.call_macro(value, args),
            Val::Loop(state) => self.call_loop(state, args),
            Val::Joiner(joiner) => Ok(if joiner.is_used.replace(true) {
                joiner.separator.clone()
            } else {
                Val::str("")
            }),
            Val::Key(_) => Err(raised(
                "SecurityError",
                crate::Kind::Security,
                "a datastore look-up is not safely callable",
            )),
            other => Err(type_error(format!(
                "'{}' object is not callable",
                other.type_name()
            ))),
        }
    }

    fn call_function(&self, function: Function, args: CallArgs) -> Res<Val> {
        match function {
            Function::Range => range(args),
            Function::Dict => self.make_dict(args),
            Function::Lipsum => self.lipsum(args),
            Function::CyclerClass => {
                if args.positional.is_empty() {
                    return Err(raised(
                        "RuntimeError",
                        crate::Kind::Runtime,
                        "at least one item has to be provided",
                    ));
                }
                Ok(Val::Cycler(Rc::new(Cycler {
                    items: args.positional,
                    at: Cell::new(0),
                })))
            }
            Function::JoinerClass => {
                let named = args.named.into_iter().map(|(_, value)| value).next();
                let separator = args.positional.into_iter().next().or(named);
                Ok(Val::Joiner(Rc::new(Joiner {
                    separator: separator.unwrap_or_else(|| Val::str(", ")),
                    is_used: Cell::new(false),
                })))
            }
            Function::NamespaceClass => {
                let namespace = Namespace::default();
                for positional in &args.positional {
                    for (key, value) in methods::pairs(positional, self)? {
                        namespace.set(&text::str(&key.0)?, value);
                    }
                }
                for (name, value) in args.named {
                    namespace.set(&name, value);
                }
                Ok(Val::Namespace(Rc::new(namespace)))
            }
            Function::Catalogue(function) => (function.call)(self, registry::bind(function, args)?),
        }
    }

    pub(super) fn call_macro(&self, value: &MacroValue, args: CallArgs) -> Res<Val> {
        self.nested(|| {
            let scope = self.macro_scope(value, args)?;
            self.captured(&value.node.body, &scope)
        })
    }

    /// The frame of a macro's body: parameters, defaults and the three special names.
    fn macro_scope(&self, value: &MacroValue, args: CallArgs) -> Res<Rc<Scope>> {
        let node = &value.node;
        let shown = node.name.as_deref().unwrap_or("None");
        let scope = Scope::inner(&value.scope);
        let mut named = args.named;
        let mut take_named = |name: &str| {
            let at = named.iter().position(|(found, _)| **found == *name)?;
            Some(named.remove(at).1)
        };
        let given = args.positional.len();
        let mut positional = args.positional.into_iter();
        let without_default = node.params.len() - node.defaults.len();
        for (index, param) in node.params.iter().enumerate() {
            let value = match positional.next().or_else(|| take_named(param)) {
                Some(value) => value,
                None if index >= without_default => {
                    self.expr(&node.defaults[index - without_default], &scope)?
                }
                None => Val::undefined(
                    format!("parameter '{param}' was not provided"),
                    !self.is_strict,
                ),
            };
            scope.set(param, value);
        }
        if node.reads_caller {
            let caller = take_named("caller")
                .unwrap_or_else(|| Val::undefined("No caller defined", !self.is_strict));
            scope.set(&Str::from("caller"), caller);
        }
        if node.reads_kwargs {
            let entries = named
                .drain(..)
                .map(|(name, value)| (Key(Val::Str(name)), value));
            scope.set(&Str::from("kwargs"), Val::dict(entries.collect()));
        } else if let Some((name, _)) = named.first() {
            return Err(type_error(if **name == *"caller" {
                format!(
                    "macro '{shown}' was invoked with two values for the special caller argument. \
                     This is most likely a bug."
                )
            } else {
                format!("macro '{shown}' takes no keyword argument '{name}'")
            }));
        }
        if node.reads_varargs {
            scope.set(&Str::from("varargs"), Val::tuple(positional.collect()));
        } else if given > node.params.len() {
            return Err(type_error(format!(
                "macro '{shown}' takes not more than {} argument(s)",
                node.params.len()
            )));
        }
        Ok(scope)
    }

    fn make_dict(&self, args: CallArgs) -> Res<Val> {
        if args.positional.len() > 1 {
            return Err(type_error(format!(
                "dict expected at most 1 argument, got {}",
                args.positional.len()
            )));
        }
        let mut entries = Entries::default();
        if let Some(source) = args.positional.first() {
            entries.extend(methods::pairs(source, self)?);
        }
        for (name, value) in args.named {
            entries.insert(Key(Val::Str(name)), value);
        }
        Ok(Val::dict(entries))
    }

    fn call_loop(&self, state: &LoopState, args: CallArgs) -> Res<Val> {
        let Some(recursion) = &state.recursion else {
            return Err(type_error(
                "The loop must have the 'recursive' marker to be called recursively.",
            ));
        };
        let [items] = args.positional.as_slice() else {
            return Err(type_error("loop() takes exactly one argument"));
        };
        let mut out = String::new();
        self.nested(|| {
            self.run_loop(
                &recursion.node,
                items,
                &recursion.scope,
                state.depth + 1,
                &mut out,
            )
        })?;
        Ok(if self.is_escaping.get() {
            Val::Safe(out.into())
        } else {
            Val::str(out)
        })
    }

    /// Words that mean nothing, as many as asked for.
    fn lipsum(&self, args: CallArgs) -> Res<Val> {
        const WORDS: &str = "lorem ipsum dolor sit amet consectetuer adipiscing elit sed diam \
            nonummy nibh euismod tincidunt ut laoreet dolore magna aliquam erat volutpat";
        let number = |index: usize, name: &str, default: i64| -> Res<i64> {
            let named = args.named.iter().find(|(found, _)| **found == *name);
            let value = args.positional.get(index).or(named.map(|(_, value)| value));
            value.map_or(Ok(default), index_argument)
        };
        let paragraphs = usize::try_from(number(0, "n", 5)?).unwrap_or(0);
        let is_html = number(1, "html", 1)? != 0;
        let words = usize::try_from(number(2, "min", 20)?).unwrap_or(0);
        self.budget.bytes(
            paragraphs
                .saturating_mul(words.saturating_add(2))
                .saturating_mul(12),
        )?;
        let paragraph: Vec<&str> = WORDS.split(' ').cycle().take(words).collect();
        let mut paragraph = paragraph.join(" ");
        if !paragraph.is_empty() {
            paragraph = super::case::capitalize(&paragraph) + ".";
        }
        let joined: Vec<String> = (0..paragraphs)
            .map(|_| match is_html {
                true => format!("<p>{paragraph}</p>"),
                false => paragraph.clone(),
            })
            .collect();
        Ok(match is_html {
            true => Val::Safe(joined.join("\n").into()),
            false => Val::str(joined.join("\n\n")),
        })
    }
}

fn range(args: CallArgs) -> Res<Val> {
    if let Some((name, _)) = args.named.first() {
        return Err(type_error(format!(
            "range() takes no keyword argument '{name}'"
        )));
    }
    let numbers: Vec<i64> = args
        .positional
        .iter()
        .map(index_argument)
        .collect::<Res<_>>()?;
    let (start, stop, step) = match numbers.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        other => {
            return Err(type_error(format!(
                "range expected at least 1 argument, got {}",
                other.len()
            )));
        }
    };
    if step == 0 {
        return Err(super::value_error("range() arg 3 must not be zero"));
    }
    let range = Range { start, stop, step };
    if range.len() > RANGE_MAX {
        return Err(arithmetic_error(
            "OverflowError",
            "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).",
        ));
    }
    Ok(Val::Range(Rc::new(range)))
}
