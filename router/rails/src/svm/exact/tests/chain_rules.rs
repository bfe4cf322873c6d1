//! What the chain must say, and that silence is no answer.

use async_trait::async_trait;
use d402_objects::Amount;
use d402_svm::message::v0::MessageAddressTableLookup;
use d402_svm::token::TokenAccount;
use d402_svm::transaction::Table;
use d402_svm::{Address, Hash, RpcError, Silence, VersionedMessage};
use futures::executor::block_on;

use super::stage::{AMOUNT, Draft, address, payload, required, sign};
use crate::svm::exact::{ExactFault, ExactPayment, ExactReader, Received, verify};

/// A chain that says what it is told to; `None` is silence.
#[derive(Clone, Copy)]
struct Said {
    recent: Option<bool>,
    source: Option<Option<TokenAccount>>,
    succeeds: Option<bool>,
}

impl Said {
    fn good() -> Self {
        Self {
            recent: Some(true),
            source: Some(Some(TokenAccount {
                mint: address("mint"),
                owner: address("payer"),
                amount: AMOUNT,
                is_frozen: false,
                is_plain: true,
            })),
            succeeds: Some(true),
        }
    }

    fn source(change: impl FnOnce(&mut TokenAccount)) -> Self {
        let mut said = Self::good();
        if let Some(Some(source)) = &mut said.source {
            change(source);
        }
        said
    }

    fn verify(self) -> Result<Result<ExactPayment, ExactFault>, RpcError> {
        let received = Received::parse(&payload(&Draft::stock().signed())).unwrap();
        block_on(verify(&self, &received, &required()))
    }
}

const fn silence() -> RpcError {
    RpcError::Unknown {
        why: Silence::Malformed,
    }
}

#[async_trait]
impl ExactReader for Said {
    async fn lookup_table(&self, _address: Address) -> Result<Option<Table>, RpcError> {
        Ok(None)
    }

    async fn token_account(
        &self,
        at: Address,
        _token_program: Address,
    ) -> Result<Option<TokenAccount>, RpcError> {
        assert_eq!(at, address("source"));
        self.source.ok_or(silence())
    }

    async fn is_recent(&self, blockhash: Hash) -> Result<bool, RpcError> {
        assert_eq!(blockhash, Hash::new_from_array([7; 32]));
        self.recent.ok_or(silence())
    }

    async fn simulate(&self, _raw: &[u8]) -> Result<bool, RpcError> {
        self.succeeds.ok_or(silence())
    }
}

fn fault(said: Said) -> ExactFault {
    said.verify().unwrap().unwrap_err()
}

#[test]
fn a_payment_the_chain_would_take_is_verified() {
    assert!(Said::good().verify().unwrap().is_ok());
}

#[test]
fn silence_of_the_chain_is_neither_yes_nor_no() {
    let good = Said::good();
    for silent in [
        Said {
            recent: None,
            ..good
        },
        Said {
            source: None,
            ..good
        },
        Said {
            succeeds: None,
            ..good
        },
    ] {
        assert!(silent.verify().is_err());
    }
}

#[test]
fn the_blockhash_is_recent() {
    let old = Said {
        recent: Some(false),
        ..Said::good()
    };
    assert_eq!(fault(old), ExactFault::Blockhash);
}

#[test]
fn the_source_is_the_payers_own_account_of_this_token() {
    let gone = Said {
        source: Some(None),
        ..Said::good()
    };
    assert_eq!(fault(gone), ExactFault::Source);
    let delegated = Said::source(|source| source.owner = address("stranger"));
    assert_eq!(fault(delegated), ExactFault::Source);
    let other = Said::source(|source| source.mint = address("stranger"));
    assert_eq!(fault(other), ExactFault::Source);
    let poor = Said::source(|source| source.amount = AMOUNT - 1);
    let (got, needed) = (Amount::from(AMOUNT - 1), Amount::from(AMOUNT));
    assert_eq!(fault(poor), ExactFault::Funds { got, needed });
}

#[test]
fn a_trial_run_succeeds() {
    let failed = Said {
        succeeds: Some(false),
        ..Said::good()
    };
    assert_eq!(fault(failed), ExactFault::Simulation);
}

#[test]
fn a_table_the_chain_does_not_have_is_not_empty() {
    let mut message = Draft::stock().message();
    message.address_table_lookups = vec![MessageAddressTableLookup {
        account_key: address("stranger"),
        writable_indexes: vec![],
        readonly_indexes: vec![0],
    }];
    let transaction = sign(VersionedMessage::V0(message));
    let received = Received::parse(&payload(&transaction)).unwrap();
    let said = Said::good();
    let verified = block_on(verify(&said, &received, &required())).unwrap();
    assert_eq!(verified, Err(ExactFault::LookupTable));
}

#[test]
fn a_table_that_is_none_or_is_going_away_is_no_table() {
    let mut data = vec![1, 0, 0, 0];
    data.extend([0xff; 8]);
    data.resize(56, 0);
    data.extend([7; 64]);
    let read = |owner, spoil: fn(&mut Vec<u8>)| {
        let mut data = data.clone();
        spoil(&mut data);
        let account = d402_svm::Account {
            lamports: 1,
            owner,
            data,
        };
        Table::read(address("table"), &account)
    };
    let program = d402_svm::address::LOOKUP_TABLES;
    let table = read(program, |_| ()).unwrap();
    assert_eq!(table.addresses, [Address::new_from_array([7; 32]); 2]);
    assert_eq!(read(program, |t| t[0] = 0), None, "not a table");
    assert_eq!(read(program, |t| t[11] = 0), None, "deactivated");
    assert_eq!(read(program, |t| t.push(0)), None, "half an address");
    assert_eq!(read(program, |t| t.truncate(55)), None, "half a header");
    assert_eq!(read(address("stranger"), |_| ()), None, "another program's");
}
