//! The chain's own rules one by one, and that a refusal leaves no trace.

use d402_objects::{Amount, Hex32};
use d402_wire::simchain::{Event, Rpc, RpcAnswer};

use super::stage::{
    START, Served, StillClock, Validators, account, mint, payment, terms, validator_row, worker_row,
};
use crate::simulated::server::Options;
use crate::simulated::{BuyerAccount, ClientError, PaymentOrder, SimClient, VaultTerms, asset};

async fn served() -> (tempfile::TempDir, std::sync::Arc<StillClock>, Served) {
    let folder = tempfile::tempdir().unwrap();
    let clock = StillClock::at(START);
    let served = Served::start(folder.path().join("chain.db"), Options::TEST, clock.clone()).await;
    (folder, clock, served)
}

/// Sends a request that must be refused by `rule` and must change nothing at all.
async fn refused(client: &SimClient, rpc: &Rpc, rule: &str, retryable: bool) {
    let events = client.events(0).await.unwrap();
    let clock = client.clock().await.unwrap();
    match client.call(rpc).await {
        Err(ClientError::Refused {
            rule: got,
            retryable: again,
        }) => assert_eq!((got.as_str(), again), (rule, retryable), "{rpc:?}"),
        other => panic!("expected {rule}, got {other:?} to {rpc:?}"),
    }
    assert_eq!(client.events(0).await.unwrap(), events);
    assert_eq!(client.clock().await.unwrap(), clock);
}

async fn balance(client: &SimClient, account: Hex32) -> u128 {
    client.balance(account, asset()).await.unwrap().get()
}

#[tokio::test]
async fn a_payment_moves_exactly_once_and_only_inside_its_window() {
    let (_folder, clock, served) = served().await;
    let client = &served.client;
    let terms = terms(&Validators::new(3, 4).set, 100, START, 0);
    client.execute(&mint(account(1), 250)).await.unwrap();
    let pay = |nonce, units, until| Rpc::Pay {
        payment: payment(&terms, 1, units, (nonce, until)),
        terms: None,
    };
    let first = client.execute(&pay(0, 100, START + 60)).await.unwrap();
    assert_eq!(
        client.execute(&pay(0, 100, START + 60)).await.unwrap(),
        first
    );
    refused(client, &pay(0, 90, START + 60), "NonceUsed", false).await;
    refused(client, &pay(1, 151, START + 60), "InsufficientFunds", true).await;
    refused(client, &pay(1, 100, START), "PaymentExpired", false).await;
    clock.set(START + 59);
    client.execute(&pay(2, 100, START + 60)).await.unwrap();
    clock.set(START + 60);
    refused(client, &pay(3, 50, START + 60), "PaymentExpired", false).await;
    assert_eq!(
        client.execute(&pay(0, 100, START + 60)).await.unwrap(),
        first,
        "a replay after the window"
    );
    assert_eq!(
        (
            balance(client, account(1)).await,
            balance(client, terms.address()).await
        ),
        (50, 200)
    );
    served.stop().await;
}

#[tokio::test]
async fn nobody_spends_from_an_account_without_its_key() {
    let (_folder, _clock, served) = served().await;
    let client = &served.client;
    let terms = terms(&Validators::new(3, 4).set, 100, START, 0);
    client.execute(&mint(account(1), 100)).await.unwrap();
    let mut stolen = payment(&terms, 2, 100, (0, START + 60));
    stolen.from = account(1);
    refused(
        client,
        &Rpc::Pay {
            payment: stolen,
            terms: None,
        },
        "PaymentSignature",
        false,
    )
    .await;
    let mut raised = payment(&terms, 1, 10, (0, START + 60));
    raised.amount = Amount::from(100u64);
    refused(
        client,
        &Rpc::Pay {
            payment: raised,
            terms: None,
        },
        "PaymentSignature",
        false,
    )
    .await;
    let mut huge = payment(&terms, 1, 10, (0, START + 60));
    huge.amount = Amount::MAX;
    refused(
        client,
        &Rpc::Pay {
            payment: huge,
            terms: None,
        },
        "PaymentAmount",
        false,
    )
    .await;
    served.stop().await;
}

#[tokio::test]
async fn an_account_that_cannot_receive_receives_nothing_from_anybody() {
    let (_folder, _clock, served) = served().await;
    let client = &served.client;
    client.execute(&mint(account(1), 100)).await.unwrap();
    client
        .call(&Rpc::SetUnpayable {
            account: account(9),
            unpayable: true,
        })
        .await
        .unwrap();
    refused(client, &mint(account(9), 1), "Unpayable", true).await;
    let order = PaymentOrder {
        pay_to: account(9),
        asset: asset(),
        units: 5,
        nonce: Hex32::from_bytes([1; 32]),
        valid_before: START + 9,
    };
    let pay = Rpc::Pay {
        payment: BuyerAccount::from_seed(&super::stage::seed(1)).pay(&order),
        terms: None,
    };
    refused(client, &pay, "Unpayable", true).await;
    client
        .call(&Rpc::SetUnpayable {
            account: account(9),
            unpayable: false,
        })
        .await
        .unwrap();
    client.execute(&pay).await.unwrap();
    assert_eq!(balance(client, account(9)).await, 5);
    served.stop().await;
}

#[tokio::test]
async fn a_payment_with_terms_happens_with_them_or_not_at_all() {
    let (_folder, clock, served) = served().await;
    let client = &served.client;
    let validators = Validators::new(3, 4);
    let good = terms(&validators.set, 100, START, 0);
    client.execute(&mint(account(1), 1_000)).await.unwrap();
    let pay = |terms: &VaultTerms, nonce, text: String| {
        let payment = payment(terms, 1, 100, (nonce, START + 10_000));
        Rpc::Pay {
            payment,
            terms: Some(text),
        }
    };
    refused(
        client,
        &pay(&good, 0, good.to_hex()),
        "SetNotPublished",
        true,
    )
    .await;
    client.execute(&validators.publish()).await.unwrap();
    let mut raw = *good.terms();
    raw.version = 2;
    let never = VaultTerms::new(raw).unwrap();
    refused(
        client,
        &pay(&never, 0, never.to_hex()),
        "NotSettleable",
        false,
    )
    .await;
    refused(
        client,
        &pay(&good, 0, never.to_hex()),
        "PayToMismatch",
        false,
    )
    .await;
    raw = *good.terms();
    raw.mint = d402_settlement::Key32([5; 32]);
    let other_asset = VaultTerms::new(raw).unwrap();
    refused(
        client,
        &pay(&other_asset, 0, other_asset.to_hex()),
        "AssetMismatch",
        false,
    )
    .await;
    refused(
        client,
        &pay(&good, 0, good.to_hex().to_uppercase()),
        "TermsForm",
        false,
    )
    .await;
    refused(
        client,
        &pay(&good, 0, good.to_hex()[2..].to_owned()),
        "TermsForm",
        false,
    )
    .await;
    client.execute(&pay(&good, 0, good.to_hex())).await.unwrap();
    clock.set(good.terms().settle_by.0);
    refused(client, &pay(&good, 1, good.to_hex()), "TooLate", false).await;
    let plain = Rpc::Pay {
        payment: payment(&good, 1, 100, (1, START + 10_000)),
        terms: None,
    };
    client.execute(&plain).await.unwrap();
    let view = client
        .vault(good.hash(), good.address(), asset())
        .await
        .unwrap();
    assert_eq!(
        (view.open, view.balance, view.deposits.len()),
        (true, Amount::from(200u64), 2)
    );
    served.stop().await;
}

#[tokio::test]
async fn a_settlement_needs_a_published_set_stored_terms_and_honest_signatures() {
    let (_folder, _clock, served) = served().await;
    let client = &served.client;
    let validators = Validators::new(3, 4);
    let terms = terms(&validators.set, 100, START, 0);
    let settle = validators.settle(&terms, [9; 32], &[worker_row(account(7), 60)]);
    refused(client, &settle, "SetNotPublished", true).await;
    client.execute(&validators.publish()).await.unwrap();
    refused(client, &settle, "NotOpen", true).await;
    client
        .execute(&Rpc::Open {
            terms: terms.to_hex(),
        })
        .await
        .unwrap();
    refused(client, &settle, "Underfunded", true).await;
    client.execute(&mint(terms.address(), 100)).await.unwrap();
    let tampered = |change: &dyn Fn(&mut Rpc)| {
        let mut rpc = settle.clone();
        change(&mut rpc);
        rpc
    };
    let other_cid = tampered(&|rpc| {
        if let Rpc::Settle { receipt_cid, .. } = rpc {
            *receipt_cid = Hex32::from_bytes([8; 32])
        }
    });
    refused(client, &other_cid, "BadSignatures", false).await;
    let raised = tampered(&|rpc| {
        if let Rpc::Settle { rows, .. } = rpc {
            rows[0].amount = Amount::from(61u64)
        }
    });
    refused(client, &raised, "BadSignatures", false).await;
    let twice = tampered(&|rpc| {
        if let Rpc::Settle { signatures, .. } = rpc {
            signatures[1] = signatures[0].clone()
        }
    });
    refused(client, &twice, "BadSignatures", false).await;
    let short = tampered(&|rpc| {
        if let Rpc::Settle { signatures, .. } = rpc {
            signatures[0].1.truncate(126)
        }
    });
    refused(client, &short, "SettlementForm", false).await;
    let outcome = tampered(&|rpc| {
        if let Rpc::Settle { outcome, .. } = rpc {
            *outcome = 3
        }
    });
    refused(client, &outcome, "SettlementForm", false).await;
    let few = tampered(&|rpc| {
        if let Rpc::Settle { signatures, .. } = rpc {
            signatures.truncate(2)
        }
    });
    refused(client, &few, "NotEnoughSignatures", true).await;
    let over = validators.settle(&terms, [9; 32], &[worker_row(account(7), 101)]);
    refused(client, &over, "OverBudget", false).await;
    let capped = validators.settle(&terms, [9; 32], &[validator_row(account(8), 51)]);
    refused(client, &capped, "ValidatorsOverCap", false).await;
    let own = validators.settle(&terms, [9; 32], &[worker_row(terms.address(), 10)]);
    refused(client, &own, "BadPayee", false).await;
    client.execute(&settle).await.unwrap();
    let second = validators.settle(&terms, [7; 32], &[worker_row(account(7), 40)]);
    refused(client, &second, "AlreadySettled", false).await;
    assert_eq!(balance(client, account(7)).await, 60);
    served.stop().await;
}

#[tokio::test]
async fn the_whole_life_of_a_vault_ends_with_nothing_left() {
    let (_folder, clock, served) = served().await;
    let client = &served.client;
    let validators = Validators::new(3, 4);
    let terms = terms(&validators.set, 100, START, 0);
    let (payee, refund_to) = (account(7), Hex32::from_bytes(terms.terms().refund_to.0));
    client.execute(&validators.publish()).await.unwrap();
    client.execute(&mint(account(1), 100)).await.unwrap();
    let pay = Rpc::Pay {
        payment: payment(&terms, 1, 100, (0, START + 60)),
        terms: Some(terms.to_hex()),
    };
    client.execute(&pay).await.unwrap();
    client
        .call(&Rpc::SetUnpayable {
            account: payee,
            unpayable: true,
        })
        .await
        .unwrap();
    client
        .execute(&validators.settle(&terms, [9; 32], &[worker_row(payee, 60)]))
        .await
        .unwrap();
    let claim = Rpc::ClaimCredit {
        terms_hash: terms.hash(),
        payee,
    };
    refused(client, &claim, "Unpayable", true).await;
    let close = Rpc::Close {
        terms: terms.to_hex(),
    };
    refused(client, &close, "TooEarly", true).await;
    clock.set(terms.terms().refund_after.0);
    refused(client, &close, "CreditsOutstanding", true).await;
    let lapse = Rpc::LapseCredits {
        terms_hash: terms.hash(),
    };
    refused(client, &lapse, "TooEarly", true).await;
    clock.set(terms.terms().refund_after.0 + 180 * 86_400);
    client
        .call(&Rpc::SetUnpayable {
            account: payee,
            unpayable: false,
        })
        .await
        .unwrap();
    refused(client, &claim, "TooLate", false).await;
    let lapsed = client.execute(&lapse).await.unwrap();
    assert_eq!(client.execute(&lapse).await.unwrap(), lapsed);
    let sweep = Rpc::Sweep {
        terms: terms.to_hex(),
    };
    let swept = client.execute(&sweep).await.unwrap();
    assert_eq!(client.execute(&sweep).await.unwrap(), swept);
    let closed = client.execute(&close).await.unwrap();
    assert_eq!(client.execute(&close).await.unwrap(), closed);
    assert_eq!(
        (
            balance(client, refund_to).await,
            balance(client, payee).await
        ),
        (100, 0)
    );
    let view = client
        .vault(terms.hash(), terms.address(), asset())
        .await
        .unwrap();
    assert_eq!(
        (view.open, view.balance, view.credits.len()),
        (false, Amount::ZERO, 0)
    );
    assert_eq!(
        view.settled.unwrap().receipt_cid,
        Hex32::from_bytes([9; 32]),
        "the receipt outlives the record"
    );
    client.execute(&mint(terms.address(), 5)).await.unwrap();
    client.execute(&sweep).await.unwrap();
    assert_eq!(
        balance(client, refund_to).await,
        105,
        "what comes after closing is swept too"
    );
    served.stop().await;
}

#[tokio::test]
async fn a_vault_is_shown_only_under_its_own_address() {
    let (_folder, _clock, served) = served().await;
    let terms = terms(&Validators::new(3, 4).set, 100, START, 0);
    let question = Rpc::Vault {
        terms_hash: terms.hash(),
        pay_to: account(1),
        asset: asset(),
    };
    refused(&served.client, &question, "AddressMismatch", false).await;
    served.stop().await;
}

#[tokio::test]
async fn the_faucet_stops_where_sums_would_overflow() {
    let (_folder, _clock, served) = served().await;
    let client = &served.client;
    let most = u64::try_from(i64::MAX).unwrap();
    refused(client, &mint(account(1), most + 1), "OutOfRange", false).await;
    refused(client, &mint(account(1), 0), "OutOfRange", false).await;
    client.execute(&mint(account(1), most)).await.unwrap();
    refused(client, &mint(account(2), 1), "OutOfRange", false).await;
    served.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_answered_as_such_and_never_reaches_the_books() {
    let (_folder, _clock, served) = served().await;
    let client = &served.client;
    let unreadable = |answer: Result<RpcAnswer, ClientError>, status| match answer {
        Err(ClientError::Unreadable(got)) => assert_eq!(got, status),
        other => panic!("{other:?}"),
    };
    unreadable(client.post(b"{}".to_vec()).await, 400);
    unreadable(
        client
            .post(br#"{"method":"clock","method":"clock"}"#.to_vec())
            .await,
        400,
    );
    unreadable(
        client
            .post(br#"{"method":"clock"} "#.to_vec())
            .await
            .and(client.post(b"{\"method\":\"nothing\"}".to_vec()).await),
        400,
    );
    unreadable(
        client
            .post(vec![b' '; d402_wire::simchain::MAX_BODY_BYTES + 1])
            .await,
        413,
    );
    assert_eq!(client.events(0).await.unwrap(), Vec::<Event>::new());
    served.stop().await;
}

#[tokio::test]
async fn many_clients_at_once_spend_an_account_no_further_than_it_goes() {
    let (_folder, _clock, served) = served().await;
    let client = &served.client;
    client.execute(&mint(account(1), 1_000)).await.unwrap();
    let terms = terms(&Validators::new(3, 4).set, 100, START, 0);
    let payments = (0..40).map(|nonce| {
        let client = client.clone();
        let pay = Rpc::Pay {
            payment: payment(&terms, 1, 100, (nonce / 2, START + 60)),
            terms: None,
        };
        async move { client.execute(&pay).await }
    });
    let answers = futures::future::join_all(payments).await;
    let mut ids: Vec<_> = answers
        .iter()
        .flatten()
        .map(|transaction| transaction.id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(
        ids.len(),
        10,
        "ten distinct transactions, each answered to both who sent it"
    );
    assert_eq!(
        (
            balance(client, account(1)).await,
            balance(client, terms.address()).await
        ),
        (0, 1_000)
    );
    served.stop().await;
}
