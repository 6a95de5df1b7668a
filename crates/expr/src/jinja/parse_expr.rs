//! Tokens to a tree: Jinja's expressions.

use squall_value::{Str, Value};

use super::Res;
use super::ast::{Args, BinOp, CmpOp, Expr};
use super::lexer::Token;
use super::parser::Parser;

/// How a level of binary operators is parsed.
type Operand = fn(&mut Parser) -> Res<Expr>;

impl Parser {
    /// An expression; with `with_cond` also `a if b else c`.
    pub(super) fn expression(&mut self, with_cond: bool) -> Res<Expr> {
        self.deeper(|parser| {
            if with_cond {
                parser.conditional()
            } else {
                parser.or()
            }
        })
    }

    /// Expressions separated by commas are a tuple, one alone is itself. An empty tuple needs
    /// parentheses.
    pub(super) fn tuple(&mut self, with_cond: bool, is_explicit: bool) -> Res<Expr> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        let mut height = 0;
        loop {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            if self.is_tuple_end() {
                break;
            }
            items.push(self.expression(with_cond)?);
            height = height.max(self.height);
            if !self.is_operator(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            if let Some(item) = items.pop() {
                return Ok(item);
            }
            if !is_explicit {
                return Err(self.fail(format!(
                    "Expected an expression, got '{}'",
                    self.peek().describe()
                )));
            }
        }
        self.grown(height, Expr::Tuple(items))
    }

    pub(super) fn is_tuple_end(&self) -> bool {
        matches!(self.peek(), Token::VariableEnd | Token::BlockEnd) || self.is_operator(")")
    }

    /// Notes that `expr` stands on operands of `height`, which is bounded.
    fn grown(&mut self, height: usize, expr: Expr) -> Res<Expr> {
        self.height = height + 1;
        if self.height > self.depth_max {
            return Err(self.fail("the expression is nested too deeply"));
        }
        Ok(expr)
    }

    fn conditional(&mut self) -> Res<Expr> {
        let line = self.line();
        let mut expr = self.or()?;
        while self.skip_name("if")? {
            let mut height = self.height;
            let test = self.or()?;
            height = height.max(self.height);
            let otherwise = if self.skip_name("else")? {
                let otherwise = self.expression(true)?;
                height = height.max(self.height);
                Some(Box::new(otherwise))
            } else {
                None
            };
            expr = self.grown(
                height,
                Expr::Cond {
                    test: Box::new(test),
                    then: Box::new(expr),
                    otherwise,
                    line,
                },
            )?;
        }
        Ok(expr)
    }

    /// Operands joined by a keyword.
    fn joined(
        &mut self,
        keyword: &str,
        operand: Operand,
        make: fn(Vec<Expr>) -> Expr,
    ) -> Res<Expr> {
        let first = operand(self)?;
        if !self.is_name(keyword) {
            return Ok(first);
        }
        let mut height = self.height;
        let mut operands = vec![first];
        while self.skip_name(keyword)? {
            operands.push(operand(self)?);
            height = height.max(self.height);
        }
        self.grown(height, make(operands))
    }

    fn or(&mut self) -> Res<Expr> {
        self.joined("or", Parser::and, Expr::Or)
    }

    fn and(&mut self) -> Res<Expr> {
        self.joined("and", Parser::not, Expr::And)
    }

    fn not(&mut self) -> Res<Expr> {
        if self.skip_name("not")? {
            let operand = self.deeper(Parser::not)?;
            return self.grown(self.height, Expr::Not(Box::new(operand)));
        }
        self.compare()
    }

    fn compare_operator(&mut self) -> Res<Option<CmpOp>> {
        let operator = match self.peek() {
            Token::Operator("==") => CmpOp::Eq,
            Token::Operator("!=") => CmpOp::Ne,
            Token::Operator(">") => CmpOp::Gt,
            Token::Operator(">=") => CmpOp::Ge,
            Token::Operator("<") => CmpOp::Lt,
            Token::Operator("<=") => CmpOp::Le,
            Token::Name(name) if **name == *"in" => CmpOp::In,
            Token::Name(name) if **name == *"not" && self.second_is_name("in") => {
                self.next()?;
                CmpOp::NotIn
            }
            _ => return Ok(None),
        };
        self.next()?;
        Ok(Some(operator))
    }

    fn compare(&mut self) -> Res<Expr> {
        let first = self.sum()?;
        let mut height = self.height;
        let mut rest = Vec::new();
        while let Some(operator) = self.compare_operator()? {
            rest.push((operator, self.sum()?));
            height = height.max(self.height);
        }
        if rest.is_empty() {
            return Ok(first);
        }
        self.grown(height, Expr::Compare(Box::new(first), rest))
    }

    /// Operators of one precedence, grouped to the left; the power too.
    fn chain(&mut self, operators: &[(&str, BinOp)], operand: Operand) -> Res<Expr> {
        let first = operand(self)?;
        let mut height = self.height;
        let mut rest = Vec::new();
        while let Token::Operator(found) = self.peek()
            && let Some((_, operator)) = operators.iter().find(|(text, _)| text == found)
        {
            self.next()?;
            rest.push((*operator, operand(self)?));
            height = height.max(self.height);
        }
        if rest.is_empty() {
            return Ok(first);
        }
        self.grown(height, Expr::Chain(Box::new(first), rest))
    }

    fn sum(&mut self) -> Res<Expr> {
        self.chain(&[("+", BinOp::Add), ("-", BinOp::Sub)], Parser::concat)
    }

    fn concat(&mut self) -> Res<Expr> {
        let first = self.product()?;
        if !self.is_operator("~") {
            return Ok(first);
        }
        let mut height = self.height;
        let mut operands = vec![first];
        while self.skip_operator("~")? {
            operands.push(self.product()?);
            height = height.max(self.height);
        }
        self.grown(height, Expr::Concat(operands))
    }

    fn product(&mut self) -> Res<Expr> {
        const OPERATORS: [(&str, BinOp); 4] = [
            ("*", BinOp::Mul),
            ("/", BinOp::Div),
            ("//", BinOp::FloorDiv),
            ("%", BinOp::Mod),
        ];
        self.chain(&OPERATORS, Parser::power)
    }

    fn power(&mut self) -> Res<Expr> {
        self.chain(&[("**", BinOp::Pow)], |parser| parser.unary(true))
    }

    fn unary(&mut self, with_filter: bool) -> Res<Expr> {
        let sign = match self.peek() {
            Token::Operator("-") => Some(Expr::Neg as fn(Box<Expr>) -> Expr),
            Token::Operator("+") => Some(Expr::Pos as fn(Box<Expr>) -> Expr),
            _ => None,
        };
        let expr = if let Some(make) = sign {
            self.next()?;
            let operand = self.deeper(|parser| parser.unary(false))?;
            self.grown(self.height, make(Box::new(operand)))?
        } else {
            self.primary()?
        };
        let expr = self.postfix(expr)?;
        if with_filter {
            self.filter_expr(expr)
        } else {
            Ok(expr)
        }
    }

    fn primary(&mut self) -> Res<Expr> {
        let height = 0;
        let token = self.peek().clone();
        let expr = match token {
            Token::Name(name) => {
                self.next()?;
                match &*name {
                    "true" | "True" => Expr::Const(Value::Bool(true)),
                    "false" | "False" => Expr::Const(Value::Bool(false)),
                    "none" | "None" => Expr::Const(Value::Null),
                    _ => Expr::Name(name),
                }
            }
            Token::String(first) => {
                self.next()?;
                let mut text = first;
                while let Token::String(more) = self.peek() {
                    text = Str::from(format!("{text}{more}"));
                    self.next()?;
                }
                Expr::Const(Value::String(text))
            }
            Token::Integer(number) => {
                self.next()?;
                Expr::Const(number)
            }
            Token::Float(number) => {
                self.next()?;
                Expr::Const(Value::Float(number))
            }
            Token::Operator("(") => {
                self.next()?;
                let expr = self.tuple(true, true)?;
                self.expect_operator(")")?;
                return Ok(expr);
            }
            Token::Operator("[") => return self.list(),
            Token::Operator("{") => return self.dict(),
            other => return Err(self.fail(format!("unexpected '{}'", other.describe()))),
        };
        self.grown(height, expr)
    }

    fn list(&mut self) -> Res<Expr> {
        self.next()?;
        let mut items = Vec::new();
        let mut height = 0;
        while !self.is_operator("]") {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            if self.is_operator("]") {
                break;
            }
            items.push(self.expression(true)?);
            height = height.max(self.height);
        }
        self.expect_operator("]")?;
        self.grown(height, Expr::List(items))
    }

    fn dict(&mut self) -> Res<Expr> {
        self.next()?;
        let mut items = Vec::new();
        let mut height = 0;
        while !self.is_operator("}") {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            if self.is_operator("}") {
                break;
            }
            let key = self.expression(true)?;
            height = height.max(self.height);
            self.expect_operator(":")?;
            items.push((key, self.expression(true)?));
            height = height.max(self.height);
        }
        self.expect_operator("}")?;
        self.grown(height, Expr::Dict(items))
    }

    fn postfix(&mut self, mut expr: Expr) -> Res<Expr> {
        loop {
            expr = match self.peek() {
                Token::Operator(".") => self.attribute(expr)?,
                Token::Operator("[") => self.subscript(expr)?,
                Token::Operator("(") => self.call(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    fn filter_expr(&mut self, mut expr: Expr) -> Res<Expr> {
        loop {
            expr = match self.peek() {
                Token::Operator("|") => self.filters(Some(expr))?,
                Token::Name(name) if **name == *"is" => self.test(expr)?,
                Token::Operator("(") => self.call(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    fn attribute(&mut self, target: Expr) -> Res<Expr> {
        let height = self.height;
        self.next()?;
        let expr = match self.peek().clone() {
            Token::Name(name) => Expr::Attr(Box::new(target), name),
            Token::Integer(number) => Expr::Item(Box::new(target), Box::new(Expr::Const(number))),
            _ => {
                // The token is passed over before it is looked at, which shows in the line only.
                return Err(self.fail("expected name or number"));
            }
        };
        self.next()?;
        self.grown(height, expr)
    }

    fn subscript(&mut self, target: Expr) -> Res<Expr> {
        let mut height = self.height;
        self.next()?;
        let mut items = Vec::new();
        while !self.is_operator("]") {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            items.push(self.subscribed()?);
            height = height.max(self.height);
        }
        self.expect_operator("]")?;
        let item = if items.len() == 1 {
            items.remove(0)
        } else {
            Expr::Tuple(items)
        };
        self.grown(height, Expr::Item(Box::new(target), Box::new(item)))
    }

    fn subscribed(&mut self) -> Res<Expr> {
        let mut height = 0;
        let start = if self.is_operator(":") {
            None
        } else {
            let start = self.expression(true)?;
            if !self.is_operator(":") {
                return Ok(start);
            }
            height = self.height;
            Some(start)
        };
        self.next()?;
        let mut part = |parser: &mut Parser| -> Res<Option<Expr>> {
            let is_absent = [":", "]", ","].iter().any(|end| parser.is_operator(end));
            if is_absent {
                return Ok(None);
            }
            let part = parser.expression(true)?;
            height = height.max(parser.height);
            Ok(Some(part))
        };
        let stop = part(self)?;
        let step = if self.skip_operator(":")? && !self.is_operator(":") {
            part(self)?
        } else {
            None
        };
        self.grown(height, Expr::Slice(Box::new([start, stop, step])))
    }

    /// Arguments in parentheses; the height of the highest is left in `height`.
    fn args(&mut self) -> Res<Args> {
        let mut args = Args::default();
        let mut height = 0;
        let invalid = |parser: &Parser| parser.fail("invalid syntax for function call expression");
        self.expect_operator("(")?;
        let mut is_first = true;
        while !self.is_operator(")") {
            if !is_first {
                self.expect_operator(",")?;
                if self.is_operator(")") {
                    break;
                }
            }
            is_first = false;
            if self.skip_operator("**")? {
                if args.star_star.is_some() {
                    return Err(invalid(self));
                }
                args.star_star = Some(self.expression(true)?);
            } else if self.skip_operator("*")? {
                if args.star.is_some() || args.star_star.is_some() {
                    return Err(invalid(self));
                }
                args.star = Some(self.expression(true)?);
            } else if let Token::Name(name) = self.peek()
                && *self.peek_second() == Token::Operator("=")
            {
                let name = name.clone();
                if args.star_star.is_some() {
                    return Err(invalid(self));
                }
                self.next()?;
                self.next()?;
                args.named.push((name, self.expression(true)?));
            } else {
                if args.star.is_some() || args.star_star.is_some() || !args.named.is_empty() {
                    return Err(invalid(self));
                }
                args.positional.push(self.expression(true)?);
            }
            height = height.max(self.height);
        }
        self.expect_operator(")")?;
        self.height = height;
        Ok(args)
    }

    fn call(&mut self, target: Expr) -> Res<Expr> {
        let height = self.height;
        let args = self.args()?;
        let height = height.max(self.height);
        self.grown(
            height,
            Expr::Call {
                target: Box::new(target),
                args: Box::new(args),
            },
        )
    }

    fn dotted_name(&mut self) -> Res<Str> {
        let mut name = self.name()?;
        while self.skip_operator(".")? {
            name = Str::from(format!("{name}.{}", self.name()?));
        }
        Ok(name)
    }

    /// All filters that follow, the first `|` being the current token.
    pub(super) fn filters(&mut self, mut target: Option<Expr>) -> Res<Expr> {
        loop {
            self.expect_operator("|")?;
            let expr = self.filter(target)?;
            if !self.is_operator("|") {
                return Ok(expr);
            }
            target = Some(expr);
        }
    }

    /// One filter, its name being the current token.
    pub(super) fn filter(&mut self, target: Option<Expr>) -> Res<Expr> {
        let mut height = if target.is_some() { self.height } else { 0 };
        let name = self.dotted_name()?;
        let args = if self.is_operator("(") {
            let args = self.args()?;
            height = height.max(self.height);
            args
        } else {
            Args::default()
        };
        let filter = self.environment.filter(&name);
        self.grown(
            height,
            Expr::Filter {
                target: target.map(Box::new),
                name,
                filter,
                args: Box::new(args),
            },
        )
    }

    fn test(&mut self, target: Expr) -> Res<Expr> {
        let mut height = self.height;
        self.next()?;
        let is_negated = self.skip_name("not")?;
        let name = self.dotted_name()?;
        let mut args = Args::default();
        let is_argument = match self.peek() {
            Token::Name(name) => !matches!(&**name, "else" | "or" | "and"),
            Token::String(_) | Token::Integer(_) | Token::Float(_) => true,
            Token::Operator(operator) => matches!(*operator, "[" | "{"),
            _ => false,
        };
        if self.is_operator("(") {
            args = self.args()?;
            height = height.max(self.height);
        } else if is_argument {
            if self.is_name("is") {
                return Err(self.fail("You cannot chain multiple tests with is"));
            }
            let argument = self.deeper(|parser| {
                let argument = parser.primary()?;
                parser.postfix(argument)
            })?;
            height = height.max(self.height);
            args.positional.push(argument);
        }
        let test = self.environment.test(&name);
        let expr = self.grown(
            height,
            Expr::Test {
                target: Box::new(target),
                name,
                test,
                args: Box::new(args),
            },
        )?;
        if is_negated {
            return self.grown(self.height, Expr::Not(Box::new(expr)));
        }
        Ok(expr)
    }
}
