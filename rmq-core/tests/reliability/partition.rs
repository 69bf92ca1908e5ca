//! Who cannot reach whom: sets of cuts, each from one host to another.

use std::collections::BTreeSet;

use crate::peer::Dice;

/// What the first host sends does not reach the second.
pub(crate) type Cut = (usize, usize);
pub(crate) type Cuts = BTreeSet<Cut>;

fn between(one: &[usize], other: &[usize]) -> Cuts {
    let pairs = one.iter().flat_map(|a| other.iter().map(|b| (*a, *b)));
    pairs
        .filter(|(a, b)| a != b)
        .flat_map(|(a, b)| [(a, b), (b, a)])
        .collect()
}

fn shuffled(hosts: &[usize], dice: &mut Dice) -> Vec<usize> {
    let mut left = hosts.to_vec();
    let mut mixed = Vec::new();
    while !left.is_empty() {
        let index = usize::try_from(dice.below(left.len() as u64)).unwrap();
        mixed.push(left.swap_remove(index));
    }
    mixed
}

fn without(hosts: &[usize], host: usize) -> Vec<usize> {
    hosts.iter().copied().filter(|one| *one != host).collect()
}

/// One host by itself.
pub(crate) fn node(hosts: &[usize], host: usize) -> Cuts {
    between(&[host], &without(hosts, host))
}

/// Two halves that know nothing of each other, made by chance.
pub(crate) fn halves(hosts: &[usize], dice: &mut Dice) -> Cuts {
    let mixed = shuffled(hosts, dice);
    let (one, other) = mixed.split_at(mixed.len() / 2);
    between(one, other)
}

/// A host that hears everything and is not heard, or that is heard and hears nothing.
pub(crate) fn one_way(hosts: &[usize], host: usize, heard: bool) -> Cuts {
    let others = without(hosts, host).into_iter();
    others
        .map(|other| if heard { (other, host) } else { (host, other) })
        .collect()
}

/// Two halves with one host between them that reaches both.
pub(crate) fn bridge(hosts: &[usize], dice: &mut Dice) -> Cuts {
    let mixed = shuffled(hosts, dice);
    let (_between, rest) = mixed.split_first().expect("there are hosts");
    let (one, other) = rest.split_at(rest.len() / 2);
    between(one, other)
}

/// Each host reaches two others, its neighbours on a ring made by chance.
pub(crate) fn ring(hosts: &[usize], dice: &mut Dice) -> Cuts {
    let mixed = shuffled(hosts, dice);
    let count = mixed.len();
    let place = |host: &usize| mixed.iter().position(|one| one == host).expect("is on it");
    let far = |(a, b): &Cut| {
        let distance = place(a).abs_diff(place(b));
        distance.min(count - distance) > 1
    };
    between(hosts, hosts).into_iter().filter(far).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [usize; 6] = [0, 2, 3, 5, 8, 9];

    fn reached(cuts: &Cuts, from: usize) -> usize {
        let reached = |to: &&usize| **to != from && !cuts.contains(&(from, **to));
        HOSTS.iter().filter(reached).count()
    }

    fn all_reached(cuts: &Cuts) -> Vec<usize> {
        let mut counts: Vec<usize> = HOSTS.iter().map(|host| reached(cuts, *host)).collect();
        counts.sort_unstable();
        counts
    }

    fn is_mutual(cuts: &Cuts) -> bool {
        cuts.iter().all(|(a, b)| cuts.contains(&(*b, *a)) && a != b)
    }

    #[test]
    fn each_kind_has_its_shape() {
        for seed in 1..50 {
            let mut dice = Dice::new(seed);
            let cuts = node(&HOSTS, 5);
            assert_eq!(reached(&cuts, 5), 0);
            assert_eq!(all_reached(&cuts), [0, 4, 4, 4, 4, 4]);
            let cuts = halves(&HOSTS, &mut dice);
            assert!(is_mutual(&cuts));
            assert_eq!(all_reached(&cuts), [2; 6]);
            let cuts = bridge(&HOSTS, &mut dice);
            assert!(is_mutual(&cuts));
            assert_eq!(all_reached(&cuts), [2, 2, 3, 3, 3, 5]);
            let cuts = ring(&HOSTS, &mut dice);
            assert!(is_mutual(&cuts));
            assert_eq!(all_reached(&cuts), [2; 6]);
        }
        let cuts = one_way(&HOSTS, 2, false);
        assert_eq!(
            (cuts.len(), reached(&cuts, 2), reached(&cuts, 3)),
            (5, 0, 5)
        );
        let cuts = one_way(&HOSTS, 2, true);
        assert_eq!(
            (cuts.len(), reached(&cuts, 2), reached(&cuts, 3)),
            (5, 5, 4)
        );
    }
}
