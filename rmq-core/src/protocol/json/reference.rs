//! References: where an object occurs twice, fastjson writes `{"$ref":"$.path"}` the second time.

use super::{Json, JsonError, JsonErrorKind, MAX_DEPTH};

const NAME: &str = "$ref";
/// Most values that references copy.
const COPIES_MAX: usize = 256 * 1024;

/// Whether `text` may hold references.
pub(super) fn occurs_in(text: &str) -> bool {
    text.contains("\"$ref\"")
}

/// The tree with each reference replaced by what it names, or by `null` when that is not there.
pub(super) fn resolve(root: &Json) -> Result<Json, JsonError> {
    Resolver {
        root,
        copies: 0,
        within: 0,
    }
    .value(root, 0)
}

struct Resolver<'a> {
    root: &'a Json,
    /// Values copied because of a reference.
    copies: usize,
    /// References that the current value is reached by.
    within: usize,
}

impl Resolver<'_> {
    /// A copy of `value`. References that form a circle end at the depth limit, and those that
    /// multiply at the limit of copies.
    fn value(&mut self, value: &Json, depth: usize) -> Result<Json, JsonError> {
        let limit = |message: &str| Err(JsonError::new(JsonErrorKind::Limit, message));
        self.copies += usize::from(self.within > 0);
        if self.copies > COPIES_MAX {
            return limit("references to too many values");
        }
        if depth > MAX_DEPTH {
            return limit("references nested too deep");
        }
        let root = self.root;
        Ok(match value {
            Json::Array(elements) => {
                let copy = elements
                    .iter()
                    .map(|element| self.value(element, depth + 1));
                Json::Array(copy.collect::<Result<_, _>>()?)
            }
            Json::Object(members) => match reference(members) {
                Some(path) => match find(root, path) {
                    Some(target) => {
                        self.within += 1;
                        let copy = self.value(target, depth + 1)?;
                        self.within -= 1;
                        copy
                    }
                    None => Json::Null,
                },
                None => {
                    let copy = members
                        .iter()
                        .map(|(name, value)| Ok((name.clone(), self.value(value, depth + 1)?)));
                    Json::Object(copy.collect::<Result<_, JsonError>>()?)
                }
            },
            other => other.clone(),
        })
    }
}

/// The path of an object that is a reference.
fn reference(members: &[(Json, Json)]) -> Option<&str> {
    match members {
        [(Json::String(name), Json::String(path))] if name == NAME => path.strip_prefix('$'),
        _ => None,
    }
}

/// What a path names: `.member`, with special characters behind a backslash, and `[index]`.
fn find<'a>(root: &'a Json, path: &str) -> Option<&'a Json> {
    let mut value = root;
    let mut rest = path.chars().peekable();
    while let Some(step) = rest.next() {
        let mut name = String::new();
        match step {
            '.' => {
                while let Some(c) = rest.next_if(|c| !matches!(c, '.' | '[')) {
                    name.push(if c == '\\' { rest.next()? } else { c });
                }
                value = value.get(&name)?;
            }
            '[' => {
                while let Some(c) = rest.next_if(|&c| c != ']') {
                    name.push(c);
                }
                rest.next()?;
                value = value.as_array()?.get(name.parse::<usize>().ok()?)?;
            }
            _ => return None,
        }
    }
    Some(value)
}
