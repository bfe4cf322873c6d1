//! What holds whatever n − m hostile validators, any gateway and any worker sign.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::scene::{FAST, OVER, SLOW, Scene, b};
use crate::Row;
use crate::derive::{Ack, Circumstances, Derived, Mode, Receipt};

const SETS: [(u8, u8); 6] = [(1, 1), (2, 3), (3, 4), (3, 5), (4, 5), (5, 7)];

/// A task in which validators `0..m` are honest and the others sign anything.
#[derive(Clone, Debug)]
struct World {
    mode: Mode,
    set: (u8, u8),
    leases: Vec<RawLease>,
    /// By honest validator: in which order it sees leases, which commit of each, how many it acks.
    seen: Vec<(Vec<u8>, u8, usize)>,
    /// Acks of hostile validators: validator, lease, commit, rank.
    hostile_acks: Vec<(u8, u8, bool, u8)>,
    /// Verdicts of hostile validators: validator, claim, accept.
    hostile_verdicts: Vec<(u8, u8, bool)>,
    /// Which verdicts of honest validators are there yet, by claim.
    judged: Vec<u8>,
}

/// Attempt, set, whether its worker commits twice, whether its work is good.
#[derive(Clone, Debug)]
struct RawLease {
    attempt: u8,
    root: u8,
    twice: bool,
    good: bool,
}

fn worlds() -> impl Strategy<Value = World> {
    let mode = prop_oneof![
        Just(Mode::Single),
        Just(Mode::Race),
        (1u8..4).prop_map(|agree| Mode::Quorum { agree })
    ];
    let set = prop::sample::select(SETS.to_vec());
    let lease =
        (1u8..3, 0u8..8, 0u8..6, any::<bool>()).prop_map(|(attempt, root, twice, good)| RawLease {
            attempt,
            root: u8::from(root == 0),
            twice: twice == 0,
            good,
        });
    let seen = (
        Just(vec![0u8, 1, 2, 3]).prop_shuffle(),
        any::<u8>(),
        0usize..6,
    );
    (
        mode,
        set,
        prop::collection::vec(lease, 1..5),
        prop::collection::vec(seen, 7),
        prop::collection::vec((0u8..7, 0u8..4, any::<bool>(), 0u8..4), 0..10),
        prop::collection::vec((0u8..7, 0u8..8, any::<bool>()), 0..10),
        prop::collection::vec(any::<u8>(), 8),
    )
        .prop_map(
            |(mode, set, mut leases, seen, hostile_acks, hostile_verdicts, judged)| {
                for (at, lease) in leases.iter_mut().enumerate() {
                    if mode == Mode::Single {
                        // A set of single is one lease.
                        lease.root = at as u8;
                    } else {
                        lease.attempt = 1;
                    }
                }
                World {
                    mode,
                    set,
                    leases,
                    seen,
                    hostile_acks,
                    hostile_verdicts,
                    judged,
                }
            },
        )
}

/// The task, and what is honest in it.
struct Built {
    scene: Scene,
    good: BTreeSet<usize>,
    honest_acks: Vec<Ack>,
    honest_verdicts: Vec<Receipt>,
}

impl World {
    /// The objects of workers, gateway and hostile validators are in the scene; the honest ones beside it.
    fn build(&self) -> Built {
        let (m, n) = self.set;
        let mut scene = Scene::new(self.mode, m, n).fee(10);
        let mut good = BTreeSet::new();
        for (at, raw) in self.leases.iter().enumerate() {
            let same = |other: &&RawLease| (other.attempt, other.root) == (raw.attempt, raw.root);
            let count = self.leases.iter().filter(same).count() as u8;
            let lease = scene.lease_of_set(raw.attempt, at as u8 + 1, count, raw.root);
            let commits = if raw.twice { vec![50, 150] } else { vec![50] };
            for commit in commits {
                scene.commit(lease, commit + at as u8);
                let digest = if raw.good { b(9) } else { b(10 + at as u8) };
                let claim =
                    scene.claim_with(lease, commit + at as u8, b(commit + at as u8), digest);
                if raw.good {
                    good.insert(claim);
                }
            }
        }
        for (validator, lease, second, rank) in &self.hostile_acks {
            let lease = usize::from(*lease) % self.leases.len();
            let commit = if *second { 150 } else { 50 } + lease as u8;
            scene.acks(lease, commit, &[(m + validator % (n - m).max(1), *rank)]);
        }
        for (validator, claim, accept) in &self.hostile_verdicts {
            let claim = usize::from(*claim) % scene.inputs.claims.len();
            scene.judge(claim, *accept, &[m + validator % (n - m).max(1)]);
        }
        // 1 of 1 has no hostile validator.
        scene.inputs.acks.retain(|ack| ack.validator < n);
        scene
            .inputs
            .receipts
            .retain(|receipt| receipt.validator < n);
        let honest_acks = (0..m).flat_map(|v| self.honest_acks(v)).collect();
        let honest_verdicts = self.honest_verdicts(&scene, &good);
        Built {
            scene,
            good,
            honest_acks,
            honest_verdicts,
        }
    }

    /// One ack per lease, ranks in order, under the first set it saw in the attempt.
    fn honest_acks(&self, validator: u8) -> Vec<Ack> {
        let (order, choice, count) = &self.seen[usize::from(validator)];
        let mut acks: Vec<Ack> = Vec::new();
        for lease in order
            .iter()
            .map(|at| usize::from(*at))
            .filter(|at| *at < self.leases.len())
            .take(*count)
        {
            let raw = &self.leases[lease];
            let of_attempt: Vec<&Ack> = acks
                .iter()
                .filter(|a| self.leases[a.lease].attempt == raw.attempt)
                .collect();
            if of_attempt
                .iter()
                .any(|a| self.leases[a.lease].root != raw.root)
            {
                continue;
            }
            let rank = of_attempt.len() as u8 + 1;
            let second = raw.twice && choice >> lease & 1 == 1;
            let commit = b(if second { 150 } else { 50 } + lease as u8);
            acks.push(Ack {
                validator,
                lease,
                commit,
                rank,
            });
        }
        acks
    }

    /// Good work is accepted, other work rejected; not everybody has judged everything.
    fn honest_verdicts(&self, scene: &Scene, good: &BTreeSet<usize>) -> Vec<Receipt> {
        let mut all = Scene::new(self.mode, self.set.0, self.set.1);
        all.inputs.claims.clone_from(&scene.inputs.claims);
        for claim in 0..scene.inputs.claims.len() {
            for validator in (0..self.set.0).filter(|v| self.judged[claim] >> v & 1 == 1) {
                all.judge(claim, good.contains(&claim), &[validator]);
            }
        }
        all.inputs.receipts
    }
}

impl Built {
    fn whole(&self) -> Scene {
        let mut scene = self.scene.clone();
        scene.inputs.acks.extend(&self.honest_acks);
        scene.inputs.receipts.extend(&self.honest_verdicts);
        scene
    }
}

/// The outcome by CIDs, so that it does not depend on places.
#[derive(Debug, PartialEq)]
enum Said {
    Undecided,
    Paid(Vec<[u8; 32]>, Vec<[u8; 32]>, Vec<Row>),
    Rejected(Vec<[u8; 32]>, Vec<[u8; 32]>, Vec<Row>),
}

fn said(scene: &Scene, circumstances: Circumstances) -> Said {
    let claims = |at: &[usize]| {
        let mut cids: Vec<_> = at.iter().map(|i| scene.inputs.claims[*i].cid).collect();
        cids.sort_unstable();
        cids
    };
    let receipts = |at: &[usize]| at.iter().map(|i| scene.inputs.receipts[*i].cid).collect();
    match scene.derive(circumstances) {
        Derived::Undecided(_) => Said::Undecided,
        Derived::Paid {
            winners,
            receipts: named,
            rows,
        } => Said::Paid(claims(&winners), receipts(&named), rows),
        Derived::Rejected {
            judged,
            receipts: named,
            rows,
        } => Said::Rejected(claims(&judged), receipts(&named), rows),
    }
}

fn paid(scene: &Scene, circumstances: Circumstances) -> Option<Vec<usize>> {
    match scene.derive(circumstances) {
        Derived::Paid { winners, .. } => Some(winners),
        Derived::Undecided(_) | Derived::Rejected { .. } => None,
    }
}

/// Puts leases, claims and everything else in another order and repeats some of it.
fn shuffled(scene: &Scene, seed: usize) -> Scene {
    let mut other = scene.clone();
    let turn = |len: usize, at: usize| (at + seed) % len.max(1);
    let (leases, claims) = (scene.inputs.leases.len(), scene.inputs.claims.len());
    other.inputs.leases.rotate_right(turn(leases, 0));
    other.inputs.claims.rotate_right(turn(claims, 0));
    for claim in &mut other.inputs.claims {
        claim.lease = turn(leases, claim.lease);
    }
    for commit in &mut other.inputs.commits {
        commit.lease = turn(leases, commit.lease);
    }
    for ack in &mut other.inputs.acks {
        ack.lease = turn(leases, ack.lease);
    }
    for receipt in &mut other.inputs.receipts {
        receipt.claim = turn(claims, receipt.claim);
    }
    other.inputs.acks.reverse();
    other.inputs.receipts.reverse();
    other.inputs.commits.reverse();
    let (acks, commits) = (other.inputs.acks.clone(), other.inputs.commits.clone());
    other.inputs.acks.extend(acks.iter().step_by(2));
    other.inputs.commits.extend(commits);
    let receipts = other.inputs.receipts.clone();
    other
        .inputs
        .receipts
        .extend(receipts.iter().skip(1).step_by(2));
    other
}

/// Distinct validators for which `f` holds.
fn voices<'a, T: 'a>(
    items: impl Iterator<Item = &'a T>,
    f: impl Fn(&T) -> Option<u8>,
) -> BTreeSet<u8> {
    items.filter_map(f).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_repetition_changes_the_answer(world in worlds(), seed in 0usize..20) {
        let scene = world.build().whole();
        let other = shuffled(&scene, seed);
        for circumstances in [FAST, OVER, SLOW] {
            prop_assert_eq!(said(&scene, circumstances), said(&other, circumstances));
        }
    }

    #[test]
    fn whoever_is_paid_holds_a_claim_that_m_acked_and_m_accepted(world in worlds()) {
        let scene = world.build().whole();
        let m = usize::from(world.set.0);
        for circumstances in [FAST, OVER, SLOW] {
            let winners = paid(&scene, circumstances).unwrap_or_default();
            for winner in &winners {
                let claim = scene.inputs.claims[*winner];
                let acked = voices(scene.inputs.acks.iter(), |a| {
                    (a.lease == claim.lease && a.commit == claim.commit && a.rank > 0).then_some(a.validator)
                });
                let verdict = |accept: bool| voices(scene.inputs.receipts.iter(), |r| {
                    (r.claim == *winner && r.accept == accept).then_some(r.validator)
                });
                prop_assert!(acked.len() >= m);
                prop_assert!(verdict(true).difference(&verdict(false)).count() >= m);
            }
            let leases: BTreeSet<usize> = winners.iter().map(|w| scene.inputs.claims[*w].lease).collect();
            prop_assert_eq!(leases.len(), winners.len(), "one claim per lease");
        }
    }

    /// n − m hostile validators with any gateway and any workers: what is paid is good work that at least
    /// 2m − n ≥ 1 honest validators acked and accepted; and fees go to at most n validators within the cap.
    #[test]
    fn hostile_validators_never_get_bad_work_paid(world in worlds(), cap in 0u64..60) {
        let built = world.build();
        let mut scene = built.whole();
        scene.cap = cap;
        let (m, n) = world.set;
        let least = usize::from(2 * m - n);
        for circumstances in [FAST, OVER, SLOW] {
            for winner in paid(&scene, circumstances).unwrap_or_default() {
                prop_assert!(built.good.contains(&winner));
                let claim = scene.inputs.claims[winner];
                let acks = voices(built.honest_acks.iter(), |a| {
                    (a.lease == claim.lease && a.commit == claim.commit).then_some(a.validator)
                });
                let accepts = voices(built.honest_verdicts.iter(), |r| (r.claim == winner).then_some(r.validator));
                prop_assert!(acks.len() >= least && accepts.len() >= least);
            }
            if let Said::Paid(.., rows) | Said::Rejected(.., rows) = said(&scene, circumstances) {
                let fees = rows.iter().filter(|row| row.role == crate::Role::Validator);
                prop_assert!(fees.map(|row| row.amount.get()).sum::<u128>() <= u128::from(cap));
            }
        }
    }

    /// An honest worker whose claim all m honest validators acked and accepted is not cheated: single and race
    /// pay somebody's good work at `decideAt`, and the race goes to it when they all acked it first.
    #[test]
    fn hostile_validators_cannot_undo_what_all_honest_ones_agree_on(mut world in worlds(), first in any::<bool>()) {
        if matches!(world.mode, Mode::Quorum { .. }) {
            world.mode = Mode::Race;
        }
        let (m, _) = world.set;
        world.leases[0] = RawLease { attempt: 1, root: 0, twice: false, good: true };
        for (order, _, count) in &mut world.seen {
            let at = order.iter().position(|lease| *lease == 0).unwrap();
            let lease = order.remove(at);
            // Not first means after every other lease of its own set.
            order.retain(|other| first || world.leases.get(usize::from(*other)).is_none_or(|l| l.root == 0));
            order.insert(if first { 0 } else { order.len() }, lease);
            *count = 6;
        }
        world.judged[0] = u8::MAX;
        let built = world.build();
        let scene = built.whole();
        prop_assert_eq!(voices(built.honest_acks.iter(), |a| (a.lease == 0).then_some(a.validator)).len(), usize::from(m));
        let winners = paid(&scene, SLOW);
        prop_assert!(winners.is_some(), "{:?}", scene.derive(SLOW));
        prop_assert!(!scene.rejected(FAST) && !scene.rejected(OVER));
        if first && world.mode == Mode::Race {
            prop_assert_eq!(winners, Some(vec![0]));
        }
    }

    /// q equal results of honest workers in a set of leases that all honest validators back are paid, the
    /// hostile minority of workers is not.
    #[test]
    fn hostile_validators_cannot_split_an_honest_majority(mut world in worlds()) {
        for (at, lease) in world.leases.iter_mut().enumerate() {
            *lease = RawLease { attempt: 1, root: 0, twice: false, good: at < 2 };
        }
        prop_assume!(world.leases.len() >= 2);
        world.mode = Mode::Quorum { agree: 2 };
        world.judged = vec![u8::MAX; 8];
        for (_, _, count) in &mut world.seen {
            *count = 6;
        }
        let scene = world.build().whole();
        prop_assert_eq!(paid(&scene, SLOW), Some(vec![0, 1]));
    }

    /// Before `decideAt`: whatever honest validators still say, at `decideAt` the same claims are paid. In
    /// race and quorum for their acks and verdicts, in single for their verdicts (an ack may certify a lower
    /// attempt late). Sets with 3m ≥ 2n + 1, where q = m; for the others q signatures of intent are needed.
    #[test]
    fn an_early_decision_stands_when_honest_evidence_is_added(world in worlds(), mask in any::<u64>()) {
        let (m, n) = world.set;
        prop_assume!(3 * m > 2 * n || world.mode == Mode::Race);
        let built = world.build();
        let mut early = built.scene.clone();
        let there = |at: usize| mask >> (at % 64) & 1 == 1;
        let single = world.mode == Mode::Single;
        let acks = built.honest_acks.iter().enumerate().filter(|(at, _)| single || there(*at));
        early.inputs.acks.extend(acks.map(|(_, ack)| *ack));
        let verdicts = built.honest_verdicts.iter().enumerate().filter(|(at, _)| there(at + 7));
        early.inputs.receipts.extend(verdicts.map(|(_, verdict)| *verdict));
        let late = built.whole();
        if let Some(winners) = paid(&early, FAST) {
            for circumstances in [FAST, OVER, SLOW] {
                prop_assert_eq!(paid(&late, circumstances), Some(winners.clone()));
            }
        }
        early.inputs.acks.clone_from(&late.inputs.acks);
        if early.rejected(OVER) {
            prop_assert!(late.rejected(OVER) && late.rejected(SLOW));
        }
    }

    /// The slow path always answers, and whatever the fast path says is said there too.
    #[test]
    fn one_body_of_evidence_never_gives_two_outcomes(world in worlds()) {
        let scene = world.build().whole();
        let (fast, over, slow) = (said(&scene, FAST), said(&scene, OVER), said(&scene, SLOW));
        prop_assert!(slow != Said::Undecided);
        let (m, n) = world.set;
        if over != Said::Undecided && (3 * m > 2 * n || world.mode != Mode::Race) {
            prop_assert_eq!(&over, &slow);
        }
        if fast != Said::Undecided {
            prop_assert_eq!(&fast, &over);
        }
    }
}
