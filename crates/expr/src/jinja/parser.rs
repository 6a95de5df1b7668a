//! Tokens to a tree: Jinja's statements.

use std::sync::Arc;

use squall_value::Str;

use super::ast::{Body, Expr, For, Macro, Stmt, Target};
use super::lexer::{Start, Token, Tokens, tokenize};
use super::registry::Environment;
use super::{Res, assertion_error, syntax_error};

pub(super) struct Parser {
    tokens: Vec<(Token, u32)>,
    error: Option<Box<crate::Error>>,
    at: usize,
    pub(super) environment: Environment,
    /// How deeply the parser is nested now, and the height of the last expression it made: both
    /// are bounded, since evaluation and drop recurse on them.
    pub(super) depth: usize,
    pub(super) height: usize,
    pub(super) depth_max: usize,
    tags: Vec<Str>,
    ends: Vec<&'static [&'static str]>,
}

impl Parser {
    pub(super) fn new(
        source: &str,
        start: Start,
        environment: Environment,
        depth_max: usize,
    ) -> Parser {
        let Tokens { tokens, error } = tokenize(source, start);
        Parser {
            tokens,
            error,
            at: 0,
            environment,
            depth: 0,
            height: 0,
            depth_max,
            tags: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// A whole template.
    pub(super) fn template(mut self) -> Res<Body> {
        self.body(&[])
    }

    /// A bare expression to the end of the text.
    ///
    /// `is_prefix_enough`: validation of workflow expressions looks at a prefix only.
    pub(super) fn single_expression(mut self, is_prefix_enough: bool) -> Res<Expr> {
        self.check()?;
        let expr = self.expression(true)?;
        if !is_prefix_enough && *self.peek() != Token::Eof {
            return Err(self.fail("chunk after expression"));
        }
        Ok(expr)
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    pub(super) fn fail(&self, message: impl Into<String>) -> Box<crate::Error> {
        syntax_error(message, self.line())
    }

    /// The lexer's error, once the parser has come to where it happened.
    pub(super) fn check(&mut self) -> Res<()> {
        if *self.peek() == Token::Eof
            && let Some(error) = self.error.take()
        {
            return Err(error);
        }
        Ok(())
    }

    pub(super) fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::Eof, |(token, _)| token)
    }

    pub(super) fn peek_second(&self) -> &Token {
        self.tokens
            .get(self.at + 1)
            .map_or(&Token::Eof, |(token, _)| token)
    }

    pub(super) fn next(&mut self) -> Res<Token> {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        self.check()?;
        Ok(token)
    }

    pub(super) fn is_operator(&self, operator: &str) -> bool {
        matches!(self.peek(), Token::Operator(found) if *found == operator)
    }

    pub(super) fn skip_operator(&mut self, operator: &str) -> Res<bool> {
        let found = self.is_operator(operator);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    pub(super) fn expect_operator(&mut self, operator: &'static str) -> Res<()> {
        if self.skip_operator(operator)? {
            return Ok(());
        }
        Err(self.unexpected(operator))
    }

    /// The error for a token other than the `expected` one.
    fn unexpected(&self, expected: &str) -> Box<crate::Error> {
        if *self.peek() == Token::Eof {
            return self.fail(format!(
                "unexpected end of template, expected '{expected}'."
            ));
        }
        self.fail(format!(
            "expected token '{expected}', got '{}'",
            self.peek().describe()
        ))
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if **found == *name)
    }

    pub(super) fn second_is_name(&self, name: &str) -> bool {
        matches!(self.peek_second(), Token::Name(found) if **found == *name)
    }

    pub(super) fn skip_name(&mut self, name: &str) -> Res<bool> {
        let found = self.is_name(name);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn expect_name(&mut self, name: &str) -> Res<()> {
        if self.skip_name(name)? {
            return Ok(());
        }
        Err(self.unexpected(name))
    }

    pub(super) fn name(&mut self) -> Res<Str> {
        if let Token::Name(name) = self.peek() {
            let name = name.clone();
            self.next()?;
            return Ok(name);
        }
        Err(self.unexpected("name"))
    }

    fn expect(&mut self, token: &Token) -> Res<()> {
        if self.peek() == token {
            self.next()?;
            return Ok(());
        }
        Err(self.unexpected(&token.describe()))
    }

    /// Runs `parse` one level deeper.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Parser) -> Res<T>) -> Res<T> {
        if self.depth >= self.depth_max {
            return Err(self.fail("the template is nested too deeply"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Statements up to one of the `ends` (which stays) or, without any, to the end of the text.
    fn body(&mut self, ends: &'static [&'static str]) -> Res<Body> {
        let mut body = Vec::new();
        self.check()?;
        if !ends.is_empty() {
            self.ends.push(ends);
        }
        loop {
            match self.peek() {
                Token::Data(text) => {
                    body.push(Stmt::Data(text.clone()));
                    self.next()?;
                }
                Token::VariableBegin => {
                    self.next()?;
                    let expr = self.tuple(true, false)?;
                    self.expect(&Token::VariableEnd)?;
                    body.push(Stmt::Print(expr));
                }
                Token::BlockBegin => {
                    self.next()?;
                    if ends.iter().any(|end| self.is_name(end)) {
                        break;
                    }
                    let statement = self.deeper(Parser::statement)?;
                    self.expect(&Token::BlockEnd)?;
                    body.extend(statement);
                }
                Token::Eof => break,
                other => return Err(self.fail(format!("unexpected '{}'", other.describe()))),
            }
        }
        if !ends.is_empty() {
            self.ends.pop();
        }
        Ok(body)
    }

    /// The rest of an opening tag, then statements up to one of `ends`.
    fn block_body(&mut self, ends: &'static [&'static str]) -> Res<Body> {
        self.skip_operator(":")?;
        self.expect(&Token::BlockEnd)?;
        let body = self.body(ends)?;
        if *self.peek() == Token::Eof {
            self.ends.push(ends);
            return Err(self.unknown_tag(None));
        }
        Ok(body)
    }

    /// As [`Parser::block_body`], taking the end too.
    fn closed_body(&mut self, end: &'static [&'static str]) -> Res<Body> {
        let body = self.block_body(end)?;
        self.next()?;
        Ok(body)
    }

    /// The error for a tag that is not known, or (without a name) for a missing end tag.
    fn unknown_tag(&self, name: Option<&str>) -> Box<crate::Error> {
        let mut message = match name {
            None => "Unexpected end of template.".to_string(),
            Some(name) => format!("Encountered unknown tag '{name}'."),
        };
        if let Some(looking) = self.ends.last() {
            let looking: Vec<String> = looking.iter().map(|end| format!("'{end}'")).collect();
            let looking = looking.join(" or ");
            let is_known = name.is_some_and(|name| self.ends.iter().any(|e| e.contains(&name)));
            message.push_str(&if is_known {
                format!(
                    " You probably made a nesting mistake. Jinja is expecting this tag, but \
                     currently looking for {looking}."
                )
            } else {
                format!(" Jinja was looking for the following tags: {looking}.")
            });
        }
        if let Some(tag) = self.tags.last() {
            message.push_str(&format!(
                " The innermost block that needs to be closed is '{tag}'."
            ));
        }
        self.fail(message)
    }

    fn statement(&mut self) -> Res<Vec<Stmt>> {
        let Token::Name(tag) = self.peek() else {
            return Err(self.fail("tag name expected"));
        };
        let tag = tag.clone();
        let parse: fn(&mut Parser) -> Res<Vec<Stmt>> = match &*tag {
            "for" => |p| one(p.for_statement()),
            "if" => |p| one(p.if_statement()),
            "set" => |p| one(p.set_statement()),
            "with" => |p| one(p.with_statement()),
            "macro" => |p| one(p.macro_statement()),
            "call" => |p| one(p.call_statement()),
            "filter" => |p| one(p.filter_statement()),
            "autoescape" => |p| one(p.autoescape_statement()),
            "block" => |p| one(p.block_statement()),
            "include" | "import" | "from" | "extends" => |p| one(p.load_statement()),
            "print" => Parser::print_statement,
            _ => return Err(self.unknown_tag(Some(&tag))),
        };
        self.tags.push(tag);
        let statement = parse(self);
        // A failed parse ends here, so the stack need not be put right then.
        if statement.is_ok() {
            self.tags.pop();
        }
        statement
    }

    fn print_statement(&mut self) -> Res<Vec<Stmt>> {
        self.next()?;
        let mut statements = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !statements.is_empty() {
                self.expect_operator(",")?;
            }
            statements.push(Stmt::Print(self.expression(true)?));
        }
        Ok(statements)
    }

    fn for_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        // As in Jinja, `in` ends no tuple: in `for x, in y` it is a name.
        let target = self.target(false)?;
        if assigns(&target, "loop") {
            return Err(self.fail("Can't assign to special loop variable in for-loop target"));
        }
        self.expect_name("in")?;
        let iter = self.tuple(false, false)?;
        let test = if self.skip_name("if")? {
            Some(self.expression(true)?)
        } else {
            None
        };
        let is_recursive = self.skip_name("recursive")?;
        let body = self.block_body(&["endfor", "else"])?;
        let otherwise = if self.is_name("else") {
            self.next()?;
            self.closed_body(&["endfor"])?
        } else {
            self.next()?;
            Vec::new()
        };
        Ok(Stmt::For(Arc::new(For {
            target,
            iter,
            test,
            body,
            otherwise,
            is_recursive,
        })))
    }

    fn if_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, false)?;
            let body = self.block_body(&["elif", "else", "endif"])?;
            branches.push((test, body));
            if self.skip_name("elif")? {
                continue;
            }
            let otherwise = if self.skip_name("else")? {
                self.closed_body(&["endif"])?
            } else {
                self.next()?;
                Vec::new()
            };
            return Ok(Stmt::If {
                branches,
                otherwise,
            });
        }
    }

    fn set_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let target = self.target(true)?;
        if self.skip_operator("=")? {
            let value = self.tuple(true, false)?;
            return Ok(Stmt::Set(target, value));
        }
        let filter = if self.is_operator("|") {
            Some(self.filters(None)?)
        } else {
            None
        };
        let body = self.closed_body(&["endset"])?;
        Ok(Stmt::SetBlock {
            target,
            filter,
            body,
        })
    }

    fn with_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let mut bindings = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !bindings.is_empty() {
                self.expect_operator(",")?;
            }
            let target = self.target(false)?;
            self.expect_operator("=")?;
            bindings.push((target, self.expression(true)?));
        }
        let body = self.closed_body(&["endwith"])?;
        Ok(Stmt::With { bindings, body })
    }

    fn autoescape_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let enabled = self.expression(true)?;
        let body = self.closed_body(&["endautoescape"])?;
        Ok(Stmt::AutoEscape(enabled, body))
    }

    fn filter_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let first = self.filter(None)?;
        let filter = if self.is_operator("|") {
            self.filters(Some(first))?
        } else {
            first
        };
        let body = self.closed_body(&["endfilter"])?;
        Ok(Stmt::FilterBlock { filter, body })
    }

    fn macro_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let name = self.name()?;
        let (params, defaults) = self.signature()?;
        let body = self.closed_body(&["endmacro"])?;
        Ok(Stmt::Macro(Arc::new(new_macro(
            Some(name),
            params,
            defaults,
            body,
        ))))
    }

    fn call_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let (params, defaults) = if self.is_operator("(") {
            self.signature()?
        } else {
            (Vec::new(), Vec::new())
        };
        let call = self.expression(true)?;
        if !matches!(call, Expr::Call { .. }) {
            return Err(self.fail("expected call"));
        }
        let body = self.closed_body(&["endcall"])?;
        Ok(Stmt::CallBlock {
            call,
            caller: Arc::new(new_macro(None, params, defaults, body)),
        })
    }

    fn signature(&mut self) -> Res<(Vec<Str>, Vec<Expr>)> {
        let mut params: Vec<Str> = Vec::new();
        let mut defaults = Vec::new();
        self.expect_operator("(")?;
        while !self.is_operator(")") {
            if !params.is_empty() {
                self.expect_operator(",")?;
            }
            let param = self.name()?;
            if self.skip_operator("=")? {
                defaults.push(self.expression(true)?);
            } else if !defaults.is_empty() {
                return Err(self.fail("non-default argument follows default argument"));
            }
            params.push(param);
        }
        self.expect_operator(")")?;
        Ok((params, defaults))
    }

    fn block_statement(&mut self) -> Res<Stmt> {
        self.next()?;
        let name = self.name()?;
        let is_scoped = self.skip_name("scoped")?;
        let is_required = self.skip_name("required")?;
        if self.is_operator("-") {
            return Err(self.fail(
                "Block names in Jinja have to be valid Python identifiers and may not contain \
                 hyphens, use an underscore instead.",
            ));
        }
        let body = self.closed_body(&["endblock"])?;
        let is_blank =
            |statement: &Stmt| matches!(statement, Stmt::Data(text) if text.trim().is_empty());
        if is_required && !body.iter().all(is_blank) {
            return Err(self.fail("Required blocks can only contain comments or whitespace"));
        }
        if self.is_name(&name) {
            self.next()?;
        }
        Ok(Stmt::Block { is_scoped, body })
    }

    /// The four statements that would load another template.
    fn load_statement(&mut self) -> Res<Stmt> {
        let Token::Name(tag) = self.next()? else {
            return Err(self.fail("tag name expected"));
        };
        let template = self.expression(true)?;
        let mut names = Vec::new();
        match &*tag {
            "include" => {
                if self.is_name("ignore") && self.second_is_name("missing") {
                    self.next()?;
                    self.next()?;
                }
                self.load_context()?;
            }
            "import" => {
                self.expect_name("as")?;
                names.push(self.name()?);
                self.load_context()?;
            }
            "from" => {
                self.expect_name("import")?;
                self.imported_names(&mut names)?;
            }
            _ => {}
        }
        Ok(Stmt::Load { template, names })
    }

    fn load_context(&mut self) -> Res<bool> {
        let found =
            (self.is_name("with") || self.is_name("without")) && self.second_is_name("context");
        if found {
            self.next()?;
            self.next()?;
        }
        Ok(found)
    }

    fn imported_names(&mut self, names: &mut Vec<Str>) -> Res<()> {
        loop {
            if !names.is_empty() {
                self.expect_operator(",")?;
            }
            if matches!(self.peek(), Token::Name(_)) && self.load_context()? {
                return Ok(());
            }
            let name = self.name()?;
            if name.starts_with('_') {
                return Err(assertion_error(
                    "names starting with an underline can not be imported",
                    self.line(),
                ));
            }
            names.push(if self.skip_name("as")? {
                self.name()?
            } else {
                name
            });
            if self.load_context()? || !self.is_operator(",") {
                return Ok(());
            }
        }
    }

    /// An assignment target: a name, a tuple of names, or with `with_namespace` an attribute.
    fn target(&mut self, with_namespace: bool) -> Res<Target> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            if !targets.is_empty() {
                self.expect_operator(",")?;
            }
            if self.is_tuple_end() {
                break;
            }
            targets.push(self.deeper(|p| p.single_target(with_namespace))?);
            if !self.is_operator(",") {
                break;
            }
            is_tuple = true;
        }
        if is_tuple {
            return Ok(Target::Tuple(targets));
        }
        targets.pop().ok_or_else(|| {
            self.fail(format!(
                "Expected an expression, got '{}'",
                self.peek().describe()
            ))
        })
    }

    fn single_target(&mut self, with_namespace: bool) -> Res<Target> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.next()?;
                if matches!(
                    &*name,
                    "true" | "false" | "none" | "True" | "False" | "None"
                ) {
                    return Err(self.fail("can't assign to 'const'"));
                }
                if with_namespace && self.skip_operator(".")? {
                    return Ok(Target::Attribute(name, self.name()?));
                }
                Ok(Target::Name(name))
            }
            Token::Operator("(") => {
                self.next()?;
                let target = self.target(with_namespace)?;
                self.expect_operator(")")?;
                Ok(target)
            }
            Token::Operator("[") => Err(self.fail("can't assign to 'list'")),
            Token::Operator("{") => Err(self.fail("can't assign to 'dict'")),
            Token::String(_) | Token::Integer(_) | Token::Float(_) => {
                Err(self.fail("can't assign to 'const'"))
            }
            other => Err(self.fail(format!("unexpected '{}'", other.describe()))),
        }
    }
}

fn one(statement: Res<Stmt>) -> Res<Vec<Stmt>> {
    statement.map(|statement| vec![statement])
}

fn assigns(target: &Target, name: &str) -> bool {
    match target {
        Target::Name(found) => **found == *name,
        Target::Attribute(..) => false,
        Target::Tuple(targets) => targets.iter().any(|target| assigns(target, name)),
    }
}

fn new_macro(name: Option<Str>, params: Vec<Str>, defaults: Vec<Expr>, body: Body) -> Macro {
    let reads =
        |name: &str| super::meta::reads(&body, name) && !params.iter().any(|p| **p == *name);
    Macro {
        reads_varargs: reads("varargs"),
        reads_kwargs: reads("kwargs"),
        reads_caller: reads("caller"),
        name,
        params,
        defaults,
        body,
    }
}
