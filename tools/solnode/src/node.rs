//! The embedded node: one simulated machine, its RPC servers, its clock.

use std::net::TcpListener;
use std::path::Path;
use std::str::FromStr as _;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use surfpool_core::runloops::start_local_surfnet_runloop;
use surfpool_core::surfnet::locker::SurfnetSvmLocker;
use surfpool_core::surfnet::svm::{SurfnetSvm, SurfnetSvmConfig};
use surfpool_types::{
    BlockProductionMode, RpcConfig, SimnetConfig, SimnetEvent, SurfpoolConfig, SvmFeatureConfig,
};
use tokio::sync::oneshot;

use crate::arguments::Arguments;

/// Genesis hash of devnet.
const GENESIS: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";
const HOST: &str = "127.0.0.1";
/// How long the node may take to answer.
const START: Duration = Duration::from_secs(30);
/// A program larger than this is not one: the chain's own limit is 10 MiB.
const PROGRAM_BYTES: u64 = 10 << 20;

/// A node that answers.
pub(crate) struct Node {
    rpc: String,
    ws: String,
    stopped: oneshot::Receiver<String>,
}

impl Node {
    pub(crate) async fn start(arguments: Arguments) -> Result<Self, String> {
        let (port, ws_port) = ports(&arguments)?;
        let config = config(&arguments, port, ws_port);
        let (mut machine, events, geyser) = SurfnetSvm::new(machine_config(&arguments))
            .map_err(|e| format!("the machine does not start: {e}"))?;
        machine.cached_genesis_hash =
            Some(Hash::from_str(GENESIS).map_err(|e| format!("genesis hash: {e}"))?);
        let machine = SurfnetSvmLocker::new(machine);
        for (id, file) in &arguments.programs {
            load(&machine, *id, file).await?;
        }
        let (commands, received) = unbounded();
        let (tell, stopped) = oneshot::channel();
        // A thread with a runtime of its own: the loop blocks on channels.
        thread::spawn(move || {
            let reason = match tokio::runtime::Runtime::new() {
                Ok(runtime) => runtime
                    .block_on(start_local_surfnet_runloop(
                        machine, config, commands, received, geyser,
                    ))
                    .err()
                    .map_or_else(|| "ended".to_owned(), |e| e.to_string()),
                Err(reason) => reason.to_string(),
            };
            let _ = tell.send(reason);
        });
        let mut stopped = stopped;
        tokio::select! {
            ready = answers(events) => ready?,
            reason = &mut stopped => {
                return Err(reason.unwrap_or_else(|_| "the node ended while it started".to_owned()));
            }
        }
        Ok(Self {
            rpc: format!("http://{HOST}:{port}"),
            ws: format!("ws://{HOST}:{ws_port}"),
            stopped,
        })
    }

    /// The line for whoever started this.
    pub(crate) fn told(&self) -> String {
        serde_json::json!({"rpc": self.rpc, "ws": self.ws, "genesisHash": GENESIS}).to_string()
    }

    /// Waits until the node stops by itself.
    pub(crate) async fn stopped(self) -> String {
        self.stopped
            .await
            .unwrap_or_else(|_| "its thread is gone".to_owned())
    }
}

fn ports(arguments: &Arguments) -> Result<(u16, u16), String> {
    // Both are held until both are known: a free port asked for twice may be the same one.
    let rpc = hold(arguments.port)?;
    let ws = hold(arguments.ws_port)?;
    let port = |held: &TcpListener| {
        held.local_addr()
            .map(|address| address.port())
            .map_err(|e| format!("no port: {e}"))
    };
    Ok((port(&rpc)?, port(&ws)?))
}

fn hold(port: Option<u16>) -> Result<TcpListener, String> {
    let port = port.unwrap_or(0);
    TcpListener::bind((HOST, port)).map_err(|e| format!("port {port}: {e}"))
}

fn config(arguments: &Arguments, port: u16, ws_port: u16) -> SurfpoolConfig {
    SurfpoolConfig {
        simnets: vec![SimnetConfig {
            offline_mode: true,
            remote_rpc_url: None,
            slot_time: arguments.slot_ms,
            block_production_mode: BlockProductionMode::Clock,
            instruction_profiling_enabled: false,
            ..SimnetConfig::default()
        }],
        rpc: RpcConfig {
            bind_host: HOST.to_owned(),
            bind_port: port,
            ws_port,
            ..RpcConfig::default()
        },
        ..SurfpoolConfig::default()
    }
}

fn machine_config(arguments: &Arguments) -> SurfnetSvmConfig {
    SurfnetSvmConfig {
        slot_time: arguments.slot_ms,
        instruction_profiling_enabled: false,
        feature_config: SvmFeatureConfig::default(),
        ..SurfnetSvmConfig::default()
    }
}

async fn load(machine: &SurfnetSvmLocker, id: Pubkey, file: &Path) -> Result<(), String> {
    let shown = file.display();
    let length = std::fs::metadata(file)
        .map_err(|e| format!("{shown}: {e}"))?
        .len();
    if length > PROGRAM_BYTES {
        return Err(format!("{shown}: {length} bytes are no program"));
    }
    let program = std::fs::read(file).map_err(|e| format!("{shown}: {e}"))?;
    machine
        .write_program(id, None, 0, &program, &None)
        .await
        .map_err(|e| format!("{shown} does not load: {e}"))
}

/// Waits for the node, then goes on reading what it reports: unread reports would fill the memory.
async fn answers(events: Receiver<SimnetEvent>) -> Result<(), String> {
    let (tell, ready) = oneshot::channel();
    thread::spawn(move || {
        let mut tell = Some(tell);
        for event in events {
            let outcome = match event {
                SimnetEvent::CoreStarted(_) => Ok(()),
                SimnetEvent::Aborted(reason) => Err(reason),
                _ => continue,
            };
            if let Some(tell) = tell.take() {
                let _ = tell.send(outcome);
            }
        }
    });
    tokio::time::timeout(START, ready)
        .await
        .map_err(|_| format!("no answer within {} s", START.as_secs()))?
        .map_err(|_| "the node ended while it started".to_owned())?
}
