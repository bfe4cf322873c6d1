//! What strangers, a hostile validator and a hostile gateway can try.

use ed25519_dalek::Signer as _;

use super::*;
use crate::journal::{CaseStore, JournalError};

#[tokio::test]
async fn threat_12_strangers_and_one_hostile_validator_cannot_crowd_out_the_honest_receipt() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.judged_case().await;
    let decided = world.decided(&case);
    let dossier = world.scene().dossier.clone();
    for salt in 0..8u8 {
        let mut other = decided.receipt.clone();
        other.lease_set_roots = vec![Hex32::from_bytes([salt; 32])];
        let bare = SignedReceipt::new(other, Vec::new()).unwrap();
        case.signature_noticed(&bare);
        let cid = bare.receipt_cid();
        let settlement =
            d402_settlement::market::check_receipt(&dossier, bare.receipt(), cid).unwrap();
        let digest = dossier
            .codec()
            .settlement_digest(&dossier.quote().terms_hash, &settlement);
        let signed = bare
            .with_signatures(world.scene().settlement_signatures(&[3], &digest))
            .unwrap();
        case.signature_noticed(&signed);
    }
    for honest in 0..3 {
        let signature = world
            .scene()
            .settlement_signatures(&[honest], &decided.digest);
        case.signature_noticed(&decided.signed(signature).unwrap());
    }
    let kept = case
        .signed_receipts()
        .find(|c| c.receipt_cid() == decided.receipt_cid)
        .unwrap();
    assert_eq!(kept.signatures().len(), 3);
}

/// The gateway's word for one of its nodes.
fn word(world: &World, node: &str) -> SignatureBytes {
    let message = d402_wire::watch_message(&world.scene().dossier.task_id(), node);
    let key = &world.scene().actors.gateway;
    key.sign(&message).to_bytes().into()
}

fn hears(case: &Case, node: &str) -> bool {
    let worker = case.me();
    case.concerned(&worker).iter().any(|to| to.node_id == node)
}

#[tokio::test]
async fn strangers_who_open_a_task_first_do_not_keep_its_gateway_from_hearing_verdicts() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.case().await;
    for stranger in 0..20 {
        case.watch(&format!("stranger-{stranger}"), None);
    }
    assert!(!hears(&case, "stranger-19"), "strangers have few places");
    case.watch("gateway", Some(&word(&world, "gateway")));
    assert!(hears(&case, "gateway"));
    assert!(hears(&case, "stranger-0"), "a worker's place stays");
}

#[tokio::test]
async fn the_gateways_word_for_one_node_is_worth_nothing_to_another_nor_on_another_task() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.case().await;
    for stranger in 0..20 {
        case.watch(&format!("stranger-{stranger}"), None);
    }
    case.watch("thief", Some(&word(&world, "gateway")));
    assert!(!hears(&case, "thief"));
    let elsewhere = World::new(TaskSpec::single(3, 4).seeded(99));
    case.watch("gateway", Some(&word(&elsewhere, "gateway")));
    assert!(!hears(&case, "gateway"));
    let own = Ed25519Id::from(&SigningKey::from_bytes(&[9; 32]));
    let forged = SigningKey::from_bytes(&[9; 32])
        .sign(&d402_wire::watch_message(
            &world.scene().dossier.task_id(),
            "forger",
        ))
        .to_bytes();
    assert_ne!(own, world.scene().dossier.intent().gateway);
    case.watch("forger", Some(&forged.into()));
    assert!(!hears(&case, "forger"));
}

#[tokio::test]
async fn of_the_gateways_own_nodes_the_newest_are_heard() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut case = world.case().await;
    for instance in 0..9 {
        let node = format!("gateway-{instance}");
        case.watch(&node, Some(&word(&world, &node)));
        case.watch(&node, Some(&word(&world, &node)));
    }
    assert!(hears(&case, "gateway-8") && hears(&case, "gateway-5"));
    assert!(!hears(&case, "gateway-0"), "instances that died make room");
}

/// A store that takes no objects until it is repaired.
struct Flaky {
    inner: Arc<SqliteJournal>,
    broken: AtomicBool,
}

#[async_trait]
impl CaseStore for Flaky {
    async fn put_dossier(&self, task: Cid, bytes: &[u8], until: u64) -> Result<(), JournalError> {
        self.inner.put_dossier(task, bytes, until).await
    }
    async fn dossier(&self, task: Cid) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.dossier(task).await
    }
    async fn put_object(&self, task_id: Cid, cid: Cid, bytes: &[u8]) -> Result<(), JournalError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(JournalError::Full { task_id, max: 0 });
        }
        self.inner.put_object(task_id, cid, bytes).await
    }
    async fn objects(&self, task: Cid) -> Result<Vec<Vec<u8>>, JournalError> {
        self.inner.objects(task).await
    }
    async fn put_blob(&self, task: Cid, cid: Cid, bytes: &[u8]) -> Result<(), JournalError> {
        self.inner.put_blob(task, cid, bytes).await
    }
    async fn blob(&self, task: Cid, cid: Cid) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.blob(task, cid).await
    }
    async fn prune(&self, now_ms: u64) -> Result<u64, JournalError> {
        self.inner.prune(now_ms).await
    }
}

#[tokio::test]
async fn evidence_that_could_not_be_stored_is_stored_before_it_is_answered_for() {
    let world = World::new(TaskSpec::single(3, 4));
    let mut tools = world.tools().await;
    let inner = Arc::new(
        SqliteJournal::open(&world.dir.path().join("objects.sqlite"))
            .await
            .unwrap(),
    );
    let flaky = Arc::new(Flaky {
        inner: inner.clone(),
        broken: AtomicBool::new(true),
    });
    tools.store = flaky.clone();
    let mut case = Case::open(tools, RawDossier::of(&world.scene().dossier))
        .await
        .unwrap();
    let now = world.at(3_000);
    for _ in 0..2 {
        let refused = case.commit(world.papers(0), "worker", now).await;
        assert_eq!(refused.unwrap_err(), Refusal::Busy, "nothing is on disk");
    }
    flaky.broken.store(false, Ordering::SeqCst);
    case.commit(world.papers(0), "worker", now).await.unwrap();
    let task_id = world.scene().dossier.task_id();
    let stored = inner.objects(task_id).await.unwrap().len();
    assert_eq!(stored, case.evidence().cids().len(), "all of it is on disk");
}

/// All four bridges with one claim, each with its own verdict only, as right after judging.
async fn bridges(worlds: &[World]) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut acks = Vec::new();
    for world in worlds {
        let mut case = world.case().await;
        let (ack, _) = case
            .commit(world.papers(0), "worker", world.at(3_000))
            .await
            .unwrap();
        acks.push(ack);
        cases.push(case);
    }
    for (case, world) in cases.iter_mut().zip(worlds) {
        for ack in &acks {
            let commit = world.story.commits[0].clone();
            case.ack_noticed(ack.clone(), commit, world.story.leases.clone())
                .await
                .unwrap();
        }
        let revealed = case.reveal(world.reveal(0), world.at(4_000)).await.unwrap();
        case.verdict(&revealed.unwrap().claim, &accept(), world.at(4_500))
            .await
            .unwrap();
    }
    cases
}

/// Everything all bridges hold together.
fn union(cases: &[Case], world: &World) -> Evidence {
    let mut all = Evidence::new(&world.scene().dossier);
    let mut objects: BTreeMap<Cid, EvidenceObject> = BTreeMap::new();
    for case in cases {
        for object in case.evidence().objects() {
            objects.insert(object.cid(), object);
        }
    }
    assert!(all.insert_all(objects.into_values().collect()).is_empty());
    all
}

/// A proposal that leaves out the verdict of one validator; all others' m verdicts still decide.
fn without_verdict_of(all: &Evidence, left_out: Option<Ed25519Id>, world: &World) -> Decided {
    let dropped: Vec<Cid> = all
        .receipts()
        .filter(|receipt| Some(receipt.payload().validator) == left_out)
        .map(Signed::cid)
        .collect();
    let inputs: Vec<Cid> = all
        .inputs()
        .into_iter()
        .filter(|cid| !dropped.contains(cid))
        .collect();
    let part = all.subset(&inputs).unwrap();
    decide(&part, &funded_at(world.scene().at(6_000)))
        .decided()
        .unwrap()
}

async fn ready_of(
    case: &mut Case,
    world: &World,
    (decided, all, round): (&Decided, &Evidence, u32),
) -> Result<Signed<d402_objects::Ready>, Refusal> {
    let mut proposal = world.proposal(decided, round);
    proposal.objects = decided
        .inputs
        .iter()
        .filter_map(|cid| Some(RawEnvelope::from(&all.get(cid)?)))
        .collect();
    match case.propose(proposal, world.at(6_000)).await? {
        Response::Object { object } => Ok(object.open().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn r4_a_gateway_that_proposes_another_outcome_to_every_bridge_gets_no_signature_until_it_is_honest()
 {
    let worlds: Vec<World> = (0..4)
        .map(|me| World::of(TaskSpec::single(3, 4), me))
        .collect();
    let mut cases = bridges(&worlds).await;
    let all = union(&cases, &worlds[0]);
    let mut answers = Vec::new();
    let mut digests = BTreeSet::new();
    for me in 0..4 {
        // Every bridge finds its own evidence in what it is shown, and another's verdict missing.
        let victim = cases[(me + 1) % 4].me();
        let decided = without_verdict_of(&all, Some(victim), &worlds[me]);
        digests.insert(decided.digest);
        let ready = ready_of(&mut cases[me], &worlds[me], (&decided, &all, 1)).await;
        answers.push(ready.unwrap());
    }
    assert_eq!(digests.len(), 4, "four outcomes were proposed");
    for me in 0..4 {
        let now = worlds[me].at(6_100);
        let own = vec![answers[me].clone(); 3];
        let refused = cases[me].sign(own, now).await.unwrap_err();
        assert_eq!(refused, Refusal::NotYet, "one voice is no quorum");
        let mixed = cases[me].sign(answers.clone(), now).await.unwrap_err();
        assert_eq!(mixed, Refusal::Malformed, "voices for other outcomes");
    }
    // In the same round nobody says another thing; in the next one everybody may, and they all agree.
    let honest = without_verdict_of(&all, None, &worlds[0]);
    let said: Vec<_> = answers.iter().map(|a| a.payload().digest).collect();
    let honest_digest = Hex32::from_bytes(honest.digest);
    // Leaving out a verdict that no fee row needs is no other outcome.
    let misled = said.iter().filter(|digest| **digest != honest_digest);
    assert!(misled.count() >= 3);
    for me in 0..4 {
        let again = ready_of(&mut cases[me], &worlds[me], (&honest, &all, 1)).await;
        if said[me] == honest_digest {
            again.unwrap();
        } else {
            assert_eq!(again.unwrap_err(), Refusal::AlreadySigned);
        }
    }
    let mut ready = Vec::new();
    for (case, world) in cases.iter_mut().zip(&worlds) {
        ready.push(ready_of(case, world, (&honest, &all, 2)).await.unwrap());
    }
    for (case, world) in cases.iter_mut().zip(&worlds) {
        let signed = case.sign(ready.clone(), world.at(6_200)).await;
        signed.unwrap();
        // What a bridge signed stands: the outcomes shown before are closed to it for good.
        let left_out = Some(world.scene().actors.validators[(world.me + 1) % 4].id());
        let other = without_verdict_of(&all, left_out, world);
        let late = ready_of(case, world, (&other, &all, 3)).await;
        assert_eq!(late.is_err(), other.digest != honest.digest, "{late:?}");
    }
}

#[tokio::test]
async fn r4_a_bridge_shown_another_outcome_than_m_honest_ones_signs_neither_until_it_is_shown_theirs()
 {
    let worlds: Vec<World> = (0..4)
        .map(|me| World::of(TaskSpec::single(3, 4), me))
        .collect();
    let mut cases = bridges(&worlds).await;
    let all = union(&cases, &worlds[0]);
    let honest = without_verdict_of(&all, None, &worlds[0]);
    let mut ready = Vec::new();
    for me in 0..3 {
        let answer = ready_of(&mut cases[me], &worlds[me], (&honest, &all, 1)).await;
        ready.push(answer.unwrap());
    }
    let victim = cases[0].me();
    let other = without_verdict_of(&all, Some(victim), &worlds[3]);
    let lonely = ready_of(&mut cases[3], &worlds[3], (&other, &all, 1)).await;
    let now = worlds[3].at(6_100);
    let alone = cases[3].sign(vec![lonely.unwrap()], now).await;
    assert_eq!(alone.unwrap_err(), Refusal::NotYet);
    let unseen = cases[3].sign(ready.clone(), now).await;
    assert_eq!(
        unseen.unwrap_err(),
        Refusal::NotYet,
        "not its own outcome yet"
    );
    for me in 0..3 {
        cases[me]
            .sign(ready.clone(), worlds[me].at(6_100))
            .await
            .unwrap();
    }
    let shown = ready_of(&mut cases[3], &worlds[3], (&honest, &all, 2)).await;
    shown.unwrap();
    cases[3].sign(ready, worlds[3].at(6_300)).await.unwrap();
}
