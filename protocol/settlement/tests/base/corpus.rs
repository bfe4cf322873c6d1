//! Receipts as bytes, and the one judge of them: what the Rust ledger says of a `settle` on Base.
//!
//! A case is one packed byte string, so that a Solidity test can slice it; see `base/receipts.rs` of the
//! vector generator for the layout.

use d402_settlement::evm::{EvmAccount, EvmDomain, EvmSigners, EvmTerms, SignerKind};
use d402_settlement::ledger::base::{BaseCommand, BaseRefusal, Escrow};
use d402_settlement::ledger::{Effects, Refusal, TransferKind, Unpayable};
use d402_settlement::{
    Outcome, PlanRefusal, ReceiptCid, Role, Row, Rows, Settlement, Units, UnixSeconds,
};

/// What `settle` is called with, and when.
#[derive(Clone, Debug)]
pub struct Call {
    pub terms: u16,
    pub set: u8,
    pub now: u64,
    pub balance: u64,
    pub receipt_cid: [u8; 32],
    pub outcome: u8,
    /// Payee, role, amount.
    pub rows: Vec<([u8; 20], u8, u64)>,
    pub signatures: Vec<(u8, Vec<u8>)>,
}

/// A set as the call gives it, valid or not: m, then account and kind of each member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenSet {
    pub m: u8,
    pub members: Vec<([u8; 20], u8)>,
}

/// What must happen. The discriminants are in the vector file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    Executed = 0,
    NotSettleable = 1,
    TooLate = 2,
    BadSet = 3,
    WrongSet = 4,
    BadRows = 5,
    BadPayee = 6,
    BadOutcome = 7,
    BadSignature = 8,
    NotEnoughSignatures = 9,
    ValidatorsOverCap = 10,
    OverBudget = 11,
    Underfunded = 12,
}

pub const CLASSES: [Class; 13] = [
    Class::Executed,
    Class::NotSettleable,
    Class::TooLate,
    Class::BadSet,
    Class::WrongSet,
    Class::BadRows,
    Class::BadPayee,
    Class::BadOutcome,
    Class::BadSignature,
    Class::NotEnoughSignatures,
    Class::ValidatorsOverCap,
    Class::OverBudget,
    Class::Underfunded,
];

/// Money that moved; zeros when none did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub commission: u64,
    pub fee: u64,
    pub refund: u64,
    /// What each row's payee gets, in row order.
    pub rows: Vec<u64>,
}

/// Runs a call against the Rust ledger.
pub fn judge(
    domain: &EvmDomain,
    terms: &EvmTerms,
    set: &GivenSet,
    call: &Call,
) -> Result<Moved, Class> {
    let now = UnixSeconds(i64::try_from(call.now).unwrap());
    terms
        .settleable(domain, now)
        .map_err(|_| Class::NotSettleable)?;
    if call.now >= terms.refund_after {
        return Err(Class::TooLate);
    }
    let signers = signers(set)?;
    if signers.hash() != terms.validator_set {
        return Err(Class::WrongSet);
    }
    let settlement = settlement(call)?;
    let escrow = Escrow::of(domain, terms);
    let digest = domain.settlement_digest(&terms.hash(&domain.ledger), &settlement);
    let signatures: Vec<(u8, &[u8])> = call
        .signatures
        .iter()
        .map(|(index, signature)| (*index, signature.as_slice()))
        .collect();
    let approvals = signers
        .check(digest, &signatures)
        .map_err(|_| Class::BadSignature)?;
    let funded = if call.balance == 0 {
        escrow
    } else {
        let amount = Units::from_u64(call.balance);
        let deposit = BaseCommand::Deposit { amount };
        escrow.apply(&deposit, now).unwrap().0
    };
    let command = BaseCommand::Settle {
        terms,
        settlement: &settlement,
        approvals: &approvals,
        unpayable: &Unpayable::none(),
    };
    let (after, effects) = funded.apply(&command, now).map_err(class)?;
    let moved = moved(call, &effects);
    let out = moved.commission + moved.fee + moved.refund + moved.rows.iter().sum::<u64>();
    assert_eq!(out, call.balance, "nothing is left or made");
    assert!(after.balance().is_zero() && after.is_marked());
    Ok(moved)
}

fn signers(set: &GivenSet) -> Result<EvmSigners, Class> {
    let members = set
        .members
        .iter()
        .map(|(account, kind)| SignerKind::from_u8(*kind).map(|kind| (EvmAccount(*account), kind)))
        .collect::<Option<Vec<_>>>()
        .ok_or(Class::BadSet)?;
    EvmSigners::new(set.m, &members).map_err(|_| Class::BadSet)
}

fn settlement(call: &Call) -> Result<Settlement, Class> {
    let rows = call
        .rows
        .iter()
        .map(|(payee, role, amount)| {
            Role::from_u8(*role).map(|role| Row {
                payee: EvmAccount(*payee).to_key(),
                role,
                amount: Units::from_u64(*amount),
            })
        })
        .collect::<Option<Vec<Row>>>()
        .ok_or(Class::BadRows)?;
    Ok(Settlement {
        receipt_cid: ReceiptCid(call.receipt_cid),
        outcome: Outcome::from_u8(call.outcome).ok_or(Class::BadOutcome)?,
        rows: Rows::new(&rows).map_err(|_| Class::BadRows)?,
    })
}

fn class(refusal: BaseRefusal) -> Class {
    let BaseRefusal::Ledger(refusal) = refusal else {
        panic!("{refusal}");
    };
    match refusal {
        Refusal::BadPayee { .. } => Class::BadPayee,
        Refusal::NotEnoughSignatures { .. } => Class::NotEnoughSignatures,
        Refusal::Plan(PlanRefusal::PaidWithoutWorker | PlanRefusal::RejectedWithWorker) => {
            Class::BadOutcome
        }
        Refusal::Plan(PlanRefusal::ValidatorsOverCap { .. }) => Class::ValidatorsOverCap,
        Refusal::Plan(PlanRefusal::OverBudget { .. }) => Class::OverBudget,
        Refusal::Plan(PlanRefusal::Underfunded { .. }) => Class::Underfunded,
        other => panic!("{other}: the judge has asked for that before"),
    }
}

fn moved(call: &Call, effects: &Effects) -> Moved {
    let mut moved = Moved {
        rows: vec![0; call.rows.len()],
        ..Moved::default()
    };
    for transfer in &effects.transfers {
        let amount = transfer.amount.to_u64().unwrap();
        match transfer.kind {
            TransferKind::Worker | TransferKind::Validator => {
                let to = EvmAccount::from_key(&transfer.to).unwrap().0;
                let row = call.rows.iter().position(|row| row.0 == to).unwrap();
                moved.rows[row] += amount;
            }
            TransferKind::Creator => moved.commission += amount,
            TransferKind::Gateway => moved.fee += amount,
            TransferKind::Refund => moved.refund += amount,
            TransferKind::Credit => panic!("everybody can be paid"),
        }
    }
    moved
}

/// The packed bytes of a case.
pub fn pack(call: &Call, verdict: &Result<Moved, Class>) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(call.terms.to_be_bytes());
    bytes.push(call.set);
    bytes.extend(call.now.to_be_bytes());
    bytes.extend(call.balance.to_be_bytes());
    bytes.extend(call.receipt_cid);
    bytes.push(call.outcome);
    bytes.push(u8::try_from(call.rows.len()).unwrap());
    for (payee, role, amount) in &call.rows {
        bytes.extend(payee);
        bytes.push(*role);
        bytes.extend(amount.to_be_bytes());
    }
    bytes.push(u8::try_from(call.signatures.len()).unwrap());
    for (index, signature) in &call.signatures {
        bytes.push(*index);
        bytes.push(u8::try_from(signature.len()).unwrap());
        bytes.extend(signature);
    }
    match verdict {
        Ok(moved) => {
            bytes.push(Class::Executed as u8);
            for amount in [moved.commission, moved.fee, moved.refund] {
                bytes.extend(amount.to_be_bytes());
            }
            for amount in &moved.rows {
                bytes.extend(amount.to_be_bytes());
            }
        }
        Err(class) => bytes.push(*class as u8),
    }
    bytes
}

/// Reads the bytes of a case back.
pub fn unpack(mut bytes: &[u8]) -> (Call, Result<Moved, Class>) {
    let at = &mut bytes;
    let call = Call {
        terms: u16::from_be_bytes(take(at)),
        set: byte(at),
        now: u64::from_be_bytes(take(at)),
        balance: u64::from_be_bytes(take(at)),
        receipt_cid: take(at),
        outcome: byte(at),
        rows: (0..byte(at))
            .map(|_| (take(at), byte(at), u64::from_be_bytes(take(at))))
            .collect(),
        signatures: (0..byte(at))
            .map(|_| {
                let (index, length) = (byte(at), usize::from(byte(at)));
                let (signature, rest) = at.split_at(length);
                *at = rest;
                (index, signature.to_vec())
            })
            .collect(),
    };
    let class = byte(at);
    let verdict = match CLASSES[usize::from(class)] {
        Class::Executed => {
            let mut amount = || u64::from_be_bytes(take(at));
            Ok(Moved {
                commission: amount(),
                fee: amount(),
                refund: amount(),
                rows: call.rows.iter().map(|_| amount()).collect(),
            })
        }
        other => Err(other),
    };
    assert!(at.is_empty(), "bytes after the case");
    (call, verdict)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_first_chunk::<N>().expect("a whole case");
    *bytes = rest;
    *head
}

fn byte(bytes: &mut &[u8]) -> u8 {
    take::<1>(bytes)[0]
}
