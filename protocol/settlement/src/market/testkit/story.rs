//! A whole honest task, from the leases to the signed receipt.

use d402_objects::{
    Bid, ClaimCommit, Lease, Mode, ResultClaim, Signed, SignedReceipt, UnixMs, Verdict,
};

use super::{Scene, TaskSpec};
use crate::market::{
    Bundle, BundleContent, Decided, DepositFact, Evidence, EvidenceObject, Facts, decide,
};

/// What happened in a task in which everybody was honest.
#[derive(Clone, Debug)]
pub struct TaskStory {
    /// Actors and dossier.
    pub scene: Scene,
    /// The bids behind the leases.
    pub bids: Vec<Signed<Bid>>,
    /// The one lease set, in index order.
    pub leases: Vec<Signed<Lease>>,
    /// By lease.
    pub commits: Vec<Signed<ClaimCommit>>,
    /// By lease.
    pub claims: Vec<Signed<ResultClaim>>,
    /// Every evidence object, in an order in which each follows what it names.
    pub objects: Vec<EvidenceObject>,
    /// The same, admitted.
    pub evidence: Evidence,
    /// What every worker delivered.
    pub output: Vec<u8>,
    /// What was decided before `decideAt`.
    pub decided: Decided,
    /// Signed by the first m validators of [`Actors`](super::Actors).
    pub signed_receipt: SignedReceipt,
}

impl TaskStory {
    /// All of the spec's workers deliver the same output, all validators ack and accept in lease order, the
    /// first m sign.
    #[must_use]
    pub fn honest(spec: TaskSpec) -> Self {
        Self::judged(spec, Verdict::Accept)
    }

    /// As [`TaskStory::honest`], but every validator gives this verdict on every claim; a rejection is decided
    /// at `decideAt`.
    #[must_use]
    pub fn judged(spec: TaskSpec, verdict: Verdict) -> Self {
        let scene = Scene::new(spec);
        let workers: Vec<usize> = (0..usize::from(scene.spec.fanout)).collect();
        let output = scene.spec.input.clone();
        let leases = scene.lease_set(1, &workers);
        let claims: Vec<_> = leases
            .iter()
            .map(|lease| scene.claim(lease, &output))
            .collect();
        let commits: Vec<_> = leases
            .iter()
            .zip(&claims)
            .map(|(lease, claim)| scene.commit(lease, claim))
            .collect();
        let mut objects: Vec<EvidenceObject> = leases.iter().cloned().map(Into::into).collect();
        objects.extend(leases.iter().map(|lease| scene.accept(lease).into()));
        objects.extend(commits.iter().cloned().map(EvidenceObject::from));
        let validators = 0..usize::from(scene.spec.n);
        for (index, (lease, commit)) in leases.iter().zip(&commits).enumerate() {
            let rank = index as u8 + 1;
            objects.extend(
                validators
                    .clone()
                    .map(|v| scene.ack(v, lease, commit, rank).into()),
            );
        }
        objects.extend(claims.iter().cloned().map(EvidenceObject::from));
        for claim in &claims {
            objects.extend(
                validators
                    .clone()
                    .map(|v| scene.verdict(v, claim, verdict).into()),
            );
        }
        let mut evidence = Evidence::new(&scene.dossier);
        let refused = evidence.insert_all(objects.clone());
        assert!(refused.is_empty(), "{refused:?}");
        let now_ms = match verdict {
            Verdict::Accept => scene.at(6_000),
            Verdict::Reject => scene.dossier.times().decide_at_ms,
        };
        let decided = decide(&evidence, &funded_at(now_ms))
            .decided()
            .expect("decided");
        let signers: Vec<usize> = (0..usize::from(scene.spec.m)).collect();
        let signatures = scene.settlement_signatures(&signers, &decided.digest);
        let signed_receipt = decided.signed(signatures).unwrap();
        let bids = workers.iter().map(|worker| scene.bid(*worker)).collect();
        Self {
            scene,
            bids,
            leases,
            commits,
            claims,
            objects,
            evidence,
            output,
            decided,
            signed_receipt,
        }
    }

    /// The honest task of a mode with 3-of-4 validators.
    #[must_use]
    pub fn of(mode: Mode) -> Self {
        Self::honest(match mode {
            Mode::Single => TaskSpec::single(3, 4),
            Mode::Race => TaskSpec::race(3, 4),
            Mode::Quorum => TaskSpec::quorum(3, 4),
        })
    }

    /// The bundle of the task, with its output when a worker was paid.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let paid = self.decided.receipt.outcome == d402_objects::Outcome::Paid;
        let contents = if paid {
            vec![self.output.clone()]
        } else {
            Vec::new()
        };
        Bundle::build(&BundleContent {
            evidence: &self.evidence,
            decided: &self.decided,
            signed_receipt: &self.signed_receipt,
            bids: &self.bids,
            contents: &contents,
        })
        .unwrap()
    }
}

/// The deposit is there and the clock says `now_ms`.
#[must_use]
pub fn funded_at(now_ms: UnixMs) -> Facts {
    Facts {
        now_ms,
        deposit: DepositFact::OnTime,
        paid_elsewhere: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_spec_gives_the_same_bytes_and_another_seed_another_task() {
        let (first, second) = (TaskStory::of(Mode::Race), TaskStory::of(Mode::Race));
        assert_eq!(first.bundle(), second.bundle());
        let other = TaskStory::honest(TaskSpec::race(3, 4).seeded(7));
        assert_ne!(other.scene.dossier.task_id(), first.scene.dossier.task_id());
        assert_ne!(other.scene.dossier.pay_to(), first.scene.dossier.pay_to());
    }

    #[test]
    fn the_gateway_may_sign_the_intent_for_the_buyer() {
        let mut spec = TaskSpec::single(1, 1);
        spec.buyer_signs = false;
        let story = TaskStory::honest(spec);
        assert!(Bundle::verify(story.bundle().as_bytes()).is_ok());
    }
}
