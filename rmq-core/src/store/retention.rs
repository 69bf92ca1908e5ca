//! When files are deleted and when the disk counts as full.

use std::time::Duration;

use super::core::Core;
use super::health::Full;
use super::local_time;
use super::options::RetentionOptions;
use crate::base::error::{ErrorKind, Result};

/// Passes that one manual request is good for.
const MANUAL_PASSES: u32 = 20;

/// What a decision is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs<'a> {
    /// Wall clock, ms since the epoch.
    pub now_ms: i64,
    /// Hour of the local day, 0 to 23.
    pub hour: u8,
    /// Used part of the disk of the log.
    pub log_used_ratio: f64,
    /// Used part of the disk of the consume queues.
    pub queues_used_ratio: f64,
    /// When each file of the log changed last, ms, oldest file first.
    pub files_modified_ms: &'a [i64],
    /// Whether deletion was asked for.
    pub manual: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the disk is too full to take messages.
    pub full: bool,
    /// How many files of the log to delete, oldest first.
    pub delete: usize,
    /// Whether the disk is fuller than wanted.
    pub over_limit: bool,
}

/// The limits that RocketMQ keeps these ratios in, percent.
fn bounded(percent: u8, low: u8, high: u8) -> f64 {
    f64::from(percent.clamp(low, high)) / 100.0
}

/// Decides from the inputs alone. The last file is never deleted, and files only from the front.
#[must_use]
pub fn decide(options: &RetentionOptions, inputs: &Inputs<'_>) -> Decision {
    let used = inputs.log_used_ratio.max(inputs.queues_used_ratio);
    let full = used > bounded(options.warning_level_percent, 35, 90);
    let forced = full || used > bounded(options.clean_forcibly_percent, 30, 85);
    let over_limit = forced || used > bounded(options.disk_max_used_percent, 10, 95);
    let time_is_up = options.delete_hours.contains(&inputs.hour);
    let mut delete = 0;
    if over_limit || time_is_up || inputs.manual {
        let immediately = forced && options.clean_forcibly;
        let expired = |modified_ms: &&i64| {
            immediately || inputs.now_ms >= modified_ms.saturating_add(options.file_reserved_ms)
        };
        let candidates = inputs.files_modified_ms.len().saturating_sub(1);
        delete = inputs.files_modified_ms[..candidates]
            .iter()
            .take_while(expired)
            .count();
    }
    Decision {
        full,
        delete: delete.min(options.delete_batch_max.max(1)),
        over_limit,
    }
}

/// What retention remembers between passes.
#[derive(Debug, Default)]
pub(super) struct State {
    manual_passes: u32,
    /// A pass is to come at once, that does no more than it would later.
    asked: bool,
    failed_at_ms: Option<i64>,
}

impl Core {
    /// Lets the next passes delete expired files at any hour.
    pub(super) fn delete_expired(&self) {
        self.retention.lock().manual_passes = MANUAL_PASSES;
        self.retention_bell.ring();
    }

    /// Lets the next pass come now.
    pub(super) fn ask_for_pass(&self) {
        self.retention.lock().asked = true;
        self.retention_bell.ring();
    }

    pub(super) fn is_pass_asked_for(&self) -> bool {
        let state = self.retention.lock();
        state.asked || state.manual_passes > 0
    }

    /// Marks the disk as full or not.
    pub(super) fn check_space(&self) -> f64 {
        let log_used = self.used_ratio(&self.options.commitlog_dir);
        let queues_used = self.used_ratio(self.queues.files().root());
        let used = log_used.max(queues_used);
        let limit = bounded(self.tuned().retention.warning_level_percent, 35, 90);
        if self.health.set_full(Full::Ratio, used > limit) {
            self.progress();
        }
        used
    }

    fn used_ratio(&self, path: &std::path::Path) -> f64 {
        match self.disk.usage(path) {
            Ok(usage) => usage.used_ratio,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot tell how full the disk is");
                0.0
            }
        }
    }

    /// Deletes what is due. Returns how many files of the log went.
    pub(super) fn retain(&self) -> Result<usize> {
        let used = self.check_space();
        let now_ms = self.clock.wall_ms();
        let options = &self.tuned().retention;
        let manual = {
            let mut state = self.retention.lock();
            state.asked = false;
            let retry_ms = i64::try_from(options.retry_interval_ms);
            let failed = state
                .failed_at_ms
                .map(|at| at.saturating_add(retry_ms.unwrap_or(0)));
            if failed.is_some_and(|again| now_ms < again) {
                return Ok(0);
            }
            let manual = state.manual_passes > 0;
            state.manual_passes = state.manual_passes.saturating_sub(1);
            manual
        };
        let segments = self.log.segments().all();
        let modified = |segment: &std::sync::Arc<super::segments::Segment>| {
            self.disk
                .metadata(segment.path())
                .map_or(now_ms, |known| known.modified_ms)
        };
        let files_modified_ms: Vec<i64> = segments.iter().map(modified).collect();
        let decision = decide(
            options,
            &Inputs {
                now_ms,
                hour: local_time::hour(now_ms),
                log_used_ratio: used,
                queues_used_ratio: used,
                files_modified_ms: &files_modified_ms,
                manual,
            },
        );
        if decision.delete > 0 {
            self.note_before_deletion()?;
        }
        let mut deleted = 0;
        for segment in segments.iter().take(decision.delete) {
            if deleted > 0 && !self.pause(options.delete_pause_ms) {
                break;
            }
            if let Err(error) = self.log.segments().remove_file(segment.base()) {
                self.retention.lock().failed_at_ms = Some(now_ms);
                return Err(error);
            }
            self.log.segments().forget_first(segment.base());
            tracing::info!(path = %segment.path().display(), "deleted a file of the log");
            deleted += 1;
        }
        self.retention.lock().failed_at_ms = None;
        if deleted > 0 {
            self.check_space();
        } else if decision.over_limit {
            tracing::warn!(
                used,
                "the disk is filling up and there is no file to delete"
            );
        }
        self.expire_queues()?;
        self.index.expire(self.log.min_offset())?;
        Ok(deleted)
    }

    /// The queues' offsets must be durable before the log forgets the messages that gave them.
    fn note_before_deletion(&self) -> Result<()> {
        let noted = self.flush_log().and_then(|()| self.write_queues(true));
        match noted {
            // Deleting is what makes space for the notes.
            Err(error) if error.kind() == ErrorKind::DiskFull => {
                tracing::warn!(%error, "files are deleted before the queues are durable");
                Ok(())
            }
            other => other,
        }
    }

    /// Waits, unless the threads do not run. False when the store is closing.
    fn pause(&self, ms: u64) -> bool {
        !self.options.background || self.retention_bell.pause(Duration::from_millis(ms))
    }

    /// Moves the queues' minimums behind what is gone, and deletes their files.
    fn expire_queues(&self) -> Result<()> {
        let log_min = self.log.min_offset();
        if log_min <= self.expired_to.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        for queue in self.queues.all() {
            let removed = self.with_books(|| queue.expire(log_min));
            let removed = removed.map_err(|e| {
                let context = format!("queue {} of topic {}", queue.id(), queue.topic());
                crate::base::Error::io("store.queues.expire", context, e)
            })?;
            if removed > 0 && !self.pause(self.tuned().retention.queue_delete_pause_ms) {
                return Ok(());
            }
        }
        self.expired_to
            .store(log_min, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn inputs(files: &[i64]) -> Inputs<'_> {
        Inputs {
            now_ms: 100 * HOUR_MS,
            hour: 5,
            log_used_ratio: 0.5,
            queues_used_ratio: 0.5,
            files_modified_ms: files,
            manual: false,
        }
    }

    fn delete(inputs: &Inputs<'_>) -> usize {
        decide(&RetentionOptions::default(), inputs).delete
    }

    const AGED: &[i64] = &[
        HOUR_MS,
        28 * HOUR_MS,
        29 * HOUR_MS,
        2 * HOUR_MS,
        90 * HOUR_MS,
    ];

    #[test]
    fn expired_files_go_at_the_hour_only_from_the_front() {
        let mut inputs = inputs(AGED);
        assert_eq!(delete(&inputs), 0);
        inputs.hour = 4;
        // The third is too young, and the old one behind it is not deleted before it.
        assert_eq!(delete(&inputs), 2);
        inputs.hour = 5;
        inputs.manual = true;
        assert_eq!(delete(&inputs), 2);
        inputs.files_modified_ms = &[0];
        assert_eq!(delete(&inputs), 0);
        inputs.files_modified_ms = &[];
        assert_eq!(delete(&inputs), 0);
    }

    #[test]
    fn a_filling_disk_deletes_expired_files_then_all_then_refuses() {
        for (used, deleted, full, over) in [
            (0.75, 0, false, false),
            (0.76, 2, false, true),
            (0.85, 2, false, true),
            (0.86, 4, false, true),
            (0.90, 4, false, true),
            (0.91, 4, true, true),
        ] {
            let mut inputs = inputs(AGED);
            inputs.queues_used_ratio = used;
            let decision = decide(&RetentionOptions::default(), &inputs);
            let want = Decision {
                full,
                delete: deleted,
                over_limit: over,
            };
            assert_eq!(decision, want, "{used}");
        }
    }

    #[test]
    fn force_can_be_forbidden_and_a_pass_has_a_limit() {
        let mut options = RetentionOptions {
            clean_forcibly: false,
            ..RetentionOptions::default()
        };
        let mut inputs = inputs(AGED);
        inputs.log_used_ratio = 0.99;
        assert_eq!(decide(&options, &inputs).delete, 2);
        options.clean_forcibly = true;
        options.delete_batch_max = 3;
        assert_eq!(decide(&options, &inputs).delete, 3);
    }

    #[test]
    fn limits_are_kept_in_rocketmqs_bounds() {
        let mut options = RetentionOptions {
            warning_level_percent: 99,
            clean_forcibly_percent: 1,
            ..RetentionOptions::default()
        };
        let mut inputs = inputs(AGED);
        inputs.queues_used_ratio = 0.0;
        inputs.log_used_ratio = 0.91;
        assert!(decide(&options, &inputs).full);
        inputs.log_used_ratio = 0.30;
        assert!(!decide(&options, &inputs).over_limit);
        inputs.log_used_ratio = 0.31;
        assert!(decide(&options, &inputs).over_limit);
        options.warning_level_percent = 1;
        assert!(!decide(&options, &inputs).full);
        inputs.log_used_ratio = 0.36;
        assert!(decide(&options, &inputs).full);
    }
}
