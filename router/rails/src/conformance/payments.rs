//! Paying: what is verified, what funds a task, and what does not.

use d402_core::ports::{Deposit, PaymentFault, RailError, VaultState};
use d402_objects::Amount;
use serde_json::json;

use super::{Nonconforming, Scene, Verdict};

pub(super) async fn a_payment_is_verified_without_effect_and_funds_once(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    let again = scene.verified(&story, &story.payload).await?;
    scene.expect(
        payment == again,
        "the same bytes for the same payment",
        &again,
    )?;
    let before = scene.deposit(&story, &payment).await?;
    scene.expect(
        before == Deposit::Pending,
        "no deposit from verifying alone",
        &before,
    )?;
    let buyer = scene.harness.units(&story, &payment.payer).await;
    for _ in 0..3 {
        scene.known(scene.rail.submit(&payment.body).await)?;
    }
    let after = scene.deposit(&story, &payment).await?;
    let funded = matches!(after, Deposit::Funded { amount, at_ms } if amount == Amount::from(10_000u64) && at_ms > 0);
    scene.expect(
        funded,
        "exactly the budget, whatever is submitted again",
        &after,
    )?;
    scene
        .expect_units(
            &story,
            &payment.payer,
            buyer.saturating_sub(10_000),
            "a buyer charged once",
        )
        .await?;
    let replay = scene.verified(&story, &story.payload).await?;
    scene.expect(
        replay == payment,
        "an executed payment to verify as before",
        &replay,
    )
}

pub(super) async fn a_payment_that_does_not_fit_is_refused_with_the_right_fault(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let malformed = scene
        .verify(&story, &json!({"payment": {"from": "me"}}))
        .await?;
    scene.expect(
        malformed == Err(PaymentFault::Malformed),
        "a malformed payload named so",
        &malformed,
    )?;
    let small = scene.verify(&story, &story.small_payload).await?;
    scene.expect(
        small == Err(PaymentFault::Mismatch),
        "another amount refused",
        &small,
    )?;
    let other = scene.harness.story(10_000).await;
    let elsewhere = scene.verify(&story, &other.payload).await?;
    scene.expect(
        elsewhere == Err(PaymentFault::Mismatch),
        "another address refused",
        &elsewhere,
    )?;
    let forged = scene.verify(&story, &story.forged_payload).await?;
    scene.expect(
        forged == Err(PaymentFault::Signature),
        "a forged signature refused",
        &forged,
    )?;
    let long = scene.verify(&story, &story.long_payload).await?;
    scene.expect(
        long == Err(PaymentFault::Expired),
        "too long a window refused",
        &long,
    )?;
    let poor = scene.verify(&story, &story.poor_payload).await?;
    let named = PaymentFault::Funds {
        got: Amount::ZERO,
        needed: Amount::from(10_000u64),
    };
    scene.expect(poor == Err(named), "a payer without money refused", &poor)
}

pub(super) async fn a_payment_that_never_came_becomes_impossible(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene
        .harness
        .advance_to(story.valid_before.saturating_sub(1))
        .await;
    let open = scene.deposit(&story, &payment).await?;
    scene.expect(
        open == Deposit::Pending,
        "a payment still possible in its last second",
        &open,
    )?;
    scene.harness.advance_to(story.valid_before).await;
    let over = scene.deposit(&story, &payment).await?;
    scene.expect(
        over == Deposit::Impossible,
        "a payment impossible from validBefore on",
        &over,
    )?;
    let late = scene.rail.submit(&payment.body).await;
    scene.expect(
        matches!(late, Err(RailError::Refused { .. })),
        "a void payment refused for ever",
        &late,
    )?;
    let fault = scene.verify(&story, &story.payload).await?;
    scene.expect(
        fault == Err(PaymentFault::Expired),
        "a void payment not verified",
        &fault,
    )
}

pub(super) async fn a_second_payer_gives_to_refund_to(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let (story, first) = scene.funded(10_000).await?;
    let second = scene.verified(&story, &story.second_payload).await?;
    scene.expect(
        second.payment_id != first.payment_id,
        "two payments with two ids",
        &second,
    )?;
    scene.known(scene.rail.submit(&second.body).await)?;
    let vault = scene.vault(&story).await?;
    scene.expect(
        vault
            == VaultState::Open {
                balance: Amount::from(20_000u64),
            },
        "both payments in the vault",
        &vault,
    )?;
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
            &story.refund_to,
            12_500,
            "everything not earned at refundTo",
        )
        .await
}

pub(super) async fn an_underpaid_vault_settles_after_a_top_up(
    scene: &Scene<'_>,
) -> Result<(), Nonconforming> {
    let story = scene.harness.story(10_000).await;
    let payment = scene.verified(&story, &story.payload).await?;
    scene.harness.send(&story, 4_000).await;
    let short = scene.deposit(&story, &payment).await?;
    scene.expect(
        short
            == Deposit::Short {
                amount: Amount::from(4_000u64),
            },
        "a short deposit named so",
        &short,
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
    let refused = scene.rail.submit(&body).await;
    scene.expect(
        matches!(refused, Err(RailError::Retry { .. })),
        "an underfunded settlement to be retried",
        &refused,
    )?;
    scene
        .expect_units(&story, &story.worker, 0, "nobody paid from too little")
        .await?;
    scene.harness.send(&story, 6_000).await;
    let whole = scene.deposit(&story, &payment).await?;
    scene.expect(
        matches!(whole, Deposit::Funded { .. }),
        "two deposits to add up",
        &whole,
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
