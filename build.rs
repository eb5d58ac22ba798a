//! The web client and the migrations are embedded at compile time; cargo doesn't see new files by itself.

use std::path::Path;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script what it builds by the environment"
)]
fn main() {
    println!("cargo::rerun-if-changed=migrations");
    // A debug build reads the client from the disk.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::rerun-if-changed=frontend/dist");
    }
    if !Path::new("frontend/dist/index.html").is_file() {
        println!(
            "cargo::error=frontend/dist/index.html is missing: the web client, which the server embeds, has not been \
             built. Build it with `make client`, which needs Node.js 20 or newer."
        );
    }
}
