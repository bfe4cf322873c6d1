//! The vectors of Base (spec §2.3): what a Solidity contract and a TypeScript client must agree with.

mod dice;
mod receipts;
mod settlement;
mod terms;
mod vset;

use d402_settlement::TermsHash;
use d402_settlement::evm::{EvmAccount, EvmDomain, account_implementation, escrow_address};
use serde_json::{Value, json};

use crate::base_scene::{MAINNET, SEPOLIA, account};
use crate::json::dec;

pub fn files() -> [(&'static str, Value); 5] {
    [
        ("terms-base.json", terms::vectors()),
        ("vset-base.json", vset::vectors()),
        ("settlement-base.json", settlement::vectors()),
        ("escrow-address.json", addresses()),
        ("receipts-base.json", receipts::vectors()),
    ]
}

/// The three places a hash is made for: two chains, and another ledger on one of them.
fn domains() -> [EvmDomain; 3] {
    let elsewhere = EvmDomain {
        ledger: account(0xA1),
        ..SEPOLIA
    };
    [SEPOLIA, MAINNET, elsewhere]
}

/// Bytes as Solidity tests read them: lower-case hex with its prefix.
fn hex0x(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(format!("0x{}", hex::encode(bytes)))
}

fn domain(domain: &EvmDomain) -> Value {
    json!({ "chainId": dec(domain.chain_id), "ledger": domain.ledger.to_string() })
}

fn addresses() -> Value {
    let ledgers = [
        SEPOLIA.ledger,
        account(0xA1),
        EvmAccount::ZERO,
        account(0xFF),
    ];
    let mut escrows = Vec::new();
    for ledger in ledgers {
        for byte in 0..8u8 {
            let hash = TermsHash([byte * 31; 32]);
            escrows.push(json!({
                "ledger": ledger.to_string(),
                "implementation": account_implementation(&ledger).to_string(),
                "termsHash": hex0x(hash),
                "escrow": escrow_address(&ledger, &hash).to_string(),
            }));
        }
    }
    json!({ "spec": "2.3 escrow", "escrows": escrows })
}
