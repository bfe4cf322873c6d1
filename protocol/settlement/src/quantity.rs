//! Quantities: money, time and rates. Integers only; raw integers stop at the codec.

use core::fmt;
use core::str::FromStr;

/// An amount in the asset's atomic units (USDC: 1,000,000 = 1 USDC), at most 2^96 − 1 (#62).
///
/// The Solana codec carries 64 bits: see [`Units::to_u64`].
///
/// Twelve bytes, most significant first, so that their order is the order of amounts: the lists of one
/// settlement must fit into a stack frame of the Solana machine (4 KiB), where a `u128` would be aligned
/// to sixteen bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units([u8; 12]);

impl Units {
    /// No money.
    pub const ZERO: Self = Self([0; 12]);
    /// 2^96 − 1, what the EVM codec carries (`uint96`).
    pub const MAX: Self = Self([u8::MAX; 12]);

    /// `None` above [`Units::MAX`].
    #[must_use]
    pub const fn new(raw: u128) -> Option<Self> {
        match raw.to_be_bytes() {
            [0, 0, 0, 0, bytes @ ..] => Some(Self(bytes)),
            _ => None,
        }
    }

    /// Every 64-bit amount is an amount.
    #[must_use]
    pub const fn from_u64(raw: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = raw.to_be_bytes();
        Self([0, 0, 0, 0, a, b, c, d, e, f, g, h])
    }

    /// The raw number.
    #[must_use]
    pub const fn get(self) -> u128 {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.0;
        u128::from_be_bytes([0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j, k, l])
    }

    /// The amount as the Solana codec carries it; `None` when it does not fit in 64 bits.
    #[must_use]
    pub fn to_u64(self) -> Option<u64> {
        u64::try_from(self.get()).ok()
    }

    /// True for no money.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.get() == 0
    }

    /// The sum; `None` above [`Units::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.get().checked_add(other.get()).and_then(Self::new)
    }

    /// The difference; `None` below zero.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.get().checked_sub(other.get()).and_then(Self::new)
    }

    /// The share of a rate, rounded **down**: who keeps the dust is the caller's rule (spec §2.4).
    /// `None` only when the result would pass [`Units::MAX`], which needs a rate above 100 %.
    #[must_use]
    pub fn share(self, rate: Bps) -> Option<Self> {
        self.get()
            .checked_mul(u128::from(rate.0))
            .map(|scaled| scaled / BPS_DENOMINATOR)
            .and_then(Self::new)
    }
}

const BPS_DENOMINATOR: u128 = 10_000;

// 96 bits of money times 16 bits of rate is 112 bits: `share` cannot overflow its intermediate.
const _: () = assert!(Units::MAX.get().checked_mul(u16::MAX as u128).is_some());

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Units({self})")
    }
}

/// The text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount is a decimal integer without sign, spaces or leading zeros, at most 2^96 - 1")]
pub struct NotUnits;

impl FromStr for Units {
    type Err = NotUnits;

    /// Reads `0|[1-9][0-9]*`, nothing else.
    fn from_str(text: &str) -> Result<Self, NotUnits> {
        let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let padded = text.len() > 1 && text.starts_with('0');
        if !digits_only || padded {
            return Err(NotUnits);
        }
        let raw = text.parse().map_err(|_| NotUnits)?;
        Self::new(raw).ok_or(NotUnits)
    }
}

/// Unix seconds as the chain reports them. All deadlines are half-open: before `x` means `now < x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// Later by `seconds`, staying at the end of time instead of overflowing.
    #[must_use]
    pub const fn saturating_add(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// Ten-thousandths. Raw: whether a rate is allowed is `settleable`'s question (at most 2000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bps(pub u16);

impl Bps {
    /// The highest commission and the highest gateway fee any terms may carry: 20 %.
    pub const MAX: Self = Self(2_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_62_units_stop_at_96_bits_and_the_solana_codec_at_64() {
        assert_eq!(Units::new(1 << 96), None);
        assert_eq!(Units::new((1 << 96) - 1), Some(Units::MAX));
        assert_eq!(Units::MAX.checked_add(Units::from_u64(1)), None);
        assert_eq!(Units::from_u64(u64::MAX).to_u64(), Some(u64::MAX));
        let above = Units::from_u64(u64::MAX).checked_add(Units::from_u64(1));
        assert_eq!(above.and_then(Units::to_u64), None);
        assert_eq!(Units::MAX.share(Bps(10_000)), Some(Units::MAX));
        assert_eq!(Units::MAX.share(Bps(u16::MAX)), None);
    }

    #[test]
    fn amounts_are_read_in_one_spelling_only() {
        for bad in [
            "", "00", "01", "+1", "-1", " 1", "1 ", "1e3", "0x1", "1.0", "٣",
        ] {
            assert_eq!(bad.parse::<Units>(), Err(NotUnits), "{bad:?}");
        }
        assert_eq!(
            "79228162514264337593543950336".parse::<Units>(),
            Err(NotUnits)
        );
        assert_eq!("79228162514264337593543950335".parse(), Ok(Units::MAX));
        assert_eq!("0".parse(), Ok(Units::ZERO));
    }

    #[test]
    fn amounts_keep_their_value_and_their_order() {
        let raw = [0, 1, 255, 256, u128::from(u64::MAX), 1 << 64, (1 << 96) - 1];
        let amounts = raw.map(|raw| Units::new(raw).unwrap());
        assert_eq!(amounts.map(Units::get), raw);
        assert!(amounts.is_sorted());
        assert_eq!(
            Units::from_u64(0x0102_0304_0506_0708).get(),
            0x0102_0304_0506_0708
        );
    }

    #[test]
    fn a_share_rounds_down() {
        assert_eq!(Units::from_u64(9_999).share(Bps(1)), Some(Units::ZERO));
        assert_eq!(
            Units::from_u64(10_000).share(Bps(1)),
            Some(Units::from_u64(1))
        );
        assert_eq!(
            Units::from_u64(19_999).share(Bps(1)),
            Some(Units::from_u64(1))
        );
    }
}
