//! M7a between the chains: nothing signed or named on one means anything on the other.

use d402_settlement::evm::EvmDomain;
use d402_settlement::market::testkit::{TaskSpec, TaskStory};
use d402_settlement::market::{
    BASE_NETWORK, BASE_SEPOLIA_NETWORK, Bundle, ReceiptFault, SIMULATED_NETWORK, check_signatures,
};
use d402_settlement::{ApprovalFault, Codec, Domain, Key32, UnixSeconds};

use crate::scene::{MAINNET, SEPOLIA};

fn stories() -> Vec<TaskStory> {
    [SIMULATED_NETWORK, BASE_SEPOLIA_NETWORK, BASE_NETWORK]
        .iter()
        .map(|network| TaskStory::honest(TaskSpec::single(3, 4).on(network)))
        .collect()
}

fn early(story: &TaskStory) -> UnixSeconds {
    story.scene.dossier.terms().issued_at
}

#[test]
fn one_market_decision_settles_on_every_network_in_its_own_bytes() {
    for story in stories() {
        let dossier = &story.scene.dossier;
        let checked = check_signatures(dossier, &story.signed_receipt, early(&story)).unwrap();
        assert_eq!(checked.digest, story.decided.digest);
        assert_eq!(checked.approvals.set(), dossier.terms().validator_set);
        let proof = Bundle::verify(story.bundle().as_bytes()).unwrap();
        assert_eq!(Some(proof.pay_to), dossier.quote().pay_to_address());
        let decoded = dossier.codec().decode_terms(dossier.terms_bytes());
        assert_eq!(decoded.as_ref(), Ok(dossier.terms()));
    }
    let [simulated, sepolia, base] = <[TaskStory; 3]>::try_from(stories()).unwrap();
    // The same market arithmetic (M1d): rows differ by payee only, the computed parts not at all.
    for other in [&sepolia, &base] {
        assert_eq!(
            other.decided.plan.commission,
            simulated.decided.plan.commission
        );
        assert_eq!(
            other.decided.plan.gateway_fee,
            simulated.decided.plan.gateway_fee
        );
        assert_eq!(other.decided.plan.owed, simulated.decided.plan.owed);
    }
}

#[test]
fn m7a_a_receipt_of_one_network_is_no_receipt_of_another() {
    let stories = stories();
    for (here, story) in stories.iter().enumerate() {
        for (there, other) in stories
            .iter()
            .enumerate()
            .filter(|(there, _)| *there != here)
        {
            let dossier = &story.scene.dossier;
            let foreign = check_signatures(dossier, &other.signed_receipt, early(story));
            assert!(
                matches!(foreign, Err(ReceiptFault::OtherTask(_))),
                "{here} {there}"
            );
            // The right receipt under the signatures of the other chain.
            let signatures = other.signed_receipt.signatures().to_vec();
            let mixed = story.decided.signed(signatures).unwrap();
            let refused = check_signatures(dossier, &mixed, early(story)).unwrap_err();
            let by_length = matches!(refused, ReceiptFault::SignatureLength { .. });
            let by_key = matches!(
                refused,
                ReceiptFault::Signature(ApprovalFault::BadSignature { .. })
            );
            assert!(by_length || by_key, "{here} {there}: {refused}");
        }
    }
}

/// Each chain's validators sign the digest the other chain asks for, with their own key for this chain: the
/// strongest form of a replay.
#[test]
fn m7a_digests_and_signatures_do_not_cross_codecs() {
    let story = TaskStory::honest(TaskSpec::single(3, 4));
    let hash = story.scene.dossier.quote().terms_hash;
    let settlement = story.decided.settlement;
    let elsewhere = EvmDomain {
        ledger: crate::scene::account(0xA1),
        ..SEPOLIA
    };
    let codecs = [
        Codec::Solana(Domain::SIMULATED),
        Codec::Solana(Domain {
            genesis: [0xEE; 32],
            program: Key32([0xA1; 32]),
        }),
        Codec::Evm(SEPOLIA),
        Codec::Evm(MAINNET),
        Codec::Evm(elsewhere),
    ];
    let validator = &story.scene.actors.validators[0];
    let key_on = |codec: &Codec| match codec {
        Codec::Solana(_) => Key32(validator.settlement.verifying_key().to_bytes()),
        Codec::Evm(_) => crate::scene::account_of(&validator.evm).to_key(),
    };
    for (from, a) in codecs.iter().enumerate() {
        let digest = a.settlement_digest(&hash, &settlement);
        let signature = validator.sign_settlement(a, &digest);
        assert!(a.verifies(&key_on(a), &digest, signature.as_slice()));
        for (to, b) in codecs.iter().enumerate().filter(|(to, _)| *to != from) {
            let other = b.settlement_digest(&hash, &settlement);
            let same_program =
                matches!((a, b), (Codec::Solana(x), Codec::Solana(y)) if x.program == y.program);
            assert!(same_program || digest != other, "{from} {to}");
            assert!(
                !b.verifies(&key_on(b), &other, signature.as_slice()),
                "{from} {to}"
            );
            let same_curve = matches!(
                (a, b),
                (Codec::Solana(_), Codec::Solana(_)) | (Codec::Evm(_), Codec::Evm(_))
            );
            // Even over the foreign digest itself, the other curve's rule takes nothing.
            assert!(same_curve || !b.verifies(&key_on(b), &digest, signature.as_slice()));
            assert!(same_curve || !b.verifies(&key_on(a), &digest, signature.as_slice()));
        }
    }
}

#[test]
fn m7a_terms_and_sets_have_another_name_on_every_chain() {
    let stories = stories();
    let mut names: Vec<[u8; 32]> = stories
        .iter()
        .map(|story| story.scene.dossier.quote().terms_hash.0)
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), stories.len());
    let [simulated, sepolia, base] = <[TaskStory; 3]>::try_from(stories).unwrap();
    let set = |story: &TaskStory| story.scene.dossier.terms().validator_set;
    assert_ne!(set(&simulated), set(&sepolia));
    // A set of EVM accounts is the same on every EVM chain; the chain is in the terms.
    assert_eq!(set(&sepolia), set(&base));
}
