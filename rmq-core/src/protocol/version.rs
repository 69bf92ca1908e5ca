//! RocketMQ's version numbers: the position of a release in the list of all releases.

use std::borrow::Cow;

macro_rules! versions {
    ($($name:ident = $value:literal,)*) => {
        $(
            #[doc = concat!("Version ", stringify!($name), ".")]
            pub const $name: i32 = $value;
        )*

        #[cfg(test)]
        const NAMED: &[(i32, &str)] = &[$(($value, stringify!($name))),*];
    };
}

// Those that some rule of the protocol asks for, and a few around them.
versions! {
    V3_0_7_SNAPSHOT = 28,
    V3_0_11 = 37,
    V3_1_8_SNAPSHOT = 62,
    V3_2_6 = 79,
    V3_4_9 = 121,
    V3_5_8 = 137,
    V4_0_0 = 213,
    V4_1_0_SNAPSHOT = 232,
    V4_5_1 = 315,
    V4_7_0_SNAPSHOT = 352,
    V4_9_3 = 399,
    V4_9_4 = 401,
    V4_9_8 = 409,
    V5_0_0_SNAPSHOT = 412,
    V5_0_0 = 413,
    V5_1_0 = 433,
    V5_3_1 = 475,
    V5_3_3 = 479,
    V5_5_0 = 513,
    HIGHER_VERSION = 612,
}

/// What rmq writes in its frames and registrations.
pub const CURRENT: i32 = V5_3_3;

/// The first sixteen do not follow the later pattern of a snapshot and its release.
const OLDEST: [&str; 16] = [
    "V3_0_0_SNAPSHOT",
    "V3_0_0_ALPHA1",
    "V3_0_0_BETA1",
    "V3_0_0_BETA2",
    "V3_0_0_BETA3",
    "V3_0_0_BETA4",
    "V3_0_0_BETA5",
    "V3_0_0_BETA6_SNAPSHOT",
    "V3_0_0_BETA6",
    "V3_0_0_BETA7_SNAPSHOT",
    "V3_0_0_BETA7",
    "V3_0_0_BETA8_SNAPSHOT",
    "V3_0_0_BETA8",
    "V3_0_0_BETA9_SNAPSHOT",
    "V3_0_0_BETA9",
    "V3_0_0_FINAL",
];

/// Runs of releases: major, minor, first patch, number of patches; each patch is two versions.
const RUNS: [(u8, u8, i32, i32); 30] = [
    (3, 0, 1, 15),
    (3, 1, 0, 10),
    (3, 2, 0, 10),
    (3, 3, 1, 9),
    (3, 4, 1, 9),
    (3, 5, 1, 9),
    (3, 6, 1, 9),
    (3, 7, 1, 9),
    (3, 8, 1, 9),
    (3, 9, 1, 9),
    (4, 0, 0, 10),
    (4, 1, 0, 10),
    (4, 2, 0, 10),
    (4, 3, 0, 10),
    (4, 4, 0, 10),
    (4, 5, 0, 10),
    (4, 6, 0, 10),
    (4, 7, 0, 10),
    (4, 8, 0, 10),
    (4, 9, 0, 10),
    (5, 0, 0, 10),
    (5, 1, 0, 10),
    (5, 2, 0, 10),
    (5, 3, 0, 10),
    (5, 4, 0, 10),
    (5, 5, 0, 10),
    (5, 6, 0, 10),
    (5, 7, 0, 10),
    (5, 8, 0, 10),
    (5, 9, 0, 10),
];

/// The name of a version number, for example `V5_3_3`; numbers off the end are `HIGHER_VERSION`,
/// and so are negative ones.
#[must_use]
pub fn describe(version: i32) -> Cow<'static, str> {
    let Ok(index) = usize::try_from(version) else {
        return Cow::Borrowed("HIGHER_VERSION");
    };
    if let Some(name) = OLDEST.get(index) {
        return Cow::Borrowed(name);
    }
    let mut rest = version - 16;
    for (major, minor, first_patch, patches) in RUNS {
        if rest < patches * 2 {
            let suffix = if rest % 2 == 0 { "_SNAPSHOT" } else { "" };
            return Cow::Owned(format!(
                "V{major}_{minor}_{}{suffix}",
                first_patch + rest / 2
            ));
        }
        rest -= patches * 2;
    }
    Cow::Borrowed("HIGHER_VERSION")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describe_agrees_with_every_named_constant() {
        for (value, name) in NAMED {
            assert_eq!(describe(*value), *name);
        }
    }

    #[test]
    fn describe_covers_the_edges() {
        assert_eq!(describe(0), "V3_0_0_SNAPSHOT");
        assert_eq!(describe(15), "V3_0_0_FINAL");
        assert_eq!(describe(16), "V3_0_1_SNAPSHOT");
        assert_eq!(describe(611), "V5_9_9");
        assert_eq!(describe(612), "HIGHER_VERSION");
        assert_eq!(describe(i32::MAX), "HIGHER_VERSION");
        assert_eq!(describe(-1), "HIGHER_VERSION");
        assert_eq!(describe(CURRENT), "V5_3_3");
    }
}
