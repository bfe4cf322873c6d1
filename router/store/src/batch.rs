//! Many writes in one transaction: what group commit runs.
//!
//! Rows are locked in one order (new tasks, tasks by id, money by key, signers), so that two transactions
//! seldom wait for each other in a circle. Nothing here commits.

mod append;
mod create;
mod enter;
mod lease;
mod money;

use std::collections::BTreeSet;

use d402_core::ports::{CreateOutcome, DirectoryOutcome, NewTask, Step, StepOutcome};
use d402_objects::Cid;

use crate::fault::Fault;
use crate::sql::Transaction;

pub(crate) use enter::Entry;
pub(crate) use lease::LeaseRequest;

/// One write.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create(NewTask),
    Append(Vec<Step>),
    Submitted { key: String },
    Final { key: String, outcome: String },
    Release { owner: String, task_ids: Vec<Cid> },
    ReleaseAll { owner: String },
    LeaseDue(LeaseRequest),
    Enter(Entry),
    Probe,
}

/// What a write ended with.
#[derive(Debug)]
pub(crate) enum Answer {
    Created(CreateOutcome),
    Appended(Vec<StepOutcome>),
    Leased(Vec<Cid>),
    Entered(DirectoryOutcome),
    Done,
}

/// Writes of each kind, with their places among the answers.
#[derive(Default)]
struct Sorted<'o> {
    creates: Vec<(usize, &'o NewTask)>,
    appends: Vec<(usize, &'o [Step])>,
    moves: Vec<money::Move<'o>>,
    releases: Vec<(&'o str, &'o [Cid])>,
    full_releases: Vec<&'o str>,
    leases: Vec<(usize, &'o LeaseRequest)>,
    entries: Vec<(usize, &'o Entry)>,
}

impl<'o> Sorted<'o> {
    fn of(ops: &'o [Op]) -> Self {
        let mut sorted = Self::default();
        for (place, op) in ops.iter().enumerate() {
            match op {
                Op::Create(task) => sorted.creates.push((place, task)),
                Op::Append(steps) => sorted.appends.push((place, steps)),
                Op::Submitted { key } => sorted.moves.push(money::Move { key, outcome: None }),
                Op::Final { key, outcome } => sorted.moves.push(money::Move {
                    key,
                    outcome: Some(outcome),
                }),
                Op::Release { owner, task_ids } => sorted.releases.push((owner, task_ids)),
                Op::ReleaseAll { owner } => sorted.full_releases.push(owner),
                Op::LeaseDue(request) => sorted.leases.push((place, request)),
                Op::Enter(entry) => sorted.entries.push((place, entry)),
                Op::Probe => {}
            }
        }
        sorted
    }

    fn existing_tasks(&self) -> BTreeSet<Cid> {
        let stepped = self
            .appends
            .iter()
            .flat_map(|(_, steps)| steps.iter().map(|step| step.task_id));
        let released = self
            .releases
            .iter()
            .flat_map(|(_, task_ids)| task_ids.iter().copied());
        stepped.chain(released).collect()
    }
}

/// Runs `ops` in `tx`; one answer each, in order.
pub(crate) async fn run(tx: &mut Transaction, ops: &[Op]) -> Result<Vec<Answer>, Fault> {
    let sorted = Sorted::of(ops);
    let mut answers: Vec<Answer> = ops.iter().map(|_| Answer::Done).collect();
    let mut answer = |place: usize, given: Answer| {
        if let Some(slot) = answers.get_mut(place) {
            *slot = given;
        }
    };
    for (place, outcome) in create::run(tx, &sorted.creates).await? {
        answer(place, Answer::Created(outcome));
    }
    let mut held = append::hold(tx, sorted.existing_tasks()).await?;
    for (place, outcomes) in append::run(tx, &mut held, &sorted.appends).await? {
        answer(place, Answer::Appended(outcomes));
    }
    money::run(tx, &sorted.moves).await?;
    for (place, outcome) in enter::run(tx, &sorted.entries).await? {
        answer(place, Answer::Entered(outcome));
    }
    for (owner, task_ids) in &sorted.releases {
        lease::release(tx, &held, owner, task_ids).await?;
    }
    for owner in &sorted.full_releases {
        lease::release_all(tx, owner).await?;
    }
    for (place, request) in &sorted.leases {
        answer(*place, Answer::Leased(lease::due(tx, request).await?));
    }
    Ok(answers)
}
