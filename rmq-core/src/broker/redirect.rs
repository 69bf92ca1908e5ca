//! Where a consumer is sent next: how a read becomes a response code, a suggested broker and the
//! offset to go on from.

use crate::protocol::body::group::SubscriptionGroupConfig;
use crate::protocol::code::ResponseCode;
use crate::store::{ReadOutcome, ReadStatus};

/// The id of a master.
const MASTER_ID: i64 = 0;

/// Where a pull was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// slaveReadEnable.
    pub(crate) slave_read: bool,
    /// At a slave.
    pub(crate) is_slave: bool,
    /// At a slave whose master lives.
    pub(crate) master_alive: bool,
    /// offsetCheckInSlave.
    pub(crate) offset_check: bool,
}

/// What a pull is answered besides its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    /// The response code.
    pub(crate) code: ResponseCode,
    /// The broker to ask next.
    pub(crate) broker_id: i64,
    /// The offset to ask for next.
    pub(crate) next_offset: i64,
    /// The consumer is sent back to the master.
    pub(crate) to_master: bool,
}

/// Directs a consumer of `group` that asked for `offset` and got `outcome`.
#[must_use]
pub(crate) fn direct(
    place: Place,
    group: &SubscriptionGroupConfig,
    offset: i64,
    outcome: &ReadOutcome,
) -> Direction {
    let code = code_of(outcome.status, offset);
    let broker_id = match (place.slave_read, outcome.suggests_slave) {
        (false, _) => MASTER_ID,
        (true, true) => group.which_broker_when_consume_slowly,
        (true, false) => group.broker_id,
    };
    let answer = Direction {
        code,
        broker_id,
        next_offset: outcome.next_offset,
        to_master: false,
    };
    if !place.is_slave {
        return answer;
    }
    let is_correction = matches!(
        code,
        ResponseCode::PULL_NOT_FOUND | ResponseCode::PULL_OFFSET_MOVED
    );
    // A slave may lack what its master has: where its queue ends is no reason to send a consumer
    // to another offset.
    let next_offset = match is_correction && !place.offset_check {
        true => offset,
        false => outcome.next_offset,
    };
    if place.master_alive && !outcome.suggests_slave {
        return Direction {
            code: match code {
                ResponseCode::SUCCESS => code,
                _ => ResponseCode::PULL_RETRY_IMMEDIATELY,
            },
            broker_id: MASTER_ID,
            next_offset,
            to_master: true,
        };
    }
    // Without a master, asking again at once would spin: the consumer waits here.
    let code = match code {
        ResponseCode::PULL_OFFSET_MOVED if !place.offset_check => ResponseCode::PULL_NOT_FOUND,
        _ => code,
    };
    Direction {
        code,
        next_offset,
        ..answer
    }
}

/// The response code of a read that began at `offset`.
fn code_of(status: ReadStatus, offset: i64) -> ResponseCode {
    match status {
        ReadStatus::Found => ResponseCode::SUCCESS,
        ReadStatus::NoMatchedMessage | ReadStatus::MessageWasRemoving => {
            ResponseCode::PULL_RETRY_IMMEDIATELY
        }
        ReadStatus::NoMatchedLogicQueue | ReadStatus::NoMessageInQueue if offset != 0 => {
            ResponseCode::PULL_OFFSET_MOVED
        }
        ReadStatus::NoMatchedLogicQueue
        | ReadStatus::NoMessageInQueue
        | ReadStatus::OffsetFoundNull
        | ReadStatus::OffsetOverflowOne => ResponseCode::PULL_NOT_FOUND,
        ReadStatus::OffsetOverflowBadly | ReadStatus::OffsetTooSmall | ReadStatus::OffsetReset => {
            ResponseCode::PULL_OFFSET_MOVED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: ResponseCode = ResponseCode::SUCCESS;
    const WAIT: ResponseCode = ResponseCode::PULL_NOT_FOUND;
    const RETRY: ResponseCode = ResponseCode::PULL_RETRY_IMMEDIATELY;
    const MOVED: ResponseCode = ResponseCode::PULL_OFFSET_MOVED;

    const MASTER: Place = Place {
        slave_read: true,
        is_slave: false,
        master_alive: false,
        offset_check: false,
    };
    const SLAVE: Place = Place {
        is_slave: true,
        master_alive: true,
        ..MASTER
    };
    const ORPHAN: Place = Place {
        master_alive: false,
        ..SLAVE
    };

    fn outcome(status: ReadStatus, next_offset: i64, suggests_slave: bool) -> ReadOutcome {
        ReadOutcome {
            status,
            next_offset,
            min_offset: 10,
            max_offset: 20,
            records: Vec::new(),
            bytes: 0,
            cold: false,
            suggests_slave,
            scanned: 0,
        }
    }

    /// Code, suggested broker and next offset of a consumer that asked for 15, in a group that
    /// reads from broker 0, and from 7 when it is slow.
    fn directed(
        place: Place,
        status: ReadStatus,
        next: i64,
        slow: bool,
    ) -> (ResponseCode, i64, i64) {
        let group = SubscriptionGroupConfig {
            which_broker_when_consume_slowly: 7,
            ..SubscriptionGroupConfig::new("g")
        };
        let to = direct(place, &group, 15, &outcome(status, next, slow));
        (to.code, to.broker_id, to.next_offset)
    }

    #[test]
    fn a_master_sends_slow_consumers_to_a_slave_where_that_may_be_read() {
        use ReadStatus as S;
        assert_eq!(directed(MASTER, S::Found, 16, false), (FOUND, 0, 16));
        assert_eq!(directed(MASTER, S::Found, 16, true), (FOUND, 7, 16));
        let closed = Place {
            slave_read: false,
            ..MASTER
        };
        assert_eq!(directed(closed, S::Found, 16, true), (FOUND, 0, 16));
        assert_eq!(
            directed(MASTER, S::OffsetTooSmall, 10, false),
            (MOVED, 0, 10)
        );
        assert_eq!(
            directed(MASTER, S::OffsetOverflowOne, 15, false),
            (WAIT, 0, 15)
        );
    }

    #[test]
    fn a_slave_sends_consumers_back_while_the_master_lives() {
        use ReadStatus as S;
        assert_eq!(directed(SLAVE, S::Found, 16, false), (FOUND, 0, 16));
        assert_eq!(directed(SLAVE, S::Found, 16, true), (FOUND, 7, 16));
        assert_eq!(
            directed(SLAVE, S::NoMatchedMessage, 18, false),
            (RETRY, 0, 18)
        );
        for status in [
            S::OffsetOverflowOne,
            S::OffsetOverflowBadly,
            S::OffsetTooSmall,
            S::NoMessageInQueue,
            S::NoMatchedLogicQueue,
            S::OffsetFoundNull,
        ] {
            assert_eq!(
                directed(SLAVE, status, 20, false),
                (RETRY, 0, 15),
                "{status:?}"
            );
        }
        let checking = Place {
            offset_check: true,
            ..SLAVE
        };
        assert_eq!(
            directed(checking, S::OffsetTooSmall, 10, false),
            (RETRY, 0, 10)
        );
    }

    #[test]
    fn without_a_master_a_slave_lets_consumers_wait_and_corrects_none() {
        use ReadStatus as S;
        assert_eq!(directed(ORPHAN, S::Found, 16, false), (FOUND, 0, 16));
        assert_eq!(
            directed(ORPHAN, S::NoMatchedMessage, 18, false),
            (RETRY, 0, 18)
        );
        assert_eq!(
            directed(ORPHAN, S::OffsetOverflowOne, 15, false),
            (WAIT, 0, 15)
        );
        for status in [
            S::OffsetOverflowBadly,
            S::OffsetTooSmall,
            S::NoMessageInQueue,
        ] {
            assert_eq!(
                directed(ORPHAN, status, 20, false),
                (WAIT, 0, 15),
                "{status:?}"
            );
        }
        let checking = Place {
            offset_check: true,
            ..ORPHAN
        };
        assert_eq!(
            directed(checking, S::OffsetTooSmall, 10, false),
            (MOVED, 0, 10)
        );
    }
}
