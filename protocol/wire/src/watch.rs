//! How a gateway proves to a validator that a node is its own.
//!
//! Anybody who holds a task's dossier may open the task at its validators, and a few such nodes hear its
//! verdicts. Strangers could be those few; so the gateway the intent names has a place of its own, which only
//! its key opens.

use d402_objects::Cid;

/// Begins with 0xFF like every pre-image of spec §2.1 that is not an envelope's.
const TAG: &[u8] = b"\xffd402watch\x01";

/// The bytes a gateway signs for one of its nodes: tag, task, node. The node is the sender that the transport
/// authenticated, so a signature that somebody else saw opens nothing for him.
#[must_use]
pub fn watch_message(task_id: &Cid, node_id: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(TAG);
    message.extend_from_slice(&task_id.as_bytes());
    message.extend_from_slice(node_id.as_bytes());
    message
}
