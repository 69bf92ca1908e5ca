//! From words to a tree: Apache's grammar, with its checks of what may stand where.

use std::collections::HashMap;

use super::ast::{Node, Order, Printed, Quoted, Search};
use super::eval::Value;
use super::lexer::{Kind, Lexer, Token};
use super::{ParseError, SelectorLimits};

type Parsed = Result<Part, ParseError>;

/// A node, where it began, and how many levels it has.
struct Part {
    node: Node,
    start: usize,
    depth: usize,
}

/// How tightly operators bind, the loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Equality,
    Comparison,
}

fn level_of(kind: Kind) -> Option<Level> {
    Some(match kind {
        Kind::Or => Level::Or,
        Kind::And => Level::And,
        Kind::Equal | Kind::NotEqual | Kind::Is => Level::Equality,
        Kind::Greater
        | Kind::GreaterOrEqual
        | Kind::Less
        | Kind::LessOrEqual
        | Kind::Not
        | Kind::Between
        | Kind::In
        | Kind::Contains
        | Kind::StartsWith
        | Kind::EndsWith => Level::Comparison,
        _ => return None,
    })
}

/// Reads one expression.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Words read ahead, the next one first; never more than two.
    ahead: Vec<Token>,
    limits: &'a SelectorLimits,
    pub(super) operators: usize,
    nesting: usize,
    pub(super) names: Vec<String>,
    places: HashMap<&'a str, usize>,
    text: &'a str,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, limits: &'a SelectorLimits) -> Self {
        Self {
            lexer: Lexer::new(text),
            ahead: Vec::with_capacity(2),
            limits,
            operators: 0,
            nesting: 0,
            names: Vec::new(),
            places: HashMap::new(),
            text,
        }
    }

    /// The whole expression, and the byte behind which nothing was read, if there is more.
    pub(super) fn run(&mut self) -> Result<(Node, Option<usize>), ParseError> {
        let root = self.expression(Level::Or)?;
        let root = self.condition(root)?;
        // As in Apache's parser, the expression ends where it cannot go on.
        let next = self.peek()?;
        let rest = (next.kind != Kind::End).then_some(next.start);
        Ok((root.node, rest))
    }

    fn peek_at(&mut self, place: usize) -> Result<Token, ParseError> {
        while self.ahead.len() <= place {
            let token = self.lexer.next()?;
            self.ahead.push(token);
        }
        Ok(self.ahead[place])
    }

    fn peek(&mut self) -> Result<Token, ParseError> {
        self.peek_at(0)
    }

    fn take(&mut self) -> Result<Token, ParseError> {
        self.peek()?;
        Ok(self.ahead.remove(0))
    }

    /// Takes the next word if it is of this kind.
    fn accept(&mut self, kind: Kind) -> Result<bool, ParseError> {
        let found = self.peek()?.kind == kind;
        if found {
            self.ahead.remove(0);
        }
        Ok(found)
    }

    fn expect(&mut self, kind: Kind, what: &str) -> Result<Token, ParseError> {
        let token = self.take()?;
        if token.kind == kind {
            return Ok(token);
        }
        Err(self.unexpected(token, what))
    }

    fn unexpected(&self, token: Token, wanted: &str) -> ParseError {
        let problem = match token.kind {
            Kind::End => format!("{wanted} is missing at the end"),
            _ => format!("expected {wanted}, found {}", self.lexer.slice(token)),
        };
        self.lexer.error(token.start, problem)
    }

    fn shown(&self, node: &Node) -> String {
        let names = &self.names;
        Printed { node, names }.to_string()
    }

    /// A node above others; counts it and its depth.
    fn above(&mut self, node: Node, start: usize, depth: usize) -> Parsed {
        self.operators += 1;
        let most = self.limits.max_operators;
        if self.operators > most {
            let problem = format!("an expression may have {most} operators, and this one has more");
            return Err(self.lexer.error(start, problem));
        }
        self.check_depth(depth + 1, start)?;
        Ok(Part {
            node,
            start,
            depth: depth + 1,
        })
    }

    fn check_depth(&self, depth: usize, start: usize) -> Result<(), ParseError> {
        let most = self.limits.max_depth;
        if depth <= most {
            return Ok(());
        }
        let problem = format!("an expression may be {most} levels deep, and this one is deeper");
        Err(self.lexer.error(start, problem))
    }

    /// A part where a condition is wanted.
    fn condition(&self, part: Part) -> Parsed {
        let node = match part.node {
            Node::Property(at) => Node::Condition(at),
            node if node.is_condition() => node,
            node => {
                let problem = format!("{} is neither true nor false", self.shown(&node));
                return Err(self.lexer.error(part.start, problem));
            }
        };
        Ok(Part { node, ..part })
    }

    /// An expression of operators that bind at least as tightly as `loosest`.
    fn expression(&mut self, loosest: Level) -> Parsed {
        let mut left = self.operand()?;
        // What an operator made is an operand of those that bind no tighter.
        let mut tightest = Level::Comparison;
        loop {
            let kind = self.peek()?.kind;
            let Some(level) = level_of(kind).filter(|level| (loosest..=tightest).contains(level))
            else {
                return Ok(left);
            };
            tightest = level;
            left = match level {
                Level::Or => self.chain(left, kind, Level::And, Node::Or)?,
                Level::And => self.chain(left, kind, Level::Equality, Node::And)?,
                Level::Equality => self.equality(left)?,
                Level::Comparison => self.comparison(left)?,
            };
        }
    }

    fn chain(
        &mut self,
        first: Part,
        word: Kind,
        tighter: Level,
        make: fn(Vec<Node>) -> Node,
    ) -> Parsed {
        let first = self.condition(first)?;
        let (start, mut depth) = (first.start, first.depth);
        let mut nodes = vec![first.node];
        while self.accept(word)? {
            let next = self.expression(tighter)?;
            let next = self.condition(next)?;
            depth = depth.max(next.depth);
            nodes.push(next.node);
        }
        self.operators += nodes.len() - 2;
        self.above(make(nodes), start, depth)
    }

    /// `=`, `<>` and `IS [NOT] NULL`, behind their left side.
    fn equality(&mut self, left: Part) -> Parsed {
        let word = self.take()?;
        if word.kind == Kind::Is {
            let negated = self.accept(Kind::Not)?;
            let wanted = if negated { "NULL" } else { "NULL or NOT NULL" };
            self.expect(Kind::Null, wanted)?;
            let (start, depth) = (left.start, left.depth);
            let part = self.above(Node::IsNull(Box::new(left.node)), start, depth)?;
            return self.negated(part, negated);
        }
        let right = self.expression(Level::Comparison)?;
        let (start, depth) = (left.start, left.depth.max(right.depth));
        let node = self.equal(left, right)?;
        let part = self.above(node, start, depth)?;
        self.negated(part, word.kind == Kind::NotEqual)
    }

    fn negated(&mut self, part: Part, negated: bool) -> Parsed {
        if !negated {
            return Ok(part);
        }
        self.above(Node::Not(Box::new(part.node)), part.start, part.depth)
    }

    fn equal(&self, left: Part, right: Part) -> Result<Node, ParseError> {
        for part in [&left, &right] {
            if part.node == Node::Null {
                let problem = "nothing is equal to NULL: IS NULL asks for it";
                return Err(self.lexer.error(part.start, problem));
            }
        }
        let boolean = matches!(left.node, Node::Bool(_));
        if boolean && right.node.is_constant() && !matches!(right.node, Node::Bool(_)) {
            let (one, other) = (self.shown(&left.node), self.shown(&right.node));
            let problem = format!("{one} cannot be compared with {other}");
            return Err(self.lexer.error(left.start, problem));
        }
        Ok(Node::Equal(Box::new([left.node, right.node])))
    }

    fn comparison(&mut self, left: Part) -> Parsed {
        let order = match self.peek()?.kind {
            Kind::Greater => Order::Greater,
            Kind::GreaterOrEqual => Order::GreaterOrEqual,
            Kind::Less => Order::Less,
            Kind::LessOrEqual => Order::LessOrEqual,
            _ => return self.predicate(left),
        };
        self.take()?;
        let right = self.operand()?;
        self.check_ordered(&left)?;
        self.check_ordered(&right)?;
        let (start, depth) = (left.start, left.depth.max(right.depth));
        let sides = Box::new([left.node, right.node]);
        self.above(Node::Order(order, sides), start, depth)
    }

    /// What stands beside `<` and its like: numbers, properties and their negation.
    fn check_ordered(&self, part: &Part) -> Result<(), ParseError> {
        let node = &part.node;
        let sound = match node.is_constant() {
            true => node.is_number(),
            false => !node.is_condition(),
        };
        if sound {
            return Ok(());
        }
        let problem = format!("{} has no order", self.shown(node));
        Err(self.lexer.error(part.start, problem))
    }

    /// `[NOT] BETWEEN`, `[NOT] IN` and the searches, behind their value.
    fn predicate(&mut self, value: Part) -> Parsed {
        let negated = self.accept(Kind::Not)?;
        let word = self.take()?;
        let search = match word.kind {
            Kind::Between => return self.between(value, negated),
            Kind::In => return self.within(value, negated),
            Kind::Contains => Search::Contains,
            Kind::StartsWith => Search::StartsWith,
            Kind::EndsWith => Search::EndsWith,
            _ => {
                let wanted = "BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH";
                return Err(self.unexpected(word, wanted));
            }
        };
        let text = self.string()?;
        let (start, depth) = (value.start, value.depth);
        let value = Box::new(value.node);
        let node = Node::Search {
            search,
            negated,
            value,
            text,
        };
        self.above(node, start, depth)
    }

    fn between(&mut self, value: Part, negated: bool) -> Parsed {
        let low = self.operand()?;
        self.expect(Kind::And, "AND")?;
        let high = self.operand()?;
        if !negated
            && let (Some(from), Some(to)) = (number(&low.node), number(&high.node))
            && from.is_above(&to)
        {
            let (low, high) = (self.shown(&low.node), self.shown(&high.node));
            let problem = format!("nothing is between {low} and {high}");
            return Err(self.lexer.error(value.start, problem));
        }
        for part in [&value, &low, &high] {
            self.check_ordered(part)?;
        }
        let (start, depth) = (value.start, value.depth.max(low.depth).max(high.depth));
        let parts = Box::new([value.node, low.node, high.node]);
        self.above(Node::Between { negated, parts }, start, depth)
    }

    fn within(&mut self, value: Part, negated: bool) -> Parsed {
        self.expect(Kind::Open, "(")?;
        let mut texts = vec![self.string()?];
        while self.accept(Kind::Comma)? {
            texts.push(self.string()?);
        }
        self.expect(Kind::Close, ")")?;
        texts.sort_unstable();
        texts.dedup();
        let Node::Property(property) = value.node else {
            let found = self.shown(&value.node);
            let problem = format!("IN stands behind the name of a property, not behind {found}");
            return Err(self.lexer.error(value.start, problem));
        };
        let node = Node::In {
            negated,
            property,
            texts,
        };
        self.above(node, value.start, value.depth)
    }

    /// A value, a property or an expression in parentheses, with the signs and `NOT`s before it.
    fn operand(&mut self) -> Parsed {
        let mut prefixes = Vec::new();
        while matches!(self.peek()?.kind, Kind::Plus | Kind::Minus | Kind::Not) {
            let prefix = self.take()?;
            prefixes.push(prefix);
            self.check_depth(self.nesting + prefixes.len(), prefix.start)?;
        }
        self.nesting += prefixes.len();
        let mut part = self.primary()?;
        self.nesting -= prefixes.len();
        while let Some(prefix) = prefixes.pop() {
            let depth = part.depth;
            let node = match prefix.kind {
                Kind::Minus => Node::Negate(Box::new(part.node)),
                Kind::Not => Node::Not(Box::new(self.condition(part)?.node)),
                _ => continue,
            };
            part = self.above(node, prefix.start, depth)?;
        }
        Ok(part)
    }

    fn primary(&mut self) -> Parsed {
        let token = self.take()?;
        let node = match token.kind {
            Kind::Open => return self.parentheses(token),
            Kind::Text => Node::Text(self.string_of(token)),
            Kind::Integer => self.integer(token)?,
            Kind::Float => self.float(token)?,
            Kind::True => Node::Bool(true),
            Kind::False => Node::Bool(false),
            Kind::Null => Node::Null,
            Kind::Name => Node::Property(self.name(token)),
            _ => return Err(self.unexpected(token, "a property, a value or (")),
        };
        Ok(Part {
            node,
            start: token.start,
            depth: 0,
        })
    }

    fn parentheses(&mut self, open: Token) -> Parsed {
        self.nesting += 1;
        self.check_depth(self.nesting, open.start)?;
        let part = self.expression(Level::Or)?;
        self.expect(Kind::Close, ")")?;
        self.nesting -= 1;
        Ok(part)
    }

    fn name(&mut self, token: Token) -> usize {
        let name = &self.text[token.start..token.end];
        *self.places.entry(name).or_insert_with(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }

    fn integer(&self, token: Token) -> Result<Node, ParseError> {
        let text = self.lexer.slice(token);
        let value: i64 = text.trim_end_matches(['l', 'L']).parse().map_err(|_| {
            self.lexer
                .error(token.start, format!("{text} is too large"))
        })?;
        Ok(i32::try_from(value).map_or(Node::Long(value), Node::Int))
    }

    /// Java's smallest double is its smallest positive one, so that Apache takes no zero here.
    fn float(&self, token: Token) -> Result<Node, ParseError> {
        let text = self.lexer.slice(token);
        let error = |problem| Err(self.lexer.error(token.start, format!("{text} {problem}")));
        match text.parse() {
            Ok(value) if value == f64::INFINITY => error("is too large"),
            Ok(value) if value > 0.0 => Ok(Node::Double(value)),
            Ok(_) => error("is too small: 0 without a point is zero"),
            Err(_) => error("is no number"),
        }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let token = self.expect(Kind::Text, "a string in single quotes")?;
        Ok(self.string_of(token))
    }

    fn string_of(&self, token: Token) -> String {
        let text = self.lexer.slice(token);
        text[1..text.len() - 1].replace("''", "'")
    }
}

fn number(node: &Node) -> Option<Value<'_>> {
    match node {
        Node::Int(value) => Some(Value::Int(*value)),
        Node::Long(value) => Some(Value::Long(*value)),
        Node::Double(value) => Some(Value::Double(*value)),
        _ => None,
    }
}

impl std::fmt::Debug for Parser<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parser({})", Quoted(self.text))
    }
}
