//! The state account as bytes (spec §2.2): nothing when absent, 272 bytes open, 84 and 41 for each
//! credit when settled. The simulated rail stores these bytes too.

use super::state::{MAX_CREDITS, OpenVault, Tombstone, VaultAccount, VaultSite, VaultState};
use crate::arithmetic::{Payout, PayoutRole};
use crate::bounded::{Bounded, Full};
use crate::domain::Domain;
use crate::ids::{Key32, SetHash, TermsHash};
use crate::quantity::{Bps, Units, UnixSeconds};
use crate::terms::OnSilence;

/// Bytes of an open vault.
pub const OPEN_LEN: usize = 272;
/// Bytes of a settled vault without credits.
pub const TOMBSTONE_LEN: usize = 84;
/// Bytes of one credit.
const CREDIT_LEN: usize = 41;
/// The largest account: a tombstone in which nobody could be paid.
pub const ACCOUNT_MAX_LEN: usize = tombstone_len(MAX_CREDITS);

const _: () = assert!(ACCOUNT_MAX_LEN == 822 && ACCOUNT_MAX_LEN > OPEN_LEN);

/// First eight bytes of `sha256("account:Vault")`, as Anchor names the account type.
const DISCRIMINATOR: [u8; 8] = [0xd3, 0x08, 0xe8, 0x2b, 0x02, 0x98, 0x75, 0x77];
const VERSION: u8 = 1;
const STATUS_OPEN: u8 = 1;
const STATUS_SETTLED: u8 = 2;

/// The encoded account.
pub type AccountBytes = Bounded<u8, ACCOUNT_MAX_LEN>;

/// Bytes of a tombstone with `credits` credits.
pub(super) const fn tombstone_len(credits: usize) -> usize {
    TOMBSTONE_LEN.saturating_add(credits.saturating_mul(CREDIT_LEN))
}

/// Why bytes are no state of this vault. Declaration order is check order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum CodecFault {
    #[error("a field is missing, or bytes are left over: {got} bytes")]
    Length { got: usize },
    #[error("not a vault account")]
    Discriminator,
    #[error("account version {got}, known is 1")]
    Version { got: u8 },
    #[error("the account says bump {got}")]
    Bump { got: u8 },
    #[error("status {got} is neither open (1) nor settled (2)")]
    Status { got: u8 },
    #[error("onSilence {got} is neither refund (0) nor majority (1)")]
    OnSilence { got: u8 },
    #[error("{got} credits, at most 18")]
    TooManyCredits { got: u8 },
    #[error("credit role {got} is unknown")]
    CreditRole { got: u8 },
    #[error("the account belongs to other terms")]
    WrongTerms,
    #[error("an amount of the state does not fit in 64 bits")]
    AmountTooLarge,
}

impl VaultSite {
    /// The site a stored account says it is for, so that a program can find the state without being
    /// told the terms. The caller must check that `vault` is the address of the hash and the bump.
    ///
    /// # Errors
    /// Bytes too short, of another kind or version, or with an unknown status.
    pub fn stored(domain: &Domain, vault: Key32, account: &[u8]) -> Result<Self, CodecFault> {
        let mut reader = Reader {
            rest: account,
            len: account.len(),
        };
        let (bump, status) = read_head(&mut reader)?;
        let ahead = match status {
            // Status to terms hash: seven fields of the open vault, two of the tombstone.
            STATUS_OPEN => reader.take::<37>().map(|_| ()),
            STATUS_SETTLED => reader.take::<9>().map(|_| ()),
            got => Err(CodecFault::Status { got }),
        };
        ahead?;
        Ok(Self {
            domain: *domain,
            terms_hash: TermsHash(reader.take()?),
            vault,
            bump,
        })
    }
}

impl VaultState {
    /// The state account as bytes; empty when absent. The token balance is not part of it: on chain it
    /// is the token account's.
    ///
    /// # Errors
    /// [`CodecFault::AmountTooLarge`] for a credit above 64 bits, which [`apply`](super::apply) never
    /// makes.
    pub fn encode_account(&self) -> Result<AccountBytes, CodecFault> {
        let mut out = AccountBytes::new();
        let written = match &self.account {
            VaultAccount::Absent => Ok(()),
            VaultAccount::Open(open) => write_open(&mut out, &self.site, open),
            VaultAccount::Settled(tombstone) => write_tombstone(&mut out, &self.site, tombstone),
        };
        written.map_err(|_| CodecFault::AmountTooLarge)?;
        Ok(out)
    }

    /// Reads a state account back; `tokens` is the balance of the token account, if there is one.
    ///
    /// # Errors
    /// Any byte string that [`VaultState::encode_account`] would not have written for this site.
    pub fn decode_account(
        site: VaultSite,
        account: &[u8],
        tokens: Option<Units>,
    ) -> Result<Self, CodecFault> {
        let account = if account.is_empty() {
            VaultAccount::Absent
        } else {
            read_account(&site, account)?
        };
        Ok(Self {
            site,
            account,
            tokens,
        })
    }
}

fn put(out: &mut AccountBytes, bytes: &[u8]) -> Result<(), Full> {
    out.extend_from_slice(bytes)
}

fn write_head(out: &mut AccountBytes, site: &VaultSite, status: u8) -> Result<(), Full> {
    put(out, &DISCRIMINATOR)?;
    put(out, &[VERSION, site.bump, status])
}

fn write_open(out: &mut AccountBytes, site: &VaultSite, open: &OpenVault) -> Result<(), Full> {
    write_head(out, site, STATUS_OPEN)?;
    put(out, &[open.on_silence as u8])?;
    put(out, &open.commission_bps.0.to_le_bytes())?;
    put(out, &open.gateway_fee_bps.0.to_le_bytes())?;
    put(out, &open.budget.to_le_bytes())?;
    put(out, &open.validator_fee_cap.to_le_bytes())?;
    put(out, &open.settle_by.0.to_le_bytes())?;
    put(out, &open.refund_after.0.to_le_bytes())?;
    put(out, site.terms_hash.as_bytes())?;
    put(out, open.mint.as_bytes())?;
    put(out, open.refund_to.as_bytes())?;
    put(out, open.validator_set.as_bytes())?;
    put(out, open.commission_payee.as_bytes())?;
    put(out, open.gateway_fee_payee.as_bytes())?;
    put(out, open.rent_to.as_bytes())
}

fn write_tombstone(
    out: &mut AccountBytes,
    site: &VaultSite,
    tombstone: &Tombstone,
) -> Result<(), Full> {
    let full = Full {
        capacity: ACCOUNT_MAX_LEN,
    };
    write_head(out, site, STATUS_SETTLED)?;
    put(
        out,
        &[u8::try_from(tombstone.credits.len()).map_err(|_| full)?],
    )?;
    put(out, &tombstone.refund_after.0.to_le_bytes())?;
    put(out, site.terms_hash.as_bytes())?;
    put(out, tombstone.rent_to.as_bytes())?;
    for credit in &tombstone.credits {
        put(out, credit.to.as_bytes())?;
        put(out, &credit.amount.to_u64().ok_or(full)?.to_le_bytes())?;
        put(out, &[credit.role.as_u8()])?;
    }
    Ok(())
}

/// Cursor that knows how long the input was, for the error.
struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecFault> {
        let short = CodecFault::Length { got: self.len };
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(short)?;
        self.rest = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, CodecFault> {
        self.take().map(u8::from_le_bytes)
    }

    fn end(&self) -> Result<(), CodecFault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(CodecFault::Length { got: self.len })
        }
    }
}

fn read_account(site: &VaultSite, bytes: &[u8]) -> Result<VaultAccount, CodecFault> {
    let mut reader = Reader {
        rest: bytes,
        len: bytes.len(),
    };
    let (bump, status) = read_head(&mut reader)?;
    if bump != site.bump {
        return Err(CodecFault::Bump { got: bump });
    }
    let account = match status {
        STATUS_OPEN => VaultAccount::Open(read_open(&mut reader, site)?),
        STATUS_SETTLED => VaultAccount::Settled(read_tombstone(&mut reader, site)?),
        got => return Err(CodecFault::Status { got }),
    };
    reader.end()?;
    Ok(account)
}

/// Bump and status of an account of this kind and version.
fn read_head(reader: &mut Reader<'_>) -> Result<(u8, u8), CodecFault> {
    if reader.take::<8>()? != DISCRIMINATOR {
        return Err(CodecFault::Discriminator);
    }
    let version = reader.u8()?;
    if version != VERSION {
        return Err(CodecFault::Version { got: version });
    }
    Ok((reader.u8()?, reader.u8()?))
}

fn expect_terms(reader: &mut Reader<'_>, site: &VaultSite) -> Result<(), CodecFault> {
    if TermsHash(reader.take()?) == site.terms_hash {
        Ok(())
    } else {
        Err(CodecFault::WrongTerms)
    }
}

#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
fn read_open(reader: &mut Reader<'_>, site: &VaultSite) -> Result<OpenVault, CodecFault> {
    let silence = reader.u8()?;
    let on_silence = OnSilence::from_u8(silence).ok_or(CodecFault::OnSilence { got: silence })?;
    let commission_bps = Bps(u16::from_le_bytes(reader.take()?));
    let gateway_fee_bps = Bps(u16::from_le_bytes(reader.take()?));
    let budget = u64::from_le_bytes(reader.take()?);
    let validator_fee_cap = u64::from_le_bytes(reader.take()?);
    let settle_by = UnixSeconds(i64::from_le_bytes(reader.take()?));
    let refund_after = UnixSeconds(i64::from_le_bytes(reader.take()?));
    expect_terms(reader, site)?;
    Ok(OpenVault {
        on_silence,
        commission_bps,
        gateway_fee_bps,
        budget,
        validator_fee_cap,
        settle_by,
        refund_after,
        mint: Key32(reader.take()?),
        refund_to: Key32(reader.take()?),
        validator_set: SetHash(reader.take()?),
        commission_payee: Key32(reader.take()?),
        gateway_fee_payee: Key32(reader.take()?),
        rent_to: Key32(reader.take()?),
    })
}

#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
fn read_tombstone(reader: &mut Reader<'_>, site: &VaultSite) -> Result<Tombstone, CodecFault> {
    let count = reader.u8()?;
    let refund_after = UnixSeconds(i64::from_le_bytes(reader.take()?));
    expect_terms(reader, site)?;
    let rent_to = Key32(reader.take()?);
    let mut credits = Bounded::new();
    for _ in 0..count {
        let to = Key32(reader.take()?);
        let amount = Units::from_u64(u64::from_le_bytes(reader.take()?));
        let raw = reader.u8()?;
        let role = PayoutRole::from_u8(raw).ok_or(CodecFault::CreditRole { got: raw })?;
        credits
            .push(Payout { to, amount, role })
            .map_err(|_| CodecFault::TooManyCredits { got: count })?;
    }
    Ok(Tombstone {
        refund_after,
        rent_to,
        credits,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::terms::{TERMS_LEN, Terms};

    #[test]
    fn a_stored_account_says_which_site_it_is_for() {
        let terms = Terms::decode(&[1; TERMS_LEN]);
        let site = VaultSite {
            domain: Domain::SIMULATED,
            terms_hash: terms.hash(&Domain::SIMULATED),
            vault: Key32([5; 32]),
            bump: 254,
        };
        let open = VaultAccount::Open(OpenVault::of(&terms).unwrap());
        let settled = VaultAccount::Settled(Tombstone {
            refund_after: terms.refund_after,
            rent_to: terms.rent_to,
            credits: Bounded::new(),
        });
        for account in [open, settled] {
            let state = VaultState {
                site,
                account,
                tokens: None,
            };
            let bytes = state.encode_account().unwrap();
            let stored = VaultSite::stored(&site.domain, site.vault, bytes.as_slice());
            assert_eq!(stored, Ok(site));
            let short = VaultSite::stored(&site.domain, site.vault, &bytes.as_slice()[..40]);
            assert!(short.is_err());
            let mut other = bytes.as_slice().to_vec();
            other[10] = 3;
            let unknown = VaultSite::stored(&site.domain, site.vault, &other);
            assert_eq!(unknown, Err(CodecFault::Status { got: 3 }));
        }
    }
}
