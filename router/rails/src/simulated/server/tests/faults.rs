//! Faults: counted down, only where allowed, and only on what they fit.

use d402_objects::Amount;
use d402_wire::simchain::{Fault, PaymentState, Rpc};

use super::stage::{START, Served, StillClock, Validators, account, mint, payment, terms};
use crate::simulated::payment::payment_id;
use crate::simulated::server::Options;
use crate::simulated::{ClientError, asset};

#[tokio::test]
async fn a_fault_acts_as_often_as_it_was_armed_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.db");
    let clock = StillClock::at(START);
    let validators = Validators::new(3, 4);
    let terms = terms(&validators.set, 100, START, 0);
    let first = Served::start(path.clone(), Options::TEST, clock.clone()).await;
    first
        .client
        .execute(&mint(account(1), 1_000))
        .await
        .unwrap();
    first
        .client
        .call(&Rpc::SetFault {
            fault: Fault::LostRequest,
            times: 2,
        })
        .await
        .unwrap();
    let pay = Rpc::Pay {
        payment: payment(&terms, 1, 100, (0, START + 60)),
        terms: None,
    };
    assert!(matches!(
        first.client.execute(&pay).await,
        Err(ClientError::NoAnswer(_))
    ));
    first.stop().await;
    let second = Served::start(path, Options::TEST, clock).await;
    assert!(matches!(
        second.client.execute(&pay).await,
        Err(ClientError::NoAnswer(_))
    ));
    assert_eq!(
        second.client.balance(account(1), asset()).await.unwrap(),
        Amount::from(1_000u64)
    );
    second.client.execute(&pay).await.unwrap();
    assert_eq!(
        second.client.balance(account(1), asset()).await.unwrap(),
        Amount::from(900u64)
    );
    second.stop().await;
}

#[tokio::test]
async fn a_late_deposit_is_executed_with_a_time_past_fund_by_and_nobody_elses_clock_moves() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(
        folder.path().join("chain.db"),
        Options::TEST,
        StillClock::at(START),
    )
    .await;
    let validators = Validators::new(3, 4);
    let terms = terms(&validators.set, 100, START, 0);
    served.client.execute(&validators.publish()).await.unwrap();
    served.client.execute(&mint(account(1), 100)).await.unwrap();
    served
        .client
        .call(&Rpc::SetFault {
            fault: Fault::LateDeposit,
            times: 1,
        })
        .await
        .unwrap();
    let paid = payment(&terms, 1, 100, (0, START + 60));
    let id = payment_id(&paid).unwrap();
    let done = served
        .client
        .execute(&Rpc::Pay {
            payment: paid,
            terms: Some(terms.to_hex()),
        })
        .await
        .unwrap();
    assert_eq!(done.at, START + 121);
    assert_eq!(served.client.clock().await.unwrap().0, START);
    let state = served.client.payment(id, Some(START + 60)).await.unwrap();
    assert!(
        matches!(state, PaymentState::Executed { at, .. } if at == START + 121),
        "{state:?}"
    );
    served.stop().await;
}

#[tokio::test]
async fn a_chain_without_faults_and_faucet_offers_neither_and_ignores_what_was_armed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.db");
    let clock = StillClock::at(START);
    let loose = Served::start(path.clone(), Options::TEST, clock.clone()).await;
    loose.client.execute(&mint(account(1), 100)).await.unwrap();
    loose
        .client
        .call(&Rpc::SetFault {
            fault: Fault::LostRequest,
            times: 9,
        })
        .await
        .unwrap();
    loose.stop().await;

    let options = Options {
        allow_faucet: false,
        ..Options::DEMO
    };
    let strict = Served::start(path, options, clock).await;
    let refused = |answer: Result<_, ClientError>, want: &str| {
        let Err(ClientError::Refused {
            rule,
            retryable: false,
        }) = answer
        else {
            panic!("{answer:?}")
        };
        assert_eq!(rule, want);
    };
    refused(strict.client.call(&mint(account(1), 1)).await, "NoFaucet");
    refused(
        strict
            .client
            .call(&Rpc::SetFault {
                fault: Fault::LostAnswer,
                times: 1,
            })
            .await,
        "NoFaults",
    );
    refused(
        strict
            .client
            .call(&Rpc::SetUnpayable {
                account: account(1),
                unpayable: true,
            })
            .await,
        "NoFaults",
    );
    refused(
        strict.client.call(&Rpc::AdvanceClock { seconds: 1 }).await,
        "ClockIsReal",
    );
    let terms = terms(&Validators::new(3, 4).set, 100, START, 0);
    let pay = Rpc::Pay {
        payment: payment(&terms, 1, 100, (0, START + 60)),
        terms: None,
    };
    strict.client.execute(&pay).await.unwrap();
    strict.stop().await;
}
