//! The key that signs access tokens where none is configured. It is created once, and stored in the data directory.
//!
//! Invariant: the file holds a complete key or doesn't exist, and only its owner can read it.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::tokens::random_bytes;
use crate::limits::SECRET_BYTES_MIN;

/// The key's file within the data directory.
pub const FILE_NAME: &str = "jwt-secret";

/// Reads the key, or creates it. Processes that start together get the same key: that of the first one that links its finished file
/// under the name.
pub fn load_or_create(data_dir: &Path) -> io::Result<String> {
    match load(data_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => return other,
    }
    let text = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
    let draft = data_dir.join(format!("{FILE_NAME}.{}", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&draft, data_dir.join(FILE_NAME)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    fs::remove_file(&draft)?;
    written?;
    fs::File::open(data_dir)?.sync_all()?;
    load(data_dir)
}

/// Reads the key. It is the file's text as it would be given in a setting, so that it can become HEARTH_JWT_SECRET or
/// HEARTH_JWT_SECRET_PREVIOUS later.
pub fn load(data_dir: &Path) -> io::Result<String> {
    let text = fs::read_to_string(data_dir.join(FILE_NAME))?;
    let key = text.trim();
    if key.len() < SECRET_BYTES_MIN || key.contains(char::is_control) {
        let rule = format!(
            "not a key, which is one line of at least {SECRET_BYTES_MIN} bytes; remove the file to have a new one made \
             (access tokens become invalid, sessions go on)"
        );
        return Err(io::Error::new(ErrorKind::InvalidData, rule));
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| load_or_create(path).unwrap()))
                .collect();
            makers.into_iter().map(|m| m.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 43));
        let names: Vec<_> = fs::read_dir(path).unwrap().collect();
        assert_eq!(names.len(), 1, "no drafts are left");
        let mode = fs::metadata(path.join(FILE_NAME)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_an_error_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for damaged in [
            &b""[..],
            b"short",
            b"line\nof a key that has too many of them",
            &[0xff; 40],
        ] {
            fs::write(dir.path().join(FILE_NAME), damaged).unwrap();
            assert!(load_or_create(dir.path()).is_err(), "{damaged:?}");
            assert_eq!(fs::read(dir.path().join(FILE_NAME)).unwrap(), damaged);
        }
    }
}
