//! The bytes of a money effect on this rail: a short list of requests, executed in order.
//!
//! The bytes are fixed when the effect is planned and never rebuilt: what is posted is the very text
//! inside the body, however often it is posted. Every request in a body is idempotent on the chain.
//! The **last** request is the effect; the ones before it only prepare the chain for it (publish the
//! validator set, store the terms) and may be refused because they are not needed any more.

use d402_wire::simchain::{MAX_BODY_BYTES, Rpc};
use serde_json::value::RawValue;

/// Most requests in one body.
pub const MAX_STEPS: usize = 4;

/// A decoded body: at least one request, the last one being the effect.
#[derive(Clone, Debug)]
pub struct MoneyBody {
    steps: Vec<Step>,
}

/// One request and the exact bytes to post.
#[derive(Clone, Debug)]
pub struct Step {
    /// Meaning of the bytes.
    pub rpc: Rpc,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why bytes are no body of this rail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Not a JSON array of 1 to [`MAX_STEPS`] requests.
    #[error("money body is not a list of 1 to {MAX_STEPS} requests")]
    Shape(#[source] Option<serde_json::Error>),
    /// One of them is no request of the simulated chain.
    #[error("request {index} of the money body is none of the simulated chain")]
    Request {
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: d402_wire::CodecError,
    },
    /// One of them only asks or switches something; a body moves money.
    #[error("request {index} of the money body is no money effect")]
    NotMoney {
        /// Position in the list, from 0.
        index: usize,
    },
}

/// Encodes a body.
///
/// # Errors
/// [`BodyError::Shape`] for no or too many steps or a value without JSON form.
pub fn encode(steps: &[Rpc]) -> Result<Vec<u8>, BodyError> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(BodyError::Shape(None));
    }
    serde_json::to_vec(steps).map_err(|e| BodyError::Shape(Some(e)))
}

impl MoneyBody {
    /// Decodes a body and keeps the exact bytes of each request.
    ///
    /// # Errors
    /// [`BodyError`], first offending request.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let raw: Vec<&RawValue> =
            serde_json::from_slice(bytes).map_err(|e| BodyError::Shape(Some(e)))?;
        if raw.is_empty() || raw.len() > MAX_STEPS {
            return Err(BodyError::Shape(None));
        }
        let mut steps = Vec::with_capacity(raw.len());
        for (index, value) in raw.into_iter().enumerate() {
            let bytes = value.get().as_bytes().to_vec();
            let rpc = d402_wire::decode(&bytes, MAX_BODY_BYTES)
                .map_err(|source| BodyError::Request { index, source })?;
            if !moves_or_prepares_money(&rpc) {
                return Err(BodyError::NotMoney { index });
            }
            steps.push(Step { rpc, bytes });
        }
        Ok(Self { steps })
    }

    /// The requests, in order; never empty.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// Whether a request may stand in a money body. Faucet, switches and questions may not: a body comes back
/// out of a database years later and must not be able to do anything else than move its own money.
const fn moves_or_prepares_money(rpc: &Rpc) -> bool {
    match rpc {
        Rpc::PublishSet { .. }
        | Rpc::Open { .. }
        | Rpc::Pay { .. }
        | Rpc::Settle { .. }
        | Rpc::Sweep { .. }
        | Rpc::ClaimCredit { .. }
        | Rpc::LapseCredits { .. }
        | Rpc::Close { .. } => true,
        Rpc::Clock
        | Rpc::AdvanceClock { .. }
        | Rpc::Mint { .. }
        | Rpc::Balance { .. }
        | Rpc::PaymentStatus { .. }
        | Rpc::Vault { .. }
        | Rpc::Events { .. }
        | Rpc::SetUnpayable { .. }
        | Rpc::SetFault { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use d402_objects::{Amount, Hex32};

    fn sweep() -> Rpc {
        Rpc::Sweep {
            terms: "00".repeat(304),
        }
    }

    #[test]
    fn the_bytes_posted_are_the_bytes_that_were_planned_spaces_included() {
        let text = format!(
            "[ {{ \"params\" : {{\"terms\":\"{}\"}}, \"method\":\"sweep\" }} ]",
            "00".repeat(304)
        );
        let body = MoneyBody::decode(text.as_bytes()).unwrap();
        let [step] = body.steps() else {
            panic!("one step")
        };
        assert_eq!(step.rpc, sweep());
        assert!(
            text.as_bytes()
                .windows(step.bytes.len())
                .any(|part| part == step.bytes)
        );
        assert!(step.bytes.starts_with(b"{ \"params\""));
    }

    #[test]
    fn an_empty_and_an_overlong_list_are_refused_both_ways() {
        assert!(matches!(encode(&[]), Err(BodyError::Shape(None))));
        assert!(matches!(
            encode(&vec![sweep(); MAX_STEPS + 1]),
            Err(BodyError::Shape(None))
        ));
        assert!(matches!(
            MoneyBody::decode(b"[]"),
            Err(BodyError::Shape(None))
        ));
        let five = serde_json::to_vec(&vec![sweep(); MAX_STEPS + 1]).unwrap();
        assert!(matches!(
            MoneyBody::decode(&five),
            Err(BodyError::Shape(None))
        ));
    }

    #[test]
    fn a_stored_body_cannot_reach_the_faucet_or_a_switch() {
        let mint = Rpc::Mint {
            to: Hex32::from_bytes([1; 32]),
            asset: Hex32::from_bytes([2; 32]),
            amount: Amount::from(1u64),
        };
        let bytes = encode(&[sweep(), mint]).unwrap();
        assert!(matches!(
            MoneyBody::decode(&bytes),
            Err(BodyError::NotMoney { index: 1 })
        ));
    }

    #[test]
    fn a_request_with_a_duplicate_key_is_refused() {
        let bytes = br#"[{"method":"sweep","method":"sweep","params":{"terms":""}}]"#;
        assert!(matches!(
            MoneyBody::decode(bytes),
            Err(BodyError::Request { index: 0, .. })
        ));
    }
}
