//! The system flag of a message: a set of bits in an `i32`.

/// The body is compressed; [`compression`] says how.
pub const COMPRESSED: i32 = 0x1;
/// The tag property holds several tags.
pub const MULTI_TAGS: i32 = 0x1 << 1;
/// No transaction.
pub const TRANSACTION_NONE: i32 = 0;
/// The half message of a transaction.
pub const TRANSACTION_PREPARED: i32 = 0x1 << 2;
/// The committed message of a transaction.
pub const TRANSACTION_COMMIT: i32 = 0x2 << 2;
/// The roll-back record of a transaction; also the mask of the transaction bits.
pub const TRANSACTION_ROLLBACK: i32 = 0x3 << 2;
/// The born host is an IPv6 address.
pub const BORN_HOST_V6: i32 = 0x1 << 4;
/// The store host is an IPv6 address.
pub const STORE_HOST_V6: i32 = 0x1 << 5;
/// The record holds messages that the reader unwraps.
pub const NEED_UNWRAP: i32 = 0x1 << 6;
/// The record holds a whole batch.
pub const INNER_BATCH: i32 = 0x1 << 7;
/// Mask of the bits that name the compressor.
pub const COMPRESSION_MASK: i32 = 0x7 << 8;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
    /// The zlib format; also what flags older than the compressor bits mean.
    Zlib,
}

impl Compression {
    /// The compressor bits of the system flag.
    #[must_use]
    pub const fn bits(self) -> i32 {
        match self {
            Self::Lz4 => 0x1 << 8,
            Self::Zstd => 0x2 << 8,
            Self::Zlib => 0x3 << 8,
        }
    }

    /// The name, as in RocketMQ's configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "LZ4",
            Self::Zstd => "ZSTD",
            Self::Zlib => "ZLIB",
        }
    }
}

/// The compressor that `sys_flag` names, whether or not the body is compressed.
///
/// `Err` holds the unknown value of the three compressor bits (4 to 7).
pub const fn compression(sys_flag: i32) -> Result<Compression, u8> {
    match (sys_flag & COMPRESSION_MASK) >> 8 {
        0 | 3 => Ok(Compression::Zlib),
        1 => Ok(Compression::Lz4),
        2 => Ok(Compression::Zstd),
        other => Err(other as u8),
    }
}

/// Whether the body is compressed.
#[must_use]
pub const fn is_compressed(sys_flag: i32) -> bool {
    sys_flag & COMPRESSED != 0
}

/// The transaction bits, one of the `TRANSACTION_` constants.
#[must_use]
pub const fn transaction(sys_flag: i32) -> i32 {
    sys_flag & TRANSACTION_ROLLBACK
}

/// `sys_flag` with its transaction bits replaced by `transaction`.
#[must_use]
pub const fn with_transaction(sys_flag: i32, transaction: i32) -> i32 {
    (sys_flag & !TRANSACTION_ROLLBACK) | (transaction & TRANSACTION_ROLLBACK)
}

/// `sys_flag` without the compressed bit and the compressor bits.
#[must_use]
pub const fn without_compression(sys_flag: i32) -> i32 {
    sys_flag & !(COMPRESSED | COMPRESSION_MASK)
}

/// Flags of a pull request.
pub mod pull {
    /// The request carries an offset to commit.
    pub const COMMIT_OFFSET: i32 = 0x1;
    /// The broker may hold the request until a message arrives.
    pub const SUSPEND: i32 = 0x1 << 1;
    /// The request carries its subscription.
    pub const SUBSCRIPTION: i32 = 0x1 << 2;
    /// The subscription names a filter class.
    pub const CLASS_FILTER: i32 = 0x1 << 3;
    /// The request comes from a lite pull consumer.
    pub const LITE_PULL: i32 = 0x1 << 4;
}

/// Flags of a topic.
pub mod topic {
    /// The topic belongs to a unit.
    pub const UNIT: i32 = 0x1;
    /// The topic has consumers in units.
    pub const UNIT_SUB: i32 = 0x1 << 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressor_bits_round_trip_and_unset_means_zlib() {
        for kind in [Compression::Lz4, Compression::Zstd, Compression::Zlib] {
            assert_eq!(compression(kind.bits() | COMPRESSED), Ok(kind));
        }
        assert_eq!(compression(COMPRESSED), Ok(Compression::Zlib));
        assert_eq!(compression(0x700), Err(7));
    }

    #[test]
    fn transaction_bits_are_replaced_not_added() {
        let flag = with_transaction(TRANSACTION_PREPARED | COMPRESSED, TRANSACTION_COMMIT);
        assert_eq!(transaction(flag), TRANSACTION_COMMIT);
        assert!(is_compressed(flag));
        assert_eq!(
            transaction(with_transaction(flag, TRANSACTION_NONE)),
            TRANSACTION_NONE
        );
    }
}
