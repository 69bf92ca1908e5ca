//! The Bloom filter positions that brokers keep with the filter data of a group. rmq computes no
//! bit maps of messages; it writes the positions because Apache's broker drops a file without them.

/// The size of a filter, from how many members it is to have and how often it may err.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bloom {
    hashes: u32,
    bits: u32,
}

impl Bloom {
    /// A filter for `expected` members that errs in `error_percent` of its answers. Numbers out of
    /// range (1 to 99, and at least 1) count as the nearest one in it.
    #[must_use]
    pub fn new(error_percent: u32, expected: u32) -> Self {
        let error = f64::from(error_percent.clamp(1, 99)) / 100.0;
        let log = |base: f64, of: f64| of.ln() / base.ln();
        let hashes = log(0.5, error).ceil();
        let expected = f64::from(expected.max(1));
        let bits = (expected * log(2.0, 1.0 / error) * log(2.0, std::f64::consts::E)).ceil();
        Self {
            hashes: hashes as u32,
            // Whole bytes.
            bits: ((bits / 8.0).ceil() * 8.0) as u32,
        }
    }

    /// How many bits it has.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// The bits that stand for `text`.
    #[must_use]
    pub fn positions(self, text: &str) -> Vec<u32> {
        let hash = murmur3(text.as_bytes());
        let (low, high) = (hash as u32, (hash >> 32) as u32);
        let position = |turn: u32| {
            let combined = low.wrapping_add(turn.wrapping_mul(high)).cast_signed();
            // Its complement where it is negative.
            let folded = combined ^ (combined >> 31);
            folded.unsigned_abs() % self.bits
        };
        (1..=self.hashes).map(position).collect()
    }
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

fn mix1(word: u64) -> u64 {
    word.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix2(word: u64) -> u64 {
    word.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

/// Up to eight bytes as a number, the first one lowest.
fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The first half of MurmurHash3's 128 bits, in its form for 64-bit machines, with seed 0.
fn murmur3(bytes: &[u8]) -> u64 {
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        h1 ^= mix1(word(&block[..8]));
        h1 = h1.rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(word(&block[8..]));
        h2 = h2.rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let rest = blocks.remainder();
    let (first, second) = rest.split_at(rest.len().min(8));
    h2 ^= mix2(word(second));
    h1 ^= mix1(word(first));
    h1 ^= bytes.len() as u64;
    h2 ^= bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}
