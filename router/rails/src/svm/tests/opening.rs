//! What is accepted as a buyer's own `open`, byte for byte; no chain is asked.

use d402_core::ports::PaymentFault;
use d402_settlement::market::{SOLANA, SOLANA_DEVNET};
use d402_settlement::{Bps, Key32, SetHash, TaskId, Terms, UnixSeconds};
use d402_svm::address::{ASSOCIATED, SYSTEM, TOKEN, token_account};
use d402_svm::instructions::{Place, unit_limit, unit_price};
use d402_svm::transaction::{assemble, encode, signed};
use d402_svm::{AccountMeta, Address, Hash, Instruction, Signature};
use proptest::prelude::*;
use serde_json::json;

use super::stage::{key, payload};
use crate::svm::devnet::USDC;
use crate::svm::{OpenPayment, SolanaKey};

fn terms() -> Terms {
    Terms {
        version: 1,
        on_silence: 0,
        commission_bps: Bps(0),
        gateway_fee_bps: Bps(0),
        reserved: 0,
        budget: 10_000,
        validator_fee_cap: 1_000,
        issued_at: UnixSeconds(1_000),
        settle_by: UnixSeconds(2_000),
        refund_after: UnixSeconds(3_000),
        task_id: TaskId([1; 32]),
        mint: Key32(USDC.to_bytes()),
        refund_to: Key32([2; 32]),
        validator_set: SetHash([3; 32]),
        commission_payee: Key32::ZERO,
        gateway_fee_payee: Key32::ZERO,
        rent_to: Key32([4; 32]),
        salt: [5; 32],
    }
}

fn place() -> Place {
    Place::of(&SOLANA_DEVNET, &terms(), TOKEN).unwrap()
}

fn buyer() -> SolanaKey {
    key(77)
}

fn source() -> Address {
    token_account(&buyer().address(), &USDC, &TOKEN).unwrap().0
}

fn open() -> Instruction {
    let who = buyer().address();
    place().open_funded(who, (source(), who), 10_000)
}

fn payment(instructions: &[Instruction]) -> OpenPayment {
    let (buyer, hash) = (buyer(), Hash::new_from_array([9; 32]));
    let message = assemble(&buyer.address(), instructions, hash, None).unwrap();
    let signature = buyer.sign(&message.serialize());
    OpenPayment::from_bytes(encode(&signed(message, vec![signature]))).unwrap()
}

fn fault(instructions: &[Instruction]) -> Option<PaymentFault> {
    payment(instructions).check(&place()).err()
}

#[test]
fn the_own_open_of_these_terms_is_a_payment_with_or_without_a_compute_budget() {
    let (limit, price) = (unit_limit(90_000), unit_price(5));
    for instructions in [
        vec![open()],
        vec![limit.clone(), open()],
        vec![price.clone(), limit.clone(), open()],
        vec![limit, price, open()],
    ] {
        let paying = payment(&instructions).check(&place()).unwrap();
        assert_eq!(paying.source, source());
        assert_eq!(paying.authority, buyer().address());
    }
}

#[test]
fn anything_beside_the_own_open_is_refused() {
    let mismatch = Some(PaymentFault::Mismatch);
    let foreign = Instruction {
        program_id: SYSTEM,
        accounts: vec![
            AccountMeta::new(buyer().address(), true),
            AccountMeta::new(Address::new_from_array([8; 32]), false),
        ],
        data: vec![2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    };
    let limit = unit_limit(1);
    assert_eq!(fault(&[foreign.clone(), open()]), mismatch, "before");
    assert_eq!(fault(&[open(), foreign.clone()]), mismatch, "behind");
    assert_eq!(fault(&[foreign]), mismatch, "instead");
    assert_eq!(fault(&[open(), open()]), mismatch, "twice");
    assert_eq!(fault(&[limit.clone(), limit.clone(), open()]), mismatch);
    assert_eq!(fault(&[open(), limit]), mismatch, "limit behind");
}

#[test]
fn other_terms_programs_clusters_amounts_and_accounts_are_refused() {
    let who = buyer().address();
    let mismatch = Some(PaymentFault::Mismatch);
    let paid = (source(), who);
    let other_salt = Terms {
        salt: [6; 32],
        ..terms()
    };
    let other = Place::of(&SOLANA_DEVNET, &other_salt, TOKEN).unwrap();
    assert_eq!(fault(&[other.open_funded(who, paid, 10_000)]), mismatch);
    // #44: the same terms on the other cluster are another program and another vault.
    let mainnet = Place::of(&SOLANA, &terms(), TOKEN).unwrap();
    assert_eq!(fault(&[mainnet.open_funded(who, paid, 10_000)]), mismatch);
    for units in [0, 9_999, 10_001, u64::MAX] {
        assert_eq!(fault(&[place().open_funded(who, paid, units)]), mismatch);
    }
    let mut elsewhere = open();
    elsewhere.accounts[2] = AccountMeta::new(Address::new_from_array([8; 32]), false);
    assert_eq!(fault(&[elsewhere]), mismatch);
    let mut more = open();
    more.accounts.push(AccountMeta::new(ASSOCIATED, false));
    assert_eq!(fault(&[more]), mismatch);
}

#[test]
fn a_payment_that_never_expires_is_refused_as_such() {
    let advance = Instruction {
        program_id: SYSTEM,
        accounts: vec![AccountMeta::new_readonly(buyer().address(), true)],
        data: vec![4, 0, 0, 0],
    };
    assert_eq!(fault(&[advance, open()]), Some(PaymentFault::Expired));
}

#[test]
fn every_signer_must_have_signed_this_message() {
    let good = payment(&[open()]);
    let mut forged = good.transaction().clone();
    forged.signatures = vec![Signature::default()];
    let forged = OpenPayment::parse(&payload(&forged)).unwrap();
    assert_eq!(forged.check(&place()), Err(PaymentFault::Signature));
    // A sponsor pays the fee: both must sign.
    let (sponsor, who) = (key(78), buyer().address());
    let open = place().open_funded(sponsor.address(), (source(), who), 10_000);
    let hash = Hash::new_from_array([9; 32]);
    let message = assemble(&sponsor.address(), &[open], hash, None).unwrap();
    let bytes = message.serialize();
    let both = vec![sponsor.sign(&bytes), buyer().sign(&bytes)];
    let with = |signatures| {
        let transaction = signed(message.clone(), signatures);
        let payment = OpenPayment::from_bytes(encode(&transaction)).unwrap();
        payment.check(&place())
    };
    assert!(with(both.clone()).is_ok());
    let halves = vec![both[0], Signature::default()];
    assert_eq!(with(halves), Err(PaymentFault::Signature));
    let swapped = vec![both[1], both[0]];
    assert_eq!(with(swapped), Err(PaymentFault::Signature));
}

#[test]
fn the_id_is_of_the_message_and_not_of_who_wrote_its_payload() {
    let good = payment(&[open()]);
    let mut json = payload(good.transaction());
    let parsed = OpenPayment::parse(&json).unwrap();
    assert_eq!(parsed.id(), good.id());
    json["extra"] = json!("field");
    assert_eq!(OpenPayment::parse(&json).unwrap().id(), good.id());
    let other = payment(&[unit_limit(1), open()]);
    assert_ne!(other.id(), good.id());
    assert_eq!(
        OpenPayment::parse(&json!({"transaction": "no base64"})),
        None
    );
    let long = "A".repeat(1_000_000);
    assert_eq!(OpenPayment::parse(&json!({"transaction": long})), None);
}

proptest! {
    /// Whatever single byte of a signed payment is changed, it is no payment any more.
    #[test]
    fn no_byte_of_a_payment_can_be_changed(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let mut raw = payment(&[unit_limit(90_000), open()]).raw().to_vec();
        let at = at.index(raw.len());
        raw[at] ^= by;
        if let Some(changed) = OpenPayment::from_bytes(raw) {
            prop_assert!(changed.check(&place()).is_err());
        }
    }
}
