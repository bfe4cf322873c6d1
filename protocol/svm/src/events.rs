//! What the program announced: its events are inner instructions that only it can make (`emit_cpi`), so no log
//! limit cuts them off and nobody else can write one.

use d402_settlement::Domain;
use solana_address::Address;

use crate::address::event_authority;
use crate::chain::program;
use crate::instructions::discriminator;
use crate::wire::Executed;

/// First eight bytes of every event's data.
const TAG: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];

/// Money that moved, or that became a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The wallet.
    pub to: Address,
    /// Units.
    pub amount: u64,
    /// 0 worker, 1 validator, 2 creator, 3 gateway, 4 refund.
    pub kind: u8,
}

/// A receipt was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSettled {
    /// The vault.
    pub vault: Address,
    /// Hash of its terms.
    pub terms_hash: [u8; 32],
    /// CID digest of the receipt.
    pub receipt_cid: [u8; 32],
    /// 1 paid, 2 rejected.
    pub outcome: u8,
    /// Bit i: set index i has signed.
    pub signers: u16,
    /// Paid in that transaction, refund included.
    pub paid: Vec<Payment>,
    /// Owed, and not payable then.
    pub credits: Vec<Payment>,
}

impl VaultSettled {
    /// The event of this vault in a transaction that had its effect; `None` where there is none.
    #[must_use]
    pub fn find(domain: &Domain, vault: &Address, executed: &Executed) -> Option<Self> {
        if executed.err.is_some() {
            return None;
        }
        let (program, authority) = (program(domain), event_authority(domain)?);
        let name = discriminator("event", "VaultSettled");
        executed
            .inner
            .iter()
            .filter(|call| call.program == program && call.accounts == [authority])
            .filter_map(|call| call.data.strip_prefix(&TAG)?.strip_prefix(&name))
            .filter_map(Self::parse)
            .find(|event| event.vault == *vault)
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let mut reader = Reader(data);
        let event = Self {
            vault: Address::new_from_array(reader.take()?),
            terms_hash: reader.take()?,
            receipt_cid: reader.take()?,
            outcome: u8::from_le_bytes(reader.take()?),
            signers: u16::from_le_bytes(reader.take()?),
            paid: reader.payments()?,
            credits: reader.payments()?,
        };
        reader.0.is_empty().then_some(event)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn payments(&mut self) -> Option<Vec<Payment>> {
        let count = u32::from_le_bytes(self.take()?);
        // No more memory than the bytes that are there can fill.
        (0..count)
            .map(|_| {
                Some(Payment {
                    to: Address::new_from_array(self.take()?),
                    amount: u64::from_le_bytes(self.take()?),
                    kind: u8::from_le_bytes(self.take()?),
                })
            })
            .collect()
    }
}
