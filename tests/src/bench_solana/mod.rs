//! The gateway's own facilitator of Solana against the stock one of JavaScript, and what a task costs in lamports on
//! every path (`cargo xtask bench solana`). How to read it is in `docs/benchmarks-solana.md`.
//!
//! Every answer is checked: an operation counts when it succeeded, and one failure ends the run.

mod lamports;
mod payment;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::SolanaMarket;
use crate::bench_base::measure::{Cost, Meter, ratio_tenths};
use crate::bench_base::rival::Stock;
use lamports::Path;
use payment::Buyer;

/// Payments made with one blockhash: the development cluster forgets it after some seconds.
const WAVE: usize = 20;
/// Times less CPU than the stock facilitator.
const GOAL: u64 = 20;
const USAGE: &str = "usage: bench-solana [--smoke] [--json]";

/// The program: measures and prints; fails only when a check does.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let known = |a: &String| ["--smoke", "--json"].contains(&a.as_str());
    if !arguments.iter().all(known) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let asked = |name: &str| arguments.iter().any(|a| a == name);
    // A smoke run sees that it runs and its checks hold.
    let verified = if asked("--smoke") { 6 } else { 400 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let report = runtime.block_on(run(verified));
    if asked("--json") {
        println!("{}", report.json());
    } else {
        report.text().iter().for_each(|line| println!("{line}"));
    }
    ExitCode::SUCCESS
}

struct Report {
    own: Cost,
    stock: Cost,
    paths: Vec<Path>,
}

impl Report {
    fn json(&self) -> Value {
        json!({
            "verify": {
                "goal": GOAL,
                "ratioTenths": ratio_tenths(&self.stock, &self.own),
                "own": self.own.json(),
                "stock": self.stock.json(),
            },
            "lamports": self.paths.iter().map(Path::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> Vec<String> {
        let tenths = ratio_tenths(&self.stock, &self.own);
        let mut lines = vec![
            format!(
                "verify: {}.{} times less CPU (goal {GOAL})",
                tenths / 10,
                tenths % 10
            ),
            format!("  own    {}", self.own.text()),
            format!("  stock  {}", self.stock.text()),
        ];
        lines.extend(self.paths.iter().map(Path::text));
        lines
    }
}

async fn run(verified: usize) -> Report {
    let market = SolanaMarket::start(1).await;
    let (own, stock) = verify(&market, verified).await;
    let paths = lamports::measure(&market).await;
    Report { own, stock, paths }
}

/// The same payments, verified by both, in waves, so that neither has the quieter time.
async fn verify(market: &SolanaMarket, count: usize) -> (Cost, Cost) {
    let key = hex::encode(SolanaMarket::fees_secret());
    let stock = Stock::start("src/facilitator-svm.ts", market.devnet.url(), &key);
    let buyer = Buyer::of(market).await;
    let own_url = format!("{}/verify", market.origins()[0]);
    let stock_url = format!("{}/verify", stock.origin);
    let meters = || (Meter::new(market.gateway_pid()), Meter::new(stock.pid()));
    let (mut own, mut other) = meters();
    // The first wave warms up.
    for wave in 0..=count.div_ceil(WAVE) {
        let payments = buyer.payments(count.min(WAVE)).await;
        buyer.verify_all(&own_url, &payments, &mut own).await;
        buyer.verify_all(&stock_url, &payments, &mut other).await;
        if wave == 0 {
            (own, other) = meters();
        }
    }
    // The vault it was all about is paid and used up, or the next request would find it in the way.
    buyer.buy().await;
    (own.cost(), other.cost())
}
