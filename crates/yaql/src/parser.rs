//! Tokens to a syntax tree, by precedence climbing.

use std::sync::Arc;

use squall_value::{Str, Value as Data, python};

use crate::ast::{Argument, Call, Expr, Form, Name, Operator, Variable};
use crate::error::ParseError;
use crate::lexer::{Lexer, Token};

/// What the grammar allows besides the base language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grammar {
    /// `f(…)(…)` and `$f(…)`.
    pub(crate) delegates: bool,
    /// `=>`.
    pub(crate) keyword_operator: bool,
    /// How deep a tree may be.
    pub(crate) depth_max: usize,
}

/// Parses a whole text.
pub(crate) fn parse(text: &str, grammar: Grammar) -> Result<Arc<Expr>, ParseError> {
    let mut lexer = Lexer::new(text, grammar.keyword_operator);
    let (token, start) = lexer.next()?;
    let mut parser = Parser {
        text,
        lexer,
        token,
        start,
        grammar,
        depth: 0,
    };
    let (expr, _) = parser.expression(0)?;
    match parser.token {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    token: Token<'a>,
    /// The byte offset of `token`.
    start: usize,
    grammar: Grammar,
    depth: usize,
}

/// An operator between two values: how tightly it binds, and whether to the right.
fn binary(token: &Token<'_>) -> Option<(Operator, u8, bool)> {
    use Operator as O;
    let Token::Symbol(symbol) = token else {
        return None;
    };
    Some(match *symbol {
        "." => (O::Dot, 12, false),
        "?." => (O::SafeDot, 12, false),
        "=~" => (O::Match, 9, false),
        "!~" => (O::NotMatch, 9, false),
        "*" => (O::Multiply, 8, false),
        "/" => (O::Divide, 8, false),
        "mod" => (O::Modulo, 8, false),
        "+" => (O::Plus, 7, false),
        "-" => (O::Minus, 7, false),
        ">" => (O::Greater, 6, false),
        "<" => (O::Less, 6, false),
        ">=" => (O::GreaterOrEqual, 6, false),
        "<=" => (O::LessOrEqual, 6, false),
        "!=" => (O::NotEqual, 6, false),
        "=" => (O::Equal, 6, false),
        "in" => (O::In, 6, false),
        "and" => (O::And, 4, false),
        "or" => (O::Or, 3, false),
        "->" => (O::Send, 2, true),
        _ => return None,
    })
}

const INDEX_BINDING: u8 = 11;
const SIGN_BINDING: u8 = 10;
const NOT_BINDING: u8 = 5;

/// A node and the depth of its tree.
type Node = (Arc<Expr>, usize);

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Result<Token<'a>, ParseError> {
        let (token, start) = self.lexer.next()?;
        self.start = start;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn at(&self, symbol: &str) -> bool {
        matches!(&self.token, Token::Symbol(found) if *found == symbol)
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        if !self.at(symbol) {
            return Err(self.unexpected());
        }
        self.advance().map(drop)
    }

    fn unexpected(&self) -> ParseError {
        let found = match &self.token {
            Token::End => {
                return ParseError {
                    message: "Parse error: unexpected end of statement".to_owned(),
                    position: None,
                    lexical: false,
                };
            }
            Token::Literal(value) => python::str(value),
            Token::Keyword(text) | Token::Variable(text) | Token::Function(text) => {
                (*text).to_owned()
            }
            Token::Symbol(symbol) => (*symbol).to_owned(),
        };
        let position = self.lexer.position(self.start);
        ParseError {
            message: format!(
                "Parse error: unexpected '{found}' at position {position} of expression '{}'",
                self.text
            ),
            position: Some(position),
            lexical: false,
        }
    }

    fn too_deep(&self) -> ParseError {
        let position = self.lexer.position(self.start);
        ParseError {
            message: format!(
                "Parse error: expression nests deeper than {} levels at position {position}",
                self.grammar.depth_max
            ),
            position: Some(position),
            lexical: false,
        }
    }

    fn node(&self, expr: Expr, depth_below: usize) -> Result<Node, ParseError> {
        if depth_below >= self.grammar.depth_max {
            return Err(self.too_deep());
        }
        Ok((Arc::new(expr), depth_below + 1))
    }

    fn operator(
        &self,
        operator: Operator,
        args: Vec<Argument>,
        depth: usize,
    ) -> Result<Node, ParseError> {
        let name = Name::Known(operator.function_name());
        self.call(name, args, Form::Operator(operator), depth)
    }

    fn expression(&mut self, binding_min: u8) -> Result<Node, ParseError> {
        self.depth += 1;
        if self.depth > self.grammar.depth_max {
            return Err(self.too_deep());
        }
        let mut left = self.prefix()?;
        loop {
            if self.at("(") && self.grammar.delegates {
                self.advance()?;
                let (mut args, depth) = self.arguments(")")?;
                let depth = depth.max(left.1);
                args.insert(0, Some(left.0));
                left = self.call(Name::Known("#call"), args, Form::Function, depth)?;
                continue;
            }
            if self.at("[") && INDEX_BINDING >= binding_min {
                self.advance()?;
                let (mut args, depth) = self.arguments("]")?;
                let depth = depth.max(left.1);
                args.insert(0, Some(left.0));
                left = self.call(Name::Known("#indexer"), args, Form::Index, depth)?;
                continue;
            }
            match binary(&self.token) {
                Some((operator, binding, to_right)) if binding >= binding_min => {
                    self.advance()?;
                    let right = self.expression(if to_right { binding } else { binding + 1 })?;
                    let args = vec![Some(left.0), Some(right.0)];
                    left = self.operator(operator, args, left.1.max(right.1))?;
                }
                _ => break,
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    fn call(
        &self,
        name: Name,
        args: Vec<Argument>,
        form: Form,
        depth: usize,
    ) -> Result<Node, ParseError> {
        let call = Call { name, args, form };
        self.node(Expr::Call(call), depth)
    }

    fn prefix(&mut self) -> Result<Node, ParseError> {
        let unary = match &self.token {
            Token::Symbol("+") => Some((Operator::UnaryPlus, SIGN_BINDING)),
            Token::Symbol("-") => Some((Operator::UnaryMinus, SIGN_BINDING)),
            Token::Symbol("not") => Some((Operator::Not, NOT_BINDING)),
            Token::Symbol("(" | "[" | "{") | Token::Literal(_) | Token::Keyword(_) => None,
            Token::Variable(_) | Token::Function(_) => None,
            Token::Symbol(_) | Token::End => return Err(self.unexpected()),
        };
        if let Some((operator, binding)) = unary {
            self.advance()?;
            let operand = self.expression(binding)?;
            return self.operator(operator, vec![Some(operand.0)], operand.1);
        }
        match self.advance()? {
            Token::Literal(value) => self.node(Expr::Literal(value), 0),
            Token::Keyword(word) => self.node(Expr::Keyword(Str::from(word)), 0),
            Token::Variable(name) => self.node(Expr::Variable(Variable::new(name)), 0),
            Token::Function(name) => {
                let (args, depth) = self.arguments(")")?;
                // A trailing underscore is not part of a function's name.
                let name = Str::from(name.trim_end_matches('_'));
                self.call(Name::Written(name), args, Form::Function, depth)
            }
            Token::Symbol("[") => {
                let (args, depth) = self.arguments("]")?;
                self.call(Name::Known("#list"), args, Form::List, depth)
            }
            Token::Symbol("{") => {
                let (args, depth) = self.arguments("}")?;
                self.call(Name::Known("#map"), args, Form::Map, depth)
            }
            _ => {
                let (inner, depth) = self.expression(0)?;
                self.expect(")")?;
                self.node(Expr::Wrap(inner), depth)
            }
        }
    }

    /// Arguments up to and with the closing bracket, and the depth of the deepest.
    fn arguments(&mut self, close: &str) -> Result<(Vec<Argument>, usize), ParseError> {
        let mut args: Vec<Argument> = Vec::new();
        let mut depth = 0;
        if self.at(close) {
            self.advance()?;
            return Ok((args, depth));
        }
        let mut named = false;
        // Commas since the last value: a rule may follow a value after one comma or two, nothing else.
        let mut commas = 0_usize;
        let mut seen_value = false;
        loop {
            if self.at(",") && !named {
                self.advance()?;
                args.push(None);
                commas += 1;
                continue;
            }
            let (key, key_depth) = self.expression(0)?;
            depth = depth.max(key_depth);
            let rule_allowed = named || if seen_value { commas <= 1 } else { commas == 0 };
            if self.at("=>") && rule_allowed {
                self.advance()?;
                let (value, value_depth) = self.expression(0)?;
                let rule = self.node(Expr::Rule(key, value), key_depth.max(value_depth))?;
                depth = depth.max(rule.1);
                args.push(Some(rule.0));
                named = true;
            } else if named {
                return Err(self.unexpected());
            } else {
                args.push(Some(key));
                seen_value = true;
            }
            if self.at(close) {
                self.advance()?;
                return Ok((args, depth));
            }
            self.expect(",")?;
            commas = 0;
        }
    }
}

/// The literal's value, where the node is a constant.
pub(crate) fn constant(expr: &Expr) -> Option<Data> {
    match expr {
        Expr::Literal(value) => Some(value.clone()),
        Expr::Keyword(word) => Some(Data::String(word.clone())),
        Expr::Variable(_) | Expr::Call(_) | Expr::Wrap(_) | Expr::Rule(..) => None,
    }
}
