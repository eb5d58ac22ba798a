//! Access tokens that the server didn't make. Start it with [`SECRET`] to have it accept them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::Value;

pub const SECRET: &str = "a secret for tests, known to forgers";

/// A JWT with this header and these claims, signed by HMAC with `secret`.
pub fn sign(algorithm: hmac::Algorithm, header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()));
    format!("{text}.{signature}")
}

/// A token's header and claims.
pub fn open(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let json = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&json).ok()
    });
    let mut part = || parts.next().flatten().expect("a JWT's part is JSON");
    (part(), part())
}
