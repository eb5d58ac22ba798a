//! Lists of rows as a statement's parameter: JSON texts, which JSON_TABLE turns into rows. One statement takes any number of
//! rows, so that 256 changes need as many round trips as one, on MariaDB and MySQL alike.
//! (MySQL has no bulk command. Row constructors in IN were thirty times slower on MariaDB 10.11.)
//!
//! Texts are sent as they are: JSON escapes control characters, quotes and backslashes, and nothing else. Keys that are bytes are
//! sent as hexadecimal digits. MariaDB's JSON_TABLE silently cuts what is longer than its column, and silently puts `?` in place
//! of what the database's own character set doesn't hold. So columns of texts are MEDIUMTEXT CHARACTER SET utf8mb4.

use serde::Serialize;

/// How much of a packet is kept for everything beside a list: the command, other parameters.
const PACKET_RESERVED: usize = 1_024;

/// The rows in their order, in as few lists as the packet allows; no list for no rows. A row that is larger than a packet has a
/// list of its own, which the driver refuses ([`crate::store::error::SqlError::TooMuch`]).
pub fn lists<T: Serialize>(rows: impl IntoIterator<Item = T>, packet: usize) -> Vec<String> {
    let (mut lists, mut list) = (Vec::new(), String::new());
    for row in rows {
        let row = serde_json::to_string(&row).expect("numbers and texts are plain JSON");
        if !list.is_empty() && !fits(list.len() + row.len() + 2, packet) {
            list.push(']');
            lists.push(std::mem::take(&mut list));
        }
        list.push(if list.is_empty() { '[' } else { ',' });
        list.push_str(&row);
    }
    if !list.is_empty() {
        list.push(']');
        lists.push(list);
    }
    lists
}

/// Whether a packet holds a list of this many bytes.
pub fn fits(bytes: usize, packet: usize) -> bool {
    bytes + PACKET_RESERVED <= packet
}

/// Bytes as hexadecimal digits, for UNHEX.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_by_the_packet() {
        let rows = ["a", "bb", "", "\u{0}\"", "𠀀"];
        let whole = r#"["a","bb","","\u0000\"","𠀀"]"#;
        assert_eq!(lists(rows, 1 << 20), [whole]);
        assert_eq!(lists(rows, PACKET_RESERVED + whole.len()), [whole]);
        for packet in 0..PACKET_RESERVED + whole.len() {
            let lists = lists(rows, packet);
            let read = lists.iter().flat_map(|list| {
                assert!(fits(list.len(), packet) || list.matches(',').count() == 0);
                serde_json::from_str::<Vec<String>>(list).unwrap()
            });
            assert_eq!(read.collect::<Vec<_>>(), rows, "{packet}");
        }
        assert_eq!(lists([""; 0], 1 << 20), [""; 0]);
    }

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(hex(&[0, 0x0f, 0xf0, 0xff]), "000ff0ff");
    }
}
