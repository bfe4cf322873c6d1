//! M6a: one payee that cannot be paid costs the others nothing.

use d402_settlement::Key32;
use d402_settlement::ledger::{Refusal, TransferKind, VaultAccount};
use proptest::prelude::*;

use crate::scene::*;

fn rows() -> Vec<d402_settlement::Row> {
    vec![
        worker(WORKER, 3_001),
        worker(WORKER_2, 1_777),
        judge(JUDGE, 450),
        judge(key(0x21), 350),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn m6a_an_unpayable_payee_changes_no_other_payee_in_the_same_transaction(bits in 0u8..128) {
        let everybody = [WORKER, WORKER_2, JUDGE, key(0x21), CREATOR, GATEWAY, BUYER];
        let mut reference = Scene::funded(3, 4, 10_000);
        reference.settle(&paid(&rows()), ISSUED + 30).unwrap();

        let mut scene = Scene::funded(3, 4, 10_000);
        scene.frozen = (0..7).filter(|i| bits & (1 << i) != 0).map(|i| everybody[i]).collect();
        let effects = scene.settle(&paid(&rows()), ISSUED + 30).unwrap();
        for ((to, kind), amount) in &reference.paid {
            let expected = if scene.frozen.contains(to) { 0 } else { *amount };
            prop_assert_eq!(scene.paid_to(*to, *kind), expected);
            let credited = effects.credits.iter().find(|credit| credit.to == *to);
            let owed_later = scene.frozen.contains(to) && *to != BUYER;
            prop_assert_eq!(credited.map(|credit| credit.amount.get()), owed_later.then_some(*amount));
        }

        // Thawed, everybody ends with exactly what the reference has.
        let frozen = std::mem::take(&mut scene.frozen);
        for payee in frozen.iter().filter(|payee| **payee != BUYER) {
            scene.claim(*payee, ISSUED + 60).unwrap();
        }
        let _ = scene.sweep(ISSUED + 60);
        let total = |scene: &Scene, to: Key32| -> u128 {
            scene.paid.iter().filter(|((who, _), _)| *who == to).map(|(_, amount)| amount).sum()
        };
        for payee in everybody {
            prop_assert_eq!(total(&scene, payee), total(&reference, payee));
        }
    }
}

#[test]
fn m6a_a_refund_target_that_cannot_be_paid_does_not_block_the_workers() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.frozen.push(BUYER);
    scene.settle(&paid(&rows()), ISSUED + 30).unwrap();
    assert_eq!(scene.paid_to(WORKER, TransferKind::Worker), 2_701);
    assert_eq!(
        scene.sweep(ISSUED + 31),
        Err(Refusal::Unpayable { to: BUYER })
    );
    scene.frozen.clear();
    scene.sweep(ISSUED + 32).unwrap();
    assert_eq!(scene.state.tokens, None);
}

#[test]
fn a_wallet_with_two_roles_is_paid_both_and_claims_both_at_once() {
    let mut scene = Scene::with(3, 4, |terms| {
        terms.commission_payee = WORKER;
        terms.gateway_fee_payee = WORKER;
    });
    scene.open(10_000, ISSUED).unwrap();
    scene.frozen.push(WORKER);
    let effects = scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    assert_eq!(effects.credits.len(), 3);
    scene.frozen.clear();
    scene.claim(WORKER, ISSUED + 31).unwrap();
    assert_eq!(scene.paid_to(WORKER, TransferKind::Credit), 1_020);
    let again = scene.claim(WORKER, ISSUED + 31);
    assert_eq!(again, Err(Refusal::NoCredit { payee: WORKER }));
}

#[test]
fn a_credit_that_cannot_be_paid_yet_stays_a_credit() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.frozen.push(WORKER);
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    assert_eq!(
        scene.claim(WORKER, ISSUED + 31),
        Err(Refusal::Unpayable { to: WORKER })
    );
    assert_eq!(scene.sweep(ISSUED + 31), Err(Refusal::NothingToSweep));
    assert_eq!(scene.credits(), 900);
}

#[test]
fn a_state_account_survives_its_bytes_and_no_other_bytes_are_one() {
    use d402_settlement::ledger::{CodecFault, VaultState};
    let mut scene = Scene::new(3, 4);
    let mut forms = vec![scene.state];
    scene.open(10_000, ISSUED).unwrap();
    forms.push(scene.state);
    scene.frozen = vec![WORKER, JUDGE];
    scene.settle(&paid(&rows()), ISSUED + 30).unwrap();
    forms.push(scene.state);
    let lengths = [0, 272, 84 + 2 * 41];
    for (state, len) in forms.iter().zip(lengths) {
        let bytes = state.encode_account().unwrap();
        assert_eq!(bytes.len(), len);
        let decode = |bytes: &[u8]| VaultState::decode_account(state.site, bytes, state.tokens);
        assert_eq!(decode(bytes.as_slice()), Ok(*state));
        for cut in 1..len {
            assert!(decode(&bytes.as_slice()[..cut]).is_err());
        }
        let mut longer = bytes.as_slice().to_vec();
        longer.push(0);
        assert!(decode(&longer).is_err());
        for (at, fault) in [
            (0, CodecFault::Discriminator),
            (8, CodecFault::Version { got: 0 }),
            (10, CodecFault::Status { got: 7 }),
        ] {
            let mut other = bytes.as_slice().to_vec();
            let Some(byte) = other.get_mut(at) else {
                continue;
            };
            *byte = if at == 10 { 7 } else { 0 };
            assert_eq!(decode(&other), Err(fault));
        }
    }
    let elsewhere = Scene::with(3, 4, |terms| terms.salt = [0; 32]).state.site;
    let bytes = forms[2].encode_account().unwrap();
    let site = d402_settlement::ledger::VaultSite {
        bump: scene.state.site.bump,
        ..elsewhere
    };
    let foreign = VaultState::decode_account(site, bytes.as_slice(), None);
    assert_eq!(foreign, Err(CodecFault::WrongTerms));
    assert!(matches!(forms[2].account, VaultAccount::Settled(_)));
}
