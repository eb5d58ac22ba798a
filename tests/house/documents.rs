//! What documents name exists: files, and tests by their module and function.

use std::{collections::BTreeSet, fs, path::PathBuf};

use super::{read, root, word};

/// Documents that name tests.
const DOCUMENTS: [&str; 2] = ["SECURITY.md", "tests/MUTATIONS.md"];
/// Where a path in a document may begin.
const BEGINNINGS: [&str; 5] = ["", "src/", "tests/", "frontend/", "frontend/src/"];
/// Names of other crates' functions.
const OTHERS: [&str; 1] = ["ring::hmac::verify"];

/// All Rust files of a folder.
fn files(dir: &str) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![root().join(dir)]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The names of all modules, and of what is defined in them.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in ["src", "tests"].into_iter().flat_map(files) {
        let text = fs::read_to_string(&path).unwrap();
        let local = path.strip_prefix(root()).unwrap().with_extension("");
        names.extend(local.iter().map(|part| part.to_str().unwrap().to_owned()));
        for before in ["fn ", "mod ", "const ", "tests!("] {
            let after = text.split(before).skip(1);
            names.extend(after.filter_map(word));
        }
    }
    names
}

/// Whether a text in backticks is a path: of a file or a folder, from one of the [`BEGINNINGS`] on.
fn is_path(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    text.contains('/') && !text.starts_with('/') && text.chars().all(is_plain)
}

/// The parts of `module::function`, or of `module::`, without `…`, which stands for any number of them.
fn parts(text: &str) -> Option<Vec<&str>> {
    let is_plain = |c: char| c.is_alphanumeric() || "_:…".contains(c);
    let is_name = text.contains("::") && text.chars().all(is_plain) && !OTHERS.contains(&text);
    let is_part = |part: &&str| !["", "…"].contains(part);
    is_name.then(|| text.split("::").filter(is_part).collect())
}

/// Whether a part is a name. It may be cut short by `…`.
fn is_known(part: &str, names: &BTreeSet<String>) -> bool {
    match part.split_once('…') {
        Some((begin, end)) => names
            .iter()
            .any(|name| name.starts_with(begin) && name.ends_with(end)),
        None => names.contains(part),
    }
}

#[test]
fn documents_name_what_exists() {
    let names = names();
    let mut faults = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        for (index, line) in text.lines().enumerate() {
            let place = format!("{document}:{}", index + 1);
            for quoted in line.split('`').skip(1).step_by(2) {
                let mut places = BEGINNINGS
                    .iter()
                    .map(|begin| root().join(begin).join(quoted));
                if is_path(quoted) && !places.any(|place| place.exists()) {
                    faults.push(format!("{place}: there is no {quoted}"));
                }
                // As in `conformance accounts::…`.
                for parts in quoted.split(' ').filter_map(parts) {
                    let unknown = parts.iter().filter(|part| !is_known(part, &names));
                    faults.extend(unknown.map(|part| format!("{place}: nothing is named {part}")));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
