//! What goes wrong between a rail and its chain, and what must come of it: nothing lost, nothing twice.

use d402_core::ports::{Deposit, RailError, VaultState};
use d402_objects::Amount;

use super::{Accident, Nonconforming, Scene, Verdict};

pub(super) async fn a_lost_answer_is_unknown_and_the_money_moved_once(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene.harness.arm(Accident::LostAnswer).await;
    let lost = scene.rail.submit(&payment.body).await;
    scene.expect(
        matches!(lost, Err(RailError::Unknown)),
        "a lost answer to be unknown",
        &lost,
    )?;
    let deposit = scene.deposit(&story, &payment).await?;
    scene.expect(
        matches!(deposit, Deposit::Funded { .. }),
        "the deposit found without its answer",
        &deposit,
    )?;
    scene.known(scene.rail.submit(&payment.body).await)?;
    let vault = scene.vault(&story).await?;
    scene.expect(
        vault
            == VaultState::Open {
                balance: Amount::from(10_000u64),
            },
        "one deposit after two submissions",
        &vault,
    )?;
    let receipt = scene.harness.receipt(
        &story,
        Verdict::Paid {
            worker: 7_000,
            validator: 500,
        },
        0,
    );
    let body = scene.known(scene.rail.settle_body(&story.terms, &receipt))?;
    scene.harness.arm(Accident::LostAnswer).await;
    let lost = scene.rail.submit(&body).await;
    scene.expect(
        matches!(lost, Err(RailError::Unknown)),
        "a lost settlement to be unknown",
        &lost,
    )?;
    let vault = scene.vault(&story).await?;
    scene.expect(
        matches!(vault, VaultState::Settled(_)),
        "the settlement found without its answer",
        &vault,
    )?;
    scene.known(scene.rail.submit(&body).await)?;
    scene
        .expect_units(&story, &story.worker, 7_000, "the worker paid once")
        .await
}

pub(super) async fn a_lost_request_is_unknown_and_nothing_moved(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene.harness.arm(Accident::LostRequest).await;
    let lost = scene.rail.submit(&payment.body).await;
    scene.expect(
        matches!(lost, Err(RailError::Unknown)),
        "a lost request to be unknown",
        &lost,
    )?;
    let deposit = scene.deposit(&story, &payment).await?;
    scene.expect(deposit == Deposit::Pending, "nothing deposited", &deposit)?;
    scene.known(scene.rail.submit(&payment.body).await)?;
    let deposit = scene.deposit(&story, &payment).await?;
    scene.expect(
        matches!(deposit, Deposit::Funded { .. }),
        "the same bytes to work again",
        &deposit,
    )
}

pub(super) async fn a_lie_about_success_is_found_out(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene.harness.arm(Accident::LyingSuccess).await;
    scene.known(scene.rail.submit(&payment.body).await)?;
    let deposit = scene.deposit(&story, &payment).await?;
    scene.expect(
        deposit == Deposit::Pending,
        "no deposit believed on the chain's word",
        &deposit,
    )?;
    scene.known(scene.rail.submit(&payment.body).await)?;
    let receipt = scene.harness.receipt(
        &story,
        Verdict::Paid {
            worker: 7_000,
            validator: 500,
        },
        0,
    );
    let body = scene.known(scene.rail.settle_body(&story.terms, &receipt))?;
    scene.harness.arm(Accident::LyingSuccess).await;
    scene.known(scene.rail.submit(&body).await)?;
    let vault = scene.vault(&story).await?;
    scene.expect(
        matches!(vault, VaultState::Open { .. }),
        "no settlement believed on the chain's word",
        &vault,
    )?;
    scene.known(scene.rail.submit(&body).await)?;
    scene
        .expect_units(
            &story,
            &story.worker,
            7_000,
            "the worker paid by the same bytes",
        )
        .await
}

pub(super) async fn a_late_deposit_shows_when_it_came(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene.harness.arm(Accident::LateDeposit).await;
    scene.known(scene.rail.submit(&payment.body).await)?;
    let deposit = scene.deposit(&story, &payment).await?;
    let fund_by_ms = u64::try_from(story.fund_by)
        .unwrap_or(u64::MAX)
        .saturating_mul(1000);
    let late = matches!(deposit, Deposit::Funded { at_ms, .. } if at_ms >= fund_by_ms);
    scene.expect(late, "a deposit at or after fundBy", &deposit)?;
    scene.settle(&story, Verdict::Rejected).await?;
    scene
        .expect_units(
            &story,
            &story.refund_to,
            10_000,
            "a late deposit refunded whole",
        )
        .await
}

pub(super) async fn a_deposit_that_arrives_twice_is_refunded_once(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene.harness.arm(Accident::DoubleDeposit).await;
    scene.known(scene.rail.submit(&payment.body).await)?;
    let deposit = scene.deposit(&story, &payment).await?;
    let twice =
        matches!(deposit, Deposit::Funded { amount, .. } if amount == Amount::from(20_000u64));
    scene.expect(twice, "a vault that holds both", &deposit)?;
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
        .expect_units(&story, &story.worker, 7_000, "nobody paid more for it")
        .await?;
    scene
        .expect_units(
            &story,
            &story.refund_to,
            12_500,
            "the second deposit refunded",
        )
        .await
}

pub(super) async fn a_deposit_one_unit_short_is_short(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene.harness.arm(Accident::ShortDeposit).await;
    scene.known(scene.rail.submit(&payment.body).await)?;
    let deposit = scene.deposit(&story, &payment).await?;
    scene.expect(
        deposit
            == Deposit::Short {
                amount: Amount::from(9_999u64),
            },
        "one unit short",
        &deposit,
    )?;
    scene.settle(&story, Verdict::Rejected).await?;
    scene
        .expect_units(&story, &story.refund_to, 9_999, "all that came refunded")
        .await
}
