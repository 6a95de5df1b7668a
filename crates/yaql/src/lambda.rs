//! Unevaluated arguments and the functions made of them.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use squall_value::Str;

use crate::ast::Expr;
use crate::context::Context;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::value::Value;

/// An expression together with the context in which it was written.
pub struct Lambda {
    body: LambdaBody,
    context: Context,
    /// A context from an earlier call, taken again when nothing kept it: most lambdas are called
    /// once per element and keep nothing.
    spare: RefCell<Option<Context>>,
}

/// What a lambda evaluates.
#[derive(Clone)]
pub(crate) enum LambdaBody {
    Expr(Arc<Expr>),
    Constant(Value),
}

impl Lambda {
    pub(crate) fn new(body: Arc<Expr>, context: Context) -> Lambda {
        let body = match crate::parser::constant(&body) {
            Some(data) => LambdaBody::Constant(Value::from(data)),
            None => LambdaBody::Expr(body),
        };
        Lambda::from_body(body, context)
    }

    pub(crate) fn constant(value: Value, context: Context) -> Lambda {
        Lambda::from_body(LambdaBody::Constant(value), context)
    }

    pub(crate) fn depth(&self) -> u32 {
        self.context.depth().max(match &self.body {
            LambdaBody::Constant(value) => value.extent().depth,
            LambdaBody::Expr(_) => 0,
        })
    }

    /// Calls with one argument, `$`.
    pub(crate) fn call1(&self, ev: &mut Evaluation<'_>, arg: Value) -> Result<Value, Error> {
        let body = match &self.body {
            LambdaBody::Constant(value) => return Ok(value.clone()),
            LambdaBody::Expr(body) => body,
        };
        let spare = self.spare.borrow_mut().take();
        let context = match spare {
            Some(spare) if spare.reuse(arg.clone())? => spare,
            _ => {
                let context = self.context.child()?;
                context.set("$", arg)?;
                context
            }
        };
        let result = ev.eval_whole(body, &context);
        // Cleared, lest an argument that holds this lambda keep it alive for ever.
        if context.clear() {
            *self.spare.borrow_mut() = Some(context);
        }
        result
    }

    /// Calls with any number of arguments, `$1`, `$2`, ….
    pub(crate) fn call(&self, ev: &mut Evaluation<'_>, args: &[Value]) -> Result<Value, Error> {
        self.call_named(ev, args, &[])
    }

    /// Calls with positional and keyword arguments.
    pub(crate) fn call_named(
        &self,
        ev: &mut Evaluation<'_>,
        args: &[Value],
        named: &[(Str, Value)],
    ) -> Result<Value, Error> {
        if let ([arg], []) = (args, named) {
            return self.call1(ev, arg.clone());
        }
        match &self.body {
            LambdaBody::Constant(value) => Ok(value.clone()),
            LambdaBody::Expr(body) => {
                let context = self.context.child()?;
                publish(&context, args, named)?;
                ev.eval_whole(body, &context)
            }
        }
    }

    /// Evaluates the body in a context of the caller's making.
    pub(crate) fn call_in(
        &self,
        ev: &mut Evaluation<'_>,
        context: &Context,
    ) -> Result<Value, Error> {
        match &self.body {
            LambdaBody::Constant(value) => Ok(value.clone()),
            LambdaBody::Expr(body) => ev.eval_whole(body, context),
        }
    }

    pub(crate) fn body(&self) -> &LambdaBody {
        &self.body
    }

    pub(crate) fn from_body(body: LambdaBody, context: Context) -> Lambda {
        Lambda {
            body,
            context,
            spare: RefCell::default(),
        }
    }
}

/// Sets `$1`, `$2`, … and the named variables.
pub(crate) fn publish(
    context: &Context,
    args: &[Value],
    named: &[(Str, Value)],
) -> Result<(), Error> {
    for (index, arg) in args.iter().enumerate() {
        context.set(&(index + 1).to_string(), arg.clone())?;
    }
    for (name, value) in named {
        context.set(name, value.clone())?;
    }
    Ok(())
}

/// A shared lambda, as functions take it.
pub(crate) type LambdaRef = Rc<Lambda>;

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lambda")
    }
}
