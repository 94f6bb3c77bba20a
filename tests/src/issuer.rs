//! An issuer of app attestation tokens: its keys, the set that it publishes, and
//! tokens as genuine and as forged ones look.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// Who signs tokens.
#[derive(Debug)]
pub struct Issuer {
    id: &'static str,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Es256(EcdsaKeyPair),
    Hs256([u8; 64]),
}

impl Issuer {
    /// With a key pair of its own.
    ///
    /// # Panics
    /// If none can be made.
    #[must_use]
    pub fn es256(id: &'static str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self {
            id,
            key: Key::Es256(key.expect("a key can be made")),
        }
    }

    /// With a secret of its own.
    ///
    /// # Panics
    /// If none can be made.
    #[must_use]
    pub fn hs256() -> Self {
        let mut secret = [0; 64];
        aws_lc_rs::rand::fill(&mut secret).expect("random bytes");
        Self {
            id: "",
            key: Key::Hs256(secret),
        }
    }

    /// The key set that it publishes.
    ///
    /// # Panics
    /// If it has a secret, which isn't published.
    #[must_use]
    pub fn key_set(&self) -> String {
        let Key::Es256(key) = &self.key else {
            panic!("a secret isn't published")
        };
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": encode(x), "y": encode(y),
        });
        json!({"keys": [key]}).to_string()
    }

    /// Its secret, as the issuer's tool shows it.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn secret(&self) -> String {
        match &self.key {
            Key::Hs256(secret) => STANDARD.encode(secret),
            Key::Es256(_) => panic!("it has no secret"),
        }
    }

    /// A token with these claims.
    ///
    /// # Panics
    /// If it can't be signed.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let head = match &self.key {
            Key::Es256(_) => json!({"alg": "ES256", "typ": "JWT", "kid": self.id}),
            Key::Hs256(_) => json!({"alg": "HS256", "typ": "JWT"}),
        };
        let signed = [head, claims.clone()].map(|part| encode(part.to_string().as_bytes()));
        let signed = signed.join(".");
        let signature = match &self.key {
            Key::Es256(key) => {
                let signature = key.sign(&SystemRandom::new(), signed.as_bytes());
                signature.expect("a signature").as_ref().to_vec()
            }
            Key::Hs256(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{signed}.{}", encode(&signature))
    }

    /// A token of a device, that ends in so many seconds (or has ended).
    #[must_use]
    pub fn of_device(&self, device: &str, seconds: i64) -> String {
        self.token(&json!({"exp": now() + seconds, "did": device}))
    }

    /// The same, bound to the value of a header.
    #[must_use]
    pub fn bound(&self, value: &str, seconds: i64) -> String {
        self.token(&json!({"exp": now() + seconds, "pay": hashed(value)}))
    }

    /// Of a device, and bound to the value of a header.
    #[must_use]
    pub fn of_user(&self, device: &str, value: &str, seconds: i64) -> String {
        self.token(&json!({"exp": now() + seconds, "did": device, "pay": hashed(value)}))
    }
}

/// Unix time in seconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("before the end of time")
}

/// What a token says of what it is bound to.
fn hashed(value: &str) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, value.as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
