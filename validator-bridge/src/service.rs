//! The bridge as a process: one front connection, one lock per task, a bounded number of judges.

mod dispatch;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use d402_capabilities::{Sandbox, SandboxConfig};
use d402_objects::{Caip2, Cid, Signed};
use d402_wire::bridge::{FromBridge, ToBridge};
use d402_wire::{NodeAddress, RawEnvelope, Refusal};
use tokio::net::UnixListener;
use tokio::sync::{Mutex, mpsc};

use crate::case::{Case, Outgoing, Revealed, Tools};
use crate::chain::ChainView;
use crate::config::{BridgeConfig, ConfigError};
use crate::journal::{JournalError, SqliteJournal};
use crate::keys::{KeyError, Keys};
use crate::link::Link;
use crate::{link, offer};

/// Most cases in memory; beyond it those whose time is over are dropped, and reloaded if asked for.
const MAX_CASES: usize = 4_096;
/// How often offers are renewed and old cases pruned.
const HOUSEKEEPING: Duration = Duration::from_secs(3_600);
/// Requests handled at the same time.
const MAX_HANDLERS: usize = 256;

/// Tries to take the state directory.
const LOCK_TRIES: u32 = 50;
/// Pause between them.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Why the bridge does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// Configuration.
    #[error("configuration")]
    Config(#[from] ConfigError),
    /// Keys.
    #[error("keys")]
    Keys(#[from] KeyError),
    /// Journal.
    #[error("journal")]
    Journal(#[from] JournalError),
    /// Chain client.
    #[error("chain client")]
    Chain(#[from] crate::chain::ChainError),
    /// Socket or state directory.
    #[error("socket or state directory")]
    Io(#[from] std::io::Error),
    /// Another bridge works on this state directory: two must never share keys and journal.
    #[error("another bridge uses this state directory")]
    InUse,
}

/// A bridge. Cheap to clone.
#[derive(Clone)]
pub struct Bridge {
    shared: Arc<Shared>,
}

struct Shared {
    config: BridgeConfig,
    tools: Tools,
    sandbox: Sandbox,
    cases: Mutex<BTreeMap<Cid, Arc<Mutex<Case>>>>,
    handlers: Arc<tokio::sync::Semaphore>,
    /// Held as long as the bridge lives.
    _lock: std::fs::File,
}

/// Takes the state directory for this process; a bridge that is just ending is waited for.
async fn lock_state(dir: &std::path::Path) -> Result<std::fs::File, BridgeError> {
    let file = std::fs::File::create(dir.join("bridge.lock"))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(BridgeError::InUse)
}

/// Wall clock, ms.
#[allow(clippy::disallowed_methods, reason = "the bridge's one clock")]
fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|d| u64::try_from(d.as_millis()).ok())
        .unwrap_or(0)
}

/// One look per network.
fn chains(config: &BridgeConfig) -> Result<BTreeMap<Caip2, Arc<dyn ChainView>>, BridgeError> {
    let field = |field| ConfigError::Field { field };
    if config.rails.is_empty() {
        return Err(field("rail").into());
    }
    let mut chains = BTreeMap::new();
    for rail in &config.rails {
        let network: Caip2 = rail.network.parse().map_err(|_| field("rail.network"))?;
        if let Entry::Vacant(free) = chains.entry(network) {
            free.insert(crate::chain::open(rail)?);
        }
    }
    Ok(chains)
}

impl Bridge {
    /// Opens keys, journal and chain client.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub async fn open(config: BridgeConfig) -> Result<Self, BridgeError> {
        std::fs::create_dir_all(&config.state_dir)?;
        let lock = lock_state(&config.state_dir).await?;
        let keys = Arc::new(Keys::load_or_create(&config.state_dir.join("keys"))?);
        let journal =
            Arc::new(SqliteJournal::open(&config.state_dir.join("journal.sqlite")).await?);
        let mut sandbox = SandboxConfig::current_exe()?;
        if let Some(program) = &config.executor {
            sandbox.program.clone_from(program);
        }
        sandbox.max_children = config.max_judges;
        sandbox.allow_hosts.clone_from(&config.allow_hosts);
        let tools = Tools {
            keys,
            journal: journal.clone(),
            store: journal,
            chains: chains(&config)?,
            misbehaviour: config.misbehaviour,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                tools,
                sandbox: Sandbox::new(sandbox),
                cases: Mutex::new(BTreeMap::new()),
                handlers: Arc::new(tokio::sync::Semaphore::new(MAX_HANDLERS)),
                _lock: lock,
            }),
        })
    }

    /// The validator's keys, for printing its names.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.shared.tools.keys
    }

    /// Serves fronts on the configured socket, one at a time, until the process ends.
    ///
    /// # Errors
    /// [`BridgeError::Io`] when the socket cannot be made.
    pub async fn serve(&self) -> Result<(), BridgeError> {
        let path = &self.shared.config.socket;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        tracing::info!(validator = %self.keys().validator(), socket = %path.display(), "bridge is ready");
        loop {
            let (stream, _) = listener.accept().await?;
            let (link, mut tasks) = link::open(stream);
            self.serve_front(link).await;
            tasks.shutdown().await;
            tracing::info!("front is gone, waiting for the next");
        }
    }

    async fn serve_front(&self, mut link: Link) {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        let mut front: Option<NodeAddress> = None;
        let mut running = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                frame = link.inbound.recv() => match frame {
                    None => return,
                    Some(ToBridge::Hello { front: address }) => {
                        self.publish_offer(&address, &link.outbound).await;
                        front = Some(address);
                    }
                    Some(ToBridge::Inbound { id, from, request }) => {
                        let Ok(permit) = Arc::clone(&self.shared.handlers).try_acquire_owned() else {
                            let response = d402_wire::Response::Refused { reason: Refusal::Busy };
                            let _gone = link.outbound.try_send(FromBridge::Reply { id, response });
                            continue;
                        };
                        let (bridge, outbound) = (self.clone(), link.outbound.clone());
                        running.spawn(async move {
                            let response = bridge.answer(&from, request, &outbound).await;
                            let _gone = outbound.send(FromBridge::Reply { id, response }).await;
                            drop(permit);
                        });
                    }
                },
                _ = housekeeping.tick() => {
                    if let Some(front) = &front {
                        self.publish_offer(front, &link.outbound).await;
                    }
                    self.prune().await;
                }
                Some(_ended) = running.join_next(), if !running.is_empty() => {}
            }
        }
    }

    async fn publish_offer(&self, front: &NodeAddress, outbound: &mpsc::Sender<FromBridge>) {
        match offer::sign(&self.shared.config, self.keys(), front, now_ms()) {
            Ok(offer) => {
                let object = RawEnvelope::of(&offer);
                let _gone = outbound.send(FromBridge::Publish { object }).await;
            }
            Err(error) => tracing::error!(%error, "no offer can be made of this configuration"),
        }
    }

    async fn prune(&self) {
        let now = now_ms();
        let over = |case: &Case| {
            u64::try_from(case.dossier().times().refund_after_s.0)
                .unwrap_or(0)
                .saturating_mul(1_000)
                < now
        };
        self.shared
            .cases
            .lock()
            .await
            .retain(|_, case| case.try_lock().map_or(true, |case| !over(&case)));
        if let Err(error) = self.shared.tools.store.prune(now).await {
            tracing::warn!(%error, "old cases are not pruned");
        }
    }

    /// The case of a task, from memory or disk.
    async fn case(
        &self,
        task_id: Cid,
        outbound: &mpsc::Sender<FromBridge>,
    ) -> Result<Arc<Mutex<Case>>, Refusal> {
        if let Some(case) = self.shared.cases.lock().await.get(&task_id) {
            return Ok(Arc::clone(case));
        }
        let case = Case::load(self.shared.tools.clone(), task_id)
            .await?
            .ok_or(Refusal::UnknownTask)?;
        let unjudged = case.unjudged();
        let case = self.remember(task_id, case).await?;
        for claim in unjudged {
            let content = case.lock().await.content_of(&claim).await;
            if let Some(content) = content {
                self.start_judging(&case, Revealed { claim, content }, outbound);
            }
        }
        Ok(case)
    }

    /// Keeps a case in memory; the first one of a task stands.
    async fn remember(&self, task_id: Cid, case: Case) -> Result<Arc<Mutex<Case>>, Refusal> {
        let mut cases = self.shared.cases.lock().await;
        if cases.len() >= MAX_CASES && !cases.contains_key(&task_id) {
            let now = now_ms();
            cases.retain(|_, c| {
                c.try_lock()
                    .map_or(true, |c| c.dossier().times().decide_at_ms.get() > now)
            });
            if cases.len() >= MAX_CASES {
                return Err(Refusal::Busy);
            }
        }
        Ok(Arc::clone(
            cases
                .entry(task_id)
                .or_insert_with(|| Arc::new(Mutex::new(case))),
        ))
    }

    /// Judges in the background; the verdict goes out when it is stored.
    fn start_judging(
        &self,
        case: &Arc<Mutex<Case>>,
        revealed: Revealed,
        outbound: &mpsc::Sender<FromBridge>,
    ) {
        let (bridge, case, outbound) = (self.clone(), Arc::clone(case), outbound.clone());
        tokio::spawn(async move {
            let dossier = case.lock().await.dossier().clone();
            let claim: &Signed<_> = &revealed.claim;
            let judged = crate::judge::judge(
                &bridge.shared.sandbox,
                &dossier,
                claim.payload(),
                &revealed.content,
            )
            .await;
            let Some(judgement) = judged else { return };
            match case.lock().await.verdict(claim, &judgement, now_ms()).await {
                Ok((receipt, outgoing)) => {
                    tracing::info!(task = %dossier.task_id(), claim = %claim.cid(), verdict = ?receipt.payload().verdict, "judged");
                    send_all(&outbound, outgoing).await;
                }
                Err(reason) => {
                    tracing::error!(task = %dossier.task_id(), ?reason, "verdict is not given")
                }
            }
        });
    }
}

async fn send_all(outbound: &mpsc::Sender<FromBridge>, messages: Vec<Outgoing>) {
    for Outgoing { to, request } in messages {
        if outbound
            .send(FromBridge::Send { to, request })
            .await
            .is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn looked_at(rails: &[(&str, &str)]) -> Result<Vec<String>, BridgeError> {
        let rails: Vec<Value> = rails
            .iter()
            .map(|(network, rpc)| {
                json!({ "network": network, "rpc": rpc, "payout": "0", "fee": "1" })
            })
            .collect();
        let config = json!({ "state-dir": "state", "socket": "socket", "rail": rails });
        let chains = chains(&serde_json::from_value(config).unwrap())?;
        Ok(chains.keys().map(ToString::to_string).collect())
    }

    #[test]
    fn a_validator_looks_at_every_network_it_is_paid_on_or_does_not_start() {
        const SIMULATED: &str = "d402:simulated";
        let here = "http://127.0.0.1:1";
        // Two assets of one network are one chain.
        let twice = looked_at(&[(SIMULATED, here), (SIMULATED, "http://127.0.0.1:2")]);
        assert_eq!(twice.unwrap(), [SIMULATED]);
        let nothing = looked_at(&[]);
        assert!(matches!(
            nothing,
            Err(BridgeError::Config(ConfigError::Field { field: "rail" }))
        ));
        let blind = looked_at(&[(SIMULATED, here), ("eip155:1", here)]);
        assert!(matches!(blind, Err(BridgeError::Chain(_))));
    }
}
