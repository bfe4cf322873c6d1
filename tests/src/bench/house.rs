//! A gateway in this process: an engine on a store, with the actors of a benchmark around it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use d402_core::ports::{Clock, Directory, DirectoryEntry, MarketNetwork, Rail};
use d402_gateway::engine::Driver;
use d402_gateway::{Engine, EngineConfig, EngineError, Ports};
use d402_objects::{Document, Payload, Signed};
use d402_store::Store;
use d402_wire::RawEnvelope;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::cast::Cast;

/// A clock that stands until it is moved, so that what depends on the time can be signed beforehand.
pub(super) struct HandClock(AtomicU64);

impl HandClock {
    pub(super) fn at(now_ms: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now_ms)))
    }

    pub(super) fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A running engine.
pub(super) struct House {
    pub(super) engine: Engine,
    pub(super) store: Store,
    stop: CancellationToken,
    driver: JoinHandle<Result<(), EngineError>>,
}

impl House {
    /// Opens the store in `home` and starts an engine on it.
    pub(super) async fn open(
        home: &Path,
        cast: &Cast,
        (rail, network, clock): (Arc<dyn Rail>, Arc<dyn MarketNetwork>, Arc<dyn Clock>),
    ) -> Self {
        let store = open_store(home).await;
        let ports = Ports {
            store: store.tasks(),
            blobs: store.blobs(),
            directory: store.directory(),
            rails: vec![rail],
            network,
            clock,
        };
        let config = EngineConfig {
            key: cast.actors.gateway.clone(),
            instance: "bench".to_owned(),
            // Everybody is at one address here.
            distinct_subnets: false,
        };
        let stop = CancellationToken::new();
        let (engine, driver) = Engine::new(config, ports, stop.clone());
        let driver: Driver = driver;
        Self {
            engine,
            store,
            stop,
            driver: tokio::spawn(driver.run()),
        }
    }

    /// Stops the engine, then closes the store.
    pub(super) async fn close(self) {
        self.stop.cancel();
        self.driver
            .await
            .expect("the driver ends")
            .expect("and ends well");
        self.store.close().await;
    }
}

/// The embedded database in `home`.
pub(super) async fn open_store(home: &Path) -> Store {
    let location = home.join("store");
    Store::open(location.to_str().expect("a path in UTF-8"))
        .await
        .expect("a store")
}

/// Puts manifest, registration and offers where a gateway looks for them.
pub(super) async fn publish(directory: &dyn Directory, cast: &Cast) {
    let listing = cast.listing();
    put(directory, &listing.manifest, String::new()).await;
    let slot = listing.manifest.cid().to_string();
    put(directory, &listing.registration, slot).await;
    for offer in &listing.offers {
        put(directory, offer, String::new()).await;
    }
}

async fn put<T: Document + Payload>(directory: &dyn Directory, object: &Signed<T>, slot: String) {
    let entry = DirectoryEntry {
        cid: object.cid(),
        kind: format!("d402.{}", T::KIND),
        signer: object.signer().to_string(),
        slot,
        seq: 1,
        // Far away and still a number that JSON can hold.
        expires_at_ms: 1 << 52,
        object: RawEnvelope::of(object),
    };
    directory.put(entry).await.expect("a directory entry");
}
