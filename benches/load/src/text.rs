//! What messages say. Each begins with a key of fixed length, which names the turn, the room, the message's
//! number in that room and the time at which it was due. Words follow, so that a search index has work to do.

use crate::{clock::Micros, random::Random};

/// The characters of a key.
pub const KEY_BYTES: usize = 32;
const MARK: &[u8] = b"hl";
/// Words of the vocabulary. Few are common and most are rare, as in what people write.
const WORDS: usize = 4096;

/// Which message a text is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    pub turn: u16,
    pub room: u32,
    /// The message's number among those said in the room in this turn, from 0.
    pub number: u32,
    pub due: Micros,
}

impl Key {
    /// Reads the key at the beginning of a text.
    pub fn read(text: &[u8]) -> Option<Self> {
        let digits = text.get(..KEY_BYTES)?.strip_prefix(MARK)?;
        Some(Self {
            turn: decimal(&digits[..4])? as u16,
            room: decimal(&digits[4..10])? as u32,
            number: decimal(&digits[10..18])? as u32,
            due: decimal(&digits[18..30])?,
        })
    }

    /// Finds the key in a frame of any format.
    pub fn find(frame: &[u8]) -> Option<Self> {
        memchr::memmem::find_iter(frame, MARK).find_map(|at| Self::read(&frame[at..]))
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// Writes texts. Only lower-case letters, digits and spaces occur, which every format carries as they are.
pub struct Author {
    words: Vec<String>,
    random: Random,
}

impl Author {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(0x776f_7264);
        let words = (0..WORDS).map(|_| word(&mut random)).collect();
        Self {
            words,
            random: Random::new(seed),
        }
    }

    /// The text of a message, of exactly `bytes` bytes but at least a key.
    pub fn write(&mut self, key: &Key, bytes: usize, text: &mut String) {
        use std::fmt::Write;
        text.clear();
        let Key {
            turn,
            room,
            number,
            due,
        } = key;
        let _ = write!(text, "hl{turn:04}{room:06}{number:08}{due:012}");
        while text.len() < bytes {
            text.push(' ');
            text.push_str(&self.words[rank(&mut self.random)]);
        }
        text.truncate(bytes.max(KEY_BYTES));
        if text.ends_with(' ') {
            text.pop();
            text.push('x');
        }
    }

    /// A word of the vocabulary: 0 is the commonest.
    pub fn word(&self, rank: usize) -> &str {
        &self.words[rank % WORDS]
    }
}

/// A word's place in the vocabulary: that of half the rank is about twice as frequent.
fn rank(random: &mut Random) -> usize {
    let rank = (WORDS as f64).powf(random.unit());
    (rank as usize).min(WORDS) - 1
}

fn word(random: &mut Random) -> String {
    const ONSETS: [&str; 14] = [
        "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st",
    ];
    const VOWELS: [&str; 6] = ["a", "e", "i", "o", "u", "ea"];
    let syllables = 2 + random.below(2);
    (0..syllables)
        .map(|_| [ONSETS[random.below(14)], VOWELS[random.below(6)]].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = Key {
            turn: 12,
            room: 345,
            number: 67_890,
            due: 123_456_789,
        };
        let mut author = Author::new(1);
        let mut text = String::new();
        for bytes in [0, 32, 33, 128, 8_000] {
            author.write(&key, bytes, &mut text);
            assert_eq!(text.len(), bytes.max(KEY_BYTES));
            assert_eq!(Key::read(text.as_bytes()), Some(key));
            assert!(!text.ends_with(' '));
        }
        let frame = format!("<body>hl not a key, {text}</body>");
        assert_eq!(Key::find(frame.as_bytes()), Some(key));
        assert_eq!(Key::read(b"hl0001"), None);
    }
}
