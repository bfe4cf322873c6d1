//! M4: settle and refund never overlap and leave no gap; the tombstone outlives the danger.

use d402_settlement::ledger::{Command, Refusal};
use d402_settlement::{
    Bps, CREATION_SLACK_S, Key32, MAX_LIFE_S, MIN_GRACE_S, NotSettleable, SetHash, Terms,
    settleable,
};
use proptest::prelude::*;

use crate::scene::*;

#[test]
fn m4a_at_refund_after_minus_one_only_settle_and_at_refund_after_only_sweep() {
    for (now, settles) in [(REFUND_AFTER - 1, true), (REFUND_AFTER, false)] {
        let receipt = paid(&[worker(WORKER, 1_000)]);
        let mut to_settle = Scene::funded(3, 4, 10_000);
        let mut to_sweep = Scene::funded(3, 4, 10_000);
        let settled = to_settle.settle(&receipt, now);
        let swept = to_sweep.sweep(now);
        assert_eq!(settled.is_ok(), settles, "settle at {now}");
        assert_eq!(swept.is_ok(), !settles, "sweep at {now}");
        if settles {
            let from = at(REFUND_AFTER);
            assert_eq!(swept, Err(Refusal::TooEarly { now: at(now), from }));
        } else {
            let until = at(REFUND_AFTER);
            assert_eq!(
                settled,
                Err(Refusal::TooLate {
                    now: at(now),
                    until
                })
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn m4a_an_unsettled_vault_can_be_settled_or_swept_and_never_both(
        now in ISSUED..REFUND_AFTER + 10_000,
    ) {
        let receipt = paid(&[worker(WORKER, 1_000)]);
        let settled = Scene::funded(3, 4, 10_000).settle(&receipt, now).is_ok();
        let swept = Scene::funded(3, 4, 10_000).sweep(now).is_ok();
        prop_assert!(settled != swept, "at {}", now);
    }
}

#[test]
fn m4b_the_tombstone_stays_until_refund_after_and_while_there_are_credits() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.frozen.push(WORKER);
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    for now in [ISSUED + 31, ISSUED + 120, SETTLE_BY, REFUND_AFTER - 1] {
        let from = at(REFUND_AFTER);
        assert_eq!(
            scene.close(now),
            Err(Refusal::TooEarly { now: at(now), from })
        );
        assert_eq!(scene.close_unfunded(now), Err(Refusal::AlreadySettled));
        assert_eq!(scene.open(0, now), Err(Refusal::AlreadySettled));
        assert!(scene.is_settled());
    }
    let total = units(900);
    assert_eq!(
        scene.close(REFUND_AFTER),
        Err(Refusal::CreditsOutstanding { total })
    );
    scene.frozen.clear();
    scene.claim(WORKER, REFUND_AFTER).unwrap();
    scene.close(REFUND_AFTER).unwrap();
}

type Change = fn(&mut Terms, Key32);

/// One broken rule each, in the order of the spec, with the refusal it must give.
fn broken_terms() -> Vec<(NotSettleable, Change)> {
    vec![
        (NotSettleable::Version { got: 0 }, |t, _| t.version = 0),
        (NotSettleable::Version { got: 2 }, |t, _| t.version = 2),
        (NotSettleable::Reserved, |t, _| t.reserved = 1),
        (NotSettleable::OnSilence { got: 2 }, |t, _| t.on_silence = 2),
        (NotSettleable::CommissionBps { got: 2_001 }, |t, _| {
            t.commission_bps = Bps(2_001)
        }),
        (NotSettleable::GatewayFeeBps { got: 65_535 }, |t, _| {
            t.gateway_fee_bps = Bps(65_535)
        }),
        (NotSettleable::CommissionPayee, |t, _| {
            t.commission_payee = Key32::ZERO
        }),
        (NotSettleable::CommissionPayee, |t, _| {
            t.commission_bps = Bps(0)
        }),
        (NotSettleable::GatewayFeePayee, |t, _| {
            t.gateway_fee_payee = Key32::ZERO
        }),
        (NotSettleable::GatewayFeePayee, |t, _| {
            t.gateway_fee_bps = Bps(0)
        }),
        (NotSettleable::NoBudget, |t, _| {
            (t.budget, t.validator_fee_cap) = (0, 0)
        }),
        (
            NotSettleable::ValidatorFeeCap {
                cap: 5_001,
                budget: 10_001,
            },
            |t, _| {
                (t.budget, t.validator_fee_cap) = (10_001, 5_001);
            },
        ),
        (NotSettleable::IssuedBeforeEpoch, |t, _| {
            t.issued_at = at(-1)
        }),
        (NotSettleable::IssuedBeforeEpoch, |t, _| {
            t.issued_at = at(i64::MIN)
        }),
        (NotSettleable::SettleBy, |t, _| t.settle_by = t.issued_at),
        (NotSettleable::GraceTooShort, |t, _| {
            t.refund_after = at(t.settle_by.0 + MIN_GRACE_S - 1);
        }),
        (NotSettleable::LivesTooLong, |t, _| {
            t.refund_after = at(t.issued_at.0 + MAX_LIFE_S + 1)
        }),
        (NotSettleable::LivesTooLong, |t, _| {
            t.refund_after = at(i64::MAX)
        }),
        (NotSettleable::NoMint, |t, _| t.mint = Key32::ZERO),
        (NotSettleable::NoRefundTo, |t, _| t.refund_to = Key32::ZERO),
        (NotSettleable::NoValidatorSet, |t, _| {
            t.validator_set = SetHash::ZERO
        }),
        (NotSettleable::RefundToForbidden, |t, _| {
            t.refund_to = t.mint
        }),
        (NotSettleable::RefundToForbidden, |t, program| {
            t.refund_to = program
        }),
    ]
}

#[test]
fn m4c_all_terms_that_can_never_settle_are_sweepable_at_once() {
    for (fault, change) in broken_terms() {
        let mut scene = Scene::with(3, 4, |terms| change(terms, DOMAIN.program));
        assert_eq!(settleable(&scene.terms, &DOMAIN, at(ISSUED)), Err(fault));
        scene.deposit(777, ISSUED).unwrap();
        assert_eq!(scene.open(0, ISSUED), Err(Refusal::NotSettleable(fault)));
        scene.sweep(ISSUED).unwrap();
        assert_eq!(scene.state.tokens, None, "{fault:?}");
        let out: u128 = scene.paid.values().sum();
        assert_eq!(out, 777);
    }
}

#[test]
fn the_borders_of_every_settleable_rule_are_inside() {
    let ok: [fn(&mut Terms); 8] = [
        |_| {},
        |t| t.on_silence = 1,
        |t| (t.commission_bps, t.gateway_fee_bps) = (Bps(2_000), Bps(2_000)),
        |t| (t.commission_bps, t.commission_payee) = (Bps(0), Key32::ZERO),
        |t| (t.gateway_fee_bps, t.gateway_fee_payee) = (Bps(0), Key32::ZERO),
        |t| (t.budget, t.validator_fee_cap) = (1, 0),
        |t| (t.budget, t.validator_fee_cap) = (u64::MAX, u64::MAX / 2),
        |t| t.refund_after = at(t.issued_at.0 + MAX_LIFE_S),
    ];
    for change in ok {
        let mut terms = base_terms(SetHash([1; 32]));
        change(&mut terms);
        assert_eq!(settleable(&terms, &DOMAIN, at(ISSUED)), Ok(()));
        let early = at(ISSUED - CREATION_SLACK_S);
        assert_eq!(settleable(&terms, &DOMAIN, early), Ok(()));
        let too_early = at(ISSUED - CREATION_SLACK_S - 1);
        let fault = Err(NotSettleable::IssuedInTheFuture);
        assert_eq!(settleable(&terms, &DOMAIN, too_early), fault);
    }
}

proptest! {
    #[test]
    fn settleable_and_every_command_are_total_over_any_terms_bytes(
        bytes in prop::collection::vec(any::<u8>(), 304),
        now in any::<i64>(),
    ) {
        let bytes: [u8; 304] = bytes.try_into().unwrap();
        let terms = Terms::decode(&bytes);
        prop_assert_eq!(terms.encode(), bytes);
        let _ = settleable(&terms, &DOMAIN, at(now));
        let mut scene = Scene::with(1, 1, |t| *t = terms);
        scene.deposit(5, now).unwrap();
        let _ = scene.open(1, now);
        let _ = scene.close_unfunded(now);
        let _ = scene.close(now);
        // Random bytes are never settleable terms, so the deposit comes straight back.
        scene.sweep(now).unwrap();
        prop_assert_eq!(scene.state.tokens, None);
    }
}

#[test]
fn what_was_settleable_stays_settleable() {
    let terms = base_terms(SetHash([1; 32]));
    for now in [ISSUED - 600, ISSUED, SETTLE_BY, REFUND_AFTER, i64::MAX] {
        assert_eq!(settleable(&terms, &DOMAIN, at(now)), Ok(()));
    }
}

#[test]
fn open_takes_money_until_settle_by_and_terms_until_refund_after() {
    let open = |amount, now| Scene::new(3, 4).open(amount, now).map(|_| ());
    let late = |now, until| {
        Err(Refusal::TooLate {
            now: at(now),
            until: at(until),
        })
    };
    assert_eq!(open(1, SETTLE_BY - 1), Ok(()));
    assert_eq!(open(1, SETTLE_BY), late(SETTLE_BY, SETTLE_BY));
    assert_eq!(open(0, REFUND_AFTER - 1), Ok(()));
    assert_eq!(open(0, REFUND_AFTER), late(REFUND_AFTER, REFUND_AFTER));
}

#[test]
fn open_wants_an_allowed_mint_and_a_published_set() {
    let scene = Scene::new(3, 4);
    let (terms, other) = (scene.terms, validators(2, 2).0);
    let open = |mint_allowed, set| {
        let amount = units(1);
        Scene::new(3, 4)
            .run(
                &Command::Open {
                    terms: &terms,
                    amount,
                    mint_allowed,
                    set,
                },
                ISSUED,
            )
            .map(|effects| effects.terms_published)
    };
    assert_eq!(open(false, Some(&scene.set)), Err(Refusal::MintNotAllowed));
    assert_eq!(open(true, None), Err(Refusal::SetNotPublished));
    assert_eq!(open(true, Some(&other)), Err(Refusal::SetNotPublished));
    assert_eq!(open(true, Some(&scene.set)), Ok(true));
}

#[test]
fn opening_twice_changes_nothing_but_the_money_paid_in() {
    let mut scene = Scene::new(3, 4);
    assert!(
        scene.open(0, ISSUED).unwrap().terms_published,
        "a stranger opens first"
    );
    let lamports = scene.lamports_in;
    let effects = scene.open(700, ISSUED + 1).unwrap();
    assert!(!effects.terms_published);
    assert_eq!(
        (scene.lamports_in, scene.state.balance()),
        (lamports, units(700))
    );
}

#[test]
fn a_late_open_can_still_be_settled_before_refund_after() {
    let mut scene = Scene::new(3, 4);
    scene.deposit(10_000, ISSUED + 1).unwrap();
    scene.open(0, REFUND_AFTER - 1).unwrap();
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), REFUND_AFTER - 1)
        .unwrap();
}

#[test]
fn credits_are_claimed_for_180_days_and_then_lapse() {
    let settled = || {
        let mut scene = Scene::funded(3, 4, 10_000);
        scene.frozen.push(WORKER);
        scene
            .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
            .unwrap();
        scene.frozen.clear();
        scene
    };
    let last = CREDITS_UNTIL - 1;
    let (until, from) = (at(CREDITS_UNTIL), at(CREDITS_UNTIL));
    assert!(settled().claim(WORKER, last).is_ok());
    let late = Err(Refusal::TooLate { now: until, until });
    assert_eq!(settled().claim(WORKER, CREDITS_UNTIL), late);
    let early = Err(Refusal::TooEarly {
        now: at(last),
        from,
    });
    assert_eq!(settled().lapse(last), early);
    let mut scene = settled();
    assert_eq!(scene.lapse(CREDITS_UNTIL).unwrap().lapsed, units(900));
    assert_eq!(scene.lapse(CREDITS_UNTIL), Err(Refusal::NoCredits));
    scene.sweep(CREDITS_UNTIL).unwrap();
    scene.close(CREDITS_UNTIL).unwrap();
}
