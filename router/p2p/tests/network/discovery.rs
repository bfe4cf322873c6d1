//! How nodes find each other over sockets, and keep to their bounds while they do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use d402_p2p::{
    DialFailure, Libp2pNetwork, Network, NetworkConfig, NodeIdentity, PeerAddress, PeerEvent,
    PeerId, Rate, RequestError, StartError, Topic,
};

use crate::world::{Node, SOON, quick, soon, start, until};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

fn fresh() -> NodeIdentity {
    NodeIdentity::generate().unwrap()
}

fn config(listen: &[&str], bootstrap: &[&PeerAddress]) -> NetworkConfig {
    let mut config = quick();
    config.listen = listen.iter().map(|text| text.parse().unwrap()).collect();
    config.bootstrap = bootstrap.iter().map(|address| (*address).clone()).collect();
    config
}

async fn connected(node: &Node, peer: PeerId) {
    until(|| async { node.net.peers().contains(&peer) }).await;
}

fn nameless(peer: PeerId) -> PeerAddress {
    PeerAddress::new(peer, []).unwrap()
}

#[tokio::test]
async fn a_node_reaches_another_through_the_peer_both_know() {
    // B never asks anybody: it knows C because C introduced itself.
    let mut silent = config(&[TCP], &[]);
    silent.discovery.exchange_interval = Duration::from_secs(3600);
    silent.discovery.peers_wanted = 0;
    let b = start(fresh(), silent).await;
    let mut quiet = config(&[QUIC], &[&b.address()]);
    quiet.discovery.peers_wanted = 0;
    let c = start(fresh(), quiet.clone()).await;
    connected(&c, b.peer()).await;
    quiet.listen = vec![TCP.parse().unwrap(), QUIC.parse().unwrap()];
    let d = start(fresh(), quiet).await;
    let (at_c, from_d) = (c.peer(), d.peer());
    let served = c.serve(move |request| {
        assert_eq!(request.from, from_d);
        request.responder.reply(request.body).unwrap();
    });
    // D is told nothing but B's address; C's comes from B, signed by C.
    until(|| async {
        let asked = d
            .net
            .request(&nameless(at_c), Bytes::from_static(b"hi"), SOON)
            .await;
        matches!(asked, Ok(body) if body == "hi")
    })
    .await;
    served.shutdown().await;
}

#[tokio::test]
async fn nodes_that_know_one_bootstrap_peer_connect_with_each_other() {
    let b = start(fresh(), config(&[TCP], &[])).await;
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(start(fresh(), config(&[TCP, QUIC], &[&b.address()])).await);
    }
    for node in &nodes {
        until(|| async { node.net.peers().len() == 4 }).await;
    }
}

#[tokio::test]
async fn a_node_comes_back_without_any_bootstrap_peer() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("node");
    let b = start(fresh(), config(&[TCP], &[])).await;
    let c = start(fresh(), config(&[TCP], &[&b.address()])).await;
    connected(&c, b.peer()).await;
    let mut kept = config(&[TCP], &[&b.address()]);
    kept.peerstore = Some(state.join("peers.json"));
    let identity = NodeIdentity::load_or_create(&state).unwrap();
    let a = start(identity, kept.clone()).await;
    let name = a.peer();
    connected(&a, c.peer()).await;
    soon(a.net.shutdown()).await;
    soon(b.net.shutdown()).await;

    let identity = NodeIdentity::load_or_create(&state).unwrap();
    let a = start(identity, kept).await;
    assert_eq!(a.peer(), name, "the identity persists");
    connected(&a, c.peer()).await;
    assert!(!a.net.peers().contains(&b.peer()));
}

#[tokio::test]
async fn a_bootstrap_peer_that_comes_up_late_or_again_is_reached() {
    let identity = fresh();
    let early = start(identity.clone(), config(&[TCP], &[])).await;
    let address = early.address();
    soon(early.net.shutdown()).await;
    drop(early);

    let mut node = start(fresh(), config(&[TCP], &[&address])).await;
    until(|| async { node.net.metrics().dials_failed > 0 }).await;
    let listen = address.addresses().first().unwrap().to_string();
    let boot = start(identity.clone(), config(&[&listen], &[])).await;
    connected(&node, boot.peer()).await;
    soon(boot.net.shutdown()).await;
    drop(boot);
    soon(async {
        let expected = PeerEvent::Disconnected {
            peer: address.peer(),
        };
        while node.inbox.peers.recv().await.unwrap() != expected {}
    })
    .await;
    let boot = start(identity, config(&[&listen], &[])).await;
    connected(&node, boot.peer()).await;
}

#[tokio::test]
async fn somebody_else_at_the_address_is_noticed() {
    let node = start(fresh(), config(&[TCP], &[])).await;
    let other = start(fresh(), config(&[TCP], &[])).await;
    let peer = PeerId::random();
    let to = PeerAddress::new(peer, other.address().addresses().to_vec()).unwrap();
    let refused = node.net.request(&to, Bytes::new(), SOON).await;
    let failure = DialFailure::WrongPeer {
        obtained: Box::new(other.peer()),
    };
    assert_eq!(refused, Err(RequestError::Unreachable { peer, failure }));
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_a_typed_error() {
    let node = start(fresh(), config(&[TCP], &[])).await;
    let gone = start(fresh(), config(&[TCP], &[])).await;
    let (to, peer) = (gone.address(), gone.peer());
    soon(gone.net.shutdown()).await;
    drop(gone);
    let refused = node.net.request(&to, Bytes::new(), SOON).await;
    let failure = DialFailure::Transport { attempts: 1 };
    assert_eq!(refused, Err(RequestError::Unreachable { peer, failure }));
}

#[tokio::test]
async fn a_node_on_loopback_dials_no_private_address_a_stranger_names() {
    let node = start(fresh(), config(&[TCP], &[])).await;
    let peer = PeerId::random();
    let to = PeerAddress::new(peer, ["/ip4/10.0.0.1/tcp/80".parse().unwrap()]).unwrap();
    let refused = node.net.request(&to, Bytes::new(), SOON).await;
    assert_eq!(refused, Err(RequestError::UnknownPeer { peer }));
}

#[tokio::test]
async fn advertised_addresses_replace_the_listen_addresses_in_what_others_are_told() {
    let mut advertising = config(&[TCP], &[]);
    advertising.advertise = vec!["/ip4/127.0.0.1/tcp/9".parse().unwrap()];
    let node = start(fresh(), advertising).await;
    assert_eq!(
        node.address().addresses(),
        ["/ip4/127.0.0.1/tcp/9".parse().unwrap()]
    );
}

#[tokio::test]
async fn a_full_node_refuses_further_connections_and_serves_those_it_has() {
    let mut full = config(&[TCP], &[]);
    full.connections.inbound = 1;
    full.discovery.peers_wanted = 0;
    let server = start(fresh(), full).await;
    let to = server.address();
    let served = server.echo();
    let first = start(fresh(), config(&[TCP], &[])).await;
    first.net.request(&to, Bytes::new(), SOON).await.unwrap();
    let second = start(fresh(), config(&[TCP], &[])).await;
    let refused = second
        .net
        .request(&to, Bytes::new(), SOON)
        .await
        .unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    first.net.request(&to, Bytes::new(), SOON).await.unwrap();
    served.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_drops_every_connection_is_dialled_with_growing_pauses() {
    let mut full = config(&[TCP], &[]);
    full.connections.inbound = 1;
    let server = start(fresh(), full).await;
    let first = start(fresh(), config(&[TCP], &[&server.address()])).await;
    connected(&first, server.peer()).await;
    let began = tokio::time::Instant::now();
    let second = start(fresh(), config(&[TCP], &[&server.address()])).await;
    let refused = server.net.metrics().inbound_connections_failed;
    until(|| async { server.net.metrics().inbound_connections_failed >= refused + 6 }).await;
    // Five pauses of at least half of 50, 100, 200, 200 and 200 ms.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(375), "{took:?}");
    soon(second.net.shutdown()).await;
}

#[tokio::test]
async fn an_answer_being_worked_on_is_still_given_during_a_shutdown() {
    let mut server = start(fresh(), config(&[TCP], &[])).await;
    let to = server.address();
    let asker = start(fresh(), config(&[TCP], &[])).await;
    let asked = tokio::spawn(async move {
        asker
            .net
            .request(&to, Bytes::from_static(b"work"), SOON)
            .await
    });
    let request = soon(server.inbox.requests.recv()).await.unwrap();
    let net = server.net.clone();
    let stopping = tokio::spawn(async move { net.shutdown().await });
    // The commands are closed first: once a request of its own is refused, the shutdown has begun.
    until(|| async {
        let own = server
            .net
            .request(&nameless(PeerId::random()), Bytes::new(), SOON)
            .await;
        own == Err(RequestError::Closed)
    })
    .await;
    request
        .responder
        .reply(Bytes::from_static(b"done"))
        .unwrap();
    assert_eq!(soon(asked).await.unwrap().as_deref(), Ok(&b"done"[..]));
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_neighbour_that_gossips_beyond_its_rate_is_not_heard_for_a_while() {
    let mut limited = config(&[TCP], &[]);
    limited.gossip.per_peer_rate = Rate::new(1, 3);
    limited.gossip.mute = Duration::from_millis(1500);
    let victim = start(fresh(), limited).await;
    let mut loud = start(fresh(), config(&[TCP], &[&victim.address()])).await;
    loud.heard_by(victim.peer(), Topic::Receipts).await;
    for n in 0..50_u8 {
        loud.net
            .publish(Topic::Receipts, Bytes::from(vec![n]))
            .await
            .unwrap();
    }
    until(|| async { victim.net.metrics().gossip_refused_peer_rate > 0 }).await;
    let muted = victim.net.metrics();
    assert_eq!(
        muted.gossip_refused_peer_rate, 1,
        "after the first it is not heard: {muted:?}"
    );
    assert!(muted.gossip_received <= 5, "{muted:?}");
    let counter = std::sync::atomic::AtomicU8::new(100);
    until(|| async {
        let n = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
        loud.net
            .publish(Topic::Receipts, Bytes::from(vec![n]))
            .await
            .unwrap();
        victim.net.metrics().gossip_received > muted.gossip_received
    })
    .await;
}

#[tokio::test]
async fn an_address_in_use_is_a_typed_error_at_the_start() {
    let node = start(fresh(), config(&[TCP], &[])).await;
    let taken = node.address().addresses().first().unwrap().to_string();
    let refused = Libp2pNetwork::start(fresh(), config(&[&taken], &[])).await;
    assert!(matches!(refused, Err(StartError::Listen { .. })));
}

#[tokio::test]
async fn dropping_the_handle_closes_the_node() {
    let node = start(fresh(), config(&[TCP], &[])).await;
    let other = start(fresh(), config(&[TCP], &[&node.address()])).await;
    let peer = node.peer();
    connected(&other, peer).await;
    let Node { net, mut inbox } = node;
    drop(net);
    soon(async { while inbox.recv().await.is_some() {} }).await;
    until(|| async { !other.net.peers().contains(&peer) }).await;
}

#[tokio::test]
async fn handles_are_shared_between_tasks() {
    let server = start(fresh(), config(&[TCP, QUIC], &[])).await;
    let to = server.address();
    assert_eq!(to.addresses().len(), 2);
    let served = server.echo();
    let asker = start(fresh(), config(&[TCP], &[])).await;
    let net: Arc<dyn Network> = asker.net.clone();
    let tasks: Vec<_> = (0..32_u8)
        .map(|n| {
            let (net, to) = (net.clone(), to.clone());
            tokio::spawn(async move { net.request(&to, Bytes::from(vec![n]), SOON).await })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let answer = soon(task).await.unwrap().unwrap();
        assert_eq!(usize::from(answer[0]), n);
    }
    served.shutdown().await;
}
