//! Which file of `src/` needs which: paths are followed to the file that defines what they name.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::Paths;

/// From the crate's root, as `["hub", "room"]`; the root's own is empty.
pub type Module = Vec<String>;

/// All files, by the module that each is.
pub struct Imports {
    modules: BTreeMap<Module, Paths>,
}

/// `src/hub/room.rs` is `hub::room`, `src/hub/mod.rs` is `hub`, `src/lib.rs` is the root. The program itself, `src/main.rs`,
/// is beside it.
pub fn module(path: &str) -> Module {
    let path = path.strip_prefix("src/").expect("a file of src/");
    let path = path.strip_suffix(".rs").expect("a Rust file");
    let mut module: Module = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

impl Imports {
    /// From files by their path and code.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let modules = files
            .into_iter()
            .map(|(path, code)| (module(path), Paths::read(code)));
        Self {
            modules: modules.collect(),
        }
    }

    /// What a path that is written in this module means: `crate::…`, or the name of another crate and what follows. Names
    /// that `use` brings into scope are followed.
    pub fn meaning(&self, module: &Module, path: &[String]) -> Vec<String> {
        self.follow(module, path, 0)
    }

    fn follow(&self, module: &Module, path: &[String], depth: usize) -> Vec<String> {
        let [first, rest @ ..] = path else {
            return path.to_vec();
        };
        let absolute =
            |base: &[String], rest: &[String]| [&["crate".to_owned()][..], base, rest].concat();
        match first.as_str() {
            "crate" | "hearth" => absolute(&[], rest),
            "self" => absolute(module, rest),
            "super" => {
                let (up, mut base) = (
                    path.iter().take_while(|word| *word == "super").count(),
                    module.clone(),
                );
                base.truncate(module.len().saturating_sub(up));
                absolute(&base, &path[up..])
            }
            _ => {
                let paths = self.modules.get(module);
                let child = paths.is_some_and(|paths| paths.defined.contains(first));
                let bound = paths.and_then(|paths| paths.bound.get(first));
                match bound {
                    // `use a::b;` where `a` is a crate: its first word is not looked up here again.
                    Some(bound) if depth < 16 && bound[0] != *first => {
                        let whole = [&bound[..], rest].concat();
                        self.follow(module, &whole, depth + 1)
                    }
                    Some(bound) if !child => [&bound[..], rest].concat(),
                    _ if child => absolute(module, path),
                    _ => path.to_vec(),
                }
            }
        }
    }

    /// The module that defines what this path, written in `module`, names; none where it leads to another crate.
    fn target(&self, module: &Module, path: &[String]) -> Option<Module> {
        let mut meaning = self.meaning(module, path);
        for _ in 0..16 {
            if meaning.first().is_none_or(|first| first != "crate") {
                return None;
            }
            let local = &meaning[1..];
            let length = (0..=local.len())
                .rev()
                .find(|length| self.modules.contains_key(&local[..*length]))?;
            let (found, rest) = local.split_at(length);
            let found = found.to_vec();
            let Some(name) = rest.first() else {
                return Some(found);
            };
            let paths = &self.modules[&found];
            if paths.defined.contains(name) {
                return Some(found);
            }
            if let Some(bound) = paths.bound.get(name) {
                meaning = self.meaning(&found, &[&bound[..], &rest[1..]].concat());
                continue;
            }
            let mut globs = paths.globs.iter();
            let defining = globs.find_map(|glob| {
                let target = self.target(&found, glob)?;
                self.modules[&target]
                    .defined
                    .contains(name)
                    .then_some(target)
            });
            return Some(defining.unwrap_or(found));
        }
        None
    }

    /// The modules of which this one needs something.
    pub fn needs(&self, module: &Module) -> BTreeSet<Module> {
        let paths = &self.modules[module];
        let targets = paths
            .named
            .iter()
            .filter_map(|path| self.target(module, path));
        targets.filter(|target| target != module).collect()
    }

    /// The parts of which this module needs or forwards something, its own among them.
    pub fn parts(&self, module: &Module) -> BTreeSet<String> {
        let paths = &self.modules[module];
        let all = paths.named.iter().chain(&paths.forwarded);
        let targets = all.filter_map(|path| self.target(module, path));
        targets
            .filter_map(|target| target.into_iter().next())
            .collect()
    }

    /// The names of the crates that this one needs something of, among others.
    pub fn crates(&self, module: &Module) -> BTreeSet<String> {
        let paths = &self.modules[module];
        let all = paths.named.iter().chain(&paths.forwarded);
        let meanings = all.map(|path| self.meaning(module, path));
        meanings
            .filter_map(|path| path.into_iter().next())
            .collect()
    }

    /// Whether it calls or imports what is found there.
    pub fn mentions(&self, module: &Module, path: &[&str]) -> bool {
        let paths = &self.modules[module];
        let mut all = paths.named.iter().chain(&paths.forwarded);
        all.any(|named| self.meaning(module, named).iter().eq(path))
    }

    /// The groups of modules within a part that need each other in a circle.
    pub fn circles(&self, part: &str) -> Vec<BTreeSet<Module>> {
        let inside = |module: &&Module| module.first().is_some_and(|first| first == part);
        let modules: Vec<&Module> = self.modules.keys().filter(inside).collect();
        let reached: BTreeMap<&Module, BTreeSet<Module>> = modules
            .iter()
            .map(|module| (*module, self.reached(module, part)))
            .collect();
        let mut circles = Vec::new();
        for module in modules {
            let known = |circle: &BTreeSet<Module>| circle.contains(module);
            if reached[module].contains(module) && !circles.iter().any(known) {
                let both = reached[module].iter();
                let both = both.filter(|other| reached[other].contains(module));
                circles.push(both.cloned().collect());
            }
        }
        circles
    }

    /// All modules of the part that this one needs, at first or second hand.
    fn reached(&self, module: &Module, part: &str) -> BTreeSet<Module> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![module.clone()]);
        while let Some(next) = open.pop() {
            for needed in self.needs(&next) {
                if needed.first().is_some_and(|first| first == part)
                    && reached.insert(needed.clone())
                {
                    open.push(needed);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::{Imports, module};

    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let imports = Imports::new(files.iter().copied());
        let circles = imports.circles("hub").into_iter();
        circles
            .map(|circle| circle.iter().map(|module| module.join("::")).collect())
            .collect()
    }

    #[test]
    fn modules_are_named_by_their_files() {
        assert_eq!(module("src/lib.rs"), [""; 0]);
        assert_eq!(module("src/hub/mod.rs"), ["hub"]);
        assert_eq!(module("src/hub/room/order.rs"), ["hub", "room", "order"]);
    }

    #[test]
    fn circles_are_found_whatever_they_are_written_like() {
        for (a, b) in [
            ("use super::b::B; struct A;", "use super::a::A; struct B;"),
            (
                "use crate::hub::b::B; struct A;",
                "fn f(a: super::a::A) {} struct B;",
            ),
            (
                "use crate::{hub::{b::{B, C}}}; struct A;",
                "use super::{a::{self}}; struct B; struct C;",
            ),
            (
                "use super::b::*; struct A;",
                "use super::*; use super::a::A; struct B;",
            ),
        ] {
            let found = circles(&[
                ("src/hub/mod.rs", "mod a;\nmod b;"),
                ("src/hub/a.rs", a),
                ("src/hub/b.rs", b),
            ]);
            assert_eq!(found, [["hub::a", "hub::b"]], "{a} {b}");
        }
    }

    #[test]
    fn a_child_that_needs_its_parent_is_a_circle_where_the_parent_needs_it() {
        let child = ("src/hub/a.rs", "use super::Hub; pub struct A;");
        let parent = "mod a; use a::A; pub struct Hub(A);";
        assert_eq!(
            circles(&[("src/hub/mod.rs", parent), child]),
            [["hub", "hub::a"]]
        );
        let parent = "mod a; pub use a::A; pub struct Hub;";
        assert_eq!(circles(&[("src/hub/mod.rs", parent), child]), [[""; 0]; 0]);
    }

    #[test]
    fn forwarded_names_lead_to_where_they_are_defined() {
        let parent = "mod a; mod b; pub use a::A; pub use b::*;";
        let files = |a, b| {
            circles(&[
                ("src/hub/mod.rs", parent),
                ("src/hub/a.rs", a),
                ("src/hub/b.rs", b),
            ])
        };
        assert_eq!(
            files("pub struct A;", "use super::A; pub struct B;"),
            [[""; 0]; 0]
        );
        let found = files(
            "use super::B; pub struct A;",
            "use crate::hub::A; pub struct B;",
        );
        assert_eq!(found, [["hub::a", "hub::b"]]);
    }

    #[test]
    fn calls_are_recognized_through_what_use_brings() {
        let spawns = |code| {
            Imports::new([("src/a.rs", code)])
                .mentions(&module("src/a.rs"), &["tokio", "task", "spawn"])
        };
        assert!(spawns("fn f() { tokio::task::spawn(g) }"));
        assert!(spawns("use tokio::task; fn f() { task::spawn(g) }"));
        assert!(spawns(
            "use tokio::{task::{self as t}}; fn f() { t::spawn(g) }"
        ));
        assert!(spawns("use tokio::task::spawn; fn f() { spawn(g) }"));
        assert!(!spawns(
            "use tokio::task; fn f() { task::spawn_blocking(g) }"
        ));
        assert!(!spawns("mod task; fn f() { task::spawn(g) }"));
    }

    #[test]
    fn a_local_module_is_no_crate() {
        let crates = |code| Imports::new([("src/app.rs", code)]).crates(&module("src/app.rs"));
        assert!(!crates("use crate::http; fn f() { http::serve() }").contains("http"));
        assert!(crates("fn f() { http::Request::new(()) }").contains("http"));
        assert!(crates("use http::Request;").contains("http"));
    }
}
