//! Executing a receipt: at most one per terms hash, for ever.
//!
//! The signatures become [`Approvals`], the ledger decides, its effects are carried out; the row in
//! `settlements` is the last guard against a second execution.

use d402_objects::Amount;
use d402_settlement::ledger::{
    Command, Effects, Refusal as LedgerRefusal, TransferKind, Unpayable, VaultAccount, apply,
};
use d402_settlement::{
    Approvals, Domain, IndexedSignature, Key32, Outcome, ReceiptCid, Role, Row, Rows, Settlement,
    StrictEd25519, Units, settlement_digest,
};
use d402_wire::simchain::{EventBody, PaidRow, Rpc, SettleRow};

use super::books::Block;
use super::error::{AccountRule, ChainError, Stop};
use super::execute::{Executed, units};
use super::refusal::refused;
use super::vault_books::{Paid, credited_kind, paid_kind};
use super::vaults::{Vault, narrow, now, terms_of};
use crate::simulated::payment::signature_bytes;

/// `settle`: at most one receipt per terms hash, for ever.
pub(super) async fn settle(block: &mut Block<'_>, rpc: &Rpc) -> Result<Executed, Stop> {
    let Rpc::Settle {
        terms,
        receipt_cid,
        outcome,
        rows,
        signatures,
    } = rpc
    else {
        return Err(ChainError::Broken {
            what: "no settlement reached settle",
        }
        .into());
    };
    let terms = terms_of(terms)?;
    if let Some((executed, stamp)) = block.settlement(terms.hash()).await? {
        return if executed == *receipt_cid {
            Ok(Executed::Before(stamp))
        } else {
            Err(refused(LedgerRefusal::AlreadySettled))
        };
    }
    let settlement = Settlement {
        receipt_cid: ReceiptCid(receipt_cid.as_bytes()),
        outcome: Outcome::from_u8(*outcome).ok_or(AccountRule::SettlementForm)?,
        rows: rows_of(rows)?,
    };
    let vault = Vault::load(block, &terms).await?;
    let set = block.validator_set(terms.terms().validator_set.0).await?;
    let set = set.ok_or_else(|| refused(LedgerRefusal::SetNotPublished))?;
    let digest = settlement_digest(&Domain::SIMULATED, &terms.terms_hash(), &settlement);
    let approvals = Approvals::check(&set, digest, &signatures_of(signatures)?, &StrictEd25519)
        .map_err(|_| AccountRule::BadSignatures)?;
    let unpayable = unpayable(block, &vault.state.account, &settlement.rows).await?;
    let command = Command::Settle {
        settlement: &settlement,
        approvals: &approvals,
        unpayable: &unpayable,
    };
    let (next, effects) = apply(&vault.state, &command, now(block)).map_err(refused)?;
    block
        .event(&EventBody::Settled {
            terms_hash: terms.hash(),
            receipt_cid: *receipt_cid,
        })
        .await?;
    vault.carry_out(block, &next, &effects).await?;
    block
        .store_settlement(terms.hash(), *receipt_cid, &paid_by(&effects)?)
        .await?;
    Ok(Executed::New)
}

fn rows_of(rows: &[SettleRow]) -> Result<Rows, Stop> {
    let mut typed = Vec::with_capacity(rows.len());
    for row in rows {
        let role = Role::from_u8(row.role).ok_or(AccountRule::SettlementForm)?;
        typed.push(Row {
            payee: Key32(row.payee.as_bytes()),
            role,
            amount: Units::from_u64(units(row.amount)?),
        });
    }
    Rows::new(&typed).map_err(|_| AccountRule::SettlementForm.into())
}

fn signatures_of(signatures: &[(u8, String)]) -> Result<Vec<IndexedSignature>, AccountRule> {
    signatures
        .iter()
        .map(|(index, text)| Some((*index, signature_bytes(text)?)))
        .collect::<Option<_>>()
        .ok_or(AccountRule::SettlementForm)
}

/// Which parties of a settlement cannot receive now.
async fn unpayable(
    block: &mut Block<'_>,
    account: &VaultAccount,
    rows: &Rows,
) -> Result<Unpayable, Stop> {
    let VaultAccount::Open(open) = account else {
        return Ok(Unpayable::none());
    };
    let mut blocked = Vec::new();
    for party in open.parties(rows) {
        if !block.payable(party.0.into()).await? {
            blocked.push(party);
        }
    }
    Unpayable::among(blocked, |_| false).map_err(|_| {
        ChainError::Broken {
            what: "a settlement has too many parties",
        }
        .into()
    })
}

fn paid_by(effects: &Effects) -> Result<Paid, Stop> {
    let mut paid = Paid::default();
    for transfer in &effects.transfers {
        let amount = narrow(transfer.amount)?;
        if let Some(kind) = paid_kind(transfer.kind) {
            paid.rows.push(PaidRow {
                payee: transfer.to.0.into(),
                amount: Amount::from(amount),
                kind,
                credited: false,
            });
        }
        if transfer.kind == TransferKind::Refund {
            paid.refunded = paid
                .refunded
                .checked_add(amount)
                .ok_or(AccountRule::OutOfRange)?;
        }
    }
    for credit in &effects.credits {
        let amount = Amount::from(narrow(credit.amount)?);
        paid.rows.push(PaidRow {
            payee: credit.to.0.into(),
            amount,
            kind: credited_kind(credit.role),
            credited: true,
        });
    }
    Ok(paid)
}
