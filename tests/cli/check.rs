//! What `hearth check` says of a machine on which no server could start, or not as it should.

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
