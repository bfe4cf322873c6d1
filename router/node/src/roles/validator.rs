//! The front of a validator bridge: it starts the bridge process, which holds the keys, and passes messages
//! between its socket and the network. Nothing here can sign.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use d402_core::ports::MarketNetwork;
use d402_settlement::market::SIMULATED_NETWORK;
use d402_wire::bridge::{FromBridge, MAX_FRAME_BYTES, ToBridge};
use d402_wire::{Refusal, Request, Response};
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::start::{Context, NodeError, port};
use crate::config::{ConfigError, ValidatorRail};
use crate::net::DirectoryService;

/// Longest wait for the bridge's answer to one request.
const ANSWER_MS: Duration = Duration::from_secs(7);
/// How long the bridge may take to open its socket.
const START: Duration = Duration::from_secs(20);
/// Messages waiting for the bridge.
const QUEUE: usize = 512;
/// Messages of the bridge on their way at the same time.
const MAX_SENDING: usize = 256;

/// The front. Cheap to clone.
#[derive(Clone)]
pub struct ValidatorFront {
    to_bridge: mpsc::Sender<ToBridge>,
    waiting: Arc<Mutex<BTreeMap<u64, oneshot::Sender<Response>>>>,
    next_id: Arc<AtomicU64>,
    child: Arc<tokio::sync::Mutex<Option<Child>>>,
}

impl ValidatorFront {
    pub(super) async fn start(context: &mut Context) -> Result<Self, NodeError> {
        let socket = context.config.state_dir.join("bridge.sock");
        let child = spawn_bridge(context, &socket)?;
        let stream = connect(&socket).await?;
        let (to_bridge, frames) = mpsc::channel(QUEUE);
        let front = Self {
            to_bridge,
            waiting: Arc::new(Mutex::new(BTreeMap::new())),
            next_id: Arc::new(AtomicU64::new(1)),
            child: Arc::new(tokio::sync::Mutex::new(Some(child))),
        };
        let market = port(&context.market);
        let hello = ToBridge::Hello {
            front: market.local(),
        };
        let pump = Pump {
            front: front.clone(),
            market,
            directory: context.directory.clone(),
        };
        let stop = context.stop.clone();
        context.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                () = pump.run(stream, frames) => Err(NodeError::RoleEnded { role: "validator bridge" }),
            }
        });
        if front.to_bridge.send(hello).await.is_err() {
            return Err(NodeError::RoleEnded {
                role: "validator bridge",
            });
        }
        Ok(front)
    }

    /// Asks the bridge.
    pub async fn handle(&self, from: &str, request: Request) -> Response {
        let busy = Response::Refused {
            reason: Refusal::Busy,
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, answer);
        let frame = ToBridge::Inbound {
            id,
            from: from.to_owned(),
            request,
        };
        let response = match self.to_bridge.try_send(frame) {
            Ok(()) => tokio::time::timeout(ANSWER_MS, answered)
                .await
                .ok()
                .and_then(Result::ok)
                .unwrap_or(busy),
            Err(_full) => busy,
        };
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        response
    }

    /// Ends the bridge process this front started.
    pub async fn stop(&self) {
        if let Some(mut child) = self.child.lock().await.take() {
            let _gone = child.start_kill();
            let _status = child.wait().await;
        }
    }
}

struct Pump {
    front: ValidatorFront,
    market: Arc<dyn MarketNetwork>,
    directory: DirectoryService,
}

impl Pump {
    async fn run(self, stream: UnixStream, mut frames: mpsc::Receiver<ToBridge>) {
        let codec = LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME_BYTES)
            .new_codec();
        let (mut sink, mut source) = Framed::new(stream, codec).split::<Bytes>();
        let writer = async {
            while let Some(frame) = frames.recv().await {
                let Ok(bytes) = d402_wire::encode(&frame) else {
                    continue;
                };
                if sink.send(Bytes::from(bytes)).await.is_err() {
                    return;
                }
            }
        };
        let reader = async {
            let sending = Arc::new(tokio::sync::Semaphore::new(MAX_SENDING));
            while let Some(Ok(bytes)) = source.next().await {
                match d402_wire::decode_message::<FromBridge>(&bytes, MAX_FRAME_BYTES) {
                    Ok(frame) => self.take(frame, &sending).await,
                    Err(error) => {
                        tracing::error!(%error, "bridge sent a frame that is no message");
                        return;
                    }
                }
            }
        };
        tokio::select! {
            () = writer => {}
            () = reader => {}
        }
    }

    async fn take(&self, frame: FromBridge, sending: &Arc<tokio::sync::Semaphore>) {
        match frame {
            FromBridge::Reply { id, response } => {
                let waiting = self
                    .front
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&id);
                if let Some(answer) = waiting {
                    let _nobody = answer.send(response);
                }
            }
            FromBridge::Send { to, request } => {
                let Ok(place) = Arc::clone(sending).acquire_owned().await else {
                    return;
                };
                let market = Arc::clone(&self.market);
                tokio::spawn(async move {
                    if let Err(error) = market.request(&to, request).await {
                        tracing::debug!(to = %to.node_id, %error, "message of the bridge is not delivered");
                    }
                    drop(place);
                });
            }
            FromBridge::Publish { object } => {
                if let Err(error) = self.directory.publish(object).await {
                    tracing::warn!(%error, "object of the bridge is not published");
                }
            }
        }
    }
}

fn spawn_bridge(context: &Context, socket: &Path) -> Result<Child, NodeError> {
    let section = &context.config.validator;
    let mut table = toml::Table::new();
    let mut text =
        |key: &str, value: String| table.insert(key.to_owned(), toml::Value::String(value));
    text(
        "state-dir",
        context
            .config
            .state_dir
            .join("bridge")
            .display()
            .to_string(),
    );
    text("socket", socket.display().to_string());
    text(
        "misbehaviour",
        section
            .misbehaviour
            .clone()
            .unwrap_or_else(|| "none".to_owned()),
    );
    table.insert("rail".to_owned(), rails(context)?);
    let hosts = section
        .allow_hosts
        .iter()
        .cloned()
        .map(toml::Value::String)
        .collect();
    table.insert("allow-hosts".to_owned(), toml::Value::Array(hosts));
    let path = context.config.state_dir.join("bridge.toml");
    let io = |what| move |source| NodeError::Io { what, source };
    std::fs::write(&path, table.to_string())
        .map_err(io("bridge configuration cannot be written"))?;
    let program = match &section.program {
        Some(program) => program.clone(),
        None => beside_us("d402-validator").map_err(io("own program is not known"))?,
    };
    Command::new(&program)
        .arg("run")
        .arg("--config")
        .arg(&path)
        // The pipe ends with this process, however it ends, and the bridge with the pipe.
        .arg("--until-stdin-ends")
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(io("validator bridge cannot be started"))
}

/// The simulated network first, where one is configured, and then the further ones.
fn rails(context: &Context) -> Result<toml::Value, NodeError> {
    let section = &context.config.validator;
    let missing = |field| ConfigError::Missing {
        role: "validator",
        field,
    };
    let mut rails = Vec::new();
    let simulated = section.payout.is_some() || section.fee.is_some();
    if simulated || section.rails.is_empty() {
        let rpc = context.simulated_rpc.clone();
        rails.push(ValidatorRail {
            network: SIMULATED_NETWORK.to_owned(),
            rpc: rpc.ok_or(missing("simulated-rpc"))?,
            second_rpc: None,
            development: false,
            payout: section.payout.clone().ok_or(missing("validator.payout"))?,
            fee: section.fee.clone().ok_or(missing("validator.fee"))?,
            asset: None,
        });
    }
    rails.extend(section.rails.iter().cloned());
    toml::Value::try_from(rails).map_err(|_| missing("validator.rail").into())
}

fn beside_us(name: &str) -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

async fn connect(socket: &Path) -> Result<UnixStream, NodeError> {
    let attempt = async {
        loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => return stream,
                Err(_not_yet) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(START, attempt)
        .await
        .map_err(|_| NodeError::Io {
            what: "validator bridge did not open its socket",
            source: std::io::ErrorKind::TimedOut.into(),
        })
}
