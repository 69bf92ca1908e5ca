//! Partitions as one-way cuts between addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// The cuts (from, to) of a partition: who shares no group does not see each other. Whoever is in
/// no group belongs to one more; whoever is in several bridges them.
pub(super) fn partition(everybody: &[IpAddr], groups: &[Vec<IpAddr>]) -> Vec<(IpAddr, IpAddr)> {
    let named: BTreeSet<IpAddr> = groups.iter().flatten().copied().collect();
    let rest = everybody.iter().filter(|one| !named.contains(one));
    let rest: Vec<IpAddr> = rest.copied().collect();
    let groups: Vec<&Vec<IpAddr>> = groups.iter().chain([&rest]).collect();
    let together = |one: &IpAddr, other: &IpAddr| {
        let both = |group: &&&Vec<IpAddr>| group.contains(one) && group.contains(other);
        groups.iter().any(|group| both(&group))
    };
    let pairs = everybody
        .iter()
        .flat_map(|from| everybody.iter().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| from != to && !together(from, to))
        .map(|(from, to)| (*from, *to))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> IpAddr {
        IpAddr::from([127, 70, 0, last])
    }

    fn cuts(everybody: u8, groups: &[&[u8]]) -> BTreeSet<(u8, u8)> {
        let everybody: Vec<IpAddr> = (1..=everybody).map(at).collect();
        let groups: Vec<Vec<IpAddr>> = groups
            .iter()
            .map(|group| group.iter().map(|&one| at(one)).collect())
            .collect();
        let last = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(_) => 0,
        };
        partition(&everybody, &groups)
            .into_iter()
            .map(|(from, to)| (last(from), last(to)))
            .collect()
    }

    #[test]
    fn groups_see_only_each_other() {
        let halves = cuts(4, &[&[1, 2], &[3, 4]]);
        assert_eq!(
            halves,
            [
                (1, 3),
                (1, 4),
                (2, 3),
                (2, 4),
                (3, 1),
                (3, 2),
                (4, 1),
                (4, 2)
            ]
            .into()
        );
    }

    #[test]
    fn whoever_is_not_named_stays_together() {
        let alone = cuts(3, &[&[1]]);
        assert_eq!(alone, [(1, 2), (1, 3), (2, 1), (3, 1)].into());
        assert!(cuts(3, &[]).is_empty());
        assert!(cuts(3, &[&[1, 2, 3]]).is_empty());
    }

    #[test]
    fn a_member_of_two_groups_is_a_bridge() {
        let bridge = cuts(3, &[&[1, 2], &[2, 3]]);
        assert_eq!(bridge, [(1, 3), (3, 1)].into());
        let ring = cuts(4, &[&[1, 2], &[2, 3], &[3, 4], &[4, 1]]);
        assert_eq!(ring, [(1, 3), (3, 1), (2, 4), (4, 2)].into());
    }
}
