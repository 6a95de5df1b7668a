//! Which of several functions of one name a call means.

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use squall_value::Str;

use crate::ast::{Argument, Expr};
use crate::call::Call;
use crate::context::Context;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::lambda::Lambda;
use crate::library::{Body, Function};
use crate::parser::constant;
use crate::signature::{Default, Parameter, Signature, Type};
use crate::text;
use crate::value::Value;

/// An argument on its way into a function.
#[derive(Clone)]
pub(crate) enum Input {
    Expr(Arc<Expr>),
    Value(Value),
    Skipped,
}

/// A function that may be meant.
#[derive(Clone)]
pub(crate) enum Candidate<'a> {
    Library(&'a Function),
    Defined(Rc<Lambda>),
}

static ANYTHING: LazyLock<Signature> = LazyLock::new(Signature::anything);

impl Candidate<'_> {
    fn signature(&self) -> &Signature {
        match self {
            Candidate::Library(function) => &function.signature,
            Candidate::Defined(_) => &ANYTHING,
        }
    }
}

/// Where a parameter's value comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Positional(usize),
    Keyword(usize),
    Default,
}

/// How arguments fall onto the parameters of one candidate.
struct Mapping {
    sources: Vec<Source>,
    /// Keyword arguments that no parameter is called after.
    other_keywords: Vec<usize>,
}

impl Mapping {
    /// The parameter under each argument: positional ones first, then keywords.
    fn parameters<'s>(
        &self,
        signature: &'s Signature,
        args: &Arguments,
    ) -> Vec<Option<&'s Parameter>> {
        let count = args.positional.len() + args.named.len();
        let mut parameters: Vec<Option<&Parameter>> = vec![None; count];
        for (parameter, source) in signature.parameters.iter().zip(&self.sources) {
            match source {
                Source::Positional(index) => parameters[*index] = Some(parameter),
                Source::Keyword(index) => {
                    parameters[args.positional.len() + index] = Some(parameter)
                }
                Source::Default => {}
            }
        }
        let rest_from = signature.parameters.len().min(args.positional.len());
        for slot in &mut parameters[rest_from..args.positional.len()] {
            *slot = signature.rest.as_ref();
        }
        parameters
    }
}

struct Arguments {
    positional: Vec<Input>,
    named: Vec<(Str, Input)>,
}

/// A call to be resolved.
pub(crate) struct Request<'r> {
    pub(crate) name: &'r str,
    /// The context of the caller.
    pub(crate) context: &'r Context,
    pub(crate) receiver: Option<&'r Value>,
    pub(crate) positional: Vec<Input>,
    pub(crate) named: Vec<(Str, Input)>,
}

impl<'r> Request<'r> {
    pub(crate) fn new(
        name: &'r str,
        context: &'r Context,
        receiver: Option<&'r Value>,
        args: &[Argument],
    ) -> Request<'r> {
        let mut positional = Vec::with_capacity(args.len() + 1);
        positional.extend(receiver.cloned().map(Input::Value));
        positional.extend(args.iter().map(|arg| match arg {
            Some(expr) => Input::Expr(expr.clone()),
            None => Input::Skipped,
        }));
        Request {
            name,
            context,
            receiver,
            positional,
            named: Vec::new(),
        }
    }

    fn receiver_text(&self) -> Option<String> {
        self.receiver.map(text::for_message)
    }

    fn ambiguous(&self) -> Error {
        Error::ambiguous(self.name, self.receiver_text().as_deref())
    }

    fn no_match(&self) -> Error {
        Error::no_matching(self.name, self.receiver_text().as_deref())
    }
}

/// Finds the function that is meant, evaluates the arguments and calls it.
pub(crate) fn call(ev: &mut Evaluation<'_>, mut request: Request<'_>) -> Result<Value, Error> {
    let library = ev.library();
    let is_method = request.receiver.is_some();
    if (is_method || !ev.has_definitions())
        && let Some(function) = library.only(request.name, is_method)
    {
        return call_only(ev, request, function);
    }
    let mut layers: Vec<Vec<Candidate<'_>>> = Vec::new();
    if !is_method && ev.has_definitions() {
        let defined = request.context.defined(request.name);
        layers.extend(
            defined
                .into_iter()
                .map(|layer| layer.into_iter().map(Candidate::Defined).collect()),
        );
    }
    library.collect(request.name, is_method, &mut layers);
    if layers.is_empty() {
        return Err(match request.receiver_text() {
            None => Error::unknown_function(request.name),
            Some(receiver) => Error::unknown_method(request.name, &receiver),
        });
    }
    let takes_rules = layers[0][0].signature().takes_rules;
    if layers
        .iter()
        .flatten()
        .any(|c| c.signature().takes_rules != takes_rules)
    {
        return Err(request.ambiguous());
    }
    let mut args = translate(&mut request, takes_rules)?;
    let (fitting, lazy) = fit(ev, &request, &args, &layers)?;
    evaluate(ev, &mut args, &lazy, request.context)?;
    let (candidate, mapping) = choose(ev, &request, &args, fitting)?;
    match candidate {
        Candidate::Defined(lambda) => call_defined(ev, lambda, &args),
        Candidate::Library(function) => run(ev, function, &mapping, args, request.context),
    }
}

/// As [`call`], where one function has the name.
fn call_only(
    ev: &mut Evaluation<'_>,
    mut request: Request<'_>,
    function: &Function,
) -> Result<Value, Error> {
    let signature = &function.signature;
    let mut args = translate(&mut request, signature.takes_rules)?;
    let mapping = map(ev, signature, &args).ok_or_else(|| request.no_match())?;
    let parameters = mapping.parameters(signature, &args);
    let is_lazy = |parameter: &Option<&Parameter>| parameter.is_some_and(|p| p.kind.is_lazy());
    let lazy: Vec<bool> = parameters.iter().map(is_lazy).collect();
    evaluate(ev, &mut args, &lazy, request.context)?;
    if !all_fit(ev, &parameters, &args) {
        return Err(request.no_match());
    }
    run(ev, function, &mapping, args, request.context)
}

fn run(
    ev: &mut Evaluation<'_>,
    function: &Function,
    mapping: &Mapping,
    args: Arguments,
    context: &Context,
) -> Result<Value, Error> {
    let mut call = bind(ev, function, mapping, args, context)?;
    match &function.body {
        Body::Native(body) => body(&mut call),
        Body::Host(id) => {
            let host = call.ev.host();
            host.call(*id, &mut call)
        }
    }
}

/// Turns `name => value` arguments into keyword arguments, unless the function takes rules.
fn translate(request: &mut Request<'_>, takes_rules: bool) -> Result<Arguments, Error> {
    let given = std::mem::take(&mut request.positional);
    if takes_rules && let Some((name, _)) = request.named.first() {
        return Err(Error::argument(name));
    }
    let is_rule =
        |input: &Input| matches!(input, Input::Expr(expr) if matches!(**expr, Expr::Rule(..)));
    if takes_rules || (request.named.is_empty() && !given.iter().any(is_rule)) {
        return Ok(Arguments {
            positional: given,
            named: Vec::new(),
        });
    }
    let mut positional = Vec::with_capacity(given.len());
    let mut named: Vec<(Str, Input)> = Vec::new();
    for input in given {
        match &input {
            Input::Expr(expr) => match &**expr {
                Expr::Rule(key, value) => match &**key {
                    Expr::Keyword(name) => {
                        // The last of two equal names counts, as in a dictionary.
                        named.retain(|(known, _)| known != name);
                        named.push((name.clone(), Input::Expr(value.clone())));
                    }
                    _ => return Err(Error::mapping_translation()),
                },
                _ => positional.push(input),
            },
            _ => positional.push(input),
        }
    }
    for (name, input) in &request.named {
        if named.iter().any(|(known, _)| known == name) {
            return Err(Error::mapping_translation());
        }
        named.push((name.clone(), input.clone()));
    }
    Ok(Arguments { positional, named })
}

type Fitting<'a> = Vec<Vec<(Candidate<'a>, Mapping)>>;

/// Keeps the candidates that the written arguments fit, and says which arguments stay unevaluated.
fn fit<'a>(
    ev: &Evaluation<'_>,
    request: &Request<'_>,
    args: &Arguments,
    layers: &[Vec<Candidate<'a>>],
) -> Result<(Fitting<'a>, Vec<bool>), Error> {
    let mut fitting: Fitting<'a> = Vec::new();
    let mut lazy: Option<Vec<bool>> = None;
    for layer in layers {
        let mut kept = Vec::new();
        for candidate in layer {
            let signature = candidate.signature();
            let Some(mapping) = map(ev, signature, args) else {
                continue;
            };
            let parameters = mapping.parameters(signature, args);
            let is_lazy: Vec<bool> = parameters
                .iter()
                .map(|parameter| parameter.is_some_and(|p| p.kind.is_lazy()))
                .collect();
            match &lazy {
                Some(known) if *known != is_lazy => return Err(request.ambiguous()),
                _ => lazy = Some(is_lazy),
            }
            kept.push((candidate.clone(), mapping));
        }
        if !kept.is_empty() {
            fitting.push(kept);
        }
    }
    match lazy {
        Some(lazy) => Ok((fitting, lazy)),
        None => Err(request.no_match()),
    }
}

fn map(ev: &Evaluation<'_>, signature: &Signature, args: &Arguments) -> Option<Mapping> {
    let count = args.positional.len();
    if count > signature.parameters.len() && signature.rest.is_none() {
        return None;
    }
    let mut used = vec![false; args.named.len()];
    let mut sources = Vec::with_capacity(signature.parameters.len());
    for (index, parameter) in signature.parameters.iter().enumerate() {
        let named = args
            .named
            .iter()
            .position(|(name, _)| *name == parameter.name);
        let given = !matches!(args.positional.get(index), None | Some(Input::Skipped));
        let source = match (given, named) {
            (true, Some(_)) => return None,
            (true, None) => Source::Positional(index),
            (false, Some(_)) if index < count => return None,
            (false, Some(named)) => {
                used[named] = true;
                Source::Keyword(named)
            }
            (false, None) if parameter.default.is_some() => Source::Default,
            (false, None) => return None,
        };
        let input = match source {
            Source::Positional(index) => &args.positional[index],
            Source::Keyword(index) => &args.named[index].1,
            Source::Default => &Input::Skipped,
        };
        // Keyword arguments are looked at only once they have values, as in the reference.
        if !matches!(source, Source::Keyword(_)) && !may_accept(ev, parameter, input) {
            return None;
        }
        sources.push(source);
    }
    for input in args.positional.iter().skip(signature.parameters.len()) {
        let rest = signature.rest.as_ref()?;
        if matches!(input, Input::Skipped) || !may_accept(ev, rest, input) {
            return None;
        }
    }
    let other_keywords: Vec<usize> = (0..used.len()).filter(|index| !used[*index]).collect();
    if !other_keywords.is_empty() && !signature.keywords {
        return None;
    }
    Some(Mapping {
        sources,
        other_keywords,
    })
}

fn may_accept(ev: &Evaluation<'_>, parameter: &Parameter, input: &Input) -> bool {
    match input {
        Input::Skipped => true,
        Input::Expr(expr) => parameter.may_accept(expr, ev.options()),
        Input::Value(value) => parameter.accepts(value, ev.options()),
    }
}

/// Evaluates the arguments that are not lazy, left to right, keywords last.
fn evaluate(
    ev: &mut Evaluation<'_>,
    args: &mut Arguments,
    lazy: &[bool],
    context: &Context,
) -> Result<(), Error> {
    let inputs = args
        .positional
        .iter_mut()
        .chain(args.named.iter_mut().map(|(_, input)| input));
    for (input, lazy) in inputs.zip(lazy) {
        if let (Input::Expr(expr), false) = (&*input, *lazy) {
            // A bare word stays one, for parameters that want a bare word.
            if !matches!(**expr, Expr::Keyword(_)) {
                *input = Input::Value(ev.eval_whole(expr, context)?);
            }
        }
    }
    Ok(())
}

/// The one candidate whose types the values fit, innermost layer first.
fn choose<'a>(
    ev: &Evaluation<'_>,
    request: &Request<'_>,
    args: &Arguments,
    fitting: Fitting<'a>,
) -> Result<(Candidate<'a>, Mapping), Error> {
    for layer in fitting {
        let mut winner: Option<(Candidate<'a>, Mapping)> = None;
        for (candidate, mapping) in layer {
            let parameters = mapping.parameters(candidate.signature(), args);
            if !all_fit(ev, &parameters, args) {
                continue;
            }
            if let Some((best, best_mapping)) = &winner {
                let best_parameters = best_mapping.parameters(best.signature(), args);
                if is_narrower(&best_parameters, &parameters) {
                    continue;
                }
                if !is_narrower(&parameters, &best_parameters) {
                    return Err(request.ambiguous());
                }
            }
            winner = Some((candidate, mapping));
        }
        if let Some(winner) = winner {
            return Ok(winner);
        }
    }
    Err(request.no_match())
}

/// Whether each argument is one that the parameter over it takes.
fn all_fit(ev: &Evaluation<'_>, parameters: &[Option<&Parameter>], args: &Arguments) -> bool {
    let named = args.named.iter().map(|(_, input)| input);
    let mut pairs = parameters.iter().zip(args.positional.iter().chain(named));
    pairs.all(|(parameter, input)| parameter.is_none_or(|p| may_accept(ev, p, input)))
}

fn is_narrower(left: &[Option<&Parameter>], right: &[Option<&Parameter>]) -> bool {
    let mut narrower = false;
    for (a, b) in left.iter().zip(right) {
        let (Some(a), Some(b)) = (a, b) else {
            continue;
        };
        if b.kind.is_narrower_than(a.kind) {
            return false;
        }
        narrower |= a.kind.is_narrower_than(b.kind);
    }
    narrower
}

fn call_defined(
    ev: &mut Evaluation<'_>,
    lambda: Rc<Lambda>,
    args: &Arguments,
) -> Result<Value, Error> {
    let value = |input: &Input| match input {
        Input::Value(value) => value.clone(),
        Input::Expr(expr) => constant(expr).map_or(Value::Null, Value::from),
        Input::Skipped => Value::Null,
    };
    let positional: Vec<Value> = args.positional.iter().map(value).collect();
    let named: Vec<(Str, Value)> = args
        .named
        .iter()
        .map(|(name, input)| (name.clone(), value(input)))
        .collect();
    lambda.call_named(ev, &positional, &named)
}

/// Lays the arguments out as the function's body reads them.
fn bind<'c, 'e>(
    ev: &'c mut Evaluation<'e>,
    function: &Function,
    mapping: &Mapping,
    args: Arguments,
    context: &'c Context,
) -> Result<Call<'c, 'e>, Error> {
    let signature = &function.signature;
    let mut bound = Vec::with_capacity(signature.parameters.len());
    for (parameter, source) in signature.parameters.iter().zip(&mapping.sources) {
        bound.push(match source {
            Source::Positional(index) => {
                Some(convert(ev, parameter, &args.positional[*index], context)?)
            }
            Source::Keyword(index) => Some(convert(ev, parameter, &args.named[*index].1, context)?),
            Source::Default => match &parameter.default {
                Some(Default::Value(data)) => Some(Value::from(data.clone())),
                Some(Default::Missing) | None => None,
            },
        });
    }
    let mut rest = Vec::new();
    if let Some(parameter) = &signature.rest {
        for input in args.positional.iter().skip(signature.parameters.len()) {
            rest.push(convert(ev, parameter, input, context)?);
        }
    }
    let mut named = Vec::new();
    for index in &mapping.other_keywords {
        let (name, input) = &args.named[*index];
        let value = match input {
            Input::Value(value) => value.clone(),
            Input::Expr(expr) => constant(expr).map_or(Value::Null, Value::from),
            Input::Skipped => Value::Null,
        };
        named.push((name.clone(), value));
    }
    Ok(Call {
        ev,
        context,
        args: bound,
        rest,
        named,
    })
}

fn convert(
    ev: &mut Evaluation<'_>,
    parameter: &Parameter,
    input: &Input,
    context: &Context,
) -> Result<Value, Error> {
    let value = match (parameter.kind, input) {
        (Type::Lambda, Input::Expr(expr)) => {
            return Ok(Value::Function(Rc::new(Lambda::new(
                expr.clone(),
                context.clone(),
            ))));
        }
        (Type::Lambda, Input::Value(value)) => {
            return Ok(match value {
                Value::Null | Value::Function(_) => value.clone(),
                other => Value::Function(Rc::new(Lambda::constant(other.clone(), context.clone()))),
            });
        }
        (Type::Rule, Input::Expr(expr)) => {
            let Expr::Rule(key, value) = &**expr else {
                return Ok(Value::Null);
            };
            let lambda = |expr: &Arc<Expr>| {
                Value::Function(Rc::new(Lambda::new(expr.clone(), context.clone())))
            };
            return Ok(Value::Rule(Rc::new((lambda(key), lambda(value)))));
        }
        (_, Input::Expr(expr)) => constant(expr).map_or(Value::Null, Value::from),
        (_, Input::Value(value)) => value.clone(),
        (_, Input::Skipped) => Value::Null,
    };
    if matches!(parameter.kind, Type::Iterable | Type::IterableNoSet) {
        ev.check_size(&value)?;
    }
    ev.check_quota(&value)?;
    Ok(value)
}
