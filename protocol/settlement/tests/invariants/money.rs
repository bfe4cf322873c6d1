//! M1 and M3: conservation, lamports, rounding, and what commission and fee depend on.

use d402_settlement::ledger::{RENT_ATA, RENT_OPEN, RENT_TOMBSTONE, TransferKind, rent_lamports};
use d402_settlement::{
    Bps, Key32, MoneyRules, Outcome, PlanRefusal, Role, Row, Rows, Units, plan, plan_payouts,
};
use proptest::prelude::*;

use crate::scene::*;

/// Every command there is, at arbitrary times, with payees frozen and thawed in between. `run` checks
/// M1a and M1b after each.
#[derive(Clone, Debug)]
pub enum Step {
    Open(u64),
    Deposit(u64),
    Settle { rows: u8, signers: u8 },
    Reject,
    Claim(bool),
    Lapse,
    Sweep,
    Close,
    CloseUnfunded,
    Wait(i64),
    Freeze(u8),
    Thaw,
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..12_000).prop_map(Step::Open),
        3 => (1u64..12_000).prop_map(Step::Deposit),
        5 => (1u8..6, 1u8..=4).prop_map(|(rows, signers)| Step::Settle { rows, signers }),
        1 => Just(Step::Reject),
        2 => any::<bool>().prop_map(Step::Claim),
        1 => Just(Step::Lapse),
        3 => Just(Step::Sweep),
        2 => Just(Step::Close),
        1 => Just(Step::CloseUnfunded),
        3 => prop_oneof![1i64..200, Just(900), Just(CREDITS_UNTIL - REFUND_AFTER)].prop_map(Step::Wait),
        2 => (0u8..5).prop_map(Step::Freeze),
        1 => Just(Step::Thaw),
    ]
}

pub fn some_rows(count: u8) -> Vec<Row> {
    (0..count)
        .map(|i| match i {
            0 | 2 | 4 => worker(key(0x10 + i), 1_777),
            _ => judge(key(0x10 + i), 333),
        })
        .collect()
}

/// Runs steps; refusals are fine, broken invariants are not. Returns the last time.
pub fn play(scene: &mut Scene, steps: &[Step]) -> i64 {
    let mut now = ISSUED;
    for step in steps {
        let before = scene.state;
        let outcome = match step {
            Step::Open(amount) => scene.open(*amount, now),
            Step::Deposit(amount) => scene.deposit(*amount, now),
            Step::Settle { rows, signers } => {
                let settlement = paid(&some_rows(*rows));
                let signers: Vec<u8> = (0..*signers).collect();
                let approvals = scene.approve(&settlement, &signers);
                scene.settle_with(&settlement, &approvals, now)
            }
            Step::Reject => scene.settle(&rejected(&[judge(JUDGE, 300)]), now),
            Step::Claim(first) => scene.claim(if *first { WORKER } else { CREATOR }, now),
            Step::Lapse => scene.lapse(now),
            Step::Sweep => scene.sweep(now),
            Step::Close => scene.close(now),
            Step::CloseUnfunded => scene.close_unfunded(now),
            Step::Wait(seconds) => {
                now += seconds;
                continue;
            }
            Step::Freeze(who) => {
                let who = [BUYER, WORKER, WORKER_2, CREATOR, GATEWAY][usize::from(*who)];
                scene.frozen.push(who);
                continue;
            }
            Step::Thaw => {
                scene.frozen.clear();
                continue;
            }
        };
        if outcome.is_err() {
            assert_eq!(scene.state, before, "a refusal changes nothing");
        }
    }
    now
}

/// Thaws everybody, waits until credits lapse, and takes every exit.
pub fn wind_down(scene: &mut Scene, now: i64) {
    scene.frozen.clear();
    let end = now.max(CREDITS_UNTIL);
    for _ in 0..2 {
        let _ = scene.lapse(end);
        let _ = scene.sweep(end);
        let _ = scene.close(end);
        let _ = scene.close_unfunded(end);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn m1a_m1b_every_unit_is_accounted_for_after_every_command(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut scene = Scene::new(3, 4);
        play(&mut scene, &steps);
        scene.check_money();
        prop_assert!(scene.settled_times <= 1);
    }

    #[test]
    fn m1c_every_lamport_of_rent_comes_back_to_rent_to(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut scene = Scene::new(3, 4);
        let now = play(&mut scene, &steps);
        wind_down(&mut scene, now);
        prop_assert_eq!(scene.state.balance(), Units::ZERO);
        let out: u64 = scene.lamports_out.values().sum();
        prop_assert_eq!(scene.lamports_in, out);
        prop_assert!(scene.lamports_out.keys().all(|to| *to == Some(SPONSOR)));
    }

    #[test]
    fn m3_commission_and_fee_depend_on_terms_and_rows_only(
        amounts in prop::collection::vec(1u64..1_000_000, 1..8),
        balance in 10_000_000u64..u64::MAX,
        budget in 10_000_000u64..u64::MAX,
        other in any::<[u8; 32]>(),
        clock in 0i64..1_000_000,
    ) {
        let rows: Vec<Row> = (1u8..).zip(&amounts).map(|(i, a)| worker(key(i), *a)).collect();
        let rows = Rows::new(&rows).unwrap();
        let mut terms = base_terms(validators(1, 1).0.hash());
        terms.budget = 10_000_000;
        let reference = plan(&terms, &rows, Outcome::Paid, units(20_000_000)).unwrap();
        terms.budget = budget;
        terms.validator_fee_cap = budget / 3;
        terms.salt = other;
        terms.task_id = d402_settlement::TaskId(other);
        terms.validator_set = d402_settlement::SetHash(other);
        terms.refund_to = Key32(other);
        terms.rent_to = Key32(other);
        terms.mint = Key32(other);
        terms.issued_at = at(clock);
        terms.settle_by = at(clock + 1);
        terms.refund_after = at(clock + 2);
        terms.on_silence = 1;
        let plan = plan(&terms, &rows, Outcome::Paid, units(balance)).unwrap();
        prop_assert_eq!(plan.commission, reference.commission);
        prop_assert_eq!(plan.gateway_fee, reference.gateway_fee);
        prop_assert_eq!(plan.payouts, reference.payouts);
        prop_assert_eq!(plan.owed, reference.owed);
    }
}

#[test]
fn m1c_the_rent_of_a_plain_task_is_the_one_in_the_spec() {
    let mut scene = Scene::funded(3, 4, 10_000);
    assert_eq!(scene.lamports_in, 4_823_280);
    scene
        .settle(&paid(&[worker(WORKER, 5_000)]), ISSUED + 30)
        .unwrap();
    assert_eq!(
        scene.lamports_out[&Some(SPONSOR)],
        RENT_ATA + RENT_OPEN - RENT_TOMBSTONE
    );
    scene.close(REFUND_AFTER).unwrap();
    assert_eq!(scene.lamports_out[&Some(SPONSOR)], 4_823_280);
}

#[test]
fn m1c_beyond_four_credits_the_caller_tops_the_rent_up_and_rent_to_gets_it() {
    for (credits, top_up) in [(4u8, 0), (5, rent_lamports(84 + 5 * 41) - RENT_OPEN)] {
        let mut scene = Scene::with(3, 4, |terms| {
            (terms.commission_bps, terms.commission_payee) = (Bps(0), Key32::ZERO);
            (terms.gateway_fee_bps, terms.gateway_fee_payee) = (Bps(0), Key32::ZERO);
        });
        scene.open(10_000, ISSUED).unwrap();
        let rows: Vec<Row> = (0..credits).map(|i| worker(key(0x40 + i), 100)).collect();
        scene.frozen = rows.iter().map(|row| row.payee).collect();
        let before = scene.lamports_in;
        scene.settle(&paid(&rows), ISSUED + 30).unwrap();
        assert_eq!(scene.lamports_in - before, top_up, "{credits} credits");
        wind_down(&mut scene, CREDITS_UNTIL);
        assert_eq!(scene.lamports_out[&Some(SPONSOR)], scene.lamports_in);
    }
}

/// A small generator, so that a million rows are the same million on every run.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

fn rules(commission: u16, fee: u16) -> MoneyRules {
    MoneyRules {
        commission_bps: Bps(commission),
        gateway_fee_bps: Bps(fee),
        budget: Units::MAX,
        validator_fee_cap: Units::MAX,
        commission_payee: CREATOR,
        gateway_fee_payee: GATEWAY,
    }
}

#[test]
fn m1d_a_million_random_rows_round_as_the_spec_says() {
    let mut random = SplitMix(402);
    for _ in 0..62_500 {
        let (commission, fee) = (random.next() % 2_001, random.next() % 2_001);
        let rows: Vec<Row> = (1u8..=16)
            .map(|i| {
                let amount = (random.next() >> (random.next() % 64)).max(1);
                let role = if random.next().is_multiple_of(4) {
                    Role::Validator
                } else {
                    Role::Worker
                };
                Row {
                    payee: key(i),
                    role,
                    amount: units(amount),
                }
            })
            .collect();
        let workers: Vec<u128> = rows
            .iter()
            .filter(|row| row.role == Role::Worker)
            .map(|row| row.amount.get())
            .collect();
        let judges: u128 =
            rows.iter().map(|row| row.amount.get()).sum::<u128>() - workers.iter().sum::<u128>();
        let outcome = if workers.is_empty() {
            Outcome::Rejected
        } else {
            Outcome::Paid
        };
        let rules = rules(commission as u16, fee as u16);
        let plan = plan_payouts(&rules, &Rows::new(&rows).unwrap(), outcome, Units::MAX).unwrap();

        let creator: u128 = workers
            .iter()
            .map(|a| a * u128::from(commission) / 10_000)
            .sum();
        let gateway = workers.iter().sum::<u128>() * u128::from(fee) / 10_000;
        assert_eq!(plan.commission.get(), creator);
        assert_eq!(plan.gateway_fee.get(), gateway);
        assert_eq!(
            plan.owed.get(),
            workers.iter().sum::<u128>() + judges + gateway
        );
        assert_eq!(plan.residual.get(), Units::MAX.get() - plan.owed.get());
        let paid: u128 = plan.payouts.iter().map(|payout| payout.amount.get()).sum();
        assert_eq!(paid, plan.owed.get(), "payouts add up to what is owed");
    }
}

#[test]
fn m1d_splitting_a_row_lowers_the_commission_by_less_than_one_unit_a_part() {
    let mut random = SplitMix(7);
    for _ in 0..20_000 {
        let parts: Vec<Row> = (1u8..=(2 + (random.next() % 15)) as u8)
            .map(|i| worker(key(i), 1 + random.next() % 30_000))
            .collect();
        let whole: u64 = parts.iter().map(|row| row.amount.to_u64().unwrap()).sum();
        let rules = rules((random.next() % 2_001) as u16, 0);
        let of = |rows: &[Row]| {
            let rows = Rows::new(rows).unwrap();
            plan_payouts(&rules, &rows, Outcome::Paid, Units::MAX)
                .unwrap()
                .commission
                .get()
        };
        let (split, single) = (of(&parts), of(&[worker(key(1), whole)]));
        assert!(split <= single && single - split <= (parts.len() - 1) as u128);
    }
}

#[test]
fn m2b_a_receipt_never_pays_more_than_the_budget_or_the_balance() {
    let terms = base_terms(validators(1, 1).0.hash());
    // 9,803 + 196 fee = 9,999; one more unit of work is 9,804 + 196 = 10,000; then it is too much.
    let owed = |amount, balance| {
        let rows = Rows::new(&[worker(WORKER, amount)]).unwrap();
        plan(&terms, &rows, Outcome::Paid, units(balance)).map(|plan| plan.owed)
    };
    assert_eq!(owed(9_804, 10_000), Ok(units(10_000)));
    let over = PlanRefusal::OverBudget {
        owed: 10_001,
        budget: units(10_000),
    };
    assert_eq!(owed(9_805, u64::MAX), Err(over));
    let under = PlanRefusal::Underfunded {
        owed: units(10_000),
        balance: units(9_999),
    };
    assert_eq!(owed(9_804, 9_999), Err(under));
}

#[test]
fn m2c_validators_earn_at_most_their_cap() {
    let terms = base_terms(validators(1, 1).0.hash());
    let rows = |second| {
        Rows::new(&[
            worker(key(1), 100),
            judge(key(2), 500),
            judge(key(3), second),
        ])
        .unwrap()
    };
    assert!(plan(&terms, &rows(500), Outcome::Paid, units(10_000)).is_ok());
    let over = PlanRefusal::ValidatorsOverCap {
        total: units(1_001),
        cap: units(1_000),
    };
    assert_eq!(
        plan(&terms, &rows(501), Outcome::Paid, units(10_000)),
        Err(over)
    );
}

#[test]
fn outcome_paid_needs_a_worker_and_outcome_rejected_none() {
    let terms = base_terms(validators(1, 1).0.hash());
    let judged = Rows::new(&[judge(JUDGE, 1)]).unwrap();
    let worked = Rows::new(&[worker(WORKER, 1)]).unwrap();
    let of =
        |rows: &Rows, outcome| plan(&terms, rows, outcome, units(10_000)).map(|plan| plan.owed);
    assert_eq!(
        of(&judged, Outcome::Paid),
        Err(PlanRefusal::PaidWithoutWorker)
    );
    assert_eq!(
        of(&Rows::none(), Outcome::Paid),
        Err(PlanRefusal::PaidWithoutWorker)
    );
    assert_eq!(
        of(&worked, Outcome::Rejected),
        Err(PlanRefusal::RejectedWithWorker)
    );
    assert_eq!(of(&judged, Outcome::Rejected), Ok(units(1)));
    assert_eq!(of(&Rows::none(), Outcome::Rejected), Ok(Units::ZERO));
}

#[test]
fn the_settled_amounts_of_the_first_vector_are_the_ones_of_the_spec() {
    let mut scene = Scene::funded(2, 3, 10_000);
    scene
        .settle(
            &paid(&[worker(WORKER, 5_000), judge(WORKER_2, 300)]),
            ISSUED + 9,
        )
        .unwrap();
    assert_eq!(scene.paid_to(WORKER, TransferKind::Worker), 4_500);
    assert_eq!(scene.paid_to(WORKER_2, TransferKind::Validator), 300);
    assert_eq!(scene.paid_to(CREATOR, TransferKind::Creator), 500);
    assert_eq!(scene.paid_to(GATEWAY, TransferKind::Gateway), 100);
    assert_eq!(scene.paid_to(BUYER, TransferKind::Refund), 4_600);
    assert_eq!(
        scene.state.tokens, None,
        "the empty token account is closed"
    );
}
