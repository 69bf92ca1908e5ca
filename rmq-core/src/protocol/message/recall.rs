//! The handle with which a message that waits for its time can be recalled.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The first word of a handle.
const VERSION: &str = "v1";

/// What a handle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecallHandle {
    /// The topic that the message was sent to.
    pub topic: String,
    /// The broker that has it.
    pub broker_name: String,
    /// A time in the slot of the message, ms since the epoch; not checked to be a number.
    pub time: String,
    /// Its unique id.
    pub unique_id: String,
}

impl RecallHandle {
    /// The text that a sender is given.
    #[must_use]
    pub fn encode(&self) -> String {
        let words = [
            VERSION,
            &self.topic,
            &self.broker_name,
            &self.time,
            &self.unique_id,
        ];
        encode_base64(words.join(" ").as_bytes())
    }

    /// Reads a handle; `None` when it is none.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let raw = decode_base64(text.as_bytes())?;
        let raw = String::from_utf8_lossy(&raw);
        let mut words = raw.split(' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let mut word = || words.next().map(str::to_owned);
        let handle = Self {
            topic: word()?,
            broker_name: word()?,
            time: word()?,
            unique_id: word()?,
        };
        Some(handle).filter(|handle| !handle.unique_id.is_empty())
    }
}

/// RFC 4648, section 5, with padding.
fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            if index > group.len() {
                text.push('=');
                continue;
            }
            let six = bits >> (18 - 6 * index) & 63;
            text.push(char::from(ALPHABET[six as usize]));
        }
    }
    text
}

/// The same back; padding may be left out, as Java's decoder allows.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|&&b| b == b'=').count();
    let data = &text[..text.len() - padding];
    let is_padded = text.len().is_multiple_of(4) && padding <= 2;
    if data.len() % 4 == 1 || (padding > 0 && !is_padded) {
        return None;
    }
    let mut bytes = Vec::with_capacity(data.len() / 4 * 3 + 2);
    for group in data.chunks(4) {
        let mut bits = 0_u32;
        for &letter in group {
            let six = ALPHABET.iter().position(|&one| one == letter)?;
            bits = bits << 6 | u32::try_from(six).ok()?;
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{3ff}\u{fff}", "z7_gv78="),
        ];
        for (plain, text) in table {
            assert_eq!(encode_base64(plain.as_bytes()), text);
            assert_eq!(decode_base64(text.as_bytes()).unwrap(), plain.as_bytes());
            let bare = text.trim_end_matches('=');
            assert_eq!(decode_base64(bare.as_bytes()).unwrap(), plain.as_bytes());
        }
        for broken in ["Z", "Zg=", "Zg===", "Z=g=", "Zm9v====", "Z+9v", "Zm9v\n"] {
            assert_eq!(decode_base64(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn a_handle_comes_back_and_anything_else_is_refused() {
        let handle = RecallHandle {
            topic: "t".to_owned(),
            broker_name: "broker-a".to_owned(),
            time: "1795357533001".to_owned(),
            unique_id: "7F00000100001234".to_owned(),
        };
        let text = handle.encode();
        assert_eq!(
            text,
            "djEgdCBicm9rZXItYSAxNzk1MzU3NTMzMDAxIDdGMDAwMDAxMDAwMDEyMzQ="
        );
        assert_eq!(RecallHandle::decode(&text), Some(handle));
        for raw in ["", "v1 t b 1", "v1 t b 1 ", "v2 t b 1 id", "v1"] {
            let text = encode_base64(raw.as_bytes());
            assert_eq!(RecallHandle::decode(&text), None, "{raw}");
        }
        assert_eq!(RecallHandle::decode("no handle"), None);
    }
}
