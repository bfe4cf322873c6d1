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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::InnerInstruction;
    use d402_settlement::Key32;

    const DOMAIN: Domain = Domain {
        genesis: [1; 32],
        program: Key32([2; 32]),
    };
    const VAULT: Address = Address::new_from_array([3; 32]);

    fn event(name: &str) -> Vec<u8> {
        let mut data = TAG.to_vec();
        data.extend(discriminator("event", name));
        data.extend([3; 32]);
        data.extend([4; 32]);
        data.extend([5; 32]);
        data.extend([1, 7, 0]);
        data.extend([1, 0, 0, 0]);
        data.extend([6; 32]);
        data.extend(90_u64.to_le_bytes());
        data.push(0);
        data.extend([0, 0, 0, 0]);
        data
    }

    fn executed(program: Address, accounts: Vec<Address>, data: Vec<u8>) -> Executed {
        Executed {
            slot: 1,
            block_time: Some(1),
            transaction: solana_transaction::versioned::VersionedTransaction::default(),
            keys: Vec::new(),
            err: None,
            inner: vec![InnerInstruction {
                program,
                accounts,
                data,
            }],
            tokens: Vec::new(),
        }
    }

    #[test]
    fn only_the_programs_own_event_of_this_vault_in_a_successful_transaction_counts() {
        let ours = program(&DOMAIN);
        let signer = event_authority(&DOMAIN).unwrap();
        let good = executed(ours, vec![signer], event("VaultSettled"));
        let found = VaultSettled::find(&DOMAIN, &VAULT, &good).unwrap();
        assert_eq!((found.outcome, found.signers), (1, 7));
        assert_eq!((found.paid[0].amount, found.credits.len()), (90, 0));
        let none = |executed: &Executed| VaultSettled::find(&DOMAIN, &VAULT, executed).is_none();
        let stranger = Address::new_from_array([9; 32]);
        let data = event("VaultSettled");
        assert!(none(&executed(stranger, vec![signer], data.clone())));
        assert!(none(&executed(ours, vec![stranger], data.clone())));
        assert!(none(&executed(ours, vec![signer], event("VaultSwept"))));
        let cut = data[..data.len() - 1].to_vec();
        assert!(none(&executed(ours, vec![signer], cut)));
        let longer = [&data[..], &[0]].concat();
        assert!(none(&executed(ours, vec![signer], longer)));
        let failed = Executed {
            err: Some(serde_json::json!("AccountInUse")),
            ..good.clone()
        };
        assert!(none(&failed));
        let other = VaultSettled::find(&DOMAIN, &stranger, &good);
        assert_eq!(other, None, "another vault's");
    }

    #[test]
    fn a_count_larger_than_the_bytes_that_are_there_is_no_event() {
        let mut data = event("VaultSettled");
        let at = data.len() - 4;
        data[at..].copy_from_slice(&u32::MAX.to_le_bytes());
        let signer = event_authority(&DOMAIN).unwrap();
        let executed = executed(program(&DOMAIN), vec![signer], data);
        assert_eq!(VaultSettled::find(&DOMAIN, &VAULT, &executed), None);
    }
}
