//! Reading the proof and verifying it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Flaw, ed25519, merkle, secp256k1};
use crate::canonical::{canonical_bytes, sha256_cid};
use crate::capability::{Context, Execution, Refusal, RefusalCode};

/// Bytes as lower-case hex, as the input schema demands.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HexBytes(pub(super) Vec<u8>);

impl TryFrom<String> for HexBytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

/// A proof, by kind.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Proof {
    Ed25519 {
        public_key: HexBytes,
        signature: HexBytes,
        message: HexBytes,
    },
    Secp256k1 {
        public_key: HexBytes,
        signature: HexBytes,
        message: HexBytes,
        hash: secp256k1::MessageHash,
    },
    MerkleRfc6962 {
        leaf: HexBytes,
        leaf_index: u64,
        tree_size: u64,
        path: Vec<HexBytes>,
        root: HexBytes,
    },
    MerkleSided {
        leaf: HexBytes,
        path: Vec<merkle::Step>,
        root: HexBytes,
    },
}

pub(super) fn execute(_context: &Context<'_>, input: &Value) -> Result<Execution, Refusal> {
    let proof: Proof = Proof::deserialize(input)
        .map_err(|error| Refusal::new(RefusalCode::BadInput, error.to_string()))?;
    let output = match verify(&proof) {
        Ok(()) => json!({"valid": true}),
        Err(flaw) => json!({"valid": false, "reason": flaw}),
    };
    let bytes = canonical_bytes(&output)
        .map_err(|error| Refusal::new(RefusalCode::UnsafeNumber, error.to_string()))?;
    Ok(Execution {
        output,
        canonical_digest: sha256_cid(&bytes),
        blobs: Vec::new(),
    })
}

fn verify(proof: &Proof) -> Result<(), Flaw> {
    match proof {
        Proof::Ed25519 {
            public_key,
            signature,
            message,
        } => ed25519::verify(&public_key.0, &signature.0, &message.0),
        Proof::Secp256k1 {
            public_key,
            signature,
            message,
            hash,
        } => secp256k1::verify(&public_key.0, &signature.0, &message.0, *hash),
        Proof::MerkleRfc6962 {
            leaf,
            leaf_index,
            tree_size,
            path,
            root,
        } => {
            let place = merkle::Place {
                index: *leaf_index,
                tree_size: *tree_size,
            };
            merkle::verify_rfc6962(&leaf.0, place, path, &root.0)
        }
        Proof::MerkleSided { leaf, path, root } => merkle::verify_sided(&leaf.0, path, &root.0),
    }
}
