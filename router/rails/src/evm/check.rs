//! Whether a payment would take effect: one question to the chain, nothing changed.
//!
//! Signature, balance, nonce, clock and a trial run come back together, so they belong to one block. The
//! first failing check in the order of [`PaymentFault`] is the answer.

use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use d402_core::ports::PaymentFault;
use d402_evm::abi::{Erc1271, MULTICALL3, Multicall3, Token};
use d402_evm::rpc::Silence;
use d402_evm::{Chain, RpcError};
use d402_objects::Amount;
use serde_json::json;

use super::authorization::{SignedAuthorization, TokenDomain};
use super::signature::recover;

/// A payment must stay valid for more than this when it is accepted, seconds: three blocks.
pub const MIN_WINDOW_S: u64 = 6;
/// A payment may be valid for at most this when it is accepted, seconds (x402 `maxTimeoutSeconds`).
pub const MAX_WINDOW_S: u64 = 120;
/// How far a payer's clock may be ahead of the chain's, seconds.
pub const CLOCK_SLACK_S: u64 = 15;
/// ERC-1271's "yes".
const VALID: FixedBytes<4> = FixedBytes([0x16, 0x26, 0xba, 0x7e]);

/// What the chain said about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It would take effect now.
    Good,
    /// It cannot.
    Bad(PaymentFault),
    /// Its nonce is used or cancelled; whether by this very payment, the events say.
    Spent,
}

/// The trial run of a payment, as a call.
pub(super) struct Trial {
    pub(super) target: Address,
    pub(super) input: Bytes,
}

/// Places of the answers in the one question.
const BALANCE: usize = 0;
const USED: usize = 1;
const CLOCK: usize = 2;
const WALLET: usize = 4;
const TRIAL: usize = 5;

/// Asks the chain about a payment whose receiver and amount fit already.
pub(super) async fn check(
    chain: &Chain,
    token: &TokenDomain,
    payment: &SignedAuthorization,
    trial: Trial,
) -> Result<Checked, RpcError> {
    let digest = token.digest(&payment.authorization);
    let from = payment.authorization.from;
    let by_key = recover(&digest, &payment.signature) == Some(from);
    let answers = ask(chain, token, payment, (&digest, trial)).await?;
    let (balance, used, now) = facts(&answers)?;
    // A key's signature needs no wallet; a wallet's word is taken from the wallet, which may be made just
    // before (ERC-6492).
    if !by_key && !wallet_says_yes(&answers) {
        return Ok(Checked::Bad(PaymentFault::Signature));
    }
    if used {
        return Ok(Checked::Spent);
    }
    if !in_window(payment, now) {
        return Ok(Checked::Bad(PaymentFault::Expired));
    }
    if balance < payment.authorization.value {
        return Ok(Checked::Bad(PaymentFault::Funds {
            got: amount(balance),
            needed: amount(payment.authorization.value),
        }));
    }
    let runs = answers.get(TRIAL).is_some_and(|answer| answer.success);
    Ok(if runs {
        Checked::Good
    } else {
        Checked::Bad(PaymentFault::Simulation)
    })
}

async fn ask(
    chain: &Chain,
    token: &TokenDomain,
    payment: &SignedAuthorization,
    (digest, trial): (&B256, Trial),
) -> Result<Vec<Multicall3::Result>, RpcError> {
    let given = &payment.authorization;
    let made = payment.counterfactual();
    let signature = made
        .as_ref()
        .map_or_else(|| payment.signature.clone(), |m| m.signature.clone());
    let question = |target, call: Vec<u8>| Multicall3::Call3 {
        target,
        allowFailure: true,
        callData: call.into(),
    };
    let wallet = question(
        given.from,
        Erc1271::isValidSignatureCall {
            hash: *digest,
            signature,
        }
        .abi_encode(),
    );
    // Asked before and after it is made: an existing wallet answers the first time.
    let make = made.map_or_else(
        || wallet.clone(),
        |made| question(made.factory, made.data.to_vec()),
    );
    let calls = vec![
        question(
            token.asset,
            Token::balanceOfCall {
                account: given.from,
            }
            .abi_encode(),
        ),
        question(
            token.asset,
            Token::authorizationStateCall {
                authorizer: given.from,
                nonce: given.nonce,
            }
            .abi_encode(),
        ),
        question(
            MULTICALL3,
            Multicall3::getCurrentBlockTimestampCall {}.abi_encode(),
        ),
        make,
        wallet,
        question(trial.target, trial.input.to_vec()),
    ];
    let input = Multicall3::aggregate3Call { calls }.abi_encode();
    let call = json!({"to": MULTICALL3, "data": Bytes::from(input)});
    let answer = chain.preview(&call).await?;
    Multicall3::aggregate3Call::abi_decode_returns(&answer)
        .map_err(|_| RpcError::unknown(Silence::Malformed))
}

/// Balance, whether the nonce is used, chain time. A token that answers none of it is unknown, not empty.
fn facts(answers: &[Multicall3::Result]) -> Result<(U256, bool, u64), RpcError> {
    let word = |place: usize| {
        answers
            .get(place)
            .filter(|answer| answer.success)
            .and_then(|answer| U256::abi_decode(&answer.returnData).ok())
            .ok_or(RpcError::unknown(Silence::Malformed))
    };
    Ok((
        word(BALANCE)?,
        !word(USED)?.is_zero(),
        word(CLOCK)?.saturating_to(),
    ))
}

fn wallet_says_yes(answers: &[Multicall3::Result]) -> bool {
    // Never the answer before it: that one may be the factory's, which says whatever its author likes.
    answers.get(WALLET).is_some_and(|answer| {
        answer.success
            && answer.returnData.len() >= 32
            && answer.returnData.starts_with(VALID.as_slice())
            && answer.returnData.iter().take(32).skip(4).all(|b| *b == 0)
    })
}

/// `validAfter < now`, and void neither too soon nor too late: a payment that stays possible for long keeps
/// its buyer from paying anew for long.
fn in_window(payment: &SignedAuthorization, now: u64) -> bool {
    let given = &payment.authorization;
    let earliest = now.saturating_add(MIN_WINDOW_S);
    let latest = now
        .saturating_add(MAX_WINDOW_S)
        .saturating_add(CLOCK_SLACK_S);
    given.valid_after < U256::from(now)
        && given.valid_before > U256::from(earliest)
        && given.valid_before <= U256::from(latest)
}

fn amount(units: U256) -> Amount {
    Amount::new(units.saturating_to()).unwrap_or(Amount::MAX)
}
