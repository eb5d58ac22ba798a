//! Migrations and the page's files are embedded at compile time; cargo doesn't see new files by itself.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=frontend");
}
