//! What every implementation of the network must do.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use d402_p2p::{
    GossipLimits, InboundGossip, PeerAddress, PeerEvent, PeerId, PublishError, Rate, Refusal,
    ReplyTooLarge, RequestError, RpcLimits, Topic, memory::MemoryHub,
};
use futures::future::join_all;

use crate::world::{Node, SOON, Setup, World, soon, until};

/// Runs each behaviour on each implementation.
macro_rules! on_every_network {
    ($($name:ident),* $(,)?) => {
        mod tcp { $(#[tokio::test] async fn $name() { super::$name(super::World::Tcp).await; })* }
        mod quic { $(#[tokio::test] async fn $name() { super::$name(super::World::Quic).await; })* }
        mod memory {
            $(#[tokio::test] async fn $name() {
                super::$name(super::World::Memory(super::MemoryHub::new())).await;
            })*
        }
    };
}

on_every_network! {
    a_request_of_five_mebibytes_is_answered_with_as_much,
    a_request_beyond_our_limit_is_not_sent,
    a_request_beyond_the_peers_limit_is_refused_with_that_limit,
    a_reply_beyond_the_repliers_limit_is_an_error_on_both_sides,
    a_response_beyond_the_askers_limit_is_not_taken,
    a_request_nobody_answers_ends_at_its_timeout,
    a_request_the_application_drops_is_told_so,
    a_peer_nobody_knows_is_a_typed_error,
    a_request_to_oneself_is_refused,
    a_full_queue_answers_busy,
    a_flood_of_one_peer_is_bounded_while_another_is_served,
    a_peer_beyond_its_rate_is_told_when_to_come_back,
    too_many_requests_of_our_own_are_refused_here,
    accepted_gossip_reaches_nodes_that_are_not_neighbours,
    gossip_that_is_not_accepted_is_not_relayed,
    a_key_beyond_its_quota_is_dropped_before_the_application,
    a_message_beyond_the_limit_is_not_published,
    a_message_nobody_listens_to_is_a_typed_error,
    a_message_is_published_once,
    a_node_that_is_shut_down_says_so_to_itself_and_its_neighbours,
}

async fn a_request_of_five_mebibytes_is_answered_with_as_much(world: World) {
    let server = world.node(Setup::default()).await;
    let (to, expected) = (server.address(), server.peer());
    let asker = world.node(Setup::default()).await;
    let from = asker.peer();
    let served = server.serve(move |request| {
        assert_eq!(request.from, from);
        request.responder.reply(request.body).unwrap();
    });
    let body = Bytes::from(
        (0..5 << 20)
            .map(|n: u32| n.to_le_bytes()[0] ^ 7)
            .collect::<Vec<_>>(),
    );
    let answer = asker.net.request(&to, body.clone(), SOON).await.unwrap();
    assert_eq!(answer, body);
    assert_eq!(
        asker.net.request(&to, Bytes::new(), SOON).await,
        Ok(Bytes::new())
    );
    assert_eq!(served.net.local_peer(), expected);
    assert_eq!(asker.net.metrics().requests_answered, 2);
    served.shutdown().await;
}

fn small(request: u32, response: u32) -> Setup {
    let rpc = RpcLimits {
        request_bytes_max: request,
        response_bytes_max: response,
        ..Default::default()
    };
    Setup {
        rpc,
        ..Setup::default()
    }
}

async fn a_request_beyond_our_limit_is_not_sent(world: World) {
    let server = world.node(Setup::default()).await;
    let asker = world.node(small(4, 1024)).await;
    let refused = asker.request(&server, b"five!").await;
    assert_eq!(
        refused,
        Err(RequestError::RequestTooLarge { got: 5, limit: 4 })
    );
    assert_eq!(asker.net.metrics().requests_sent, 0);
}

async fn a_request_beyond_the_peers_limit_is_refused_with_that_limit(world: World) {
    let server = world.node(small(1 << 10, 1 << 10)).await;
    let to = server.address();
    let asker = world.node(Setup::default()).await;
    let served = server.echo();
    let large = Bytes::from(vec![1; 5 << 20]);
    let refused = asker.net.request(&to, large, SOON).await;
    assert_eq!(
        refused,
        Err(RequestError::Refused(Refusal::RequestTooLarge {
            limit: 1 << 10
        }))
    );
    let answered = asker
        .net
        .request(&to, Bytes::from_static(b"small"), SOON)
        .await;
    assert_eq!(answered.as_deref(), Ok(&b"small"[..]));
    served.shutdown().await;
}

async fn a_reply_beyond_the_repliers_limit_is_an_error_on_both_sides(world: World) {
    let server = world.node(small(4, 4)).await;
    let to = server.address();
    let asker = world.node(Setup::default()).await;
    let served = server.serve(|request| {
        let refused = request.responder.reply(Bytes::from_static(b"five!"));
        assert_eq!(refused, Err(ReplyTooLarge { got: 5, limit: 4 }));
    });
    let refused = asker.net.request(&to, Bytes::new(), SOON).await;
    assert_eq!(
        refused,
        Err(RequestError::Refused(Refusal::ResponseTooLarge {
            limit: 4
        }))
    );
    served.shutdown().await;
}

async fn a_response_beyond_the_askers_limit_is_not_taken(world: World) {
    let server = world.node(Setup::default()).await;
    let to = server.address();
    let asker = world.node(small(4, 4)).await;
    let served = server.serve(|request| {
        request
            .responder
            .reply(Bytes::from_static(b"five!"))
            .unwrap()
    });
    let refused = asker.net.request(&to, Bytes::new(), SOON).await;
    assert_eq!(
        refused,
        Err(RequestError::ResponseTooLarge { got: 5, limit: 4 })
    );
    served.shutdown().await;
}

async fn a_request_nobody_answers_ends_at_its_timeout(world: World) {
    let mut server = world.node(Setup::default()).await;
    let asker = world.node(Setup::default()).await;
    let after = Duration::from_millis(300);
    let to = server.address();
    let (ended, taken) = tokio::join!(
        asker.net.request(&to, Bytes::new(), after),
        soon(server.inbox.requests.recv()),
    );
    assert_eq!(ended, Err(RequestError::Timeout { after }));
    taken
        .unwrap()
        .responder
        .reply(Bytes::from_static(b"late"))
        .unwrap();
    let served = server.echo();
    let next = asker
        .net
        .request(&to, Bytes::from_static(b"next"), SOON)
        .await;
    assert_eq!(
        next.as_deref(),
        Ok(&b"next"[..]),
        "a late answer is not taken for the next"
    );
    served.shutdown().await;
}

async fn a_request_the_application_drops_is_told_so(world: World) {
    let server = world.node(Setup::default()).await;
    let to = server.address();
    let asker = world.node(Setup::default()).await;
    let served = server.serve(drop);
    let refused = asker.net.request(&to, Bytes::new(), SOON).await;
    assert_eq!(refused, Err(RequestError::Refused(Refusal::NoAnswer)));
    served.shutdown().await;
}

async fn a_peer_nobody_knows_is_a_typed_error(world: World) {
    let asker = world.node(Setup::default()).await;
    let peer = PeerId::random();
    let to = PeerAddress::new(peer, []).unwrap();
    let refused = asker
        .net
        .request(&to, Bytes::new(), SOON)
        .await
        .unwrap_err();
    assert_eq!(refused, RequestError::UnknownPeer { peer });
    assert!(refused.was_not_sent());
}

async fn a_request_to_oneself_is_refused(world: World) {
    let node = world.node(Setup::default()).await;
    assert_eq!(node.request(&node, b"me").await, Err(RequestError::ToSelf));
}

async fn a_full_queue_answers_busy(world: World) {
    let rpc = RpcLimits {
        inbound_queue: 2,
        ..RpcLimits::default()
    };
    let server = world
        .node(Setup {
            rpc,
            ..Setup::default()
        })
        .await;
    let asker = world.node(Setup::default()).await;
    let to = server.address();
    // Nobody reads the queue: two requests wait in it, the others are answered at once.
    let asked = (0..6).map(|_| asker.net.request(&to, Bytes::new(), Duration::from_secs(3)));
    let answers = join_all(asked).await;
    let busy = answers
        .iter()
        .filter(|a| **a == Err(RequestError::Refused(Refusal::Busy)))
        .count();
    let waiting = answers
        .iter()
        .filter(|a| matches!(a, Err(RequestError::Timeout { .. })))
        .count();
    assert_eq!((busy, waiting), (4, 2), "{answers:?}");
    assert_eq!(server.net.metrics().requests_refused_busy, 4);
}

async fn a_flood_of_one_peer_is_bounded_while_another_is_served(world: World) {
    let rpc = RpcLimits {
        inbound_per_peer: 4,
        ..RpcLimits::default()
    };
    let server = world
        .node(Setup {
            rpc,
            ..Setup::default()
        })
        .await;
    let to = server.address();
    let rpc = RpcLimits {
        outbound_per_peer: 200,
        ..RpcLimits::default()
    };
    let flooder = world
        .node(Setup {
            rpc,
            ..Setup::default()
        })
        .await;
    let honest = world.node(Setup::default()).await;
    let (flooding, mut held) = (flooder.peer(), Vec::new());
    let served = server.serve(move |request| {
        if request.from == flooding {
            held.push(request.responder);
        } else {
            request.responder.reply(request.body).unwrap();
        }
    });
    let flood = (0..100).map(|_| {
        let body = Bytes::from(vec![0; 2 << 10]);
        flooder.net.request(&to, body, Duration::from_secs(5))
    });
    let honest_requests = async {
        until(|| async { served.net.metrics().requests_refused_busy > 0 }).await;
        for _ in 0..20 {
            let answer = honest
                .net
                .request(&to, Bytes::from_static(b"honest"), SOON)
                .await;
            assert_eq!(answer.as_deref(), Ok(&b"honest"[..]));
        }
    };
    let (answers, ()) = tokio::join!(join_all(flood), honest_requests);
    let busy = answers
        .iter()
        .filter(|a| **a == Err(RequestError::Refused(Refusal::Busy)))
        .count();
    assert_eq!(busy, 96, "{answers:?}");
    assert_eq!(served.net.metrics().requests_received, 4 + 20);
}

async fn a_peer_beyond_its_rate_is_told_when_to_come_back(world: World) {
    let rpc = RpcLimits {
        per_peer_rate: Rate::new(1, 3),
        ..RpcLimits::default()
    };
    let server = world
        .node(Setup {
            rpc,
            ..Setup::default()
        })
        .await;
    let to = server.address();
    let eager = world.node(Setup::default()).await;
    let other = world.node(Setup::default()).await;
    let served = server.echo();
    let answers = join_all((0..8).map(|_| eager.net.request(&to, Bytes::new(), SOON))).await;
    let limited = answers.iter().filter(|answer| {
        matches!(
            answer,
            Err(RequestError::Refused(Refusal::RateLimited {
                retry_after_ms: 1..=1000
            }))
        )
    });
    // Cells come back at one a second, so a slow machine may let one or two more through.
    let limited = limited.count();
    assert!((3..=5).contains(&limited), "{answers:?}");
    other.net.request(&to, Bytes::new(), SOON).await.unwrap();
    served.shutdown().await;
}

async fn too_many_requests_of_our_own_are_refused_here(world: World) {
    let server = world.node(Setup::default()).await;
    let to = server.address();
    let rpc = RpcLimits {
        outbound_per_peer: 2,
        ..RpcLimits::default()
    };
    let asker = world
        .node(Setup {
            rpc,
            ..Setup::default()
        })
        .await;
    let asked = (0..5).map(|_| asker.net.request(&to, Bytes::new(), Duration::from_secs(2)));
    let answers = join_all(asked).await;
    let refused = answers
        .iter()
        .filter(|a| **a == Err(RequestError::TooManyInFlight { limit: 2 }));
    assert_eq!(refused.count(), 3, "{answers:?}");
}

/// Three nodes in a line, each hearing its neighbours.
async fn line(world: &World, middle: GossipLimits) -> [Node; 3] {
    let setup = Setup {
        gossip: middle,
        ..Setup::default()
    };
    let mut b = world.node(setup).await;
    let mut a = world.node(Setup::linked(&[&b])).await;
    let mut c = world.node(Setup::linked(&[&b])).await;
    let (at_a, at_b, at_c) = (a.peer(), b.peer(), c.peer());
    a.heard_by(at_b, Topic::Receipts).await;
    c.heard_by(at_b, Topic::Receipts).await;
    let mut missing = HashSet::from([at_a, at_c]);
    soon(async {
        while !missing.is_empty() {
            if let PeerEvent::Subscribed {
                peer,
                topic: Topic::Receipts,
            } = b.inbox.peers.recv().await.unwrap()
            {
                missing.remove(&peer);
            }
        }
    })
    .await;
    assert!(!a.net.peers().contains(&at_c), "a line has no third edge");
    [a, b, c]
}

async fn publish(node: &Node, body: &'static [u8]) {
    node.net
        .publish(Topic::Receipts, Bytes::from_static(body))
        .await
        .unwrap();
}

async fn hear(node: &mut Node) -> InboundGossip {
    soon(node.inbox.gossip.recv()).await.unwrap()
}

async fn accepted_gossip_reaches_nodes_that_are_not_neighbours(world: World) {
    let [a, mut b, mut c] = line(&world, GossipLimits::default()).await;
    publish(&a, b"news").await;
    let at_b = hear(&mut b).await;
    assert_eq!(
        (at_b.from, at_b.source, at_b.topic),
        (a.peer(), a.peer(), Topic::Receipts)
    );
    assert_eq!(
        c.net.metrics().gossip_received,
        0,
        "nothing is relayed before the verdict"
    );
    at_b.verdict.accept();
    let at_c = hear(&mut c).await;
    assert_eq!((at_c.from, at_c.source), (b.peer(), a.peer()));
    assert_eq!(at_c.body.as_ref(), b"news");
}

async fn gossip_that_is_not_accepted_is_not_relayed(world: World) {
    let [a, mut b, mut c] = line(&world, GossipLimits::default()).await;
    publish(&a, b"invalid").await;
    hear(&mut b).await.verdict.reject();
    publish(&a, b"useless").await;
    hear(&mut b).await.verdict.ignore();
    publish(&a, b"forgotten").await;
    drop(hear(&mut b).await);
    publish(&a, b"valid").await;
    hear(&mut b).await.verdict.accept();
    let only = hear(&mut c).await;
    assert_eq!(only.body.as_ref(), b"valid");
    assert_eq!(c.net.metrics().gossip_received, 1);
    let b = b.net.metrics();
    assert_eq!(
        (b.gossip_received, b.gossip_accepted, b.gossip_rejected),
        (4, 1, 1)
    );
}

async fn a_key_beyond_its_quota_is_dropped_before_the_application(world: World) {
    let limits = GossipLimits {
        per_source_rate: Rate::new(1, 3),
        ..GossipLimits::default()
    };
    let [a, b, mut c] = line(&world, limits).await;
    for n in 0..10_u8 {
        a.net
            .publish(Topic::Receipts, Bytes::from(vec![n]))
            .await
            .unwrap();
    }
    until(|| async {
        let at_b = b.net.metrics();
        at_b.gossip_received + at_b.gossip_refused_source_rate == 10
    })
    .await;
    let at_b = b.net.metrics();
    assert!((3..=5).contains(&at_b.gossip_received), "{at_b:?}");
    c.net
        .publish(Topic::Receipts, Bytes::from_static(b"another key"))
        .await
        .unwrap();
    until(|| async { b.net.metrics().gossip_received == at_b.gossip_received + 1 }).await;
    assert!(c.inbox.gossip.try_recv().is_err(), "B accepted nothing");
}

async fn a_message_beyond_the_limit_is_not_published(world: World) {
    let gossip = GossipLimits {
        message_bytes_max: 4,
        ..GossipLimits::default()
    };
    let node = world
        .node(Setup {
            gossip,
            ..Setup::default()
        })
        .await;
    let refused = node
        .net
        .publish(Topic::Receipts, Bytes::from_static(b"five!"))
        .await;
    assert_eq!(refused, Err(PublishError::TooLarge { got: 5, limit: 4 }));
}

async fn a_message_nobody_listens_to_is_a_typed_error(world: World) {
    let node = world.node(Setup::default()).await;
    let refused = node
        .net
        .publish(Topic::Receipts, Bytes::from_static(b"alone"))
        .await;
    assert_eq!(
        refused,
        Err(PublishError::NoListeners {
            topic: Topic::Receipts
        })
    );
}

async fn a_message_is_published_once(world: World) {
    let [a, mut b, _c] = line(&world, GossipLimits::default()).await;
    publish(&a, b"once").await;
    let again = a
        .net
        .publish(Topic::Receipts, Bytes::from_static(b"once"))
        .await;
    assert_eq!(again, Err(PublishError::Duplicate));
    publish(&a, b"twice").await;
    assert_eq!(hear(&mut b).await.body.as_ref(), b"once");
    assert_eq!(hear(&mut b).await.body.as_ref(), b"twice");
}

async fn a_node_that_is_shut_down_says_so_to_itself_and_its_neighbours(world: World) {
    let [mut a, b, c] = line(&world, GossipLimits::default()).await;
    let gone = b.peer();
    let to = b.address();
    let served = b.echo();
    a.net.request(&to, Bytes::new(), SOON).await.unwrap();
    let net = served.net.clone();
    served.shutdown().await;
    soon(async {
        let expected = PeerEvent::Disconnected { peer: gone };
        while a.inbox.peers.recv().await.unwrap() != expected {}
    })
    .await;
    until(|| async { !c.net.peers().contains(&gone) }).await;
    let closed = net.request(&a.address(), Bytes::new(), SOON).await;
    assert_eq!(closed, Err(RequestError::Closed));
    let closed = net
        .publish(Topic::Receipts, Bytes::from_static(b"late"))
        .await;
    assert_eq!(closed, Err(PublishError::Closed));
    soon(net.shutdown()).await;
}
