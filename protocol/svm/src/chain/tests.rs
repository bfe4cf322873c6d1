//! A cluster that misbehaves, without any cluster.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const DOMAIN: Domain = Domain {
    genesis: [7; 32],
    program: Key32([8; 32]),
};

/// A provider that gives each method's answer from a table.
async fn provider(answers: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0u8; 8_192];
            let length = socket.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let body = text.split("\r\n\r\n").nth(1).unwrap_or("{}");
            let asked: Value = serde_json::from_str(body).unwrap();
            let method = asked["method"].as_str().unwrap();
            let mut answer = json!({"jsonrpc": "2.0", "id": asked["id"]});
            let (part, value) = match answers.get(method) {
                Some(error) if error.get("code").is_some() => ("error", error.clone()),
                Some(result) => ("result", result.clone()),
                None => ("result", json!(Hash::new_from_array([7; 32]).to_string())),
            };
            answer[part] = value;
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            let _sent = socket.write_all((head + &answer).as_bytes()).await;
        }
    });
    url
}

async fn chain(providers: &[Value]) -> Chain {
    let mut urls = Vec::new();
    for answers in providers {
        urls.push(provider(answers.clone()).await);
    }
    Chain::new(&urls, ChainOptions::solana(DOMAIN)).unwrap()
}

fn account(lamports: u64, slot: u64) -> Value {
    json!({"getMultipleAccounts": {"context": {"slot": slot}, "value": [{
        "lamports": lamports, "owner": "11111111111111111111111111111111",
        "data": ["", "base64"],
    }]}})
}

#[test]
fn threat_36_small_deposits_need_confirmed_and_larger_ones_finalized() {
    let level = |units| Finality::SOLANA.level(units);
    assert_eq!(level(10_000_000), Level::Confirmed);
    assert_eq!(level(10_000_001), Level::Finalized);
    assert_eq!(Finality::SOLANA.last(), Level::Finalized);
    assert_eq!(Finality::DEVELOPMENT.level(u128::MAX), Level::Confirmed);
}

#[tokio::test]
async fn two_providers_must_agree_on_contents_and_the_older_slot_counts() {
    let asked = [Address::default()];
    let same = chain(&[account(5, 90), account(5, 88)]).await;
    let got = same.accounts(&asked, Level::Confirmed, None).await.unwrap();
    assert_eq!((got.slot, got.get(0).unwrap().lamports), (88, 5));
    let other = chain(&[account(5, 90), account(6, 90)]).await;
    let got = other.accounts(&asked, Level::Confirmed, None).await;
    assert_eq!(got, Err(RpcError::unknown(Silence::Disagreement)));
}

#[tokio::test]
async fn threat_44_a_provider_of_another_cluster_is_asked_nothing_else() {
    let genesis = Hash::new_from_array([9; 32]).to_string();
    let mut other = account(5, 90);
    other["getGenesisHash"] = json!(genesis);
    let chain = chain(&[account(5, 90), other]).await;
    let asked = [Address::default()];
    let got = chain.accounts(&asked, Level::Confirmed, None);
    assert_eq!(got.await, Err(RpcError::unknown(Silence::OtherChain)));
}

#[tokio::test]
async fn a_transaction_only_one_provider_knows_is_known_and_a_vote_short_of_confirmed_is_not() {
    let status = |level: Option<&str>| {
        let status = level.map(|level| {
            json!({"slot": 4, "err": null, "confirmations": 1, "confirmationStatus": level})
        });
        json!({"getSignatureStatuses": {"context": {"slot": 9}, "value": [status]}})
    };
    let signature = Signature::default();
    let found = chain(&[status(None), status(Some("finalized"))]).await;
    assert!(
        found
            .status(&signature)
            .await
            .unwrap()
            .unwrap()
            .is_confirmed()
    );
    let processed = chain(&[status(Some("processed")), status(None)]).await;
    assert!(
        !processed
            .status(&signature)
            .await
            .unwrap()
            .unwrap()
            .is_confirmed()
    );
    let nowhere = chain(&[status(None), status(None)]).await;
    assert_eq!(nowhere.status(&signature).await, Ok(None));
}

#[tokio::test]
async fn threat_71_the_height_that_proves_a_payment_void_is_the_slower_providers() {
    let heights = chain(&[
        json!({"getBlockHeight": 300}),
        json!({"getBlockHeight": 280}),
    ])
    .await;
    assert_eq!(
        heights.block_heights(Level::Finalized).await,
        Ok((280, 300))
    );
}

#[tokio::test]
async fn a_provider_that_lags_says_nothing_and_not_nothing_there() {
    let late = json!({"getMultipleAccounts": {"code": -32016, "message": "Minimum context slot"}});
    let chain = chain(&[late]).await;
    let got = chain
        .accounts(&[Address::default()], Level::Confirmed, Some(99))
        .await;
    assert_eq!(got, Err(RpcError::unknown(Silence::NoBlock)));
}
