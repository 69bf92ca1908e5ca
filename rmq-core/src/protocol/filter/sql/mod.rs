//! Subscriptions by an expression in SQL92's syntax over the properties of a message.
//!
//! Grammar, checks and answers are those of Apache's parser and classes, oddities included: a
//! property is a string, and what it is compared with says how it is read; a string that is no
//! number leaves the message out; an expression ends where it cannot go on, and what follows is not
//! read. Limits keep a hostile expression from using up stack or time.

mod ast;
mod eval;
mod lexer;
mod number;
mod parser;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

pub use eval::EvalError;

use super::super::message::properties::Properties;
use crate::base::error::{Error, ErrorKind};
use ast::{Node, Printed};
use eval::Slots;
use parser::Parser;

/// What an expression may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectorLimits {
    /// Bytes of its text.
    pub max_bytes: usize,
    /// Levels, of parentheses or of operators on top of each other.
    pub max_depth: usize,
    /// Operators; a list behind `IN` counts as one, however long it is.
    pub max_operators: usize,
}

impl Default for SelectorLimits {
    fn default() -> Self {
        Self {
            max_bytes: 128 * 1024,
            max_depth: 100,
            max_operators: 4096,
        }
    }
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The character, counted from 1, where the problem is.
    pub position: usize,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: {}", self.position, self.problem)
    }
}

impl std::error::Error for ParseError {}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::new(ErrorKind::Invalid, "subscription", error.to_string())
    }
}

/// A parsed expression. It prints as a text that reads back as the same expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    root: Node,
    names: Vec<String>,
    places: HashMap<Vec<u8>, usize>,
    rest: Option<usize>,
    operators: usize,
}

/// Expressions with up to this many properties are evaluated without an allocation.
const SLOTS_ON_STACK: usize = 16;

impl Selector {
    /// Reads an expression.
    pub fn parse(text: &str, limits: &SelectorLimits) -> Result<Self, ParseError> {
        let most = limits.max_bytes;
        if text.len() > most {
            let problem = format!(
                "an expression may have {most} bytes, this has {}",
                text.len()
            );
            let position = 1;
            return Err(ParseError { position, problem });
        }
        let mut parser = Parser::new(text, limits);
        let (root, rest) = parser.run()?;
        let names = parser.names;
        let places = names.iter().enumerate();
        let places = places.map(|(at, name)| (name.clone().into_bytes(), at));
        Ok(Self {
            root,
            places: places.collect(),
            names,
            rest,
            operators: parser.operators,
        })
    }

    /// The byte of the text from which on nothing was read: the expression is complete before it,
    /// and Apache's parser reads no further either.
    #[must_use]
    pub fn unread_from(&self) -> Option<usize> {
        self.rest
    }

    /// What the expression says about a message with these properties, in the form in which
    /// records hold them; `None` is unknown.
    pub fn evaluate(&self, properties: &[u8]) -> Result<Option<bool>, EvalError> {
        let mut few = [None; SLOTS_ON_STACK];
        let mut many = Vec::new();
        let slots = match few.get_mut(..self.names.len()) {
            Some(few) => few,
            None => {
                many.resize(self.names.len(), None);
                &mut many[..]
            }
        };
        if !slots.is_empty() {
            for property in Properties::new(properties) {
                if let Some(at) = self.places.get(property.name) {
                    slots[*at] = Some(property.value);
                }
            }
        }
        self.root.answer(Slots(slots))
    }

    /// Whether a consumer takes a message: neither unknown nor an error is yes.
    #[must_use]
    pub fn matches(&self, properties: &[u8]) -> bool {
        self.evaluate(properties) == Ok(Some(true))
    }

    /// How many operators it has: what an evaluation costs at most, beside reading the properties.
    #[must_use]
    pub fn operators(&self) -> usize {
        self.operators
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = &self.names;
        let node = &self.root;
        Printed { node, names }.fmt(f)
    }
}
