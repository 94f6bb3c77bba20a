//! The key set: public keys for signatures, as issuers publish it
//! (JWKS, RFC 7517), or an account's secret.
//!
//! Each key is for one algorithm, whatever a token says. A key that can't be
//! used is left out, and the reason is kept.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};
use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD,
    },
};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;

/// Keys that can be used.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<String>,
}

/// A key, and the one algorithm that it is for.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    name: &'static str,
    key: DecodingKey,
}

/// Why there is no set of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// The text isn't one.
    #[error("this is no key set ({0}): it has to be JSON such as {{\"keys\": [...]}}")]
    NotASet(String),
    /// None of its keys can be used.
    #[error("no key of the set can be used{}", .0.iter().map(|why| format!("; {why}")).collect::<String>())]
    NoneOfUse(Vec<String>),
    /// The secret isn't one.
    #[error("{0}")]
    Secret(&'static str),
}

/// How a secret is written in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Base64 of either alphabet, with or without padding.
    Base64,
    /// The bytes of the file.
    Raw,
}

impl KeySet {
    /// Reads a set as it is published.
    ///
    /// # Errors
    /// If it isn't one, or has no key that can be used: what is known already
    /// is better than that.
    pub fn parse(text: &[u8]) -> Result<Self, NoKeys> {
        #[derive(Deserialize)]
        struct Written {
            keys: Vec<Value>,
        }
        let written: Written = serde_json::from_slice(text)
            .map_err(|error| NoKeys::NotASet(shown(&error.to_string())))?;
        let mut set = Self::default();
        for (number, value) in (1..).zip(written.keys) {
            if number > MOST_KEYS {
                set.left_out
                    .push(format!("all keys beyond the first {MOST_KEYS}"));
                break;
            }
            match Key::read(value) {
                Ok(key) if key.id.is_none() && set.unnamed().count() == MOST_UNNAMED => {
                    set.left_out.push(format!(
                        "key {number}: it is one too many without a `kid`, of which {MOST_UNNAMED} are tried"
                    ));
                }
                Ok(key) => set.keys.push(key),
                Err(why) => set.left_out.push(format!("key {number}: {}", shown(&why))),
            }
        }
        if set.keys.is_empty() {
            return Err(NoKeys::NoneOfUse(set.left_out));
        }
        Ok(set)
    }

    /// The secret of an account, for HS256. Who holds it can mint tokens.
    ///
    /// # Errors
    /// If it isn't written as is said, or too short to keep anyone out.
    pub fn secret(written: &[u8], encoding: Encoding) -> Result<Self, NoKeys> {
        let secret = match encoding {
            Encoding::Raw => written.to_vec(),
            Encoding::Base64 => either_alphabet(written.trim_ascii()).ok_or(NoKeys::Secret(
                "the secret isn't base64: write it as `approov secret -get base64` shows it, or say secret_encoding = \"raw\"",
            ))?,
        };
        if secret.len() < LEAST_SECRET {
            return Err(NoKeys::Secret(
                "the secret has less than 32 bytes, and HS256 needs as many: have a longer one made",
            ));
        }
        Ok(Self {
            keys: vec![Key {
                id: None,
                algorithm: Algorithm::HS256,
                name: "HS256",
                key: DecodingKey::from_secret(&secret),
            }],
            left_out: Vec::new(),
        })
    }

    /// How many keys there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.keys.len()
    }

    /// The keys that were left out, and why.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Whether a key of it can be meant by this `kid`.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.candidates(Some(id)).next().is_some()
    }

    /// The keys that a token may be signed with: those that its `kid` names, or
    /// those without a name. A set of one key needs no name at all.
    pub(super) fn candidates<'s>(&'s self, id: Option<&'s str>) -> impl Iterator<Item = &'s Key> {
        let named = id.is_some() && self.keys.iter().any(|key| key.id.as_deref() == id);
        let only = id.is_none() && self.keys.len() == 1;
        self.keys.iter().filter(move |key| {
            only || if named {
                key.id.as_deref() == id
            } else {
                key.id.is_none()
            }
        })
    }

    fn unnamed(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.id.is_none())
    }
}

impl Key {
    /// As a token has to spell its algorithm.
    pub(super) const fn algorithm_name(&self) -> &'static str {
        self.name
    }

    pub(super) fn verifies(&self, signed: &[u8], signature: &str) -> bool {
        crypto::verify(signature, signed, &self.key, self.algorithm).unwrap_or(false)
    }

    fn read(value: Value) -> Result<Self, String> {
        let written: WrittenKey =
            serde_json::from_value(value).map_err(|error| error.to_string())?;
        if written.purpose.as_deref().is_some_and(|it| it != "sig") {
            return Err("it isn't for signatures".to_owned());
        }
        let for_it = |operations: &Vec<String>| operations.iter().any(|one| one == "verify");
        if written.key_ops.as_ref().is_some_and(|ops| !for_it(ops)) {
            return Err("it isn't for verifying".to_owned());
        }
        let (default, fit, key) = written.material()?;
        let name = written.alg.as_deref().unwrap_or(default);
        let Some(name) = fit.iter().find(|fit| **fit == name) else {
            return Err(format!("it isn't for the algorithm {name:.20}"));
        };
        Ok(Self {
            algorithm: name
                .parse()
                .map_err(|_error| format!("{name} isn't known"))?,
            name,
            key,
            id: written.kid,
        })
    }
}

/// A key as it is published.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<String>,
}

impl WrittenKey {
    /// The algorithm that it is for where it doesn't say, all that it can be
    /// for, and the key itself.
    fn material(&self) -> Result<(&'static str, &'static [&'static str], DecodingKey), String> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (part("n", self.n.as_ref())?, part("e", self.e.as_ref())?);
                let bits =
                    n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
                if !(2048..=8192).contains(&bits) {
                    return Err(format!(
                        "an RSA key of {bits} bits isn't taken: 2048 to 8192"
                    ));
                }
                let key = DecodingKey::from_rsa_raw_components(&n, &e);
                Ok(("RS256", &RSA, key))
            }
            ("EC", Some("P-256")) => self.point(&ECDSA_P256_SHA256_FIXED, 32, "ES256", &["ES256"]),
            ("EC", Some("P-384")) => self.point(&ECDSA_P384_SHA384_FIXED, 48, "ES384", &["ES384"]),
            ("OKP", Some("Ed25519")) => {
                let x = part("x", self.x.as_ref())?;
                on_curve(&ED25519, &x)?;
                Ok(("EdDSA", &["EdDSA"], DecodingKey::from_ed_der(&x)))
            }
            ("oct", _) => {
                let k = part("k", self.k.as_ref())?;
                if k.len() < LEAST_SECRET {
                    return Err("the secret has less than 32 bytes".to_owned());
                }
                Ok(("HS256", &HMAC, DecodingKey::from_secret(&k)))
            }
            (kind, curve) => Err(format!(
                "keys of the kind {kind:.20} {:.20} aren't known",
                curve.unwrap_or_default()
            )),
        }
    }

    fn point(
        &self,
        curve: &'static dyn VerificationAlgorithm,
        length: usize,
        default: &'static str,
        fit: &'static [&'static str],
    ) -> Result<(&'static str, &'static [&'static str], DecodingKey), String> {
        let (x, y) = (part("x", self.x.as_ref())?, part("y", self.y.as_ref())?);
        if x.len() != length || y.len() != length {
            return Err(format!("`x` and `y` must have {length} bytes each"));
        }
        let point = [&[UNCOMPRESSED][..], &x, &y].concat();
        on_curve(curve, &point)?;
        Ok((default, fit, DecodingKey::from_ec_der(&point)))
    }
}

impl fmt::Debug for Key {
    /// Without the key itself, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.name)
            .finish_non_exhaustive()
    }
}

/// The part that may be shown of a sentence that quotes what somebody published.
fn shown(sentence: &str) -> String {
    let visible = sentence.chars().filter(|c| !c.is_control());
    visible.take(160).collect()
}

fn part(name: &str, value: Option<&String>) -> Result<Vec<u8>, String> {
    let text = value.ok_or_else(|| format!("`{name}` is missing"))?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_error| format!("`{name}` isn't base64url"))
}

fn on_curve(curve: &'static dyn VerificationAlgorithm, point: &[u8]) -> Result<(), String> {
    ParsedPublicKey::new(curve, point)
        .map(drop)
        .map_err(|_rejected| "it is no point of its curve".to_owned())
}

fn either_alphabet(written: &[u8]) -> Option<Vec<u8>> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [&STANDARD, &URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(written).ok())
}

const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const HMAC: [&str; 3] = ["HS256", "HS384", "HS512"];

/// The first byte of a point that is written with both coordinates (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// As long as the hash, as RFC 7518 (3.2) demands.
const LEAST_SECRET: usize = 32;

/// More than any issuer has in use at once.
const MOST_KEYS: usize = 64;

/// Each of them is tried on a token that names no key.
const MOST_UNNAMED: usize = 4;

#[cfg(test)]
mod tests;
