//! Registration: the manifest's author publishes it under a namespace, with commission terms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Address, Bps, Caip2, CapabilityId, Cid, Ed25519Id, Invalid, Namespace, UnixMs,
    objects::MAX_COMMISSION_BPS,
    payload::{count, fits, payload, range},
};

/// What the creator earns of each worker's pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commission {
    /// At most 2,000.
    pub bps: Bps,
    /// Where it is paid, per network. A network without a wallet is not offered (threat #24).
    pub wallets: BTreeMap<Caip2, Address>,
}

/// Capability registration. Valid only with the manifest whose author signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// 1.
    pub object_version: u16,
    /// The manifest's author, and the signer.
    pub author: Ed25519Id,
    /// The manifest.
    pub manifest_cid: Cid,
    /// Its capability.
    pub capability_id: CapabilityId,
    /// Under which name it is listed.
    pub namespace: Namespace,
    /// Commission terms.
    pub commission: Commission,
    /// Higher replaces lower.
    pub seq: u64,
    /// Half-open validity.
    pub valid_from_ms: UnixMs,
    /// Half-open validity.
    pub valid_until_ms: UnixMs,
}

payload!(Registration, "registration", max 16 * 1024, signer author_key);

impl Registration {
    fn author_key(&self) -> Ed25519Id {
        self.author
    }

    fn rules(&self) -> Result<(), Invalid> {
        range(
            "commission.bps",
            self.commission.bps.get(),
            0,
            u128::from(MAX_COMMISSION_BPS),
        )?;
        count("commission.wallets", self.commission.wallets.len(), 0, 16)?;
        fits(
            "validUntilMs",
            "validFromMs",
            self.valid_from_ms < self.valid_until_ms,
        )
    }
}
