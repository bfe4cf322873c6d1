//! One task on the chain: terms, validators, wallets and their token accounts.

use d402_settlement::ledger::{VaultSite, VaultState};
use d402_settlement::{
    Bps, Domain, Key32, Outcome, ReceiptCid, Role, Row, Rows, Settlement, TaskId, Terms, Units,
    UnixSeconds, ValidatorSet, settlement_digest,
};
use ed25519_dalek::SigningKey;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::chain::{Chain, Done, Failed};
use crate::idl::code;
use crate::program::{self, Named, Place, address_of, key};
use crate::token::{self, RENT_ATA, TOKEN, account_bytes, ata, mint_bytes};

pub const ISSUED: i64 = 1_800_000_000;
pub const SETTLE_BY: i64 = ISSUED + 300;
pub const REFUND_AFTER: i64 = SETTLE_BY + 900;
pub const CREDITS_UNTIL: i64 = REFUND_AFTER + 180 * 86_400;

pub const DOMAIN: Domain = Domain {
    genesis: program::GENESIS.to_bytes(),
    program: Key32(program::ID.to_bytes()),
};

pub fn wallet(seed: u8) -> Keypair {
    Keypair::new_from_array([seed; 32])
}

pub fn units(raw: u64) -> Units {
    Units::from_u64(raw)
}

/// `n` signing keys in set order, and their set.
pub fn validators(m: u8, n: u8) -> (ValidatorSet, Vec<SigningKey>) {
    let mut keys: Vec<SigningKey> = (1..=n)
        .map(|i| SigningKey::from_bytes(&[100 + i; 32]))
        .collect();
    keys.sort_by_key(|key| key.verifying_key().to_bytes());
    let members: Vec<Key32> = keys
        .iter()
        .map(|key| Key32(key.verifying_key().to_bytes()))
        .collect();
    (ValidatorSet::new(m, &members).unwrap(), keys)
}

#[derive(Clone)]
pub struct Scene {
    pub chain: Chain,
    pub terms: Terms,
    pub set: ValidatorSet,
    pub keys: Vec<SigningKey>,
    pub mint: Address,
    pub token_program: Address,
}

/// Who does what. Ordinary wallets, all different.
pub fn payer() -> Keypair {
    wallet(1)
}
pub fn buyer() -> Keypair {
    wallet(2)
}
pub fn sponsor() -> Keypair {
    wallet(3)
}
pub fn creator() -> Keypair {
    wallet(4)
}
pub fn gateway() -> Keypair {
    wallet(5)
}
pub fn stranger() -> Keypair {
    wallet(6)
}
pub fn worker(i: u8) -> Keypair {
    wallet(20 + i)
}
pub fn judge(i: u8) -> Keypair {
    wallet(60 + i)
}

impl Scene {
    /// 3 of 5, commission 10 %, fee 2 %, budget 10,000, nothing on chain but wallets.
    pub fn new() -> Self {
        Self::with(3, 5, |_| {})
    }

    pub fn with(m: u8, n: u8, change: impl FnOnce(&mut Terms)) -> Self {
        let (set, keys) = validators(m, n);
        let mint = Address::new_from_array([0x33; 32]);
        let mut chain = Chain::new();
        chain.at(ISSUED);
        chain.set(mint, TOKEN, 1_461_600, mint_bytes(6));
        for who in [payer(), buyer(), stranger()] {
            chain.rich(&who);
        }
        // Rent goes here; it exists, like any wallet that sponsored something.
        chain.set(sponsor().pubkey(), program::SYSTEM, 1_000_000, Vec::new());
        let mut terms = Terms {
            version: 1,
            on_silence: 0,
            commission_bps: Bps(1_000),
            gateway_fee_bps: Bps(200),
            reserved: 0,
            budget: 10_000,
            validator_fee_cap: 1_000,
            issued_at: UnixSeconds(ISSUED),
            settle_by: UnixSeconds(SETTLE_BY),
            refund_after: UnixSeconds(REFUND_AFTER),
            task_id: TaskId([1; 32]),
            mint: key(&mint),
            refund_to: key(&buyer().pubkey()),
            validator_set: set.hash(),
            commission_payee: key(&creator().pubkey()),
            gateway_fee_payee: key(&gateway().pubkey()),
            rent_to: key(&sponsor().pubkey()),
            salt: [8; 32],
        };
        change(&mut terms);
        let mut scene = Self {
            chain,
            terms,
            set,
            keys,
            mint,
            token_program: TOKEN,
        };
        for who in [
            buyer(),
            creator(),
            gateway(),
            worker(0),
            worker(1),
            worker(2),
            judge(0),
        ] {
            scene.give_account(&who.pubkey(), 0);
        }
        let funds = scene.tokens_of(&buyer().pubkey());
        scene.chain.patch(&funds, |account| {
            account.data[64..72].copy_from_slice(&1_000_000_000u64.to_le_bytes());
        });
        scene
    }

    /// With the set published and the vault open.
    pub fn opened() -> Self {
        let mut scene = Self::new();
        scene.publish();
        scene.open().unwrap();
        scene
    }

    /// Open, with this much money in it.
    pub fn funded(amount: u64) -> Self {
        let mut scene = Self::opened();
        scene.deposit(amount).unwrap();
        scene
    }

    pub fn place(&self) -> Place {
        self.place_of(&self.terms)
    }

    pub fn place_of(&self, terms: &Terms) -> Place {
        let vault = address_of(&VaultSite::of(&DOMAIN, terms).unwrap().vault);
        Place {
            terms: *terms,
            vault,
            tokens: ata(&vault, &self.mint, &self.token_program).0,
            mint: self.mint,
            token_program: self.token_program,
            set: program::set_address(&self.set),
            rent_to: address_of(&terms.rent_to),
        }
    }

    pub fn site(&self) -> VaultSite {
        VaultSite::of(&DOMAIN, &self.terms).unwrap()
    }

    pub fn vault(&self) -> Address {
        self.place().vault
    }

    /// A wallet's canonical token account.
    pub fn tokens_of(&self, wallet: &Address) -> Address {
        ata(wallet, &self.mint, &self.token_program).0
    }

    pub fn give_account(&mut self, wallet: &Address, amount: u64) -> Address {
        let address = self.tokens_of(wallet);
        let data = account_bytes(&self.mint, wallet, amount);
        self.chain.set(address, self.token_program, RENT_ATA, data);
        address
    }

    pub fn balance_of(&self, wallet: &Address) -> u64 {
        self.balance_at(&self.tokens_of(wallet))
    }

    pub fn balance_at(&self, account: &Address) -> u64 {
        let data = self.chain.data(account);
        if data.is_empty() {
            0
        } else {
            token::amount(&data)
        }
    }

    pub fn vault_balance(&self) -> u64 {
        self.balance_at(&self.place().tokens)
    }

    pub fn freeze(&mut self, wallet: &Address, frozen: bool) {
        let account = self.tokens_of(wallet);
        self.chain
            .patch(&account, |account| account.data[108] = 1 + u8::from(frozen));
    }

    /// The vault as the ledger reads it.
    pub fn state(&self) -> VaultState {
        let data = self.chain.data(&self.vault());
        let tokens = self.chain.data(&self.place().tokens);
        let tokens = (!tokens.is_empty()).then(|| units(token::amount(&tokens)));
        VaultState::decode_account(self.site(), &data, tokens).unwrap()
    }

    pub fn send(&mut self, instruction: Instruction) -> Result<Done, Failed> {
        self.chain.send(&[instruction], &[&payer()])
    }

    pub fn publish(&mut self) {
        let instruction = program::publish_set(payer().pubkey(), &self.set);
        self.send(instruction).unwrap();
    }

    pub fn open(&mut self) -> Result<Done, Failed> {
        let instruction = program::open(&self.place(), payer().pubkey());
        self.send(instruction)
    }

    /// A plain transfer by the buyer.
    pub fn deposit(&mut self, amount: u64) -> Result<Done, Failed> {
        let (from, place) = (self.tokens_of(&buyer().pubkey()), self.place());
        let instruction = token::transfer(
            &from,
            &self.mint,
            &place.tokens,
            &buyer().pubkey(),
            amount,
            &self.token_program,
        );
        self.chain.send(&[instruction], &[&buyer()])
    }

    pub fn digest(&self, settlement: &Settlement) -> [u8; 32] {
        settlement_digest(&DOMAIN, &self.terms.hash(&DOMAIN), settlement)
    }

    /// The Ed25519 instruction of these members over this receipt.
    pub fn signed(&self, settlement: &Settlement, signers: &[usize]) -> Instruction {
        let keys: Vec<&SigningKey> = signers.iter().map(|i| &self.keys[*i]).collect();
        program::ed25519(&keys, &self.digest(settlement))
    }

    /// `settle` (or `settle_approved`) with the right accounts for what is on chain now.
    pub fn settle_instruction(&self, settlement: &Settlement, approved: bool) -> Instruction {
        let place = self.place();
        let mut names = Vec::new();
        let mut rows = Vec::new();
        for row in settlement.rows.as_slice() {
            let wallet = address_of(&row.payee);
            let (tokens, bump) = ata(&wallet, &self.mint, &self.token_program);
            names.push(if self.is_account_of(&wallet, &tokens) {
                Named::Bump(bump)
            } else {
                Named::Wallet
            });
            rows.push(tokens);
        }
        let optional =
            |payee: &Key32| (!payee.is_zero()).then(|| self.tokens_of(&address_of(payee)));
        let fixed = (
            self.tokens_of(&address_of(&self.terms.refund_to)),
            optional(&self.terms.commission_payee),
            optional(&self.terms.gateway_fee_payee),
        );
        let receipt = program::receipt_bytes(settlement, &names);
        let approval =
            approved.then(|| program::approval_address(&place.vault, &self.digest(settlement)));
        program::settle(&place, payer().pubkey(), &receipt, fixed, &rows, approval)
    }

    /// An initialised token account of this wallet and the scene's mint.
    fn is_account_of(&self, wallet: &Address, tokens: &Address) -> bool {
        self.chain.account(tokens).is_some_and(|account| {
            account.owner == self.token_program
                && token::is_well_formed(&account.data)
                && account.data[..32] == self.mint.to_bytes()
                && account.data[32..64] == wallet.to_bytes()
                && account.data[108] != 0
        })
    }

    pub fn settle_by(
        &mut self,
        settlement: &Settlement,
        signers: &[usize],
    ) -> Result<Done, Failed> {
        let instructions = [
            self.signed(settlement, signers),
            self.settle_instruction(settlement, false),
        ];
        self.chain.send(&instructions, &[&payer()])
    }

    /// By the first m members.
    pub fn settle(&mut self, settlement: &Settlement) -> Result<Done, Failed> {
        let signers: Vec<usize> = (0..usize::from(self.set.m())).collect();
        self.settle_by(settlement, &signers)
    }

    pub fn sweep(&mut self) -> Result<Done, Failed> {
        let to = self.tokens_of(&address_of(&self.terms.refund_to));
        let instruction = program::sweep(&self.place(), payer().pubkey(), to);
        self.send(instruction)
    }

    pub fn claim(&mut self, payee: &Address) -> Result<Done, Failed> {
        let instruction = program::claim_credit(&self.place(), *payee, self.tokens_of(payee));
        self.send(instruction)
    }

    pub fn lapse(&mut self) -> Result<Done, Failed> {
        let instruction = program::lapse_credits(&self.place());
        self.send(instruction)
    }

    pub fn close_unfunded(&mut self) -> Result<Done, Failed> {
        let instruction = program::close_unfunded(&self.place());
        self.send(instruction)
    }

    pub fn close(&mut self) -> Result<Done, Failed> {
        let instruction = program::close(&self.place(), true);
        self.send(instruction)
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

pub fn row(who: &Keypair, role: Role, amount: u64) -> Row {
    Row {
        payee: key(&who.pubkey()),
        role,
        amount: units(amount),
    }
}

/// A receipt with these rows, sorted.
pub fn receipt(outcome: Outcome, mut rows: Vec<Row>) -> Settlement {
    rows.sort_by_key(|row| row.payee);
    Settlement {
        receipt_cid: ReceiptCid([9; 32]),
        outcome,
        rows: Rows::new(&rows).unwrap(),
    }
}

/// Two workers and a validator: 6,000 + 2,000 + 500, fee 160.
pub fn usual() -> Settlement {
    receipt(
        Outcome::Paid,
        vec![
            row(&worker(0), Role::Worker, 6_000),
            row(&worker(1), Role::Worker, 2_000),
            row(&judge(0), Role::Validator, 500),
        ],
    )
}

/// Fails unless the program refused with this code.
#[track_caller]
pub fn refused(result: Result<Done, Failed>, name: &str) {
    let failed = match result {
        Ok(_) => panic!("accepted, expected {name}"),
        Err(failed) => failed,
    };
    assert_eq!(
        failed.code(),
        Some(code(name)),
        "expected {name}: {:?}\n{}",
        failed.error,
        failed.logs.join("\n")
    );
}

/// Fails unless something refused, the runtime or another program.
#[track_caller]
pub fn failed(result: Result<Done, Failed>) {
    assert!(result.is_err(), "accepted");
}

/// Fails with the logs unless it was accepted.
#[track_caller]
pub fn accepted(result: Result<Done, Failed>) -> Done {
    result.unwrap_or_else(|failed| panic!("{:?}\n{}", failed.error, failed.logs.join("\n")))
}
