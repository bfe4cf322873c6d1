//! The rules of single payloads, one broken rule at a time.

use d402_objects::{
    Amount, Bps, Document, Invalid, Mode, Outcome, RowRole, SettlementReceipt, SignatureFault,
    TaskIntent, ValidatorOffer, claim_commit, cross_sign, cross_sign_evm, lease_set_root,
    signature::evm_address,
};

use crate::samples::{self, cid, hex32, id, key, ms, t};

fn broken<T: Document>(mut payload: T, change: impl FnOnce(&mut T)) -> Invalid {
    assert_eq!(payload.validate(), Ok(()), "the sample itself is valid");
    change(&mut payload);
    payload
        .validate()
        .expect_err("the changed sample must be refused")
}

/// The field or type a refusal names.
fn what(invalid: Invalid) -> &'static str {
    match invalid {
        Invalid::Hex { what, .. }
        | Invalid::Prefix { what, .. }
        | Invalid::Length { what, .. }
        | Invalid::Syntax { what }
        | Invalid::Range { what, .. }
        | Invalid::Count { what, .. }
        | Invalid::NotDistinct { what }
        | Invalid::Mismatch { what, .. }
        | Invalid::Signature { what, .. } => what,
        Invalid::Version { .. } => "objectVersion",
    }
}

fn intent_refusal(change: impl FnOnce(&mut TaskIntent)) -> &'static str {
    what(broken(samples::task_intent(), change))
}

#[test]
fn a_mode_fixes_fanout_and_quorum() {
    let set = |mode, fanout, quorum| {
        let mut intent = samples::task_intent();
        (intent.mode, intent.fanout, intent.quorum) = (mode, fanout, quorum);
        intent.validate().is_ok()
    };
    for fanout in 0..=10u8 {
        for quorum in 0..=10u8 {
            assert_eq!(
                set(Mode::Single, fanout, quorum),
                fanout == 1 && quorum == 1
            );
            assert_eq!(
                set(Mode::Race, fanout, quorum),
                (2..=8).contains(&fanout) && quorum == 1
            );
            assert_eq!(
                set(Mode::Quorum, fanout, quorum),
                (2..=8).contains(&fanout) && quorum <= fanout && 2 * quorum > fanout
            );
        }
    }
}

#[test]
fn a_threshold_is_a_majority_of_distinct_validators() {
    for n in 0..=18u8 {
        for m in 0..=20u8 {
            let mut intent = samples::task_intent();
            intent.validation.offer_cids = (0..n).map(cid).collect();
            intent.validation.threshold = m;
            let right = (1..=16).contains(&n) && n < 2 * m && m <= n;
            assert_eq!(intent.validate().is_ok(), right, "{m} of {n}");
        }
    }
    assert_eq!(
        intent_refusal(|i| i.validation.offer_cids = vec![cid(1), cid(2), cid(2), cid(3)]),
        "offerCids"
    );
}

#[test]
fn a_deadline_is_ten_seconds_to_a_day_after_issuing() {
    let after = |gap: u64| {
        let mut intent = samples::task_intent();
        intent.deadline_ms = ms(samples::NOW + gap);
        intent.validate().is_ok()
    };
    assert!(!after(0) && !after(9_999) && after(10_000));
    assert!(after(86_400_000) && !after(86_400_001));
    assert_eq!(
        intent_refusal(|i| i.deadline_ms = ms(samples::NOW - 20_000)),
        "deadlineMs - issuedAtMs"
    );
}

#[test]
fn payment_options_keep_the_money_rules() {
    let refusal = |change: fn(&mut d402_objects::PaymentOption)| {
        intent_refusal(|i| change(&mut i.payment[0]))
    };
    assert_eq!(refusal(|p| p.budget = Amount::ZERO), "budget");
    assert_eq!(
        refusal(|p| p.validator_fee_cap = Amount::from(5_001)),
        "validatorFeeCap"
    );
    assert_eq!(
        refusal(|p| p.gateway_fee_bps = Bps::new(2_001).unwrap()),
        "gatewayFeeBps"
    );
    assert_eq!(refusal(|p| p.gateway_fee_payee = None), "gatewayFeePayee");
    assert_eq!(
        refusal(|p| p.gateway_fee_bps = Bps::ZERO),
        "gatewayFeePayee"
    );
    assert_eq!(intent_refusal(|i| i.payment.clear()), "payment");
    assert_eq!(
        intent_refusal(|i| i.payment.push(i.payment[0].clone())),
        "payment"
    );
    let mut largest = samples::task_intent();
    largest.payment[0].budget = Amount::MAX;
    largest.payment[0].validator_fee_cap = Amount::new(Amount::MAX.get() / 2).unwrap();
    assert_eq!(largest.validate(), Ok(()));
}

#[test]
fn attempts_are_one_to_eight() {
    assert_eq!(intent_refusal(|i| i.max_attempts = 0), "maxAttempts");
    assert_eq!(intent_refusal(|i| i.max_attempts = 9), "maxAttempts");
}

#[test]
fn a_manifest_agrees_with_itself() {
    let refusal =
        |change: fn(&mut d402_objects::Manifest)| what(broken(samples::manifest(), change));
    assert_eq!(refusal(|m| m.version = t("2")), "capabilityId");
    assert_eq!(refusal(|m| m.id = t("web.page")), "capabilityId");
    assert_eq!(refusal(|m| m.similarity = None), "similarity");
    assert_eq!(refusal(|m| m.validation_models.clear()), "validationModels");
    assert_eq!(refusal(|m| m.input_schema = "string".into()), "inputSchema");
    assert_eq!(refusal(|m| m.decision_time_s = 86_401), "decisionTimeS");
    assert_eq!(refusal(|m| m.object_version = 2), "objectVersion");
}

#[test]
fn a_commission_is_at_most_a_fifth() {
    let refusal = what(broken(samples::registration(), |r| {
        r.commission.bps = Bps::new(2_001).unwrap();
    }));
    assert_eq!(refusal, "commission.bps");
    let refusal = what(broken(samples::registration(), |r| {
        r.valid_until_ms = r.valid_from_ms;
    }));
    assert_eq!(refusal, "validUntilMs");
}

fn offer_refusal(change: impl FnOnce(&mut ValidatorOffer)) -> Invalid {
    broken(samples::validator_offer(), change)
}

/// Threat #50: nobody pairs a stranger's settlement or EVM key with his own name.
#[test]
fn a_validator_offer_needs_the_consent_of_all_its_keys() {
    let mallory = samples::evm_key(0x4d);
    let mallory_address = evm_address(mallory.verifying_key());
    // Another EVM key under the validator's name: its own half is valid, the settlement key's
    // half names the old address.
    let refusal = offer_refusal(|o| {
        o.settlement_key.evm = Some(mallory_address);
        o.cross_signatures.evm_signs_settlement = Some(cross_sign_evm(
            &mallory,
            &id(samples::VALIDATOR),
            id(samples::SETTLEMENT),
        ));
    });
    assert_eq!(what(refusal), "settlementSignsEnvelope");
    // A stranger's EVM address with the settlement key's consent, but not the stranger's.
    let refusal = offer_refusal(|o| {
        o.settlement_key.evm = Some(mallory_address);
        o.cross_signatures.settlement_signs_envelope = cross_sign(
            &key(samples::SETTLEMENT),
            &id(samples::VALIDATOR),
            Some(mallory_address),
        );
    });
    assert_eq!(
        refusal,
        Invalid::Signature {
            what: "evmSignsSettlement",
            source: SignatureFault::Eip191
        }
    );
    // Somebody else offers Alice's settlement key as his own.
    let refusal = offer_refusal(|o| o.validator = id(0x4d));
    assert_eq!(what(refusal), "settlementSignsEnvelope");
    let refusal = offer_refusal(|o| o.cross_signatures.evm_signs_settlement = None);
    assert_eq!(what(refusal), "evmSignsSettlement");
    let refusal = offer_refusal(|o| o.settlement_key.ed25519 = o.validator);
    assert_eq!(what(refusal), "settlementKey");
    // The two halves are different messages: one is not the other's.
    let refusal = offer_refusal(|o| {
        o.settlement_key.evm = None;
        o.cross_signatures.evm_signs_settlement = None;
    });
    assert_eq!(what(refusal), "settlementSignsEnvelope");
    let mut without_evm = samples::validator_offer();
    without_evm.settlement_key.evm = None;
    without_evm.cross_signatures.evm_signs_settlement = None;
    without_evm.cross_signatures.settlement_signs_envelope =
        cross_sign(&key(samples::SETTLEMENT), &id(samples::VALIDATOR), None);
    assert_eq!(without_evm.validate(), Ok(()));
}

#[test]
fn a_bid_and_a_lease_pay_on_their_own_network() {
    let refusal = what(broken(samples::bid(), |b| {
        b.payout.network = t("eip155:8453");
    }));
    assert_eq!(refusal, "payout.network");
    let refusal = what(broken(samples::lease(), |l| l.network = t("eip155:8453")));
    assert_eq!(refusal, "payout.network");
    assert_eq!(
        what(broken(samples::bid(), |b| b.price = Amount::ZERO)),
        "price"
    );
}

#[test]
fn a_lease_stands_inside_its_set() {
    let refusal = |change: fn(&mut d402_objects::Lease)| what(broken(samples::lease(), change));
    assert_eq!(refusal(|l| l.lease_index = 1), "leaseIndex");
    assert_eq!(refusal(|l| l.attempt = 0), "attempt");
    assert_eq!(refusal(|l| l.attempt = 9), "attempt");
    assert_eq!(refusal(|l| l.lease_count = 9), "leaseCount");
    assert_eq!(refusal(|l| l.expires_at_ms = l.start_ms), "expiresAtMs");
}

#[test]
fn a_claim_hashes_its_evidence() {
    let refusal = what(broken(samples::result_claim(), |c| {
        c.evidence[0].bytes += 1
    }));
    assert_eq!(refusal, "evidenceRoot");
    let refusal = what(broken(samples::result_claim(), |c| {
        c.evidence[1].name = c.evidence[0].name.clone();
    }));
    assert_eq!(refusal, "evidence");
    assert_eq!(what(broken(samples::commit_ack(), |a| a.rank = 0)), "rank");
}

#[test]
fn a_commit_hides_every_part_of_the_claim() {
    let claim = samples::result_claim();
    let sealed = d402_objects::SealedClaim {
        task_id: claim.task_id,
        lease_cid: claim.lease_cid,
        worker: claim.worker,
        output_cid: claim.output.cid,
        evidence_root: claim.evidence_root,
        salt: claim.salt,
    };
    let honest = claim_commit(&sealed);
    assert_eq!(claim.commit(), honest);
    let changed: [fn(&mut d402_objects::SealedClaim); 6] = [
        |s| s.task_id = cid(0xff),
        |s| s.lease_cid = cid(0xff),
        |s| s.worker = id(0x4d),
        |s| s.output_cid = cid(0xff),
        |s| s.evidence_root = hex32(0xff),
        |s| s.salt = hex32(0xff),
    ];
    for change in changed {
        let mut other = sealed;
        change(&mut other);
        assert_ne!(claim_commit(&other), honest);
    }
}

#[test]
fn a_lease_set_root_ignores_order_and_nothing_else() {
    let set = [(id(1), Amount::from(5)), (id(2), Amount::from(6))];
    let root = lease_set_root(&set);
    assert_eq!(lease_set_root(&[set[1], set[0]]), root);
    assert_ne!(lease_set_root(&[set[0]]), root);
    assert_ne!(
        lease_set_root(&[(id(1), Amount::from(6)), (id(2), Amount::from(5))]),
        root
    );
}

#[test]
fn an_inventory_names_nothing_twice() {
    let refusal = what(broken(samples::inventory(), |i| i.acks.push(i.acks[0])));
    assert_eq!(refusal, "acks");
}

fn receipt_refusal(change: impl FnOnce(&mut SettlementReceipt)) -> &'static str {
    what(broken(samples::settlement_receipt(), change))
}

#[test]
fn a_receipt_pays_workers_exactly_when_it_says_paid() {
    assert_eq!(
        receipt_refusal(|r| r.rows.retain(|row| row.role == RowRole::Validator)),
        "rows"
    );
    assert_eq!(receipt_refusal(|r| r.outcome = Outcome::Rejected), "rows");
    assert_eq!(
        receipt_refusal(|r| r.rows[1].payee = r.rows[0].payee.clone()),
        "rows"
    );
    assert_eq!(receipt_refusal(|r| r.rows[0].amount = Amount::ZERO), "rows");
    // Rejected with validators paid is right; with a commission it is not (threat #25).
    let mut rejected = samples::settlement_receipt();
    rejected.outcome = Outcome::Rejected;
    rejected.rows.retain(|row| row.role == RowRole::Validator);
    rejected.commission = Amount::ZERO;
    rejected.gateway_fee = Amount::ZERO;
    assert_eq!(rejected.validate(), Ok(()));
    assert_eq!(
        what(broken(rejected, |r| r.gateway_fee = Amount::from(1))),
        "rows"
    );
}
