//! From what the sandbox produced to a signed claim.

use d402_capabilities::exec::Produced;
use d402_objects::{
    Amount, BlobRef, Cid, ClaimCommit, Evidence, Hex32, Lease, MediaType, Mode, ObjectError,
    ResultClaim, Signed, SigningKey, Value, canonical, evidence_root,
};
use d402_settlement::market::Dossier;

use crate::Behaviour;

/// Output and evidence as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Canonical output document.
    pub output: Vec<u8>,
    /// Evidence by name.
    pub evidence: Vec<EvidenceBytes>,
    /// What agreeing workers are grouped by.
    pub canonical_digest: Cid,
    /// Units used.
    pub units: Amount,
    /// Which build ran.
    pub runtime_digest: Cid,
}

/// One named piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceBytes {
    /// Name the manifest asks for.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Why a result cannot be claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProductError {
    /// A digest or number the executor gave is malformed.
    #[error("executor answered with a malformed {field}")]
    Malformed {
        /// Which field.
        field: &'static str,
    },
    /// The claim would not be a valid object.
    #[error("claim is not valid")]
    Object(#[from] ObjectError),
}

impl Product {
    /// Reads what the child produced, as this worker's behaviour presents it.
    ///
    /// # Errors
    /// [`ProductError::Malformed`].
    pub fn from_child(produced: Produced, behaviour: Behaviour) -> Result<Self, ProductError> {
        let malformed = |field| ProductError::Malformed { field };
        let honest_digest: Cid = produced
            .canonical_digest
            .parse()
            .map_err(|_| malformed("canonicalDigest"))?;
        let honest = canonical::to_bytes(&produced.output);
        let output = canonical::to_bytes(&behaviour.distort(produced.output));
        let canonical_digest = if output == honest {
            honest_digest
        } else {
            Cid::of(&output)
        };
        Ok(Self {
            output,
            evidence: produced
                .blobs
                .into_iter()
                .map(|b| EvidenceBytes {
                    name: b.name,
                    media_type: b.media_type,
                    bytes: b.bytes,
                })
                .collect(),
            canonical_digest,
            units: produced.units.parse().map_err(|_| malformed("units"))?,
            runtime_digest: produced
                .runtime_digest
                .parse()
                .map_err(|_| malformed("runtimeDigest"))?,
        })
    }

    /// The claim over this product under a lease, and the commit that seals it.
    ///
    /// # Errors
    /// [`ProductError`] when a field does not fit the object's rules.
    pub fn claim(
        &self,
        dossier: &Dossier,
        lease: &Signed<Lease>,
        salt: [u8; 32],
        key: &SigningKey,
    ) -> Result<(Signed<ResultClaim>, Signed<ClaimCommit>), ProductError> {
        let evidence = self
            .evidence
            .iter()
            .map(evidence_ref)
            .collect::<Result<Vec<_>, _>>()?;
        let claim = ResultClaim {
            object_version: 1,
            worker: lease.payload().worker,
            network: lease.payload().network.clone(),
            task_id: dossier.task_id(),
            terms_hash: dossier.terms_hash(),
            lease_cid: lease.cid(),
            salt: Hex32::from_bytes(salt),
            output: blob_ref(&self.output, "application/json")?,
            evidence_root: evidence_root(&evidence),
            evidence,
            canonical_digest: self.canonical_digest,
            units: self.units,
            runtime_digest: self.runtime_digest,
        };
        let claim = Signed::sign(claim, key)?;
        let commit = match dossier.intent().mode {
            Mode::Single => claim.cid().to_hex32(),
            Mode::Race | Mode::Quorum => claim.payload().commit(),
        };
        let commit = ClaimCommit {
            object_version: 1,
            worker: lease.payload().worker,
            network: lease.payload().network.clone(),
            task_id: dossier.task_id(),
            lease_cid: lease.cid(),
            commit,
        };
        Ok((claim, Signed::sign(commit, key)?))
    }

    /// Output and evidence, for validators.
    pub fn contents(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.output.as_slice())
            .chain(self.evidence.iter().map(|e| e.bytes.as_slice()))
    }
}

fn evidence_ref(evidence: &EvidenceBytes) -> Result<Evidence, ProductError> {
    let blob = blob_ref(&evidence.bytes, &evidence.media_type)?;
    Ok(Evidence {
        name: evidence.name.parse().map_err(|_| ProductError::Malformed {
            field: "evidence name",
        })?,
        cid: blob.cid,
        bytes: blob.bytes,
        media_type: blob.media_type,
    })
}

fn blob_ref(bytes: &[u8], media_type: &str) -> Result<BlobRef, ProductError> {
    Ok(BlobRef {
        cid: Cid::of(bytes),
        bytes: u64::try_from(bytes.len())
            .map_err(|_| ProductError::Malformed { field: "length" })?,
        media_type: media_type
            .parse::<MediaType>()
            .map_err(|_| ProductError::Malformed {
                field: "media type",
            })?,
    })
}

/// The task's input document.
///
/// # Errors
/// [`ProductError::Malformed`] when the input is no JSON.
pub fn input_document(dossier: &Dossier) -> Result<Value, ProductError> {
    d402_objects::strict::parse_value(dossier.input(), d402_wire::peer::MAX_MESSAGE_BYTES)
        .map_err(|_| ProductError::Malformed { field: "input" })
}
