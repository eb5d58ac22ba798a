//! Passwords: Argon2id on a bounded number of threads, and the list of common passwords.
//!
//! Invariants: one thread per core computes hashes. At most [`PASSWORD_QUEUE_MAX`] requests wait, and one that has waited for
//! [`PASSWORD_DEADLINE`] isn't begun. A log-in with an unknown name costs as much as one with a wrong password. A stored hash that
//! can't be read counts as a wrong password.
//!
//! Hashes that were imported are verified too: Argon2 of any cost, and bcrypt, until the next log-in replaces them
//! ([`Passwords::is_outdated`]). bcrypt uses only the first 72 bytes of a password, so until then anything may follow them. It also
//! takes a time of its own, which tells that such an account exists.
//!
//! Each thread keeps the memory that a hash needs (19 MiB by default) and uses it again. When it was allocated for each hash on any
//! free thread, it grew to 600 MiB under 300 log-ins.

use std::{
    cell::RefCell,
    collections::HashSet,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use argon2::{
    Algorithm, Argon2, Block, CustomizedPasswordHasher, Params, PasswordHash, PasswordVerifier,
    Version,
    password_hash::{
        Error,
        phc::{Output, ParamsString, Salt},
    },
};
use tokio::sync::oneshot;

use crate::{
    auth::tokens::random_bytes,
    limits::{
        ARGON2_MEMORY_KIB_MAX, BCRYPT_COST_MAX, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN,
        PASSWORD_DEADLINE, PASSWORD_QUEUE_MAX,
    },
    protocol::{check::Checks, error::Refusal},
};

/// Hashes passwords and verifies them. Its threads end with it.
pub struct Passwords {
    jobs: SyncSender<Job>,
    /// A hash that no password has. It is verified for users who don't exist.
    nobody: Arc<str>,
    params: Params,
}

type Job = Box<dyn FnOnce(&Hasher) + Send>;

impl Passwords {
    /// Starts the threads and computes one hash. Call it before the server accepts requests.
    pub fn start(params: Params) -> io::Result<Self> {
        let nobody = Hasher::new(params.clone())
            .hash(&random_bytes::<32>())
            .into();
        let (jobs, queue) = sync_channel(PASSWORD_QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (params, queue) = (params.clone(), queue.clone());
            let thread = thread::Builder::new().name("passwords".into());
            thread.spawn(move || work(&Hasher::new(params), &queue))?;
        }
        Ok(Self {
            jobs,
            nobody,
            params,
        })
    }

    /// Whether a hash is of another kind or cost than new ones, so that it is to be replaced when its password is known.
    pub fn is_outdated(&self, hash: &str) -> bool {
        let Ok(hash) = PasswordHash::new(hash) else {
            return true;
        };
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        hash.algorithm != Algorithm::Argon2id.ident()
            || hash.version != Some(Version::V0x13.into())
            || Params::try_from(&hash).ok().as_ref().map(cost) != Some(cost(&self.params))
    }

    /// Hashes a password with a new salt, in PHC form.
    pub async fn hash(&self, password: String) -> Result<String, Refusal> {
        self.compute(move |hasher| hasher.hash(password.as_bytes()))
            .await
    }

    /// Whether the hash is that of this password. `None`: the user doesn't exist, which takes as long.
    pub async fn verify(&self, hash: Option<String>, password: String) -> Result<bool, Refusal> {
        let nobody = self.nobody.clone();
        self.compute(move |hasher| hasher.verify(hash.as_deref().unwrap_or(&nobody), &password))
            .await
    }

    /// Computes something on one of the threads, unless too many requests wait already, it has waited for too long, or its caller is gone
    /// when its turn comes.
    async fn compute<T: Send + 'static>(
        &self,
        compute: impl FnOnce(&Hasher) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let queued = Instant::now();
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |hasher: &Hasher| {
            if queued.elapsed() < PASSWORD_DEADLINE && !answer.is_closed() {
                let _ = answer.send(compute(hasher));
            }
        });
        let busy = || {
            metrics::counter!("password_refusals_total").increment(1);
            Refusal::unavailable()
        };
        self.jobs.try_send(job).map_err(|_| busy())?;
        answered.await.map_err(|_| busy())
    }
}

/// Runs jobs until all senders are dropped. A panic ends only its job.
fn work(hasher: &Hasher, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        let _ = catch_unwind(AssertUnwindSafe(|| job(hasher)));
    }
}

/// Argon2id with memory of its own.
struct Hasher {
    params: Params,
    memory: RefCell<Vec<Block>>,
}

impl Hasher {
    fn new(params: Params) -> Self {
        Self {
            params,
            memory: RefCell::default(),
        }
    }

    fn hash(&self, password: &[u8]) -> String {
        self.hash_password_with_params(password, &random_bytes::<16>(), self.params.clone())
            .expect("the parameters were checked")
            .to_string()
    }

    fn verify(&self, hash: &str, password: &str) -> bool {
        if let Ok(parts) = hash.parse::<bcrypt::HashParts>() {
            // $2x$ marks hashes of an implementation that had a bug.
            let known = ["$2a$", "$2b$", "$2y$"]
                .iter()
                .any(|mark| hash.starts_with(mark));
            return known
                && parts.get_cost() <= BCRYPT_COST_MAX
                && bcrypt::verify(password, hash).unwrap_or(false);
        }
        PasswordHash::new(hash)
            .is_ok_and(|hash| self.verify_password(password.as_bytes(), &hash).is_ok())
    }
}

/// The crate's own verification, which compares in constant time, is built on this.
impl CustomizedPasswordHasher<PasswordHash> for Hasher {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> Result<PasswordHash, Error> {
        let algorithm = algorithm.map_or(Ok(Algorithm::Argon2id), Algorithm::try_from)?;
        let version = version.map_or(Ok(Version::V0x13), Version::try_from)?;
        if params.m_cost() > ARGON2_MEMORY_KIB_MAX {
            return Err(Error::ParamsInvalid);
        }
        let mut output = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let output = output.get_mut(..length).ok_or(Error::OutputSize)?;
        let mut memory = self.memory.borrow_mut();
        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::default());
        }
        Argon2::new(algorithm, version, params.clone()).hash_password_into_with_memory(
            password,
            salt,
            output,
            &mut memory[..],
        )?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    }
}

/// Notes which rules for a new password are broken: its length in bytes, and that it isn't common.
pub fn check(checks: &mut Checks, field: &'static str, password: &str) {
    if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        let rule = format!("{PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes");
        checks.fail(field, "length", rule);
    } else if COMMON.contains(&*password.to_lowercase()) {
        checks.fail(
            field,
            "common",
            "too common; choose one that few people use",
        );
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
        Passwords::start(Params::new(64, 1, 1, None).unwrap()).unwrap()
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
    async fn hashes_of_others_and_of_other_costs_verify() {
        let passwords = cheap();
        for cost in [(128, 3, 2), (32, 1, 1)] {
            let other = Argon2::from(Params::new(cost.0, cost.1, cost.2, None).unwrap());
            let hash = argon2::PasswordHasher::hash_password(&other, b"correct horse").unwrap();
            let verify = |password: &str| passwords.verify(Some(hash.to_string()), password.into());
            assert!(verify("correct horse").await.unwrap());
            assert!(!verify("wrong horse").await.unwrap());
        }
        // A test vector of the reference implementation.
        let theirs = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(
            passwords
                .verify(Some(theirs.into()), "password".into())
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn bcrypt_is_verified_until_it_is_replaced() {
        let passwords = cheap();
        let verify =
            |hash: &str, password: &str| passwords.verify(Some(hash.into()), password.into());
        // Test vectors of crypt_blowfish (wrapper.c).
        let theirs = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert!(verify(theirs, "U*U").await.unwrap());
        assert!(!verify(theirs, "U*V").await.unwrap());
        let long = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
        let chars = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\
                     0123456789chars after 72 are ignored";
        assert!(verify(long, chars).await.unwrap());
        assert!(
            verify(long, &chars[..72]).await.unwrap(),
            "all that bcrypt knows"
        );
        assert!(!verify(long, &chars[..71]).await.unwrap());
        for (mark, right) in [("$2b$", true), ("$2y$", true), ("$2x$", false)] {
            let other = theirs.replace("$2a$", mark);
            assert_eq!(verify(&other, "U*U").await.unwrap(), right, "{mark}");
        }
        assert!(passwords.is_outdated(theirs));
        let new = passwords.hash("U*U".into()).await.unwrap();
        assert!(!passwords.is_outdated(&new));
        assert!(passwords.is_outdated(&new.replace("t=1", "t=2")));
        assert!(passwords.is_outdated(&new.replace("$argon2id$", "$argon2i$")));
    }

    #[tokio::test]
    async fn a_bcrypt_hash_may_cost_so_much() {
        let passwords = cheap();
        // The right password, by libxcrypt, at a cost that none may have: it isn't even begun.
        let dear = "$2b$15$CCCCCCCCCCCCCCCCCCCCC.TIjs95WpNzRGXWFCNhs1/TQLiKxpfH6";
        let verified = passwords.verify(Some(dear.into()), "correct horse".into());
        assert!(!verified.await.unwrap());
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
            "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
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
