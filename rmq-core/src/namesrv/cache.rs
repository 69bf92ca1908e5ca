//! Encoded routes: the table is read far more often than it changes.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::protocol::json::Flavour;

/// What a route depends on: the stamps of the table's part, the order configuration and the
/// settings when it was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) route: u64,
    pub(super) order: u64,
    pub(super) settings: u64,
}

#[derive(Debug, Default)]
struct Cached {
    stamp: Option<Stamp>,
    plain: Option<Bytes>,
    standard: Option<Bytes>,
}

impl Cached {
    fn slot(&mut self, flavour: Flavour) -> &mut Option<Bytes> {
        match flavour {
            Flavour::Standard => &mut self.standard,
            Flavour::Fastjson | Flavour::Pretty => &mut self.plain,
        }
    }

    fn body(&self, flavour: Flavour) -> Option<&Bytes> {
        match flavour {
            Flavour::Standard => self.standard.as_ref(),
            Flavour::Fastjson | Flavour::Pretty => self.plain.as_ref(),
        }
    }
}

/// Encoded routes by topic, each good as long as its stamp.
#[derive(Debug, Default)]
pub(super) struct RouteCache {
    routes: RwLock<HashMap<String, Cached>>,
}

impl RouteCache {
    /// The encoded route, if it is there and its stamp is this one.
    pub(super) fn get(&self, topic: &str, flavour: Flavour, stamp: Stamp) -> Option<Bytes> {
        let routes = self.routes.read();
        let cached = routes
            .get(topic)
            .filter(|cached| cached.stamp == Some(stamp))?;
        cached.body(flavour).cloned()
    }

    /// Keeps an encoded route; with `routes_max` of them it begins anew.
    pub(super) fn put(
        &self,
        topic: &str,
        flavour: Flavour,
        stamp: Stamp,
        body: Bytes,
        routes_max: usize,
    ) {
        let mut routes = self.routes.write();
        if routes.len() >= routes_max && !routes.contains_key(topic) {
            routes.clear();
        }
        let cached = routes.entry(topic.to_owned()).or_default();
        if cached.stamp != Some(stamp) {
            *cached = Cached {
                stamp: Some(stamp),
                ..Cached::default()
            };
        }
        *cached.slot(flavour) = Some(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        route: 1,
        order: 1,
        settings: 1,
    };

    #[test]
    fn a_route_is_good_for_its_stamp_and_flavour() {
        let cache = RouteCache::default();
        cache.put(
            "T",
            Flavour::Fastjson,
            STAMP,
            Bytes::from_static(b"plain"),
            10,
        );
        cache.put(
            "T",
            Flavour::Standard,
            STAMP,
            Bytes::from_static(b"standard"),
            10,
        );
        assert_eq!(cache.get("T", Flavour::Fastjson, STAMP).unwrap(), "plain");
        assert_eq!(
            cache.get("T", Flavour::Standard, STAMP).unwrap(),
            "standard"
        );
        let newer = Stamp { route: 2, ..STAMP };
        assert_eq!(cache.get("T", Flavour::Fastjson, newer), None);
        cache.put(
            "T",
            Flavour::Fastjson,
            newer,
            Bytes::from_static(b"new"),
            10,
        );
        assert_eq!(cache.get("T", Flavour::Standard, newer), None);
        assert_eq!(cache.get("X", Flavour::Fastjson, newer), None);
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let cache = RouteCache::default();
        for topic in 0..5 {
            cache.put(
                &topic.to_string(),
                Flavour::Fastjson,
                STAMP,
                Bytes::new(),
                2,
            );
            assert!(cache.routes.read().len() <= 2);
        }
        cache.put("4", Flavour::Fastjson, STAMP, Bytes::new(), 1);
        assert_eq!(cache.routes.read().len(), 1);
    }
}
