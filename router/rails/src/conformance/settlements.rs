//! Settling and refunding: who gets what, once, and when.

use d402_core::ports::{RailError, VaultState};
use d402_objects::Amount;

use super::{Nonconforming, Scene, Verdict};

pub(super) async fn a_receipt_pays_its_rows_once_and_refunds_the_rest(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let (story, _) = scene.funded(10_000).await?;
    let verdict = Verdict::Paid {
        worker: 7_000,
        validator: 500,
    };
    let body = scene.settle(&story, verdict).await?;
    let first = scene.vault(&story).await?;
    scene.known(scene.rail.submit(&body).await)?;
    let again = scene.vault(&story).await?;
    scene.expect(
        first == again,
        "a settlement submitted twice to be one settlement",
        &again,
    )?;
    let VaultState::Settled(settled) = first else {
        return scene.expect(false, "a settled vault", &first);
    };
    let receipt = scene.harness.receipt(&story, verdict, 0);
    scene.expect(
        settled.receipt_cid == receipt.receipt_cid(),
        "the receipt's own CID",
        &settled,
    )?;
    scene.expect(
        settled.refunded == Amount::from(2_500u64),
        "the rest refunded",
        &settled,
    )?;
    let paid: u128 = settled
        .paid
        .iter()
        .map(|row| row.amount.get())
        .fold(0, u128::saturating_add);
    scene.expect(
        paid == 7_500 && settled.paid.iter().all(|row| !row.credited),
        "two rows paid in full",
        &settled,
    )?;
    scene
        .expect_units(&story, &story.worker, 7_000, "the worker paid once")
        .await?;
    scene
        .expect_units(&story, &story.validator, 500, "the validator paid once")
        .await?;
    scene
        .expect_units(&story, &story.refund_to, 2_500, "the buyer refunded once")
        .await
}

pub(super) async fn a_second_receipt_is_refused_for_ever(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let (story, _) = scene.funded(10_000).await?;
    let verdict = Verdict::Paid {
        worker: 7_000,
        validator: 500,
    };
    scene.settle(&story, verdict).await?;
    let other = scene.harness.receipt(
        &story,
        Verdict::Paid {
            worker: 9_000,
            validator: 500,
        },
        0,
    );
    let second = scene.known(scene.rail.settle_body(&story.terms, &other))?;
    let refused = scene.rail.submit(&second).await;
    scene.expect(
        matches!(refused, Err(RailError::Refused { .. })),
        "a second receipt refused for ever",
        &refused,
    )?;
    scene
        .expect_units(
            &story,
            &story.worker,
            7_000,
            "nothing moved by a second receipt",
        )
        .await
}

pub(super) async fn too_few_signatures_move_nothing(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let (story, _) = scene.funded(10_000).await?;
    let weak = scene.harness.receipt(
        &story,
        Verdict::Paid {
            worker: 7_000,
            validator: 500,
        },
        1,
    );
    let body = scene.known(scene.rail.settle_body(&story.terms, &weak))?;
    let refused = scene.rail.submit(&body).await;
    let no = matches!(
        refused,
        Err(RailError::Refused { .. } | RailError::Retry { .. })
    );
    scene.expect(no, "a receipt with one signature too few refused", &refused)?;
    let vault = scene.vault(&story).await?;
    scene.expect(
        vault
            == VaultState::Open {
                balance: Amount::from(10_000u64),
            },
        "a vault left as it was",
        &vault,
    )
}

pub(super) async fn a_rejected_task_is_refunded_at_once(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let (story, _) = scene.funded(10_000).await?;
    scene.settle(&story, Verdict::Rejected).await?;
    let vault = scene.vault(&story).await?;
    scene.expect(
        matches!(vault, VaultState::Settled(_)),
        "a settled vault",
        &vault,
    )?;
    scene
        .expect_units(&story, &story.refund_to, 10_000, "the whole budget back")
        .await
}

pub(super) async fn an_unpayable_payee_is_credited_and_claims_later(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let (story, _) = scene.funded(10_000).await?;
    scene.harness.set_payable(&story.worker, false).await;
    scene
        .settle(
            &story,
            Verdict::Paid {
                worker: 7_000,
                validator: 500,
            },
        )
        .await?;
    scene
        .expect_units(
            &story,
            &story.worker,
            0,
            "nothing sent to who cannot receive",
        )
        .await?;
    scene
        .expect_units(
            &story,
            &story.validator,
            500,
            "the others paid all the same",
        )
        .await?;
    scene
        .expect_units(
            &story,
            &story.refund_to,
            2_500,
            "a refund that leaves the credit",
        )
        .await?;
    let vault = scene.vault(&story).await?;
    let credited = match &vault {
        VaultState::Settled(settled) => settled.paid.iter().filter(|row| row.credited).count() == 1,
        VaultState::Open { .. } => false,
    };
    scene.expect(credited, "one credited row", &vault)?;
    let sweep = scene.rail.sweep_body(&story.terms);
    scene.known(scene.rail.submit(&sweep).await)?;
    scene
        .expect_units(
            &story,
            &story.refund_to,
            2_500,
            "a sweep that leaves the credit",
        )
        .await?;
    scene.harness.set_payable(&story.worker, true).await;
    scene.harness.claim_credit(&story, &story.worker).await;
    scene.harness.claim_credit(&story, &story.worker).await;
    scene
        .expect_units(&story, &story.worker, 7_000, "the credit paid once")
        .await
}

pub(super) async fn silence_is_refunded_from_refund_after_on(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let (story, _) = scene.funded(10_000).await?;
    let sweep = scene.rail.sweep_body(&story.terms);
    scene
        .harness
        .advance_to(story.refund_after.saturating_sub(1))
        .await;
    let early = scene.rail.submit(&sweep).await;
    scene.expect(
        matches!(early, Err(RailError::Retry { .. })),
        "no refund a second too early",
        &early,
    )?;
    scene.harness.advance_to(story.refund_after).await;
    let receipt = scene.harness.receipt(
        &story,
        Verdict::Paid {
            worker: 7_000,
            validator: 500,
        },
        0,
    );
    let body = scene.known(scene.rail.settle_body(&story.terms, &receipt))?;
    let late = scene.rail.submit(&body).await;
    scene.expect(
        matches!(late, Err(RailError::Refused { .. })),
        "no settlement from refundAfter on",
        &late,
    )?;
    scene.known(scene.rail.submit(&sweep).await)?;
    scene.known(scene.rail.submit(&sweep).await)?;
    scene
        .expect_units(&story, &story.refund_to, 10_000, "everything back, once")
        .await?;
    scene.harness.send(&story, 300).await;
    scene.known(scene.rail.submit(&sweep).await)?;
    scene
        .expect_units(
            &story,
            &story.refund_to,
            10_300,
            "what came afterwards back too",
        )
        .await
}
