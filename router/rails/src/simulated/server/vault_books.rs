//! Rows of vaults: the ledger's state in its own encoding, terms, sets, executed receipts.

use d402_objects::{Amount, Hex32};
use d402_settlement::ledger::{TransferKind, VaultSite, VaultState};
use d402_settlement::{
    Domain, Key32, PayoutRole, TERMS_LEN, Terms, TermsHash, Units, ValidatorSet, vault_address,
};
use d402_wire::simchain::{PaidKind, PaidRow, SettledView};
use sqlx::Row as _;

use super::books::{Block, Stamp, blob, hex32, signed, stamp_of, unsigned};
use super::error::{AccountRule, ChainError, Stop};

/// Site of a vault that is known by its hash alone.
pub(super) fn site_of(terms_hash: Hex32) -> Result<VaultSite, Stop> {
    let domain = Domain::SIMULATED;
    let terms_hash = TermsHash(terms_hash.as_bytes());
    let (vault, bump) =
        vault_address(&terms_hash, &domain.program).ok_or(AccountRule::TermsForm)?;
    Ok(VaultSite {
        domain,
        terms_hash,
        vault,
        bump,
    })
}

impl Block<'_> {
    /// The vault's state: its record and what it holds of `asset`.
    pub(super) async fn vault(
        &mut self,
        site: VaultSite,
        asset: Key32,
    ) -> Result<VaultState, Stop> {
        let account: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT state FROM vaults WHERE terms_hash = ?")
                .bind(site.terms_hash.0.to_vec())
                .fetch_optional(&mut *self.conn)
                .await?;
        let tokens = self
            .holding(site.vault.0.into(), asset.0.into())
            .await?
            .map(Units::from_u64);
        VaultState::decode_account(site, &account.unwrap_or_default(), tokens).map_err(|_| {
            ChainError::Broken {
                what: "a stored vault does not decode",
            }
            .into()
        })
    }

    /// Stores a vault's state after its transfers were made, and holds it against the balance.
    pub(super) async fn store_vault(
        &mut self,
        state: &VaultState,
        asset: Key32,
    ) -> Result<(), Stop> {
        let bytes = state.encode_account().map_err(|_| ChainError::Broken {
            what: "a vault does not encode",
        })?;
        let hash = state.site.terms_hash.0.to_vec();
        if bytes.is_empty() {
            sqlx::query("DELETE FROM vaults WHERE terms_hash = ?")
                .bind(hash)
                .execute(&mut *self.conn)
                .await?;
        } else {
            sqlx::query("INSERT INTO vaults (terms_hash, state) VALUES (?1, ?2) ON CONFLICT (terms_hash) DO UPDATE SET state = ?2")
                .bind(hash)
                .bind(bytes.as_slice().to_vec())
                .execute(&mut *self.conn)
                .await?;
        }
        let (vault, asset) = (state.site.vault.0.into(), asset.0.into());
        self.keep_holding(vault, asset, state.tokens.is_some())
            .await?;
        let held = self.holding(vault, asset).await?.map(Units::from_u64);
        if held != state.tokens {
            return Err(ChainError::Broken {
                what: "a vault's balance is not what its ledger says",
            }
            .into());
        }
        Ok(())
    }

    /// Remembers terms for ever.
    pub(super) async fn store_terms(&mut self, hash: Hex32, terms: &Terms) -> Result<(), Stop> {
        sqlx::query("INSERT INTO terms (terms_hash, terms) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(blob(hash))
            .bind(terms.encode().to_vec())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Terms that were stored once.
    pub(super) async fn stored_terms(&mut self, hash: Hex32) -> Result<Option<Terms>, Stop> {
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT terms FROM terms WHERE terms_hash = ?")
                .bind(blob(hash))
                .fetch_optional(&mut *self.conn)
                .await?;
        let Some(bytes) = bytes else { return Ok(None) };
        let bytes =
            <&[u8; TERMS_LEN]>::try_from(bytes.as_slice()).map_err(|_| ChainError::Broken {
                what: "stored terms are not 304 bytes",
            })?;
        Ok(Some(Terms::decode(bytes)))
    }

    /// A published set.
    pub(super) async fn validator_set(
        &mut self,
        hash: [u8; 32],
    ) -> Result<Option<ValidatorSet>, Stop> {
        let row: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT threshold, keys FROM validator_sets WHERE set_hash = ?")
                .bind(hash.to_vec())
                .fetch_optional(&mut *self.conn)
                .await?;
        let Some((threshold, keys)) = row else {
            return Ok(None);
        };
        let broken = || ChainError::Broken {
            what: "a stored validator set is none",
        };
        let threshold = u8::try_from(threshold).map_err(|_| broken())?;
        let (keys, rest) = keys.as_chunks::<32>();
        let keys: Vec<Key32> = keys.iter().map(|key| Key32(*key)).collect();
        let set = ValidatorSet::new(threshold, &keys)
            .ok()
            .filter(|set| rest.is_empty() && set.hash().0 == hash);
        Ok(Some(set.ok_or_else(broken)?))
    }

    /// Publishes a set.
    pub(super) async fn store_set(&mut self, set: &ValidatorSet) -> Result<(), Stop> {
        let keys: Vec<u8> = set.keys().iter().flat_map(|key| key.0).collect();
        sqlx::query("INSERT INTO validator_sets (set_hash, threshold, keys) VALUES (?, ?, ?)")
            .bind(set.hash().0.to_vec())
            .bind(i64::from(set.m()))
            .bind(keys)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// The receipt that was executed under a terms hash, and when.
    pub(super) async fn settlement(&mut self, hash: Hex32) -> Result<Option<(Hex32, Stamp)>, Stop> {
        let row = sqlx::query(
            "SELECT receipt_cid, transaction_id, height, at FROM settlements WHERE terms_hash = ?",
        )
        .bind(blob(hash))
        .fetch_optional(&mut *self.conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((
            hex32(&row.try_get::<Vec<u8>, _>("receipt_cid")?)?,
            stamp_of(&row)?,
        )))
    }

    /// Stores the receipt that is executed now and whom it paid. The row's key is the last guard against a
    /// second one.
    pub(super) async fn store_settlement(
        &mut self,
        hash: Hex32,
        receipt_cid: Hex32,
        paid: &Paid,
    ) -> Result<(), Stop> {
        sqlx::query(
            "INSERT INTO settlements (terms_hash, receipt_cid, refunded, transaction_id, height, at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(blob(hash))
        .bind(blob(receipt_cid))
        .bind(signed(paid.refunded)?)
        .bind(blob(self.stamp.transaction))
        .bind(self.stamp.height)
        .bind(self.stamp.at)
        .execute(&mut *self.conn)
        .await?;
        for (position, row) in (0i64..).zip(&paid.rows) {
            sqlx::query(
                "INSERT INTO settlement_rows (terms_hash, position, payee, kind, units, credited) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(blob(hash))
            .bind(position)
            .bind(blob(row.payee))
            .bind(kind_name(row.kind))
            .bind(signed(super::execute::units(row.amount)?)?)
            .bind(row.credited)
            .execute(&mut *self.conn)
            .await?;
        }
        Ok(())
    }

    /// The settlement as anyone can see it.
    pub(super) async fn settled_view(&mut self, hash: Hex32) -> Result<Option<SettledView>, Stop> {
        let Some((receipt_cid, stamp)) = self.settlement(hash).await? else {
            return Ok(None);
        };
        let refunded: i64 =
            sqlx::query_scalar("SELECT refunded FROM settlements WHERE terms_hash = ?")
                .bind(blob(hash))
                .fetch_one(&mut *self.conn)
                .await?;
        let rows: Vec<(Vec<u8>, String, i64, bool)> =
            sqlx::query_as("SELECT payee, kind, units, credited FROM settlement_rows WHERE terms_hash = ? ORDER BY position")
                .bind(blob(hash))
                .fetch_all(&mut *self.conn)
                .await?;
        let mut paid = Vec::with_capacity(rows.len());
        for (payee, kind, units, credited) in rows {
            paid.push(PaidRow {
                payee: hex32(&payee)?,
                amount: Amount::from(unsigned(units)?),
                kind: kind_of(&kind)?,
                credited,
            });
        }
        Ok(Some(SettledView {
            receipt_cid,
            transaction: stamp.transaction,
            height: unsigned(stamp.height)?,
            at: stamp.at,
            paid,
            refunded: Amount::from(unsigned(refunded)?),
        }))
    }
}

/// Whom a settlement paid or credited, and what it refunded.
#[derive(Debug, Default)]
pub(super) struct Paid {
    /// Rows, creator, gateway.
    pub(super) rows: Vec<PaidRow>,
    /// Base units.
    pub(super) refunded: u64,
}

/// Whom a transfer of a settlement is for; `None` for a refund and for a credit of an earlier one.
pub(super) const fn paid_kind(kind: TransferKind) -> Option<PaidKind> {
    match kind {
        TransferKind::Worker => Some(PaidKind::Worker),
        TransferKind::Validator => Some(PaidKind::Validator),
        TransferKind::Creator => Some(PaidKind::Creator),
        TransferKind::Gateway => Some(PaidKind::Gateway),
        TransferKind::Refund | TransferKind::Credit => None,
    }
}

/// Whom a credit is for.
pub(super) const fn credited_kind(role: PayoutRole) -> PaidKind {
    match role {
        PayoutRole::Worker => PaidKind::Worker,
        PayoutRole::Validator => PaidKind::Validator,
        PayoutRole::Creator => PaidKind::Creator,
        PayoutRole::Gateway => PaidKind::Gateway,
    }
}

const fn kind_name(kind: PaidKind) -> &'static str {
    match kind {
        PaidKind::Worker => "worker",
        PaidKind::Validator => "validator",
        PaidKind::Creator => "creator",
        PaidKind::Gateway => "gateway",
    }
}

fn kind_of(name: &str) -> Result<PaidKind, ChainError> {
    match name {
        "worker" => Ok(PaidKind::Worker),
        "validator" => Ok(PaidKind::Validator),
        "creator" => Ok(PaidKind::Creator),
        "gateway" => Ok(PaidKind::Gateway),
        _ => Err(ChainError::Broken {
            what: "a stored row has an unknown kind",
        }),
    }
}
