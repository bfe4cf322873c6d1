//! The instructions of `task-vault`, of the Ed25519 precompile and of the compute budget, as bytes and accounts.
//!
//! Written from the program's interface (`programs/task-vault/src/instructions`), one function each. The golden
//! bytes in the tests are held against the same builders of the program's own tests.

use d402_settlement::{
    Domain, MAX_VALIDATORS, Outcome, Role, Settlement, Terms, TermsHash, ValidatorSet,
};
use sha2::{Digest as _, Sha256};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::address::{
    self, ASSOCIATED, COMPUTE_BUDGET, ED25519, INSTRUCTIONS, SYSTEM, TOKEN, TOKEN_2022, address,
};
use crate::chain::program;

/// A vault with everything its instructions name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Cluster and program.
    pub domain: Domain,
    /// Its terms.
    pub terms: Terms,
    /// Their hash.
    pub terms_hash: TermsHash,
    /// The vault's address: payTo.
    pub vault: Address,
    /// Bump of that address.
    pub bump: u8,
    /// Its token account.
    pub tokens: Address,
    /// The token.
    pub mint: Address,
    /// Whose token that is.
    pub token_program: Address,
    /// Where its validator set is published.
    pub set: Address,
    /// The program's signer of events.
    pub events: Address,
}

impl Place {
    /// The vault of terms whose mint belongs to `token_program`; `None` for another program.
    #[must_use]
    pub fn of(domain: &Domain, terms: &Terms, token_program: Address) -> Option<Self> {
        if token_program != TOKEN && token_program != TOKEN_2022 {
            return None;
        }
        let terms_hash = terms.hash(domain);
        let (vault, bump) = address::vault(domain, &terms_hash)?;
        let mint = address(&terms.mint);
        Some(Self {
            domain: *domain,
            terms: *terms,
            terms_hash,
            vault,
            bump,
            tokens: address::token_account(&vault, &mint, &token_program)?.0,
            mint,
            token_program,
            set: address::set(domain, &terms.validator_set)?,
            events: address::event_authority(domain)?,
        })
    }

    /// The canonical token account of a wallet, for this vault's token.
    #[must_use]
    pub fn tokens_of(&self, wallet: &Address) -> Option<(Address, u8)> {
        address::token_account(wallet, &self.mint, &self.token_program)
    }

    /// Who gets the rent back.
    #[must_use]
    pub const fn rent_to(&self) -> Address {
        address(&self.terms.rent_to)
    }

    /// Puts the terms on chain and makes the vault's token account.
    #[must_use]
    pub fn open(&self, payer: Address) -> Instruction {
        self.call("open", &self.terms.encode(), self.opening(payer))
    }

    /// `open`, and pays in from `source`, which belongs to `authority`.
    #[must_use]
    pub fn open_funded(
        &self,
        payer: Address,
        (source, authority): (Address, Address),
        amount: u64,
    ) -> Instruction {
        let mut accounts = self.opening(payer);
        accounts.push(write(source));
        accounts.push(AccountMeta::new_readonly(authority, true));
        let mut arguments = self.terms.encode().to_vec();
        arguments.extend(amount.to_le_bytes());
        self.call("open_funded", &arguments, accounts)
    }

    fn opening(&self, payer: Address) -> Vec<AccountMeta> {
        vec![
            signer(payer),
            write(self.vault),
            write(self.tokens),
            read(self.mint),
            read(self.set),
            read(self.token_program),
            read(ASSOCIATED),
            read(SYSTEM),
        ]
    }

    /// Executes a receipt whose signatures are in the Ed25519 instruction directly before.
    #[must_use]
    pub fn settle(&self, payer: Address, receipt: &Receipt) -> Option<Instruction> {
        self.settling("settle", payer, INSTRUCTIONS, receipt)
    }

    /// Executes a receipt whose signatures were remembered.
    #[must_use]
    pub fn settle_approved(
        &self,
        payer: Address,
        digest: &[u8; 32],
        receipt: &Receipt,
    ) -> Option<Instruction> {
        let approval = address::approval(&self.domain, &self.vault, digest)?;
        self.settling("settle_approved", payer, approval, receipt)
    }

    fn settling(
        &self,
        name: &str,
        payer: Address,
        evidence: Address,
        receipt: &Receipt,
    ) -> Option<Instruction> {
        let terms = &self.terms;
        let optional = |wallet: &d402_settlement::Key32| {
            if wallet.is_zero() {
                return Some(read(program(&self.domain)));
            }
            Some(write(self.tokens_of(&address(wallet))?.0))
        };
        let accounts = vec![
            signer(payer),
            write(self.vault),
            write(self.tokens),
            read(self.mint),
            read(self.token_program),
            write(self.tokens_of(&address(&terms.refund_to))?.0),
            write(self.rent_to()),
            read(evidence),
            read(self.set),
            optional(&terms.commission_payee)?,
            optional(&terms.gateway_fee_payee)?,
        ];
        let mut instruction = self.call(name, &receipt.bytes, accounts);
        instruction
            .accounts
            .extend(receipt.rows.iter().map(|row| write(*row)));
        if receipt.tops_up_rent {
            instruction.accounts.push(read(SYSTEM));
        }
        Some(instruction)
    }

    /// Remembers the signatures of the Ed25519 instruction directly before.
    #[must_use]
    pub fn approve(&self, payer: Address, digest: &[u8; 32]) -> Option<Instruction> {
        let accounts = vec![
            signer(payer),
            read(self.vault),
            write(address::approval(&self.domain, &self.vault, digest)?),
            read(self.set),
            read(INSTRUCTIONS),
            read(SYSTEM),
        ];
        Some(self.call("approve", &[], accounts))
    }

    /// Pays a credit to the payee's canonical account.
    #[must_use]
    pub fn claim_credit(&self, payee: Address) -> Option<Instruction> {
        let mut arguments = self.terms.encode().to_vec();
        arguments.extend(payee.as_ref());
        let to = self.tokens_of(&payee)?.0;
        Some(self.call("claim_credit", &arguments, self.claiming(to)))
    }

    /// Pays a credit anywhere, by the payee's signature.
    #[must_use]
    pub fn claim_credit_to(&self, payee: Address, to: Address) -> Instruction {
        let mut accounts = vec![AccountMeta::new_readonly(payee, true)];
        accounts.extend(self.claiming(to));
        self.call("claim_credit_to", &self.terms.encode(), accounts)
    }

    fn claiming(&self, to: Address) -> Vec<AccountMeta> {
        vec![
            write(self.vault),
            write(self.tokens),
            read(self.mint),
            read(self.token_program),
            write(to),
        ]
    }

    /// Gives credits nobody claimed in time back to the residual.
    #[must_use]
    pub fn lapse_credits(&self) -> Instruction {
        self.call("lapse_credits", &[], vec![write(self.vault)])
    }

    /// The refund to the canonical account of `refundTo`.
    #[must_use]
    pub fn sweep(&self, caller: Address) -> Option<Instruction> {
        let to = self.tokens_of(&address(&self.terms.refund_to))?.0;
        Some(self.call("sweep", &self.terms.encode(), self.sweeping(caller, to)))
    }

    /// The refund, anywhere, by the signature of `refundTo`.
    #[must_use]
    pub fn sweep_to(&self, to: Address) -> Instruction {
        let refund_to = address(&self.terms.refund_to);
        self.call(
            "sweep_to",
            &self.terms.encode(),
            self.sweeping(refund_to, to),
        )
    }

    fn sweeping(&self, caller: Address, to: Address) -> Vec<AccountMeta> {
        vec![
            signer(caller),
            read(self.vault),
            write(self.tokens),
            read(self.mint),
            read(self.token_program),
            write(to),
            write(self.rent_to()),
        ]
    }

    /// Gives the rent of a vault back into which nobody paid.
    #[must_use]
    pub fn close_unfunded(&self) -> Instruction {
        let accounts = vec![
            write(self.vault),
            write(self.tokens),
            read(self.mint),
            read(self.token_program),
            write(self.rent_to()),
        ];
        self.call("close_unfunded", &self.terms.encode(), accounts)
    }

    /// Gives the rent of a finished vault back; an open one is shown to be empty.
    #[must_use]
    pub fn close(&self, is_open: bool) -> Instruction {
        let optional = |account| {
            read(if is_open {
                account
            } else {
                program(&self.domain)
            })
        };
        let accounts = vec![
            write(self.vault),
            write(self.rent_to()),
            optional(self.tokens),
            optional(self.mint),
            optional(self.token_program),
        ];
        self.call("close", &[], accounts)
    }

    /// Gives the rent of remembered signatures back to who paid it.
    #[must_use]
    pub fn close_approval(&self, digest: &[u8; 32], rent_to: Address) -> Option<Instruction> {
        let accounts = vec![
            read(self.vault),
            write(address::approval(&self.domain, &self.vault, digest)?),
            write(rent_to),
        ];
        Some(self.call("close_approval", digest, accounts))
    }

    fn call(&self, name: &str, arguments: &[u8], accounts: Vec<AccountMeta>) -> Instruction {
        call(&self.domain, self.events, (name, arguments), accounts)
    }
}

/// Stores a validator set for ever; `None` as for [`address::token_account`].
#[must_use]
pub fn publish_set(domain: &Domain, payer: Address, set: &ValidatorSet) -> Option<Instruction> {
    let mut arguments = vec![set.m()];
    arguments.extend(u32::from(set.n()).to_le_bytes());
    for key in set.keys() {
        arguments.extend(key.as_bytes());
    }
    let accounts = vec![
        signer(payer),
        write(address::set(domain, &set.hash())?),
        read(SYSTEM),
    ];
    let events = address::event_authority(domain)?;
    Some(call(domain, events, ("publish_set", &arguments), accounts))
}

/// Discriminator, arguments, accounts, and the two accounts of events.
fn call(
    domain: &Domain,
    events: Address,
    (name, arguments): (&str, &[u8]),
    mut accounts: Vec<AccountMeta>,
) -> Instruction {
    let program = program(domain);
    accounts.extend([read(events), read(program)]);
    let mut data = discriminator("global", name).to_vec();
    data.extend(arguments);
    Instruction {
        program_id: program,
        accounts,
        data,
    }
}

/// First eight bytes of the hash of a name, as Anchor tells instructions and events apart.
#[must_use]
pub(crate) fn discriminator(space: &str, name: &str) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(format!("{space}:{name}")).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

/// A receipt as the program takes it: its bytes, and the accounts of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    bytes: Vec<u8>,
    rows: Vec<Address>,
    tops_up_rent: bool,
}

impl Receipt {
    /// `readable` says of a wallet whether the program can read it out of its token account (ADR 0020); a row of
    /// any other names the wallet itself, which costs 32 bytes. More than four credits need more rent than an open
    /// vault has: with `tops_up_rent` the payer of the transaction adds it.
    ///
    /// `None` for an amount beyond 64 bits.
    #[must_use]
    pub fn new(
        place: &Place,
        settlement: &Settlement,
        readable: impl Fn(&Address) -> bool,
        tops_up_rent: bool,
    ) -> Option<Self> {
        let rows = settlement.rows.as_slice();
        let mut bytes = vec![match settlement.outcome {
            Outcome::Paid => 1,
            Outcome::Rejected => 2,
        }];
        bytes.extend(settlement.receipt_cid.as_bytes());
        bytes.push(u8::try_from(rows.len()).ok()?);
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            bytes.push(match row.role {
                Role::Worker => 0,
                Role::Validator => 1,
            });
            bytes.extend(row.amount.to_u64()?.to_le_bytes());
            let wallet = address(&row.payee);
            let (account, bump) = place.tokens_of(&wallet)?;
            accounts.push(account);
            if bump > 0 && readable(&wallet) {
                bytes.push(bump);
            } else {
                bytes.push(0);
                bytes.extend(row.payee.as_bytes());
            }
        }
        Some(Self {
            bytes,
            rows: accounts,
            tops_up_rent,
        })
    }
}

/// Has the runtime check signatures over one message, in the one layout the program reads (#43).
///
/// `None` for no signature, or more than a set can have.
#[must_use]
pub fn ed25519(signatures: &[([u8; 32], [u8; 64])], message: &[u8; 32]) -> Option<Instruction> {
    let count = u16::try_from(signatures.len()).ok()?;
    if count == 0 || signatures.len() > MAX_VALIDATORS {
        return None;
    }
    let mut data = vec![u8::try_from(count).ok()?, 0];
    let first = count.checked_mul(14)?.checked_add(2)?;
    let message_at = first.checked_add(count.checked_mul(96)?)?;
    for place in 0..count {
        let key_at = first.checked_add(place.checked_mul(96)?)?;
        let signature_at = key_at.checked_add(32)?;
        let here = u16::MAX;
        for word in [signature_at, here, key_at, here, message_at, 32, here] {
            data.extend(word.to_le_bytes());
        }
    }
    for (key, signature) in signatures {
        data.extend(key);
        data.extend(signature);
    }
    data.extend(message);
    Some(Instruction {
        program_id: ED25519,
        accounts: Vec::new(),
        data,
    })
}

/// Limits the compute units of a transaction.
#[must_use]
pub fn unit_limit(units: u32) -> Instruction {
    let mut data = vec![2];
    data.extend(units.to_le_bytes());
    budget(data)
}

/// What a compute unit may cost, in micro-lamports.
#[must_use]
pub fn unit_price(micro_lamports: u64) -> Instruction {
    let mut data = vec![3];
    data.extend(micro_lamports.to_le_bytes());
    budget(data)
}

const fn budget(data: Vec<u8>) -> Instruction {
    Instruction {
        program_id: COMPUTE_BUDGET,
        accounts: Vec::new(),
        data,
    }
}

fn write(address: Address) -> AccountMeta {
    AccountMeta::new(address, false)
}

fn read(address: Address) -> AccountMeta {
    AccountMeta::new_readonly(address, false)
}

fn signer(address: Address) -> AccountMeta {
    AccountMeta::new(address, true)
}
