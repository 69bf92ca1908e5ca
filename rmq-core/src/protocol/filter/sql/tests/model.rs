//! Random expressions against an evaluator that shares nothing with the one under test.

use proptest::prelude::*;
use proptest::sample::select;

use super::{parse, properties};

/// An expression as a test thinks of it: a tree of its own, evaluated without the code under test.
#[derive(Clone, Debug)]
enum Model {
    Leaf(Leaf),
    Compare(Box<Model>, &'static str, Box<Model>),
    Junction(Box<Model>, &'static str, Box<Model>),
    Not(Box<Model>),
    Negate(Box<Model>),
    IsNull(Box<Model>, bool),
    Between(Box<Model>, bool, Box<Model>, Box<Model>),
    Search(Box<Model>, bool, &'static str, String),
    In(&'static str, bool, Vec<String>),
}

#[derive(Clone, Debug)]
enum Leaf {
    Name(&'static str),
    Whole(i64),
    Float(f64),
    Text(String),
    Truth(bool),
}

#[derive(Clone, Debug, PartialEq)]
enum Found {
    Missing,
    Truth(bool),
    Whole(i64),
    Float(f64),
    Text(String),
    /// Apache throws.
    Thrown,
}

const NAMES: [&str; 4] = ["a", "b", "_c$1", "not_a_word"];

impl Model {
    fn is_condition(&self) -> bool {
        match self {
            Self::Leaf(leaf) => matches!(leaf, Leaf::Truth(_) | Leaf::Name(_)),
            Self::Negate(_) => false,
            _ => true,
        }
    }

    fn has_order(&self) -> bool {
        matches!(
            self,
            Self::Negate(_) | Self::Leaf(Leaf::Name(_) | Leaf::Whole(_) | Leaf::Float(_))
        )
    }

    fn text(&self) -> String {
        let not = |negated: &bool| if *negated { "nOt " } else { "" };
        match self {
            Self::Leaf(Leaf::Name(name)) => (*name).to_owned(),
            Self::Leaf(Leaf::Whole(value)) => value.to_string(),
            Self::Leaf(Leaf::Float(value)) => format!("{value:?}"),
            Self::Leaf(Leaf::Text(text)) => format!("'{}'", text.replace('\'', "''")),
            Self::Leaf(Leaf::Truth(value)) => value.to_string(),
            Self::Compare(left, sign, right) => {
                format!("({}){sign}({})", left.text(), right.text())
            }
            Self::Junction(left, word, right) => {
                format!("({}) {word}\n({})", left.text(), right.text())
            }
            Self::Not(inner) => format!("not({})", inner.text()),
            Self::Negate(inner) => format!("-({})", inner.text()),
            Self::IsNull(inner, negated) => format!("({})is {}null", inner.text(), not(negated)),
            Self::Between(value, negated, low, high) => {
                let (value, low, high) = (value.text(), low.text(), high.text());
                format!("({value}) {}between({low})and({high})", not(negated))
            }
            Self::Search(value, negated, word, text) => {
                let text = text.replace('\'', "''");
                format!("({}) {}{word} '{text}'", value.text(), not(negated))
            }
            Self::In(name, negated, texts) => {
                let quoted = |text: &String| format!("'{}'", text.replace('\'', "''"));
                let list: Vec<String> = texts.iter().map(quoted).collect();
                format!("{name} {}in({})", not(negated), list.join(" , "))
            }
        }
    }

    fn find(&self, pairs: &[(&str, &str)]) -> Found {
        match self {
            Self::Leaf(Leaf::Name(name)) => pairs
                .iter()
                .rfind(|(one, _)| one == name)
                .map_or(Found::Missing, |(_, value)| {
                    Found::Text((*value).to_owned())
                }),
            Self::Leaf(Leaf::Whole(value)) => Found::Whole(*value),
            Self::Leaf(Leaf::Float(value)) => Found::Float(*value),
            Self::Leaf(Leaf::Text(text)) => Found::Text(text.clone()),
            Self::Leaf(Leaf::Truth(value)) => Found::Truth(*value),
            Self::Compare(left, sign, right) => {
                compare(&left.find(pairs), sign, || right.find(pairs))
            }
            Self::Junction(left, word, right) => junction(left, word, right, pairs),
            Self::Not(inner) => match inner.condition(pairs) {
                Found::Truth(value) => Found::Truth(!value),
                other => other,
            },
            Self::Negate(inner) => match inner.find(pairs) {
                Found::Whole(value) => Found::Whole(-value),
                Found::Float(value) => Found::Float(-value),
                Found::Thrown => Found::Thrown,
                _ => Found::Missing,
            },
            Self::IsNull(inner, negated) => match inner.find(pairs) {
                Found::Thrown => Found::Thrown,
                found => Found::Truth((found == Found::Missing) != *negated),
            },
            Self::Between(value, negated, low, high) => {
                let signs = if *negated { ["<", ">"] } else { [">=", "<="] };
                let value = value.find(pairs);
                let first = compare(&value, signs[0], || low.find(pairs));
                if first == Found::Truth(*negated) || first == Found::Thrown {
                    return first;
                }
                let second = compare(&value, signs[1], || high.find(pairs));
                if second == Found::Truth(*negated) || second == Found::Thrown {
                    return second;
                }
                if first == Found::Missing {
                    first
                } else {
                    second
                }
            }
            Self::Search(value, negated, word, text) => {
                search(value.find(pairs), *negated, word, text)
            }
            Self::In(name, negated, texts) => match Self::Leaf(Leaf::Name(name)).find(pairs) {
                Found::Text(value) => Found::Truth(texts.contains(&value) != *negated),
                _ => Found::Missing,
            },
        }
    }

    fn condition(&self, pairs: &[(&str, &str)]) -> Found {
        match (self, self.find(pairs)) {
            (Self::Leaf(Leaf::Name(_)), Found::Text(_)) => Found::Truth(false),
            (_, found) => found,
        }
    }
}

fn junction(left: &Model, word: &str, right: &Model, pairs: &[(&str, &str)]) -> Found {
    let decisive = Found::Truth(word == "or");
    let left = left.condition(pairs);
    if left == decisive || left == Found::Thrown {
        return left;
    }
    let right = right.condition(pairs);
    if right == decisive || right == Found::Thrown || left != Found::Missing {
        return right;
    }
    left
}

fn search(value: Found, negated: bool, word: &str, text: &str) -> Found {
    match value {
        _ if text.is_empty() => Found::Truth(false),
        Found::Thrown => value,
        Found::Text(value) => {
            let found = match word {
                "contains" => value.contains(text),
                "startsWith" => value.starts_with(text),
                _ => value.ends_with(text),
            };
            Found::Truth(found != negated)
        }
        _ => Found::Truth(false),
    }
}

/// Small numbers only: here every reading of a string is by way of 64 bits.
fn compare(left: &Found, sign: &str, right: impl FnOnce() -> Found) -> Found {
    let ordering = sign != "=" && sign != "<>";
    if *left == Found::Thrown || (ordering && *left == Found::Missing) {
        return left.clone();
    }
    let right = right();
    let answer = match (left, &right) {
        (_, Found::Thrown) => return Found::Thrown,
        (Found::Missing, Found::Missing) if !ordering => return Found::Truth(sign == "="),
        (_, Found::Missing) if !ordering => return Found::Truth(sign == "<>"),
        (Found::Missing, _) | (_, Found::Missing) => return Found::Missing,
        (Found::Text(left), Found::Text(right)) if !ordering => i32::from(left != right),
        (Found::Text(left), Found::Text(right)) => {
            match (left.trim().parse::<f64>(), right.trim().parse::<f64>()) {
                (Ok(left), Ok(right)) => order(left, right),
                _ => return Found::Thrown,
            }
        }
        (Found::Truth(left), Found::Truth(right)) => i32::from(left != right),
        (Found::Text(left), Found::Truth(right)) => {
            i32::from((left.to_lowercase() == "true") != *right)
        }
        (Found::Truth(_), Found::Text(_)) => return Found::Thrown,
        (Found::Truth(_), _) | (_, Found::Truth(_)) => -1,
        _ => match (number(left, &right), number(&right, left)) {
            (Some(left), Some(right)) => order(left, right),
            _ => return Found::Thrown,
        },
    };
    Found::Truth(match sign {
        "=" => answer == 0,
        "<>" => answer != 0,
        ">" => answer > 0,
        ">=" => answer >= 0,
        "<" => answer < 0,
        _ => answer <= 0,
    })
}

fn order(left: f64, right: f64) -> i32 {
    i32::from(left > right) - i32::from(left < right)
}

/// What a value is beside a number.
fn number(value: &Found, beside: &Found) -> Option<f64> {
    match (value, beside) {
        (Found::Whole(value), _) => Some(*value as f64),
        (Found::Float(value), _) => Some(*value),
        (Found::Text(text), Found::Whole(_)) => text.parse::<i32>().ok().map(f64::from),
        (Found::Text(text), _) => text.trim().parse().ok(),
        _ => None,
    }
}

fn word() -> impl Strategy<Value = String> {
    let words = [
        "",
        "x",
        "1",
        "-7",
        " 7 ",
        "2.5",
        "true",
        "it's",
        "xyx",
        "\u{4e2d}\n",
    ];
    select(words.to_vec()).prop_map(str::to_owned)
}

fn model() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![
        4 => select(NAMES.to_vec()).prop_map(Leaf::Name),
        2 => (0..10_i64).prop_map(Leaf::Whole),
        1 => select(vec![0.5, 2.5, 7.0, 1e10]).prop_map(Leaf::Float),
        1 => word().prop_map(Leaf::Text),
        1 => any::<bool>().prop_map(Leaf::Truth),
    ];
    leaf.prop_map(Model::Leaf)
        .prop_recursive(5, 40, 3, |inner| {
            let one = || inner.clone().prop_map(Box::new);
            let condition = || {
                inner
                    .clone()
                    .prop_filter("a condition", Model::is_condition)
            };
            let ordered = || {
                inner
                    .clone()
                    .prop_filter("an order", Model::has_order)
                    .prop_map(Box::new)
            };
            let boxed = || condition().prop_map(Box::new);
            let order = select(vec![">", ">=", "<", "<="]);
            let equal = select(vec!["=", "<>"]);
            let search = select(vec!["contains", "startsWith", "endsWith"]);
            prop_oneof![
                (ordered(), order, ordered()).prop_map(|(l, s, r)| Model::Compare(l, s, r)),
                (one(), equal, one())
                    .prop_filter("not TRUE = 1", |(left, _, right)| {
                        let constant = matches!(
                            **right,
                            Model::Leaf(Leaf::Whole(_) | Leaf::Float(_) | Leaf::Text(_))
                        );
                        !(matches!(**left, Model::Leaf(Leaf::Truth(_))) && constant)
                    })
                    .prop_map(|(l, s, r)| Model::Compare(l, s, r)),
                (boxed(), select(vec!["and", "or"]), boxed())
                    .prop_map(|(l, w, r)| Model::Junction(l, w, r)),
                boxed().prop_map(Model::Not),
                one().prop_map(Model::Negate),
                (one(), any::<bool>()).prop_map(|(inner, not)| Model::IsNull(inner, not)),
                (ordered(), any::<bool>(), ordered(), ordered())
                    .prop_filter("low is not above high", |(_, not, low, high)| {
                        let none = [];
                        *not || compare(&low.find(&none), ">", || high.find(&none))
                            != Found::Truth(true)
                    })
                    .prop_map(|(value, not, low, high)| Model::Between(value, not, low, high)),
                (one(), any::<bool>(), search, word())
                    .prop_map(|(value, not, search, text)| Model::Search(value, not, search, text)),
                (
                    select(NAMES.to_vec()),
                    any::<bool>(),
                    proptest::collection::vec(word(), 1..7)
                )
                    .prop_map(|(name, not, texts)| Model::In(name, not, texts)),
            ]
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_agrees_with_a_naive_one(
        model in model().prop_filter("a condition", Model::is_condition),
        values in proptest::collection::vec((select(NAMES.to_vec()), word()), 0..6),
    ) {
        let pairs: Vec<(&str, &str)> = values
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let text = model.text();
        let selector = parse(&text);
        prop_assert!(selector.is_ok(), "{text}: {selector:?}");
        let selector = selector.unwrap();
        prop_assert_eq!(selector.unread_from(), None);
        let want = match model.condition(&pairs) {
            Found::Truth(value) => Some(Some(value)),
            Found::Missing => Some(None),
            _ => None,
        };
        prop_assert_eq!(selector.evaluate(&properties(&pairs)).ok(), want, "{} {:?}", text, pairs);

        let printed = selector.to_string();
        let again = parse(&printed);
        prop_assert!(again.is_ok(), "{text} prints as {printed}: {again:?}");
        let again = again.unwrap();
        prop_assert_eq!(&again.to_string(), &printed);
        prop_assert_eq!(again, selector);
    }
}
