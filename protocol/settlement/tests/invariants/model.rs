//! Every state a small vault can reach, by breadth-first search over the real ledger: one receipt that
//! pays one worker 2 of a budget of 3, deposits of 1 and 3, six moments, two freezable accounts.

use std::collections::{HashMap, VecDeque};

use d402_settlement::ledger::{TransferKind, VaultAccount};
use d402_settlement::{Bps, Key32};

use crate::scene::*;

/// Moments at which something changes: early, unfunded vaults may close, settleBy, refundAfter, after
/// the last credit.
pub const MOMENTS: [i64; 6] = [
    ISSUED,
    ISSUED + 120,
    SETTLE_BY,
    REFUND_AFTER - 1,
    REFUND_AFTER,
    CREDITS_UNTIL,
];

const MAX_DEPOSITS: u128 = 11;

pub fn small_scene() -> Scene {
    Scene::with(1, 1, |terms| {
        (terms.commission_bps, terms.commission_payee) = (Bps(0), Key32::ZERO);
        (terms.gateway_fee_bps, terms.gateway_fee_payee) = (Bps(0), Key32::ZERO);
        (terms.budget, terms.validator_fee_cap) = (3, 0);
    })
}

/// Everything that tells two situations apart.
type Fingerprint = (
    Vec<u8>,
    Option<u128>,
    usize,
    Vec<Key32>,
    Vec<u128>,
    u64,
    u64,
);

#[derive(Clone)]
pub struct Node {
    pub state: d402_settlement::ledger::VaultState,
    pub moment: usize,
    pub frozen: Vec<Key32>,
    deposited: u128,
    paid: std::collections::BTreeMap<(Key32, TransferKind), u128>,
    lamports: (u64, std::collections::BTreeMap<Option<Key32>, u64>),
    settled_times: u32,
}

impl Node {
    fn of(scene: &Scene, moment: usize) -> Self {
        Self {
            state: scene.state,
            moment,
            frozen: scene.frozen.clone(),
            deposited: scene.deposited,
            paid: scene.paid.clone(),
            lamports: (scene.lamports_in, scene.lamports_out.clone()),
            settled_times: scene.settled_times,
        }
    }

    pub fn load(&self, scene: &mut Scene) {
        scene.state = self.state;
        scene.frozen.clone_from(&self.frozen);
        scene.deposited = self.deposited;
        scene.paid = self.paid.clone();
        (scene.lamports_in, scene.lamports_out) = self.lamports.clone();
        scene.settled_times = self.settled_times;
    }

    fn fingerprint(&self) -> Fingerprint {
        let account = self.state.encode_account().unwrap().as_slice().to_vec();
        let paid = |kind| self.paid.get(&kind).copied().unwrap_or(0);
        let totals = vec![
            self.deposited,
            paid((WORKER, TransferKind::Worker)),
            paid((WORKER, TransferKind::Credit)),
            u128::from(self.settled_times),
        ];
        // Rent is a function of the state, so only what is still inside tells situations apart.
        let inside = self.lamports.0 - self.lamports.1.values().sum::<u64>();
        let tokens = self.state.tokens.map(d402_settlement::Units::get);
        (
            account,
            tokens,
            self.moment,
            self.frozen.clone(),
            totals,
            inside,
            0,
        )
    }
}

/// All reachable situations. What must hold in each is asserted on the way.
pub fn explore() -> Vec<Node> {
    let mut scene = small_scene();
    let receipt = paid(&[worker(WORKER, 2)]);
    let approvals = scene.approve(&receipt, &[0]);
    let start = Node::of(&scene, 0);
    let mut seen = HashMap::from([(start.fingerprint(), ())]);
    let (mut queue, mut all) = (VecDeque::from([start.clone()]), vec![start]);
    while let Some(node) = queue.pop_front() {
        for action in 0..12 {
            node.load(&mut scene);
            let now = MOMENTS[node.moment];
            let room = |amount| node.deposited + amount <= MAX_DEPOSITS;
            let mut moment = node.moment;
            let happened = match action {
                0 => room(1) && scene.deposit(1, now).is_ok(),
                1 => room(3) && scene.deposit(3, now).is_ok(),
                2 => scene.open(0, now).is_ok(),
                3 => scene.settle_with(&receipt, &approvals, now).is_ok(),
                4 => scene.claim(WORKER, now).is_ok(),
                5 => scene.lapse(now).is_ok(),
                6 => scene.sweep(now).is_ok(),
                7 => scene.close(now).is_ok(),
                8 => scene.close_unfunded(now).is_ok(),
                9 if moment + 1 < MOMENTS.len() => {
                    moment += 1;
                    true
                }
                10 => toggle(&mut scene, WORKER),
                11 => toggle(&mut scene, BUYER),
                _ => false,
            };
            if !happened {
                continue;
            }
            check(&scene);
            let next = Node::of(&scene, moment);
            if seen.insert(next.fingerprint(), ()).is_none() {
                queue.push_back(next.clone());
                all.push(next);
            }
        }
    }
    all
}

fn toggle(scene: &mut Scene, who: Key32) -> bool {
    if scene.frozen.contains(&who) {
        scene.frozen.retain(|key| *key != who);
    } else {
        scene.frozen.push(who);
        scene.frozen.sort_unstable();
    }
    true
}

fn check(scene: &Scene) {
    scene.check_money();
    let worker =
        scene.paid_to(WORKER, TransferKind::Worker) + scene.paid_to(WORKER, TransferKind::Credit);
    assert!(
        worker <= 2,
        "the worker was paid {worker} for one receipt of 2"
    );
    assert!(scene.settled_times <= 1, "one receipt, settled twice");
    let back: u64 = scene.lamports_out.values().sum();
    assert!(
        back <= scene.lamports_in,
        "more rent came back than went in"
    );
    let nothing_left = scene.state.account == VaultAccount::Absent && scene.state.tokens.is_none();
    if nothing_left {
        assert_eq!(back, scene.lamports_in, "rent was lost");
        assert_eq!(
            scene.lamports_out.len(),
            usize::from(back > 0),
            "somebody else got rent"
        );
    }
}

#[test]
fn m1_m2_m4_hold_in_every_reachable_state_of_a_small_vault() {
    let all = explore();
    let settled = all
        .iter()
        .filter(|node| matches!(node.state.account, VaultAccount::Settled(_)))
        .count();
    assert!(
        all.len() > 5_000,
        "only {} states: the model explores too little",
        all.len()
    );
    assert!(settled > 1_000, "only {settled} settled states");
}
