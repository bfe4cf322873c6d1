//! Submitting the money effects of the vault rail, and finding out what a refusal means.

use d402_core::ports::RailError;
use d402_objects::{Hex32, SignedReceipt};
use d402_settlement::ledger::{RENT_ATA, RENT_OPEN, VaultAccount, rent_lamports};
use d402_settlement::{
    Codec, Domain, Key32, Outcome, ReceiptCid, Role, Row, Rows, Settlement, Terms, Units,
    UnixSeconds, ValidatorSet, settlement_digest,
};
use d402_svm::address::{self, address};
use d402_svm::instructions::{Place, Receipt, publish_set};
use d402_svm::settling::{Approval, Evidence, Plan, plan};
use d402_svm::token::TokenAccount;
use d402_svm::transaction::Table;
use d402_svm::{Address, Instruction, Level, VaultView};

use super::body::{MoneyBody, ReceiptBody, SetBody, intent_key};
use super::open::OpenPayment;
use super::outcome::{self, Verdict, judge, not_sent, refused, retry};
use super::sender::{Draft, SendError};
use super::vault::{VaultRail, unknown};

/// Most sweeps of one vault by one body.
const MAX_SWEEPS: u32 = 64;
/// A tombstone with this many credits is no larger than the open vault was.
const FREE_CREDITS: usize = 4;
const APPROVAL_LEN: usize = 44;
const SET_HEAD: usize = 12;

type SettleParts<'a> = (&'a ReceiptBody, &'a SetBody, &'a [(u8, String)]);

impl VaultRail {
    /// Has the finalizer look at a vault once nothing more can be settled there.
    pub(super) async fn watch(&self, place: &Place) -> Result<(), RailError> {
        let due = place.terms.refund_after.0;
        let mut book = self.sender.book().await;
        let watched = book.watch(&place.terms.encode(), due).await;
        watched.map_err(|error| not_sent(&error.into()))
    }

    /// Puts the set of these terms on chain, unless it is there.
    pub(super) async fn publish(&self, place: &Place) -> Result<(), RailError> {
        let hash = Hex32::from_bytes(place.terms.validator_set.0);
        if self.published.recall(hash).is_some() {
            return Ok(());
        }
        let accounts = [place.set];
        let found = self.chain.accounts(&accounts, Level::Confirmed, None).await;
        // At this address the program writes nothing but this set.
        let is_there = found
            .map_err(unknown)?
            .get(0)
            .is_some_and(|account| address::key(&account.owner) == place.domain.program);
        if !is_there {
            let set = self
                .sets
                .recall(hash)
                .ok_or_else(|| retry("SetNotLearned"))?;
            let publish = publish_set(&place.domain, self.sender.payer(), &set);
            let length = usize::from(set.n())
                .saturating_mul(32)
                .saturating_add(SET_HEAD);
            let draft = Draft {
                instructions: vec![publish.ok_or_else(|| refused("SetForm"))?],
                checked_signatures: 0,
                rent: rent_lamports(length),
                round: 0,
            };
            let key = intent_key(&hash.as_bytes(), "publish", 0);
            self.bring(key, &draft, false).await?;
        }
        self.published.remember(hash, ());
        Ok(())
    }

    pub(super) async fn submit_payment(&self, place: &Place, raw: &[u8]) -> Result<(), RailError> {
        let payment = OpenPayment::from_bytes(raw.to_vec()).ok_or_else(|| refused("BodyForm"))?;
        // Before the status: what is in no final block by then, and is asked for afterwards, can be in none.
        let void = self.is_void(&payment).await?;
        let signature = payment.signature();
        let status = self.chain.status(&signature).await.map_err(unknown)?;
        match status.filter(d402_svm::Status::is_confirmed) {
            Some(status) if status.succeeded() => return Ok(()),
            Some(_) => return Err(refused(outcome::FAILED)),
            None if void => return Err(refused(outcome::EXPIRED)),
            None => {}
        }
        self.publish(place).await?;
        let sent = self.sender.broadcast(raw).await;
        sent.map_err(|error| not_sent(&error))?;
        match self.sender.wait(&signature).await {
            Ok(_) => Ok(()),
            Err(SendError::Failed(fault)) => {
                tracing::info!(?fault, "payment failed on chain");
                Err(refused(outcome::FAILED))
            }
            Err(error) => Err(not_sent(&error)),
        }
    }

    pub(super) async fn submit_settlement(
        &self,
        (body, place): (&[u8], &Place),
        (receipt, set, signatures): SettleParts<'_>,
    ) -> Result<(), RailError> {
        let settlement = settlement(receipt).ok_or_else(|| refused("ReceiptForm"))?;
        let now = VaultView::now(&self.chain, place, Level::Confirmed).await;
        let now = now.map_err(unknown)?;
        match &now.state.account {
            VaultAccount::Settled(_) => return self.settled_by(place, &settlement).await,
            VaultAccount::Open(_) => {}
            VaultAccount::Absent => {
                let due = receipt.rows.iter().map(|(_, _, units)| *units);
                if due.fold(0, u64::saturating_add) > now.balance {
                    return Err(retry("Underfunded"));
                }
                self.open(place).await?;
            }
        }
        let digest = settlement_digest(&place.domain, &place.terms_hash, &settlement);
        let signed = approvals(set, signatures).ok_or_else(|| refused("SignatureForm"))?;
        if signed.is_empty() {
            return Err(failed(Verdict::Never("NotEnoughSignatures".to_owned())));
        }
        let receipt = self.receipt(place, &settlement).await?;
        let evidence = Evidence {
            digest: &digest,
            signatures: &signed,
        };
        let payer = self.sender.payer();
        // The table is asked for only where it makes a difference; fifteen rows and more need it, and it can
        // still be made.
        let small = plan(place, payer, &receipt, evidence, None);
        let (plan, table) = match small {
            Some(one @ Plan::One(_)) => (one, None),
            _ => {
                let table = self.table().await;
                let plan = plan(place, payer, &receipt, evidence, table.as_ref());
                (plan.ok_or_else(|| retry("NeedsLookupTable"))?, table)
            }
        };
        let sending = Sending {
            body,
            place,
            digest: &digest,
            table: table.as_ref(),
        };
        match self.send_settlement(&sending, plan).await {
            // A payee may have been faster with the same receipt (threat #12).
            Err(SettleFault::AlreadySettled) => self.settled_by(place, &settlement).await,
            Err(SettleFault::Other(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    /// Whether it was this receipt.
    async fn settled_by(&self, place: &Place, settlement: &Settlement) -> Result<(), RailError> {
        let view = self.view(place, Level::Confirmed).await?;
        match view.settled {
            Some(settled) if settled.receipt_cid == settlement.receipt_cid.0 => Ok(()),
            Some(_) => Err(refused("AlreadySettled")),
            None => Err(RailError::Unknown),
        }
    }

    /// Makes a vault that was paid by a plain transfer able to settle.
    async fn open(&self, place: &Place) -> Result<(), RailError> {
        let now = self.chain.now().await.map_err(unknown)?;
        if UnixSeconds(now) >= place.terms.refund_after {
            return Err(refused("TooLate"));
        }
        self.publish(place).await?;
        let draft = Draft {
            instructions: vec![place.open(self.sender.payer())],
            checked_signatures: 0,
            rent: RENT_OPEN.saturating_add(RENT_ATA),
            round: 0,
        };
        let key = intent_key(&place.terms.encode(), "open", 0);
        self.bring(key, &draft, false).await
    }

    /// A receipt that names every payee as its token account is now.
    async fn receipt(&self, place: &Place, settlement: &Settlement) -> Result<Receipt, RailError> {
        let form = || refused("ReceiptForm");
        let terms = &place.terms;
        let rows = settlement.rows.as_slice().iter().map(|row| &row.payee);
        let computed = [
            &terms.commission_payee,
            &terms.gateway_fee_payee,
            &terms.refund_to,
        ];
        let wallets: Vec<Address> = rows
            .chain(computed.into_iter().filter(|wallet| !wallet.is_zero()))
            .map(address)
            .collect();
        let accounts = wallets
            .iter()
            .map(|wallet| Some(place.tokens_of(wallet)?.0));
        let accounts: Vec<Address> = accounts.collect::<Option<_>>().ok_or_else(form)?;
        let found = self.chain.accounts(&accounts, Level::Confirmed, None).await;
        let found = found.map_err(unknown)?;
        let mut readable = Vec::new();
        let mut payable = 0_usize;
        for (at, wallet) in wallets.iter().enumerate() {
            let Some(tokens) = found.get(at).and_then(TokenAccount::read) else {
                continue;
            };
            if tokens.owner == *wallet && tokens.mint == place.mint {
                readable.push(*wallet);
            }
            if tokens.is_payable_to(wallet, &place.mint) {
                payable = payable.saturating_add(1);
            }
        }
        let credits = wallets.len().saturating_sub(payable);
        let readable = |wallet: &Address| readable.contains(wallet);
        Receipt::new(place, settlement, readable, credits > FREE_CREDITS).ok_or_else(form)
    }

    async fn send_settlement(&self, sending: &Sending<'_>, plan: Plan) -> Result<(), SettleFault> {
        let (steps, last, checked) = match plan {
            Plan::One(instructions) => (Vec::new(), instructions, true),
            Plan::Steps { approve, settle } => (approve, settle, false),
        };
        if !steps.is_empty() {
            let mut book = self.sender.book().await;
            let terms = sending.place.terms.encode();
            let added = book.add_approval(*sending.digest, &terms).await;
            added.map_err(|error| SettleFault::Other(not_sent(&error.into())))?;
        }
        for (number, instructions) in steps.into_iter().enumerate() {
            let draft = draft(instructions, true, rent_lamports(APPROVAL_LEN));
            self.bring_settling(sending, &format!("approve {number}"), &draft)
                .await?;
        }
        let draft = draft(last, checked, 0);
        self.bring_settling(sending, "settle", &draft).await
    }

    async fn bring_settling(
        &self,
        sending: &Sending<'_>,
        step: &str,
        draft: &Draft,
    ) -> Result<(), SettleFault> {
        let (key, place) = (intent_key(sending.body, step, 0), sending.place);
        let silence_helps = place.terms.on_silence == 1;
        let fault = match self.sender.bring(key, draft, sending.table).await {
            Ok(_) => return Ok(()),
            Err(SendError::Failed(fault)) => fault,
            Err(error) => return Err(SettleFault::Other(not_sent(&error))),
        };
        let verdict = judge(&fault, silence_helps);
        if verdict == Verdict::AlreadySettled {
            return Err(SettleFault::AlreadySettled);
        }
        Err(SettleFault::Other(failed(verdict)))
    }

    /// A sweep may be wanted again whenever something came afterwards, so every executed one is followed by an
    /// intent of its own.
    pub(super) async fn submit_sweep(&self, body: &[u8], place: &Place) -> Result<(), RailError> {
        let sweep = place.sweep(self.sender.payer());
        let sweep = sweep.ok_or_else(|| refused("TermsForm"))?;
        for round in 0..MAX_SWEEPS {
            let key = intent_key(body, "sweep", round);
            let done = self.sender.is_done(key).await;
            if done.map_err(|error| not_sent(&error))? {
                continue;
            }
            let draft = Draft {
                round,
                ..draft(vec![sweep], false, 0)
            };
            let fault = match self.sender.bring(key, &draft, None).await {
                Ok(_) => return Ok(()),
                Err(SendError::Failed(fault)) => fault,
                Err(error) => return Err(not_sent(&error)),
            };
            let verdict = judge(&fault, false);
            if verdict == Verdict::NothingToSweep {
                return Ok(());
            }
            return Err(failed(verdict));
        }
        Err(retry("SweptTooOften"))
    }

    async fn bring(&self, key: Hex32, draft: &Draft, silence: bool) -> Result<(), RailError> {
        match self.sender.bring(key, draft, None).await {
            Ok(_) => Ok(()),
            Err(SendError::Failed(fault)) => Err(failed(judge(&fault, silence))),
            Err(error) => Err(not_sent(&error)),
        }
    }
}

fn failed(verdict: Verdict) -> RailError {
    match verdict {
        Verdict::NotNow(rule) => retry(rule),
        Verdict::Never(rule) => RailError::Refused { rule },
        Verdict::AlreadySettled => refused("AlreadySettled"),
        Verdict::NothingToSweep | Verdict::NothingToClose => RailError::Unknown,
    }
}

/// A settlement on its way.
struct Sending<'a> {
    body: &'a [u8],
    place: &'a Place,
    digest: &'a [u8; 32],
    table: Option<&'a Table>,
}

/// Why a settlement did not happen.
enum SettleFault {
    /// Some receipt is executed.
    AlreadySettled,
    Other(RailError),
}

fn draft(instructions: Vec<Instruction>, checks: bool, rent: u64) -> Draft {
    let counted = instructions
        .first()
        .and_then(|instruction| instruction.data.first());
    Draft {
        checked_signatures: counted
            .filter(|_| checks)
            .map_or(0, |count| u64::from(*count)),
        instructions,
        rent,
        round: 0,
    }
}

/// The members' signatures in the order of the set, as many as the set asks for: one more would only be larger.
fn approvals(set: &SetBody, signatures: &[(u8, String)]) -> Option<Vec<Approval>> {
    let approvals = signatures.iter().map(|(index, text)| {
        let key = set.keys.get(usize::from(*index))?;
        let mut signature = [0; 64];
        hex::decode_to_slice(text, &mut signature).ok()?;
        Some((key.as_bytes(), signature))
    });
    approvals.take(usize::from(set.m)).collect()
}

/// The ledger's settlement of a body.
fn settlement(receipt: &ReceiptBody) -> Option<Settlement> {
    let rows = receipt.rows.iter().map(|(wallet, role, units)| {
        Some(Row {
            payee: Key32(wallet.as_bytes()),
            role: Role::from_u8(*role)?,
            amount: Units::from_u64(*units),
        })
    });
    let rows: Vec<Row> = rows.collect::<Option<_>>()?;
    Some(Settlement {
        receipt_cid: ReceiptCid(receipt.receipt_cid.as_bytes()),
        outcome: Outcome::from_u8(receipt.outcome)?,
        rows: Rows::new(&rows).ok()?,
    })
}

/// A receipt as the program takes it, with the set and the signatures.
pub(super) fn settle_body(
    domain: &Domain,
    (bytes, terms): (&[u8], &Terms),
    receipt: &SignedReceipt,
    set: &ValidatorSet,
) -> Result<MoneyBody, RailError> {
    let decided = receipt.receipt();
    if decided.terms_hash.as_bytes() != terms.hash(domain).0 {
        return Err(refused("ReceiptOfOtherTerms"));
    }
    let codec = Codec::Solana(*domain);
    let mut rows = Vec::with_capacity(decided.rows.len());
    for row in &decided.rows {
        let payee = codec.account(&row.payee);
        let payee = payee.ok_or_else(|| refused("PayeeForm"))?;
        let role = match row.role {
            d402_objects::RowRole::Worker => 0,
            d402_objects::RowRole::Validator => 1,
        };
        let units = u64::try_from(row.amount.get()).map_err(|_| refused("AmountForm"))?;
        rows.push((Hex32::from_bytes(payee.0), role, units));
    }
    let signatures = receipt.signatures().iter();
    Ok(MoneyBody::Settle {
        terms: bytes.to_vec(),
        receipt: ReceiptBody {
            receipt_cid: receipt.receipt_cid().to_hex32(),
            outcome: match decided.outcome {
                d402_objects::Outcome::Paid => 1,
                d402_objects::Outcome::Rejected => 2,
            },
            rows,
        },
        set: SetBody {
            m: set.m(),
            keys: set
                .keys()
                .iter()
                .map(|key| Hex32::from_bytes(key.0))
                .collect(),
        },
        signatures: signatures
            .map(|s| (s.set_index, hex::encode(s.signature.as_slice())))
            .collect(),
    })
}
