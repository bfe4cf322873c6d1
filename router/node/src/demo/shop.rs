//! The shopping list.

use std::time::Duration;

use d402_core::ports::Clock as _;
use d402_objects::{Amount, Mode, OnSilence};
use serde_json::{Value, json};

use super::market::Market;
use super::narrator::Narrator;
use super::pages::Pages;
use super::report::Sold;
use crate::buyer::{GatewayClient, Purchase, Wishes, buy};
use crate::cli::{Failure, Output, random_token, token_hash};
use crate::clock::SystemClock;

/// Time for the work of each task, ms.
const DEADLINE_MS: u64 = 15_000;
/// How long the demo waits for a task's end.
const PATIENCE: Duration = Duration::from_secs(100);

/// One thing to buy.
struct Item {
    title: &'static str,
    capability: &'static str,
    input: Value,
    mode: Mode,
    fanout: u8,
    quorum: u8,
    budget: u64,
    /// Whether it should be accepted.
    works: bool,
}

fn list(pages: &Pages, url: Option<&str>) -> Vec<Item> {
    let page = |title, path: &str, mode, fanout, quorum, budget| Item {
        title,
        capability: "web.page_to_markdown@1",
        input: json!({ "url": url.map_or_else(|| pages.url(path), str::to_owned) }),
        mode,
        fanout,
        quorum,
        budget,
        works: true,
    };
    if url.is_some() {
        return vec![page("your page", "", Mode::Single, 1, 1, 12_000)];
    }
    let one = |title, capability, input| Item {
        title,
        capability,
        input,
        mode: Mode::Single,
        fanout: 1,
        quorum: 1,
        budget: 12_000,
        works: true,
    };
    vec![
        page(
            "an article, cheapest worker",
            "/article.html",
            Mode::Single,
            1,
            1,
            12_000,
        ),
        page(
            "documentation, first of two",
            "/docs.html",
            Mode::Race,
            2,
            1,
            12_000,
        ),
        page(
            "footnotes, two of three agree",
            "/footnotes.html",
            Mode::Quorum,
            3,
            2,
            36_000,
        ),
        one(
            "a jq transform",
            "json.transform@1",
            super::report::jq_input(),
        ),
        one(
            "a proof check",
            "proof.verify@1",
            super::report::proof_input(),
        ),
        Item {
            works: false,
            ..page(
                "a page behind a CAPTCHA",
                "/blocked-captcha.html",
                Mode::Single,
                1,
                1,
                12_000,
            )
        },
    ]
}

/// Buys everything on the list, one after the other; the page that must fail waits out its deadline while
/// the others are bought.
pub(super) async fn go_shopping(
    market: &Market,
    pages: &Pages,
    url: Option<&str>,
    output: Output,
) -> Result<Vec<Sold>, Failure> {
    let items = list(pages, url);
    let (works, fails): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.works);
    let mut sold = Vec::new();
    let (first, rest) = works.split_first().ok_or("nothing to buy")?;
    sold.push(buy_one(market, first, output).await?);
    let others = async {
        let mut sold = Vec::new();
        for item in rest {
            sold.push(buy_one(market, item, output).await?);
        }
        Ok::<_, Failure>(sold)
    };
    let failing = async {
        let mut sold = Vec::new();
        for item in fails {
            sold.push(buy_one(market, item, output).await?);
        }
        Ok::<_, Failure>(sold)
    };
    let (others, failing) = tokio::try_join!(others, failing)?;
    sold.extend(others);
    sold.extend(failing);
    Ok(sold)
}

async fn buy_one(market: &Market, item: &Item, output: Output) -> Result<Sold, Failure> {
    let gateway = GatewayClient::new(&market.gateway)?;
    let token = random_token()?;
    let budget = Amount::from(item.budget);
    let wishes = Wishes {
        capability_id: item.capability.to_owned(),
        input: item.input.clone(),
        mode: Some(item.mode),
        fanout: Some(item.fanout),
        quorum: Some(item.quorum),
        max_budget: budget,
        budget: Some(budget),
        deadline_ms: Some(DEADLINE_MS),
        refund_to: market.buyer.account(),
        network: market.money.network().to_owned(),
        worker: None,
        validators: Vec::new(),
        min_set: (4, 3),
        max_gateway_fee_bps: 500,
        max_commission_bps: 2_000,
        on_silence: OnSilence::Refund,
        access_hash: token_hash(&token),
    };
    let started_ms = SystemClock.now_ms();
    let purchase = Purchase {
        gateway: &gateway,
        wallet: &market.buyer,
        wishes: &wishes,
        token: &token,
        keep: &market.bundles,
        now_ms: started_ms,
        patience: PATIENCE,
    };
    let mut narrator = Narrator::new(item.title, market, output);
    let receipt = buy(&purchase, |stage| narrator.tell(&stage)).await?;
    let ms = SystemClock.now_ms().saturating_sub(started_ms);
    let sold = Sold::of(item.title, item.works, &receipt, item.budget, ms)?;
    narrator.end(&sold, receipt.proof.as_ref());
    Ok(sold)
}
