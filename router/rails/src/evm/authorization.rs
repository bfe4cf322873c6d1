//! An EIP-3009 authorization as x402 `exact` carries it, and its id.

use alloy::primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy::sol_types::SolValue as _;
use d402_objects::Hex32;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What payment ids are hashed under.
const ID_TAG: &[u8] = b"d402/payment/evm/v1";
/// `keccak256("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256
/// validBefore,bytes32 nonce)")`
const TRANSFER_TYPE: B256 =
    b256!("0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267");
/// `keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")`
const DOMAIN_TYPE: B256 =
    b256!("0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");
/// Last 32 bytes of a signature of a wallet that is not deployed yet (ERC-6492).
const MAGIC_6492: B256 =
    b256!("0x6492649264926492649264926492649264926492649264926492649264926492");
/// Longest signature, bytes: passkey wallets stay far below.
const MAX_SIGNATURE: usize = 4 * 1024;

/// A token as its signatures name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDomain {
    /// Address.
    pub asset: Address,
    /// EIP-712 name, e.g. `USDC`.
    pub name: String,
    /// EIP-712 version, e.g. `2`.
    pub version: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
}

impl TokenDomain {
    /// EIP-712 domain separator.
    #[must_use]
    pub fn separator(&self) -> B256 {
        let words = (
            DOMAIN_TYPE,
            keccak256(self.name.as_bytes()),
            keccak256(self.version.as_bytes()),
            U256::from(self.chain_id),
            self.asset,
        );
        keccak256(words.abi_encode())
    }

    /// What the payer signs.
    #[must_use]
    pub fn digest(&self, transfer: &Authorization) -> B256 {
        let words = (
            TRANSFER_TYPE,
            transfer.from,
            transfer.to,
            transfer.value,
            transfer.valid_after,
            transfer.valid_before,
            transfer.nonce,
        );
        let mut bytes = vec![0x19, 0x01];
        bytes.extend_from_slice(self.separator().as_slice());
        bytes.extend_from_slice(keccak256(words.abi_encode()).as_slice());
        keccak256(bytes)
    }
}

/// What is authorized. Times are unix seconds: valid while `valid_after < now < valid_before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authorization {
    /// Payer.
    pub from: Address,
    /// Receiver.
    pub to: Address,
    /// Base units.
    #[serde(with = "decimal")]
    pub value: U256,
    /// Not before.
    #[serde(with = "decimal")]
    pub valid_after: U256,
    /// Void from then on.
    #[serde(with = "decimal")]
    pub valid_before: U256,
    /// Single use per payer and token.
    pub nonce: B256,
}

/// An authorization with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedAuthorization {
    /// What is authorized.
    pub authorization: Authorization,
    /// 65 bytes of an EOA, or whatever the payer's contract takes.
    pub signature: Bytes,
}

impl SignedAuthorization {
    /// Reads the payload of a payment; `None` when it is none.
    #[must_use]
    pub fn parse(payload: &Value) -> Option<Self> {
        let parsed = Self::deserialize(payload).ok()?;
        (parsed.signature.len() <= MAX_SIGNATURE).then_some(parsed)
    }

    /// The payment's id on its chain (threat #37): chain, token, payer and nonce, whoever submits it.
    #[must_use]
    pub fn id(&self, token: &TokenDomain) -> Hex32 {
        let mut hash = Sha256::new();
        hash.update(ID_TAG);
        hash.update(token.chain_id.to_be_bytes());
        hash.update(token.asset);
        hash.update(self.authorization.from);
        hash.update(self.authorization.nonce);
        Hex32::from_bytes(hash.finalize().into())
    }

    /// How the wallet is made, when it is not there yet (ERC-6492), and the signature it then takes.
    #[must_use]
    pub fn counterfactual(&self) -> Option<Counterfactual> {
        let body = self.signature.strip_suffix(MAGIC_6492.as_slice())?;
        let (factory, data, signature) = <(Address, Bytes, Bytes)>::abi_decode_params(body).ok()?;
        Some(Counterfactual {
            factory,
            data,
            signature,
        })
    }
}

/// An ERC-6492 signature, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterfactual {
    /// Who makes the wallet.
    pub factory: Address,
    /// What it is called with.
    pub data: Bytes,
    /// The wallet's own signature.
    pub signature: Bytes,
}

/// x402 writes numbers as decimal strings: no sign, no leading zero, at most 78 digits.
mod decimal {
    use alloy::primitives::U256;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &U256, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<U256, D::Error> {
        let text = String::deserialize(from)?;
        let canonical = !text.is_empty()
            && text.len() <= 78
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'));
        if !canonical {
            return Err(D::Error::custom("not a decimal number"));
        }
        text.parse()
            .map_err(|_| D::Error::custom("larger than 256 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usdc() -> TokenDomain {
        TokenDomain {
            asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
                .parse()
                .unwrap(),
            name: "USDC".to_owned(),
            version: "2".to_owned(),
            chain_id: 84_532,
        }
    }

    /// The payment of the captured x402 v2 exchange, signed by an unmodified JavaScript client.
    fn captured() -> Value {
        json!({
            "authorization": {
                "from": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
                "to": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
                "value": "10000",
                "validAfter": "0",
                "validBefore": "1795332906",
                "nonce": "0x5c44368dbfe3fb367b74d0475b8fbc3259b51cf0b4a0b4d3318c77fe5067bb71"
            },
            "signature": "0x6a705094a050314db1faf58a04df3adb186bb077a9112732fd50639c4600c009171787b3c433ff10896164fa66c58700a27c04fd941c9f182c67f710c1d6abd41b"
        })
    }

    #[test]
    fn the_domain_is_the_one_the_deployed_token_says_it_has() {
        let separator = usdc().separator().to_string();
        assert!(
            separator.starts_with("0x71f17a3b") && separator.ends_with("9818"),
            "{separator}"
        );
    }

    #[test]
    fn a_payment_of_a_stock_client_recovers_to_its_payer() {
        let payment = SignedAuthorization::parse(&captured()).unwrap();
        let digest = usdc().digest(&payment.authorization);
        assert_eq!(
            super::super::signature::recover(&digest, &payment.signature),
            Some(payment.authorization.from)
        );
    }

    #[test]
    fn the_id_is_chain_token_payer_and_nonce_and_nothing_else() {
        let payment = SignedAuthorization::parse(&captured()).unwrap();
        let mut other = payment.clone();
        other.authorization.value = U256::from(1);
        other.signature = Bytes::new();
        assert_eq!(payment.id(&usdc()), other.id(&usdc()));
        other.authorization.nonce = B256::ZERO;
        assert_ne!(payment.id(&usdc()), other.id(&usdc()));
        let elsewhere = TokenDomain {
            chain_id: 8_453,
            ..usdc()
        };
        assert_ne!(payment.id(&usdc()), payment.id(&elsewhere));
    }

    #[test]
    fn numbers_in_any_other_spelling_are_malformed() {
        for spelling in ["010000", "0x2710", "-1", "", "1e4", " 10000"] {
            let mut payload = captured();
            *payload.pointer_mut("/authorization/value").unwrap() = json!(spelling);
            assert_eq!(SignedAuthorization::parse(&payload), None, "{spelling}");
        }
        let mut payload = captured();
        *payload.pointer_mut("/authorization/value").unwrap() = json!(10_000);
        assert_eq!(SignedAuthorization::parse(&payload), None);
    }

    #[test]
    fn a_wallet_that_is_not_deployed_says_how_it_is_made() {
        let factory = Address::repeat_byte(7);
        let inner = (
            factory,
            Bytes::from_static(b"make"),
            Bytes::from_static(b"sig"),
        );
        let mut bytes = inner.abi_encode_params();
        bytes.extend_from_slice(MAGIC_6492.as_slice());
        let mut payment = SignedAuthorization::parse(&captured()).unwrap();
        assert_eq!(payment.counterfactual(), None);
        payment.signature = bytes.into();
        let made = payment.counterfactual().unwrap();
        assert_eq!((made.factory, made.signature), (factory, inner.2));
    }
}
