//! After the task: zero lamports stay behind (M1c).

use d402_core::ports::Rail as _;
use d402_settlement::Role;
use d402_svm::address;
use d402_svm::{Address, Level};

use super::stage::{Stage, Validators, payload, place, row, transfer};
use crate::svm::{Finalizer, Tidied};

async fn lamports(stage: &Stage, of: &Address) -> u64 {
    let asked = [*of];
    let chain = stage.node.devnet.chain();
    let found = chain
        .accounts(&asked, Level::Confirmed, None)
        .await
        .unwrap();
    found.get(0).map_or(0, |account| account.lamports)
}

#[tokio::test]
async fn after_refund_after_the_finalizer_leaves_no_lamport_of_any_vault_behind() {
    let stage = Stage::start().await;
    let finalizer = Finalizer::new(stage.rail.clone());
    let many = Validators::new(8, 15);
    stage.rail.learn_set(&many.set);
    let settled = stage.terms(10_000, &stage.validators.set).await;
    let silent = stage.terms(10_000, &stage.validators.set).await;
    let stepped = stage.terms(10_000, &many.set).await;
    for terms in [&settled, &silent] {
        let buyer = stage.buyer(10_000).await;
        let open = stage.opening(terms, &buyer, 10_000).await;
        let verified = stage.rail.verify(&payload(&open), &terms.encode()).await;
        stage
            .rail
            .submit(&verified.unwrap().unwrap().body)
            .await
            .unwrap();
    }
    transfer(&stage.node, &place(&stepped).vault, 10_000).await;
    let worker = stage.wallet().await;
    let rows = [row(&worker, Role::Worker, 6_000)];
    for (terms, validators) in [(&settled, &stage.validators), (&stepped, &many)] {
        let receipt = validators.receipt(terms, &rows, 0);
        let body = stage.rail.settle_body(&terms.encode(), &receipt).unwrap();
        stage.rail.submit(&body).await.unwrap();
    }
    assert_eq!(finalizer.tidy().await.unwrap(), Tidied::default(), "early");
    let last = stepped.refund_after.0;
    stage.node.devnet.advance_to(last).await.unwrap();
    let digests = stage
        .rail
        .sender()
        .book()
        .await
        .approvals(&stepped.encode())
        .await
        .unwrap();
    // Dust that comes after the settlement holds no rent.
    transfer(&stage.node, &place(&settled).vault, 3).await;
    let tidied = finalizer.tidy().await.unwrap();
    assert_eq!(tidied, Tidied { gone: 3, left: 0 });
    for terms in [&settled, &silent, &stepped] {
        let place = place(terms);
        assert_eq!(lamports(&stage, &place.vault).await, 0);
        assert_eq!(lamports(&stage, &place.tokens).await, 0);
        let refunded = address::address(&terms.refund_to);
        let units = stage.node.devnet.units(&refunded).await.unwrap();
        assert!(units >= 4_000, "{units}");
    }
    for digest in &digests {
        let domain = stage.rail.chain().domain();
        let approval = address::approval(domain, &place(&stepped).vault, digest).unwrap();
        assert_eq!(lamports(&stage, &approval).await, 0);
    }
    assert_eq!(digests.len(), 1);
    assert_eq!(
        finalizer.tidy().await.unwrap(),
        Tidied::default(),
        "nothing is due"
    );
}
