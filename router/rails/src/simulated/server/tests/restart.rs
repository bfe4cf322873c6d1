//! What survives the end of the process: everything that was answered.

use d402_objects::Amount;
use d402_wire::simchain::{PaymentState, Rpc};

use super::stage::{START, Served, StillClock, Validators, account, mint, payment, terms, worker_row};
use crate::simulated::payment::payment_id;
use crate::simulated::server::{Location, OpenError, Options, SimChain};
use crate::simulated::asset;

#[tokio::test]
async fn a_killed_chain_comes_back_with_all_it_ever_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.db");
    let clock = StillClock::at(START);
    let validators = Validators::new(3, 4);
    let terms = terms(&validators.set, 10_000, START, 0);
    let paid = payment(&terms, 1, 10_000, (0, START + 60));

    let first = Served::start(path.clone(), Options::TEST, clock.clone()).await;
    first.client.execute(&validators.publish()).await.unwrap();
    first.client.execute(&mint(account(1), 15_000)).await.unwrap();
    let done = first.client.execute(&Rpc::Pay { payment: paid.clone(), terms: Some(terms.to_hex()) }).await.unwrap();
    first.client.call(&Rpc::AdvanceClock { seconds: 100 }).await.unwrap();
    first.kill().await;

    let second = Served::start(path.clone(), Options::TEST, clock.clone()).await;
    let (now, height) = second.client.clock().await.unwrap();
    assert_eq!((now, height), (START + 100, 3));
    let state = second.client.payment(payment_id(&paid).unwrap(), None).await.unwrap();
    let amount = Amount::from(10_000u64);
    assert_eq!(state, PaymentState::Executed { transaction: done.id, amount, at: START, height: 3 });
    let again = second.client.execute(&Rpc::Pay { payment: paid, terms: Some(terms.to_hex()) }).await.unwrap();
    assert_eq!(again, done);
    let settle = validators.settle(&terms, [9; 32], &[worker_row(account(7), 6_000)]);
    let settled = second.client.execute(&settle).await.unwrap();
    second.kill().await;

    let third = Served::start(path, Options::TEST, clock).await;
    assert_eq!(third.client.execute(&settle).await.unwrap(), settled);
    assert_eq!(third.client.balance(account(7), asset()).await.unwrap(), Amount::from(6_000u64));
    assert_eq!(third.client.balance(account(1), asset()).await.unwrap(), Amount::from(5_000u64));
    let events = third.client.events(0).await.unwrap();
    assert!(events.iter().zip(1u64..).all(|(event, seq)| event.seq == seq), "{events:?}");
    third.stop().await;
}

#[tokio::test]
async fn the_clock_never_goes_back_even_when_the_wall_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let clock = StillClock::at(START);
    let served = Served::start(folder.path().join("chain.db"), Options::TEST, clock.clone()).await;
    served.client.execute(&mint(account(1), 1)).await.unwrap();
    clock.set(START - 50);
    assert_eq!(served.client.clock().await.unwrap().0, START);
    assert_eq!(served.client.execute(&mint(account(1), 1)).await.unwrap().at, START);
    served.stop().await;
}

#[tokio::test]
async fn two_processes_cannot_have_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("chain.db"));
    let clock = StillClock::at(START);
    let first = SimChain::open(&location, Options::TEST, clock.clone()).await.unwrap();
    let second = SimChain::open(&location, Options::TEST, clock.clone()).await;
    assert!(matches!(second, Err(OpenError::Database { .. })), "{second:?}");
    first.close().await.unwrap();
    SimChain::open(&location, Options::TEST, clock).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_another_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.db");
    {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 7").execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }
    let opened = SimChain::open(&Location::File(path), Options::TEST, StillClock::at(START)).await;
    assert!(matches!(opened, Err(OpenError::Schema { got: 7, known: 1 })), "{opened:?}");
}
