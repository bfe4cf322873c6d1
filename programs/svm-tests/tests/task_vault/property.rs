//! Any command sequence gives the same ledger on chain as in the Rust core: the same refusals, the same bytes,
//! the same balances, to the unit.

use d402_settlement::ledger::{Command, Refusal, Unpayable, VaultAccount, VaultState, apply};
use d402_settlement::{
    Approvals, Key32, NotSettleable, Outcome, PlanRefusal, Role, Settlement, StrictEd25519,
    UnixSeconds,
};
use ed25519_dalek::Signer as _;
use proptest::prelude::*;
use solana_address::Address;
use solana_signer::Signer;
use svm_tests::chain::{Done, Failed};
use svm_tests::idl::code;
use svm_tests::program::{address_of, key};
use svm_tests::scene::*;

#[derive(Clone, Debug)]
enum Step {
    Open,
    Deposit(u64),
    Settle {
        rows: Vec<u64>,
        fee: u64,
        signers: u8,
    },
    Claim(u8),
    Lapse,
    Sweep,
    Close,
    CloseUnfunded,
    Freeze(u8),
    Wait(u8),
}

/// Moments at which something changes; time only goes forward.
const MOMENTS: [i64; 8] = [
    ISSUED,
    ISSUED + 119,
    ISSUED + 120,
    SETTLE_BY - 1,
    SETTLE_BY,
    REFUND_AFTER - 1,
    REFUND_AFTER,
    CREDITS_UNTIL,
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Open),
        4 => (1u64..15_000).prop_map(Step::Deposit),
        6 => (prop::collection::vec(0u64..6_000, 1..4), 0u64..1_200, 0u8..16)
            .prop_map(|(rows, fee, signers)| Step::Settle { rows, fee, signers: signers | 0b11 }),
        3 => (0u8..6).prop_map(Step::Claim),
        1 => Just(Step::Lapse),
        3 => Just(Step::Sweep),
        2 => Just(Step::Close),
        1 => Just(Step::CloseUnfunded),
        3 => (0u8..7).prop_map(Step::Freeze),
        3 => (1u8..3).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 4..30)
}

/// Everybody who may be frozen or have a credit.
fn people() -> [Key32; 7] {
    [
        worker(0),
        worker(1),
        worker(2),
        judge(0),
        creator(),
        gateway(),
        buyer(),
    ]
    .map(|who| key(&who.pubkey()))
}

struct Twin {
    scene: Scene,
    core: VaultState,
    moment: usize,
    frozen: Vec<Key32>,
    /// What the core says everybody has.
    owned: Vec<(Key32, u128)>,
    settled: u32,
}

impl Twin {
    fn new(on_silence: u8) -> Self {
        let mut scene = Scene::with(3, 4, |terms| terms.on_silence = on_silence);
        scene.publish();
        let owned = people()
            .map(|who| (who, u128::from(scene.balance_of(&address_of(&who)))))
            .to_vec();
        Self {
            core: VaultState::absent(scene.site()),
            scene,
            moment: 0,
            frozen: Vec::new(),
            owned,
            settled: 0,
        }
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds(MOMENTS[self.moment])
    }

    fn payable(&self, who: &Key32) -> bool {
        !self.frozen.contains(who)
    }

    /// Runs one command in both, and compares everything.
    fn both(&mut self, command: &Command<'_>, on_chain: Result<Done, Failed>) {
        match (apply(&self.core, command, self.now()), on_chain) {
            (Ok((next, effects)), Ok(_)) => {
                self.core = next;
                for transfer in &effects.transfers {
                    let owned = self.owned.iter_mut().find(|(who, _)| *who == transfer.to);
                    owned.unwrap().1 += transfer.amount.get();
                }
                if effects.deposited.get() > 0 {
                    self.owned[6].1 -= effects.deposited.get();
                }
                self.settled += u32::from(matches!(command, Command::Settle { .. }));
            }
            (Err(refusal), Err(failed)) => {
                let expected = names(&refusal);
                let got = failed.code();
                assert!(
                    expected.iter().any(|name| got == Some(code(name))),
                    "core: {refusal:?}, chain: {:?}\n{}",
                    failed.error,
                    failed.logs.join("\n")
                );
            }
            (Ok(_), Err(failed)) => panic!(
                "only the chain refuses {command:?}: {:?}\n{}",
                failed.error,
                failed.logs.join("\n")
            ),
            (Err(refusal), Ok(_)) => panic!("only the core refuses {command:?}: {refusal}"),
        }
        self.compare();
    }

    fn compare(&self) {
        let bytes = self.core.encode_account().unwrap();
        let stored = self.scene.chain.data(&self.scene.vault());
        assert_eq!(stored, bytes.as_slice(), "state");
        let tokens = self.scene.chain.account(&self.scene.place().tokens);
        assert_eq!(
            tokens.is_some(),
            self.core.tokens.is_some(),
            "token account"
        );
        let balance = u128::from(self.scene.vault_balance());
        assert_eq!(balance, self.core.balance().get(), "balance");
        for (who, owned) in &self.owned {
            let has = u128::from(self.scene.balance_of(&address_of(who)));
            assert_eq!(has, *owned, "{who}");
        }
        assert!(self.settled <= 1, "a receipt was executed twice");
    }

    fn settle(&mut self, rows: &[u64], fee: u64, signers: u8) {
        let mut list: Vec<_> = rows
            .iter()
            .zip(0u8..)
            .filter(|(amount, _)| **amount > 0)
            .map(|(amount, i)| row(&worker(i), Role::Worker, *amount))
            .collect();
        if fee > 0 {
            list.push(row(&judge(0), Role::Validator, fee));
        }
        let outcome = if rows.iter().any(|amount| *amount > 0) {
            Outcome::Paid
        } else {
            Outcome::Rejected
        };
        let settlement: Settlement = receipt(outcome, list);
        let indexes: Vec<usize> = (0..4).filter(|i| signers & (1 << i) != 0).collect();
        let digest = self.scene.digest(&settlement);
        let signatures: Vec<(u8, [u8; 64])> = indexes
            .iter()
            .map(|i| {
                let signature = self.scene.keys[*i].sign(&digest).to_bytes();
                (u8::try_from(*i).unwrap(), signature)
            })
            .collect();
        let approvals =
            Approvals::check(&self.scene.set, digest, &signatures, &StrictEd25519).unwrap();
        let unpayable = Unpayable::among(people(), |who| self.payable(who)).unwrap();
        let mut instruction = self.scene.settle_instruction(&settlement, false);
        instruction
            .accounts
            .push(svm_tests::program::read(svm_tests::program::SYSTEM));
        let signed = self.scene.signed(&settlement, &indexes);
        let done = self.scene.chain.send(&[signed, instruction], &[&payer()]);
        let command = Command::Settle {
            settlement: &settlement,
            approvals: &approvals,
            unpayable: &unpayable,
        };
        self.both(&command, done);
    }

    fn step(&mut self, step: &Step) {
        let terms = self.scene.terms;
        match step {
            Step::Open => {
                let set = self.scene.set;
                let done = self.scene.open();
                let command = Command::Open {
                    terms: &terms,
                    amount: units(0),
                    mint_allowed: true,
                    set: Some(&set),
                };
                self.both(&command, done);
            }
            Step::Deposit(amount) if self.core.tokens.is_some() => {
                // A frozen buyer cannot send; that is the token's rule, not the ledger's.
                if self.payable(&people()[6]) {
                    let done = self.scene.deposit(*amount);
                    let amount = units(*amount);
                    self.both(&Command::Deposit { amount }, done);
                }
            }
            Step::Deposit(_) => {}
            Step::Settle { rows, fee, signers } => self.settle(rows, *fee, *signers),
            Step::Claim(who) => {
                let payee = people()[usize::from(*who)];
                let payable = self.payable(&payee);
                let wallet: Address = address_of(&payee);
                let done = self.scene.claim(&wallet);
                self.both(&Command::ClaimCredit { payee, payable }, done);
            }
            Step::Lapse => {
                let done = self.scene.lapse();
                self.both(&Command::LapseCredits, done);
            }
            Step::Sweep => {
                let payable = self.payable(&terms.refund_to);
                let done = self.scene.sweep();
                let command = Command::Sweep {
                    terms: &terms,
                    payable,
                };
                self.both(&command, done);
            }
            Step::Close => {
                let done = self.scene.close();
                self.both(&Command::Close, done);
            }
            Step::CloseUnfunded => {
                let done = self.scene.close_unfunded();
                self.both(&Command::CloseUnfunded { terms: &terms }, done);
            }
            Step::Freeze(who) => {
                let who = people()[usize::from(*who)];
                let frozen = self.payable(&who);
                self.scene.freeze(&address_of(&who), frozen);
                if frozen {
                    self.frozen.push(who);
                } else {
                    self.frozen.retain(|other| *other != who);
                }
            }
            Step::Wait(moments) => {
                let last = MOMENTS.len() - 1;
                self.moment = last.min(self.moment + usize::from(*moments));
                self.scene.chain.at(MOMENTS[self.moment]);
            }
        }
    }
}

/// The codes that say this. A vault without a state cannot be read, which the program says first.
fn names(refusal: &Refusal) -> Vec<&'static str> {
    match refusal {
        Refusal::NotSettleable(NotSettleable::IssuedInTheFuture) => vec!["TermsIssuedInTheFuture"],
        Refusal::AlreadySettled => vec!["AlreadySettled"],
        Refusal::NotOpen | Refusal::NothingToClose => vec!["NotAVault", "NothingToClose"],
        Refusal::NotSettled => vec!["NotSettled", "NotAVault"],
        Refusal::TooLate { .. } => vec!["TooLate"],
        Refusal::TooEarly { .. } => vec!["TooEarly"],
        Refusal::NotEnoughSignatures { .. } => vec!["NotEnoughSignatures"],
        Refusal::Plan(PlanRefusal::ValidatorsOverCap { .. }) => vec!["ValidatorsOverCap"],
        Refusal::Plan(PlanRefusal::OverBudget { .. }) => vec!["OverBudget"],
        Refusal::Plan(PlanRefusal::Underfunded { .. }) => vec!["Underfunded"],
        Refusal::NoCredit { .. } => vec!["NoCredit"],
        Refusal::NoCredits => vec!["NoCredits"],
        Refusal::CreditsOutstanding { .. } => vec!["CreditsOutstanding"],
        Refusal::NotEmpty { .. } => vec!["NotEmpty"],
        Refusal::Unpayable { .. } => vec!["Unpayable"],
        Refusal::NothingToSweep => vec!["NothingToSweep"],
        other => panic!("no sequence here should meet {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn m1_any_command_sequence_gives_the_same_ledger_as_the_rust_core(
        on_silence in 0u8..2,
        steps in steps(),
    ) {
        let mut twin = Twin::new(on_silence);
        for step in &steps {
            twin.step(step);
        }
        // M5a: whatever happened, time and anyone's commands empty it.
        let frozen = twin.frozen.clone();
        for who in frozen {
            let index = people().iter().position(|other| *other == who).unwrap();
            twin.step(&Step::Freeze(u8::try_from(index).unwrap()));
        }
        twin.step(&Step::Wait(8));
        for step in [Step::Lapse, Step::Sweep, Step::Close] {
            twin.step(&step);
        }
        prop_assert_eq!(twin.scene.vault_balance(), 0);
        prop_assert!(twin.core.account == VaultAccount::Absent);
    }
}
