//! The part of a text that shows why it was found. Pure.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::{limits::SEARCH_SNIPPET_CHARS, protocol::rest::Piece};

/// About [`SEARCH_SNIPPET_CHARS`] of the text around the first of `hits`, cut between graphemes and at white
/// space where there is some near. `hits` rise and are apart from each other.
pub fn snippet(text: &str, hits: &[Range<usize>]) -> Vec<Piece> {
    let first = hits.first().map_or(0, |hit| hit.start);
    let start = start(text, first);
    let end = end(text, start);
    let mut pieces = Vec::new();
    let mut push = |range: Range<usize>, hit: bool| {
        if !range.is_empty() {
            let text = text[range].to_owned();
            pieces.push(Piece { text, hit });
        }
    };
    let mut at = start;
    for hit in hits.iter().take_while(|hit| hit.start < end) {
        push(at..hit.start, false);
        push(hit.start..hit.end.min(end), true);
        at = hit.end.min(end);
    }
    push(at..end, false);
    pieces
}

/// Where a third of the snippet lies before the first hit.
fn start(text: &str, first: usize) -> usize {
    let (mut chars, mut start, mut space) = (0, first, None);
    for (at, grapheme) in text[..first].grapheme_indices(true).rev() {
        chars += grapheme.chars().count();
        if chars > SEARCH_SNIPPET_CHARS / 3 {
            // The farthest white space lies outside of words.
            return space.unwrap_or(start);
        }
        start = at;
        if grapheme.chars().all(char::is_whitespace) {
            space = Some(at + grapheme.len());
        }
    }
    0
}

fn end(text: &str, start: usize) -> usize {
    let (mut chars, mut end, mut space) = (0, start, None);
    for (at, grapheme) in text[start..].grapheme_indices(true) {
        chars += grapheme.chars().count();
        if chars > SEARCH_SNIPPET_CHARS && end > start {
            let near = |space: &usize| end - space < (end - start) / 4;
            return space.filter(near).unwrap_or(end);
        }
        if grapheme.chars().all(char::is_whitespace) {
            space = Some(start + at);
        }
        end = start + at + grapheme.len();
    }
    end
}

#[cfg(test)]
mod tests {
    use super::{super::query::Query, *};

    fn shown(text: &str, query: &str) -> Vec<Piece> {
        let hits = Query::parse(query).unwrap().hits(text).unwrap();
        snippet(text, &hits)
    }

    fn marked(pieces: &[Piece]) -> String {
        let mark = |piece: &Piece| {
            if piece.hit {
                format!("[{}]", piece.text)
            } else {
                piece.text.clone()
            }
        };
        pieces.iter().map(mark).collect()
    }

    #[test]
    fn short_texts_are_shown_whole() {
        for (text, query, expected) in [
            ("Hello, World", "world", "Hello, [World]"),
            ("a b c", "\"a b\" c", "[a b] [c]"),
            ("東京都", "京", "東[京]都"),
            ("éa", "ea", "[éa]"),
        ] {
            assert_eq!(marked(&shown(text, query)), expected);
        }
    }

    #[test]
    fn long_texts_are_cut_around_the_first_hit() {
        let before = "before ".repeat(100);
        let text = format!("{before}needle {}", "after ".repeat(100));
        let pieces = shown(&text, "needle");
        let whole: String = pieces.iter().map(|piece| &*piece.text).collect();
        assert!(text.contains(&whole) && whole.len() <= SEARCH_SNIPPET_CHARS);
        assert!(whole.len() > SEARCH_SNIPPET_CHARS / 2, "{whole}");
        assert!(
            whole.starts_with("before before") && whole.ends_with("after"),
            "{whole}"
        );
        assert_eq!(pieces.iter().filter(|piece| piece.hit).count(), 1);

        // Nothing to cut at but graphemes, each of several characters.
        let text = "e\u{301}\u{302}".repeat(1_000);
        let pieces = shown(&text, &"e".repeat(1_000));
        let whole: String = pieces.iter().map(|piece| &*piece.text).collect();
        assert_eq!(whole.chars().count() % 3, 0, "no grapheme is cut");
        assert!(whole.chars().count() <= SEARCH_SNIPPET_CHARS);

        // One grapheme that is longer than a snippet.
        let text = format!("a{}", "\u{301}".repeat(500));
        assert_eq!(marked(&shown(&text, "a")), format!("[{text}]"));
    }
}
