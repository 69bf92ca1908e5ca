//! What an expression says about a message. True, false and unknown as SQL has them; numbers and
//! strings as Apache's classes compare them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::ast::{Node, Order, Search};
use super::number;

/// The value of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// No value, and as a condition: unknown.
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(Cow<'a, str>),
}

/// Why an expression has no answer for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EvalError {
    /// A string is compared with a number and is none of its kind: `1.5` is no whole number.
    NotANumber,
    /// A condition on the left is compared with a string on the right.
    ConditionAndText,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "a string is no number of the kind that it is compared with",
            Self::ConditionAndText => "a condition is compared with a string",
        })
    }
}

impl std::error::Error for EvalError {}

type Outcome<T> = Result<T, EvalError>;

impl Value<'_> {
    /// Whether a number is above another.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        compare(self, other) == Ok(Ordering::Greater)
    }
}

/// The properties of one message that an expression asks for, by the places of their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots<'a>(pub(super) &'a [Option<&'a [u8]>]);

impl<'a> Slots<'a> {
    fn text(self, at: usize) -> Option<Cow<'a, str>> {
        self.0[at].map(String::from_utf8_lossy)
    }

    fn value(self, at: usize) -> Value<'a> {
        self.text(at).map_or(Value::Null, Value::Text)
    }
}

impl Node {
    /// The value of a node.
    fn value<'a>(&'a self, slots: Slots<'a>) -> Outcome<Value<'a>> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Long(value) => Value::Long(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Property(at) => slots.value(*at),
            Self::Negate(node) => match node.value(slots)? {
                Value::Int(value) => Value::Int(value.wrapping_neg()),
                Value::Long(value) => Value::Long(value.wrapping_neg()),
                Value::Double(value) => Value::Double(-value),
                _ => Value::Null,
            },
            _ => self.answer(slots)?.map_or(Value::Null, Value::Bool),
        })
    }

    /// What a condition says; `None` is unknown.
    pub(super) fn answer(&self, slots: Slots<'_>) -> Outcome<Option<bool>> {
        match self {
            Self::Bool(value) => Ok(Some(*value)),
            // A property is a string, and no string is a truth.
            Self::Condition(at) => Ok(slots.0[*at].map(|_| false)),
            Self::Not(node) => Ok(node.answer(slots)?.map(|answer| !answer)),
            Self::And(nodes) => all(nodes, slots, false),
            Self::Or(nodes) => all(nodes, slots, true),
            Self::Equal(sides) => equal(sides, slots),
            Self::IsNull(node) => Ok(Some(node.value(slots)? == Value::Null)),
            Self::Order(order, sides) => {
                let [left, right] = &**sides;
                let left = left.value(slots)?;
                if left == Value::Null {
                    return Ok(None);
                }
                ordered(*order, &left, &right.value(slots)?)
            }
            Self::Between { negated, parts } => between(*negated, parts, slots),
            Self::Search {
                search,
                negated,
                value,
                text,
            } => search_in(*search, *negated, value, text, slots),
            Self::In {
                negated,
                property,
                texts,
            } => Ok(slots.text(*property).map(|text| {
                let found = texts
                    .binary_search_by(|one| one.as_str().cmp(&text))
                    .is_ok();
                found != *negated
            })),
            Self::Null
            | Self::Int(_)
            | Self::Long(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Property(_)
            | Self::Negate(_) => Ok(None),
        }
    }
}

/// The first condition that is `decisive` decides; else one that is unknown.
fn all(nodes: &[Node], slots: Slots<'_>, decisive: bool) -> Outcome<Option<bool>> {
    let mut answer = Some(!decisive);
    for node in nodes {
        match node.answer(slots)? {
            Some(one) if one == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => answer = None,
        }
    }
    Ok(answer)
}

fn equal(sides: &[Node; 2], slots: Slots<'_>) -> Outcome<Option<bool>> {
    let [left, right] = sides;
    let (left, right) = (left.value(slots)?, right.value(slots)?);
    match (&left, &right) {
        // Two that are missing are the same.
        (Value::Null, Value::Null) => Ok(Some(true)),
        (Value::Null, _) => Ok(None),
        (_, Value::Null) => Ok(Some(false)),
        _ => Ok(Some(compare(&left, &right)? == Ordering::Equal)),
    }
}

fn ordered(order: Order, left: &Value<'_>, right: &Value<'_>) -> Outcome<Option<bool>> {
    let ordering = match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return Ok(None),
        (Value::Text(left), Value::Text(right)) => double(left)?.total_cmp(&double(right)?),
        _ => compare(left, right)?,
    };
    Ok(Some(match order {
        Order::Greater => ordering.is_gt(),
        Order::GreaterOrEqual => ordering.is_ge(),
        Order::Less => ordering.is_lt(),
        Order::LessOrEqual => ordering.is_le(),
    }))
}

fn between(negated: bool, parts: &[Node; 3], slots: Slots<'_>) -> Outcome<Option<bool>> {
    let [value, low, high] = parts;
    let value = value.value(slots)?;
    if value == Value::Null {
        return Ok(None);
    }
    let (below, above) = match negated {
        false => (Order::GreaterOrEqual, Order::LessOrEqual),
        true => (Order::Less, Order::Greater),
    };
    // Outside is below or above, between is neither; one answer may decide without the other.
    let first = ordered(below, &value, &low.value(slots)?)?;
    if first == Some(negated) {
        return Ok(first);
    }
    let second = ordered(above, &value, &high.value(slots)?)?;
    if second == Some(negated) {
        return Ok(second);
    }
    Ok(first.and(second))
}

fn search_in(
    search: Search,
    negated: bool,
    value: &Node,
    text: &str,
    slots: Slots<'_>,
) -> Outcome<Option<bool>> {
    // Nothing contains the empty string, and nothing does not contain it.
    if text.is_empty() {
        return Ok(Some(false));
    }
    let Value::Text(value) = value.value(slots)? else {
        return Ok(Some(false));
    };
    let found = match search {
        Search::Contains => value.contains(text),
        Search::StartsWith => value.starts_with(text),
        Search::EndsWith => value.ends_with(text),
    };
    Ok(Some(found != negated))
}

fn double(text: &str) -> Outcome<f64> {
    number::to_f64(text).ok_or(EvalError::NotANumber)
}

fn int(text: &str) -> Outcome<i32> {
    number::to_i32(text).ok_or(EvalError::NotANumber)
}

fn long(text: &str) -> Outcome<i64> {
    number::to_i64(text).ok_or(EvalError::NotANumber)
}

/// Compares as Apache does: a string becomes what the other side is, a whole number becomes a
/// floating one, and what cannot be compared counts as less. Doubles have Java's total order: -0.0
/// is below 0.0, and NaN, of which there is one, above everything.
fn compare(left: &Value<'_>, right: &Value<'_>) -> Outcome<Ordering> {
    use Value::{Bool, Double, Int, Long, Null, Text};
    Ok(match (left, right) {
        (Bool(left), Bool(right)) => left.cmp(right),
        (Int(left), Int(right)) => left.cmp(right),
        (Long(left), Long(right)) => left.cmp(right),
        (Double(left), Double(right)) => left.total_cmp(right),
        (Text(left), Text(right)) => left.cmp(right),

        (Int(left), Long(right)) => i64::from(*left).cmp(right),
        (Long(left), Int(right)) => left.cmp(&i64::from(*right)),
        (Int(left), Double(right)) => f64::from(*left).total_cmp(right),
        (Double(left), Int(right)) => left.total_cmp(&f64::from(*right)),
        (Long(left), Double(right)) => (*left as f64).total_cmp(right),
        (Double(left), Long(right)) => left.total_cmp(&(*right as f64)),

        (Int(left), Text(right)) => left.cmp(&int(right)?),
        (Text(left), Int(right)) => int(left)?.cmp(right),
        (Long(left), Text(right)) => left.cmp(&long(right)?),
        (Text(left), Long(right)) => long(left)?.cmp(right),
        (Double(left), Text(right)) => left.total_cmp(&double(right)?),
        (Text(left), Double(right)) => double(left)?.total_cmp(right),

        (Text(left), Bool(right)) => left.eq_ignore_ascii_case("true").cmp(right),
        (Bool(_), Text(_)) => return Err(EvalError::ConditionAndText),
        (Bool(_), _) | (_, Bool(_)) | (Null, _) | (_, Null) => Ordering::Less,
    })
}
