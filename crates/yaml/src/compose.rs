//! From the parser's events to the tree of nodes.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};

use crate::diagnostic::{Diagnostic, Severity};
use crate::explain::explain;
use crate::load::{Document, DuplicateKeys, Options, UnknownTags};
use crate::mapping::{self, Pair};
use crate::node::{Kind, Node};
use crate::scalar::{self, Resolved};
use crate::span::Span;

const CORE: &str = "tag:yaml.org,2002:";

/// Reads all documents.
///
/// # Errors
///
/// All findings, at least one of which is an error.
pub(crate) fn compose(text: &str, options: &Options) -> Result<Vec<Document>, Vec<Diagnostic>> {
    let mut parser_options = granit_parser::Options::default();
    parser_options.set_emit_comments(false);
    parser_options.block_scalar_eof_without_line_feed = true;
    parser_options.bom_inside_document_as_content = true;
    parser_options.emit_anchor_events = true;
    parser_options.flow_nesting_limit = options.limits.depth_max;
    parser_options.block_nesting_limit = options.limits.depth_max;
    let mut composer = Composer::new(text, options);
    for event in Parser::new_from_str_with_options(text, parser_options) {
        let result = match event {
            Ok((event, span)) => {
                composer.offset = span.start.byte_offset().unwrap_or(0);
                composer.event(event, Span::from_parser(&span))
            }
            Err(error) => {
                let diagnostic = explain(&error, options.limits.depth_max);
                composer.report(diagnostic);
                Err(Stop)
            }
        };
        if result.is_err() {
            break;
        }
    }
    composer.finish()
}

/// Nothing that follows can be read in a useful way.
struct Stop;

/// A complete value with what a repetition of it would cost.
#[derive(Clone)]
pub(crate) struct Built {
    pub(crate) node: Node,
    /// How many values it consists of, aliases followed.
    pub(crate) weight: usize,
    /// Levels of nesting below and including it.
    pub(crate) height: usize,
    /// A plain `<<` or `=`, which mean something as keys only.
    pub(crate) special: Special,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    Merge,
    DefaultValue,
}

enum Shape {
    Sequence {
        items: Vec<Node>,
        pairs: bool,
    },
    Mapping {
        pairs: Vec<Pair>,
        key: Option<Built>,
        set: bool,
    },
}

/// A collection whose end has not come yet.
struct Frame {
    shape: Shape,
    /// Written with brackets, inside which layout does not matter.
    flow: bool,
    span: Span,
    anchor: usize,
    weight: usize,
    height: usize,
}

struct Composer<'a> {
    text: &'a str,
    options: &'a Options,
    /// Where the current event begins in `text`.
    offset: usize,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Built>,
    anchor_names: HashSet<String>,
    documents: Vec<Document>,
    findings: Vec<Diagnostic>,
    root: Option<Node>,
    /// Values so far, in all documents.
    nodes: usize,
    failed: bool,
}

impl<'a> Composer<'a> {
    fn new(text: &'a str, options: &'a Options) -> Composer<'a> {
        Composer {
            text,
            options,
            offset: 0,
            frames: Vec::new(),
            anchors: HashMap::new(),
            anchor_names: HashSet::new(),
            documents: Vec::new(),
            findings: Vec::new(),
            root: None,
            nodes: 0,
            failed: false,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.anchor_names.clear();
                self.root = Some(Node {
                    kind: Kind::Null,
                    span,
                });
                Ok(())
            }
            Event::DocumentEnd => {
                if let Some(root) = self.root.take() {
                    let warnings = if self.failed {
                        Vec::new()
                    } else {
                        std::mem::take(&mut self.findings)
                    };
                    self.documents.push(Document { root, warnings });
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                // The parser's text for a value that was left out is "~".
                let left_out = span.start == span.end && style == ScalarStyle::Plain;
                let text = if left_out { "" } else { &*text };
                self.check_start(span, left_out);
                let built = self.scalar(text, style, tag.as_deref(), span);
                self.complete(built, anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_start(span, false);
                let pairs = self.sequence_tag(tag.as_deref(), span);
                self.open(
                    Shape::Sequence {
                        items: Vec::new(),
                        pairs,
                    },
                    style,
                    anchor,
                    span,
                )
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_start(span, false);
                let set = self.mapping_tag(tag.as_deref(), span);
                self.open(
                    Shape::Mapping {
                        pairs: Vec::new(),
                        key: None,
                        set,
                    },
                    style,
                    anchor,
                    span,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(id) => self.alias(id, span),
            Event::Anchor(_, name) => {
                self.anchor(&name, span);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Vec<Document>, Vec<Diagnostic>> {
        if self.failed {
            Err(self.findings)
        } else {
            Ok(self.documents)
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.failed |= diagnostic.severity == Severity::Error;
        self.findings.push(diagnostic.with_path(self.path()));
    }

    /// Reports something after which reading goes on, to find what else there is.
    fn refuse(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.report(Diagnostic::error(span.start, message).with_help(help));
    }

    /// Where the composer is, such as `tasks.build.next[0]`.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match &frame.shape {
                Shape::Sequence { items, .. } => {
                    let _ = write!(path, "[{}]", items.len());
                }
                Shape::Mapping { key: Some(key), .. } => push_key(&mut path, &key.node.key_text()),
                Shape::Mapping { key: None, .. } => {}
            }
        }
        path
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Built {
        let full = tag.map(full_tag);
        let resolved = match full.as_deref() {
            None if style == ScalarStyle::Plain => scalar::plain(text),
            None => Ok(Resolved::Kind(Kind::String(text.into()))),
            // The "non-specific" tag changes nothing in PyYAML, not even for quoted text.
            Some("!") if !text.is_empty() => scalar::plain(text),
            Some("!") => Ok(Resolved::Kind(Kind::String("".into()))),
            Some(full) => {
                let known = full
                    .strip_prefix(CORE)
                    .and_then(|name| scalar::tagged(name, text));
                match known {
                    Some(result) => result,
                    None if self.unknown_tag(tag, span, "a single value") => {
                        Ok(Resolved::Kind(Kind::Null))
                    }
                    None if style == ScalarStyle::Plain => scalar::plain(text),
                    None => Ok(Resolved::Kind(Kind::String(text.into()))),
                }
            }
        };
        let (kind, special) = match resolved {
            Ok(Resolved::Kind(kind)) => (kind, Special::None),
            Ok(Resolved::Merge) => (Kind::String("<<".into()), Special::Merge),
            Ok(Resolved::DefaultValue) => (Kind::String("=".into()), Special::DefaultValue),
            Err(unreadable) => {
                self.refuse(span, unreadable.message, unreadable.help);
                (Kind::Null, Special::None)
            }
        };
        Built {
            node: Node { kind, span },
            weight: 1,
            height: 1,
            special,
        }
    }

    /// Checks the tag of a sequence; returns whether its elements must be single pairs.
    fn sequence_tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        match tag.map(full_tag).as_deref() {
            None | Some("!" | "tag:yaml.org,2002:seq") => false,
            Some("tag:yaml.org,2002:omap" | "tag:yaml.org,2002:pairs") => true,
            Some(_) => {
                self.unknown_tag(tag, span, "a list");
                false
            }
        }
    }

    /// Checks the tag of a mapping; returns whether it is a set.
    fn mapping_tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        match tag.map(full_tag).as_deref() {
            None | Some("!" | "tag:yaml.org,2002:map") => false,
            Some("tag:yaml.org,2002:set") => true,
            Some(_) => {
                self.unknown_tag(tag, span, "a mapping");
                false
            }
        }
    }

    /// Returns whether the tag is refused.
    fn unknown_tag(&mut self, tag: Option<&Tag>, span: Span, what: &str) -> bool {
        if self.options.unknown_tags == UnknownTags::Ignore {
            return false;
        }
        let written = tag.map(Tag::original).unwrap_or_default();
        self.refuse(
            span,
            format!("the tag `{written}` has no meaning for {what}"),
            "remove the tag, or put the text in quotes if the `!` belongs to it",
        );
        true
    }

    /// Refuses what the parser, which knows YAML 1.2, lets pass and PyYAML does not: a tab before
    /// the first text of a line or after `-`, and a `:` without a key.
    fn check_start(&mut self, span: Span, empty: bool) {
        // Inside brackets layout does not matter, and lines may be long: no search for their start.
        if self.in_flow() {
            return;
        }
        let before = &self.text[..self.offset.min(self.text.len())];
        let line = &before[before.rfind('\n').map_or(0, |index| index + 1)..];
        let lead = line.trim_end_matches([' ', '\t']);
        if !(lead.is_empty() || lead.ends_with(['-', '?'])) {
            return;
        }
        if line[lead.len()..].contains('\t') {
            self.refuse(
                span,
                "a tab is used where YAML allows only spaces",
                "replace the tab by spaces",
            );
        } else if empty
            && self.text[before.len()..].starts_with(':')
            && matches!(
                self.frames.last(),
                Some(Frame {
                    shape: Shape::Mapping { key: None, .. },
                    ..
                })
            )
            && !before.trim_end().ends_with('?')
        {
            self.refuse(span, "the `:` has no key before it", "write `key: value`");
        }
    }

    fn in_flow(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.flow)
    }

    fn anchor(&mut self, name: &str, span: Span) {
        if name.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')) {
            self.refuse(
                span,
                format!("the anchor `&{name}` has a character that anchors can't have"),
                "use letters, digits, `_` and `-`, or put the text in quotes if the `&` belongs to it",
            );
        }
        if !self.anchor_names.insert(name.to_owned()) {
            self.refuse(
                span,
                format!("the anchor `&{name}` is defined twice"),
                "give each anchor a name of its own",
            );
        }
    }

    fn open(
        &mut self,
        shape: Shape,
        style: StructureStyle,
        anchor: usize,
        span: Span,
    ) -> Result<(), Stop> {
        if self.frames.len() >= self.options.limits.depth_max {
            return Err(self.too_deep(span));
        }
        self.frames.push(Frame {
            shape,
            flow: style == StructureStyle::Flow,
            span,
            anchor,
            weight: 1,
            height: 1,
        });
        Ok(())
    }

    fn too_deep(&mut self, span: Span) -> Stop {
        let message = format!(
            "the document is nested more than {} levels deep",
            self.options.limits.depth_max
        );
        self.refuse(span, message, "flatten the document");
        Stop
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Stop> {
        let Some(built) = self.anchors.get(&id).cloned() else {
            self.refuse(
                span,
                "an alias refers to a value that contains it",
                "write the value out; a value can't contain itself",
            );
            let node = Node {
                kind: Kind::Null,
                span,
            };
            return self.add(Built {
                node,
                weight: 1,
                height: 1,
                special: Special::None,
            });
        };
        if self.frames.len() + built.height > self.options.limits.depth_max {
            return Err(self.too_deep(span));
        }
        self.charge(built.weight, span)?;
        self.add(built)
    }

    /// Counts `weight` more values.
    fn charge(&mut self, weight: usize, span: Span) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(weight);
        if self.nodes <= self.options.limits.nodes_max {
            return Ok(());
        }
        let message = format!(
            "the document has more than {} values, aliases (`*name`) and merges counted in full",
            self.options.limits.nodes_max
        );
        self.refuse(
            span,
            message,
            "split the document, or use fewer aliases of aliases",
        );
        Err(Stop)
    }

    fn close(&mut self, end: Span) -> Result<(), Stop> {
        let frame = self
            .frames
            .pop()
            .expect("the parser balances starts and ends");
        let span = Span {
            start: frame.span.start,
            end: end.end,
        };
        let mut weight = frame.weight;
        let kind = match frame.shape {
            Shape::Sequence {
                items,
                pairs: false,
            } => Kind::Sequence(Arc::from(items)),
            Shape::Sequence { items, pairs: true } => self.pairs(items),
            Shape::Mapping { pairs, set, .. } => {
                let budget = self.options.limits.nodes_max.saturating_sub(self.nodes);
                let built = mapping::build(pairs, budget);
                for diagnostic in built.findings {
                    self.mapping_finding(diagnostic);
                }
                if built.merged_weight > 0 {
                    self.charge(built.merged_weight, span)?;
                    weight = weight.saturating_add(built.merged_weight);
                }
                if set {
                    Kind::Set(Arc::new(built.mapping))
                } else {
                    Kind::Mapping(Arc::new(built.mapping))
                }
            }
        };
        if self.findings.len() > self.options.limits.diagnostics_max {
            return Err(Stop);
        }
        let built = Built {
            node: Node { kind, span },
            weight,
            height: frame.height,
            special: Special::None,
        };
        self.complete(built, frame.anchor)
    }

    /// `!!omap` and `!!pairs`: each element is a mapping with one entry.
    fn pairs(&mut self, items: Vec<Node>) -> Kind {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            match item
                .as_mapping()
                .map(|mapping| (mapping.len(), mapping.iter().next()))
            {
                Some((1, Some(entry))) => {
                    let pair = vec![entry.key.clone(), entry.value.clone()];
                    out.push(Node {
                        kind: Kind::Sequence(Arc::from(pair)),
                        span: item.span,
                    });
                }
                _ => self.refuse(
                    item.span,
                    "an element of an ordered map is not a single `key: value` pair",
                    "give each element exactly one key",
                ),
            }
        }
        Kind::Sequence(Arc::from(out))
    }

    fn mapping_finding(&mut self, mut diagnostic: Diagnostic) {
        if self.findings.len() > self.options.limits.diagnostics_max {
            return;
        }
        if self.options.duplicate_keys == DuplicateKeys::Refuse {
            diagnostic.severity = Severity::Error;
        }
        let key = std::mem::take(&mut diagnostic.path);
        self.failed |= diagnostic.severity == Severity::Error;
        let mut path = self.path();
        if !key.is_empty() {
            push_key(&mut path, &key);
        }
        self.findings.push(diagnostic.with_path(path));
    }

    /// A value is complete: remembers it under its anchor and hands it to its parent.
    fn complete(&mut self, built: Built, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, built.clone());
        }
        self.charge(1, built.node.span)?;
        self.add(built)
    }

    fn add(&mut self, mut built: Built) -> Result<(), Stop> {
        let is_key = matches!(
            self.frames.last(),
            Some(Frame {
                shape: Shape::Mapping { key: None, .. },
                ..
            })
        );
        if is_key {
            self.check_key(&mut built);
        } else if built.special != Special::None {
            let text = built.node.as_str().unwrap_or_default().to_owned();
            self.refuse(
                built.node.span,
                format!("a plain `{text}` is a key, it can't be a value"),
                "put it in quotes",
            );
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        frame.weight = frame.weight.saturating_add(built.weight);
        frame.height = frame.height.max(built.height + 1);
        match &mut frame.shape {
            Shape::Sequence { items, .. } => items.push(built.node),
            Shape::Mapping { pairs, key, .. } => match key.take() {
                None => *key = Some(built),
                Some(key) => pairs.push(Pair { key, value: built }),
            },
        }
        if self.findings.len() > self.options.limits.diagnostics_max {
            return Err(Stop);
        }
        Ok(())
    }

    /// Refuses collections as keys, and empties them: the place of a finding is told with the text
    /// of the keys around it, and quoting a key in a key in a key doubles its length each time.
    fn check_key(&mut self, built: &mut Built) {
        if matches!(
            built.node.kind,
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Set(_)
        ) {
            self.refuse(
                built.node.span,
                format!("a {} can't be a key", built.node.kind_name()),
                "use text as key; put an expression such as '{{ x }}' in quotes",
            );
            built.node.kind = Kind::Sequence(Arc::from([]));
        }
    }
}

fn full_tag(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

fn push_key(path: &mut String, key: &str) {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if !plain {
        let _ = write!(path, "[{key:?}]");
    } else if path.is_empty() {
        path.push_str(key);
    } else {
        let _ = write!(path, ".{key}");
    }
}
