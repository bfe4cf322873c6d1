//! The Rust twin of the contract: the rules of spec §3.1 as they are on Base.

use d402_settlement::evm::{EvmAccount, EvmTerms, chain_word};
use d402_settlement::ledger::base::{BaseCommand, BaseRefusal, Escrow};
use d402_settlement::ledger::{Effects, Refusal, TransferKind, Unpayable};
use d402_settlement::{Approvals, Settlement, Units};
use k256::ecdsa::SigningKey;

use crate::scene::{
    ASSET, BUYER, ISSUED, JUDGE, REFUND_AFTER, SEPOLIA, SETTLE_BY, WORKER, account, at, base_terms,
    judge, paid, rejected, sign, units, validators, worker,
};

const CREDITS_UNTIL: i64 = REFUND_AFTER + 180 * 86_400;

struct Stage {
    terms: EvmTerms,
    signers: d402_settlement::evm::EvmSigners,
    keys: Vec<SigningKey>,
    escrow: Escrow,
}

impl Stage {
    fn with(change: impl FnOnce(&mut EvmTerms)) -> Self {
        let (signers, keys) = validators(3, 4, 0);
        let mut terms = base_terms(signers.hash());
        change(&mut terms);
        let escrow = Escrow::of(&SEPOLIA, &terms);
        Self {
            terms,
            signers,
            keys,
            escrow,
        }
    }

    fn funded(amount: u64) -> Self {
        let mut stage = Self::with(|_| {});
        stage.deposit(amount);
        stage
    }

    fn run(&mut self, command: &BaseCommand<'_>, now: i64) -> Result<Effects, BaseRefusal> {
        let (next, effects) = self.escrow.apply(command, at(now))?;
        let out: u128 = effects.transfers.iter().map(|t| t.amount.get()).sum();
        // M1a and M1b after every command; wrong tokens are not in this balance.
        if !matches!(command, BaseCommand::Sweep { other: Some(_), .. }) {
            let before = self.escrow.balance().get() + effects.deposited.get();
            assert_eq!(before, next.balance().get() + out);
        }
        assert!(next.balance() >= next.credits());
        assert!(effects.rent.is_empty(), "nobody pays rent");
        self.escrow = next;
        Ok(effects)
    }

    fn deposit(&mut self, amount: u64) {
        let amount = units(amount);
        self.run(&BaseCommand::Deposit { amount }, ISSUED).unwrap();
    }

    fn pay(&mut self, amount: u64, now: i64) -> Result<Effects, BaseRefusal> {
        let (terms, amount) = (self.terms, units(amount));
        let command = BaseCommand::Pay {
            terms: &terms,
            amount,
        };
        self.run(&command, now)
    }

    fn approvals(&self, settlement: &Settlement, count: usize) -> Approvals {
        let digest = SEPOLIA.settlement_digest(&self.terms.hash(&SEPOLIA.ledger), settlement);
        let signatures: Vec<(u8, [u8; 65])> = (0u8..)
            .zip(&self.keys)
            .take(count)
            .map(|(index, key)| (index, sign(key, &digest)))
            .collect();
        let signatures: Vec<(u8, &[u8])> =
            signatures.iter().map(|(i, s)| (*i, s.as_slice())).collect();
        self.signers.check(digest, &signatures).unwrap()
    }

    fn settle(
        &mut self,
        settlement: &Settlement,
        (signers, frozen): (usize, &[EvmAccount]),
        now: i64,
    ) -> Result<Effects, BaseRefusal> {
        let approvals = self.approvals(settlement, signers);
        let frozen = frozen.iter().map(|account| account.to_key());
        let unpayable = Unpayable::among(frozen, |_| false).unwrap();
        let terms = self.terms;
        let command = BaseCommand::Settle {
            terms: &terms,
            settlement,
            approvals: &approvals,
            unpayable: &unpayable,
        };
        self.run(&command, now)
    }

    fn sweep(&mut self, now: i64) -> Result<Effects, BaseRefusal> {
        self.sweep_as(None, None, now)
    }

    fn sweep_as(
        &mut self,
        other: Option<Units>,
        to: Option<(EvmAccount, EvmAccount)>,
        now: i64,
    ) -> Result<Effects, BaseRefusal> {
        let terms = self.terms;
        let command = BaseCommand::Sweep {
            terms: &terms,
            other,
            to,
            payable: true,
        };
        self.run(&command, now)
    }

    fn claim(&mut self, payee: EvmAccount, now: i64) -> Result<Effects, BaseRefusal> {
        let command = BaseCommand::Claim {
            payee,
            to: None,
            payable: true,
        };
        self.run(&command, now)
    }
}

fn receipt() -> Settlement {
    paid(&[worker(WORKER, 5_000), judge(JUDGE, 600)])
}

fn refused(result: Result<Effects, BaseRefusal>) -> Refusal {
    match result.unwrap_err() {
        BaseRefusal::Ledger(refusal) => refusal,
        other => panic!("{other}"),
    }
}

fn all_to(effects: &Effects, to: EvmAccount) -> u128 {
    effects
        .transfers
        .iter()
        .filter(|t| t.to == to.to_key())
        .map(|t| t.amount.get())
        .sum()
}

#[test]
fn a_plain_transfer_settles_with_no_record_before() {
    let mut stage = Stage::funded(10_000);
    let effects = stage.settle(&receipt(), (3, &[]), ISSUED + 5).unwrap();
    let amounts: Vec<u128> = effects.transfers.iter().map(|t| t.amount.get()).collect();
    assert_eq!(amounts, [4_500, 600, 500, 100, 4_300]);
    assert!(stage.escrow.is_marked() && stage.escrow.balance().is_zero());
}

#[test]
fn a_rejected_task_pays_the_judges_and_refunds_the_rest() {
    let mut stage = Stage::funded(10_000);
    let receipt = rejected(&[judge(JUDGE, 600)]);
    let effects = stage.settle(&receipt, (3, &[]), ISSUED + 5).unwrap();
    assert_eq!(all_to(&effects, JUDGE), 600);
    assert_eq!(all_to(&effects, BUYER), 9_400);
}

#[test]
fn m2e_a_receipt_executes_once_and_never_after_the_refund() {
    let mut stage = Stage::funded(10_000);
    stage.settle(&receipt(), (3, &[]), ISSUED + 5).unwrap();
    stage.deposit(10_000);
    let again = stage.settle(&receipt(), (3, &[]), ISSUED + 6);
    assert_eq!(refused(again), Refusal::AlreadySettled);
    assert_eq!(all_to(&stage.sweep(ISSUED + 7).unwrap(), BUYER), 10_000);
    let mut late = Stage::funded(10_000);
    late.sweep(REFUND_AFTER).unwrap();
    late.deposit(10_000);
    assert!(late.settle(&receipt(), (3, &[]), REFUND_AFTER - 1).is_err());
}

#[test]
fn m4a_at_the_last_second_only_settle_and_from_the_next_only_sweep() {
    for (now, settles) in [(REFUND_AFTER - 1, true), (REFUND_AFTER, false)] {
        let mut stage = Stage::funded(10_000);
        assert_eq!(stage.sweep(now).is_ok(), !settles);
        let mut stage = Stage::funded(10_000);
        assert_eq!(stage.settle(&receipt(), (3, &[]), now).is_ok(), settles);
    }
}

#[test]
fn m2a_fewer_than_needed_move_nothing() {
    let mut stage = Stage::funded(10_000);
    for count in 0..3 {
        let few = stage.settle(&receipt(), (count, &[]), SETTLE_BY);
        assert!(matches!(
            refused(few),
            Refusal::NotEnoughSignatures { need: 3, .. }
        ));
    }
    assert_eq!(stage.escrow.balance(), units(10_000));
    stage.settle(&receipt(), (4, &[]), SETTLE_BY).unwrap();
}

#[test]
fn m4c_terms_nobody_can_settle_are_swept_at_once() {
    for change in [
        (|t: &mut EvmTerms| t.version = 2) as fn(&mut EvmTerms),
        |t| t.chain_id = chain_word(8_453),
        |t| t.budget = Units::ZERO,
        |t| t.refund_after = u64::MAX,
    ] {
        let mut stage = Stage::with(change);
        stage.deposit(700);
        let settled = stage.settle(&receipt(), (3, &[]), ISSUED);
        assert!(matches!(refused(settled), Refusal::NotSettleable(_)));
        assert_eq!(all_to(&stage.sweep(ISSUED).unwrap(), BUYER), 700);
    }
}

#[test]
fn a_sweep_marks_the_address_so_terms_issued_ahead_never_settle_after_it() {
    let mut stage = Stage::with(|t| {
        for time in [&mut t.issued_at, &mut t.settle_by, &mut t.refund_after] {
            *time += 3_600;
        }
    });
    stage.deposit(10_000);
    stage.sweep(ISSUED).unwrap();
    stage.deposit(10_000);
    let later = stage.settle(&receipt(), (3, &[]), ISSUED + 3_600);
    assert_eq!(refused(later), Refusal::AlreadySettled);
    assert_eq!(
        refused(stage.pay(1, ISSUED + 3_600)),
        Refusal::AlreadySettled
    );
}

#[test]
fn paying_in_ends_at_settle_by_and_publishes_the_terms() {
    let mut stage = Stage::with(|_| {});
    let effects = stage.pay(10_000, SETTLE_BY - 1).unwrap();
    assert!(effects.terms_published);
    let until = at(SETTLE_BY);
    let late = stage.pay(1, SETTLE_BY);
    assert_eq!(refused(late), Refusal::TooLate { now: until, until });
}

#[test]
fn m6a_an_unpayable_payee_gets_a_credit_and_changes_nobody_else() {
    let mut stage = Stage::funded(10_000);
    let effects = stage
        .settle(&receipt(), (3, &[WORKER]), ISSUED + 5)
        .unwrap();
    assert_eq!(all_to(&effects, BUYER), 4_300);
    assert_eq!(stage.escrow.credit_of(&WORKER), units(4_500));
    assert_eq!(refused(stage.sweep(ISSUED + 6)), Refusal::NothingToSweep);
    stage.deposit(50);
    assert_eq!(all_to(&stage.sweep(ISSUED + 7).unwrap(), BUYER), 50);
    let claimed = stage.claim(WORKER, CREDITS_UNTIL - 1).unwrap();
    assert_eq!(all_to(&claimed, WORKER), 4_500);
    assert!(matches!(
        refused(stage.claim(WORKER, CREDITS_UNTIL - 1)),
        Refusal::NoCredit { .. }
    ));
}

#[test]
fn credits_lapse_in_the_first_sweep_that_may_take_them() {
    let mut stage = Stage::funded(10_000);
    stage
        .settle(&receipt(), (3, &[WORKER]), ISSUED + 5)
        .unwrap();
    assert_eq!(
        refused(stage.sweep(CREDITS_UNTIL - 1)),
        Refusal::NothingToSweep
    );
    assert!(matches!(
        refused(stage.claim(WORKER, CREDITS_UNTIL)),
        Refusal::TooLate { .. }
    ));
    let effects = stage.sweep(CREDITS_UNTIL).unwrap();
    assert_eq!(effects.lapsed, units(4_500));
    assert_eq!(all_to(&effects, BUYER), 4_500);
    assert!(stage.escrow.credits().is_zero());
}

#[test]
fn threat_22_a_refund_that_cannot_be_received_waits_and_blocks_nobody() {
    let mut stage = Stage::funded(10_000);
    let effects = stage.settle(&receipt(), (3, &[BUYER]), ISSUED + 5).unwrap();
    assert_eq!(all_to(&effects, WORKER), 4_500);
    assert_eq!(stage.escrow.balance(), units(4_300));
    assert!(stage.escrow.credits().is_zero());
    let elsewhere = account(0x77);
    let stranger = stage.sweep_as(None, Some((WORKER, elsewhere)), ISSUED + 6);
    assert!(matches!(refused(stranger), Refusal::WrongSigner { .. }));
    for bad in [EvmAccount::ZERO, ASSET, SEPOLIA.ledger] {
        let lost = stage.sweep_as(None, Some((BUYER, bad)), ISSUED + 6);
        assert!(matches!(refused(lost), Refusal::BadPayee { .. }));
    }
    let moved = stage
        .sweep_as(None, Some((BUYER, elsewhere)), ISSUED + 6)
        .unwrap();
    assert_eq!(all_to(&moved, elsewhere), 4_300);
}

#[test]
fn threat_42_another_token_waits_for_the_same_guard() {
    let mut stage = Stage::funded(10_000);
    let wrong = Some(units(5));
    assert!(matches!(
        refused(stage.sweep_as(wrong, None, REFUND_AFTER - 1)),
        Refusal::TooEarly { .. }
    ));
    stage
        .settle(&receipt(), (3, &[WORKER]), REFUND_AFTER - 1)
        .unwrap();
    let effects = stage.sweep_as(wrong, None, REFUND_AFTER - 1).unwrap();
    assert_eq!(all_to(&effects, BUYER), 5);
    assert_eq!(
        stage.escrow.balance(),
        units(4_500),
        "credits are in the asset only"
    );
    assert!(
        effects
            .transfers
            .iter()
            .all(|t| t.kind == TransferKind::Refund)
    );
}

#[test]
fn only_the_terms_of_the_address_speak_for_it() {
    let mut stage = Stage::funded(10_000);
    stage.terms.salt = [9; 32];
    assert_eq!(refused(stage.sweep(REFUND_AFTER)), Refusal::WrongTerms);
    let settled = stage.settle(&receipt(), (3, &[]), ISSUED);
    assert_eq!(refused(settled), Refusal::WrongTerms);
}

#[test]
fn m7a_signatures_of_another_set_are_refused() {
    let mut stage = Stage::funded(10_000);
    (stage.signers, stage.keys) = validators(3, 4, 50);
    let settled = stage.settle(&receipt(), (3, &[]), ISSUED);
    assert_eq!(refused(settled), Refusal::WrongSet);
}
