//! Access tokens (JWT, RFC 9068) and refresh tokens.
//!
//! Invariants: the algorithm is HS256, and is never read from a token. The key is one of at most two, which the token's `kid` names.
//! Every claim is required and checked. A refusal doesn't say what is wrong with a token, except that it has expired. Of refresh
//! tokens only the hash is stored.
//!
//! A session's first refresh token is random. Each later one is the HMAC of the one before, under a key of its own. So a client that
//! exchanges a token twice, because the first answer was lost, gets the same successor. It is stored nowhere, and can't be computed
//! without the key.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use ring::{
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hs256::RING;
use crate::{
    limits::{ACCESS_TTL_MAX, TOKEN_BYTES_MAX, TOKEN_LEEWAY},
    protocol::{
        SessionId, Time, UserId,
        error::{Code, Refusal},
    },
};

const ISSUER: &str = "hearth";
const AUDIENCE: &str = "hearth";
/// RFC 9068 section 2.1: no other kind of JWT can pass for an access token.
const TYPE: &str = "at+jwt";

/// Signs access tokens and checks them.
pub struct Tokens {
    signing: EncodingKey,
    /// The name of the present key.
    kid: String,
    /// The present key, and the previous one while its tokens are valid, with their names.
    checking: Vec<(String, DecodingKey)>,
    /// Derives the successors of refresh tokens.
    succession: hmac::Key,
    validation: Validation,
    access_ttl: Duration,
}

/// What a valid access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub expires_at: Time,
}

/// All of these are required, with these types. Times are whole seconds.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: u64,
    jti: Uuid,
    iat: u64,
    exp: u64,
}

impl Tokens {
    /// `previous`: a key that doesn't sign any more, and whose tokens are still accepted.
    pub fn new(secret: &[u8], previous: Option<&[u8]>, access_ttl: Duration) -> Self {
        // The first call installs it; later ones find it installed.
        let _ = RING.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = TOKEN_LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self {
            signing: EncodingKey::from_secret(secret),
            kid: kid(secret),
            checking: [Some(secret), previous]
                .into_iter()
                .flatten()
                .map(|secret| (kid(secret), DecodingKey::from_secret(secret)))
                .collect(),
            succession: {
                let signing = hmac::Key::new(hmac::HMAC_SHA256, secret);
                let key = hmac::sign(&signing, b"hearth: successors of refresh tokens");
                hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
            },
            validation,
            access_ttl,
        }
    }

    pub fn access_ttl(&self) -> Duration {
        self.access_ttl
    }

    /// An access token for this session.
    pub fn issue(&self, user_id: UserId, session_id: SessionId) -> String {
        let iat = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: user_id.to_string(),
            sid: session_id.0,
            jti: Uuid::new_v4(),
            iat,
            exp: iat + self.access_ttl.as_secs(),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.into());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, &claims, &self.signing)
            .expect("claims are plain JSON and the key is an HMAC key")
    }

    /// What a valid token says. Refusals: `token_expired` or `unauthorized`.
    pub fn verify(&self, token: &str) -> Result<Access, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(unauthorized());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| unauthorized())?;
        let named = |(kid, _): &&(String, DecodingKey)| Some(kid) == header.kid.as_ref();
        let (_, key) = self.checking.iter().find(named).ok_or_else(unauthorized)?;
        let token =
            jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|error| {
                match error.kind() {
                    ErrorKind::ExpiredSignature => expired(),
                    _ => unauthorized(),
                }
            })?;
        let Claims {
            sub, sid, iat, exp, ..
        } = token.claims;
        let typ = token.header.typ.as_deref();
        let ours = typ.is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE))
            && token.header.crit.is_none()
            && iat < exp
            && exp - iat <= ACCESS_TTL_MAX.as_secs();
        let user_id = sub.parse().ok().filter(|id: &u64| id.to_string() == sub);
        // A token from the future is valid: it was issued before a clock was set back. Only one that would be valid for longer than any
        // new token has to be refreshed.
        if ours && exp > jsonwebtoken::get_current_timestamp() + ACCESS_TTL_MAX.as_secs() {
            return Err(expired());
        }
        match user_id {
            Some(user_id) if ours => Ok(Access {
                user_id: UserId(user_id),
                session_id: SessionId(sid),
                expires_at: Time(exp as i64 * 1_000),
            }),
            _ => Err(unauthorized()),
        }
    }
}

impl Tokens {
    /// The refresh token that follows this one.
    pub fn successor(&self, refresh_token: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.succession, refresh_token.as_bytes()))
    }
}

fn expired() -> Refusal {
    Refusal::new(Code::TokenExpired, "The access token has expired.")
}

fn unauthorized() -> Refusal {
    Refusal::new(Code::Unauthorized, "A valid access token is required.")
}

/// The name of a key: the beginning of its hash, which reveals nothing about the key.
fn kid(secret: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&hash(secret)[..9])
}

/// A session's first refresh token.
pub fn refresh_token() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

/// The SHA-256 of a refresh token or a code, which is all that is stored of it. A slower hash isn't needed: 128 random bits can't be
/// guessed.
pub fn hash(secret: impl AsRef<[u8]>) -> [u8; 32] {
    sha256(secret.as_ref())
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A new session's id: random, below 2^53, never 0.
pub fn session_id() -> SessionId {
    SessionId((u64::from_be_bytes(random_bytes()) >> 11).max(1))
}

/// Bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use ring::hmac;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"a secret of the tests, 32 bytes or more";

    fn tokens() -> Tokens {
        Tokens::new(SECRET, None, Duration::from_secs(1_800))
    }

    fn now() -> i64 {
        jsonwebtoken::get_current_timestamp() as i64
    }

    /// Signs whatever it is given, as a forger would who held the key.
    fn forge(header: &Value, claims: &Value, secret: &[u8], algorithm: hmac::Algorithm) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn header() -> Value {
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid(SECRET)})
    }

    /// A good header, but for one; `Null` leaves it out.
    fn head_with(name: &str, value: Value) -> Value {
        let mut header = header();
        header[name] = value;
        header
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        header
    }

    fn claims() -> Value {
        json!({"iss": "hearth", "aud": "hearth", "sub": "7", "sid": 9, "iat": now(),
               "jti": "0191d3a4-0000-7000-8000-000000000000", "exp": now() + 600})
    }

    /// Good claims, but for one.
    fn with(name: &str, value: Value) -> String {
        let mut claims = claims();
        claims[name] = value;
        forge(&header(), &claims, SECRET, hmac::HMAC_SHA256)
    }

    fn without(name: &str) -> String {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        forge(&header(), &claims, SECRET, hmac::HMAC_SHA256)
    }

    fn headed(header: Value) -> String {
        forge(&header, &claims(), SECRET, hmac::HMAC_SHA256)
    }

    #[test]
    fn what_is_issued_is_accepted() {
        let token = tokens().issue(UserId(7), SessionId(9));
        let access = tokens().verify(&token).unwrap();
        assert_eq!(
            (access.user_id, access.session_id),
            (UserId(7), SessionId(9))
        );
        let forged = forge(&header(), &claims(), SECRET, hmac::HMAC_SHA256);
        assert!(
            tokens().verify(&forged).is_ok(),
            "the forger's claims are good"
        );
        assert!(tokens().verify(&with("iat", json!(now() - 600))).is_ok());
    }

    #[test]
    fn forged_tokens_are_refused() {
        let good = tokens().issue(UserId(7), SessionId(9));
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (head, _) = message.split_once('.').unwrap();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let none = |alg: &str| {
            let header = part(head_with("alg", json!(alg)));
            format!("{header}.{}.", part(claims()))
        };
        let table: Vec<(&str, String)> = vec![
            ("empty", String::new()),
            ("no JWT", "abc".into()),
            ("two parts", message.into()),
            ("no signature", format!("{message}.")),
            ("a fourth part", format!("{good}.{signature}")),
            ("trailing garbage", format!("{good}A")),
            ("padding", format!("{good}=")),
            ("white space", format!("{good} ")),
            ("cut", good[..good.len() - 4].into()),
            ("alg none", none("none")),
            ("alg None", none("None")),
            ("alg NONE", none("NONE")),
            ("alg none, signed", headed(head_with("alg", json!("none")))),
            ("alg HS384 named", headed(head_with("alg", json!("HS384")))),
            (
                "alg HS512 used",
                forge(
                    &head_with("alg", json!("HS512")),
                    &claims(),
                    SECRET,
                    hmac::HMAC_SHA512,
                ),
            ),
            ("alg RS256", headed(head_with("alg", json!("RS256")))),
            ("alg ES256", headed(head_with("alg", json!("ES256")))),
            ("alg EdDSA", headed(head_with("alg", json!("EdDSA")))),
            ("no alg", headed(head_with("alg", Value::Null))),
            ("typ JWT", headed(head_with("typ", json!("JWT")))),
            ("no typ", headed(head_with("typ", Value::Null))),
            ("crit", headed(head_with("crit", json!(["b64"])))),
            (
                "its own key",
                forge(
                    &head_with("jwk", json!({"kty": "oct", "k": part(json!("k"))})),
                    &claims(),
                    b"k",
                    hmac::HMAC_SHA256,
                ),
            ),
            (
                "kid as a path",
                forge(
                    &head_with("kid", json!("../../dev/null")),
                    &claims(),
                    b"",
                    hmac::HMAC_SHA256,
                ),
            ),
            (
                "its own key, named by none of ours",
                forge(
                    &head_with("kid", json!(kid(b"k"))),
                    &claims(),
                    b"k",
                    hmac::HMAC_SHA256,
                ),
            ),
            ("kid as SQL", headed(head_with("kid", json!("' OR '1'='1")))),
            ("kid of another type", headed(head_with("kid", json!(1)))),
            ("no kid", headed(head_with("kid", Value::Null))),
            (
                "jku",
                forge(
                    &head_with("jku", json!("https://elsewhere.example/keys")),
                    &claims(),
                    b"k",
                    hmac::HMAC_SHA256,
                ),
            ),
            (
                "x5u",
                forge(
                    &head_with("x5u", json!("https://elsewhere.example/cert")),
                    &claims(),
                    b"k",
                    hmac::HMAC_SHA256,
                ),
            ),
            (
                "wrong key",
                forge(&header(), &claims(), b"another secret", hmac::HMAC_SHA256),
            ),
            (
                "other payload",
                format!("{head}.{}.{signature}", part(json!({"sub": "1"}))),
            ),
            ("no iss", without("iss")),
            ("other iss", with("iss", json!("elsewhere"))),
            ("iss list", with("iss", json!(["hearth"]))),
            ("no aud", without("aud")),
            ("other aud", with("aud", json!("elsewhere"))),
            ("aud list", with("aud", json!(["hearth", "elsewhere"]))),
            ("aud null", with("aud", Value::Null)),
            ("no sub", without("sub")),
            ("sub number", with("sub", json!(7))),
            ("sub text", with("sub", json!("ada"))),
            ("sub +7", with("sub", json!("+7"))),
            ("sub negative", with("sub", json!("-7"))),
            ("no jti", without("jti")),
            ("jti text", with("jti", json!("x"))),
            ("no sid", without("sid")),
            ("sid text", with("sid", json!("9"))),
            ("no iat", without("iat")),
            ("nbf in the future", with("nbf", json!(now() + 60))),
            ("nbf text", with("nbf", json!("now"))),
            ("no exp", without("exp")),
            ("exp null", with("exp", Value::Null)),
            ("exp text", with("exp", json!((now() + 600).to_string()))),
            ("exp float", with("exp", json!(now() as f64 + 600.5))),
            ("exp negative", with("exp", json!(-1))),
            ("exp huge", with("exp", json!(u64::MAX))),
            ("exp in a year", with("exp", json!(now() + 365 * 86_400))),
            ("exp before iat", {
                let mut claims = claims();
                claims["iat"] = json!(now() + 1);
                claims["exp"] = json!(now());
                forge(&header(), &claims, SECRET, hmac::HMAC_SHA256)
            }),
            (
                "claims no object",
                forge(&header(), &json!([1]), SECRET, hmac::HMAC_SHA256),
            ),
            ("a refresh token", refresh_token()),
            ("its successor", tokens().successor(&refresh_token())),
            ("oversized", with("pad", json!("x".repeat(TOKEN_BYTES_MAX)))),
        ];
        assert!(table.len() >= 40);
        for (name, token) in table {
            let refusal = tokens().verify(&token).expect_err(name);
            assert_eq!(refusal.code, Code::Unauthorized, "{name}");
        }
    }

    /// Issued by a clock that was set back since: by five seconds, by an hour, or by so much that nothing as old is
    /// to be believed.
    #[test]
    fn tokens_outlast_a_clock_that_steps_back() {
        for (step, accepted) in [(5, true), (3_600, true), (25 * 3_600, false)] {
            let mut claims = claims();
            claims["iat"] = json!(now() + step);
            claims["exp"] = json!(now() + step + 1_800);
            let token = forge(&header(), &claims, SECRET, hmac::HMAC_SHA256);
            let code = tokens().verify(&token).err().map(|refusal| refusal.code);
            assert_eq!(code, (!accepted).then_some(Code::TokenExpired), "{step}");
        }
    }

    #[test]
    fn expired_tokens_are_called_so() {
        let mut claims = claims();
        claims["iat"] = json!(now() - 600);
        for ago in [3, 59, 599] {
            claims["exp"] = json!(now() - ago);
            let token = forge(&header(), &claims, SECRET, hmac::HMAC_SHA256);
            assert_eq!(
                tokens().verify(&token).unwrap_err().code,
                Code::TokenExpired
            );
        }
    }

    /// A key is replaced without the end of a session: its tokens are accepted for as long as it is named.
    #[test]
    fn two_keys_live_while_one_replaces_the_other() {
        const NEXT: &[u8] = b"another secret of the tests, 32 bytes or more";
        let old = tokens().issue(UserId(7), SessionId(9));
        let both = Tokens::new(NEXT, Some(SECRET), Duration::from_secs(1_800));
        let new = both.issue(UserId(7), SessionId(9));
        assert!(both.verify(&old).is_ok() && both.verify(&new).is_ok());
        assert!(tokens().verify(&new).is_err());
        let alone = Tokens::new(NEXT, None, Duration::from_secs(1_800));
        assert!(alone.verify(&old).is_err() && alone.verify(&new).is_ok());
        // The name of one key doesn't open with the other.
        let crossed = forge(&header(), &claims(), NEXT, hmac::HMAC_SHA256);
        assert!(both.verify(&crossed).is_err());
    }

    #[test]
    fn a_successor_follows_from_the_token_and_the_key_alone() {
        let token = refresh_token();
        let other = Tokens::new(b"another secret", None, Duration::from_secs(1));
        assert_eq!(tokens().successor(&token), tokens().successor(&token));
        assert_ne!(tokens().successor(&token), other.successor(&token));
        assert_ne!(
            tokens().successor(&token),
            tokens().successor(&refresh_token())
        );
    }

    #[test]
    fn session_ids_stay_below_2_to_the_53() {
        for _ in 0..1_000 {
            let id = session_id().0;
            assert!(id > 0 && id <= crate::limits::ID_MAX);
        }
    }
}
