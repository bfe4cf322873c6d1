//! The bounded book of known peers: a pure map, no IO, no clock.
//!
//! It holds only records signed by the peer they name, with addresses this node may dial. Invariants: at
//! most `peers` entries; at most `per_subnet` entries with an address in one /24 or /48; what relays say
//! never displaces a peer we were connected with.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use libp2p::{Multiaddr, PeerId};

use super::{
    backoff::{Backoff, Pauses},
    record::SignedRecord,
};
use crate::{
    DiscoveryLimits,
    address::{Reach, subnet_of},
};

/// Failed dials in a row after which a peer we never met is forgotten.
const FAILURES_UNMET_MAX: u32 = 6;
/// Failed dials in a row after which a peer we met is forgotten.
const FAILURES_MET_MAX: u32 = 40;

struct Entry {
    record: SignedRecord,
    /// The record's addresses this node may dial.
    usable: Vec<Multiaddr>,
    /// We were connected with the peer, in this run or an earlier one.
    met: bool,
    /// Grows with each meeting: the latest met are kept and dialled first.
    rank: u64,
    backoff: Backoff,
}

/// Where a record was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// We are connected with the peer it names, or were in an earlier run.
    Met,
    /// From somebody else.
    Relayed,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ingested {
    /// New or newer.
    Taken,
    /// Nothing new.
    Known,
    /// No address in it may be dialled from here, or a cap is reached.
    Refused,
}

pub(crate) struct AddressBook {
    peers_max: usize,
    per_subnet_max: usize,
    pauses: Pauses,
    entries: HashMap<PeerId, Entry>,
    rank: u64,
    changed: bool,
}

impl AddressBook {
    pub(crate) fn new(limits: &DiscoveryLimits) -> Self {
        Self {
            peers_max: limits.book_peers,
            per_subnet_max: limits.book_per_subnet,
            pauses: Pauses {
                min: limits.redial_min,
                max: limits.redial_max,
            },
            entries: HashMap::new(),
            rank: 0,
            changed: false,
        }
    }

    /// Takes a record if it is new, useful and within the caps.
    pub(crate) fn ingest(&mut self, record: SignedRecord, heard: Heard, reach: Reach) -> Ingested {
        let peer = record.peer();
        if let Some(known) = self.entries.get_mut(&peer) {
            if heard == Heard::Met && !known.met {
                known.met = true;
                self.changed = true;
            }
            // An equal sequence is a record of the same second: the later one heard counts.
            if record.sequence() < known.record.sequence() || record == known.record {
                return Ingested::Known;
            }
        }
        let usable = self.usable(&record, reach);
        if usable.is_empty() {
            return Ingested::Refused;
        }
        if let Some(known) = self.entries.get_mut(&peer) {
            known.record = record;
            known.usable = usable;
            known.backoff.succeeded();
            self.changed = true;
            return Ingested::Taken;
        }
        if self.entries.len() >= self.peers_max && !self.make_room(heard) {
            return Ingested::Refused;
        }
        let met = heard == Heard::Met;
        let rank = self.next_rank();
        let backoff = Backoff::default();
        self.entries.insert(
            peer,
            Entry {
                record,
                usable,
                met,
                rank,
                backoff,
            },
        );
        self.changed = true;
        Ingested::Taken
    }

    fn usable(&self, record: &SignedRecord, reach: Reach) -> Vec<Multiaddr> {
        let allowed = record
            .addresses()
            .iter()
            .filter(|address| reach.allows(address));
        allowed
            .filter(|address| self.subnet_has_room(address, record.peer()))
            .cloned()
            .collect()
    }

    fn subnet_has_room(&self, address: &Multiaddr, peer: PeerId) -> bool {
        let Some(subnet) = subnet_of(address) else {
            return true;
        };
        let others = self.entries.iter().filter(|(other, entry)| {
            **other != peer && entry.usable.iter().any(|a| subnet_of(a) == Some(subnet))
        });
        others.count() < self.per_subnet_max
    }

    /// Forgets the least useful entry that the newcomer may displace: one that failed, or for a peer we
    /// are connected with also one we never met.
    fn make_room(&mut self, newcomer: Heard) -> bool {
        let displaceable = self.entries.iter().filter(|(_, entry)| {
            !entry.met && (newcomer == Heard::Met || entry.backoff.failures() > 0)
        });
        let worst = displaceable
            .max_by_key(|(_, entry)| (entry.backoff.failures(), std::cmp::Reverse(entry.rank)))
            .map(|(peer, _)| *peer);
        worst.is_some_and(|peer| self.entries.remove(&peer).is_some())
    }

    fn next_rank(&mut self) -> u64 {
        self.rank = self.rank.saturating_add(1);
        self.rank
    }

    /// Notes a connection with the peer.
    pub(crate) fn connected(&mut self, peer: PeerId) {
        let rank = self.next_rank();
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.met = true;
            entry.rank = rank;
            self.changed = true;
        }
    }

    /// Notes that a connection with the peer lasted: earlier failures no longer count.
    pub(crate) fn settled(&mut self, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.backoff.succeeded();
        }
    }

    /// Notes a dial of the peer that failed; a peer that keeps failing is forgotten.
    pub(crate) fn dial_failed(&mut self, peer: PeerId, now: Duration, random: u64) {
        let Some(entry) = self.entries.get_mut(&peer) else {
            return;
        };
        entry.backoff.failed(now, self.pauses, random);
        let failures_max = if entry.met {
            FAILURES_MET_MAX
        } else {
            FAILURES_UNMET_MAX
        };
        if entry.backoff.failures() >= failures_max {
            self.entries.remove(&peer);
            self.changed = true;
        }
    }

    /// Where the peer may be dialled.
    pub(crate) fn addresses_of(&self, peer: &PeerId) -> &[Multiaddr] {
        self.entries
            .get(peer)
            .map_or(&[], |entry| entry.usable.as_slice())
    }

    /// Up to `max` peers to dial now, those met last first.
    pub(crate) fn due(&self, now: Duration, max: usize, except: &HashSet<PeerId>) -> Vec<PeerId> {
        let mut due: Vec<(&PeerId, &Entry)> = self
            .entries
            .iter()
            .filter(|(peer, entry)| entry.backoff.is_due(now) && !except.contains(peer))
            .collect();
        due.sort_by_key(|(_, entry)| std::cmp::Reverse((entry.met, entry.rank)));
        due.into_iter().take(max).map(|(peer, _)| *peer).collect()
    }

    /// Up to `max` records to tell others: only of peers we met, rotated by `random`.
    pub(crate) fn sample(&self, max: usize, except: PeerId, random: u64) -> Vec<&SignedRecord> {
        let mut met: Vec<&SignedRecord> = self
            .entries
            .values()
            .filter(|entry| entry.met && entry.record.peer() != except)
            .map(|entry| &entry.record)
            .collect();
        met.sort_by_key(|record| record.peer());
        let turn = usize::try_from(random)
            .unwrap_or(usize::MAX)
            .checked_rem(met.len())
            .unwrap_or(0);
        met.rotate_left(turn);
        met.truncate(max);
        met
    }

    /// Records of the peers we met, those met last first: what is worth keeping.
    pub(crate) fn to_keep(&self) -> Vec<&SignedRecord> {
        let mut met: Vec<&Entry> = self.entries.values().filter(|entry| entry.met).collect();
        met.sort_by_key(|entry| std::cmp::Reverse(entry.rank));
        met.into_iter().map(|entry| &entry.record).collect()
    }

    /// Whether something worth keeping changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Notes that what was to be kept was not.
    pub(crate) fn set_changed(&mut self) {
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::record::tests::*, *};
    use crate::NodeIdentity;

    fn book(peers: usize, per_subnet: usize) -> AddressBook {
        AddressBook::new(&DiscoveryLimits {
            book_peers: peers,
            book_per_subnet: per_subnet,
            ..DiscoveryLimits::default()
        })
    }

    fn public() -> Reach {
        Reach::new(&["/ip4/9.9.9.9/tcp/1".parse().unwrap()], &[])
    }

    fn fail(book: &mut AddressBook, peer: PeerId, times: u32) {
        for _ in 0..times {
            book.dial_failed(peer, Duration::ZERO, 0);
        }
    }

    #[test]
    fn one_subnet_gives_only_so_many_peers() {
        let mut book = book(100, 2);
        for host in 1..=2 {
            let record = record_with(&[&format!("/ip4/8.8.8.{host}/tcp/1")]);
            assert_eq!(
                book.ingest(record, Heard::Relayed, public()),
                Ingested::Taken
            );
        }
        let third = record_with(&["/ip4/8.8.8.3/tcp/1"]);
        assert_eq!(
            book.ingest(third, Heard::Relayed, public()),
            Ingested::Refused
        );
        let elsewhere = record_with(&["/ip4/8.8.8.4/tcp/1", "/ip4/8.8.9.4/tcp/1"]);
        let peer = elsewhere.peer();
        assert_eq!(
            book.ingest(elsewhere, Heard::Relayed, public()),
            Ingested::Taken
        );
        assert_eq!(
            book.addresses_of(&peer).len(),
            1,
            "only the address with room is used"
        );
    }

    #[test]
    fn loopback_peers_share_no_subnet() {
        let mut book = book(100, 2);
        let local = Reach::new(&["/ip4/127.0.0.1/tcp/1".parse().unwrap()], &[]);
        for port in 1..=9 {
            let record = record_with(&[&format!("/ip4/127.0.0.1/tcp/{port}")]);
            assert_eq!(book.ingest(record, Heard::Relayed, local), Ingested::Taken);
        }
    }

    #[test]
    fn a_full_book_takes_a_connected_peer_instead_of_hearsay_and_never_the_reverse() {
        let mut book = book(2, 100);
        let hearsay = record_with(&["/ip4/1.1.1.1/tcp/1"]);
        let met = record_with(&["/ip4/1.1.2.1/tcp/1"]);
        assert_eq!(
            book.ingest(hearsay.clone(), Heard::Relayed, public()),
            Ingested::Taken
        );
        assert_eq!(
            book.ingest(met.clone(), Heard::Met, public()),
            Ingested::Taken
        );
        let more = record_with(&["/ip4/1.1.3.1/tcp/1"]);
        assert_eq!(
            book.ingest(more.clone(), Heard::Relayed, public()),
            Ingested::Refused
        );
        assert_eq!(book.ingest(more, Heard::Met, public()), Ingested::Taken);
        assert!(book.addresses_of(&hearsay.peer()).is_empty());
        assert!(!book.addresses_of(&met.peer()).is_empty());
        let last = record_with(&["/ip4/1.1.4.1/tcp/1"]);
        assert_eq!(book.ingest(last, Heard::Met, public()), Ingested::Refused);
    }

    #[test]
    fn an_address_no_stranger_may_name_is_not_used() {
        let mut book = book(10, 10);
        let inside = record_with(&["/ip4/127.0.0.1/tcp/22", "/ip4/169.254.169.254/tcp/80"]);
        assert_eq!(book.ingest(inside, Heard::Met, public()), Ingested::Refused);
    }

    #[test]
    fn an_older_record_does_not_replace_a_newer_one() {
        let mut book = book(10, 10);
        let node = NodeIdentity::generate().unwrap();
        let record = record_of(&node, &["/ip4/1.1.1.1/tcp/1"]);
        assert_eq!(
            book.ingest(record.clone(), Heard::Relayed, public()),
            Ingested::Taken
        );
        assert_eq!(
            book.ingest(record, Heard::Relayed, public()),
            Ingested::Known
        );
        let moved = record_of(&node, &["/ip4/2.2.2.2/tcp/1"]);
        assert_eq!(
            book.ingest(moved, Heard::Relayed, public()),
            Ingested::Taken
        );
        let address: Multiaddr = "/ip4/2.2.2.2/tcp/1".parse().unwrap();
        assert_eq!(book.addresses_of(&node.peer_id()), [address]);
    }

    #[test]
    fn only_peers_we_met_are_told_and_kept_and_the_asker_is_not_told_itself() {
        let mut book = book(10, 10);
        let (a, b, hearsay) = (
            record_with(&["/ip4/1.1.1.1/tcp/1"]),
            record_with(&["/ip4/2.2.2.2/tcp/1"]),
            record_with(&["/ip4/3.3.3.3/tcp/1"]),
        );
        book.ingest(a.clone(), Heard::Met, public());
        book.ingest(b.clone(), Heard::Met, public());
        book.ingest(hearsay, Heard::Relayed, public());
        for random in 0..4 {
            assert_eq!(book.sample(9, a.peer(), random), [&b]);
        }
        assert_eq!(book.to_keep(), [&b, &a], "last met first");
        book.connected(a.peer());
        assert_eq!(book.to_keep(), [&a, &b]);
    }

    #[test]
    fn a_peer_that_keeps_failing_waits_and_is_forgotten() {
        let mut book = book(10, 10);
        let record = record_with(&["/ip4/1.1.1.1/tcp/1"]);
        let peer = record.peer();
        book.ingest(record, Heard::Relayed, public());
        assert_eq!(book.due(Duration::ZERO, 9, &HashSet::new()), [peer]);
        assert!(
            book.due(Duration::ZERO, 9, &HashSet::from([peer]))
                .is_empty()
        );
        fail(&mut book, peer, 1);
        assert!(book.due(Duration::ZERO, 9, &HashSet::new()).is_empty());
        assert_eq!(
            book.due(Duration::from_secs(60), 9, &HashSet::new()),
            [peer]
        );
        fail(&mut book, peer, FAILURES_UNMET_MAX - 1);
        assert!(book.addresses_of(&peer).is_empty());
    }

    #[test]
    fn a_peer_we_met_is_given_more_patience() {
        let mut book = book(10, 10);
        let record = record_with(&["/ip4/1.1.1.1/tcp/1"]);
        let peer = record.peer();
        book.ingest(record, Heard::Met, public());
        fail(&mut book, peer, FAILURES_UNMET_MAX);
        assert!(!book.addresses_of(&peer).is_empty());
        book.settled(peer);
        fail(&mut book, peer, FAILURES_MET_MAX - 1);
        assert!(
            !book.addresses_of(&peer).is_empty(),
            "earlier failures no longer count"
        );
        fail(&mut book, peer, 1);
        assert!(book.addresses_of(&peer).is_empty());
    }
}
