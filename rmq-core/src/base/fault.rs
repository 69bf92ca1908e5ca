//! Named points at which a test can make the code fail. Without the feature `fault` every point
//! compiles to nothing.
//!
//! A point is `fault::check("net.accept")?` (an injected `io::Error`) in the code under test. Tests
//! arm it with `fault::arm`, whose guard disarms it when dropped. Points are global to the process,
//! so tests that arm the same point must not run at the same time; `arm` makes the second wait.

/// Passes unless a test armed the point.
#[cfg(not(feature = "fault"))]
#[inline(always)]
pub fn check(_point: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "fault")]
pub use armed::{Armed, Plan, arm, check};

#[cfg(feature = "fault")]
mod armed {
    use std::collections::HashMap;
    use std::io;

    use parking_lot::{Condvar, Mutex};

    /// What an armed point does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Plan {
        /// How many passes succeed first.
        pub skip: u64,
        /// How many passes fail after that; later ones succeed again.
        pub fail: u64,
        /// The operating system's number of the error, for example EMFILE.
        pub errno: i32,
    }

    struct State {
        plan: Plan,
        passes: u64,
    }

    static POINTS: Mutex<Option<HashMap<&'static str, State>>> = Mutex::new(None);
    static FREED: Condvar = Condvar::new();

    /// Keeps a point armed; dropping it disarms the point.
    #[derive(Debug)]
    #[must_use]
    pub struct Armed {
        point: &'static str,
    }

    impl Armed {
        /// How often the code has come past the point since it was armed.
        pub fn passes(&self) -> u64 {
            let points = POINTS.lock();
            points
                .as_ref()
                .and_then(|map| map.get(self.point))
                .map_or(0, |state| state.passes)
        }
    }

    impl Drop for Armed {
        fn drop(&mut self) {
            if let Some(map) = POINTS.lock().as_mut() {
                map.remove(self.point);
            }
            FREED.notify_all();
        }
    }

    /// Arms `point`, waiting for another holder to let go of it first.
    pub fn arm(point: &'static str, plan: Plan) -> Armed {
        let mut points = POINTS.lock();
        while points.as_ref().is_some_and(|map| map.contains_key(point)) {
            FREED.wait(&mut points);
        }
        points
            .get_or_insert_default()
            .insert(point, State { plan, passes: 0 });
        Armed { point }
    }

    /// Fails if the point is armed and its plan says so.
    pub fn check(point: &'static str) -> io::Result<()> {
        let mut points = POINTS.lock();
        let Some(state) = points.as_mut().and_then(|map| map.get_mut(point)) else {
            return Ok(());
        };
        let pass = state.passes;
        state.passes += 1;
        let Plan { skip, fail, errno } = state.plan;
        if pass >= skip && pass - skip < fail {
            return Err(io::Error::from_raw_os_error(errno));
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn fails_as_planned_and_only_while_armed() {
            check("test.point").unwrap();
            let armed = arm(
                "test.point",
                Plan {
                    skip: 1,
                    fail: 2,
                    errno: 24,
                },
            );
            check("test.point").unwrap();
            assert_eq!(check("test.point").unwrap_err().raw_os_error(), Some(24));
            assert_eq!(check("test.point").unwrap_err().raw_os_error(), Some(24));
            check("test.point").unwrap();
            check("test.other").unwrap();
            assert_eq!(armed.passes(), 4);
            drop(armed);
            check("test.point").unwrap();
        }
    }
}
