//! A lease set: the leases of one attempt, checked together (spec §5.1, threats #33, #34, #58).
//!
//! A lease is worth nothing alone: only the whole set shows what the task can cost. So leases enter
//! [`Evidence`](super::Evidence) as a set that passed every rule here, or not at all.

use std::collections::BTreeSet;

use d402_objects::{Amount, Cid, Ed25519Id, Hex32, Lease, Mode, Signed, UnixMs, lease_set_root};

use crate::market::Dossier;

/// The leases of one attempt, in `leaseIndex` order. Every rule of the set holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSet {
    attempt: u8,
    root: Hex32,
    leases: Vec<Signed<Lease>>,
}

/// Why leases are not a set of this task. Declaration order is check order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseFault {
    /// No lease was given.
    #[error("a lease set holds at least one lease")]
    Empty,
    /// A lease of another task.
    #[error("lease is of another task: {got}")]
    OtherTask {
        /// The task it names.
        got: Cid,
    },
    /// A lease under other terms.
    #[error("lease is under other terms: {got}")]
    OtherTerms {
        /// The terms it names.
        got: Hex32,
    },
    /// A lease for another network.
    #[error("lease is for another network")]
    OtherNetwork,
    /// Not signed by the gateway the intent names (threat #34).
    #[error("lease by {got}, the intent names {want}")]
    WrongGateway {
        /// Who signed.
        got: Ed25519Id,
        /// Who may.
        want: Ed25519Id,
    },
    /// More attempts than the intent allows; race and quorum have one.
    #[error("attempt {got}, allowed are 1 to {max}")]
    AttemptOverMax {
        /// The lease's attempt.
        got: u8,
        /// Most attempts.
        max: u8,
    },
    /// Leases of different attempts, roots or counts.
    #[error("leases do not belong to one set")]
    Mixed,
    /// Some leases of the set are missing.
    #[error("{have} of {want} leases of the set")]
    Incomplete {
        /// Leases given.
        have: usize,
        /// `leaseCount`.
        want: usize,
    },
    /// More or fewer leases than the mode allows.
    #[error("{got} leases, the mode allows {min} to {max}")]
    WrongCount {
        /// `leaseCount`.
        got: u8,
        /// Fewest.
        min: u8,
        /// Most.
        max: u8,
    },
    /// `leaseSetRoot` is not the hash of these leases.
    #[error("leaseSetRoot is not the root of these leases")]
    WrongRoot,
    /// One worker holds two leases of the set.
    #[error("worker {worker} holds two leases of one set")]
    WorkerTwice {
        /// The worker.
        worker: Ed25519Id,
    },
    /// A validator of the task would judge its own work.
    #[error("worker {worker} is a validator of this task")]
    WorkerIsValidator {
        /// The worker.
        worker: Ed25519Id,
    },
    /// The payout is no account of the network.
    #[error("payout of lease {lease_index} is no account of the network")]
    BadPayout {
        /// Which lease.
        lease_index: u8,
    },
    /// The payout may not be a row of this task: zero, the vault, the asset, refundTo, or somebody
    /// else who is paid by it (threat #58).
    #[error("payout of lease {lease_index} may not be paid by this task")]
    ForbiddenPayout {
        /// Which lease.
        lease_index: u8,
    },
    /// Two leases of the set pay one account.
    #[error("payout of lease {lease_index} is also that of another lease")]
    PayoutTwice {
        /// Which lease.
        lease_index: u8,
    },
    /// The lease starts before the task or ends after its deadline.
    #[error(
        "lease {lease_index} lasts from {start} to {end}, the task from {issued} to {deadline}"
    )]
    OutsideTask {
        /// Which lease.
        lease_index: u8,
        /// `startMs`.
        start: UnixMs,
        /// `expiresAtMs`.
        end: UnixMs,
        /// The task's `issuedAtMs`.
        issued: UnixMs,
        /// The task's `deadlineMs`.
        deadline: UnixMs,
    },
    /// Of a task that is paid straight, to another worker, account or price than the payment's.
    #[error("lease {lease_index} is not what the direct payment pays for")]
    NotThePayment {
        /// Which lease.
        lease_index: u8,
    },
    /// What the set can cost, fees included, is more than the budget (threat #33).
    #[error("the set can cost {cost}, the budget is {budget}")]
    OverBudget {
        /// Worst case of the mode, gateway fee and validator fee cap included.
        cost: u128,
        /// The budget.
        budget: u128,
    },
}

impl LeaseSet {
    /// Checks every rule of a lease set of this task.
    ///
    /// The number of leases: single 1; race 1 to `fanout`; quorum `quorum` to `fanout` (fewer
    /// bidders than wanted still make a market, fewer than `quorum` can never agree).
    ///
    /// # Errors
    /// [`LeaseFault`] names the first broken rule.
    pub fn check(dossier: &Dossier, mut leases: Vec<Signed<Lease>>) -> Result<Self, LeaseFault> {
        leases.sort_by_key(|lease| lease.payload().lease_index);
        let first = leases.first().ok_or(LeaseFault::Empty)?.clone();
        let (attempt, root) = (first.payload().attempt, first.payload().lease_set_root);
        for lease in &leases {
            check_belonging(dossier, lease.payload())?;
            check_times(dossier, lease.payload())?;
        }
        check_complete(first.payload(), &leases)?;
        check_count(dossier, first.payload().lease_count)?;
        let pairs: Vec<(Ed25519Id, Amount)> = leases
            .iter()
            .map(|l| (l.payload().worker, l.payload().price))
            .collect();
        if lease_set_root(&pairs) != root {
            return Err(LeaseFault::WrongRoot);
        }
        check_parties(dossier, &leases)?;
        check_direct(dossier, &leases)?;
        check_cost(dossier, &pairs)?;
        Ok(Self {
            attempt,
            root,
            leases,
        })
    }

    /// From 1.
    #[must_use]
    pub const fn attempt(&self) -> u8 {
        self.attempt
    }

    /// `leaseSetRoot`.
    #[must_use]
    pub const fn root(&self) -> Hex32 {
        self.root
    }

    /// The leases in `leaseIndex` order.
    #[must_use]
    pub fn leases(&self) -> &[Signed<Lease>] {
        &self.leases
    }
}

/// Most a set of these prices can take out of the vault in this mode: worker pay in the worst case,
/// the gateway's fee on it, and the whole validator fee cap. `None` beyond 2^128.
#[must_use]
pub fn worst_case_cost(dossier: &Dossier, prices: &[Amount]) -> Option<u128> {
    let payment = dossier.payment();
    let work = match dossier.intent().mode {
        Mode::Single | Mode::Race => prices.iter().map(|p| p.get()).max().unwrap_or(0),
        Mode::Quorum => prices
            .iter()
            .try_fold(0u128, |sum, p| sum.checked_add(p.get()))?,
    };
    let fee = work
        .checked_mul(u128::from(payment.gateway_fee_bps.get()))?
        .checked_div(10_000)?;
    work.checked_add(fee)?
        .checked_add(payment.validator_fee_cap.get())
}

fn check_belonging(dossier: &Dossier, lease: &Lease) -> Result<(), LeaseFault> {
    if lease.task_id != dossier.task_id() {
        return Err(LeaseFault::OtherTask { got: lease.task_id });
    }
    if lease.terms_hash != dossier.terms_hash() {
        return Err(LeaseFault::OtherTerms {
            got: lease.terms_hash,
        });
    }
    if lease.network != *dossier.network() {
        return Err(LeaseFault::OtherNetwork);
    }
    let want = dossier.intent().gateway;
    if lease.gateway != want {
        return Err(LeaseFault::WrongGateway {
            got: lease.gateway,
            want,
        });
    }
    let max = dossier.last_attempt();
    if lease.attempt > max {
        return Err(LeaseFault::AttemptOverMax {
            got: lease.attempt,
            max,
        });
    }
    Ok(())
}

/// One transfer pays one worker: a receipt of any other lease could not be what the buyer authorized.
fn check_direct(dossier: &Dossier, leases: &[Signed<Lease>]) -> Result<(), LeaseFault> {
    let Some(direct) = dossier.direct() else {
        return Ok(());
    };
    let other = leases.iter().map(Signed::payload).find(|lease| {
        lease.worker != direct.worker
            || lease.payout.address != direct.pay_to
            || lease.price != dossier.payment().budget
    });
    other.map_or(Ok(()), |lease| {
        Err(LeaseFault::NotThePayment {
            lease_index: lease.lease_index,
        })
    })
}

fn check_times(dossier: &Dossier, lease: &Lease) -> Result<(), LeaseFault> {
    let (issued, deadline) = (dossier.intent().issued_at_ms, dossier.intent().deadline_ms);
    if lease.start_ms < issued || lease.expires_at_ms > deadline {
        return Err(LeaseFault::OutsideTask {
            lease_index: lease.lease_index,
            start: lease.start_ms,
            end: lease.expires_at_ms,
            issued,
            deadline,
        });
    }
    Ok(())
}

fn check_complete(first: &Lease, leases: &[Signed<Lease>]) -> Result<(), LeaseFault> {
    let one_set = leases.iter().map(Signed::payload).all(|lease| {
        lease.attempt == first.attempt
            && lease.lease_set_root == first.lease_set_root
            && lease.lease_count == first.lease_count
    });
    let indexes: BTreeSet<u8> = leases.iter().map(|l| l.payload().lease_index).collect();
    if !one_set || indexes.len() != leases.len() {
        return Err(LeaseFault::Mixed);
    }
    let want = usize::from(first.lease_count);
    if leases.len() != want {
        return Err(LeaseFault::Incomplete {
            have: leases.len(),
            want,
        });
    }
    Ok(())
}

fn check_count(dossier: &Dossier, got: u8) -> Result<(), LeaseFault> {
    let intent = dossier.intent();
    let (min, max) = match intent.mode {
        Mode::Single => (1, 1),
        Mode::Race => (1, intent.fanout),
        Mode::Quorum => (intent.quorum, intent.fanout),
    };
    if got < min || got > max {
        return Err(LeaseFault::WrongCount { got, min, max });
    }
    Ok(())
}

fn check_parties(dossier: &Dossier, leases: &[Signed<Lease>]) -> Result<(), LeaseFault> {
    let mut workers = BTreeSet::new();
    let mut payouts = BTreeSet::new();
    for lease in leases.iter().map(Signed::payload) {
        let (worker, lease_index) = (lease.worker, lease.lease_index);
        if !workers.insert(worker) {
            return Err(LeaseFault::WorkerTwice { worker });
        }
        if dossier.is_validator_key(&worker) {
            return Err(LeaseFault::WorkerIsValidator { worker });
        }
        let payee = dossier
            .codec()
            .account(&lease.payout.address)
            .ok_or(LeaseFault::BadPayout { lease_index })?;
        if dossier.is_forbidden_worker_payee(&payee) {
            return Err(LeaseFault::ForbiddenPayout { lease_index });
        }
        if !payouts.insert(payee) {
            return Err(LeaseFault::PayoutTwice { lease_index });
        }
    }
    Ok(())
}

fn check_cost(dossier: &Dossier, pairs: &[(Ed25519Id, Amount)]) -> Result<(), LeaseFault> {
    let prices: Vec<Amount> = pairs.iter().map(|(_, price)| *price).collect();
    let budget = dossier.payment().budget.get();
    let cost = worst_case_cost(dossier, &prices).unwrap_or(u128::MAX);
    if cost > budget {
        return Err(LeaseFault::OverBudget { cost, budget });
    }
    Ok(())
}
