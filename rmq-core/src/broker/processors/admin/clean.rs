//! What operators have removed: old files, queues of topics that are gone.

use std::sync::Arc;

use crate::broker::reply::{Answer, success};
use crate::broker::shared::Shared;
use crate::protocol::command::Command;

/// Deletes expired files of the log whatever the hour; a thread of the store does it, soon.
pub(super) fn expired_log(shared: &Arc<Shared>, request: &Command) -> Answer {
    shared.store.delete_expired();
    Ok(Some(success(request)))
}

/// Removes from the queues what the log has no more; a thread of the store does it, soon.
pub(super) fn expired_queues(shared: &Arc<Shared>, request: &Command) -> Answer {
    shared.store.clean_queues();
    Ok(Some(success(request)))
}

/// Deletes the queues of topics that do not exist any more.
pub(super) fn unused_topics(shared: &Arc<Shared>, request: &Command) -> Answer {
    for topic in shared.store.topics() {
        if shared.topics.get(&topic).is_none() && !shared.topics.is_system(&topic) {
            tracing::info!(%topic, "deleting the queues of a topic that does not exist");
            shared.store.delete_topic(&topic)?;
        }
    }
    Ok(Some(success(request)))
}
