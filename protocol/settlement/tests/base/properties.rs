//! Properties of the bytes of Base over random terms, receipts and signatures.

use d402_settlement::evm::{EVM_TERMS_LEN, EvmAccount, EvmTerms, chain_word};
use d402_settlement::{Bps, Codec, SetHash, TaskId, Terms, Units};
use proptest::prelude::*;

use crate::scene::{
    MAINNET, SEPOLIA, WORKER_2, account_of, evm_key, high_s, judge, paid, sign, worker,
};

prop_compose! {
    fn any_account()(bytes in any::<[u8; 20]>()) -> EvmAccount {
        EvmAccount(bytes)
    }
}

prop_compose! {
    fn any_terms()(
        (version, on_silence, commission, fee) in any::<(u8, u8, u16, u16)>(),
        (budget, cap) in (0u128..1 << 96, 0u128..1 << 96),
        (issued_at, settle_by, refund_after) in any::<(u64, u64, u64)>(),
        chain_id in any::<[u8; 32]>(),
        (task_id, set, salt) in any::<([u8; 32], [u8; 32], [u8; 32])>(),
        (asset, refund_to) in (any_account(), any_account()),
        (commission_payee, gateway_fee_payee) in (any_account(), any_account()),
    ) -> EvmTerms {
        EvmTerms {
            version,
            on_silence,
            commission_bps: Bps(commission),
            gateway_fee_bps: Bps(fee),
            budget: Units::new(budget).unwrap(),
            validator_fee_cap: Units::new(cap).unwrap(),
            issued_at,
            settle_by,
            refund_after,
            chain_id,
            task_id: TaskId(task_id),
            asset,
            refund_to,
            validator_set: SetHash(set),
            commission_payee,
            gateway_fee_payee,
            salt,
        }
    }
}

fn market(terms: &EvmTerms) -> Terms {
    let narrow = EvmTerms {
        budget: Units::from_u64(terms.budget.get() as u64),
        validator_fee_cap: Units::from_u64(terms.validator_fee_cap.get() as u64),
        issued_at: terms.issued_at >> 1,
        settle_by: terms.settle_by >> 1,
        refund_after: terms.refund_after >> 1,
        ..*terms
    };
    narrow.to_market().unwrap()
}

proptest! {
    #[test]
    fn terms_are_what_their_words_say(terms in any_terms()) {
        prop_assert_eq!(EvmTerms::decode(&terms.encode()), Ok(terms));
    }

    #[test]
    fn words_are_read_strictly_or_not_at_all(words in any::<[[u8; 32]; 17]>(), keep in any::<[u8; 17]>()) {
        let mut bytes = [0u8; EVM_TERMS_LEN];
        for (at, (word, keep)) in words.iter().zip(keep).enumerate() {
            let clean = usize::from(keep % 33);
            bytes[at * 32 + clean..][..32 - clean].copy_from_slice(&word[clean..]);
        }
        if let Ok(terms) = EvmTerms::decode(&bytes) {
            prop_assert_eq!(terms.encode(), bytes);
        }
    }

    #[test]
    fn the_markets_terms_survive_the_codec(terms in any_terms()) {
        for codec in [Codec::Evm(SEPOLIA), Codec::Evm(MAINNET)] {
            let terms = market(&terms);
            let bytes = codec.encode_terms(&terms).unwrap();
            prop_assert_eq!(bytes.len(), EVM_TERMS_LEN);
            prop_assert_eq!(codec.decode_terms(&bytes), Ok(terms));
        }
    }

    #[test]
    fn every_bit_of_the_terms_is_in_their_name(terms in any_terms(), bit in 0..EVM_TERMS_LEN * 8) {
        let mut bytes = terms.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = EvmTerms::decode(&bytes) {
            prop_assert_ne!(other.hash(&SEPOLIA.ledger), terms.hash(&SEPOLIA.ledger));
        }
    }

    #[test]
    fn a_signature_has_one_spelling(seed in 0u32..1_000, digest in any::<[u8; 32]>(), bit in 0..65 * 8usize) {
        let key = evm_key(seed);
        let signer = account_of(&key).to_key();
        let codec = Codec::Evm(SEPOLIA);
        let good = sign(&key, &digest);
        prop_assert!(codec.verifies(&signer, &digest, &good));
        prop_assert!(!codec.verifies(&signer, &digest, &high_s(&good)));
        prop_assert!(!codec.verifies(&signer, &digest, &good[..64]));
        let mut bad = good;
        bad[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!codec.verifies(&signer, &digest, &bad));
        let mut other = digest;
        other[bit % 32] ^= 1;
        prop_assert!(!codec.verifies(&signer, &other, &good));
    }

    #[test]
    fn every_part_of_a_settlement_is_in_its_digest(
        amount in 1u64..u64::MAX,
        cid in any::<[u8; 32]>(),
        payee in any::<[u8; 20]>().prop_filter("a payee", |p| *p != [0; 20] && *p != WORKER_2.0),
    ) {
        let hash = crate::scene::base_terms(SetHash([4; 32])).hash(&SEPOLIA.ledger);
        let of = |settlement| SEPOLIA.settlement_digest(&hash, &settlement);
        let mut base = paid(&[worker(EvmAccount(payee), amount)]);
        base.receipt_cid.0 = cid;
        let mut all = vec![of(base), MAINNET.settlement_digest(&hash, &base)];
        let mut other = base;
        other.receipt_cid.0[31] ^= 1;
        all.push(of(other));
        for rows in [
            vec![worker(EvmAccount(payee), amount + 1)],
            vec![judge(EvmAccount(payee), amount)],
            vec![worker(WORKER_2, amount)],
            vec![],
        ] {
            let mut other = base;
            other.rows = d402_settlement::Rows::new(&rows).unwrap();
            all.push(of(other));
        }
        let mut other = base;
        other.outcome = d402_settlement::Outcome::Rejected;
        all.push(of(other));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), count);
    }
}

#[test]
fn terms_with_no_bytes_on_base_are_refused_and_never_cut() {
    use d402_settlement::evm::TermsFault;
    use d402_settlement::{Key32, UnixSeconds};
    let codec = Codec::Evm(SEPOLIA);
    let good = crate::scene::base_terms(SetHash([4; 32]))
        .to_market()
        .unwrap();
    let with = |change: fn(&mut Terms)| {
        let mut terms = good;
        change(&mut terms);
        codec.encode_terms(&terms).unwrap_err()
    };
    let no_field = |field| TermsFault::NoSuchField { field };
    assert_eq!(with(|t| t.reserved = 1), no_field("reserved"));
    assert_eq!(with(|t| t.rent_to = Key32([7; 32])), no_field("rentTo"));
    let no_account = |field| TermsFault::NotAnAccount { field };
    assert_eq!(with(|t| t.mint.0[0] = 1), no_account("asset"));
    assert_eq!(with(|t| t.refund_to.0[11] = 1), no_account("refundTo"));
    assert_eq!(
        with(|t| t.commission_payee.0[5] = 1),
        no_account("commissionPayee")
    );
    let early = TermsFault::BeforeEpoch { field: "issuedAt" };
    assert_eq!(with(|t| t.issued_at = UnixSeconds(-1)), early);
    let bytes = codec.encode_terms(&good).unwrap();
    let length = TermsFault::Length {
        got: 304,
        want: 544,
    };
    assert_eq!(codec.decode_terms(&bytes[..304]), Err(length));
    let mut wrong_chain = crate::scene::base_terms(SetHash([4; 32]));
    wrong_chain.chain_id = chain_word(1);
    let other = codec.decode_terms(&wrong_chain.encode());
    assert_eq!(other, Err(TermsFault::OtherChain));
    let mut wide = crate::scene::base_terms(SetHash([4; 32]));
    wide.budget = Units::new(1 << 64).unwrap();
    let too_wide = TermsFault::TooWide { field: "budget" };
    assert_eq!(codec.decode_terms(&wide.encode()), Err(too_wide));
}
