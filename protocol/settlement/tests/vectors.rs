//! Reads this crate's golden vectors back and recomputes every answer in them. The files are what other
//! languages check themselves against, so an empty or stale one is a failure.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_must_use,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fmt::Debug;
use std::str::FromStr;

use d402_settlement::ledger::{Command, Unpayable, VaultSite, VaultState, apply};
use d402_settlement::{
    Approvals, Bps, Domain, Key32, MoneyRules, Outcome, ReceiptCid, Role, Row, Rows, SetHash,
    Settlement, StrictEd25519, TaskId, Terms, TermsHash, Units, UnixSeconds, ValidatorSet,
    Verifier, need, plan_payouts, settleable, settlement_digest, vault_address, vset_address,
};
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = format!("{}/../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a vector file");
    serde_json::from_str(&text).expect("JSON")
}

/// The cases under `key`; an empty list is a failure.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let cases = value[key].as_array().expect(key);
    assert!(!cases.is_empty(), "no {key}");
    cases
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect(key)
}

/// Decimal strings and ids, by their own strict parsers.
fn get<T: FromStr<Err: Debug>>(value: &Value, key: &str) -> T {
    text(value, key).parse().expect(key)
}

fn bytes<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    hex::decode(text(value, key))
        .expect(key)
        .try_into()
        .expect(key)
}

fn domain(value: &Value) -> Domain {
    Domain {
        genesis: bytes(value, "genesis"),
        program: get(value, "program"),
    }
}

fn seconds(value: &Value, key: &str) -> UnixSeconds {
    UnixSeconds(get(value, key))
}

fn keys(value: &Value) -> Vec<Key32> {
    let keys = value["keys"].as_array().expect("keys");
    keys.iter()
        .map(|key| key.as_str().unwrap().parse().unwrap())
        .collect()
}

fn rows(value: &Value) -> Vec<Row> {
    let rows = value["rows"].as_array().expect("rows");
    rows.iter()
        .map(|row| Row {
            payee: get(row, "payee"),
            role: Role::from_u8(get(row, "role")).expect("a role"),
            amount: get(row, "amount"),
        })
        .collect()
}

fn settlement(value: &Value) -> Settlement {
    Settlement {
        receipt_cid: get(value, "receiptCid"),
        outcome: Outcome::from_u8(get(value, "outcome")).expect("an outcome"),
        rows: Rows::new(&rows(value)).expect("rows"),
    }
}

fn signatures(value: &Value) -> Vec<(u8, [u8; 64])> {
    let signatures = value["signatures"].as_array().expect("signatures");
    let pair = |one| (get(one, "setIndex"), bytes(one, "signature"));
    signatures.iter().map(pair).collect()
}

/// The vectors write a fault as the name of its variant, `Outer.Inner` where one wraps another.
fn assert_fault(fault: &impl Debug, expected: &Value) {
    let text = format!("{fault:?}");
    let expected = expected.as_str().expect("a fault");
    let as_debug = expected.replace('.', "(");
    let rest = text.strip_prefix(&as_debug);
    let whole_name = rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    assert!(whole_name, "{text} is not {expected}");
}

fn terms(value: &Value) -> Terms {
    Terms {
        version: get(value, "version"),
        on_silence: get(value, "onSilence"),
        commission_bps: Bps(get(value, "commissionBps")),
        gateway_fee_bps: Bps(get(value, "gatewayFeeBps")),
        reserved: get(value, "reserved"),
        budget: get(value, "budget"),
        validator_fee_cap: get(value, "validatorFeeCap"),
        issued_at: seconds(value, "issuedAt"),
        settle_by: seconds(value, "settleBy"),
        refund_after: seconds(value, "refundAfter"),
        task_id: get::<TaskId>(value, "taskId"),
        mint: get(value, "mint"),
        refund_to: get(value, "refundTo"),
        validator_set: get::<SetHash>(value, "validatorSet"),
        commission_payee: get(value, "commissionPayee"),
        gateway_fee_payee: get(value, "gatewayFeePayee"),
        rent_to: get(value, "rentTo"),
        salt: bytes(value, "salt"),
    }
}

#[test]
fn the_first_vectors_of_the_reference_encoder_are_reproduced() {
    let file = load("terms-solana.json");
    let terms = terms(&list(&file, "cases")[0]["fields"]);
    let domain = Domain {
        genesis: [0xEE; 32],
        program: Key32([0xA1; 32]),
    };
    let hash = terms.hash(&domain);
    assert_eq!(
        hash.to_string(),
        "f638dfc441f7ae0ddf02ccb7871f9aa28e5e16f73e72e5a7aae0e521c6fce065"
    );
    let set = ValidatorSet::new(2, &[Key32([1; 32]), Key32([2; 32]), Key32([3; 32])]).unwrap();
    assert_eq!(
        set.hash().to_string(),
        "9ba4a0c715984e226cb6d6bacf1f345744377e368725a727d3eb0674c5a32be1"
    );
    let row = |byte, role, amount| Row {
        payee: Key32([byte; 32]),
        role,
        amount: Units::from_u64(amount),
    };
    let receipt = Settlement {
        receipt_cid: ReceiptCid([9; 32]),
        outcome: Outcome::Paid,
        rows: Rows::new(&[
            row(0x10, Role::Worker, 5_000),
            row(0x11, Role::Validator, 300),
        ])
        .unwrap(),
    };
    assert_eq!(
        hex::encode(settlement_digest(&domain, &hash, &receipt)),
        "3752c71a45d61d30fb97ae3f6022c6fd382bc5ffe97d930b022719b4ea4d0f6f"
    );
}

#[test]
fn terms_encode_hash_and_settle_as_their_vectors_say() {
    let file = load("terms-solana.json");
    let live = domain(&file["settleableDomain"]);
    for case in list(&file, "cases") {
        let terms = terms(&case["fields"]);
        assert_eq!(
            terms.encode(),
            bytes::<304>(case, "bytes"),
            "{}",
            case["name"]
        );
        assert_eq!(Terms::decode(&bytes(case, "bytes")), terms);
        for hashed in list(case, "hashes") {
            let hash: TermsHash = get(hashed, "termsHash");
            assert_eq!(terms.hash(&domain(&hashed["domain"])), hash);
        }
        for verdict in list(case, "settleable") {
            match settleable(&terms, &live, seconds(verdict, "now")) {
                Ok(()) => assert!(verdict["refusal"].is_null(), "{}", case["name"]),
                Err(refusal) => assert_fault(&refusal, &verdict["refusal"]),
            }
        }
    }
}

#[test]
fn validator_sets_hash_and_refuse_as_their_vectors_say() {
    let file = load("vset-ed25519.json");
    let mut valid = 0;
    for case in list(&file, "sets") {
        match ValidatorSet::new(get(case, "m"), &keys(case)) {
            Ok(set) => {
                assert_eq!(set.hash(), get::<SetHash>(case, "setHash"));
                valid += 1;
            }
            Err(fault) => assert_fault(&fault, &case["fault"]),
        }
    }
    assert!(valid > 16, "only {valid} valid sets");
    for case in list(&file, "needs") {
        let members: Vec<Key32> = (1..=get::<u8>(case, "n")).map(|i| Key32([i; 32])).collect();
        let set = ValidatorSet::new(get(case, "m"), &members).unwrap();
        let mut terms = Terms::decode(&[0; 304]);
        terms.on_silence = get(case, "onSilence");
        terms.settle_by = seconds(case, "settleBy");
        let expected: u8 = get(case, "need");
        assert_eq!(need(&terms, &set, seconds(case, "now")), expected);
    }
}

#[test]
fn settlement_digests_and_row_faults_are_those_of_the_vectors() {
    let file = load("settlement-solana.json");
    for case in list(&file, "digests") {
        let hash: TermsHash = get(case, "termsHash");
        let digest = settlement_digest(&domain(&case["domain"]), &hash, &settlement(case));
        assert_eq!(digest, bytes::<32>(case, "digest"));
    }
    for case in list(&file, "rowFaults") {
        let fault = Rows::new(&rows(case)).expect_err("a fault");
        assert_fault(&fault, &case["fault"]);
    }
}

#[test]
fn signatures_and_sets_of_them_get_the_verdicts_of_the_vectors() {
    let file = load("settlement-solana.json");
    let mut verdicts = [0, 0];
    for case in list(&file, "signatures") {
        let key: Key32 = get(case, "key");
        let valid = StrictEd25519.verify(&key, &bytes(case, "message"), &bytes(case, "signature"));
        assert_eq!(Some(valid), case["valid"].as_bool(), "{}", case["name"]);
        verdicts[usize::from(valid)] += 1;
    }
    assert!(verdicts[0] >= 8 && verdicts[1] >= 1, "{verdicts:?}");
    for case in list(&file, "approvals") {
        let set = ValidatorSet::new(get(case, "m"), &keys(case)).unwrap();
        match Approvals::check(
            &set,
            bytes(case, "digest"),
            &signatures(case),
            &StrictEd25519,
        ) {
            Ok(approvals) => assert_eq!(approvals.count(), get::<u8>(case, "count")),
            Err(fault) => assert_fault(&fault, &case["fault"]),
        }
    }
}

#[test]
fn arithmetic_gives_the_plans_and_refusals_of_the_vectors() {
    let file = load("arithmetic.json");
    let mut plans = 0;
    for case in list(&file, "cases") {
        let rules = MoneyRules {
            commission_bps: Bps(get(case, "commissionBps")),
            gateway_fee_bps: Bps(get(case, "gatewayFeeBps")),
            budget: get(case, "budget"),
            validator_fee_cap: get(case, "validatorFeeCap"),
            commission_payee: get(case, "commissionPayee"),
            gateway_fee_payee: get(case, "gatewayFeePayee"),
        };
        let rows = Rows::new(&rows(case)).unwrap();
        let outcome = Outcome::from_u8(get(case, "outcome")).unwrap();
        let plan = match plan_payouts(&rules, &rows, outcome, get(case, "balance")) {
            Ok(plan) => plan,
            Err(refusal) => {
                assert_fault(&refusal, &case["refusal"]);
                continue;
            }
        };
        plans += 1;
        let expected = &case["plan"];
        assert_eq!(plan.owed, get(expected, "owed"));
        assert_eq!(plan.residual, get(expected, "residual"));
        assert_eq!(plan.commission, get(expected, "commission"));
        assert_eq!(plan.gateway_fee, get(expected, "gatewayFee"));
        assert_eq!(plan.worker_total, get(expected, "workerTotal"));
        assert_eq!(plan.validator_total, get(expected, "validatorTotal"));
        let payouts = expected["payouts"].as_array().unwrap();
        assert_eq!(plan.payouts.len(), payouts.len());
        for (payout, expected) in plan.payouts.iter().zip(payouts) {
            assert_eq!(payout.to, get(expected, "to"));
            assert_eq!(payout.amount, get(expected, "amount"));
            assert_eq!(format!("{:?}", payout.role), text(expected, "role"));
        }
    }
    assert!(plans > 20, "only {plans} plans");
}

#[test]
fn vault_and_set_addresses_are_those_of_the_vectors() {
    let file = load("vault-address.json");
    for case in list(&file, "vaults") {
        let (hash, program) = (get::<TermsHash>(case, "termsHash"), get(case, "program"));
        let expected = Some((get(case, "address"), get(case, "bump")));
        assert_eq!(vault_address(&hash, &program), expected);
    }
    for case in list(&file, "validatorSets") {
        let (hash, program) = (get::<SetHash>(case, "setHash"), get(case, "program"));
        let expected = Some((get(case, "address"), get(case, "bump")));
        assert_eq!(vset_address(&hash, &program), expected);
    }
}

struct Vault {
    terms: Terms,
    set: ValidatorSet,
    state: VaultState,
}

fn vault(scenario: &Value) -> Vault {
    let domain = domain(&scenario["domain"]);
    let terms = Terms::decode(&bytes(scenario, "terms"));
    let site = VaultSite::of(&domain, &terms).unwrap();
    assert_eq!(site.terms_hash, get(scenario, "termsHash"));
    assert_eq!(site.vault, get(scenario, "vault"));
    assert_eq!(site.bump, get::<u8>(scenario, "bump"));
    let keys = keys(scenario);
    Vault {
        terms,
        set: ValidatorSet::new(get(scenario, "m"), &keys).unwrap(),
        state: VaultState::absent(site),
    }
}

/// The signatures of a settle step, checked against the digest computed here.
fn signed(vault: &Vault, command: &Value, receipt: &Settlement) -> Approvals {
    let site = vault.state.site;
    let digest = settlement_digest(&site.domain, &site.terms_hash, receipt);
    assert_eq!(digest, bytes::<32>(command, "digest"));
    Approvals::check(&vault.set, digest, &signatures(command), &StrictEd25519).unwrap()
}

fn frozen(command: &Value) -> Unpayable {
    let keys = command["unpayable"].as_array().unwrap().iter();
    let keys = keys.map(|key| key.as_str().unwrap().parse().unwrap());
    Unpayable::among(keys, |_| false).unwrap()
}

fn run(vault: &mut Vault, step: &Value) -> Result<d402_settlement::ledger::Effects, String> {
    let command = &step["command"];
    let (terms, set) = (vault.terms, vault.set);
    let payable = command["payable"].as_bool().unwrap_or(true);
    let (receipt, approvals, unpayable);
    let parsed = match text(command, "kind") {
        "open" => Command::Open {
            terms: &terms,
            amount: get(command, "amount"),
            mint_allowed: command["mintAllowed"].as_bool().unwrap(),
            set: command["setPublished"].as_bool().unwrap().then_some(&set),
        },
        "deposit" => Command::Deposit {
            amount: get(command, "amount"),
        },
        "settle" => {
            receipt = settlement(command);
            approvals = signed(vault, command, &receipt);
            unpayable = frozen(command);
            Command::Settle {
                settlement: &receipt,
                approvals: &approvals,
                unpayable: &unpayable,
            }
        }
        "claimCredit" => Command::ClaimCredit {
            payee: get(command, "payee"),
            payable,
        },
        "claimCreditTo" => Command::ClaimCreditTo {
            payee: get(command, "payee"),
            signer: get(command, "signer"),
            to: get(command, "to"),
            payable,
        },
        "lapseCredits" => Command::LapseCredits,
        "sweep" => Command::Sweep {
            terms: &terms,
            payable,
        },
        "sweepTo" => Command::SweepTo {
            terms: &terms,
            signer: get(command, "signer"),
            to: get(command, "to"),
            payable,
        },
        "closeUnfunded" => Command::CloseUnfunded { terms: &terms },
        "close" => Command::Close,
        other => panic!("an unknown command {other}"),
    };
    match apply(&vault.state, &parsed, seconds(step, "now")) {
        Ok((next, effects)) => {
            vault.state = next;
            Ok(effects)
        }
        Err(refusal) => {
            assert_fault(&refusal, &step["refusal"]);
            Err(format!("{refusal:?}"))
        }
    }
}

#[test]
fn the_ledger_walks_through_every_scenario_of_the_vectors() {
    let file = load("ledger.json");
    for scenario in list(&file, "scenarios") {
        let mut vault = vault(scenario);
        for step in list(scenario, "steps") {
            let Ok(effects) = run(&mut vault, step) else {
                continue;
            };
            assert!(
                step["refusal"].is_null(),
                "{}: {step} was executed",
                scenario["name"]
            );
            let account = vault.state.encode_account().unwrap();
            assert_eq!(
                hex::encode(account.as_slice()),
                text(&step["state"], "account")
            );
            let tokens = step["state"]["tokens"]
                .as_str()
                .map(|text| text.parse().unwrap());
            assert_eq!(vault.state.tokens, tokens);
            let expected = step["effects"]["transfers"].as_array().unwrap();
            assert_eq!(effects.transfers.len(), expected.len());
            for (transfer, expected) in effects.transfers.iter().zip(expected) {
                assert_eq!(transfer.to, get(expected, "to"));
                assert_eq!(transfer.amount, get(expected, "amount"));
                assert_eq!(format!("{:?}", transfer.kind), text(expected, "kind"));
            }
            let expected = step["effects"]["rent"].as_array().unwrap();
            assert_eq!(effects.rent.len(), expected.len());
            for (note, expected) in effects.rent.iter().zip(expected) {
                assert_eq!(note.lamports, get::<u64>(expected, "lamports"));
            }
            assert_eq!(effects.lapsed, get(&step["effects"], "lapsed"));
            assert_eq!(
                effects.credits.len(),
                step["effects"]["credits"].as_array().unwrap().len()
            );
        }
    }
}
