//! Bundles of tasks paid on Base: the tale of the simulated rail, and what only an EVM chain can get wrong.
//!
//! Each of the latter is written with the link it must break at, and the generator stops where it does not.

use d402_objects::{
    Address, Amount, EvmAddress, OnSilence, PaymentOption, Registration, Signed, TaskIntent,
    ValidatorOffer, Value, cross_sign, cross_sign_evm, lease_set_root, signature,
};
use d402_settlement::evm::{EvmAccount, EvmSigners, SignerKind};
use d402_settlement::market::testkit::{Scene, TaskSpec, TaskStory, evm_key};
use d402_settlement::market::{BASE_NETWORK, BASE_SEPOLIA_NETWORK, LEDGER, SIMULATED_NETWORK};
use d402_settlement::{Key32, ValidatorSet};
use serde_json::json;

use super::Tale;
use super::resigned::{force_signature, signed};
use crate::base_scene::{high_s, sign};

const SMALL: &str = "single, 1 of 1";

pub fn vectors() -> Value {
    let mut tale = Tale::of(BASE_SEPOLIA_NETWORK);
    super::honest(&mut tale);
    let story = TaskStory::honest(tale.spec(TaskSpec::single(1, 1)));
    let small = tale.base(SMALL, story.bundle().as_bytes());
    super::resigned::resigned(&mut tale, (SMALL, &small), &story);
    super::receipts(&mut tale, (SMALL, &small), &story);
    super::evidence(&mut tale);
    elsewhere(&mut tale);
    let mut base = OnBase {
        tale: &mut tale,
        scene: story.scene.clone(),
        name: SMALL,
        bundle: small,
    };
    networks(&mut base);
    spellings(&mut base);
    payees(&mut base);
    order(&mut base);
    offers(&mut base);
    signatures(&mut base, &story);
    rows(&mut base);
    leases(&mut base, &story);
    twins(&mut tale);
    json!({
        "spec": "2.3, 5",
        "ledger": LEDGER.to_string(),
        "bases": tale.bases,
        "cases": tale.cases,
    })
}

/// Tasks the simulated tale has no need of: another chain, the other grace, a majority.
fn elsewhere(tale: &mut Tale) {
    let mainnet = TaskStory::honest(TaskSpec::single(1, 1).on(BASE_NETWORK));
    tale.base("mainnet", mainnet.bundle().as_bytes());
    let mut large = tale.spec(TaskSpec::single(1, 1));
    large.budget = 100_000_001;
    let large = TaskStory::honest(large);
    tale.base("above 100 USD", large.bundle().as_bytes());
    let mut spec = tale.spec(TaskSpec::single(4, 4));
    spec.on_silence = OnSilence::Majority;
    let mut story = TaskStory::honest(spec);
    let three = story
        .scene
        .settlement_signatures(&[0, 1, 2], &story.decided.digest);
    story.signed_receipt = story.decided.signed(three).expect("signed");
    let bundle = tale.base("a majority of 4", story.bundle().as_bytes());
    let mut base = OnBase {
        tale,
        scene: story.scene,
        name: "a majority of 4",
        bundle,
    };
    base.edited("half is no majority", "Receipt.TooFewSignatures", |b| {
        super::list(&mut b["signedReceipt"], "signatures").pop();
    });
}

/// An honest bundle of Base, to be damaged.
struct OnBase<'a> {
    tale: &'a mut Tale,
    scene: Scene,
    name: &'static str,
    bundle: Value,
}

/// What is signed before the task begins.
struct Draft {
    intent: TaskIntent,
    offers: Vec<ValidatorOffer>,
    registration: Registration,
}

impl Draft {
    fn payment(&mut self) -> &mut PaymentOption {
        &mut self.intent.payment[0]
    }

    fn wallet(&mut self, wallet: Address) {
        let wallets = &mut self.registration.commission.wallets;
        wallets.values_mut().for_each(|old| *old = wallet.clone());
    }

    fn payout(&mut self, payout: Address) {
        let payouts = &mut self.offers[0].payouts;
        payouts.values_mut().for_each(|old| *old = payout.clone());
    }

    /// Asked for and offered alike.
    fn asset(&mut self, asset: &Address) {
        self.payment().asset = asset.clone();
        for fee in self.offers.iter_mut().flat_map(|offer| &mut offer.fees) {
            fee.asset = asset.clone();
        }
    }
}

impl OnBase<'_> {
    /// A damaged bundle that breaks at this link.
    fn edited(&mut self, name: &str, link: &str, change: impl FnOnce(&mut Value)) {
        self.tale.damaged((self.name, &self.bundle), name, change);
        let case = self.tale.cases.last().expect("a case");
        let cause = case["cause"].as_str().map(|cause| format!(".{cause}"));
        let broken = case["broken"].as_str().unwrap_or("Ok");
        let got = format!("{broken}{}", cause.unwrap_or_default());
        assert!(got == link, "{name}: breaks at {got}, not {link}");
    }

    /// Intent, offers and registration changed and signed again, by name and all: only rules are broken.
    fn drafted(&mut self, name: &str, link: &str, change: impl FnOnce(&mut Draft)) {
        let parts = self.scene.dossier.parts();
        let mut draft = Draft {
            intent: self.scene.dossier.intent().clone(),
            offers: parts.offers.iter().map(|o| o.payload().clone()).collect(),
            registration: self.scene.dossier.registration().clone(),
        };
        change(&mut draft);
        let actors = self.scene.actors.clone();
        let registration = Signed::sign(draft.registration, &actors.author).expect("signed");
        let offers: Vec<_> = draft
            .offers
            .into_iter()
            .zip(&actors.validators)
            .map(|(offer, validator)| Signed::sign(offer, &validator.key).expect("signed"))
            .collect();
        draft.intent.registration_cid = registration.cid();
        draft.intent.validation.offer_cids = offers.iter().map(Signed::cid).collect();
        self.edited(name, link, |b| {
            b["registration"] = registration.to_value();
            b["offers"] = offers.iter().map(Signed::to_value).collect();
            b["intent"] = signed(draft.intent, &actors.buyer);
        });
    }

    fn digest(&self, settlement: &d402_settlement::Settlement) -> [u8; 32] {
        let terms_hash = &self.scene.dossier.quote().terms_hash;
        let codec = self.scene.dossier.codec();
        codec.settlement_digest(terms_hash, settlement)
    }
}

fn address(text: impl Into<String>) -> Address {
    Address::new(text.into()).expect("an address")
}

fn account(account: EvmAccount) -> Address {
    address(account.to_string())
}

fn upper(good: &Address) -> Address {
    address(good.as_str().to_uppercase().replace("0X", "0x"))
}

fn networks(base: &mut OnBase<'_>) {
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
fn spellings(base: &mut OnBase<'_>) {
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
fn payees(base: &mut OnBase<'_>) {
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
fn order(base: &mut OnBase<'_>) {
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
        d.payment().validator_set = d402_objects::Hex32::from_bytes([9; 32]);
        d.payment().refund_to = upper(&good);
    });
}

/// Who may sign on an EVM chain.
fn offers(base: &mut OnBase<'_>) {
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
            d.payment().validator_set = d402_objects::Hex32::from_bytes(hash.0);
        });
    }
}

/// Validators who are one behind the scenes.
fn twins(tale: &mut Tale) {
    let story = tale.story(d402_objects::Mode::Race);
    let mut base = OnBase {
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

/// Signatures that are not the one spelling of the signer's over this digest.
fn signatures(base: &mut OnBase<'_>, story: &TaskStory) {
    let validator = &base.scene.actors.validators[0].clone();
    let digest = base.digest(&story.decided.settlement);
    let good = sign(&validator.evm, &digest);
    let with = |v: u8| {
        let mut changed = good;
        changed[64] = v;
        changed.to_vec()
    };
    let mut high_old_v = high_s(&good);
    high_old_v[64] = good[64];
    let other = TaskStory::honest(TaskSpec::single(1, 1).on(BASE_NETWORK));
    let mainnet = other.scene.dossier.codec();
    let terms_hash = &base.scene.dossier.quote().terms_hash;
    let settlement = &story.decided.settlement;
    let simulated = d402_settlement::Codec::Solana(d402_settlement::Domain::SIMULATED);
    let on_mainnet = mainnet.settlement_digest(terms_hash, settlement);
    let on_solana = simulated.settlement_digest(terms_hash, settlement);
    let ed25519 = validator.sign_settlement(&simulated, &digest);
    let (bad, long) = ("Receipt.Signature", "Receipt.SignatureLength");
    let cases = [
        ("by the Ed25519 key", long, ed25519.as_slice().to_vec()),
        ("without v", long, good[..64].to_vec()),
        ("of 66 bytes", long, [good.as_slice(), &[0]].concat()),
        ("with v 0 or 1", bad, with(good[64] - 27)),
        ("with v 29", bad, with(29)),
        ("with the other v", bad, with(good[64] ^ 27 ^ 28)),
        ("with a high s", bad, high_s(&good).to_vec()),
        ("with a high s and the old v", bad, high_old_v.to_vec()),
        ("of zeros", bad, vec![0; 65]),
        ("of ones", bad, [vec![0xFF; 64], vec![27]].concat()),
        (
            "by another EVM key",
            bad,
            sign(&evm_key("settlement", 1), &digest).to_vec(),
        ),
        (
            "over the text a wallet shows",
            bad,
            signature::eip191_sign(&validator.evm, &digest).to_vec(),
        ),
        (
            "over the digest of mainnet",
            bad,
            sign(&validator.evm, &on_mainnet).to_vec(),
        ),
        (
            "over the digest of Solana",
            bad,
            sign(&validator.evm, &on_solana).to_vec(),
        ),
    ];
    for (name, link, signature) in cases {
        base.edited(&format!("a signature {name}"), link, |b| {
            b["signedReceipt"]["signatures"][0]["signature"] = Value::from(hex::encode(signature));
        });
    }
}

/// Rows and the verifier as the receipt spells them.
fn rows(base: &mut OnBase<'_>) {
    let dossier = base.scene.dossier.clone();
    let escrow = dossier.quote().pay_to_address().expect("an escrow");
    let forbidden = [
        ("the escrow", escrow),
        ("the asset", dossier.asset().clone()),
        ("the ledger", account(LEDGER)),
        ("nobody", account(EvmAccount::ZERO)),
    ];
    for (name, payee) in forbidden {
        base.edited(
            &format!("a row pays {name}"),
            "Receipt.ForbiddenPayee",
            |b| {
                b["signedReceipt"]["receipt"]["rows"][0]["payee"] = json!(payee);
            },
        );
    }
    let good = base.bundle["signedReceipt"]["receipt"]["rows"][0]["payee"].clone();
    let good = address(good.as_str().expect("a payee"));
    let word = |good: &Address| address(good.as_str().replace("0x", &"0".repeat(24)));
    for (name, payee) in [("upper case", upper(&good)), ("a word", word(&good))] {
        base.edited(&format!("a payee in {name}"), "Receipt.BadPayee", |b| {
            b["signedReceipt"]["receipt"]["rows"][0]["payee"] = json!(payee);
        });
    }
    let ledger = account(LEDGER);
    for (name, verifier) in [("upper case", upper(&ledger)), ("a word", word(&ledger))] {
        base.edited(
            &format!("the verifier in {name}"),
            "Receipt.OtherVerifier",
            |b| {
                b["signedReceipt"]["receipt"]["verifier"] = json!(verifier);
            },
        );
    }
}

/// Leases whose other fields are right, so that only the rule under test refuses them.
fn leases(base: &mut OnBase<'_>, story: &TaskStory) {
    let gateway = base.scene.actors.gateway.clone();
    let lease = story.leases[0].payload().clone();
    let dossier = base.scene.dossier.clone();
    let escrow = dossier.quote().pay_to_address().expect("an escrow");
    let good = &lease.payout.address;
    let payouts = [
        ("in upper case", upper(good)),
        ("to the escrow", escrow),
        ("to the ledger", account(LEDGER)),
        ("to the asset", dossier.asset().clone()),
        ("to refundTo", dossier.payment().refund_to.clone()),
    ];
    for (name, payout) in payouts {
        base.edited(&format!("a lease pays {name}"), "Evidence.LeaseSet", |b| {
            let mut other = lease.clone();
            other.payout.address = payout;
            b["leases"][0] = signed(other, &gateway);
        });
    }
    let judge = &base.scene.actors.validators[0].settlement.clone();
    base.edited(
        "a validator works under its Ed25519 settlement key",
        "Evidence.LeaseSet",
        |b| {
            let mut other = lease.clone();
            other.worker = judge.into();
            other.lease_set_root = lease_set_root(&[(other.worker, other.price)]);
            b["leases"][0] = signed(other, &gateway);
        },
    );
    // What the refusals above are measured against: this lease is in order, but nobody accepted it.
    base.edited(
        "a lease pays another account of the worker",
        "Evidence.UnknownLease",
        |b| {
            let mut other = lease.clone();
            other.payout.address = account(EvmAccount([0x77; 20]));
            b["leases"][0] = signed(other, &gateway);
        },
    );
}
