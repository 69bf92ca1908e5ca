//! Numbers in text, as `Integer.valueOf`, `Long.valueOf` and `Double.valueOf` of Java read them.

/// The zeros of Unicode's decimal digits that are one UTF-16 unit: Java's integers take them all.
const ZEROS: [u16; 37] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6,
    0x0d66, 0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80,
    0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0xff10,
];

fn digit(c: char) -> Option<i64> {
    if c.is_ascii() {
        return c.to_digit(10).map(i64::from);
    }
    let unit = u16::try_from(u32::from(c)).ok()?;
    let after = ZEROS.partition_point(|zero| *zero <= unit);
    let value = unit - ZEROS[after.checked_sub(1)?];
    (value < 10).then_some(i64::from(value))
}

/// The whole number that `text` is; `None` where Java throws.
pub(super) fn to_i64(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return None;
    }
    // Below zero there is one number more.
    let mut value = 0_i64;
    for c in digits.chars() {
        value = value.checked_mul(10)?.checked_sub(digit(c)?)?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

/// The whole number of 32 bits that `text` is; `None` where Java throws.
pub(super) fn to_i32(text: &str) -> Option<i32> {
    i32::try_from(to_i64(text)?).ok()
}

/// Java's one NaN, which is above all numbers.
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// The number that `text` is; `None` where Java throws.
pub(super) fn to_f64(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match text {
        "NaN" => return Some(NAN),
        "Infinity" => f64::INFINITY,
        _ => {
            let text = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(hex) => hexadecimal(hex)?,
                None => decimal(text)?,
            }
        }
    };
    Some(if negative { -value } else { value })
}

fn decimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let sound = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    if !sound || !exponent.is_none_or(is_exponent) {
        return None;
    }
    // Both round to the nearest, ties to even.
    text.parse().ok()
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The value of `h.hp[+-]d`, the part of a hexadecimal number behind its `0x`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    if !is_exponent(exponent) {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // What does not fit any more only counts as "more than nothing".
    let (mut bits, mut sticky, mut dropped) = (0_u64, false, 0_i64);
    for c in whole.chars().chain(fraction.chars()) {
        let nibble = u64::from(c.to_digit(16)?);
        if bits >> 60 == 0 {
            bits = bits << 4 | nibble;
        } else {
            sticky |= nibble != 0;
            dropped += 4;
        }
    }
    let sign = if exponent.starts_with('-') { -1 } else { 1 };
    let digits = exponent.trim_start_matches(['+', '-']);
    let limit = 1_i64 << 40;
    let exponent = digits.parse().map_or(limit, |value: i64| value.min(limit)) * sign;
    let scale = exponent + dropped - 4 * i64::try_from(fraction.len()).ok()?;
    Some(scaled(bits, sticky, scale))
}

/// `bits * 2^scale` and a little more if `sticky`, rounded to the nearest, ties to even.
fn scaled(bits: u64, sticky: bool, scale: i64) -> f64 {
    /// Weight of the last bit of the smallest double.
    const LAST_BIT: i64 = -1074;
    if bits == 0 {
        return 0.0;
    }
    let width = i64::from(u64::BITS - bits.leading_zeros());
    // The place of the last bit that a double of this size keeps.
    let last = (scale + width - 53).max(LAST_BIT);
    let drop = last - scale;
    if drop <= 0 {
        // All bits are kept: at most 53 of them, and `sticky` needs 64.
        return power_scaled(bits, scale);
    }
    if drop > 64 {
        return 0.0;
    }
    let drop = drop.unsigned_abs() as u32;
    let kept = bits.checked_shr(drop).unwrap_or(0);
    let half = 1_u64 << (drop - 1);
    let rest = bits & (half | (half - 1));
    let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
    power_scaled(kept + u64::from(up), last)
}

/// `bits * 2^scale` for a product that a double holds exactly, or that is too large for it.
fn power_scaled(bits: u64, scale: i64) -> f64 {
    let mut value = bits as f64;
    let mut left = scale.clamp(-2200, 2200);
    while left != 0 {
        // In steps that are powers of two themselves.
        let step = left.clamp(-1000, 1000);
        value *= 2_f64.powi(step as i32);
        left -= step;
    }
    value
}
