//! Takes messages.

mod allocate;
mod answer;
mod asking;
mod commit;
mod consuming;
mod core;
mod delivery;
mod local_offsets;
mod options;
mod pop;
mod pop_assign;
mod popping;
mod process_queue;
mod pull;
mod pulling;
mod push;
mod rebalance;
mod serve;
mod stuck;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::base::{Error, Result};

pub use self::core::ConsumeStatus;
pub use allocate::{Allocation, MachineRooms, RoomPrefix};
pub use delivery::{Deliveries, Delivery};
pub use options::{ConsumerOptions, StartFrom, Subscription};
pub use pull::PullConsumer;
pub use push::PushConsumer;

/// The first error of several calls.
#[derive(Clone, Debug, Default)]
struct Failed(Arc<Mutex<Option<Error>>>);

impl Failed {
    fn put(&self, error: Error) {
        self.0.lock().get_or_insert(error);
    }

    fn into_result(self) -> Result<()> {
        self.0.lock().take().map_or(Ok(()), Err)
    }
}
