//! Rules for the source code: which part may import which, what only some parts may call, how long a file may be, and that
//! documents and generated files match the program.

mod documents;
mod imports;
mod paths;
mod types;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use imports::{Imports, Module};

/// A file of the project.
struct Source {
    /// From the project's root, as `src/hub/room.rs`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All but files of unit tests.
fn sources(dir: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let of_tests = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !of_tests {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !of_tests {
                let text = fs::read_to_string(&path).unwrap();
                let path = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "{dir} has sources");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Source {
    /// The part of the house: `hub` of `src/hub/room.rs`, `main` of `src/main.rs`.
    fn part(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap();
        path.split(['/', '.']).next().unwrap()
    }

    /// The code without comments, and without the tests at the file's end.
    fn code(&self) -> String {
        let code = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn module(&self) -> Module {
        imports::module(&self.path)
    }
}

fn word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

/// The paths that all of these files name.
fn imports(sources: &[Source]) -> Imports {
    Imports::new(sources.iter().map(|source| (&*source.path, &*source.text)))
}

#[test]
fn imports_lead_one_way() {
    // main -> app -> http -> ws -> chat, hub -> search -> store -> protocol, limits; auth beside store. Each may know
    // itself and what stands here, and what stands below that.
    let below: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("main", &["app", "config", "telemetry", "limits"] as &[&str]),
        (
            "cli",
            &["config", "search", "store", "auth", "limits", "protocol"],
        ),
        (
            "app",
            &[
                "http",
                "cli",
                "ws",
                "chat",
                "hub",
                "search",
                "store",
                "auth",
                "config",
                "telemetry",
                "shutdown",
                "protocol",
                "limits",
            ],
        ),
        (
            "http",
            &["ws", "chat", "search", "store", "protocol", "limits"],
        ),
        (
            "ws",
            &["chat", "hub", "store", "shutdown", "protocol", "limits"],
        ),
        ("chat", &["search", "store", "auth", "protocol", "limits"]),
        ("search", &["store", "protocol", "limits"]),
        ("hub", &["store", "protocol", "limits"]),
        ("store", &["protocol", "limits"]),
        ("auth", &["protocol", "limits"]),
        ("telemetry", &["config", "limits"]),
        ("shutdown", &["limits"]),
        // What is configured is given to its owners in their own words.
        ("config", &["store", "auth", "protocol", "limits"]),
        ("protocol", &["limits"]),
        ("limits", &[]),
        ("lib", &[]),
    ]);
    let mut faults = Vec::new();
    let sources = sources("src");
    let imports = imports(&sources);
    for source in &sources {
        let part = source.part();
        let Some(allowed) = below.get(part) else {
            faults.push(format!(
                "{}: a part that this test doesn't know",
                source.path
            ));
            continue;
        };
        for import in imports.parts(&source.module()) {
            let known = import == part || !below.contains_key(&*import);
            if !known && !allowed.contains(&&*import) {
                faults.push(format!("{}: {part} must not know {import}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_files_of_a_part_need_each_other_in_a_circle() {
    let sources = sources("src");
    let imports = imports(&sources);
    let parts: BTreeSet<&str> = sources.iter().map(Source::part).collect();
    let mut circles = Vec::new();
    for part in parts {
        for circle in imports.circles(part) {
            let files: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
            circles.push(format!("in {part}: {}", files.join(", ")));
        }
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

/// Where tasks are begun that nobody waits for by themselves: each of these files says who ends them. Elsewhere it is
/// `Shutdown::spawn`, which the end of the server waits for.
const SPAWNS: [&str; 5] = [
    "src/http/service.rs",
    "src/hub/",
    "src/shutdown.rs",
    "src/store/mysql/",
    "src/ws/",
];

#[test]
fn tasks_are_spawned_in_named_places() {
    let sources = sources("src");
    let imports = imports(&sources);
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for source in &sources {
        let module = source.module();
        let spawns = imports.mentions(&module, &["tokio", "spawn"])
            || imports.mentions(&module, &["tokio", "task", "spawn"]);
        let place = SPAWNS.iter().find(|place| source.path.starts_with(**place));
        assert!(
            !spawns || place.is_some(),
            "{}: a task is begun by `Shutdown::spawn`, or this place is named in SPAWNS",
            source.path
        );
        used.extend(place.filter(|_| spawns));
    }
    assert_eq!(
        used.len(),
        SPAWNS.len(),
        "of SPAWNS only these spawn: {used:?}"
    );
}

#[test]
fn only_auth_uses_ring() {
    let sources = sources("src");
    let imports = imports(&sources);
    let with_ring = sources
        .iter()
        .filter(|source| imports.crates(&source.module()).contains("ring"))
        .map(Source::part);
    let with_ring: BTreeSet<&str> = with_ring.collect();
    assert_eq!(with_ring, BTreeSet::from(["auth"]));
}

#[test]
fn each_part_keeps_to_its_crates() {
    const SQL: [&str; 3] = ["mysql_async", "rusqlite", "refinery"];
    const HTTP: [&str; 4] = ["hyper", "hyper_util", "http", "http_body_util"];
    const WEBSOCKET: [&str; 1] = ["tokio_tungstenite"];
    let forbidden: [(&str, Vec<&str>); 7] = [
        (
            "protocol",
            [&SQL[..], &HTTP, &WEBSOCKET, &["tokio", "futures_util"]].concat(),
        ),
        ("hub", [&SQL[..], &HTTP, &WEBSOCKET].concat()),
        ("ws", SQL.to_vec()),
        ("chat", [&SQL[..], &HTTP, &WEBSOCKET].concat()),
        ("http", SQL.to_vec()),
        ("search", [&SQL[..], &HTTP, &WEBSOCKET].concat()),
        ("store", [&HTTP[..], &WEBSOCKET].concat()),
    ];
    let mut faults = Vec::new();
    let sources = sources("src");
    let imports = imports(&sources);
    for source in &sources {
        let named = imports.crates(&source.module());
        for (part, crates) in &forbidden {
            for name in crates
                .iter()
                .filter(|name| source.part() == *part && named.contains(**name))
            {
                faults.push(format!("{}: {part} knows nothing of {name}", source.path));
            }
        }
        let needs = imports.needs(&source.module());
        let frames = ["server", "client"].map(|file| vec!["protocol".to_owned(), file.to_owned()]);
        if source.part() == "store" && frames.iter().any(|module| needs.contains(module)) {
            faults.push(format!("{}: the store knows no frames", source.path));
        }
        let environment = [
            "env::var",
            "env::args",
            "env::set_var",
            "dotenvy::dotenv",
            "dotenvy::from",
        ];
        let code = source.code();
        for name in environment.iter().filter(|name| code.contains(**name)) {
            if source.part() != "config" {
                faults.push(format!(
                    "{}: {name}: config alone reads the environment",
                    source.path
                ));
            }
        }
        // mysql_async's rows have a method of this name, which doesn't panic.
        let code = code.replace("row.unwrap()", "");
        if code.contains(".unwrap()") {
            faults.push(format!(
                "{}: unwrap() says nothing: expect(\"why it holds\")",
                source.path
            ));
        }
        if code.contains("unbounded_channel") {
            faults.push(format!("{}: every queue has a bound", source.path));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn files_are_about_one_thing() {
    let mut long = Vec::new();
    for source in sources("src") {
        let lines = source.text.lines().count();
        if lines > 600 {
            long.push(format!("{}: {lines} lines, at most 600", source.path));
        }
        if !source.text.starts_with("//!") {
            long.push(format!("{}: it doesn't say what it is about", source.path));
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// Deadlines of tests are those of `support/patience.rs`, which slow down with the machine. Requests that are cut short
/// on purpose are no deadlines, and a database is dropped in time or left behind.
#[test]
fn tests_wait_with_one_patience() {
    let own = [
        "tests/house/main.rs",
        "tests/support/patience.rs",
        "tests/support/database.rs",
        "tests/contract/sessions/hang_ups.rs",
    ];
    let mut files = sources("tests");
    files.retain(|file| !own.contains(&file.path.as_str()));
    for file in files {
        let code: String = file.text.split_whitespace().collect();
        let mut imports = code
            .split("time::{")
            .skip(1)
            .filter_map(|rest| rest.split('}').next());
        let named = imports.any(|list| list.split(',').any(|name| name == "timeout"));
        assert!(
            !named && !code.contains("time::timeout"),
            "{}: a deadline is `support::timeout`'s",
            file.path
        );
    }
}

/// The settings' names in a text, as HEARTH_LISTEN.
fn settings(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("HEARTH_") {
        let name: String = text[at..]
            .chars()
            .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
            .collect();
        names.insert(name);
    }
    names
}

#[test]
fn env_example_names_the_settings() {
    let help = Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    assert!(help.status.success());
    let known = settings(&String::from_utf8(help.stdout).unwrap());
    assert!(known.len() >= 11, "{known:?}");
    assert_eq!(settings(&read(".env.example")), known);
}

/// A file of the frontend is what the server says; with HEARTH_TEST_UPDATE it is written anew.
fn assert_current(path: &str, text: &str) {
    if std::env::var_os("HEARTH_TEST_UPDATE").is_some() {
        fs::create_dir_all(root().join(path).parent().unwrap()).unwrap();
        fs::write(root().join(path), text).unwrap();
    }
    assert!(
        read(path) == text,
        "{path} isn't what src/protocol says: `make types` writes it anew"
    );
}

#[test]
fn the_frontend_has_the_protocol_s_types() {
    assert_current("frontend/src/protocol/types.ts", &types::module());
}

/// `npm run api` makes types from it.
#[test]
fn the_frontend_has_the_types_of_rest() {
    assert_current("frontend/src/protocol/openapi.json", &types::openapi());
}

/// The variants of an enum as they travel: in snake case.
fn variants(code: &str, name: &str) -> BTreeSet<String> {
    let (_, body) = code.split_once(&format!("pub enum {name}")).expect(name);
    let (_, body) = body.split_once('{').unwrap();
    let mut variants = BTreeSet::new();
    for line in body.lines().take_while(|line| *line != "}") {
        let Some(variant) = line.strip_prefix("    ") else {
            continue;
        };
        if variant.starts_with(char::is_uppercase) {
            let mut snake = String::new();
            for c in word(variant).unwrap().chars() {
                if c.is_uppercase() && !snake.is_empty() {
                    snake.push('_');
                }
                snake.extend(c.to_lowercase());
            }
            variants.insert(snake);
        }
    }
    assert!(!variants.is_empty(), "{name}");
    variants
}

#[test]
fn the_protocol_page_names_all_that_travels() {
    let page = read("PROTOCOL.md");
    let mut missing = Vec::new();
    for (file, name) in [
        ("server", "Frame"),
        ("client", "Request"),
        ("server", "ResetReason"),
    ] {
        for kind in variants(&read(format!("src/protocol/{file}.rs")), name) {
            if !page.contains(&format!("\"{kind}\"")) && !page.contains(&format!("`{kind}`")) {
                missing.push(format!("{name} {kind}"));
            }
        }
    }
    for code in variants(&read("src/protocol/error.rs"), "Code") {
        if !page.contains(&format!("`{code}`")) {
            missing.push(format!("error code {code}"));
        }
    }
    let close = read("src/protocol/close.rs");
    let codes: BTreeSet<&str> = close
        .lines()
        .filter_map(|line| line.split_once("=> (")?.1.split_once(','))
        .map(|(code, _)| code)
        .filter(|code| *code != "1000")
        .collect();
    assert!(codes.len() >= 16, "{codes:?}");
    missing.extend(
        codes
            .iter()
            .filter(|code| !page.contains(**code))
            .map(|code| format!("close code {code}")),
    );
    assert!(missing.is_empty(), "PROTOCOL.md doesn't name {missing:#?}");
}
