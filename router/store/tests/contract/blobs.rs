use d402_core::ports::StoreError;
use d402_objects::Cid;
use d402_store::MAX_BLOB_BYTES;
use futures::future::join_all;

use crate::home::Home;

pub(crate) async fn content_is_read_back(home: &Home) {
    let blobs = home.store.blobs();
    for bytes in [&b""[..], b"a", b"\0\xff page"] {
        let cid = blobs.put(bytes).await.unwrap();
        assert_eq!(cid, Cid::of(bytes));
        assert_eq!(blobs.put(bytes).await.unwrap(), cid);
        assert_eq!(
            home.gateway(1).blobs().get(cid).await.unwrap().unwrap(),
            bytes
        );
    }
    assert_eq!(blobs.get(Cid::of(b"never stored")).await.unwrap(), None);
}

pub(crate) async fn content_over_the_limit_is_refused(home: &Home) {
    let blobs = home.store.blobs();
    let mut bytes = vec![7; MAX_BLOB_BYTES + 1];
    let refused = blobs.put(&bytes).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::TooLarge {
                limit: MAX_BLOB_BYTES,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(blobs.get(Cid::of(&bytes)).await.unwrap(), None);
    bytes.pop();
    let cid = blobs.put(&bytes).await.unwrap();
    assert!(blobs.get(cid).await.unwrap().unwrap() == bytes);
}

pub(crate) async fn concurrent_writers_of_the_same_content_agree(home: &Home) {
    let writers = (0..16).map(|writer| {
        let blobs = home.gateway(writer).blobs();
        tokio::spawn(async move {
            let bytes = vec![(writer % 2) as u8; 70_000];
            let cid = blobs.put(&bytes).await.unwrap();
            assert!(blobs.get(cid).await.unwrap().unwrap() == bytes);
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
}
