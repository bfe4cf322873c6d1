//! SIGKILL of a gateway on Base, between any two of its steps: every question to the chain is such a place,
//! before the chain hears it and after it answered, and so is any moment between two questions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use d402_node::buyer::Wallet;
use d402_tests::{BaseMarket, Moment, Order, Random, now_ms};
use serde_json::Value;
use tokio::task::JoinSet;

/// Kills in all; tasks are bought until they are over.
const KILLS: u32 = 18;
/// Tasks on their way at the same time, each in another phase.
const AT_ONCE: usize = 4;
/// Most tasks, should kills take very long.
const MOST_TASKS: u64 = 60;
/// Work time of each task, ms: what several kills cost, on a busy machine.
const DEADLINE_MS: u64 = 120_000;
/// How long a task may take to its end: its deadline, the decision after it, a busy machine.
const END: Duration = Duration::from_secs(240);
/// What every task costs at most.
const BUDGET: u128 = 12_000;
/// A planned question that does not come within this is not waited for: the gateway dies between two.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the gateway dies next.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// At a question to the chain, after so many others.
    Question(u32, Moment),
    /// At a transaction, after so many others.
    Transaction(u32, Moment),
    /// After so many ms, wherever it is then.
    Time(u64),
}

impl Place {
    fn draw(random: &mut Random) -> Self {
        let moment = if random.within(0, 2) == 0 {
            Moment::Before
        } else {
            Moment::After
        };
        let mut few = |most| u32::try_from(random.within(0, most)).unwrap();
        match few(3) {
            0 => Self::Question(few(16), moment),
            1 => Self::Transaction(few(2), moment),
            _ => Self::Time(u64::from(few(1_500))),
        }
    }

    /// Waits until the gateway is there.
    async fn reached(self, market: &BaseMarket) {
        let patience = match self {
            Self::Question(skip, moment) => {
                market.gate.hold_any(skip, moment);
                PATIENCE
            }
            Self::Transaction(skip, moment) => {
                market.gate.hold(skip, moment);
                PATIENCE
            }
            Self::Time(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                return;
            }
        };
        // What does not come in time is a moment of chance, too.
        let _in_time = tokio::time::timeout(patience, market.gate.reached(END)).await;
    }
}

/// Buys one task, whatever it takes; how it ended.
async fn buy(order: Order) -> (Order, Value) {
    order.send_until_taken().await;
    let task = order.end(END).await;
    (order, task)
}

struct Drill {
    market: BaseMarket,
    buying: JoinSet<(Order, Value)>,
    started: u64,
    ended: Vec<(Order, Value)>,
}

impl Drill {
    /// Keeps enough tasks on their way; what ended is put aside.
    fn keep_buying(&mut self) {
        while let Some(done) = self.buying.try_join_next() {
            self.ended.push(done.unwrap());
        }
        while self.buying.len() < AT_ONCE && self.started < MOST_TASKS {
            let origins = self.market.origins().to_vec();
            let wishes = self.market.wishes(self.started, DEADLINE_MS);
            let wallet: Arc<Wallet> = Arc::clone(&self.market.buyer);
            self.started += 1;
            self.buying.spawn(async move {
                buy(Order::prepare_with(&origins, &wallet, wishes).await).await
            });
        }
    }

    async fn kill_at(&mut self, place: Place) {
        place.reached(&self.market).await;
        self.market.kill_gateway();
        self.market.gate.open();
        self.market.restart_gateway().await;
    }

    async fn finish(&mut self) {
        while let Some(done) = self.buying.join_next().await {
            self.ended.push(done.unwrap());
        }
    }

    /// Every task was paid once, has one end on the chain, and leaves nothing behind; what the buyer lost the
    /// others have.
    async fn check_books(&self, purse: u128) {
        let mut accepted = 0;
        let mut spent = 0;
        for (order, task) in &self.ended {
            let id = order.task_id;
            let status = task["status"].as_str().unwrap();
            assert!(matches!(status, "accepted" | "rejected"), "{id}: {task}");
            accepted += usize::from(status == "accepted");
            let escrow = task["payTo"].as_str().unwrap();
            let payments = self.market.transfers_to(escrow).await;
            assert_eq!(payments, 1, "payments for {id}");
            let ends = self.market.ends_of(order.terms_hash).await;
            assert_eq!(ends, (1, 0), "settlements and sweeps of {id}: {task}");
            assert_eq!(self.market.units(escrow).await, 0, "left at {id}");
            let refund: u128 = task["refundUnits"].as_str().unwrap().parse().unwrap();
            spent += BUDGET - refund;
        }
        eprintln!("{accepted} of {} tasks accepted", self.ended.len());
        assert!(accepted > 0, "nothing was accepted, so nothing was tested");
        let has = self.market.units(&self.market.buyer.account()).await;
        assert_eq!(has, purse - spent, "the buyer paid what the tasks say");
        let mut all = 0;
        for account in self.market.everybody() {
            all += self.market.units(&account).await;
        }
        assert_eq!(all, purse, "balances add up");
    }
}

#[tokio::test]
async fn killing_the_gateway_between_any_two_steps_pays_and_ends_every_base_task_once() {
    let mut random = Random::seeded("base");
    let market = BaseMarket::start().await;
    let purse = market.units(&market.buyer.account()).await;
    let began = now_ms();
    let mut drill = Drill {
        market,
        buying: JoinSet::new(),
        started: 0,
        ended: Vec::new(),
    };
    for _ in 0..KILLS {
        drill.keep_buying();
        let place = Place::draw(&mut random);
        drill.kill_at(place).await;
    }
    drill.finish().await;
    let took = now_ms() - began;
    let mut met = BTreeMap::<String, u32>::new();
    for method in drill.market.gate.met() {
        *met.entry(method).or_default() += 1;
    }
    eprintln!(
        "{KILLS} kills, {} tasks, {took} ms; died at {met:?}",
        drill.started
    );
    assert_eq!(drill.ended.len() as u64, drill.started, "each has one end");
    assert!(!met.is_empty(), "no kill was at a question");
    drill.check_books(purse).await;
}
