//! The law's words in JSON, by the names the law gives them. For
//! `#[serde(with = "spelled")]`.

use filter_common::{
    cause::{Action, Cause},
    settings::Mode,
};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// A closed set of words.
pub(super) trait Spelled: Copy + 'static {
    /// One word of the set, in a sentence.
    const WHAT: &'static str;
    /// The whole set.
    const ALL: &'static [Self];

    fn spelling(self) -> &'static str;

    /// The word with this spelling.
    fn read(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|word| word.spelling() == text)
    }
}

pub(super) fn serialize<T: Spelled, S: Serializer>(
    word: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word.spelling())
}

pub(super) fn deserialize<'de, T: Spelled, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    T::read(&text).ok_or_else(|| {
        let known: Vec<_> = T::ALL.iter().map(|word| word.spelling()).collect();
        D::Error::custom(format!(
            "{text:?} is no {}: use {}",
            T::WHAT,
            known.join(", ")
        ))
    })
}

impl Spelled for Mode {
    const WHAT: &'static str = "mode";
    const ALL: &'static [Self] = &[Self::Observe, Self::Enforce];

    fn spelling(self) -> &'static str {
        self.name()
    }
}

impl Spelled for Action {
    const WHAT: &'static str = "action";
    const ALL: &'static [Self] = &[Self::Pass, Self::Drop];

    fn spelling(self) -> &'static str {
        self.name()
    }
}

impl Spelled for Cause {
    const WHAT: &'static str = "cause";
    const ALL: &'static [Self] = &Self::ALL;

    fn spelling(self) -> &'static str {
        self.name()
    }
}
