//! Bundles of tasks paid on Base: the tale of the simulated rail, and what only an EVM chain can get wrong.
//!
//! Each of the latter is written with the link it must break at, and the generator stops where it does not.

mod parts;
mod receipt;

use d402_objects::{
    Address, OnSilence, PaymentOption, Registration, Signed, TaskIntent, ValidatorOffer, Value,
};
use d402_settlement::evm::EvmAccount;
use d402_settlement::market::testkit::{Scene, TaskSpec, TaskStory};
use d402_settlement::market::{BASE_NETWORK, BASE_SEPOLIA_NETWORK, LEDGER};
use serde_json::json;

use super::Tale;
use super::resigned::signed;

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
    parts::networks(&mut base);
    parts::spellings(&mut base);
    parts::payees(&mut base);
    parts::order(&mut base);
    parts::offers(&mut base);
    receipt::signatures(&mut base, &story);
    receipt::rows(&mut base);
    receipt::leases(&mut base, &story);
    parts::twins(&mut tale);
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
