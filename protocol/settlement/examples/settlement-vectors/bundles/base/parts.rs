//! What is agreed before the work: networks, spellings, payees, offers.

use d402_objects::{Amount, EvmAddress, Hex32, Value, cross_sign, cross_sign_evm, signature};
use d402_settlement::evm::{EvmAccount, EvmSigners, SignerKind};
use d402_settlement::market::testkit::evm_key;
use d402_settlement::market::{BASE_NETWORK, LEDGER, SIMULATED_NETWORK};
use d402_settlement::{Key32, ValidatorSet};
use serde_json::json;

use super::super::Tale;
use super::super::resigned::force_signature;
use super::{OnChain, account, address, upper};

pub(super) fn networks(base: &mut OnChain<'_>) {
    for unknown in ["eip155:1", "eip155:08453", "eip155:845", "base:8453"] {
        let name = format!("paid on {unknown}");
        base.drafted(&name, "Dossier.UnknownNetwork", |d| {
            d.payment().network = unknown.parse().expect("a network");
        });
    }
    for other in [BASE_NETWORK, SIMULATED_NETWORK] {
        let name = format!("paid on {other}, where no offer stands");
        base.drafted(&name, "Dossier.Offer", |d| {
            d.payment().network = other.parse().expect("a network");
        });
        let name = format!("the file says {other}");
        base.edited(&name, "OtherNetwork", |b| b["network"] = Value::from(other));
    }
}

/// One account, one spelling: lower-case hex with its prefix.
pub(super) fn spellings(base: &mut OnChain<'_>) {
    let bad = "Dossier.BadAddress";
    let good = base.scene.dossier.payment().refund_to.clone();
    let hex = good.as_str().trim_start_matches("0x").to_owned();
    let spellings = [
        ("upper case", upper(&good)),
        ("an upper-case prefix", address(format!("0X{hex}"))),
        ("no prefix", address(hex.clone())),
        ("39 digits", address(format!("0x{}", &hex[1..]))),
        ("41 digits", address(format!("0x0{hex}"))),
        ("a word", address(format!("0x{}{hex}", "0".repeat(24)))),
        ("a word without prefix", address("0".repeat(24) + &hex)),
        (
            "a letter that is no digit",
            address(format!("0x{}g", &hex[1..])),
        ),
    ];
    for (name, spelling) in spellings {
        base.drafted(&format!("refundTo in {name}"), bad, |d| {
            d.payment().refund_to = spelling;
        });
    }
    base.drafted("the gateway's payee in upper case", bad, |d| {
        d.payment().gateway_fee_payee = d.payment().gateway_fee_payee.as_ref().map(upper);
    });
    base.drafted("the creator's wallet in upper case", bad, |d| {
        let wallet = d.registration.commission.wallets.values().next().map(upper);
        d.wallet(wallet.expect("a wallet"));
    });
    base.drafted("a validator's payout in upper case", bad, |d| {
        let payout = d.offers[0].payouts.values().next().map(upper);
        d.payout(payout.expect("a payout"));
    });
    base.drafted("the asset in upper case", "Dossier.Offer", |d| {
        d.payment().asset = upper(&d.payment().asset);
    });
    base.drafted("the asset in upper case in the offers too", bad, |d| {
        let asset = upper(&d.payment().asset);
        d.asset(&asset);
    });
    base.drafted("rentTo in upper case", bad, |d| {
        d.payment().rent_to = Some(upper(&good));
    });
    base.drafted("somebody gets rent", "Dossier.Terms", |d| {
        d.payment().rent_to = Some(good.clone());
    });
    // The same terms as without it; what follows was signed for another task.
    base.drafted("nobody gets rent", "Evidence.LeaseSet", |d| {
        d.payment().rent_to = Some(account(EvmAccount::ZERO));
    });
}

/// The zero account, the asset and the ledger are nobody's (threat #58).
pub(super) fn payees(base: &mut OnChain<'_>) {
    let asset = base.scene.dossier.asset().clone();
    let never = "Dossier.NotSettleable";
    let forbidden = "Dossier.ForbiddenParty";
    let nobody = account(EvmAccount::ZERO);
    for (name, payee) in [("asset", asset), ("ledger", account(LEDGER))] {
        base.drafted(
            &format!("refundTo is the {name}"),
            "Dossier.NotSettleable.RefundToForbidden",
            |d| {
                d.payment().refund_to = payee.clone();
            },
        );
        base.drafted(
            &format!("the gateway's payee is the {name}"),
            forbidden,
            |d| {
                d.payment().gateway_fee_payee = Some(payee.clone());
            },
        );
        base.drafted(
            &format!("the creator's wallet is the {name}"),
            forbidden,
            |d| {
                d.wallet(payee.clone());
            },
        );
        base.drafted(
            &format!("a validator's payout is the {name}"),
            forbidden,
            |d| {
                d.payout(payee.clone());
            },
        );
    }
    base.drafted("a validator's payout is nobody", forbidden, |d| {
        d.payout(nobody.clone())
    });
    base.drafted("refundTo is nobody", &format!("{never}.NoRefundTo"), |d| {
        d.payment().refund_to = nobody.clone();
    });
    base.drafted(
        "the gateway's payee is nobody",
        &format!("{never}.GatewayFeePayee"),
        |d| {
            d.payment().gateway_fee_payee = Some(nobody.clone());
        },
    );
    base.drafted(
        "the creator's wallet is nobody",
        &format!("{never}.CommissionPayee"),
        |d| {
            d.wallet(nobody.clone());
        },
    );
    base.drafted("no asset", &format!("{never}.NoMint"), |d| d.asset(&nobody));
}

/// Two broken rules: the first is named.
pub(super) fn order(base: &mut OnChain<'_>) {
    let wide = Amount::new(1 << 64).expect("96 bits");
    let good = base.scene.dossier.payment().refund_to.clone();
    base.drafted("a budget above 64 bits", "Dossier.AmountTooLarge", |d| {
        d.payment().budget = wide;
    });
    base.drafted(
        "a fee above 64 bits and no payout",
        "Dossier.AmountTooLarge",
        |d| {
            d.offers[0].fees[0].fee = wide;
            d.payout(address("nowhere"));
        },
    );
    base.drafted(
        "a wide budget and a bad wallet",
        "Dossier.BadAddress",
        |d| {
            d.payment().budget = wide;
            d.wallet(upper(&good));
        },
    );
    base.drafted(
        "a wide budget and a bad gateway",
        "Dossier.BadAddress",
        |d| {
            d.payment().budget = wide;
            d.payment().gateway_fee_payee = Some(upper(&good));
        },
    );
    base.drafted(
        "a wide budget and a bad asset",
        "Dossier.AmountTooLarge",
        |d| {
            d.payment().budget = wide;
            d.asset(&address("dollars"));
        },
    );
    base.drafted("rent and a forbidden refundTo", "Dossier.Terms", |d| {
        d.payment().rent_to = Some(good.clone());
        d.payment().refund_to = account(LEDGER);
    });
    base.drafted("another set and a bad refundTo", "Dossier.OtherSet", |d| {
        d.payment().validator_set = Hex32::from_bytes([9; 32]);
        d.payment().refund_to = upper(&good);
    });
}

/// Who may sign on an EVM chain.
pub(super) fn offers(base: &mut OnChain<'_>) {
    let validator = base.scene.actors.validators[0].clone();
    base.drafted("an offer without an EVM key", "Dossier.Offer", |d| {
        let (id, offer) = (validator.id(), &mut d.offers[0]);
        offer.settlement_key.evm = None;
        offer.cross_signatures.evm_signs_settlement = None;
        offer.cross_signatures.settlement_signs_envelope =
            cross_sign(&validator.settlement, &id, None);
    });
    base.drafted("no EVM key and a bad payout", "Dossier.Offer", |d| {
        let (id, offer) = (validator.id(), &mut d.offers[0]);
        offer.settlement_key.evm = None;
        offer.cross_signatures.evm_signs_settlement = None;
        offer.cross_signatures.settlement_signs_envelope =
            cross_sign(&validator.settlement, &id, None);
        d.payout(address("nowhere"));
    });
    base.edited("a stranger's EVM key vouches", "Object", |b| {
        let stranger = cross_sign_evm(
            &evm_key("stranger", 0),
            &validator.id(),
            (&validator.settlement).into(),
        );
        b["offers"][0]["payload"]["crossSignatures"]["evmSignsSettlement"] = json!(stranger);
        force_signature(&mut b["offers"][0], &validator.key);
    });
    base.edited("an EVM key in upper case", "Object", |b| {
        let key = b["offers"][0]["payload"]["settlementKey"]["evm"]
            .as_str()
            .expect("a key");
        let key = key.to_uppercase().replace("0X", "0x");
        b["offers"][0]["payload"]["settlementKey"]["evm"] = Value::from(key);
        force_signature(&mut b["offers"][0], &validator.key);
    });
    let ed25519 = ValidatorSet::new(1, &[Key32(validator.settlement.verifying_key().to_bytes())]);
    let ed25519 = ed25519.expect("a set").hash();
    let evm = EvmAccount(signature::evm_address(validator.evm.verifying_key()).as_bytes());
    let contract = EvmSigners::new(1, &[(evm, SignerKind::Contract)])
        .expect("a set")
        .hash();
    for (name, hash) in [("Ed25519 keys", ed25519), ("contracts", contract)] {
        base.drafted(&format!("the set of its {name}"), "Dossier.OtherSet", |d| {
            d.payment().validator_set = Hex32::from_bytes(hash.0);
        });
    }
}

/// Validators who are one behind the scenes.
pub(super) fn twins(tale: &mut Tale) {
    let story = tale.story(d402_objects::Mode::Race);
    let mut base = OnChain {
        tale,
        name: "Race, 3 of 4",
        bundle: serde_json::from_slice(story.bundle().as_bytes()).expect("JSON"),
        scene: story.scene,
    };
    let actors = base.scene.actors.clone();
    let (first, second) = (&actors.validators[0], &actors.validators[1]);
    base.drafted("one EVM key under two names", "Dossier.Set", |d| {
        let evm: EvmAddress = signature::evm_address(first.evm.verifying_key());
        let (id, offer) = (second.id(), &mut d.offers[1]);
        offer.settlement_key.evm = Some(evm);
        offer.cross_signatures.settlement_signs_envelope =
            cross_sign(&second.settlement, &id, Some(evm));
        let vouched = cross_sign_evm(&first.evm, &id, (&second.settlement).into());
        offer.cross_signatures.evm_signs_settlement = Some(vouched);
    });
    base.drafted(
        "an Ed25519 settlement key that is an envelope key",
        "Dossier.Offer",
        |d| {
            let (id, offer) = (first.id(), &mut d.offers[0]);
            offer.settlement_key.ed25519 = second.id();
            offer.cross_signatures.settlement_signs_envelope =
                cross_sign(&second.key, &id, offer.settlement_key.evm);
            let vouched = cross_sign_evm(&first.evm, &id, second.id());
            offer.cross_signatures.evm_signs_settlement = Some(vouched);
        },
    );
    base.drafted("two validators paid to one account", "Dossier.Offer", |d| {
        d.offers[1].payouts = d.offers[0].payouts.clone();
    });
}
