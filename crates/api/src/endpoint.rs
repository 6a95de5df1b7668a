//! One endpoint of the API, told once: from this come the router, the check of rights, the check of
//! parameters and the OpenAPI description.

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use squall_auth::rbac::Permission;

use crate::Api;

/// What a client can ask, who may ask it, and what it is told.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// The path below the service, as `/rules/{id}`; `{*name}` takes slashes, too.
    pub(crate) path: &'static str,
    /// One line for a person who chooses among endpoints.
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    pub(crate) query: Vec<Parameter>,
    pub(crate) body: Body,
    /// The status of success, and the name of the shape of its answer.
    pub(crate) status: u16,
    pub(crate) answer: Shape,
    /// Other statuses whose answers are of a form of their own, or that only this endpoint has.
    pub(crate) others: Vec<(u16, Shape)>,
    /// Whether it makes work that is done later: it is turned away when too much waits already.
    pub(crate) makes_work: bool,
    pub(crate) handler: MethodRouter<Arc<Api>>,
}

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, signed in or not.
    Open,
    /// The handler decides: a signature may stand in for a caller.
    Signed,
    /// Whoever has signed in; what is shown concerns the caller alone, or is public knowledge.
    SignedIn,
    /// Who has the permission on anything at all: lists. What is listed is what the caller may see.
    Any(&'static str),
    /// Who has the permission on the object that the path or the body names: the handler asks, for
    /// it knows the object.
    Object(&'static str),
    /// Administrators.
    Admin,
}

impl Access {
    /// The permission that is named.
    ///
    /// # Panics
    ///
    /// When StackStorm knows none of that name: a slip in the table.
    pub(crate) fn permission(self) -> Option<Permission> {
        match self {
            Access::Any(name) | Access::Object(name) => {
                let found = Permission::from_name(name);
                Some(found.unwrap_or_else(|| panic!("no permission is called {name}")))
            }
            Access::Open | Access::Signed | Access::SignedIn | Access::Admin => None,
        }
    }
}

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) summary: &'static str,
}

/// What the text of a query parameter has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Boolean,
    /// Texts with commas between them.
    List,
    /// A point in time (RFC 3339).
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    /// A JSON object of the shape with this name. A request without a body counts as `{}`.
    Json(&'static str),
    /// As [`Body::Json`], or a form, each of whose values becomes a list.
    JsonOrForm(&'static str),
    /// Plain text.
    Text,
}

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Empty,
    /// An object of the shape with this name.
    One(&'static str),
    /// A list of such objects.
    Many(&'static str),
    /// A page of such a list, with its size in `X-Total-Count` and the page's in `X-Limit`.
    Page(&'static str),
    /// Text of this media type.
    Text(&'static str),
    /// Server-sent events.
    Events,
}

pub(crate) fn get<H, T>(path: &'static str, handler: H) -> Endpoint
where
    H: Handler<T, Arc<Api>>,
    T: 'static,
{
    Endpoint::new(Method::GET, path, on(MethodFilter::GET, handler), 200)
}

pub(crate) fn post<H, T>(path: &'static str, handler: H) -> Endpoint
where
    H: Handler<T, Arc<Api>>,
    T: 'static,
{
    Endpoint::new(Method::POST, path, on(MethodFilter::POST, handler), 201)
}

pub(crate) fn put<H, T>(path: &'static str, handler: H) -> Endpoint
where
    H: Handler<T, Arc<Api>>,
    T: 'static,
{
    Endpoint::new(Method::PUT, path, on(MethodFilter::PUT, handler), 200)
}

pub(crate) fn delete<H, T>(path: &'static str, handler: H) -> Endpoint
where
    H: Handler<T, Arc<Api>>,
    T: 'static,
{
    Endpoint::new(Method::DELETE, path, on(MethodFilter::DELETE, handler), 204)
}

impl Endpoint {
    fn new(
        method: Method,
        path: &'static str,
        handler: MethodRouter<Arc<Api>>,
        status: u16,
    ) -> Endpoint {
        Endpoint {
            method,
            path,
            summary: "",
            access: Access::SignedIn,
            query: Vec::new(),
            body: Body::None,
            status,
            answer: Shape::Empty,
            others: Vec::new(),
            makes_work: false,
            handler,
        }
    }

    pub(crate) fn summary(mut self, summary: &'static str) -> Endpoint {
        self.summary = summary;
        self
    }

    pub(crate) fn open(mut self) -> Endpoint {
        self.access = Access::Open;
        self
    }

    pub(crate) fn signed(mut self) -> Endpoint {
        self.access = Access::Signed;
        self
    }

    /// Asks for a permission on anything at all.
    pub(crate) fn any(mut self, permission: &'static str) -> Endpoint {
        self.access = Access::Any(permission);
        self
    }

    /// Asks for a permission on the object that is named.
    pub(crate) fn object(mut self, permission: &'static str) -> Endpoint {
        self.access = Access::Object(permission);
        self
    }

    /// Asks for an administrator.
    pub(crate) fn admin(mut self) -> Endpoint {
        self.access = Access::Admin;
        self
    }

    pub(crate) fn query(mut self, parameters: &[Parameter]) -> Endpoint {
        self.query.extend_from_slice(parameters);
        self
    }

    pub(crate) fn json(mut self, shape: &'static str) -> Endpoint {
        self.body = Body::Json(shape);
        self
    }

    pub(crate) fn json_or_form(mut self, shape: &'static str) -> Endpoint {
        self.body = Body::JsonOrForm(shape);
        self
    }

    pub(crate) fn text_body(mut self) -> Endpoint {
        self.body = Body::Text;
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Endpoint {
        self.status = status;
        self
    }

    pub(crate) fn makes_work(mut self) -> Endpoint {
        self.makes_work = true;
        self
    }

    /// Adds a status that the endpoint may answer with besides that of success.
    pub(crate) fn also(mut self, status: u16, answer: Shape) -> Endpoint {
        self.others.push((status, answer));
        self
    }

    pub(crate) fn gives(mut self, answer: Shape) -> Endpoint {
        self.answer = answer;
        self
    }
}

impl Parameter {
    pub(crate) const fn new(name: &'static str, kind: Kind, summary: &'static str) -> Parameter {
        Parameter {
            name,
            kind,
            summary,
        }
    }

    pub(crate) const fn text(name: &'static str, summary: &'static str) -> Parameter {
        Parameter::new(name, Kind::Text, summary)
    }

    pub(crate) const fn list(name: &'static str, summary: &'static str) -> Parameter {
        Parameter::new(name, Kind::List, summary)
    }

    pub(crate) const fn flag(name: &'static str, summary: &'static str) -> Parameter {
        Parameter::new(name, Kind::Boolean, summary)
    }

    pub(crate) const fn integer(name: &'static str, summary: &'static str) -> Parameter {
        Parameter::new(name, Kind::Integer, summary)
    }

    pub(crate) const fn word(
        name: &'static str,
        words: &'static [&'static str],
        summary: &'static str,
    ) -> Parameter {
        Parameter::new(name, Kind::Word(words), summary)
    }

    pub(crate) const fn time(name: &'static str, summary: &'static str) -> Parameter {
        Parameter::new(name, Kind::Time, summary)
    }
}

/// Which page of a list.
pub(crate) const PAGE: &[Parameter] = &[
    Parameter::integer(
        "limit",
        "How many at most; -1 for all, which only administrators may ask for.",
    ),
    Parameter::integer("offset", "How many to leave out at the beginning."),
];

/// Which members of the objects.
pub(crate) const MEMBERS: &[Parameter] = &[
    Parameter::list(
        "include_attributes",
        "Only these members, `a.b` for one within another; `id` comes always.",
    ),
    Parameter::list("exclude_attributes", "All members but these."),
];

/// How definitions are chosen and ordered.
pub(crate) const CHOICE: &[Parameter] = &[
    Parameter::list("id", "Those with one of these ids, 100 at most."),
    Parameter::list("name", "Those with one of these names."),
    Parameter::list(
        "sort",
        "Members to order by, `-` before one that goes downwards.",
    ),
];

/// The pack that a definition belongs to.
pub(crate) const PACK: &[Parameter] = &[Parameter::text("pack", "Those of this pack.")];

/// Whether secrets are shown in clear.
pub(crate) const SHOW_SECRETS: &[Parameter] = &[Parameter::flag(
    "show_secrets",
    "Show secrets in clear; only administrators may.",
)];
