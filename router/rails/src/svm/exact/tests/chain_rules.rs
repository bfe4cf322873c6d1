//! What the chain must say, and that silence is no answer.

use async_trait::async_trait;
use d402_objects::Amount;
use futures::executor::block_on;
use solana_address::Address;
use solana_hash::Hash;

use super::stage::{AMOUNT, Draft, address, payload, required};
use crate::svm::exact::{
    ExactFault, ExactPayment, ExactReader, LookupTable, Received, Simulated, SourceAccount,
    Unanswered, verify,
};

/// A chain that says what it is told to; `None` is silence.
#[derive(Clone, Copy)]
struct Said {
    recent: Option<bool>,
    source: Option<Option<SourceAccount>>,
    run: Option<Simulated>,
}

const HELD: u64 = 3_000_000_000;

impl Said {
    fn good() -> Self {
        Self {
            recent: Some(true),
            source: Some(Some(SourceAccount {
                mint: address("mint"),
                owner: address("payer"),
                amount: AMOUNT,
            })),
            run: Some(Simulated {
                succeeded: true,
                fee_payer: Some((HELD, HELD - 10_001)),
            }),
        }
    }

    fn source(change: impl FnOnce(&mut SourceAccount)) -> Self {
        let mut said = Self::good();
        if let Some(Some(source)) = &mut said.source {
            change(source);
        }
        said
    }

    fn verify(self) -> Result<Result<ExactPayment, ExactFault>, Unanswered> {
        let received = Received::parse(&payload(&Draft::stock().signed())).unwrap();
        block_on(verify(&self, &received, &required()))
    }
}

#[async_trait]
impl ExactReader for Said {
    async fn lookup_table(&self, _address: Address) -> Result<Option<LookupTable>, Unanswered> {
        Ok(None)
    }

    async fn token_account(
        &self,
        at: Address,
        _token_program: Address,
    ) -> Result<Option<SourceAccount>, Unanswered> {
        assert_eq!(at, address("source"));
        self.source.ok_or(Unanswered)
    }

    async fn is_recent(&self, _blockhash: Hash) -> Result<bool, Unanswered> {
        self.recent.ok_or(Unanswered)
    }

    async fn simulate(&self, _raw: &[u8], fee_payer: Address) -> Result<Simulated, Unanswered> {
        assert_eq!(fee_payer, address("gateway"));
        self.run.ok_or(Unanswered)
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
        Said { run: None, ..good },
    ] {
        assert_eq!(silent.verify(), Err(Unanswered));
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
fn a_trial_run_succeeds_and_takes_no_more_than_the_fee_from_the_fee_payer() {
    let run = |succeeded, fee_payer| Said {
        run: Some(Simulated {
            succeeded,
            fee_payer,
        }),
        ..Said::good()
    };
    let failed = run(false, Some((HELD, HELD)));
    assert_eq!(fault(failed), ExactFault::Simulation);
    let drained = run(true, Some((HELD, HELD - 10_002)));
    assert_eq!(fault(drained), ExactFault::Simulation);
    assert!(run(true, None).verify().unwrap().is_ok());
}

#[test]
fn a_table_the_chain_does_not_have_is_not_empty() {
    use solana_message::{VersionedMessage, v0::MessageAddressTableLookup};
    let mut message = Draft::stock().message();
    message.address_table_lookups = vec![MessageAddressTableLookup {
        account_key: address("stranger"),
        writable_indexes: vec![],
        readonly_indexes: vec![0],
    }];
    let transaction = super::stage::sign(VersionedMessage::V0(message));
    let received = Received::parse(&payload(&transaction)).unwrap();
    let said = Said::good();
    assert_eq!(
        block_on(verify(&said, &received, &required())),
        Ok(Err(ExactFault::LookupTable))
    );
}
