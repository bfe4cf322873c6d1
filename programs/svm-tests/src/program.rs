//! The program's instructions as a client in any language would write them.

use d402_settlement::{Key32, Outcome, Role, Settlement, Terms, ValidatorSet};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest, Sha256};
use solana_address::{Address, address};
use solana_instruction::{AccountMeta, Instruction};

use crate::token::ASSOCIATED;

pub const ID: Address = address!("9WtXEHG1vNwiuEqg9XdCmvRKbThp4p8Afianb3juYUSy");
pub const GENESIS: Address = address!("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG");
/// Where the tests load the relay.
pub const RELAY: Address = Address::new_from_array([0x52; 32]);
pub const SYSTEM: Address = address!("11111111111111111111111111111111");
pub const INSTRUCTIONS: Address = address!("Sysvar1nstructions1111111111111111111111111");
pub const ED25519: Address = address!("Ed25519SigVerify111111111111111111111111111");
pub const COMPUTE_BUDGET: Address = address!("ComputeBudget111111111111111111111111111111");

pub fn key(address: &Address) -> Key32 {
    Key32(address.to_bytes())
}

pub fn address_of(key: &Key32) -> Address {
    Address::new_from_array(key.0)
}

pub fn event_authority() -> Address {
    Address::find_program_address(&[b"__event_authority"], &ID).0
}

pub fn set_address(set: &ValidatorSet) -> Address {
    Address::find_program_address(&[b"vset", set.hash().as_bytes()], &ID).0
}

pub fn approval_address(vault: &Address, digest: &[u8; 32]) -> Address {
    Address::find_program_address(&[b"approval", vault.as_ref(), digest], &ID).0
}

pub fn write(address: Address) -> AccountMeta {
    AccountMeta::new(address, false)
}

pub fn read(address: Address) -> AccountMeta {
    AccountMeta::new_readonly(address, false)
}

pub fn signer(address: Address) -> AccountMeta {
    AccountMeta::new(address, true)
}

/// Discriminator, arguments, accounts, and the two accounts of events.
pub fn call(name: &str, arguments: &[u8], mut accounts: Vec<AccountMeta>) -> Instruction {
    accounts.extend([read(event_authority()), read(ID)]);
    let mut data = Sha256::digest(format!("global:{name}"))[..8].to_vec();
    data.extend(arguments);
    Instruction {
        program_id: ID,
        accounts,
        data,
    }
}

pub fn publish_set(payer: Address, set: &ValidatorSet) -> Instruction {
    let keys: Vec<[u8; 32]> = set.keys().iter().map(|key| key.0).collect();
    publish_keys(payer, set.m(), &keys, set_address(set))
}

pub fn publish_keys(payer: Address, m: u8, keys: &[[u8; 32]], account: Address) -> Instruction {
    let mut arguments = vec![m];
    arguments.extend(u32::try_from(keys.len()).unwrap().to_le_bytes());
    keys.iter().for_each(|key| arguments.extend(key));
    let accounts = vec![signer(payer), write(account), read(SYSTEM)];
    call("publish_set", &arguments, accounts)
}

/// Places of the accounts of `open`, for tests that put something else there.
pub mod open {
    pub const VAULT: usize = 1;
    pub const TOKENS: usize = 2;
    pub const MINT: usize = 3;
    pub const SET: usize = 4;
    pub const TOKEN_PROGRAM: usize = 5;
    pub const ASSOCIATED: usize = 6;
    pub const SYSTEM: usize = 7;
}

/// What every instruction about a vault needs to know.
#[derive(Clone)]
pub struct Place {
    pub terms: Terms,
    pub vault: Address,
    pub tokens: Address,
    pub mint: Address,
    pub token_program: Address,
    pub set: Address,
    pub rent_to: Address,
}

pub fn open(place: &Place, payer: Address) -> Instruction {
    call("open", &place.terms.encode(), open_accounts(place, payer))
}

fn open_accounts(place: &Place, payer: Address) -> Vec<AccountMeta> {
    vec![
        signer(payer),
        write(place.vault),
        write(place.tokens),
        read(place.mint),
        read(place.set),
        read(place.token_program),
        read(ASSOCIATED),
        read(SYSTEM),
    ]
}

pub fn open_funded(
    place: &Place,
    payer: Address,
    source: Address,
    authority: Address,
    amount: u64,
) -> Instruction {
    let mut accounts = open_accounts(place, payer);
    accounts.push(write(source));
    accounts.push(AccountMeta::new_readonly(authority, true));
    let arguments = [&place.terms.encode()[..], &amount.to_le_bytes()].concat();
    call("open_funded", &arguments, accounts)
}

/// How a row names its payee.
#[derive(Clone, Copy)]
pub enum Named {
    Bump(u8),
    Wallet,
}

/// Arguments of `settle` and `settle_approved`.
pub fn receipt_bytes(settlement: &Settlement, names: &[Named]) -> Vec<u8> {
    let mut data = vec![match settlement.outcome {
        Outcome::Paid => 1,
        Outcome::Rejected => 2,
    }];
    data.extend(settlement.receipt_cid.as_bytes());
    data.push(u8::try_from(settlement.rows.len()).unwrap());
    for (row, named) in settlement.rows.as_slice().iter().zip(names) {
        data.push(match row.role {
            Role::Worker => 0,
            Role::Validator => 1,
        });
        data.extend(row.amount.to_u64().unwrap().to_le_bytes());
        match named {
            Named::Bump(bump) => data.push(*bump),
            Named::Wallet => {
                data.push(0);
                data.extend(row.payee.as_bytes());
            }
        }
    }
    data
}

/// Places of the accounts of `settle`.
pub mod settle {
    pub const PAYER: usize = 0;
    pub const VAULT: usize = 1;
    pub const TOKENS: usize = 2;
    pub const MINT: usize = 3;
    pub const TOKEN_PROGRAM: usize = 4;
    pub const REFUND: usize = 5;
    pub const RENT_TO: usize = 6;
    pub const INSTRUCTIONS: usize = 7;
    pub const SET: usize = 8;
    pub const COMMISSION: usize = 9;
    pub const FEE: usize = 10;
    pub const EVENTS: usize = 11;
    pub const PROGRAM: usize = 12;
    pub const ROWS: usize = 13;
}

/// `settle`, or `settle_approved` when `approval` is given.
pub fn settle(
    place: &Place,
    payer: Address,
    receipt: &[u8],
    (refund, commission, fee): (Address, Option<Address>, Option<Address>),
    rows: &[Address],
    approval: Option<Address>,
) -> Instruction {
    let optional = |account: Option<Address>| account.map_or(read(ID), write);
    let accounts = vec![
        signer(payer),
        write(place.vault),
        write(place.tokens),
        read(place.mint),
        read(place.token_program),
        write(refund),
        write(place.rent_to),
        read(approval.unwrap_or(INSTRUCTIONS)),
        read(place.set),
        optional(commission),
        optional(fee),
    ];
    let name = if approval.is_some() {
        "settle_approved"
    } else {
        "settle"
    };
    let mut instruction = call(name, receipt, accounts);
    instruction
        .accounts
        .extend(rows.iter().map(|row| write(*row)));
    instruction
}

pub fn approve(place: &Place, payer: Address, digest: &[u8; 32]) -> Instruction {
    let accounts = vec![
        signer(payer),
        read(place.vault),
        write(approval_address(&place.vault, digest)),
        read(place.set),
        read(INSTRUCTIONS),
        read(SYSTEM),
    ];
    call("approve", &[], accounts)
}

pub fn claim_credit(place: &Place, payee: Address, to: Address) -> Instruction {
    let arguments = [&place.terms.encode()[..], payee.as_ref()].concat();
    let accounts = vec![
        write(place.vault),
        write(place.tokens),
        read(place.mint),
        read(place.token_program),
        write(to),
    ];
    call("claim_credit", &arguments, accounts)
}

pub fn claim_credit_to(place: &Place, payee: Address, to: Address) -> Instruction {
    let accounts = vec![
        AccountMeta::new_readonly(payee, true),
        write(place.vault),
        write(place.tokens),
        read(place.mint),
        read(place.token_program),
        write(to),
    ];
    call("claim_credit_to", &place.terms.encode(), accounts)
}

pub fn lapse_credits(place: &Place) -> Instruction {
    call("lapse_credits", &[], vec![write(place.vault)])
}

pub fn sweep(place: &Place, caller: Address, to: Address) -> Instruction {
    call(
        "sweep",
        &place.terms.encode(),
        sweep_accounts(place, caller, to),
    )
}

pub fn sweep_to(place: &Place, refund_to: Address, to: Address) -> Instruction {
    let accounts = sweep_accounts(place, refund_to, to);
    call("sweep_to", &place.terms.encode(), accounts)
}

fn sweep_accounts(place: &Place, caller: Address, to: Address) -> Vec<AccountMeta> {
    vec![
        signer(caller),
        read(place.vault),
        write(place.tokens),
        read(place.mint),
        read(place.token_program),
        write(to),
        write(place.rent_to),
    ]
}

pub fn close_unfunded(place: &Place) -> Instruction {
    let accounts = vec![
        write(place.vault),
        write(place.tokens),
        read(place.mint),
        read(place.token_program),
        write(place.rent_to),
    ];
    call("close_unfunded", &place.terms.encode(), accounts)
}

/// `close`; the last three accounts are only needed for an open vault.
pub fn close(place: &Place, open: bool) -> Instruction {
    let optional = |account: Address| read(if open { account } else { ID });
    let accounts = vec![
        write(place.vault),
        write(place.rent_to),
        optional(place.tokens),
        optional(place.mint),
        optional(place.token_program),
    ];
    call("close", &[], accounts)
}

pub fn close_approval(vault: &Address, digest: &[u8; 32], rent_to: Address) -> Instruction {
    let accounts = vec![
        read(*vault),
        write(approval_address(vault, digest)),
        write(rent_to),
    ];
    call("close_approval", digest, accounts)
}

/// The Ed25519 instruction in the one layout the program reads.
pub fn ed25519(keys: &[&SigningKey], message: &[u8; 32]) -> Instruction {
    let k = u16::try_from(keys.len()).unwrap();
    let mut data = vec![u8::try_from(k).unwrap(), 0];
    let message_at = 2 + 110 * k;
    for i in 0..k {
        let key_at = 2 + 14 * k + 96 * i;
        let words = [
            key_at + 32,
            u16::MAX,
            key_at,
            u16::MAX,
            message_at,
            32,
            u16::MAX,
        ];
        words
            .iter()
            .for_each(|word| data.extend(word.to_le_bytes()));
    }
    for key in keys {
        data.extend(key.verifying_key().to_bytes());
        data.extend(key.sign(message).to_bytes());
    }
    data.extend(message);
    Instruction {
        program_id: ED25519,
        accounts: Vec::new(),
        data,
    }
}

/// The same instruction, but called by the relay program.
pub fn relayed(instruction: Instruction) -> Instruction {
    let mut accounts = vec![read(instruction.program_id)];
    accounts.extend(instruction.accounts);
    Instruction {
        program_id: RELAY,
        accounts,
        data: instruction.data,
    }
}

/// What every real transaction carries too: a limit and a price.
pub fn compute_budget(limit: u32) -> [Instruction; 2] {
    let instruction = |data: Vec<u8>| Instruction {
        program_id: COMPUTE_BUDGET,
        accounts: Vec::new(),
        data,
    };
    [
        instruction([&[2][..], &limit.to_le_bytes()].concat()),
        instruction([&[3][..], &1_000u64.to_le_bytes()].concat()),
    ]
}
