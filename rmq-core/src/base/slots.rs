//! A slab whose keys stop working when their entry is removed, even if the slot is used again.

use std::fmt;

/// Names one entry of a `Slots`: a place, and which of its successive tenants is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The place in the slab.
    pub slot: u32,
    /// Counts the tenants of the place.
    pub generation: u32,
}

/// Entries at small stable numbers; insert, look up and remove in constant time.
pub struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    len: usize,
    capacity: u32,
}

struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    /// An empty slab for at most `capacity` entries at a time.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            len: 0,
            capacity,
        }
    }

    /// Stores `value`; gives it back when the slab is full.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.entries[slot as usize];
            entry.value = Some(value);
            self.len += 1;
            return Ok(Key {
                slot,
                generation: entry.generation,
            });
        }
        match u32::try_from(self.entries.len()) {
            Ok(slot) if slot < self.capacity => {
                self.entries.push(Entry {
                    generation: 0,
                    value: Some(value),
                });
                self.len += 1;
                Ok(Key {
                    slot,
                    generation: 0,
                })
            }
            _ => Err(value),
        }
    }

    /// The key that the next `insert` will return, or `None` when full.
    #[must_use]
    pub fn next_key(&self) -> Option<Key> {
        if let Some(&slot) = self.free.last() {
            return Some(Key {
                slot,
                generation: self.entries[slot as usize].generation,
            });
        }
        let slot = u32::try_from(self.entries.len()).ok()?;
        (slot < self.capacity).then_some(Key {
            slot,
            generation: 0,
        })
    }

    /// The entry of `key`, unless it was removed.
    #[inline]
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.slot as usize)?;
        if entry.generation == key.generation {
            entry.value.as_ref()
        } else {
            None
        }
    }

    /// The same, mutable.
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.slot as usize)?;
        if entry.generation == key.generation {
            entry.value.as_mut()
        } else {
            None
        }
    }

    /// Whether the entry of `key` is still there.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Takes the entry out; its key and every copy of it are worthless from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.slot as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        self.len -= 1;
        // A place that has had every generation is given up, so that no old key can match again.
        if entry.generation < u32::MAX {
            entry.generation += 1;
            self.free.push(key.slot);
        }
        Some(value)
    }

    /// The key of whatever is in `slot` now.
    #[must_use]
    pub fn key_at(&self, slot: u32) -> Option<Key> {
        let entry = self.entries.get(slot as usize)?;
        entry.value.as_ref().map(|_| Key {
            slot,
            generation: entry.generation,
        })
    }

    /// Every entry with its key, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().zip(0u32..).filter_map(|(entry, slot)| {
            entry.value.as_ref().map(|value| {
                (
                    Key {
                        slot,
                        generation: entry.generation,
                    },
                    value,
                )
            })
        })
    }

    /// The same, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.entries
            .iter_mut()
            .zip(0u32..)
            .filter_map(|(entry, slot)| {
                let generation = entry.generation;
                entry
                    .value
                    .as_mut()
                    .map(|value| (Key { slot, generation }, value))
            })
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("len", &self.len)
            .field("capacity", &self.capacity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_removed_key_never_matches_the_next_tenant() {
        let mut slots = Slots::new(4);
        let first = slots.insert("first").unwrap();
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second").unwrap();
        assert_eq!(first.slot, second.slot);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(slots.key_at(second.slot), Some(second));
    }

    #[test]
    fn holds_the_capacity_and_not_one_more() {
        let mut slots = Slots::new(2);
        let first = slots.insert(1).unwrap();
        slots.insert(2).unwrap();
        assert_eq!(slots.next_key(), None);
        assert_eq!(slots.insert(3), Err(3));
        slots.remove(first).unwrap();
        let expected = slots.next_key().unwrap();
        assert_eq!(slots.insert(3), Ok(expected));
    }

    #[test]
    fn a_worn_out_slot_is_given_up() {
        let mut slots = Slots::new(1);
        let key = slots.insert(1).unwrap();
        slots.entries[0].generation = u32::MAX;
        let last = Key {
            slot: key.slot,
            generation: u32::MAX,
        };
        assert_eq!(slots.remove(last), Some(1));
        assert_eq!(slots.insert(2), Err(2));
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((0u8..3, 0usize..40), 0..300)) {
            let mut slots = Slots::new(16);
            let mut model: HashMap<Key, usize> = HashMap::new();
            let mut keys: Vec<Key> = Vec::new();
            for (step, pick) in steps {
                match step {
                    0 => match slots.insert(pick) {
                        Ok(key) => {
                            prop_assert!(!keys.contains(&key), "a key was issued twice");
                            keys.push(key);
                            model.insert(key, pick);
                        }
                        Err(_) => prop_assert_eq!(model.len(), 16),
                    },
                    1 if !keys.is_empty() => {
                        let key = keys[pick % keys.len()];
                        prop_assert_eq!(slots.remove(key), model.remove(&key));
                    }
                    _ if !keys.is_empty() => {
                        let key = keys[pick % keys.len()];
                        prop_assert_eq!(slots.get(key), model.get(&key));
                    }
                    _ => {}
                }
                prop_assert_eq!(slots.len(), model.len());
            }
            prop_assert_eq!(slots.iter().count(), model.len());
        }
    }
}
