//! A task in a few words: leases, acks, claims and verdicts by small numbers.

use alloc::vec::Vec;

use crate::derive::{
    Ack, Circumstances, Claim, Commit, Derived, Inputs, Lease, Mode, Path, Receipt, Rules,
    Undecided, ValidatorTerms, derive,
};
use crate::{Key32, Role, Row, Units};

pub(super) const FAST: Circumstances = Circumstances {
    path: Path::Fast,
    deposit_late: false,
    paid_elsewhere: false,
    deadline_passed: false,
    no_lease_follows: false,
};
pub(super) const SLOW: Circumstances = Circumstances {
    path: Path::Slow,
    ..FAST
};
/// Before `decideAt`, but nothing can follow any more.
pub(super) const OVER: Circumstances = Circumstances {
    deadline_passed: true,
    no_lease_follows: true,
    ..FAST
};

pub(super) fn b(byte: u8) -> [u8; 32] {
    [byte; 32]
}

/// Payee of a lease's worker; validators have 100, 101, ….
pub(super) fn payee(byte: u8) -> Key32 {
    Key32(b(byte))
}

pub(super) fn units(amount: u64) -> Units {
    Units::from_u64(amount)
}

pub(super) fn worker_row(byte: u8, amount: u64) -> Row {
    Row {
        payee: payee(byte),
        role: Role::Worker,
        amount: units(amount),
    }
}

pub(super) fn fee_row(validator: u8, amount: u64) -> Row {
    Row {
        payee: payee(100 + validator),
        role: Role::Validator,
        amount: units(amount),
    }
}

#[derive(Clone)]
pub(super) struct Scene {
    pub(super) mode: Mode,
    pub(super) m: u8,
    pub(super) fees: Vec<ValidatorTerms>,
    pub(super) cap: u64,
    pub(super) inputs: Inputs,
}

impl Scene {
    /// n validators that ask nothing, so that rows are the workers' only.
    pub(super) fn new(mode: Mode, m: u8, n: u8) -> Self {
        let fees = (0..n)
            .map(|v| ValidatorTerms {
                payee: payee(100 + v),
                fee: Units::ZERO,
            })
            .collect();
        Self {
            mode,
            m,
            fees,
            cap: 1_000_000,
            inputs: Inputs::default(),
        }
    }

    pub(super) fn fee(mut self, fee: u64) -> Self {
        for terms in &mut self.fees {
            terms.fee = units(fee);
        }
        self
    }

    /// A lease of an attempt's only set, to worker `who`, at price 1000 + who.
    pub(super) fn lease(&mut self, attempt: u8, who: u8, lease_count: u8) -> usize {
        self.lease_of_set(attempt, who, lease_count, attempt)
    }

    pub(super) fn lease_of_set(
        &mut self,
        attempt: u8,
        who: u8,
        lease_count: u8,
        root: u8,
    ) -> usize {
        self.inputs.leases.push(Lease {
            attempt,
            set_root: b(root),
            lease_count,
            worker: b(who),
            payee: payee(who),
            price: units(1_000 + u64::from(who)),
        });
        self.inputs.leases.len() - 1
    }

    pub(super) fn commit(&mut self, lease: usize, commit: u8) {
        self.inputs.commits.push(Commit {
            lease,
            commit: b(commit),
        });
    }

    /// Acks of one commit: `(validator, rank)`.
    pub(super) fn acks(&mut self, lease: usize, commit: u8, acks: &[(u8, u8)]) {
        let commit = b(commit);
        self.inputs
            .acks
            .extend(acks.iter().map(|(validator, rank)| Ack {
                validator: *validator,
                lease,
                commit,
                rank: *rank,
            }));
    }

    /// A claim that opens `commit`; its CID, salt and digest follow from the commit.
    pub(super) fn claim(&mut self, lease: usize, commit: u8) -> usize {
        self.claim_with(lease, commit, b(commit), b(0xD0))
    }

    pub(super) fn claim_with(
        &mut self,
        lease: usize,
        commit: u8,
        cid: [u8; 32],
        digest: [u8; 32],
    ) -> usize {
        self.inputs.claims.push(Claim {
            cid,
            lease,
            commit: b(commit),
            salt: b(commit ^ 0x55),
            canonical_digest: digest,
        });
        self.inputs.claims.len() - 1
    }

    pub(super) fn judge(&mut self, claim: usize, accept: bool, validators: &[u8]) {
        for validator in validators {
            let mut cid = [0u8; 32];
            cid[0] = *validator ^ 0xA5;
            cid[1] = u8::try_from(claim).unwrap();
            cid[2] = u8::from(accept);
            self.inputs.receipts.push(Receipt {
                validator: *validator,
                claim,
                accept,
                cid,
            });
        }
    }

    /// A worker's whole way: rank-1 acks of `validators`, reveal, and their acceptance.
    pub(super) fn done(&mut self, lease: usize, commit: u8, validators: &[u8]) -> usize {
        let acks: Vec<(u8, u8)> = validators.iter().map(|v| (*v, 1)).collect();
        self.acks(lease, commit, &acks);
        let claim = self.claim(lease, commit);
        self.judge(claim, true, validators);
        claim
    }

    pub(super) fn derive(&self, circumstances: Circumstances) -> Derived {
        let rules = Rules {
            mode: self.mode,
            m: self.m,
            validators: &self.fees,
            validator_fee_cap: units(self.cap),
            terms_hash: b(7),
        };
        derive(&rules, &self.inputs, circumstances)
    }

    pub(super) fn winners(&self, circumstances: Circumstances) -> Vec<usize> {
        match self.derive(circumstances) {
            Derived::Paid { winners, .. } => winners,
            other @ (Derived::Undecided(_) | Derived::Rejected { .. }) => {
                panic!("nobody is paid: {other:?}")
            }
        }
    }

    pub(super) fn rejected(&self, circumstances: Circumstances) -> bool {
        matches!(self.derive(circumstances), Derived::Rejected { .. })
    }

    pub(super) fn undecided(&self, circumstances: Circumstances) -> Option<Undecided> {
        match self.derive(circumstances) {
            Derived::Undecided(why) => Some(why),
            Derived::Paid { .. } | Derived::Rejected { .. } => None,
        }
    }

    pub(super) fn rows(&self, circumstances: Circumstances) -> Vec<Row> {
        match self.derive(circumstances) {
            Derived::Paid { rows, .. } | Derived::Rejected { rows, .. } => rows,
            Derived::Undecided(why) => panic!("undecided: {why:?}"),
        }
    }
}
