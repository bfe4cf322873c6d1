//! Request-response: who waits for what, and how much of it there may be.

use std::collections::HashMap;

use bytes::Bytes;
use libp2p::{
    PeerId,
    request_response::{
        Event, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
    },
    swarm::{
        DialError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::driver::{Driver, dial_failure};
use crate::{
    DialFailure, PeerAddress, Refusal, RequestError,
    frame::{Budget, Held, RequestFrame, ResponseFrame},
    gate::RequestGate,
    inbound::Reply,
};

/// A request of ours on its way.
pub(super) struct Outgoing {
    pub(super) to: PeerAddress,
    pub(super) body: Bytes,
    pub(super) reply: oneshot::Sender<Result<Bytes, RequestError>>,
    /// Its own addresses were dialled.
    pub(super) dialed: bool,
    /// Its share of all requests in flight.
    pub(super) slot: OwnedSemaphorePermit,
}

impl Outgoing {
    fn fail(self, error: RequestError) {
        // The asker may have stopped waiting; there is nobody else to tell.
        self.reply.send(Err(error)).ok();
    }
}

/// A request of ours that a connection took. It keeps its slot until libp2p is done with it, also when
/// the asker stopped waiting.
struct Sent {
    peer: PeerId,
    reply: oneshot::Sender<Result<Bytes, RequestError>>,
    _slot: OwnedSemaphorePermit,
}

/// A request of another peer. It keeps its place until the application answered and the answer is sent
/// or lost: a peer that does not read its answers cannot have many.
struct Open {
    from: PeerId,
    stream: InboundRequestId,
    channel: Option<ResponseChannel<ResponseFrame>>,
    /// The budget the request's body holds, later the response's.
    hold: Option<OwnedSemaphorePermit>,
    wire_done: bool,
}

pub(super) struct RpcState {
    gate: RequestGate,
    pub(super) replies: mpsc::Receiver<Reply>,
    budget: Budget,
    open: HashMap<u64, Open>,
    by_stream: HashMap<InboundRequestId, u64>,
    waiting: HashMap<PeerId, Vec<Outgoing>>,
    sent: HashMap<OutboundRequestId, Sent>,
    sent_per_peer: HashMap<PeerId, u32>,
    closing: bool,
}

impl RpcState {
    pub(super) fn new(gate: RequestGate, replies: mpsc::Receiver<Reply>, budget: Budget) -> Self {
        Self {
            gate,
            replies,
            budget,
            open: HashMap::new(),
            by_stream: HashMap::new(),
            waiting: HashMap::new(),
            sent: HashMap::new(),
            sent_per_peer: HashMap::new(),
            closing: false,
        }
    }

    /// Refuses new requests from now on.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.waiting.clear();
    }

    pub(super) fn is_answering(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn prune(&self) {
        self.gate.prune();
    }

    fn finish_if_done(&mut self, id: u64) {
        let done = self
            .open
            .get(&id)
            .is_some_and(|open| open.wire_done && open.channel.is_none());
        if done && let Some(open) = self.open.remove(&id) {
            self.by_stream.remove(&open.stream);
            self.gate.release(&open.from);
        }
    }

    fn wire_done(&mut self, stream: InboundRequestId) {
        if let Some(id) = self.by_stream.get(&stream).copied() {
            if let Some(open) = self.open.get_mut(&id) {
                open.wire_done = true;
            }
            self.finish_if_done(id);
        }
    }

    fn take_sent(&mut self, id: OutboundRequestId) -> Option<Sent> {
        let sent = self.sent.remove(&id)?;
        if let Some(count) = self.sent_per_peer.get_mut(&sent.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.sent_per_peer.remove(&sent.peer);
            }
        }
        Some(sent)
    }
}

impl Driver {
    pub(super) fn on_request(&mut self, outgoing: Outgoing) {
        let peer = outgoing.to.peer();
        if self.swarm.is_connected(&peer) {
            self.send(outgoing);
        } else {
            self.dial_for(outgoing);
        }
    }

    /// Dials the peer for a request, which waits for the outcome. A dial that is under way may use other
    /// addresses than the request's own: if it fails, those are tried in [`Driver::waiting_not_reached`].
    fn dial_for(&mut self, mut outgoing: Outgoing) {
        let peer = outgoing.to.peer();
        let addresses = self.addresses_to_dial(&outgoing.to);
        if addresses.is_empty() {
            if self.is_dialing(&peer) {
                outgoing.dialed = true;
                self.rpc.waiting.entry(peer).or_default().push(outgoing);
            } else {
                self.metrics.requests_failed.add_one();
                outgoing.fail(RequestError::UnknownPeer { peer });
            }
            return;
        }
        let dial = DialOpts::peer_id(peer)
            .addresses(addresses)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .allocate_new_port()
            .build();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.dial_began(peer);
                outgoing.dialed = true;
                self.rpc.waiting.entry(peer).or_default().push(outgoing);
            }
            Err(DialError::DialPeerConditionFalse(_)) => {
                self.rpc.waiting.entry(peer).or_default().push(outgoing);
            }
            Err(error) => {
                self.metrics.requests_failed.add_one();
                outgoing.fail(RequestError::Unreachable {
                    peer,
                    failure: dial_failure(&error),
                });
            }
        }
    }

    pub(super) fn send_waiting(&mut self, peer: PeerId) {
        for outgoing in self.rpc.waiting.remove(&peer).unwrap_or_default() {
            self.send(outgoing);
        }
    }

    pub(super) fn waiting_not_reached(&mut self, peer: PeerId, failure: DialFailure) {
        for outgoing in self.rpc.waiting.remove(&peer).unwrap_or_default() {
            if self.swarm.is_connected(&peer) {
                self.send(outgoing);
            } else if outgoing.dialed {
                self.metrics.requests_failed.add_one();
                outgoing.fail(RequestError::Unreachable {
                    peer,
                    failure: failure.clone(),
                });
            } else if !outgoing.reply.is_closed() {
                self.dial_for(outgoing);
            }
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        if outgoing.reply.is_closed() {
            return;
        }
        let peer = outgoing.to.peer();
        let limit = self.config.rpc.outbound_per_peer;
        let in_flight = self.rpc.sent_per_peer.get(&peer).copied().unwrap_or(0);
        if in_flight >= limit {
            self.metrics.requests_failed.add_one();
            return outgoing.fail(RequestError::TooManyInFlight { limit });
        }
        let Outgoing {
            body, reply, slot, ..
        } = outgoing;
        let frame = RequestFrame::Body(Held::free(body));
        let id = self.swarm.behaviour_mut().rpc.send_request(&peer, frame);
        self.metrics.requests_sent.add_one();
        self.rpc.sent.insert(
            id,
            Sent {
                peer,
                reply,
                _slot: slot,
            },
        );
        self.rpc
            .sent_per_peer
            .insert(peer, in_flight.saturating_add(1));
    }

    pub(super) fn on_rpc_event(&mut self, event: Event<RequestFrame, ResponseFrame>) {
        match event {
            Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request_id,
                    request,
                    channel,
                } => {
                    let asked = Asked {
                        from: peer,
                        stream: request_id,
                        channel,
                    };
                    self.on_inbound(asked, request);
                }
                Message::Response {
                    request_id,
                    response,
                } => {
                    self.on_outcome(request_id, outcome_of(response, &self.config.rpc));
                }
            },
            Event::OutboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                let after = self.config.rpc.timeout_max;
                let error = match error {
                    OutboundFailure::DialFailure => RequestError::Unreachable {
                        peer,
                        failure: DialFailure::Transport { attempts: 0 },
                    },
                    OutboundFailure::Timeout => RequestError::Timeout { after },
                    OutboundFailure::UnsupportedProtocols => RequestError::NotSpoken,
                    OutboundFailure::ConnectionClosed | OutboundFailure::Io(_) => {
                        RequestError::Interrupted
                    }
                };
                self.on_outcome(request_id, Err(error));
            }
            Event::InboundFailure { request_id, .. } | Event::ResponseSent { request_id, .. } => {
                self.rpc.wire_done(request_id);
            }
        }
    }

    fn on_outcome(&mut self, id: OutboundRequestId, outcome: Result<Bytes, RequestError>) {
        match &outcome {
            Ok(_) => self.metrics.requests_answered.add_one(),
            Err(_) => self.metrics.requests_failed.add_one(),
        }
        if let Some(sent) = self.rpc.take_sent(id) {
            // The asker may have stopped waiting; there is nobody else to tell.
            sent.reply.send(outcome).ok();
        }
    }

    fn on_inbound(&mut self, asked: Asked, request: RequestFrame) {
        let admitted = self.admit(asked.from, request);
        let Asked {
            from,
            stream,
            channel,
        } = asked;
        match admitted {
            Ok((id, hold)) => {
                self.metrics.requests_received.add_one();
                let channel = Some(channel);
                self.rpc.open.insert(
                    id,
                    Open {
                        from,
                        stream,
                        channel,
                        hold,
                        wire_done: false,
                    },
                );
                self.rpc.by_stream.insert(stream, id);
            }
            Err(refusal) => {
                self.metrics.request_refused(refusal);
                let frame = ResponseFrame::Refused(refusal);
                // An error says that the asker is gone.
                self.swarm
                    .behaviour_mut()
                    .rpc
                    .send_response(channel, frame)
                    .ok();
            }
        }
    }

    fn admit(
        &mut self,
        from: PeerId,
        request: RequestFrame,
    ) -> Result<(u64, Option<OwnedSemaphorePermit>), Refusal> {
        self.rpc.gate.charge(&from)?;
        match request {
            RequestFrame::TooLarge => Err(Refusal::RequestTooLarge {
                limit: self.config.rpc.request_bytes_max,
            }),
            RequestFrame::NoMemory => Err(Refusal::Busy),
            RequestFrame::Body(_) if self.rpc.closing => Err(Refusal::Busy),
            RequestFrame::Body(Held { body, hold }) => {
                self.rpc.gate.admit(from, body).map(|id| (id, hold))
            }
        }
    }

    pub(super) fn on_reply(&mut self, reply: Reply) {
        let Some(open) = self.rpc.open.get_mut(&reply.id) else {
            return;
        };
        let Some(channel) = open.channel.take() else {
            return;
        };
        // The request's body is done with; the response's takes its place in the budget.
        open.hold = None;
        let frame = match reply.result {
            Ok(body) => match self.rpc.budget.take(body.len()) {
                Some(hold) => {
                    open.hold = Some(hold);
                    ResponseFrame::Body(Held::free(body))
                }
                None => ResponseFrame::Refused(Refusal::Busy),
            },
            Err(refusal) => ResponseFrame::Refused(refusal),
        };
        if self
            .swarm
            .behaviour_mut()
            .rpc
            .send_response(channel, frame)
            .is_err()
        {
            open.wire_done = true;
        }
        self.rpc.finish_if_done(reply.id);
    }
}

/// A request of another peer and the way back.
struct Asked {
    from: PeerId,
    stream: InboundRequestId,
    channel: ResponseChannel<ResponseFrame>,
}

fn outcome_of(response: ResponseFrame, limits: &crate::RpcLimits) -> Result<Bytes, RequestError> {
    match response {
        ResponseFrame::Body(held) => Ok(held.body),
        ResponseFrame::Refused(refusal) => Err(RequestError::Refused(refusal)),
        ResponseFrame::TooLarge { got } => Err(RequestError::ResponseTooLarge {
            got,
            limit: limits.response_bytes_max,
        }),
    }
}
