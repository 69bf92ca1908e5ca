//! Transactions: END_TRANSACTION (37) and RESUME_CHECK_HALF_MESSAGE (323).

use super::headers;

/// `commit_or_rollback`: the producer does not know yet.
pub const TRANSACTION_UNKNOWN: i32 = 0;
/// `commit_or_rollback`: deliver the message.
pub const TRANSACTION_COMMIT: i32 = 8;
/// `commit_or_rollback`: forget the message.
pub const TRANSACTION_ROLLBACK: i32 = 12;

headers! {
    /// END_TRANSACTION (37), mostly one-way.
    EndTransactionRequest {
        topic: Option<String> => "topic",
        producer_group: String => "producerGroup",
        tran_state_table_offset: i64 => "tranStateTableOffset",
        commit_log_offset: i64 => "commitLogOffset",
        commit_or_rollback: i32 => "commitOrRollback",
        from_transaction_check: bool => "fromTransactionCheck" = false,
        msg_id: String => "msgId",
        transaction_id: Option<String> => "transactionId",
        broker_name: Option<String> => "bname",
    }

    /// RESUME_CHECK_HALF_MESSAGE (323).
    ResumeCheckHalfMessageRequest {
        topic: Option<String> => "topic",
        msg_id: Option<String> => "msgId",
    }
}
