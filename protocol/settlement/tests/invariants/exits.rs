//! M5: from every state with money somebody can empty the vault, at their own cost and without anyone's
//! help.

use d402_settlement::Units;
use d402_settlement::ledger::{Command, Refusal, RentFlow, VaultAccount};

use crate::model::{MOMENTS, explore, small_scene};
use crate::scene::*;

#[test]
fn m5a_every_reachable_state_empties_by_commands_anyone_may_send() {
    let mut scene = small_scene();
    for node in explore() {
        node.load(&mut scene);
        // A thawed refundTo is all we ask for; the worker may stay frozen for ever.
        scene.frozen.retain(|key| *key != BUYER);
        let end = MOMENTS[MOMENTS.len() - 1];
        let _ = scene.lapse(end);
        let _ = scene.sweep(end);
        let _ = scene.close(end);
        assert_eq!(scene.state.balance(), Units::ZERO);
        assert_eq!(scene.state.account, VaultAccount::Absent);
        if scene.state.tokens.is_some() {
            scene.sweep(end).unwrap();
        }
        let back: u64 = scene.lamports_out.values().sum();
        assert_eq!(back, scene.lamports_in, "all rent is back too");
    }
}

#[test]
fn m5c_one_unit_a_late_deposit_and_a_deposit_after_close_are_swept() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    for (amount, now) in [(1, ISSUED + 31), (10_000, SETTLE_BY), (3, REFUND_AFTER + 5)] {
        scene.deposit(amount, now).unwrap();
        let effects = scene.sweep(now).unwrap();
        assert_eq!(effects.transfers.as_slice()[0].amount, units(amount));
        assert_eq!(effects.transfers.as_slice()[0].to, BUYER);
    }
    scene.close(REFUND_AFTER + 5).unwrap();
    for now in [REFUND_AFTER + 6, i64::MAX] {
        scene.deposit(42, now).unwrap();
        scene.sweep(now).unwrap();
        assert_eq!(scene.state.tokens, None);
    }
}

#[test]
fn m5c_another_token_is_swept_under_the_same_guard() {
    let mut scene = Scene::funded(3, 4, 10_000);
    let terms = scene.terms;
    let other = |mint, balance, payable| Command::SweepOther {
        terms: &terms,
        mint,
        balance,
        payable,
    };
    let wrong_token = key(0x99);
    let early = scene.run(&other(wrong_token, units(5), true), REFUND_AFTER - 1);
    assert!(matches!(early, Err(Refusal::TooEarly { .. })));
    let own = scene.run(&other(MINT, units(5), true), REFUND_AFTER);
    assert_eq!(own, Err(Refusal::OwnMint));
    let frozen = scene.run(&other(wrong_token, units(5), false), REFUND_AFTER);
    assert_eq!(frozen, Err(Refusal::Unpayable { to: BUYER }));
    let before = scene.state;
    let command = other(wrong_token, units(5), true);
    let (after, effects) =
        d402_settlement::ledger::apply(&scene.state, &command, at(REFUND_AFTER)).unwrap();
    assert_eq!(after, before, "the vault's own money is untouched");
    assert_eq!(effects.transfers.as_slice()[0].amount, units(5));
    assert_eq!(effects.rent.as_slice()[0].flow, RentFlow::ToCaller);
}

#[test]
fn m5c_money_sent_before_anything_was_opened_comes_back() {
    let mut scene = Scene::new(3, 4);
    scene.deposit(10_000, ISSUED).unwrap();
    let early = scene.sweep(REFUND_AFTER - 1);
    let from = at(REFUND_AFTER);
    assert_eq!(
        early,
        Err(Refusal::TooEarly {
            now: at(REFUND_AFTER - 1),
            from
        })
    );
    scene.sweep(REFUND_AFTER).unwrap();
    assert_eq!(scene.paid.values().sum::<u128>(), 10_000);
    assert_eq!(scene.sweep(REFUND_AFTER), Err(Refusal::NothingToSweep));
}

#[test]
fn only_the_terms_of_the_vault_speak_for_it() {
    let mut scene = Scene::funded(3, 4, 10_000);
    let mut terms = scene.terms;
    terms.refund_to = key(0x66);
    let foreign = Err(Refusal::WrongTerms);
    let now = REFUND_AFTER;
    assert_eq!(
        scene.run(
            &Command::Sweep {
                terms: &terms,
                payable: true
            },
            now
        ),
        foreign
    );
    let to = key(0x66);
    let sweep_to = Command::SweepTo {
        terms: &terms,
        signer: to,
        to,
        payable: true,
    };
    assert_eq!(scene.run(&sweep_to, now), foreign);
    assert_eq!(
        scene.run(&Command::CloseUnfunded { terms: &terms }, now),
        foreign
    );
    let (mint, balance) = (key(0x99), units(1));
    let other = Command::SweepOther {
        terms: &terms,
        mint,
        balance,
        payable: true,
    };
    assert_eq!(scene.run(&other, now), foreign);
    let set = scene.set;
    let open = Command::Open {
        terms: &terms,
        amount: units(0),
        mint_allowed: true,
        set: Some(&set),
    };
    assert_eq!(scene.run(&open, ISSUED), foreign);
}

#[test]
fn an_unfunded_vault_closes_after_two_minutes_and_a_funded_one_never_that_way() {
    let mut scene = Scene::new(3, 4);
    assert_eq!(
        scene.close_unfunded(ISSUED + 120),
        Err(Refusal::NothingToClose)
    );
    scene.open(0, ISSUED).unwrap();
    let from = at(ISSUED + 120);
    let early = Err(Refusal::TooEarly {
        now: at(ISSUED + 119),
        from,
    });
    assert_eq!(scene.close_unfunded(ISSUED + 119), early);
    scene.close_unfunded(ISSUED + 120).unwrap();
    assert_eq!(scene.state.account, VaultAccount::Absent);
    assert_eq!(scene.lamports_in, scene.lamports_out[&Some(SPONSOR)]);
    scene.open(5, ISSUED + 121).unwrap();
    let balance = units(5);
    assert_eq!(
        scene.close_unfunded(ISSUED + 500),
        Err(Refusal::NotEmpty { balance })
    );
    assert_eq!(
        scene.close(REFUND_AFTER),
        Err(Refusal::NotEmpty { balance })
    );
}

#[test]
fn a_deposit_of_nothing_or_of_more_than_64_bits_is_refused() {
    let mut scene = Scene::new(3, 4);
    assert_eq!(scene.deposit(0, ISSUED), Err(Refusal::ZeroAmount));
    scene.deposit(u64::MAX, ISSUED).unwrap();
    assert_eq!(scene.deposit(1, ISSUED), Err(Refusal::TooMuchMoney));
}
