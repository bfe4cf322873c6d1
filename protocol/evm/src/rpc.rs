//! One provider of an EVM chain: what its refusals mean.
//!
//! Bounds, repeating and silence are [`d402_rpc`]'s.

use alloy::primitives::Bytes;
use d402_rpc::CallError;
pub use d402_rpc::{RpcLimits, Silence};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why there is no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The provider's address is no URL, or no client can be built.
    #[error("provider address is not usable")]
    Address,
    /// Nothing is known; the node may have acted. Never read as "nothing there".
    #[error("the chain's answer is not known: {why}")]
    Unknown {
        /// What happened instead of an answer.
        why: Silence,
    },
    /// The call was executed and reverted with this data.
    #[error("reverted")]
    Reverted {
        /// ABI-encoded error, possibly empty.
        data: Bytes,
    },
    /// The node refuses the request, e.g. a transaction whose nonce is used.
    #[error("provider refuses ({code}): {message}")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// Its text, cut to 200 characters; never shown over HTTP.
        message: String,
    },
}

impl RpcError {
    /// An unknown answer.
    #[must_use]
    pub const fn unknown(why: Silence) -> Self {
        Self::Unknown { why }
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unknown { why } => Self::Unknown { why },
            CallError::Refused {
                code,
                message,
                data,
            } => refusal(code, message, data.as_deref()),
            // A failure this build does not know is at least no answer.
            CallError::Address | _ => Self::Address,
        }
    }
}

/// A client of one provider.
#[derive(Clone, Debug)]
pub struct Rpc(d402_rpc::Rpc);

impl Rpc {
    /// A client of the provider at `url`; nothing is sent.
    ///
    /// # Errors
    /// [`RpcError::Address`] unless `url` is `http` or `https`.
    pub fn new(url: &str, limits: RpcLimits) -> Result<Self, RpcError> {
        Ok(Self(d402_rpc::Rpc::new(url, limits)?))
    }

    /// Asks something that changes nothing; tried again when there was no answer.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn read<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, RpcError> {
        Ok(self.0.read(method, params).await?)
    }

    /// Sends one request once; for what changes the chain.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn once<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, RpcError> {
        Ok(self.0.once(method, params).await?)
    }
}

/// Reverts come as code 3, or as another code with revert data or text: nodes differ.
fn refusal(code: i64, message: String, data: Option<&Value>) -> RpcError {
    let data = match data {
        Some(Value::String(text)) => text.parse::<Bytes>().ok(),
        Some(Value::Object(inner)) => inner
            .get("data")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok()),
        _ => None,
    };
    match data {
        Some(data) => RpcError::Reverted { data },
        None if code == 3 || message.to_ascii_lowercase().contains("execution reverted") => {
            RpcError::Reverted { data: Bytes::new() }
        }
        None => RpcError::Refused { code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_spelling_of_a_revert_is_a_revert() {
        let fault = |code, message: &str, data: Option<Value>| {
            refusal(code, message.to_owned(), data.as_ref())
        };
        let data = Bytes::from_static(&[0xab, 0xcd]);
        let want = RpcError::Reverted { data };
        assert_eq!(fault(3, "execution reverted", Some(json!("0xabcd"))), want);
        assert_eq!(
            fault(-32000, "VM error", Some(json!({"data": "0xabcd"}))),
            want
        );
        let bare = RpcError::Reverted { data: Bytes::new() };
        assert_eq!(fault(-32000, "execution reverted", None), bare);
        assert!(matches!(
            fault(-32000, "nonce too low", None),
            RpcError::Refused { code: -32000, .. }
        ));
    }
}
