//! Passwords: Argon2id, off the async threads and bounded in number, and the list of common ones.
//!
//! Invariants: at most one hash per core is computed at a time, at most [`PASSWORD_QUEUE_MAX`] wait,
//! none longer than [`PASSWORD_DEADLINE`]; a log-in with an unknown name costs as much as one with a
//! wrong password; a stored hash that can't be read is a wrong password.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::{sync::Semaphore, task, time};

use crate::{
    limits::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, PASSWORD_DEADLINE, PASSWORD_QUEUE_MAX},
    protocol::{check::Checks, error::Refusal},
};

/// Hashes passwords and verifies them.
pub struct Passwords {
    argon2: Argon2<'static>,
    /// A hash that no password has, verified for users who don't exist.
    nobody: Arc<str>,
    /// Held while a request waits or computes.
    places: Semaphore,
    /// Held while it computes.
    cores: Arc<Semaphore>,
}

impl Passwords {
    /// Computes one hash: call it before the server takes requests.
    pub fn new(params: Params) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let secret = super::tokens::random_bytes::<32>();
        Self {
            nobody: hash(&argon2, &secret).into(),
            argon2,
            places: Semaphore::new(cores + PASSWORD_QUEUE_MAX),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// The password's hash in PHC form, with a salt of its own.
    pub async fn hash(&self, password: String) -> Result<String, Refusal> {
        let argon2 = self.argon2.clone();
        self.compute(move || hash(&argon2, password.as_bytes()))
            .await
    }

    /// Whether the hash is of this password. `None`, a user who doesn't exist, takes as long.
    pub async fn verify(&self, hash: Option<String>, password: String) -> Result<bool, Refusal> {
        let argon2 = self.argon2.clone();
        let nobody = self.nobody.clone();
        self.compute(move || {
            let hash = hash.as_deref().unwrap_or(&nobody);
            PasswordHash::new(hash)
                .is_ok_and(|hash| argon2.verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    /// Runs it on a blocking thread as soon as a core is free. The core stays taken until the work
    /// has ended, even when nobody waits for it any more.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let busy = |_| {
            metrics::counter!("password_refusals_total").increment(1);
            Refusal::unavailable()
        };
        let _place = self.places.try_acquire().map_err(|_| busy(()))?;
        let core = time::timeout(PASSWORD_DEADLINE, self.cores.clone().acquire_owned())
            .await
            .map_err(|_| busy(()))?
            .expect("the semaphore is never closed");
        let work = task::spawn_blocking(move || {
            let value = work();
            drop(core);
            value
        });
        work.await.map_err(|error| {
            tracing::error!(%error, "a password could not be computed");
            Refusal::internal()
        })
    }
}

fn hash(argon2: &Argon2, password: &[u8]) -> String {
    argon2
        .hash_password(password)
        .expect("the parameters were checked, and the operating system has random bytes")
        .to_string()
}

/// Notes what breaks the rules for a new password: its length in bytes, and that it isn't common.
pub fn check(checks: &mut Checks, field: &'static str, password: &str) {
    if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        let rule = format!("{PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes");
        checks.fail(field, "length", rule);
    } else if COMMON.contains(&*password.to_lowercase()) {
        checks.fail(field, "common", "not one of the commonest passwords");
    }
}

static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    include_str!("common_passwords.txt")
        .lines()
        .filter(|line| !line.starts_with("# ") && *line != "#")
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(Params::new(64, 1, 1, None).unwrap())
    }

    fn fault(password: &str) -> Option<&'static str> {
        let mut checks = Checks::default();
        check(&mut checks, "password", password);
        checks.done().err().map(|refusal| refusal.errors[0].code)
    }

    #[test]
    fn rules_for_new_passwords() {
        assert_eq!(COMMON.len(), 3_000);
        for (password, code) in [
            ("1234567", Some("length")),
            ("correct horse", None),
            ("12345678", Some("common")),
            ("PassWord", Some("common")),
            ("pässwörd", None),
            ("ééé", Some("length")),
            ("éééé", None),
        ] {
            assert_eq!(fault(password), code, "{password}");
        }
        assert_eq!(fault(&"é".repeat(128)), None);
        assert_eq!(fault(&"é".repeat(129)), Some("length"));
    }

    #[tokio::test]
    async fn passwords_verify_whole_and_exactly() {
        let passwords = cheap();
        let long = |end: char| format!("{}{end}", "A".repeat(72));
        for password in ["correct horse", "mit\0NUL", "🦀🦀🦀", &long('x')] {
            let hash = passwords.hash(password.into()).await.unwrap();
            assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
            let verify = |password: &str| passwords.verify(Some(hash.clone()), password.into());
            assert!(verify(password).await.unwrap());
            assert!(!verify(&format!("{password} ")).await.unwrap());
            assert!(!verify(&long('y')).await.unwrap());
        }
    }

    #[tokio::test]
    async fn what_is_no_hash_is_a_wrong_password() {
        let passwords = cheap();
        for hash in [
            "",
            "x",
            "$argon2id$",
            "$argon2id$v=19$m=64,t=1,p=1$",
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ",
            "$argon2id$v=19$m=4294967295,t=4294967295,p=1$c2FsdHNhbHQ$",
            "$argon2id$v=19$m=0,t=0,p=0$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
            "$2b$10$abcdefghijklmnopqrstuv",
        ] {
            assert!(
                !passwords
                    .verify(Some(hash.into()), "x".into())
                    .await
                    .unwrap(),
                "{hash}"
            );
        }
        assert!(!passwords.verify(None, "x".into()).await.unwrap());
    }
}
