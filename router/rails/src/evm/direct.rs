//! [`Rail`] with payTo = the chosen worker's account, x402 flow `authorization`: what the buyer signed is kept
//! and submitted once its work is accepted (design §5).
//!
//! Invariants: nothing is held and nothing is swept; `verify_direct` changes nothing; a payment is believed when
//! the token's logs show it as deep as its amount needs, whoever sent it (threats #36, #37), and given up only by
//! a final block (threat #71). An authorization that was used before it came here pays for nothing here: its
//! receiver alone does not say which task it was for.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall as _;
use async_trait::async_trait;
use d402_core::ports::{
    Deposit, DirectAsk, DirectRail, DirectState, PaymentFault, Rail, RailError, Uncollectable,
    VaultState, VerifiedPayment,
};
use d402_evm::Chain;
use d402_evm::abi::{MULTICALL3, Multicall3, Token};
use d402_objects::{Hex32, SignedReceipt};
use d402_settlement::ValidatorSet;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::authorization::{SignedAuthorization, TokenDomain};
use super::body::{Call, MAX_BODY_BYTES, intent_key};
use super::check::{CLOCK_SLACK_S, Checked, MAX_WINDOW_S, Trial, check};
use super::escrow::unknown;
use super::outcome::{EXPIRED, SPENT, not_sent, refused, retry};
use super::sequencer::{SendError, Sequencer};
use super::trail::Trail;
use crate::recent::Recent;

/// A payment was verified at most this long before its end, seconds; it was unused then, so a search for its
/// use starts there.
const SEARCH_S: u64 = MAX_WINDOW_S + 2 * CLOCK_SLACK_S;

/// The bytes of a direct payment: what is submitted, and how it is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DirectBody {
    /// The token.
    asset: Address,
    /// The buyer's authorization; its receiver is the worker.
    payment: SignedAuthorization,
}

/// Paying a worker straight on Base.
#[derive(Debug)]
pub struct BaseDirectRail {
    network: String,
    token: TokenDomain,
    chain: Arc<Chain>,
    sequencer: Arc<Sequencer>,
    deployed: OnceCell<()>,
    transactions: Recent<alloy::primitives::B256>,
}

impl BaseDirectRail {
    /// The rail over a chain and the sender of this gateway; one sender per key, shared with other rails.
    #[must_use]
    pub fn new(
        network: String,
        token: TokenDomain,
        chain: Arc<Chain>,
        sequencer: Arc<Sequencer>,
    ) -> Self {
        Self {
            network,
            token,
            chain,
            sequencer,
            deployed: OnceCell::new(),
            transactions: Recent::default(),
        }
    }

    /// Without code there, a call succeeds and moves nothing.
    async fn check_deployed(&self) -> Result<(), RailError> {
        let check = || async {
            let head = self.chain.now().await.map_err(unknown)?;
            for contract in [MULTICALL3, self.token.asset] {
                let code = self.chain.code(contract, &head).await.map_err(unknown)?;
                if code.is_empty() {
                    tracing::error!(%contract, "no contract at this address");
                    return Err(RailError::Unknown);
                }
            }
            Ok(())
        };
        self.deployed.get_or_try_init(check).await.copied()
    }

    fn trail<'a>(&'a self, body: &DirectBody) -> Trail<'a> {
        Trail {
            chain: &self.chain,
            asset: body.asset,
            from: body.payment.authorization.from,
            nonce: body.payment.authorization.nonce,
        }
    }
}

impl DirectBody {
    fn decode(bytes: &[u8]) -> Result<Self, RailError> {
        let form = || refused("BodyForm");
        if bytes.len() > MAX_BODY_BYTES {
            return Err(form());
        }
        serde_json::from_slice(bytes).map_err(|error| {
            tracing::error!(%error, "direct payment body");
            form()
        })
    }

    fn encode(&self) -> Result<Vec<u8>, RailError> {
        serde_json::to_vec(self).map_err(|_| refused("BodyForm"))
    }

    /// The token's own call; a wallet that is not there yet is made first, in the same transaction.
    fn call(&self) -> Call {
        let given = &self.payment.authorization;
        let made = self.payment.counterfactual();
        let signature = made
            .as_ref()
            .map_or_else(|| self.payment.signature.clone(), |m| m.signature.clone());
        let transfer = Token::transferWithAuthorizationCall {
            from: given.from,
            to: given.to,
            value: given.value,
            validAfter: given.valid_after,
            validBefore: given.valid_before,
            nonce: given.nonce,
            signature,
        };
        let input: Bytes = transfer.abi_encode().into();
        let Some(made) = made else {
            return Call {
                target: self.asset,
                input,
            };
        };
        let step = |target, may_fail, data| Multicall3::Call3 {
            target,
            allowFailure: may_fail,
            callData: data,
        };
        let calls = vec![
            step(made.factory, true, made.data),
            step(self.asset, false, input),
        ];
        Call {
            target: MULTICALL3,
            input: Multicall3::aggregate3Call { calls }.abi_encode().into(),
        }
    }

    /// Where a search for its use starts, unix seconds.
    fn since(&self) -> u64 {
        let end: u64 = self.payment.authorization.valid_before.saturating_to();
        end.saturating_sub(SEARCH_S)
    }

    fn goes_to(&self) -> (Address, U256) {
        let given = &self.payment.authorization;
        (given.to, given.value)
    }
}

#[async_trait]
impl DirectRail for BaseDirectRail {
    async fn verify_direct(
        &self,
        payload: &serde_json::Value,
        ask: &DirectAsk<'_>,
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        let Some(payment) = SignedAuthorization::parse(payload) else {
            return Ok(Err(PaymentFault::Malformed));
        };
        let given = payment.authorization;
        let same = ask.pay_to.as_str().parse() == Ok(given.to)
            && ask.asset.as_str().parse() == Ok(self.token.asset)
            && given.value == U256::from(ask.amount.get());
        if !same {
            return Ok(Err(PaymentFault::Mismatch));
        }
        let ends_ms = given
            .valid_before
            .saturating_to::<u64>()
            .saturating_mul(1_000);
        if ends_ms < ask.hold_until_ms {
            return Ok(Err(PaymentFault::Expired));
        }
        self.check_deployed().await?;
        let body = DirectBody {
            asset: self.token.asset,
            payment,
        };
        // A factory that is the token could be called to do anything in the payer's name.
        let call = body.call();
        if body
            .payment
            .counterfactual()
            .is_some_and(|made| made.factory == body.asset)
        {
            return Ok(Err(PaymentFault::Malformed));
        }
        let trial = Trial {
            target: call.target,
            input: call.input,
        };
        let checked = check(&self.chain, &self.token, &body.payment, trial).await;
        match checked.map_err(unknown)? {
            Checked::Good => {}
            Checked::Spent => return Ok(Err(PaymentFault::Spent)),
            Checked::Bad(fault) => return Ok(Err(fault)),
        }
        Ok(Ok(VerifiedPayment {
            payment_id: body.payment.id(&self.token),
            payer: format!("{:#x}", given.from),
            body: body.encode()?,
        }))
    }

    async fn payment(&self, bytes: &[u8]) -> Result<DirectState, RailError> {
        let body = DirectBody::decode(bytes)?;
        let given = &body.payment.authorization;
        let trail = self.trail(&body);
        let finality = self.chain.options().finality;
        let head = self.chain.head(finality.level(given.value.saturating_to()));
        let head = head.await.map_err(unknown)?;
        if let Some(used) = trail.used(body.since(), &head).await?
            && trail.moved(&used, body.goes_to()).await?
        {
            let block = self.chain.block(used.block_number.to()).await;
            let block = block.map_err(unknown)?;
            self.chain.confirm(&head).await.map_err(unknown)?;
            self.transactions
                .remember(body.payment.id(&self.token), used.transaction_hash);
            return Ok(DirectState::Paid {
                transaction: format!("{:#x}", used.transaction_hash),
                height: block.number,
                at_ms: block.timestamp.saturating_mul(1_000),
            });
        }
        let last = self.chain.head(finality.last()).await.map_err(unknown)?;
        let spent = trail.is_spent(&last).await?;
        let over = U256::from(last.timestamp) >= given.valid_before;
        let until_s: u64 = given.valid_before.saturating_to();
        let open = DirectState::Open {
            until_ms: until_s.saturating_mul(1_000),
        };
        if !spent && !over {
            return Ok(open);
        }
        // The same final block must not show a transfer that the first look was too early for.
        let used = trail.used(body.since(), &last).await?;
        let paid = match &used {
            Some(used) => trail.moved(used, body.goes_to()).await?,
            None => false,
        };
        self.chain.confirm(&last).await.map_err(unknown)?;
        Ok(match (paid, spent) {
            (true, _) => open,
            (false, true) => DirectState::Impossible {
                why: Uncollectable::Spent,
            },
            (false, false) => DirectState::Impossible {
                why: Uncollectable::Expired,
            },
        })
    }
}

#[async_trait]
impl Rail for BaseDirectRail {
    fn name(&self) -> &'static str {
        "base-direct"
    }

    fn network(&self) -> &str {
        &self.network
    }

    fn learn_set(&self, _set: &ValidatorSet) {}

    fn payment_id(&self, payload: &serde_json::Value) -> Option<Hex32> {
        Some(SignedAuthorization::parse(payload)?.id(&self.token))
    }

    async fn verify(
        &self,
        _payload: &serde_json::Value,
        _terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        Ok(Err(PaymentFault::Mismatch))
    }

    async fn submit(&self, bytes: &[u8]) -> Result<(), RailError> {
        let body = DirectBody::decode(bytes)?;
        self.check_deployed().await?;
        let call = body.call();
        let key = intent_key(bytes, 0);
        match self.sequencer.bring(key, call.target, &call.input).await {
            Ok(_) => return Ok(()),
            Err(SendError::Reverted { .. }) => {}
            Err(error) => return Err(not_sent(&error)),
        }
        let trail = self.trail(&body);
        let now = self.chain.now().await.map_err(unknown)?;
        if trail.is_spent(&now).await? {
            return match trail.used(body.since(), &now).await? {
                // Somebody was faster with the same bytes.
                Some(used) if trail.moved(&used, body.goes_to()).await? => Ok(()),
                Some(_) | None => Err(refused(SPENT)),
            };
        }
        if U256::from(now.timestamp) >= body.payment.authorization.valid_before {
            return Err(refused(EXPIRED));
        }
        // The payer's money is elsewhere for the moment; until it lapses it may come back.
        Err(retry("PaymentRefused"))
    }

    fn settle_body(&self, _terms: &[u8], _receipt: &SignedReceipt) -> Result<Vec<u8>, RailError> {
        Err(refused("NothingHeld"))
    }

    fn sweep_body(&self, _terms: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    async fn deposit(&self, _terms: &[u8], _payment_id: Hex32) -> Result<Deposit, RailError> {
        Err(refused("NothingHeld"))
    }

    async fn transaction(&self, payment_id: Hex32) -> Result<Option<String>, RailError> {
        let known = self.transactions.recall(payment_id);
        Ok(known.map(|hash| format!("{hash:#x}")))
    }

    async fn vault(&self, _terms: &[u8]) -> Result<VaultState, RailError> {
        Err(refused("NothingHeld"))
    }

    fn direct(&self) -> Option<&dyn DirectRail> {
        Some(self)
    }

    async fn chain_now_ms(&self) -> Result<u64, RailError> {
        let head = self.chain.now().await.map_err(unknown)?;
        Ok(head.timestamp.saturating_mul(1_000))
    }
}
