//! Damaged bundles of a real chain: each is written with the link it must break at, and the generator stops where
//! it does not.

use d402_objects::{
    Address, PaymentOption, Registration, Signed, TaskIntent, ValidatorOffer, Value,
};
use d402_settlement::market::testkit::Scene;

use super::Tale;
use super::resigned::signed;

/// An honest bundle of a task on a real chain, to be damaged.
pub struct OnChain<'a> {
    pub tale: &'a mut Tale,
    pub scene: Scene,
    pub name: &'static str,
    pub bundle: Value,
}

/// What is signed before the task begins.
pub struct Draft {
    pub intent: TaskIntent,
    pub offers: Vec<ValidatorOffer>,
    pub registration: Registration,
}

impl Draft {
    pub fn payment(&mut self) -> &mut PaymentOption {
        &mut self.intent.payment[0]
    }

    pub fn wallet(&mut self, wallet: Address) {
        let wallets = &mut self.registration.commission.wallets;
        wallets.values_mut().for_each(|old| *old = wallet.clone());
    }

    pub fn payout(&mut self, payout: Address) {
        let payouts = &mut self.offers[0].payouts;
        payouts.values_mut().for_each(|old| *old = payout.clone());
    }

    /// Asked for and offered alike.
    pub fn asset(&mut self, asset: &Address) {
        self.payment().asset = asset.clone();
        for fee in self.offers.iter_mut().flat_map(|offer| &mut offer.fees) {
            fee.asset = asset.clone();
        }
    }
}

impl OnChain<'_> {
    /// A damaged bundle that breaks at this link.
    pub fn edited(&mut self, name: &str, link: &str, change: impl FnOnce(&mut Value)) {
        self.tale.damaged((self.name, &self.bundle), name, change);
        let case = self.tale.cases.last().expect("a case");
        let cause = case["cause"].as_str().map(|cause| format!(".{cause}"));
        let broken = case["broken"].as_str().unwrap_or("Ok");
        let got = format!("{broken}{}", cause.unwrap_or_default());
        assert!(got == link, "{name}: breaks at {got}, not {link}");
    }

    /// Intent, offers and registration changed and signed again, by name and all: only rules are broken.
    pub fn drafted(&mut self, name: &str, link: &str, change: impl FnOnce(&mut Draft)) {
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

    pub fn digest(&self, settlement: &d402_settlement::Settlement) -> [u8; 32] {
        let terms_hash = &self.scene.dossier.quote().terms_hash;
        let codec = self.scene.dossier.codec();
        codec.settlement_digest(terms_hash, settlement)
    }
}

pub fn address(text: impl Into<String>) -> Address {
    Address::new(text.into()).expect("an address")
}
