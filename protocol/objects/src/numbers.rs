//! Quantities: amounts in base units, basis points, milliseconds of wall-clock time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Invalid, text::serde_as_str};

/// The largest integer a JSON number may carry: 2^53 − 1 (threat #27).
pub(crate) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Base units of an asset, 0 to 2^96 − 1, written as a decimal string `0|[1-9][0-9]{0,37}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u128);

impl Amount {
    /// 2^96 − 1: what the Base ledger's `uint96` holds (spec §2.3).
    pub const MAX: Self = Self((1 << 96) - 1);
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Checks the range.
    ///
    /// # Errors
    /// [`Invalid::Range`] above [`Self::MAX`].
    pub const fn new(units: u128) -> Result<Self, Invalid> {
        if units > Self::MAX.0 {
            return Err(Invalid::Range {
                what: "amount",
                got: units,
                min: 0,
                max: Self::MAX.0,
            });
        }
        Ok(Self(units))
    }

    /// The number of base units.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// The sum, unless it leaves the range.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0
            .checked_add(other.0)
            .and_then(|sum| Self::new(sum).ok())
    }

    /// The difference, unless it is negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<u64> for Amount {
    fn from(units: u64) -> Self {
        Self(u128::from(units))
    }
}

impl FromStr for Amount {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let syntax = Invalid::Syntax { what: "amount" };
        let canonical = match text.as_bytes() {
            [b'0'] => true,
            [b'1'..=b'9', rest @ ..] => rest.len() <= 37 && rest.iter().all(u8::is_ascii_digit),
            [] | [_, ..] => false,
        };
        if !canonical {
            return Err(syntax);
        }
        Self::new(text.parse().map_err(|_| syntax)?)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

serde_as_str!(Amount);

/// Hundredths of a percent, 0 to 10,000.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Bps(u16);

impl Bps {
    /// 10,000: the whole.
    pub const MAX: Self = Self(10_000);
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Checks the range.
    ///
    /// # Errors
    /// [`Invalid::Range`] above 10,000.
    pub fn new(bps: u16) -> Result<Self, Invalid> {
        if bps > Self::MAX.0 {
            return Err(Invalid::Range {
                what: "bps",
                got: u128::from(bps),
                min: 0,
                max: u128::from(Self::MAX.0),
            });
        }
        Ok(Self(bps))
    }

    /// The number of basis points.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Bps {
    type Error = Invalid;

    fn try_from(bps: u16) -> Result<Self, Invalid> {
        Self::new(bps)
    }
}

impl From<Bps> for u16 {
    fn from(bps: Bps) -> Self {
        bps.0
    }
}

/// Unix milliseconds, 0 to 2^53 − 1.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct UnixMs(u64);

impl UnixMs {
    /// The last moment that can be written.
    pub const MAX: Self = Self(MAX_SAFE_INTEGER);

    /// Checks the range.
    ///
    /// # Errors
    /// [`Invalid::Range`] above 2^53 − 1.
    pub fn new(ms: u64) -> Result<Self, Invalid> {
        if ms > Self::MAX.0 {
            return Err(Invalid::Range {
                what: "unix milliseconds",
                got: u128::from(ms),
                min: 0,
                max: u128::from(Self::MAX.0),
            });
        }
        Ok(Self(ms))
    }

    /// The number of milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `ms` later, or the last moment that can be written.
    #[must_use]
    pub fn saturating_add_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms).min(Self::MAX.0))
    }

    /// `ms` earlier, or the epoch.
    #[must_use]
    pub fn saturating_sub_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to `self`, 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl TryFrom<u64> for UnixMs {
    type Error = Invalid;

    fn try_from(ms: u64) -> Result<Self, Invalid> {
        Self::new(ms)
    }
}

impl From<UnixMs> for u64 {
    fn from(ms: UnixMs) -> Self {
        ms.0
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_one_spelling() {
        for text in ["0", "1", "79228162514264337593543950335"] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "00",
            "01",
            "-1",
            "+1",
            "1.0",
            "1e3",
            " 1",
            "1 ",
            "0x1",
            "١",
            "79228162514264337593543950336",
            "100000000000000000000000000000000000000",
            "999999999999999999999999999999999999999",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn amounts_never_leave_their_range() {
        let one = Amount::from(1);
        assert_eq!(Amount::MAX.checked_add(one), None);
        assert_eq!(Amount::ZERO.checked_sub(one), None);
        assert_eq!(one.checked_add(one), Some(Amount::from(2)));
        assert_eq!(one.checked_sub(one), Some(Amount::ZERO));
        assert!(Amount::new(1 << 96).is_err());
    }

    #[test]
    fn amounts_are_strings_and_times_are_numbers() {
        assert_eq!(serde_json::to_string(&Amount::from(7)).unwrap(), "\"7\"");
        assert!(serde_json::from_str::<Amount>("7").is_err());
        assert_eq!(serde_json::from_str::<UnixMs>("7").unwrap().get(), 7);
        assert!(serde_json::from_str::<UnixMs>("\"7\"").is_err());
        assert!(serde_json::from_str::<UnixMs>("9007199254740992").is_err());
        assert!(serde_json::from_str::<Bps>("10000").is_ok());
        assert!(serde_json::from_str::<Bps>("10001").is_err());
    }
}
