//! A case with real keys, a real journal file and a chain that says what the test wants.
#![allow(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use d402_capabilities::{Judgement, Verdict as Judged};
use d402_objects::{Hex32, IndexedSignature, SigningKey};
use d402_settlement::Codec;
use d402_settlement::market::testkit::{Scene, TaskSpec, TaskStory, funded_at};
use d402_settlement::market::{BASE_SEPOLIA_NETWORK, Decision, decide};
use d402_wire::{RawDossier, RawEnvelope, Response};

use super::*;
use crate::chain::{ChainError, Deposit};
use crate::journal::{SettlementRecord, SettlementVerdict, SqliteJournal};

mod attacks;

#[derive(Debug)]
struct FakeChain {
    now_ms: AtomicU64,
    deposit_s: AtomicU64,
    budget: u64,
    down: AtomicBool,
}

#[async_trait]
impl ChainView for FakeChain {
    async fn now_ms(&self) -> Result<u64, ChainError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(ChainError::Malformed);
        }
        Ok(self.now_ms.load(Ordering::SeqCst))
    }

    async fn deposits(&self, _: &Dossier) -> Result<Vec<Deposit>, ChainError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(ChainError::Malformed);
        }
        let at_s = self.deposit_s.load(Ordering::SeqCst);
        if at_s == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![Deposit {
            at_ms: at_s * 1_000,
            units: u128::from(self.budget),
        }])
    }
}

/// One of the testkit's validators, the first one unless a test says otherwise.
struct World {
    me: usize,
    story: TaskStory,
    chain: Arc<FakeChain>,
    dir: tempfile::TempDir,
}

impl World {
    fn new(spec: TaskSpec) -> Self {
        Self::of(spec, 0)
    }

    fn of(spec: TaskSpec, me: usize) -> Self {
        let story = TaskStory::honest(spec);
        let scene = &story.scene;
        let chain = FakeChain {
            now_ms: AtomicU64::new(scene.at(3_000).get()),
            deposit_s: AtomicU64::new(scene.at(1_000).get() / 1_000),
            budget: scene.spec.budget,
            down: AtomicBool::new(false),
        };
        Self {
            me,
            story,
            chain: Arc::new(chain),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn scene(&self) -> &Scene {
        &self.story.scene
    }

    fn at(&self, after_issue_ms: u64) -> u64 {
        let now = self.scene().at(after_issue_ms).get();
        self.chain.now_ms.store(now, Ordering::SeqCst);
        now
    }

    async fn tools(&self) -> Tools {
        let journal = Arc::new(
            SqliteJournal::open(&self.dir.path().join("j.sqlite"))
                .await
                .unwrap(),
        );
        let me = &self.scene().actors.validators[self.me];
        let chain: Arc<dyn ChainView> = self.chain.clone();
        Tools {
            keys: Arc::new(
                Keys::new(me.key.clone(), me.settlement.clone(), me.evm.clone()).unwrap(),
            ),
            journal: journal.clone(),
            store: journal,
            chains: [(self.scene().dossier.network().clone(), chain)].into(),
            misbehaviour: Misbehaviour::None,
        }
    }

    /// A case as after `OpenTask`; a second call is a restart on the same files.
    async fn case(&self) -> Case {
        let tools = self.tools().await;
        let task_id = self.scene().dossier.task_id();
        if let Some(case) = Case::load(tools.clone(), task_id).await.unwrap() {
            return case;
        }
        Case::open(tools, RawDossier::of(&self.scene().dossier))
            .await
            .unwrap()
    }

    fn papers(&self, lease: usize) -> CommitPapers {
        CommitPapers {
            lease: self.story.leases[lease].clone(),
            accept: self.scene().accept(&self.story.leases[lease]),
            set: self.story.leases.clone(),
            commit: self.story.commits[lease].clone(),
        }
    }

    /// Acks of the other validators, so that the claim is certified.
    async fn others_ack(&self, case: &mut Case, lease: usize) {
        for other in 1..usize::from(self.scene().spec.n) {
            let rank = u8::try_from(lease + 1).unwrap();
            let ack = self.scene().ack(
                other,
                &self.story.leases[lease],
                &self.story.commits[lease],
                rank,
            );
            case.ack_noticed(
                ack,
                self.story.commits[lease].clone(),
                self.story.leases.clone(),
            )
            .await
            .unwrap();
        }
    }

    fn reveal(&self, lease: usize) -> RevealPapers {
        let output = self.story.output.clone();
        RevealPapers {
            claim: self.story.claims[lease].clone(),
            certificate: Vec::new(),
            commits: Vec::new(),
            blobs: vec![(Cid::of(&output), output)],
        }
    }

    /// Commit, acks, reveal and verdicts of everybody on the only claim of a single task.
    async fn judged_case(&self) -> Case {
        let mut case = self.case().await;
        case.commit(self.papers(0), "worker", self.at(3_000))
            .await
            .unwrap();
        self.others_ack(&mut case, 0).await;
        case.reveal(self.reveal(0), self.at(4_000))
            .await
            .unwrap()
            .unwrap();
        let claim = &self.story.claims[0];
        case.verdict(claim, &accept(), self.at(4_500))
            .await
            .unwrap();
        for other in 1..usize::from(self.scene().spec.n) {
            let receipt = self
                .scene()
                .verdict(other, claim, d402_objects::Verdict::Accept);
            case.receipt_noticed(receipt, claim.clone()).await.unwrap();
        }
        case
    }

    fn decided(&self, case: &Case) -> Decided {
        match decide(case.evidence(), &funded_at(self.scene().at(6_000))) {
            Decision::Decided(decided) => *decided,
            Decision::Undecided { why, .. } => panic!("undecided: {why:?}"),
        }
    }

    fn proposal(&self, decided: &Decided, round: u32) -> Proposal {
        Proposal {
            round,
            receipt: decided.signed(Vec::new()).unwrap(),
            inputs: decided.inputs.clone(),
            objects: Vec::new(),
        }
    }
}

fn accept() -> Judgement {
    Judgement {
        verdict: Judged::Accept,
        score_bps: 10_000,
        reasons: Vec::new(),
        transcript_digest: Cid::of(b"transcript").to_string(),
    }
}

#[tokio::test]
async fn r2_the_same_commit_gets_the_same_ack_across_a_restart() {
    let world = World::new(TaskSpec::single(3, 4));
    let now = world.at(3_000);
    let (first, told) = world
        .case()
        .await
        .commit(world.papers(0), "worker", now)
        .await
        .unwrap();
    assert!(told.len() >= 3, "the other validators hear of it");
    let later = world.at(3_400);
    let (again, _) = world
        .case()
        .await
        .commit(world.papers(0), "worker", later)
        .await
        .unwrap();
    assert_eq!(first.as_bytes(), again.as_bytes());
}

#[tokio::test]
async fn a_second_commit_of_one_lease_voids_it() {
    let world = World::new(TaskSpec::race(3, 4));
    let mut case = world.case().await;
    let now = world.at(3_000);
    case.commit(world.papers(0), "worker", now).await.unwrap();
    let mut papers = world.papers(0);
    papers.commit = world
        .scene()
        .commit_to(&world.story.leases[0], Hex32::from_bytes([9; 32]));
    assert_eq!(
        case.commit(papers, "worker", now).await.unwrap_err(),
        Refusal::LeaseVoid
    );
}

#[tokio::test]
async fn threat_33_a_second_lease_set_of_an_attempt_is_not_acked() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.case().await;
    let now = world.at(3_000);
    case.commit(world.papers(0), "worker", now).await.unwrap();
    let set = world.scene().lease_set(1, &[1]);
    let claim = world.scene().claim(&set[0], &world.story.output);
    let papers = CommitPapers {
        lease: set[0].clone(),
        accept: world.scene().accept(&set[0]),
        commit: world.scene().commit(&set[0], &claim),
        set,
    };
    assert_eq!(
        case.commit(papers, "other", now).await.unwrap_err(),
        Refusal::OtherLeaseSet
    );
}

#[tokio::test]
async fn no_ack_after_commit_by_before_the_deposit_or_without_the_chain() {
    let world = World::new(TaskSpec::single(3, 4));
    let closed = world.scene().dossier.times().commit_by_ms.get();
    world.chain.now_ms.store(closed, Ordering::SeqCst);
    let refused = world
        .case()
        .await
        .commit(world.papers(0), "worker", closed)
        .await
        .unwrap_err();
    assert_eq!(refused, Refusal::Closed);

    let now = world.at(3_000);
    world.chain.deposit_s.store(0, Ordering::SeqCst);
    let refused = world
        .case()
        .await
        .commit(world.papers(0), "worker", now)
        .await
        .unwrap_err();
    assert_eq!(refused, Refusal::NotFunded);

    world.chain.down.store(true, Ordering::SeqCst);
    let refused = world
        .case()
        .await
        .commit(world.papers(0), "worker", now)
        .await
        .unwrap_err();
    assert_eq!(refused, Refusal::Busy);
}

#[tokio::test]
async fn an_early_reveal_is_refused_and_judges_nothing() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.case().await;
    case.commit(world.papers(0), "worker", world.at(3_000))
        .await
        .unwrap();
    let refused = case
        .reveal(world.reveal(0), world.at(4_000))
        .await
        .unwrap_err();
    assert_eq!(refused, Refusal::NotYet, "one ack is no certificate");
    world.others_ack(&mut case, 0).await;
    assert!(
        case.reveal(world.reveal(0), world.at(4_000))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        case.reveal(world.reveal(0), world.at(4_100))
            .await
            .unwrap()
            .is_none(),
        "judged once"
    );
}

#[tokio::test]
async fn a_reveal_without_its_content_is_refused() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.case().await;
    case.commit(world.papers(0), "worker", world.at(3_000))
        .await
        .unwrap();
    world.others_ack(&mut case, 0).await;
    let mut papers = world.reveal(0);
    papers.blobs.clear();
    assert_eq!(
        case.reveal(papers, world.at(4_000)).await.unwrap_err(),
        Refusal::Malformed
    );
}

#[tokio::test]
async fn threat_13_a_proposal_that_leaves_out_an_acked_commit_is_refused() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.judged_case().await;
    let decided = world.decided(&case);
    let mine = case
        .evidence()
        .ack_by(&case.me(), &world.story.leases[0].cid())
        .unwrap()
        .cid();
    let inputs: Vec<Cid> = decided
        .inputs
        .iter()
        .copied()
        .filter(|cid| *cid != mine)
        .collect();
    let without = case.evidence().subset(&inputs).unwrap();
    let other = decide(&without, &funded_at(world.scene().at(6_000)))
        .decided()
        .unwrap();
    let refused = case
        .propose(world.proposal(&other, 1), world.at(6_000))
        .await
        .unwrap_err();
    assert_eq!(refused, Refusal::Omits);
}

#[tokio::test]
async fn a_proposal_with_another_outcome_or_unknown_inputs_gets_no_ready() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.judged_case().await;
    let decided = world.decided(&case);
    let mut receipt = decided.receipt.clone();
    receipt.rows.pop();
    let mut lying = world.proposal(&decided, 1);
    lying.receipt = SignedReceipt::new(receipt, Vec::new()).unwrap();
    assert_eq!(
        case.propose(lying, world.at(6_000)).await.unwrap_err(),
        Refusal::OtherOutcome
    );

    let mut unknown = world.proposal(&decided, 1);
    let stranger = Cid::of(b"never seen");
    unknown.inputs.push(stranger);
    match case.propose(unknown, world.at(6_000)).await.unwrap() {
        Response::Missing { cids } => assert_eq!(cids, vec![stranger]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_signed_without_q_ready_answers_or_after_settle_by() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.judged_case().await;
    let decided = world.decided(&case);
    let Response::Object { object } = case
        .propose(world.proposal(&decided, 1), world.at(6_000))
        .await
        .unwrap()
    else {
        panic!("no ready answer")
    };
    let mine: Signed<d402_objects::Ready> = object.open().unwrap();
    let two = vec![mine.clone(), world.scene().ready(1, &decided, 1)];
    assert_eq!(
        case.sign(two.clone(), world.at(6_100)).await.unwrap_err(),
        Refusal::NotYet
    );
    let twice = vec![
        mine.clone(),
        mine.clone(),
        world.scene().ready(1, &decided, 1),
    ];
    assert_eq!(
        case.sign(twice, world.at(6_100)).await.unwrap_err(),
        Refusal::NotYet
    );

    let mut three = two;
    three.push(world.scene().ready(2, &decided, 1));
    let settle_by = u64::try_from(world.scene().dossier.times().settle_by_s.0).unwrap() * 1_000;
    world.chain.now_ms.store(settle_by, Ordering::SeqCst);
    assert_eq!(
        case.sign(three.clone(), settle_by).await.unwrap_err(),
        Refusal::Closed
    );

    let (signature, told) = case.sign(three.clone(), world.at(6_100)).await.unwrap();
    assert!(
        told.len() >= 3,
        "validators and payees hear of it (threat 12)"
    );
    let (again, _) = case.sign(three, world.at(6_200)).await.unwrap();
    assert_eq!(signature, again);
}

#[tokio::test]
async fn r2_one_settlement_per_terms_across_a_restart() {
    let world = World::new(TaskSpec::single(3, 4));
    let tools = world.tools().await;
    let record = |digest: u8, terms: u8| SettlementRecord {
        task_id: world.scene().dossier.task_id(),
        verifier: "v".to_owned(),
        terms_hash: Hex32::from_bytes([terms; 32]),
        digest: Hex32::from_bytes([digest; 32]),
        paid: true,
    };
    assert_eq!(
        tools.journal.settlement(&record(1, 1)).await.unwrap(),
        SettlementVerdict::Sign
    );
    drop(tools);
    let tools = world.tools().await;
    assert_eq!(
        tools.journal.settlement(&record(1, 1)).await.unwrap(),
        SettlementVerdict::Sign
    );
    let refused = tools.journal.settlement(&record(2, 1)).await.unwrap();
    assert_eq!(
        refused,
        SettlementVerdict::AlreadySigned {
            digest: Hex32::from_bytes([1; 32])
        }
    );
    // Threat 10: the same task under other terms, on another rail.
    let refused = tools.journal.settlement(&record(3, 2)).await.unwrap();
    assert_eq!(
        refused,
        SettlementVerdict::PaidElsewhere {
            terms_hash: Hex32::from_bytes([1; 32])
        }
    );
}

#[tokio::test]
async fn r5_output_leaves_only_against_m_signatures_that_pay_its_claim() {
    let world = World::new(TaskSpec::single(3, 4));
    let case = world.judged_case().await;
    let decided = world.decided(&case);
    let cid = Cid::of(&world.story.output);
    let sign = |who: &[usize]| -> Vec<IndexedSignature> {
        world.scene().settlement_signatures(who, &decided.digest)
    };
    let two = decided.signed(sign(&[0, 1])).unwrap();
    assert_eq!(
        case.release(cid, &two, world.at(7_000)).await.unwrap_err(),
        Refusal::NoAccess
    );
    let three = decided.signed(sign(&[0, 1, 2])).unwrap();
    match case.release(cid, &three, world.at(7_000)).await.unwrap() {
        Response::Content { blob } => assert_eq!(blob.verified().unwrap(), world.story.output),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dossier_that_names_somebody_else_is_not_taken() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut tools = world.tools().await;
    let stranger = SigningKey::from_bytes(&[3; 32]);
    let other = SigningKey::from_bytes(&[4; 32]);
    let evm = k256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    tools.keys = Arc::new(Keys::new(stranger, other, evm).unwrap());
    let refused = Case::open(tools, RawDossier::of(&world.scene().dossier))
        .await
        .err();
    assert_eq!(refused, Some(Refusal::NotMyRole));
}

/// A judged Base task with three ready answers, and this validator's own among them.
async fn ready_on_base(world: &World) -> (Case, Decided, Vec<Signed<d402_objects::Ready>>) {
    let mut case = world.judged_case().await;
    let decided = world.decided(&case);
    let Response::Object { object } = case
        .propose(world.proposal(&decided, 1), world.at(6_000))
        .await
        .unwrap()
    else {
        panic!("no ready answer")
    };
    let ready = vec![
        object.open().unwrap(),
        world.scene().ready(1, &decided, 1),
        world.scene().ready(2, &decided, 1),
    ];
    (case, decided, ready)
}

#[tokio::test]
async fn a_base_task_is_signed_by_the_evm_key_as_the_contract_reads_it() {
    let world = World::new(TaskSpec::single(3, 4).on(BASE_SEPOLIA_NETWORK));
    let (mut case, decided, ready) = ready_on_base(&world).await;
    let (mine, _) = case.sign(ready.clone(), world.at(6_100)).await.unwrap();
    let dossier = &world.scene().dossier;
    let key = dossier.set().key(mine.set_index).unwrap();
    assert_eq!(dossier.member(mine.set_index).unwrap().key, case.me());
    let signature = mine.signature.as_slice();
    assert!(dossier.codec().verifies(&key, &decided.digest, signature));
    let solana = Codec::Solana(d402_settlement::Domain::SIMULATED);
    let ed25519 = d402_settlement::Key32(world.tools().await.keys.settlement().as_bytes());
    assert!(!solana.verifies(&ed25519, &decided.digest, signature));
    let (again, _) = case.sign(ready, world.at(6_200)).await.unwrap();
    assert_eq!(mine, again, "the same digest gets the same signature");
    // Signatures of the others are joined by the same rule, whatever they look like.
    let others = world
        .scene()
        .settlement_signatures(&[1, 2], &decided.digest);
    case.signature_noticed(&decided.signed(others).unwrap());
    let carrier = case.signed_receipts().next().unwrap();
    assert_eq!(carrier.signatures().len(), 3);
}

#[tokio::test]
async fn a_task_on_a_chain_this_validator_does_not_see_is_not_taken() {
    let world = World::new(TaskSpec::single(3, 4).on(BASE_SEPOLIA_NETWORK));
    let raw = || RawDossier::of(&world.scene().dossier);
    let mut tools = world.tools().await;
    let (_, chain) = tools.chains.pop_first().unwrap();
    let simulated = d402_settlement::market::SIMULATED_NETWORK;
    tools.chains = [(simulated.parse().unwrap(), chain)].into();
    let refused = Case::open(tools, raw()).await.err();
    assert_eq!(refused, Some(Refusal::NotMyRole));
    // The right envelope and Ed25519 keys with another EVM key: the set names somebody else.
    let mut tools = world.tools().await;
    let me = &world.scene().actors.validators[world.me];
    let evm = k256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    tools.keys = Arc::new(Keys::new(me.key.clone(), me.settlement.clone(), evm).unwrap());
    let refused = Case::open(tools, raw()).await.err();
    assert_eq!(refused, Some(Refusal::NotMyRole));
    let tools = world.tools().await;
    assert!(Case::open(tools, raw()).await.is_ok());
}

#[tokio::test]
async fn r2_one_settlement_per_terms_holds_on_base_too() {
    let world = World::new(TaskSpec::single(3, 4).on(BASE_SEPOLIA_NETWORK));
    let (mut case, decided, ready) = ready_on_base(&world).await;
    let other = SettlementRecord {
        digest: Hex32::from_bytes([1; 32]),
        ..case.settlement_record(&decided)
    };
    let journal = world.tools().await.journal;
    let first = journal.settlement(&other).await.unwrap();
    assert_eq!(first, SettlementVerdict::Sign);
    let refused = case.sign(ready, world.at(6_100)).await.unwrap_err();
    assert_eq!(refused, Refusal::AlreadySigned);
}
