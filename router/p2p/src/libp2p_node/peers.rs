//! Upkeep of connections: bootstrap, redial, peer exchange, the address book and its file.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId,
    request_response::{Event, Message},
    swarm::dial_opts::{DialOpts, PeerCondition},
};
use tokio::task::{JoinHandle, spawn_blocking};

use super::driver::Driver;
use crate::{
    NetworkConfig, PeerAddress, StartError,
    address::{ADDRESSES_PER_PEER, Reach},
    discovery::{
        AddressBook, Backoff, ExchangeRequest, ExchangeResponse, Heard, Ingested, Pauses,
        Peerstore, SignedRecord,
    },
    frame::{Held, RequestFrame, ResponseFrame},
    quota::KeyedQuota,
};

/// Known peers dialled in one upkeep.
const DIALS_PER_UPKEEP: usize = 4;
/// A connection that lasted this long was a good one.
const SETTLED: Duration = Duration::from_secs(10);
/// Peers asked for others at a time.
const ASKED_AT_ONCE: usize = 3;
/// Pause between prunings of quota tables.
const PRUNE: Duration = Duration::from_secs(1);
/// How long writing the peerstore may take at shutdown.
const KEEP: Duration = Duration::from_secs(5);

pub(super) struct PeersState {
    book: AddressBook,
    store: Option<Peerstore>,
    /// Kept records, until the node knows which addresses it may dial.
    kept: Vec<SignedRecord>,
    reach: Reach,
    own: Option<SignedRecord>,
    bootstrap: Vec<(PeerAddress, Backoff)>,
    dialing: HashSet<PeerId>,
    /// Since when each connected peer is connected.
    connected_since: HashMap<PeerId, Duration>,
    quota: KeyedQuota<PeerId>,
    next_exchange: Duration,
    next_prune: Duration,
    next_save: Duration,
    saving: Option<JoinHandle<std::io::Result<()>>>,
}

impl PeersState {
    pub(super) fn new(config: &NetworkConfig) -> Result<Self, StartError> {
        let at = |source| StartError::Peerstore {
            path: config.peerstore.clone().unwrap_or_default(),
            source,
        };
        let store = config
            .peerstore
            .as_deref()
            .map(Peerstore::open)
            .transpose()
            .map_err(at)?;
        let kept = match &store {
            Some(store) => store.load(config.discovery.book_peers).map_err(at)?,
            None => Vec::new(),
        };
        let bootstrap = config
            .bootstrap
            .iter()
            .map(|to| (to.clone(), Backoff::default()));
        Ok(Self {
            book: AddressBook::new(&config.discovery),
            store,
            kept,
            reach: Reach::default(),
            own: None,
            bootstrap: bootstrap.collect(),
            dialing: HashSet::new(),
            connected_since: HashMap::new(),
            quota: KeyedQuota::new(config.discovery.exchange_rate),
            next_exchange: config.discovery.exchange_interval,
            next_prune: PRUNE,
            next_save: Duration::ZERO,
            saving: None,
        })
    }
}

impl Driver {
    pub(super) async fn on_upkeep(&mut self) {
        let now = self.now();
        self.gossip_upkeep(now);
        if now >= self.peers.next_prune {
            self.peers.next_prune = now.saturating_add(PRUNE);
            self.rpc.prune();
            self.gossip_prune();
            self.peers.quota.prune();
        }
        if !self.is_ready() {
            return;
        }
        for record in std::mem::take(&mut self.peers.kept) {
            self.take_record(record, Heard::Met);
        }
        self.dial_bootstrap(now);
        self.dial_known(now);
        if now >= self.peers.next_exchange {
            self.peers.next_exchange = now.saturating_add(self.config.discovery.exchange_interval);
            self.ask_some();
        }
        self.keep_peers(now).await;
    }

    fn dial_bootstrap(&mut self, now: Duration) {
        let due: Vec<PeerAddress> = self
            .peers
            .bootstrap
            .iter()
            .filter(|(to, backoff)| backoff.is_due(now) && to.peer() != self.identity.peer_id())
            .map(|(to, _)| to.clone())
            .collect();
        for to in due {
            if !self.swarm.is_connected(&to.peer()) && !self.is_dialing(&to.peer()) {
                let addresses = self.addresses_to_dial(&to);
                self.dial(to.peer(), addresses);
            }
        }
    }

    fn dial_known(&mut self, now: Duration) {
        let mut busy: HashSet<PeerId> = self.swarm.connected_peers().copied().collect();
        busy.extend(&self.peers.dialing);
        let missing = self
            .config
            .discovery
            .peers_wanted
            .saturating_sub(busy.len());
        busy.insert(self.identity.peer_id());
        for peer in self
            .peers
            .book
            .due(now, missing.min(DIALS_PER_UPKEEP), &busy)
        {
            let addresses = self.peers.book.addresses_of(&peer).to_vec();
            self.dial(peer, addresses);
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let dial = DialOpts::peer_id(peer)
            .addresses(addresses)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .allocate_new_port()
            .build();
        match self.swarm.dial(dial) {
            Ok(()) => self.dial_began(peer),
            Err(error) => {
                tracing::debug!(%peer, %error, "a dial did not begin");
                self.peer_not_reached(peer);
            }
        }
    }

    pub(super) fn dial_began(&mut self, peer: PeerId) {
        self.peers.dialing.insert(peer);
    }

    pub(super) fn is_dialing(&self, peer: &PeerId) -> bool {
        self.peers.dialing.contains(peer)
    }

    /// Where to dial a peer: what the operator vouches for, what the peer signed, and of the addresses
    /// given those a stranger may name.
    pub(super) fn addresses_to_dial(&self, to: &PeerAddress) -> Vec<Multiaddr> {
        let peer = to.peer();
        let vouched = self
            .peers
            .bootstrap
            .iter()
            .filter(|(known, _)| known.peer() == peer);
        let mut addresses: Vec<Multiaddr> = vouched
            .flat_map(|(known, _)| known.addresses().iter().cloned())
            .collect();
        let given = to
            .addresses()
            .iter()
            .filter(|address| self.peers.reach.allows(address));
        for address in given.chain(self.peers.book.addresses_of(&peer)) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses.truncate(ADDRESSES_PER_PEER.saturating_mul(2));
        addresses
    }

    pub(super) fn peer_reached(&mut self, peer: PeerId, dialled: bool) {
        let now = self.now();
        self.peers.dialing.remove(&peer);
        self.peers.connected_since.entry(peer).or_insert(now);
        self.peers.book.connected(peer);
        // The side that dialled asks; its request tells the other side about us.
        if dialled {
            self.ask(peer);
        }
    }

    /// A connection that ended at once counts as a failed dial: a full peer that takes connections only to
    /// drop them would otherwise be dialled without a pause.
    pub(super) fn peer_lost(&mut self, peer: PeerId) {
        let now = self.now();
        let since = self.peers.connected_since.remove(&peer).unwrap_or(now);
        if now.saturating_sub(since) < SETTLED {
            return self.peer_not_reached(peer);
        }
        self.peers.book.settled(peer);
        for (_, backoff) in self
            .peers
            .bootstrap
            .iter_mut()
            .filter(|(to, _)| to.peer() == peer)
        {
            backoff.succeeded();
        }
    }

    pub(super) fn peer_not_reached(&mut self, peer: PeerId) {
        let (now, random) = (self.now(), self.random());
        let limits = &self.config.discovery;
        let pauses = Pauses {
            min: limits.redial_min,
            max: limits.redial_max,
        };
        self.peers.dialing.remove(&peer);
        self.peers.book.dial_failed(peer, now, random);
        for (_, backoff) in self
            .peers
            .bootstrap
            .iter_mut()
            .filter(|(to, _)| to.peer() == peer)
        {
            backoff.failed(now, pauses, random);
        }
    }

    /// Notes where this node is found; returns the addresses worth telling.
    pub(super) fn reach_changed(&mut self, own: &[Multiaddr]) -> Vec<Multiaddr> {
        let vouched = self
            .peers
            .bootstrap
            .iter()
            .flat_map(|(to, _)| to.addresses());
        let reach = Reach::new(own, vouched);
        self.peers.reach = reach;
        own.iter()
            .filter(|address| reach.allows(address))
            .cloned()
            .collect()
    }

    pub(super) fn own_record_changed(&mut self, own: &PeerAddress) {
        if own.addresses().is_empty() {
            self.peers.own = None;
            return;
        }
        match SignedRecord::of_self(&self.identity, own) {
            Ok(record) => self.peers.own = Some(record),
            Err(error) => tracing::error!(%error, "our own record cannot be signed"),
        }
        if self.swarm.connected_peers().next().is_some() {
            self.peers.next_exchange = self.now();
        }
    }

    fn ask(&mut self, peer: PeerId) {
        let wanted = self.config.discovery.exchange_records;
        let body = ExchangeRequest::encode(wanted, self.peers.own.as_ref());
        let frame = RequestFrame::Body(Held::free(body));
        self.swarm
            .behaviour_mut()
            .exchange
            .send_request(&peer, frame);
    }

    fn ask_some(&mut self) {
        let mut connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        let random = usize::try_from(self.random()).unwrap_or(usize::MAX);
        let turn = random.checked_rem(connected.len()).unwrap_or(0);
        connected.rotate_left(turn);
        for peer in connected.into_iter().take(ASKED_AT_ONCE) {
            self.ask(peer);
        }
    }

    pub(super) fn on_exchange_event(&mut self, event: Event<RequestFrame, ResponseFrame>) {
        match event {
            Event::Message {
                peer,
                message:
                    Message::Request {
                        request, channel, ..
                    },
                ..
            } => {
                // Whoever asks wrongly or too often gets no answer.
                if let Some(frame) = self.answer_exchange(peer, request) {
                    // An error says that the asker is gone.
                    self.swarm
                        .behaviour_mut()
                        .exchange
                        .send_response(channel, frame)
                        .ok();
                }
            }
            Event::Message {
                peer,
                message: Message::Response { response, .. },
                ..
            } => {
                if let ResponseFrame::Body(held) = response {
                    self.on_records(peer, held);
                }
            }
            Event::OutboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "a peer exchange failed");
            }
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn answer_exchange(&mut self, from: PeerId, request: RequestFrame) -> Option<ResponseFrame> {
        self.peers.quota.take(&from).ok()?;
        let RequestFrame::Body(Held { body, hold: _hold }) = request else {
            return None;
        };
        let request = ExchangeRequest::decode(body).ok()?;
        if let Some(encoded) = request.own {
            match SignedRecord::verify(&encoded) {
                Ok(record) if record.peer() == from => self.take_record(record, Heard::Met),
                Ok(_) | Err(_) => self.metrics.records_refused.add_one(),
            }
        }
        let wanted = usize::from(request.wanted.min(self.config.discovery.exchange_records));
        let own = self.peers.own.iter();
        let others = self
            .peers
            .book
            .sample(wanted.saturating_sub(own.len()), from, self.random());
        let body = ExchangeResponse::encode(own.chain(others).take(wanted));
        Some(ResponseFrame::Body(Held::free(body)))
    }

    fn on_records(&mut self, from: PeerId, held: Held) {
        let Ok(response) = ExchangeResponse::decode(held.body) else {
            tracing::debug!(peer = %from, "a peer answers an exchange with something else");
            self.metrics.records_refused.add_one();
            return;
        };
        for encoded in response.records {
            match SignedRecord::verify(&encoded) {
                Ok(record) if record.peer() == self.identity.peer_id() => {}
                Ok(record) => {
                    let met = self.swarm.is_connected(&record.peer());
                    self.take_record(record, if met { Heard::Met } else { Heard::Relayed });
                }
                Err(error) => {
                    tracing::debug!(peer = %from, %error, "a record is refused");
                    self.metrics.records_refused.add_one();
                }
            }
        }
    }

    fn take_record(&mut self, record: SignedRecord, heard: Heard) {
        match self.peers.book.ingest(record, heard, self.peers.reach) {
            Ingested::Taken => self.metrics.records_taken.add_one(),
            Ingested::Known => {}
            Ingested::Refused => self.metrics.records_refused.add_one(),
        }
    }

    /// Writes the peerstore in the background if it changed, at most once per interval.
    async fn keep_peers(&mut self, now: Duration) {
        if self
            .peers
            .saving
            .as_ref()
            .is_some_and(|saving| !saving.is_finished())
        {
            return;
        }
        if let Some(saving) = self.peers.saving.take() {
            self.note_saved(saving.await);
        }
        if now < self.peers.next_save || !self.peers.book.take_changed() {
            return;
        }
        self.peers.next_save = now.saturating_add(self.config.discovery.save_interval);
        self.begin_save();
    }

    fn begin_save(&mut self) {
        if let Some(store) = self.peers.store.clone() {
            let content = Peerstore::encode(&self.peers.book.to_keep());
            self.peers.saving = Some(spawn_blocking(move || store.save(&content)));
        }
    }

    fn note_saved(&mut self, saved: Result<std::io::Result<()>, tokio::task::JoinError>) {
        match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::warn!(%error, "the peerstore was not written"),
            Err(error) => tracing::error!(%error, "writing the peerstore ended badly"),
        }
        self.metrics.peerstore_failures.add_one();
        self.peers.book.set_changed();
    }

    /// Writes what is still to be written. Kept records that were never looked at stay in the file.
    pub(super) async fn keep_peers_now(&mut self) {
        let saving = async {
            if let Some(saving) = self.peers.saving.take() {
                self.note_saved(saving.await);
            }
            if self.peers.kept.is_empty() && self.peers.book.take_changed() {
                self.begin_save();
            }
            if let Some(saving) = self.peers.saving.take() {
                self.note_saved(saving.await);
            }
        };
        if tokio::time::timeout(KEEP, saving).await.is_err() {
            tracing::warn!("the peerstore was not written in time");
        }
    }
}
