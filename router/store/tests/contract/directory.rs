use d402_core::ports::{DirectoryEntry, DirectoryOutcome, StoreError};
use d402_store::{MAX_DIRECTORY_OBJECT_BYTES, MAX_ENTRIES_PER_SIGNER};
use d402_wire::RawEnvelope;
use futures::future::join_all;
use serde_json::json;

use crate::home::Home;
use crate::sample::id;

fn entry(kind: &str, signer: &str, slot: &str, seq: u64) -> DirectoryEntry {
    DirectoryEntry {
        cid: id(&format!("{kind} {signer} {slot} {seq}")),
        kind: kind.to_owned(),
        signer: signer.to_owned(),
        slot: slot.to_owned(),
        seq,
        expires_at_ms: 1_000,
        object: (&json!({"payload": {"seq": seq}, "signer": signer})).into(),
    }
}

pub(crate) async fn a_higher_seq_replaces_a_lower_one(home: &Home) {
    let directory = home.store.directory();
    let (first, second) = (
        entry("offer", "worker", "", 4),
        entry("offer", "worker", "", 5),
    );
    assert_eq!(
        directory.put(first.clone()).await.unwrap(),
        DirectoryOutcome::Stored
    );
    assert_eq!(
        directory.put(first.clone()).await.unwrap(),
        DirectoryOutcome::NotNewer
    );
    assert_eq!(
        directory.put(second.clone()).await.unwrap(),
        DirectoryOutcome::Stored
    );
    assert_eq!(
        directory.put(first.clone()).await.unwrap(),
        DirectoryOutcome::NotNewer
    );
    let mut rewritten = entry("offer", "worker", "", 5);
    rewritten.cid = id("another object with the same seq");
    assert_eq!(
        directory.put(rewritten).await.unwrap(),
        DirectoryOutcome::NotNewer
    );
    assert_eq!(directory.get(first.cid).await.unwrap(), None);
    assert_eq!(
        directory.get(second.cid).await.unwrap(),
        Some(second.clone())
    );
    assert_eq!(
        directory.list("offer", 0, None, 10).await.unwrap(),
        [second]
    );
}

pub(crate) async fn slots_kinds_and_signers_are_apart(home: &Home) {
    let directory = home.store.directory();
    let entries = [
        entry("offer", "worker", "", 1),
        entry("offer", "worker", "slot", 1),
        entry("offer", "other", "", 1),
        entry("registration", "worker", "", 1),
    ];
    for entry in &entries {
        assert_eq!(
            directory.put(entry.clone()).await.unwrap(),
            DirectoryOutcome::Stored
        );
    }
    for entry in entries {
        assert_eq!(directory.get(entry.cid).await.unwrap(), Some(entry));
    }
}

pub(crate) async fn pages_are_ordered_by_cid_and_live(home: &Home) {
    let directory = home.store.directory();
    let mut expected = Vec::new();
    for number in 0..20_u64 {
        let mut entry = entry("offer", &format!("worker {number}"), "", 1);
        entry.expires_at_ms = 100 + number % 2;
        directory.put(entry.clone()).await.unwrap();
        if number % 2 == 1 {
            expected.push(entry.cid);
        }
    }
    directory
        .put(entry("registration", "author", "", 1))
        .await
        .unwrap();
    expected.sort_unstable();
    let mut seen = Vec::new();
    for _ in 0..20 {
        // Expiry is exclusive: what expires at 100 is gone at 100.
        let page = directory
            .list("offer", 100, seen.last().copied(), 3)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        seen.extend(page.into_iter().map(|entry| entry.cid));
    }
    assert_eq!(seen, expected);
    assert_eq!(
        directory.list("offer", 99, None, 100).await.unwrap().len(),
        20
    );
    assert_eq!(
        directory.list("offer", 101, None, 100).await.unwrap().len(),
        0
    );
}

pub(crate) async fn a_cid_has_one_identity(home: &Home) {
    let directory = home.store.directory();
    let first = entry("offer", "worker", "", 1);
    directory.put(first.clone()).await.unwrap();
    // Unknown payload fields are kept and hashed, so one payload can be signed as two kinds.
    let mut disguised = entry("registration", "worker", "", 9);
    disguised.cid = first.cid;
    assert_eq!(
        directory.put(disguised.clone()).await.unwrap(),
        DirectoryOutcome::NotNewer
    );
    directory
        .put(entry("registration", "worker", "", 1))
        .await
        .unwrap();
    assert_eq!(
        directory.put(disguised).await.unwrap(),
        DirectoryOutcome::NotNewer
    );
    assert_eq!(directory.get(first.cid).await.unwrap(), Some(first));
}

pub(crate) async fn a_signer_has_a_quota(home: &Home) {
    let directory = home.store.directory();
    let puts = (0..MAX_ENTRIES_PER_SIGNER + 40).map(|slot| {
        let directory = home.gateway(slot as usize).directory();
        async move {
            directory
                .put(entry("registration", "author", &format!("slot {slot}"), 1))
                .await
                .unwrap()
        }
    });
    let outcomes = join_all(puts).await;
    let stored = outcomes
        .iter()
        .filter(|outcome| **outcome == DirectoryOutcome::Stored)
        .count();
    let refused = outcomes
        .iter()
        .filter(|outcome| **outcome == DirectoryOutcome::QuotaReached)
        .count();
    assert_eq!((stored as u64, refused), (MAX_ENTRIES_PER_SIGNER, 40));
    // What is there can still be renewed, and others are not concerned.
    let slot = outcomes
        .iter()
        .position(|outcome| *outcome == DirectoryOutcome::Stored)
        .unwrap();
    let renewed = entry("registration", "author", &format!("slot {slot}"), 2);
    assert_eq!(
        directory.put(renewed).await.unwrap(),
        DirectoryOutcome::Stored
    );
    assert_eq!(
        directory
            .put(entry("registration", "other", "", 1))
            .await
            .unwrap(),
        DirectoryOutcome::Stored
    );
    assert_eq!(
        directory
            .put(entry("offer", "author", "", 1))
            .await
            .unwrap(),
        DirectoryOutcome::QuotaReached
    );
}

pub(crate) async fn concurrent_entries_keep_the_highest_seq(home: &Home) {
    let puts = (0..40_u64).map(|number| {
        let directory = home.gateway(number as usize).directory();
        tokio::spawn(async move {
            let seq = (number * 7) % 40;
            directory
                .put(entry("offer", "worker", "", seq))
                .await
                .unwrap()
        })
    });
    for put in join_all(puts).await {
        assert_ne!(put.unwrap(), DirectoryOutcome::QuotaReached);
    }
    let listed = home
        .store
        .directory()
        .list("offer", 0, None, 10)
        .await
        .unwrap();
    assert_eq!(listed, [entry("offer", "worker", "", 39)]);
}

pub(crate) async fn objects_come_back_to_the_last_bit(home: &Home) {
    let directory = home.store.directory();
    let mut exact = entry("manifest", "author", "", 1);
    exact.object = RawEnvelope::from(
        &json!({"payload": {"b": [0.1, 1e-7, 5e-324, 4_503_599_627_370_495.5], "a": "é\u{0}\u{10ffff}"}}),
    );
    assert_eq!(
        directory.put(exact.clone()).await.unwrap(),
        DirectoryOutcome::Stored
    );
    assert_eq!(directory.get(exact.cid).await.unwrap(), Some(exact));
    let mut ambiguous = entry("manifest", "author", "ambiguous", 1);
    ambiguous.object = (&json!(-0.0)).into();
    assert!(matches!(
        directory.put(ambiguous).await,
        Err(StoreError::Broken { .. })
    ));
    let mut large = entry("manifest", "author", "large", 1);
    large.object = (&json!("x".repeat(MAX_DIRECTORY_OBJECT_BYTES))).into();
    assert!(matches!(
        directory.put(large).await,
        Err(StoreError::TooLarge { .. })
    ));
}
