//! Taking a task: the dossier is checked, names this validator by an offer it signed, and is stored.

use d402_objects::Cid;
use d402_settlement::market::{Dossier, EvidenceObject};
use d402_wire::{RawDossier, Refusal};

use super::{Case, Tools};

/// Largest stored dossier, bytes.
const MAX_DOSSIER_BYTES: usize = d402_wire::peer::MAX_MESSAGE_BYTES;

impl Case {
    /// Checks and stores a dossier.
    ///
    /// # Errors
    /// `Malformed` when it does not verify, `NotMyRole` when this validator is not in its set or has no chain of
    /// its own for the network, `Busy` when it cannot be stored.
    pub async fn open(tools: Tools, raw: RawDossier) -> Result<Self, Refusal> {
        let dossier = raw.clone().check().map_err(|error| {
            tracing::info!(%error, "dossier refused");
            Refusal::Malformed
        })?;
        check_membership(&tools, &dossier)?;
        let chain = tools.chain_of(&dossier)?;
        let bytes = d402_wire::encode(&raw).map_err(|_| Refusal::Malformed)?;
        let keep_until_ms = u64::try_from(dossier.times().refund_after_s.0)
            .unwrap_or(0)
            .saturating_mul(1_000);
        tools
            .store
            .put_dossier(dossier.task_id(), &bytes, keep_until_ms)
            .await
            .map_err(|error| {
                tracing::error!(%error, "dossier is not stored");
                Refusal::Busy
            })?;
        Ok(Self::new(tools, chain, dossier))
    }

    /// The case of a task stored before, with its evidence; `None` when it is not known.
    ///
    /// # Errors
    /// `Busy` when the store does not answer, `NotMyRole` when the network is not configured any more.
    pub async fn load(tools: Tools, task_id: Cid) -> Result<Option<Self>, Refusal> {
        let busy = |error| {
            tracing::error!(%task_id, %error, "case cannot be loaded");
            Refusal::Busy
        };
        let Some(bytes) = tools.store.dossier(task_id).await.map_err(busy)? else {
            return Ok(None);
        };
        let raw: RawDossier =
            d402_wire::decode_message(&bytes, MAX_DOSSIER_BYTES).map_err(|_| Refusal::Busy)?;
        let dossier = raw.check().map_err(|_| Refusal::Busy)?;
        let objects = tools.store.objects(task_id).await.map_err(busy)?;
        let chain = tools.chain_of(&dossier)?;
        let mut case = Self::new(tools, chain, dossier);
        let objects: Vec<EvidenceObject> = objects
            .iter()
            .filter_map(|bytes| serde_json::from_slice(bytes).ok())
            .filter_map(|value| EvidenceObject::from_value(value).ok())
            .collect();
        let me = case.me();
        for object in &objects {
            if let EvidenceObject::Receipt(receipt) = object
                && receipt.payload().validator == me
            {
                case.judged.insert(receipt.payload().claim_cid);
            }
        }
        // They were admitted before; what is refused now contradicts nothing that was signed.
        let _refused = case.evidence.insert_all(objects);
        Ok(Some(case))
    }
}

/// The intent names an offer of this validator: signed by its envelope key, with its settlement key for the
/// network.
fn check_membership(tools: &Tools, dossier: &Dossier) -> Result<(), Refusal> {
    let me = tools.keys.validator();
    let index = dossier.set_index_of(&me).ok_or(Refusal::NotMyRole)?;
    let member = dossier.member(index).ok_or(Refusal::NotMyRole)?;
    if member.settlement_key != tools.keys.signer_on(dossier.codec()) {
        return Err(Refusal::NotMyRole);
    }
    Ok(())
}
