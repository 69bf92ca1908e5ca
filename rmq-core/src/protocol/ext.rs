//! The string pairs of a header: every request's and response's own fields travel in them.

use std::borrow::Cow;

/// The most pairs that a header may carry. Real ones have at most some tens; without a limit a
/// frame of small pairs would cost many times its size in memory.
pub const EXT_FIELDS_MAX: usize = 4096;

/// Pairs of strings, one value a key, kept in the order of their keys.
///
/// Unknown keys are kept, so that a header that is passed on stays whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtFields {
    pairs: Vec<(Cow<'static, str>, String)>,
}

impl ExtFields {
    /// No pairs; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { pairs: Vec::new() }
    }

    /// Pairs as they were read: later ones replace earlier ones of the same key.
    #[must_use]
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let owned = |(key, value)| (Cow::Owned(key), value);
        let mut pairs: Vec<(Cow<'static, str>, String)> = pairs.into_iter().map(owned).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        // Equal keys stand in the order they came: the later value moves into the kept pair.
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = std::mem::take(&mut later.1);
            }
            same
        });
        Self { pairs }
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.find(key).ok()?;
        Some(self.pairs[at].1.as_str())
    }

    /// Whether `key` is there with the value `true` in any letter case.
    #[must_use]
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Sets the value of `key`.
    pub fn insert(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let key = key.into();
        match self.find(&key) {
            Ok(at) => self.pairs[at].1 = value.into(),
            Err(at) => self.pairs.insert(at, (key, value.into())),
        }
    }

    /// Takes `key` out and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.find(key).ok()?;
        Some(self.pairs.remove(at).1)
    }

    /// The pairs in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_str()))
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Takes all pairs out.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.pairs
            .binary_search_by(|(own, _)| own.as_ref().cmp(key))
    }
}

impl<K: Into<Cow<'static, str>>, V: Into<String>> FromIterator<(K, V)> for ExtFields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut fields = Self::new();
        for (key, value) in pairs {
            fields.insert(key, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_get_remove() {
        let mut fields = ExtFields::new();
        fields.insert("topic", "T");
        fields.insert("a", "1");
        fields.insert("topic", "U");
        assert_eq!(fields.get("topic"), Some("U"));
        assert_eq!(
            fields.iter().collect::<Vec<_>>(),
            [("a", "1"), ("topic", "U")]
        );
        assert_eq!(fields.remove("a").as_deref(), Some("1"));
        assert_eq!((fields.len(), fields.get("a")), (1, None));
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("b", "4")];
        let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        let fields = ExtFields::from_pairs(pairs);
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "4")]);
    }

    #[test]
    fn is_true_is_lenient() {
        let fields: ExtFields = [("a", "TRUE"), ("b", "1")].into_iter().collect();
        assert!(fields.is_true("a"));
        assert!(!fields.is_true("b") && !fields.is_true("c"));
    }
}
