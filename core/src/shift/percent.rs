//! Shares of a whole, exact to a hundredth of a percent.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Hundredths of a percent in a whole.
const WHOLE: u16 = 10_000;

/// A share from 0 to 100 %, in hundredths of a percent: exact, so that it is what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u16);

/// Why a text is no percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// It is no number.
    #[error("{0:?} is not a percentage such as 5 or 0.5%")]
    Form(String),
    /// It is more than a whole.
    #[error("{0} is more than 100 %")]
    Above(String),
    /// It is finer than a hundredth of a percent.
    #[error("{0} is finer than 0.01 %")]
    Fine(String),
}

impl Percent {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The whole.
    pub const ALL: Self = Self(WHOLE);

    /// So many hundredths of a percent; `None` beyond 100 %.
    pub fn hundredths(value: u16) -> Option<Self> {
        (value <= WHOLE).then_some(Self(value))
    }

    /// So many percent; `None` beyond 100.
    pub fn whole(value: u16) -> Option<Self> {
        Self::hundredths(value.checked_mul(100)?)
    }

    /// In hundredths of a percent, at most 10 000.
    pub fn as_hundredths(self) -> u16 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(WHOLE.saturating_sub(self.0))
    }

    /// Reads `5`, `5%`, `0.5` or `12.25%`.
    pub fn parse(text: &str) -> Result<Self, PercentError> {
        let form = || PercentError::Form(text.to_owned());
        let number = text.trim().strip_suffix('%').unwrap_or_else(|| text.trim()).trim_end();
        let (units, parts) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(units) || !digits(parts) {
            return Err(form());
        }
        let parts = parts.trim_end_matches('0');
        let above = || PercentError::Above(text.to_owned());
        let units: u16 = units.parse().map_err(|_overflow| above())?;
        if parts.len() > 2 {
            return Err(PercentError::Fine(text.to_owned()));
        }
        let parts: u16 = format!("{parts:0<2}").parse().map_err(|_number| form())?;
        let value = units.checked_mul(100).and_then(|u| u.checked_add(parts));
        value.and_then(Self::hundredths).ok_or_else(above)
    }
}

/// Without what is zero: `5%`, `0.5%`, `12.25%`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, parts) = (self.0 / 100, self.0 % 100);
        match (parts, parts % 10) {
            (0, _) => write!(f, "{units}%"),
            (_, 0) => write!(f, "{units}.{}%", parts / 10),
            (_, _) => write!(f, "{units}.{parts:02}%"),
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u16::deserialize(deserializer)?;
        Self::hundredths(value).ok_or_else(|| de::Error::custom("more than 100 %"))
    }
}
