//! A 402, taken apart and recomputed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use d402_objects::{
    Manifest, NodeOffer, PaymentOption, Registration, Signed, TaskIntent, ValidatorOffer,
    parse_payload,
};
use d402_settlement::ValidatorSet;
use d402_settlement::market::{DossierError, Quote, TaskParts};
use serde_json::Value;

/// Largest 402 body, bytes.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// A 402 whose address was recomputed from its own terms.
#[derive(Debug)]
pub struct Challenge {
    /// The chosen `accepts` entry, to be echoed whole.
    accepted: Value,
    intent: TaskIntent,
    manifest: Signed<Manifest>,
    registration: Signed<Registration>,
    offers: Vec<Signed<ValidatorOffer>>,
    worker: Option<Signed<NodeOffer>>,
    quote: Quote,
    payment: PaymentOption,
}

/// What is wrong with a 402. Declaration order is check order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// Header or body are missing or not what they should be.
    #[error("the 402 has no usable {0}")]
    Malformed(&'static str),
    /// No entry can be paid with this buyer's rail.
    #[error("the 402 offers nothing on {0}")]
    NoRail(String),
    /// An object in the body does not verify.
    #[error("an object of the 402 does not verify")]
    Object(#[from] d402_objects::ObjectError),
    /// The terms cannot be computed from the objects.
    #[error("the 402's objects give no terms")]
    Terms(#[from] DossierError),
    /// The address is not the one of the terms: somebody swapped something (threat #4).
    #[error("the 402 asks for payment to {got}, its own terms give {want}")]
    PayTo {
        /// In the 402.
        got: String,
        /// Recomputed.
        want: String,
    },
    /// Terms bytes, amount or asset in the 402 are not those of the terms.
    #[error("the 402's {0} is not that of its terms")]
    Mismatch(&'static str),
}

impl Challenge {
    /// Takes apart a 402 and recomputes terms and address.
    ///
    /// # Errors
    /// [`ChallengeError`] names the first thing that does not fit.
    pub fn read(header: &str, body: &[u8], network: &str) -> Result<Self, ChallengeError> {
        let malformed = ChallengeError::Malformed;
        let header = STANDARD
            .decode(header.trim())
            .map_err(|_| malformed("PAYMENT-REQUIRED header"))?;
        let required: Value = d402_objects::strict::parse_value(&header, MAX_BODY_BYTES)
            .map_err(|_| malformed("PAYMENT-REQUIRED header"))?;
        let accepts = required
            .get("accepts")
            .and_then(Value::as_array)
            .ok_or(malformed("accepts"))?;
        let accepted = accepts
            .iter()
            .find(|a| a.get("network").and_then(Value::as_str) == Some(network))
            .cloned()
            .ok_or_else(|| ChallengeError::NoRail(network.to_owned()))?;
        let body = d402_objects::strict::parse_value(body, MAX_BODY_BYTES)
            .map_err(|_| malformed("body"))?;
        let field = |name: &'static str| body.get(name).cloned().ok_or(malformed(name));
        let extra = accepted
            .pointer("/extra/d402")
            .ok_or(malformed("extra.d402"))?;
        let raw_intent = extra.get("intent").ok_or(malformed("extra.d402.intent"))?;
        let (intent, task_id) =
            parse_payload::<TaskIntent>(&d402_objects::canonical::to_bytes(raw_intent))?;
        let manifest = Signed::from_value(field("manifest")?)?;
        let registration = Signed::from_value(field("registration")?)?;
        let offers = field("offers")?
            .as_array()
            .ok_or(malformed("offers"))?
            .iter()
            .map(|o| Signed::from_value(o.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        let worker = body
            .get("worker")
            .map(|offer| Signed::from_value(offer.clone()))
            .transpose()?;
        let index = extra
            .get("paymentIndex")
            .and_then(Value::as_u64)
            .and_then(|i| u8::try_from(i).ok());
        let index = index.ok_or(malformed("extra.d402.paymentIndex"))?;
        let parts = TaskParts {
            intent: &intent,
            task_id,
            manifest: &manifest,
            registration: &registration,
            offers: &offers,
        };
        let quote = Quote::of(&parts, index)?;
        let payment = intent
            .payment
            .get(usize::from(index))
            .cloned()
            .ok_or(malformed("payment entry"))?;
        let challenge = Self {
            accepted,
            intent,
            manifest,
            registration,
            offers,
            worker,
            quote,
            payment,
        };
        challenge.check_entry()?;
        Ok(challenge)
    }

    /// The entry asks for exactly what the terms say.
    fn check_entry(&self) -> Result<(), ChallengeError> {
        let text = |name: &str| {
            self.accepted
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let want = self
            .quote
            .pay_to_address()
            .map(|a| a.to_string())
            .unwrap_or_default();
        if text("payTo") != want {
            return Err(ChallengeError::PayTo {
                got: text("payTo").to_owned(),
                want,
            });
        }
        if text("amount") != self.payment.budget.to_string() {
            return Err(ChallengeError::Mismatch("amount"));
        }
        if text("asset") != self.payment.asset.as_str() {
            return Err(ChallengeError::Mismatch("asset"));
        }
        let terms = self
            .accepted
            .pointer("/extra/d402/terms")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if URL_SAFE_NO_PAD.decode(terms).ok().as_deref() != Some(&*self.quote.terms_bytes) {
            return Err(ChallengeError::Mismatch("terms"));
        }
        Ok(())
    }

    /// Seconds the gateway gives a payment.
    #[must_use]
    pub fn max_timeout_s(&self) -> u64 {
        self.accepted
            .get("maxTimeoutSeconds")
            .and_then(Value::as_u64)
            .unwrap_or(60)
    }

    /// The `accepts` entry, to be echoed whole.
    #[must_use]
    pub fn accepted(&self) -> &Value {
        &self.accepted
    }

    /// The intent.
    #[must_use]
    pub fn intent(&self) -> &TaskIntent {
        &self.intent
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.manifest.payload()
    }

    /// The registration.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        self.registration.payload()
    }

    /// The validators' offers.
    #[must_use]
    pub fn offers(&self) -> &[Signed<ValidatorOffer>] {
        &self.offers
    }

    /// The chosen worker's own offer, on a direct rail.
    #[must_use]
    pub fn worker(&self) -> Option<&NodeOffer> {
        self.worker.as_ref().map(Signed::payload)
    }

    /// The validator set.
    #[must_use]
    pub fn set(&self) -> &ValidatorSet {
        &self.quote.set
    }

    /// The chosen payment entry of the intent.
    #[must_use]
    pub fn payment(&self) -> &PaymentOption {
        &self.payment
    }

    /// Terms, address and deadlines, recomputed.
    #[must_use]
    pub fn quote(&self) -> &Quote {
        &self.quote
    }
}
