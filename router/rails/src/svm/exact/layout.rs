//! Which instructions a payment may have, in which order, with which limits.

use d402_svm::Address;
use d402_svm::address::COMPUTE_BUDGET;
use d402_svm::message::compiled_instruction::CompiledInstruction;

use super::ExactFault;
use super::requirements::{
    FeeCaps, LIGHTHOUSE_PROGRAM, MEMO_PROGRAM, Requirements, priority_lamports,
};

const SET_COMPUTE_LIMIT: u8 = 2;
const SET_COMPUTE_PRICE: u8 = 3;
const TRANSFER_CHECKED: u8 = 12;
const COUNT: std::ops::RangeInclusive<usize> = 3..=7;

/// An instruction with its accounts looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) program: Address,
    pub(super) accounts: Vec<Address>,
    pub(super) data: Vec<u8>,
}

impl Step {
    /// `None` when an index is beyond the accounts.
    fn of(instruction: &CompiledInstruction, accounts: &[Address]) -> Option<Self> {
        let at = |index: &u8| accounts.get(usize::from(*index)).copied();
        Some(Self {
            program: at(&instruction.program_id_index)?,
            accounts: instruction.accounts.iter().map(at).collect::<Option<_>>()?,
            data: instruction.data.clone(),
        })
    }

    fn involves(&self, account: &Address) -> bool {
        self.program == *account || self.accounts.contains(account)
    }
}

/// The instructions of a payment, known to be of allowed programs in an allowed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) compute_units: u32,
    pub(super) price_micro_lamports: u64,
    pub(super) transfer: Transfer,
    pub(super) memos: Vec<Vec<u8>>,
}

/// A checked transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) source: Address,
    pub(super) mint: Address,
    pub(super) destination: Address,
    pub(super) authority: Address,
    pub(super) amount: u64,
}

impl Layout {
    /// Reads the instructions.
    pub(super) fn read(
        instructions: &[CompiledInstruction],
        accounts: &[Address],
        required: &Requirements,
    ) -> Result<Self, ExactFault> {
        let got = instructions.len();
        if !COUNT.contains(&got) {
            return Err(ExactFault::InstructionCount { got });
        }
        let steps = instructions
            .iter()
            .map(|instruction| Step::of(instruction, accounts))
            .collect::<Option<Vec<_>>>()
            .ok_or(ExactFault::Undecodable)?;
        let [limit, price, transfer, optional @ ..] = steps.as_slice() else {
            return Err(ExactFault::InstructionCount { got });
        };
        let compute_units = compute_limit(limit, &required.caps)?;
        let price_micro_lamports = compute_price(price, compute_units, &required.caps)?;
        let moved = checked_transfer(transfer, &required.token_program)?;
        let mut memos = Vec::new();
        for (place, step) in (3..).zip(optional) {
            match step.program {
                MEMO_PROGRAM => memos.push(step.data.clone()),
                LIGHTHOUSE_PROGRAM => {}
                _ => return Err(ExactFault::Unexpected { place }),
            }
        }
        // By address, not by place: a message may name one account twice.
        if steps.iter().any(|step| step.involves(&required.fee_payer)) {
            return Err(ExactFault::FeePayerInvolved);
        }
        Ok(Self {
            compute_units,
            price_micro_lamports,
            transfer: moved,
            memos,
        })
    }
}

fn compute_limit(step: &Step, caps: &FeeCaps) -> Result<u32, ExactFault> {
    let units = match step.data.as_slice() {
        [SET_COMPUTE_LIMIT, units @ ..] if step.program == COMPUTE_BUDGET => units,
        _ => return Err(ExactFault::ComputeLimit),
    };
    let got = u32::from_le_bytes(units.try_into().map_err(|_| ExactFault::ComputeLimit)?);
    let limit = caps.compute_units;
    if got > limit {
        return Err(ExactFault::ComputeLimitTooHigh { got, limit });
    }
    Ok(got)
}

fn compute_price(step: &Step, units: u32, caps: &FeeCaps) -> Result<u64, ExactFault> {
    let price = match step.data.as_slice() {
        [SET_COMPUTE_PRICE, price @ ..] if step.program == COMPUTE_BUDGET => price,
        _ => return Err(ExactFault::ComputePrice),
    };
    let price = u64::from_le_bytes(price.try_into().map_err(|_| ExactFault::ComputePrice)?);
    if price > caps.price_micro_lamports || priority_lamports(units, price) > caps.priority_lamports
    {
        return Err(ExactFault::ComputePriceTooHigh);
    }
    Ok(price)
}

/// Exactly four accounts: more would be signers of a multisig, and two signatures are all there are.
fn checked_transfer(step: &Step, token_program: &Address) -> Result<Transfer, ExactFault> {
    let [source, mint, destination, authority] = *step.accounts.as_slice() else {
        return Err(ExactFault::NoTransfer);
    };
    // The decimals are left to the token program, which compares them with the mint's.
    let [TRANSFER_CHECKED, amount @ .., _decimals] = step.data.as_slice() else {
        return Err(ExactFault::NoTransfer);
    };
    let amount = u64::from_le_bytes(amount.try_into().map_err(|_| ExactFault::NoTransfer)?);
    if step.program != *token_program {
        return Err(ExactFault::NoTransfer);
    }
    Ok(Transfer {
        source,
        mint,
        destination,
        authority,
        amount,
    })
}
