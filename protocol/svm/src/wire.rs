//! Answers of a provider, as far as anything here looks at them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use solana_address::Address;
use solana_hash::Hash;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;

use crate::transaction;

/// An answer with the slot it is of.
#[derive(Deserialize)]
pub(crate) struct At<T> {
    pub(crate) context: Context,
    pub(crate) value: T,
}

#[derive(Deserialize)]
pub(crate) struct Context {
    pub(crate) slot: u64,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Rent and more.
    pub lamports: u64,
    /// The program that may change it.
    #[serde(deserialize_with = "parsed")]
    pub owner: Address,
    /// Its bytes.
    #[serde(deserialize_with = "base64_pair")]
    pub data: Vec<u8>,
}

/// A blockhash and how long it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blockhash {
    /// What a message names.
    #[serde(rename = "blockhash", deserialize_with = "parsed")]
    pub hash: Hash,
    /// From the block after this height on, no message with it can be executed.
    pub last_valid_block_height: u64,
}

/// A transaction in the history of an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Its first signature.
    #[serde(deserialize_with = "parsed")]
    pub signature: Signature,
    /// Where it is.
    pub slot: u64,
    /// How it failed, if it did.
    pub err: Option<Value>,
}

/// How far a transaction got.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Where it is.
    pub slot: u64,
    /// How it failed, if it did.
    pub err: Option<Value>,
    /// `processed`, `confirmed` or `finalized`.
    pub confirmation_status: Option<String>,
}

impl Status {
    /// Whether the cluster has voted for it: anything below is one node's opinion (threat #36).
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        matches!(
            self.confirmation_status.as_deref(),
            Some("confirmed" | "finalized")
        )
    }

    /// Whether it had its effect.
    #[must_use]
    pub const fn succeeded(&self) -> bool {
        self.err.is_none()
    }
}

/// What a trial run says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// How it fails, if it does.
    pub err: Option<Value>,
    /// Compute units it takes.
    pub units_consumed: Option<u64>,
}

/// How a transaction fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An instruction fails with a number of its program.
    Program {
        /// Which.
        index: u64,
        /// The program's number.
        code: u32,
    },
    /// Anything else, in the runtime's own name, cut to 80 characters.
    Runtime(String),
}

impl Fault {
    /// Reads the `err` of a status, a trial run or a refusal.
    #[must_use]
    pub fn of(err: &Value) -> Self {
        if let Some([index, why]) = err
            .get("InstructionError")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            && let Some(index) = index.as_u64()
            && let Some(code) = why.get("Custom").and_then(Value::as_u64)
            && let Ok(code) = u32::try_from(code)
        {
            return Self::Program { index, code };
        }
        let name = err
            .as_str()
            .map_or_else(|| err.to_string(), ToOwned::to_owned);
        Self::Runtime(name.chars().take(80).collect())
    }
}

/// A transaction that is on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Where.
    pub slot: u64,
    /// Chain time, unix seconds, as the provider remembers it.
    pub block_time: Option<i64>,
    /// What was signed.
    pub transaction: VersionedTransaction,
    /// All account keys: named in the message, then loaded from tables, writable before read-only.
    pub keys: Vec<Address>,
    /// How it failed, if it did.
    pub err: Option<Value>,
    /// Calls that its instructions made, in order.
    pub inner: Vec<InnerInstruction>,
    /// Token balances afterwards.
    pub tokens: Vec<TokenBalance>,
}

/// A call that an instruction made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerInstruction {
    /// Called program.
    pub program: Address,
    /// Its accounts.
    pub accounts: Vec<Address>,
    /// Its data.
    pub data: Vec<u8>,
}

/// What a token account holds after a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBalance {
    /// The token account.
    pub account: Address,
    /// Its mint.
    pub mint: Address,
    /// Units.
    pub amount: u64,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireExecuted {
    slot: u64,
    block_time: Option<i64>,
    #[serde(deserialize_with = "base64_pair")]
    transaction: Vec<u8>,
    meta: Meta,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Meta {
    err: Option<Value>,
    #[serde(default)]
    inner_instructions: Option<Vec<Inner>>,
    #[serde(default)]
    loaded_addresses: Option<Loaded>,
    #[serde(default)]
    post_token_balances: Option<Vec<Balance>>,
}

#[derive(Deserialize, PartialEq)]
struct Inner {
    instructions: Vec<Compiled>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Compiled {
    program_id_index: usize,
    accounts: Vec<usize>,
    data: String,
}

#[derive(Deserialize, PartialEq, Default)]
struct Loaded {
    writable: Vec<String>,
    readonly: Vec<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Balance {
    account_index: usize,
    mint: String,
    ui_token_amount: Units,
}

#[derive(Deserialize, PartialEq)]
struct Units {
    amount: String,
}

impl WireExecuted {
    /// `None` when the parts do not belong together.
    pub(crate) fn read(self) -> Option<Executed> {
        let transaction = transaction::decode(&self.transaction)?;
        let mut keys = transaction.message.static_account_keys().to_vec();
        let loaded = self.meta.loaded_addresses.unwrap_or_default();
        for text in loaded.writable.iter().chain(&loaded.readonly) {
            keys.push(text.parse().ok()?);
        }
        let mut inner = Vec::new();
        let calls = self.meta.inner_instructions.unwrap_or_default();
        for call in calls.into_iter().flat_map(|inner| inner.instructions) {
            let accounts = call.accounts.iter().map(|at| keys.get(*at).copied());
            inner.push(InnerInstruction {
                program: *keys.get(call.program_id_index)?,
                accounts: accounts.collect::<Option<_>>()?,
                data: bs58::decode(call.data).into_vec().ok()?,
            });
        }
        let mut tokens = Vec::new();
        for balance in self.meta.post_token_balances.unwrap_or_default() {
            tokens.push(TokenBalance {
                account: *keys.get(balance.account_index)?,
                mint: balance.mint.parse().ok()?,
                amount: balance.ui_token_amount.amount.parse().ok()?,
            });
        }
        Some(Executed {
            slot: self.slot,
            block_time: self.block_time,
            transaction,
            keys,
            err: self.meta.err,
            inner,
            tokens,
        })
    }
}

fn parsed<'de, D: Deserializer<'de>, T: std::str::FromStr>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom("not base58"))
}

fn base64_pair<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let (text, encoding) = <(String, String)>::deserialize(from)?;
    if encoding != "base64" {
        return Err(D::Error::custom("not base64"));
    }
    STANDARD
        .decode(text)
        .map_err(|_| D::Error::custom("not base64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_of_a_program_keeps_its_number_and_any_other_its_name() {
        let err = json!({"InstructionError": [2, {"Custom": 6007}]});
        assert_eq!(
            Fault::of(&err),
            Fault::Program {
                index: 2,
                code: 6007
            }
        );
        assert_eq!(
            Fault::of(&json!("BlockhashNotFound")),
            Fault::Runtime("BlockhashNotFound".to_owned())
        );
        let other = Fault::of(&json!({"InstructionError": [0, "MissingAccount"]}));
        assert!(matches!(other, Fault::Runtime(name) if name.contains("MissingAccount")));
    }

    #[test]
    fn an_account_in_another_encoding_is_no_account() {
        let account = |encoding| {
            serde_json::from_value::<Account>(json!({
                "lamports": 1, "owner": "11111111111111111111111111111111",
                "data": ["AQI=", encoding], "executable": false, "rentEpoch": 0, "space": 2,
            }))
        };
        assert_eq!(account("base64").unwrap().data, [1, 2]);
        assert!(account("base58").is_err());
    }
}
