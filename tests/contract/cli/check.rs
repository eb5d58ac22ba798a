//! `hearth check` on a machine where the server could not start, or would not run as it should.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tempfile::TempDir;

use super::hearth;

/// Its exit code, and the lines of what it found.
fn check(dir: &Path, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let (code, printed) = hearth(dir, &["check"], settings);
    let findings = printed.split_once("findings\n");
    (code, findings.expect("they are told").1.to_owned())
}

#[test]
fn a_key_that_stops_the_start_is_a_fault() {
    let dir = TempDir::new().unwrap();
    let key = dir.path().join("data/jwt-secret");
    fs::create_dir(dir.path().join("data")).unwrap();
    for (text, fault) in [
        (&b""[..], true),
        (b"short", true),
        (&[0xff; 64], true),
        (b"one line of text of 32 bytes and more\n", false),
    ] {
        fs::write(&key, text).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let (code, found) = check(dir.path(), &[]);
        assert_eq!(code, Some(i32::from(fault)), "{text:?}: {found}");
        assert_eq!(
            found.contains("not a key") || found.contains("UTF-8"),
            fault,
            "{found}"
        );
        if fault {
            let (code, printed) = hearth(dir.path(), &["serve"], &[]);
            assert_eq!(code, Some(1), "{text:?}: {printed}");
        }
    }
}

#[test]
fn a_data_directory_that_cannot_be_made_is_a_fault() {
    let dir = TempDir::new().unwrap();
    let (code, found) = check(dir.path(), &[("HEARTH_DATA_DIR", "/proc/nope")]);
    assert_eq!(code, Some(1), "{found}");
    assert!(found.contains("/proc/nope: can't be made"), "{found}");
    let (code, found) = check(dir.path(), &[("HEARTH_DATA_DIR", "a/b/c")]);
    assert_eq!(code, Some(0), "{found}");
    assert!(found.contains("the first start makes it"), "{found}");
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn what_is_weak_is_noted() {
    let dir = TempDir::new().unwrap();
    let key = "one line of text of 32 bytes and more";
    let notes = |settings: &[(&str, &str)]| {
        let (code, found) = check(dir.path(), settings);
        assert_eq!(code, Some(0), "no faults: {found}");
        let notes = found
            .lines()
            .filter_map(|line| line.strip_prefix("  note   HEARTH_"));
        let names = notes.map(|note| note.split(':').next().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    };
    let (proxies, secret, previous) = (
        "HEARTH_TRUSTED_PROXIES",
        "HEARTH_JWT_SECRET",
        "HEARTH_JWT_SECRET_PREVIOUS",
    );
    let other = "another key of 32 bytes, and of many characters";
    assert_eq!(
        notes(&[
            (proxies, "10.0.0.0/8,::1"),
            (secret, key),
            (previous, other)
        ]),
        [""; 0]
    );
    for everybody in ["0.0.0.0/0", "10.0.0.1,::/0"] {
        assert_eq!(notes(&[(proxies, everybody)]), ["TRUSTED_PROXIES"]);
    }
    let poor = "changemechangemechangemechangeme";
    assert_eq!(notes(&[(secret, poor)]), ["JWT_SECRET"]);
    assert_eq!(
        notes(&[(secret, key), (previous, poor)]),
        ["JWT_SECRET_PREVIOUS"]
    );
    assert_eq!(
        notes(&[(secret, key), (previous, key)]),
        ["JWT_SECRET_PREVIOUS"]
    );
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/jwt-secret"), key).unwrap();
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(dir.path().join("data/jwt-secret"), private).unwrap();
    assert_eq!(notes(&[(previous, key)]), ["JWT_SECRET_PREVIOUS"]);
}

/// Cookies, links and the page's own addresses know no path before `/api`.
#[test]
fn a_public_url_is_a_host_of_its_own() {
    let dir = TempDir::new().unwrap();
    for (url, rule) in [
        ("https://example.org/chat", "a host name of its own"),
        ("https://example.org/chat/", "a host name of its own"),
        ("https://example.org/?a", "a host name of its own"),
        ("https://example.org/#a", "a host name of its own"),
        ("https://ada:secret@example.org", "no user and no password"),
        ("ftp://example.org", "http or https"),
    ] {
        for command in ["check", "serve"] {
            let (code, printed) = hearth(dir.path(), &[command], &[("HEARTH_PUBLIC_URL", url)]);
            assert_eq!(code, Some(64), "{url}: {printed}");
            assert!(printed.contains("HEARTH_PUBLIC_URL: "), "{printed}");
            assert!(printed.contains(rule), "{url}: {printed}");
            assert!(!printed.contains("secret"), "{printed}");
        }
    }
}
