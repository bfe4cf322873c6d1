//! Whole tasks in every mode, 1-of-1 and 3-of-4, and a gateway that dies at every step of them.

use d402_objects::ReputationKind;
use d402_settlement::market::testkit::TaskSpec;

use super::world::{Judge, Plot, Worker, World};
use crate::market::{Ending, PhaseName};

use Worker::{Gone, Honest, Wrong};

const HONEST: Worker = Honest(50);

fn is_paid(world: &World) -> bool {
    matches!(
        world.ending(),
        Ending::Paid {
            output_stored: true,
            ..
        }
    )
}

#[test]
fn a_single_task_pays_its_cheapest_worker_and_walks_through_every_phase() {
    for (m, n) in [(1, 1), (3, 4)] {
        let world = Plot::new(TaskSpec::single(m, n), &[HONEST, HONEST]).run();
        assert!(is_paid(&world));
        assert_eq!(world.paid_workers(), [0]);
        let expected = [
            PhaseName::AwaitingDeposit,
            PhaseName::Bidding,
            PhaseName::Working,
            PhaseName::Collecting,
            PhaseName::Proposing,
            PhaseName::Signing,
            PhaseName::Settling,
            PhaseName::Final,
        ];
        assert_eq!(world.phases, expected);
        assert_eq!(world.finished, 1);
        assert!(
            world.now < world.at(2_000),
            "an undisturbed task takes well under two seconds"
        );
    }
}

#[test]
fn a_race_pays_the_first_worker_alone() {
    for (m, n) in [(1, 1), (3, 4)] {
        let world = Plot::new(TaskSpec::race(m, n), &[Honest(900), Honest(40)]).run();
        assert!(is_paid(&world));
        assert_eq!(world.paid_workers(), [1]);
    }
}

#[test]
fn a_quorum_pays_all_who_agree() {
    for (m, n) in [(1, 1), (3, 4)] {
        let world = Plot::new(TaskSpec::quorum(m, n), &[HONEST, Honest(80), Honest(200)]).run();
        assert!(is_paid(&world));
        assert_eq!(world.paid_workers(), [0, 1, 2]);
        assert!(world.now < world.at(3_000));
    }
}

#[test]
fn the_minority_of_a_quorum_is_not_paid_and_the_majority_is() {
    let world = Plot::new(TaskSpec::quorum(3, 4), &[HONEST, Wrong, HONEST]).run();
    assert!(is_paid(&world));
    assert_eq!(world.paid_workers(), [0, 2]);
}

#[test]
fn a_quorum_of_those_who_deliver_is_paid_when_one_worker_is_gone() {
    let world = Plot::new(TaskSpec::quorum(3, 4), &[HONEST, Gone, HONEST]).run();
    assert!(is_paid(&world));
    assert_eq!(world.paid_workers(), [0, 2]);
    assert!(world.now >= world.scene.dossier.times().decide_at_ms.get());
}

#[test]
fn a_race_with_a_liar_pays_the_honest_worker() {
    let world = Plot::new(TaskSpec::race(3, 4), &[Wrong, Honest(300)]).run();
    assert!(is_paid(&world));
    assert_eq!(world.paid_workers(), [1]);
    let rejected: Vec<_> = world
        .reports
        .iter()
        .filter(|r| r.kind == ReputationKind::ClaimRejected)
        .collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].subject, world.scene.actors.workers[0].id());
}

#[test]
fn a_lying_validator_changes_nothing_and_is_reported() {
    let judges = [Judge::Liar, Judge::Honest, Judge::Honest, Judge::Honest];
    for spec in [
        TaskSpec::single(3, 4),
        TaskSpec::race(3, 4),
        TaskSpec::quorum(3, 4),
    ] {
        let world = Plot::new(spec, &[HONEST, HONEST, HONEST])
            .judged_by(&judges)
            .run();
        assert!(is_paid(&world));
        let liar = world.scene.actors.validators[0].id();
        let dissents = world
            .reports
            .iter()
            .filter(|r| r.kind == ReputationKind::VerdictDissent);
        assert!(dissents.clone().count() > 0 && dissents.clone().all(|r| r.subject == liar));
    }
}

#[test]
fn a_silent_validator_costs_time_only() {
    let judges = [Judge::Honest, Judge::Silent, Judge::Honest, Judge::Honest];
    for spec in [
        TaskSpec::single(3, 4),
        TaskSpec::race(3, 4),
        TaskSpec::quorum(3, 4),
    ] {
        let world = Plot::new(spec, &[HONEST, HONEST, HONEST])
            .judged_by(&judges)
            .run();
        assert!(is_paid(&world));
        assert!(world.now < world.at(6_000));
    }
}

#[test]
fn a_gateway_that_dies_after_any_step_ends_the_same() {
    for spec in [
        TaskSpec::single(3, 4),
        TaskSpec::race(1, 1),
        TaskSpec::quorum(1, 1),
    ] {
        let plot = Plot::new(spec, &[Wrong, HONEST, HONEST]);
        let calm = plot.clone().run();
        let mut at = World::new(plot);
        while at.task.ending().is_none() {
            let mut world = at.clone();
            world.crash();
            world.run();
            assert_eq!(
                world.paid_workers(),
                calm.paid_workers(),
                "crash in {:?}",
                at.phases
            );
            assert_eq!(
                std::mem::discriminant(world.ending()),
                std::mem::discriminant(calm.ending()),
                "crash in {:?}",
                at.phases
            );
            at.step();
        }
    }
}

#[test]
fn the_journal_gives_the_live_task_after_every_step() {
    for spec in [TaskSpec::single(3, 4), TaskSpec::quorum(1, 1)] {
        let mut world = World::new(Plot::new(spec, &[Wrong, HONEST, HONEST]));
        while world.task.ending().is_none() {
            world.step();
            let replayed = world.replayed();
            assert_eq!(format!("{replayed:?}"), format!("{:?}", world.task));
            let (now, live) = (world.now, world.task.resume(world.now));
            assert_eq!(format!("{:?}", replayed.resume(now)), format!("{live:?}"));
            assert_eq!(replayed.wake_at_ms(), world.task.wake_at_ms());
        }
    }
}

#[test]
fn a_rejected_task_praises_nobody_and_reports_the_validator_that_accepted() {
    let judges = [Judge::Liar, Judge::Honest, Judge::Honest, Judge::Honest];
    let world = Plot::new(TaskSpec::single(3, 4), &[Wrong, Wrong])
        .judged_by(&judges)
        .run();
    assert!(matches!(world.ending(), Ending::Rejected { .. }));
    let liar = world.scene.actors.validators[0].id();
    assert!(
        !world
            .reports
            .iter()
            .any(|r| r.kind == ReputationKind::Settled)
    );
    let dissents: Vec<_> = world
        .reports
        .iter()
        .filter(|r| r.kind == ReputationKind::VerdictDissent)
        .collect();
    assert!(!dissents.is_empty() && dissents.iter().all(|r| r.subject == liar));
}
