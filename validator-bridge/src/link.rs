//! The Unix socket to the network front: frames of `d402_wire::bridge`.

use d402_wire::bridge::{FromBridge, MAX_FRAME_BYTES, ToBridge};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// Frames waiting to be written before the bridge slows down.
const OUTBOUND_FRAMES: usize = 1_024;
/// Frames read and not yet taken.
const INBOUND_FRAMES: usize = 256;

/// Both directions of one connection, as bounded queues.
#[derive(Debug)]
pub struct Link {
    /// Frames from the front.
    pub inbound: mpsc::Receiver<ToBridge>,
    /// Frames to the front.
    pub outbound: mpsc::Sender<FromBridge>,
}

/// Serves one connection until either side closes it. A frame that is no message ends the connection: the
/// front is our own program, so that is a version clash or an intruder. Reading and writing are two tasks,
/// so that a full queue in one direction never stops the other.
#[must_use]
pub fn open(stream: UnixStream) -> (Link, tokio::task::JoinSet<()>) {
    let (in_tx, inbound) = mpsc::channel(INBOUND_FRAMES);
    let (outbound, out_rx) = mpsc::channel::<FromBridge>(OUTBOUND_FRAMES);
    let codec = LengthDelimitedCodec::builder()
        .max_frame_length(MAX_FRAME_BYTES)
        .new_codec();
    let (sink, source) = Framed::new(stream, codec).split();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(read(source, in_tx));
    tasks.spawn(write(sink, out_rx));
    (Link { inbound, outbound }, tasks)
}

type Frames = Framed<UnixStream, LengthDelimitedCodec>;

async fn read(mut source: SplitStream<Frames>, inbound: mpsc::Sender<ToBridge>) {
    while let Some(Ok(bytes)) = source.next().await {
        match d402_wire::decode_message::<ToBridge>(&bytes, MAX_FRAME_BYTES) {
            Ok(message) => {
                if inbound.send(message).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, "front sent a frame that is no message");
                return;
            }
        }
    }
}

async fn write(
    mut sink: SplitSink<Frames, tokio_util::bytes::Bytes>,
    mut outbound: mpsc::Receiver<FromBridge>,
) {
    while let Some(message) = outbound.recv().await {
        let Ok(bytes) = d402_wire::encode(&message) else {
            continue;
        };
        if sink.send(bytes.into()).await.is_err() {
            return;
        }
    }
}
