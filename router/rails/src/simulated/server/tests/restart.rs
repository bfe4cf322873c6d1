//! What survives the end of the process: everything that was answered.

use std::io::{BufRead as _, BufReader};

use d402_objects::Amount;
use d402_wire::simchain::{PaymentState, Rpc};

use super::stage::{
    START, Served, StillClock, Validators, account, mint, payment, terms, worker_row,
};
use crate::simulated::payment::payment_id;
use crate::simulated::server::{Location, OpenError, Options, SimChain};
use crate::simulated::{SimClient, asset};

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
    first
        .client
        .execute(&mint(account(1), 15_000))
        .await
        .unwrap();
    let done = first
        .client
        .execute(&Rpc::Pay {
            payment: paid.clone(),
            terms: Some(terms.to_hex()),
        })
        .await
        .unwrap();
    first
        .client
        .call(&Rpc::AdvanceClock { seconds: 100 })
        .await
        .unwrap();
    first.kill().await;

    let second = Served::start(path.clone(), Options::TEST, clock.clone()).await;
    let (now, height) = second.client.clock().await.unwrap();
    assert_eq!((now, height), (START + 100, 3));
    let state = second
        .client
        .payment(payment_id(&paid).unwrap(), None)
        .await
        .unwrap();
    let amount = Amount::from(10_000u64);
    assert_eq!(
        state,
        PaymentState::Executed {
            transaction: done.id,
            amount,
            at: START,
            height: 3
        }
    );
    let again = second
        .client
        .execute(&Rpc::Pay {
            payment: paid,
            terms: Some(terms.to_hex()),
        })
        .await
        .unwrap();
    assert_eq!(again, done);
    let settle = validators.settle(&terms, [9; 32], &[worker_row(account(7), 6_000)]);
    let settled = second.client.execute(&settle).await.unwrap();
    second.kill().await;

    let third = Served::start(path, Options::TEST, clock).await;
    assert_eq!(third.client.execute(&settle).await.unwrap(), settled);
    assert_eq!(
        third.client.balance(account(7), asset()).await.unwrap(),
        Amount::from(6_000u64)
    );
    assert_eq!(
        third.client.balance(account(1), asset()).await.unwrap(),
        Amount::from(5_000u64)
    );
    let events = third.client.events(0).await.unwrap();
    assert!(
        events
            .iter()
            .zip(1u64..)
            .all(|(event, seq)| event.seq == seq),
        "{events:?}"
    );
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
    assert_eq!(
        served
            .client
            .execute(&mint(account(1), 1))
            .await
            .unwrap()
            .at,
        START
    );
    served.stop().await;
}

#[tokio::test]
async fn two_processes_cannot_have_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("chain.db"));
    let clock = StillClock::at(START);
    let first = SimChain::open(&location, Options::TEST, clock.clone())
        .await
        .unwrap();
    let second = SimChain::open(&location, Options::TEST, clock.clone()).await;
    assert!(
        matches!(second, Err(OpenError::Database { .. })),
        "{second:?}"
    );
    first.close().await.unwrap();
    SimChain::open(&location, Options::TEST, clock)
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_of_another_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.db");
    {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 7")
            .execute(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();
    }
    let opened = SimChain::open(&Location::File(path), Options::TEST, StillClock::at(START)).await;
    assert!(
        matches!(opened, Err(OpenError::Schema { got: 7, known: 1 })),
        "{opened:?}"
    );
}

/// Address and file of the chain that a child process of this test binary serves.
const CHILD_FILE: &str = "D402_RAILS_CHILD_FILE";

/// Not a test of its own: the process that the next test kills. Does nothing when it is not a child.
#[tokio::test]
async fn a_chain_to_be_killed() {
    let Ok(path) = std::env::var(CHILD_FILE) else {
        return;
    };
    let chain = SimChain::open(
        &Location::File(path.into()),
        Options::TEST,
        StillClock::at(START),
    )
    .await
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    crate::simulated::server::serve(listener, chain, std::future::pending())
        .await
        .unwrap();
}

fn spawn_child(path: &std::path::Path) -> (std::process::Child, SimClient) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "simulated::server::tests::restart::a_chain_to_be_killed",
        ])
        .env(CHILD_FILE, path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .find_map(|line| Some(line.unwrap().split_once("listening on ")?.1.to_owned()))
        .unwrap();
    // The pipe stays open: a child that writes on must not die of it before it is killed.
    std::thread::spawn(move || lines.for_each(drop));
    (child, SimClient::new(&format!("http://{address}")).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_at_any_moment_loses_no_answered_payment_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.db");
    let terms = terms(&Validators::new(3, 4).set, 100, START, 0);
    let mut answered = Vec::new();
    let mut sent = 0u64;
    for round in 0..4u64 {
        let (mut child, client) = spawn_child(&path);
        if round == 0 {
            client.execute(&mint(account(1), 1_000_000)).await.unwrap();
        }
        let first = sent;
        sent += 400;
        let payers = (0..4u64).map(|lane| {
            let (client, terms) = (client.clone(), terms);
            tokio::spawn(async move {
                let mut done = Vec::new();
                for nonce in (first + lane..first + 400).step_by(4) {
                    let paid = payment(&terms, 1, 100, (nonce, START + 60));
                    let id = payment_id(&paid).unwrap();
                    match client
                        .execute(&Rpc::Pay {
                            payment: paid,
                            terms: None,
                        })
                        .await
                    {
                        Ok(transaction) => done.push((id, transaction.id)),
                        Err(_) => break,
                    }
                }
                done
            })
        });
        let payers: Vec<_> = payers.collect();
        tokio::time::sleep(std::time::Duration::from_millis(40 + 35 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for payer in payers {
            answered.extend(payer.await.unwrap());
        }
    }
    let survivor = Served::start(path, Options::TEST, StillClock::at(START)).await;
    assert!(
        !answered.is_empty(),
        "the rounds were too short for a single payment"
    );
    for (id, transaction) in &answered {
        let state = survivor.client.payment(*id, None).await.unwrap();
        let kept =
            matches!(&state, PaymentState::Executed { transaction: got, .. } if got == transaction);
        assert!(kept, "payment {id} was answered and is now {state:?}");
    }
    let spent = 1_000_000
        - survivor
            .client
            .balance(account(1), asset())
            .await
            .unwrap()
            .get();
    let arrived = survivor
        .client
        .balance(terms.address(), asset())
        .await
        .unwrap()
        .get();
    assert_eq!(spent, arrived);
    assert!(
        spent >= 100 * answered.len() as u128 && spent <= 100 * u128::from(sent),
        "{spent} for {} answers",
        answered.len()
    );
    survivor.stop().await;
}
