//! Issuers for tests: keys, sets of them, and tokens.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::keys::KeySet;

/// An issuer that signs tokens with one key.
pub enum Issuer {
    /// Signs with a secret.
    Hmac(Vec<u8>),
    /// Signs with a key on a curve of NIST.
    Ec(EcdsaKeyPair, &'static str),
    /// Signs with a key on Edwards' curve.
    Ed(Ed25519KeyPair),
    /// Signs with an RSA key.
    Rsa(RsaKeyPair),
}

impl Issuer {
    /// A fresh issuer that signs by HS256.
    pub fn hs256() -> Self {
        Self::Hmac(b"a secret that has thirty-two bytes and more".to_vec())
    }

    /// A fresh issuer that signs by ES256.
    pub fn es256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    /// A fresh issuer that signs by ES384.
    pub fn es384() -> Self {
        Self::ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
    }

    /// A fresh issuer that signs by ED25519.
    pub fn ed25519() -> Self {
        Self::Ed(Ed25519KeyPair::generate().expect("a key"))
    }

    /// A fresh issuer that signs by RS256.
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Self {
        Self::Ec(EcdsaKeyPair::generate(algorithm).expect("a key"), curve)
    }

    /// The algorithm that its tokens usually name.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Hmac(_) => "HS256",
            Self::Ec(_, "P-384") => "ES384",
            Self::Ec(..) => "ES256",
            Self::Ed(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    /// The key set that it publishes.
    pub fn jwk(&self) -> Value {
        let point = |point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            (encode(x), encode(y))
        };
        match self {
            Self::Hmac(secret) => json!({"kty": "oct", "k": encode(secret)}),
            Self::Ec(key, curve) => {
                let (x, y) = point(key.public_key().as_ref());
                json!({"kty": "EC", "crv": curve, "x": x, "y": y})
            }
            Self::Ed(key) => {
                let x = encode(key.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            Self::Rsa(key) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = key.public_key().into();
                json!({"kty": "RSA", "n": encode(&n), "e": encode(&e)})
            }
        }
    }

    /// The same with more members.
    pub fn jwk_with(&self, more: Value) -> Value {
        let mut jwk = self.jwk();
        let all = jwk.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        jwk
    }

    /// A token with this head and payload, whatever they say.
    pub fn sign(&self, head: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encode(head.as_bytes()), encode(payload.as_bytes()));
        let random = SystemRandom::new();
        let bytes = signed.as_bytes();
        let signature = match self {
            Self::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
            Self::Ec(key, _) => {
                let signature = key.sign(&random, bytes).expect("a signature");
                signature.as_ref().to_vec()
            }
            Self::Ed(key) => key.sign(bytes).as_ref().to_vec(),
            Self::Rsa(key) => {
                let encoding = if head.contains("PS256") {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, bytes, &mut signature)
                    .expect("a signature");
                signature
            }
        };
        format!("{signed}.{}", encode(&signature))
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let head = json!({"alg": self.algorithm(), "typ": "JWT"});
        self.sign(&head.to_string(), &claims.to_string())
    }

    /// A token that names its key.
    pub fn token_of(&self, kid: &str, claims: &Value) -> String {
        let head = json!({"alg": self.algorithm(), "kid": kid});
        self.sign(&head.to_string(), &claims.to_string())
    }
}

/// A set of these keys.
pub fn set(keys: &[Value]) -> KeySet {
    let text = json!({"keys": keys}).to_string();
    KeySet::parse(text.as_bytes()).expect(&text)
}

/// Base64 as tokens have it.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
