//! A task's dossier as it travels: raw envelopes, checked on arrival.

use d402_objects::ObjectError;
use d402_settlement::market::{Dossier, DossierError, DossierParts};
use serde::{Deserialize, Serialize};

use crate::codec::{Blob, CodecError, RawEnvelope};

/// The signed objects a task's terms are a function of (spec §2.1), and the input bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawDossier {
    /// `d402.taskIntent`
    pub intent: RawEnvelope,
    /// `d402.manifest`
    pub manifest: RawEnvelope,
    /// `d402.registration`
    pub registration: RawEnvelope,
    /// `d402.validatorOffer`, in the intent's order.
    pub offers: Vec<RawEnvelope>,
    /// Bytes of `intent.input`.
    pub input: Blob,
    /// Which entry of `intent.payment` was paid.
    pub payment_index: u8,
}

/// Why a dossier from the wire is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RawDossierError {
    /// An envelope does not verify.
    #[error("an object of the dossier does not verify")]
    Object(#[from] ObjectError),
    /// The input's bytes are not those of its CID.
    #[error("input of the dossier is damaged")]
    Input(#[from] CodecError),
    /// The objects do not fit each other.
    #[error("objects of the dossier do not fit each other")]
    Dossier(#[from] DossierError),
}

impl RawDossier {
    /// A dossier for sending.
    #[must_use]
    pub fn of(dossier: &Dossier) -> Self {
        let parts = dossier.parts();
        Self {
            intent: RawEnvelope::of(&parts.intent),
            manifest: RawEnvelope::of(&parts.manifest),
            registration: RawEnvelope::of(&parts.registration),
            offers: parts.offers.iter().map(RawEnvelope::of).collect(),
            input: Blob::of(&parts.input),
            payment_index: parts.payment_index,
        }
    }

    /// Verifies every object and that they belong together.
    ///
    /// # Errors
    /// [`RawDossierError`] names what does not hold.
    pub fn check(self) -> Result<Dossier, RawDossierError> {
        let offers = self
            .offers
            .iter()
            .map(RawEnvelope::open_shared)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Dossier::check(DossierParts {
            intent: self.intent.open()?,
            manifest: self.manifest.open_shared()?,
            registration: self.registration.open_shared()?,
            offers,
            input: self.input.verified()?,
            payment_index: self.payment_index,
        })?)
    }
}
