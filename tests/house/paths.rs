//! The paths that a file names, in `use` trees and elsewhere, read from its text.

use std::collections::{BTreeMap, BTreeSet};

/// The paths and names in a file's text.
#[derive(Debug, Default)]
pub struct Paths {
    /// Every path, as it is written: `crate::hub::Hub` is `["crate", "hub", "Hub"]`. Of `use` trees each leaf is one.
    pub named: BTreeSet<Vec<String>>,
    /// What `use` brings into scope: its name, and the path as it is written.
    pub bound: BTreeMap<String, Vec<String>>,
    /// Of `use a::b::*`: `a::b`.
    pub globs: BTreeSet<Vec<String>>,
    /// `pub use` forwards names to others; these paths are in `bound` or `globs`, but not in `named`.
    pub forwarded: BTreeSet<Vec<String>>,
    /// Items that are defined here, child modules among them.
    pub defined: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Separator,
    Other(char),
}

/// Splits code into tokens; comments, strings, characters and lifetimes are left out.
fn tokens(code: &str) -> Vec<Token> {
    let chars: Vec<char> = code.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        match (at(index), at(index + 1)) {
            ('/', '/') => index = skip_line(&chars, index),
            ('/', '*') => index = skip_comment(&chars, index),
            ('"', _) => index = skip_string(&chars, index),
            ('\'', '\\') => index = skip_character(&chars, index + 1),
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            // A lifetime.
            ('\'', _) => {
                index += 1;
                while is_word(at(index)) {
                    index += 1;
                }
            }
            (':', ':') => {
                tokens.push(Token::Separator);
                index += 2;
            }
            (c, _) if is_word(c) => {
                let start = index;
                while is_word(at(index)) {
                    index += 1;
                }
                let word: String = chars[start..index].iter().collect();
                let raw = ["r", "br", "cr"].contains(&&*word);
                if raw && ['"', '#'].contains(&at(index)) {
                    index = skip_raw_string(&chars, index);
                } else {
                    tokens.push(Token::Word(word));
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    tokens.push(Token::Other(c));
                }
                index += 1;
            }
        }
    }
    tokens
}

fn skip_line(chars: &[char], start: usize) -> usize {
    let rest = chars[start..].iter().position(|c| *c == '\n');
    rest.map_or(chars.len(), |length| start + length)
}

fn skip_comment(chars: &[char], start: usize) -> usize {
    let (mut index, mut depth) = (start, 0);
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => (depth, index) = (depth + 1, index + 2),
            ('*', Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    index
}

fn skip_string(chars: &[char], start: usize) -> usize {
    let mut index = start + 1;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    index
}

/// From the backslash of `'\n'` or `'\u{41}'`.
fn skip_character(chars: &[char], backslash: usize) -> usize {
    let rest = chars.get(backslash + 2..).unwrap_or_default();
    let end = rest.iter().position(|c| *c == '\'');
    end.map_or(chars.len(), |length| backslash + 2 + length + 1)
}

/// From the first `#` or quote of `r#"…"#`. A raw name such as `r#type` goes on as a word.
fn skip_raw_string(chars: &[char], start: usize) -> usize {
    let hashes = chars[start..].iter().take_while(|c| **c == '#').count();
    let mut index = start + hashes;
    if chars.get(index) != Some(&'"') {
        return index;
    }
    index += 1;
    while index < chars.len() {
        let closing = &chars[index + 1..chars.len().min(index + 1 + hashes)];
        if chars[index] == '"' && closing.len() == hashes && closing.iter().all(|c| *c == '#') {
            return index + 1 + hashes;
        }
        index += 1;
    }
    index
}

impl Paths {
    /// Reads a file's code; unit tests at its end are left out.
    pub fn read(code: &str) -> Self {
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let tokens = tokens(code);
        let mut paths = Self::default();
        let mut index = 0;
        while index < tokens.len() {
            index = paths.step(&tokens, index);
        }
        paths
    }

    /// Reads what begins at this token: the index behind it.
    fn step(&mut self, tokens: &[Token], index: usize) -> usize {
        let Token::Word(word) = &tokens[index] else {
            return index + 1;
        };
        let before = index.checked_sub(1).map(|before| &tokens[before]);
        match word.as_str() {
            "use" => {
                let public = is_public(&tokens[..index]);
                let mut leaves = Vec::new();
                let end = tree(tokens, index + 1, &mut Vec::new(), &mut leaves);
                leaves.into_iter().for_each(|leaf| self.take(leaf, public));
                end
            }
            // `pub(in path)` says who may see, not what is needed.
            "in" if before == Some(&Token::Other('(')) => {
                let closed = tokens[index..]
                    .iter()
                    .position(|token| *token == Token::Other(')'));
                closed.map_or(tokens.len(), |length| index + length)
            }
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "mod" | "union" => {
                if let Some(Token::Word(name)) = tokens.get(index + 1) {
                    self.defined.insert(name.clone());
                }
                index + 1
            }
            // Only the first word of a path begins one.
            _ if matches!(before, Some(Token::Separator | Token::Other('.'))) => index + 1,
            _ => {
                let (path, end) = path(tokens, index);
                if path.len() > 1 {
                    self.named.insert(path);
                }
                end
            }
        }
    }

    fn take(&mut self, leaf: Leaf, public: bool) {
        let Leaf { path, name } = leaf;
        match (&name, public) {
            (_, true) => drop(self.forwarded.insert(path.clone())),
            (_, false) => drop(self.named.insert(path.clone())),
        }
        match name {
            Some(name) => drop(self.bound.insert(name, path)),
            None => drop(self.globs.insert(path)),
        }
    }
}

/// One path of a `use` tree, and the name that it has here; a glob has none.
struct Leaf {
    path: Vec<String>,
    name: Option<String>,
}

/// Whether the tokens end with `pub` or `pub(…)`.
fn is_public(tokens: &[Token]) -> bool {
    let mut rest = tokens;
    if let [before @ .., Token::Other(')')] = rest {
        let open = before.iter().rposition(|token| *token == Token::Other('('));
        rest = open.map_or(&[][..], |open| &before[..open]);
    }
    rest.last() == Some(&Token::Word("pub".to_owned()))
}

/// The longest path from this word on, and the index behind it.
fn path(tokens: &[Token], start: usize) -> (Vec<String>, usize) {
    let (mut path, mut index) = (Vec::new(), start);
    while let Some(Token::Word(word)) = tokens.get(index) {
        path.push(word.clone());
        index += 1;
        match (tokens.get(index), tokens.get(index + 1)) {
            (Some(Token::Separator), Some(Token::Word(_))) => index += 1,
            _ => break,
        }
    }
    (path, index)
}

/// Reads a `use` tree that continues `prefix`; the index behind it.
fn tree(tokens: &[Token], start: usize, prefix: &mut Vec<String>, leaves: &mut Vec<Leaf>) -> usize {
    let (words, mut index) = match tokens.get(start) {
        Some(Token::Separator) => path(tokens, start + 1),
        _ => path(tokens, start),
    };
    let depth = prefix.len();
    prefix.extend(words);
    if tokens.get(index) == Some(&Token::Separator) {
        index += 1;
    }
    match tokens.get(index) {
        Some(Token::Other('{')) => {
            index += 1;
            while index < tokens.len() && tokens[index] != Token::Other('}') {
                index = match tokens[index] {
                    Token::Other(',') => index + 1,
                    _ => tree(tokens, index, prefix, leaves),
                };
            }
            index += 1;
        }
        Some(Token::Other('*')) => {
            let path = prefix.clone();
            leaves.push(Leaf { path, name: None });
            index += 1;
        }
        _ => {
            let mut path = prefix.clone();
            if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
                path.pop();
            }
            let mut name = path.last().cloned();
            if let [Token::Word(word), Token::Word(alias)] =
                tokens.get(index..index + 2).unwrap_or_default()
                && word == "as"
            {
                name = Some(alias.clone());
                index += 2;
            }
            leaves.extend(name.map(|name| Leaf {
                path,
                name: Some(name),
            }));
        }
    }
    prefix.truncate(depth);
    index
}

#[cfg(test)]
mod tests {
    use super::{Paths, Token, tokens};

    fn named(code: &str) -> Vec<String> {
        let paths = Paths::read(code);
        paths.named.iter().map(|path| path.join("::")).collect()
    }

    fn words(code: &str) -> Vec<String> {
        let words = tokens(code).into_iter().filter_map(|token| match token {
            Token::Word(word) => Some(word),
            _ => None,
        });
        words.collect()
    }

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        for (code, expected) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"a "b \" c" d"#, "a d"),
            (r####"a r#"b " c"# d br"e" f"####, "a d f"),
            ("a '\"' b '\\'' c '\\u{41}' d", "a b c d"),
            ("a<'b> c: &'static d", "a c d"),
            ("r#type x", "type x"),
        ] {
            assert_eq!(
                words(code),
                expected.split(' ').collect::<Vec<_>>(),
                "{code}"
            );
        }
    }

    #[test]
    fn nested_use_trees_are_read_to_their_leaves() {
        let code = "use crate::{\n    a::b,\n    c::{self, d::{E, F as G}, h::*},\n};\nuse ::x::y;";
        assert_eq!(
            named(code),
            [
                "crate::a::b",
                "crate::c",
                "crate::c::d::E",
                "crate::c::d::F",
                "crate::c::h",
                "x::y"
            ]
        );
        let paths = Paths::read(code);
        assert_eq!(paths.bound["G"], ["crate", "c", "d", "F"]);
        assert_eq!(paths.bound["c"], ["crate", "c"]);
        assert!(!paths.bound.contains_key("h"));
        assert_eq!(paths.globs.len(), 1);
    }

    #[test]
    fn paths_are_found_outside_of_use_too() {
        assert_eq!(
            named("fn f(a: crate::b::C) -> d::E<super::F> { g.h::<i::J>(); tokio::spawn(k) }"),
            ["crate::b::C", "d::E", "i::J", "super::F", "tokio::spawn"]
        );
        assert_eq!(named("pub(in crate::a) fn f() {}"), [""; 0]);
        assert_eq!(named("x(\"crate::a\"); // crate::b\n"), [""; 0]);
    }

    #[test]
    fn names_that_are_forwarded_are_not_needed() {
        let paths = Paths::read("mod a;\npub use a::B;\npub(super) use c::{D, e::*};\nuse f::G;");
        assert_eq!(named("pub use a::B;"), [""; 0]);
        assert_eq!(paths.forwarded.len(), 3);
        assert_eq!(paths.bound["D"], ["c", "D"]);
        assert!(paths.named.contains(&vec!["f".to_owned(), "G".to_owned()]));
        assert!(paths.defined.contains("a"));
    }

    #[test]
    fn unit_tests_are_left_out() {
        let code = "use a::b;\n#[cfg(test)]\nmod tests {\n    use c::d;\n}";
        assert_eq!(named(code), ["a::b"]);
    }
}
