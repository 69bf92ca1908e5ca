//! CRC-32 as RocketMQ uses it: the IEEE polynomial with the sign bit cleared.

/// CRC-32 of `bytes` with bit 31 cleared, so that it is never negative as a Java `int`.
#[must_use]
pub fn crc32(bytes: &[u8]) -> i32 {
    clear_sign(crc32fast::hash(bytes))
}

/// CRC-32 of the concatenation of `parts`, with bit 31 cleared.
#[must_use]
pub fn crc32_parts(parts: &[&[u8]]) -> i32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    clear_sign(hasher.finalize())
}

fn clear_sign(crc: u32) -> i32 {
    (crc & 0x7fff_ffff).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_polynomial() {
        // 0xCBF43926 is the published check value; RocketMQ keeps 31 bits of it.
        assert_eq!(crc32(b"123456789"), 0x4BF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn parts_equal_the_whole() {
        assert_eq!(crc32_parts(&[b"1234", b"", b"56789"]), crc32(b"123456789"));
    }
}
