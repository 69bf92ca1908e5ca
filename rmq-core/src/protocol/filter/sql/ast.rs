//! The tree of an expression, and how it prints.

use std::fmt;

/// A node. What yields true, false or unknown is a condition; the others are values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// `NULL`, a condition.
    Null,
    /// `TRUE` and `FALSE`, conditions.
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(String),
    /// The value of a property, by its place among the names.
    Property(usize),
    /// A property where a condition is wanted.
    Condition(usize),
    Negate(Box<Node>),
    Not(Box<Node>),
    /// At least two.
    And(Vec<Node>),
    /// At least two.
    Or(Vec<Node>),
    Equal(Box<[Node; 2]>),
    IsNull(Box<Node>),
    Order(Order, Box<[Node; 2]>),
    Between {
        negated: bool,
        /// The value, the lower bound, the upper bound.
        parts: Box<[Node; 3]>,
    },
    Search {
        search: Search,
        negated: bool,
        value: Box<Node>,
        text: String,
    },
    In {
        negated: bool,
        property: usize,
        /// Sorted, without doubles.
        texts: Vec<String>,
    },
}

/// How two values are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Order {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

/// Where a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    Contains,
    StartsWith,
    EndsWith,
}

impl Search {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::StartsWith => "STARTSWITH",
            Self::EndsWith => "ENDSWITH",
        }
    }
}

impl Node {
    pub(super) fn is_condition(&self) -> bool {
        match self {
            Self::Int(_)
            | Self::Long(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Property(_)
            | Self::Negate(_) => false,
            Self::Null
            | Self::Bool(_)
            | Self::Condition(_)
            | Self::Not(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::Equal(_)
            | Self::IsNull(_)
            | Self::Order(..)
            | Self::Between { .. }
            | Self::Search { .. }
            | Self::In { .. } => true,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Long(_) | Self::Double(_))
    }

    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Null | Self::Bool(_) | Self::Text(_)) || self.is_number()
    }
}

/// A node with the names of its properties, to be printed so that it reads back as itself.
pub(super) struct Printed<'a> {
    pub(super) node: &'a Node,
    pub(super) names: &'a [String],
}

/// A string as an expression has it.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

impl Printed<'_> {
    fn of<'b>(&'b self, node: &'b Node) -> Printed<'b> {
        Printed {
            node,
            names: self.names,
        }
    }

    fn chain(&self, f: &mut fmt::Formatter<'_>, nodes: &[Node], word: &str) -> fmt::Result {
        for (at, node) in nodes.iter().enumerate() {
            let before = if at == 0 { "(" } else { word };
            write!(f, "{before}{}", self.of(node))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Node::Null => f.write_str("NULL"),
            Node::Bool(true) => f.write_str("TRUE"),
            Node::Bool(false) => f.write_str("FALSE"),
            Node::Int(value) => write!(f, "{value}"),
            Node::Long(value) => write!(f, "{value}"),
            Node::Double(value) => write!(f, "{value:?}"),
            Node::Text(text) => Quoted(text).fmt(f),
            Node::Property(at) | Node::Condition(at) => f.write_str(&self.names[*at]),
            // With a space: two minus signs may begin a comment.
            Node::Negate(node) => write!(f, "(- {})", self.of(node)),
            Node::Not(node) => write!(f, "(NOT {})", self.of(node)),
            Node::And(nodes) => self.chain(f, nodes, " AND "),
            Node::Or(nodes) => self.chain(f, nodes, " OR "),
            Node::Equal(sides) => {
                let [left, right] = &**sides;
                write!(f, "({} = {})", self.of(left), self.of(right))
            }
            Node::IsNull(node) => write!(f, "({} IS NULL)", self.of(node)),
            Node::Order(order, sides) => {
                let [left, right] = &**sides;
                let sign = order.sign();
                write!(f, "({} {sign} {})", self.of(left), self.of(right))
            }
            Node::Between { negated, parts } => {
                let [value, low, high] = &**parts;
                let (value, low, high) = (self.of(value), self.of(low), self.of(high));
                write!(f, "({value} {}BETWEEN {low} AND {high})", not(*negated))
            }
            Node::Search {
                search,
                negated,
                value,
                text,
            } => {
                let (value, word, text) = (self.of(value), search.word(), Quoted(text));
                write!(f, "({value} {}{word} {text})", not(*negated))
            }
            Node::In {
                negated,
                property,
                texts,
            } => {
                write!(f, "({} {}IN ", self.names[*property], not(*negated))?;
                for (at, text) in texts.iter().enumerate() {
                    let before = if at == 0 { "(" } else { ", " };
                    write!(f, "{before}{}", Quoted(text))?;
                }
                f.write_str("))")
            }
        }
    }
}
