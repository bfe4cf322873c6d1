//! A peer that lies in the peer exchange, and what an honest node believes of it.

use std::time::Duration;

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    request_response::{Event, Message},
    swarm::SwarmEvent,
};
use tokio::time::timeout;

use super::behaviour::{self, Behaviour, BehaviourEvent};
use crate::{
    Libp2pNetwork, MetricsSnapshot, Network, NetworkConfig, NodeIdentity, PeerAddress,
    discovery::{ExchangeRequest, ExchangeResponse, SignedRecord},
    frame::{Budget, Held, RequestFrame, ResponseFrame},
};

const SOON: Duration = Duration::from_secs(20);

fn record_of(node: &NodeIdentity, address: &str) -> SignedRecord {
    let own = PeerAddress::new(node.peer_id(), [address.parse().unwrap()]).unwrap();
    SignedRecord::of_self(node, &own).unwrap()
}

/// The same record with another port: the signature no longer fits.
fn forged(record: &SignedRecord) -> Vec<u8> {
    let port = 4242_u16.to_be_bytes();
    let at = record
        .encoded()
        .windows(2)
        .position(|pair| pair == port)
        .unwrap();
    let mut encoded = record.encoded().to_vec();
    encoded[at] ^= 1;
    encoded
}

struct Forger {
    swarm: Swarm<Behaviour>,
    address: PeerAddress,
}

impl Forger {
    async fn start() -> Self {
        let identity = NodeIdentity::generate().unwrap();
        let config = NetworkConfig::default();
        let mut swarm = behaviour::build(&identity, &config, Budget::new(1 << 20)).unwrap();
        swarm
            .listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap())
            .unwrap();
        let listening = async {
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    return address;
                }
            }
        };
        let at: Multiaddr = timeout(SOON, listening).await.unwrap();
        let address = PeerAddress::new(identity.peer_id(), [at]).unwrap();
        Self { swarm, address }
    }

    /// Answers exchanges with `lies` until the victim has counted what `done` waits for.
    async fn lie(
        &mut self,
        lies: &[u8],
        victim: &Libp2pNetwork,
        done: impl Fn(MetricsSnapshot) -> bool,
    ) {
        let lying = async {
            loop {
                tokio::select! {
                    event = self.swarm.select_next_some() => Self::answer(&mut self.swarm, event, lies),
                    () = tokio::time::sleep(Duration::from_millis(10)) => {
                        if done(victim.metrics()) {
                            return;
                        }
                    }
                }
            }
        };
        timeout(SOON, lying).await.unwrap();
    }

    fn answer(swarm: &mut Swarm<Behaviour>, event: SwarmEvent<BehaviourEvent>, lies: &[u8]) {
        if let SwarmEvent::Behaviour(BehaviourEvent::Exchange(Event::Message {
            message: Message::Request { channel, .. },
            ..
        })) = event
        {
            let frame = ResponseFrame::Body(Held::free(lies.to_vec().into()));
            swarm
                .behaviour_mut()
                .exchange
                .send_response(channel, frame)
                .unwrap();
        }
    }
}

async fn victim_of(forger: &Forger) -> Libp2pNetwork {
    let mut config = NetworkConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap: vec![forger.address.clone()],
        ..NetworkConfig::default()
    };
    config.timings.upkeep = Duration::from_millis(20);
    let identity = NodeIdentity::generate().unwrap();
    // The inbox is of no interest: nobody sends requests or gossip here.
    let (network, _inbox) = Libp2pNetwork::start(identity, config).await.unwrap();
    network
}

#[tokio::test]
async fn a_forged_record_is_refused_and_a_genuine_one_beside_it_is_taken() {
    let mut forger = Forger::start().await;
    let (robbed, genuine) = (
        NodeIdentity::generate().unwrap(),
        NodeIdentity::generate().unwrap(),
    );
    let lie = forged(&record_of(&robbed, "/ip4/127.0.0.1/tcp/4242"));
    let truth = record_of(&genuine, "/ip4/127.0.0.1/tcp/9");
    let mut wire = u16::try_from(lie.len()).unwrap().to_be_bytes().to_vec();
    wire.extend(lie);
    wire.extend(ExchangeResponse::encode([&truth]));
    let victim = victim_of(&forger).await;
    forger
        .lie(&wire, &victim, |seen| {
            seen.records_refused == 1 && seen.records_taken == 1
        })
        .await;
    let ask = |peer: PeerId| {
        let to = PeerAddress::new(peer, []).unwrap();
        let victim = &victim;
        async move {
            victim
                .request(&to, bytes::Bytes::new(), SOON)
                .await
                .unwrap_err()
        }
    };
    let peer = robbed.peer_id();
    assert_eq!(ask(peer).await, crate::RequestError::UnknownPeer { peer });
    let known = ask(genuine.peer_id()).await;
    assert!(
        matches!(known, crate::RequestError::Unreachable { .. }),
        "it is dialled: {known:?}"
    );
    victim.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_introduces_itself_as_another_is_refused() {
    let mut forger = Forger::start().await;
    let other = record_of(&NodeIdentity::generate().unwrap(), "/ip4/127.0.0.1/tcp/9");
    let victim = victim_of(&forger).await;
    let peer = victim.local_peer();
    let connected = async {
        loop {
            let event = forger.swarm.select_next_some().await;
            if matches!(event, SwarmEvent::ConnectionEstablished { peer_id, .. } if peer_id == peer)
            {
                return;
            }
        }
    };
    timeout(SOON, connected).await.unwrap();
    let body = ExchangeRequest::encode(9, Some(&other));
    let frame = RequestFrame::Body(Held::free(body));
    forger
        .swarm
        .behaviour_mut()
        .exchange
        .send_request(&peer, frame);
    forger
        .lie(&[], &victim, |seen| seen.records_refused == 1)
        .await;
    assert_eq!(victim.metrics().records_taken, 0);
    victim.shutdown().await;
}
