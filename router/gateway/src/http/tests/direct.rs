//! Direct rails at the boundary: what is offered, to whom, and that nothing moves before the work is judged.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_core::ports::{
    Deposit, DirectAsk, DirectRail, DirectState, PaymentFault, Rail, RailError, VaultState,
    VerifiedPayment,
};
use d402_objects::{
    Address, Amount, Hex32, NodeOffer, Price, Signed, SignedReceipt, UnixMs, Value,
};
use d402_settlement::ValidatorSet;
use d402_settlement::market::BASE_SEPOLIA_NETWORK;
use d402_settlement::market::testkit::{Scene, TaskSpec, wallet_on};
use serde_json::json;

use super::world::{START_MS, TOKEN, World, payment, payment_with, task_id};
use crate::http::Asset;

const PRICE: u64 = 5_000;

/// A direct rail whose payments are `{"payment": {"nonce", "to", "value"}}`.
#[derive(Default)]
struct Straight {
    submitted: Mutex<Vec<Vec<u8>>>,
    asked: Mutex<Vec<u64>>,
}

#[async_trait]
impl DirectRail for Straight {
    async fn verify_direct(
        &self,
        payload: &Value,
        ask: &DirectAsk<'_>,
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        self.asked.lock().unwrap().push(ask.hold_until_ms);
        let Some(payment_id) = self.payment_id(payload) else {
            return Ok(Err(PaymentFault::Malformed));
        };
        let text = |field: &str| payload["payment"][field].as_str().map(str::to_owned);
        if text("to").is_some_and(|to| to != ask.pay_to.as_str())
            || text("value").is_some_and(|value| value != ask.amount.to_string())
        {
            return Ok(Err(PaymentFault::Mismatch));
        }
        Ok(Ok(VerifiedPayment {
            payment_id,
            payer: "payer".to_owned(),
            body: payload.to_string().into_bytes(),
        }))
    }

    async fn payment(&self, _body: &[u8]) -> Result<DirectState, RailError> {
        Ok(DirectState::Open {
            until_ms: START_MS + 120_000,
        })
    }
}

#[async_trait]
impl Rail for Straight {
    fn name(&self) -> &'static str {
        "base-direct"
    }

    fn network(&self) -> &str {
        BASE_SEPOLIA_NETWORK
    }

    fn learn_set(&self, _set: &ValidatorSet) {}

    fn payment_id(&self, payload: &Value) -> Option<Hex32> {
        payload.pointer("/payment/nonce")?.as_str()?.parse().ok()
    }

    async fn verify(
        &self,
        _payload: &Value,
        _terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        panic!("a direct payment goes into no vault")
    }

    async fn submit(&self, body: &[u8]) -> Result<(), RailError> {
        self.submitted.lock().unwrap().push(body.to_vec());
        Ok(())
    }

    fn settle_body(&self, _terms: &[u8], _receipt: &SignedReceipt) -> Result<Vec<u8>, RailError> {
        panic!("nothing is held")
    }

    fn sweep_body(&self, _terms: &[u8]) -> Vec<u8> {
        panic!("nothing is held")
    }

    async fn deposit(&self, _terms: &[u8], _payment_id: Hex32) -> Result<Deposit, RailError> {
        panic!("nothing is deposited")
    }

    fn direct(&self) -> Option<&dyn DirectRail> {
        Some(self)
    }

    async fn vault(&self, _terms: &[u8]) -> Result<VaultState, RailError> {
        panic!("there is no vault")
    }

    async fn chain_now_ms(&self) -> Result<u64, RailError> {
        Ok(START_MS)
    }
}

/// A gateway that sells a worker straight on Base, and the rail.
fn market() -> (World, Arc<Straight>) {
    market_of(|_| {})
}

fn market_of(change: impl FnOnce(&mut TaskSpec)) -> (World, Arc<Straight>) {
    let mut spec = TaskSpec::direct(3, 4).on(BASE_SEPOLIA_NETWORK);
    spec.issued_at_ms = START_MS;
    change(&mut spec);
    let rail = Arc::new(Straight::default());
    let asset = asset(&spec);
    let world = World::beside(spec, vec![rail.clone()], |config| {
        let token = Asset {
            address: asset,
            name: "USDC".to_owned(),
            version: Some("2".to_owned()),
            decimals: 6,
            budgets: Amount::from(1_000)..=Amount::from(10_000_000),
        };
        config
            .assets
            .insert(BASE_SEPOLIA_NETWORK.parse().unwrap(), token);
    });
    let offer = offer(&world);
    world.library.add(offer.cid(), offer.to_value());
    (world, rail)
}

fn asset(spec: &TaskSpec) -> Address {
    let parts = Scene::parts(
        spec,
        &d402_settlement::market::testkit::Actors::on(&spec.network, 4),
    );
    parts.intent.payload().payment[0].asset.clone()
}

fn offer(world: &World) -> Signed<NodeOffer> {
    let worker = &world.actors.workers[0];
    let parts = Scene::parts(&world.spec, &world.actors);
    let offer = NodeOffer {
        object_version: 1,
        worker: worker.id(),
        node_id: "worker".parse().unwrap(),
        addresses: Vec::new(),
        manifest_cids: vec![parts.manifest.cid()],
        prices: vec![Price {
            network: world.spec.network.clone(),
            asset: asset(&world.spec),
            price: PRICE.into(),
        }],
        capacity: 1,
        payouts: [(world.spec.network.clone(), worker.payout.clone())].into(),
        trust: Vec::new(),
        seq: 1,
        expires_at_ms: UnixMs::MAX,
    };
    Signed::sign(offer, &worker.key).unwrap()
}

fn wish(world: &World) -> Value {
    let network = world.spec.network.clone();
    json!({
        "capabilityId": "test.echo@1",
        "input": {"text": "hello"},
        "refundTo": {BASE_SEPOLIA_NETWORK: wallet_on(&network, "refund", 0)},
        "accessHash": crate::http::secrets::access_hash(TOKEN),
        "worker": world.actors.workers[0].id(),
        "sync": false,
    })
}

fn one(world: &World, nonce: u8, (to, value): (&str, u64)) -> String {
    let payload = json!({
        "x402Version": 1,
        "scheme": "exact",
        "network": "base-sepolia",
        "payload": {"payment": {
            "nonce": hex::encode([nonce; 32]), "to": to, "value": value.to_string(),
        }},
    });
    assert!(!world.actors.workers.is_empty());
    STANDARD.encode(payload.to_string())
}

#[tokio::test]
async fn a_named_worker_is_offered_alone_at_its_own_price_and_account() {
    let (world, _) = market();
    let worker = &world.actors.workers[0];
    let answer = world.post(&wish(&world), &[]).await;
    assert_eq!(answer.status, 402, "{answer:?}");
    let required = answer.coded("payment-required");
    assert_eq!(required["accepts"].as_array().unwrap().len(), 1);
    let entry = &required["accepts"][0];
    assert_eq!(entry["payTo"], worker.payout.as_str());
    assert_eq!(entry["amount"], PRICE.to_string());
    let flow = entry["extra"].get("paymentFlow");
    assert_eq!(flow, None, "authorization is the flow nobody names");
    let body = answer.json();
    assert_eq!(body["worker"], offer(&world).to_value(), "by its own word");
    assert_eq!(body["x402Version"], 1);
    let first = &body["accepts"][0];
    assert_eq!(first["network"], "base-sepolia");
    assert_eq!(first["maxAmountRequired"], PRICE.to_string());
    assert_eq!(first["payTo"], worker.payout.as_str());
}

#[tokio::test]
async fn threat_39_a_direct_rail_is_not_offered_to_a_request_that_names_no_worker() {
    let (world, _) = market();
    let mut nobody = wish(&world);
    nobody.as_object_mut().unwrap().remove("worker");
    let answer = world.post(&nobody, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (422, "no-rail")
    );
    let mut stranger = wish(&world);
    stranger["worker"] = json!(world.actors.workers[1].id());
    let answer = world.post(&stranger, &[]).await;
    assert_eq!(answer.status, 422, "no offer of that worker: {answer:?}");
    let mut poor = wish(&world);
    poor["budget"] = json!((PRICE - 1).to_string());
    assert_eq!(world.post(&poor, &[]).await.status, 422, "above the budget");
}

#[tokio::test]
async fn what_somebody_else_has_a_share_in_is_not_offered_straight() {
    let shares: [fn(&mut TaskSpec); 2] = [
        |spec| spec.commission_bps = 1,
        |spec| spec.validator_fee = 1,
    ];
    for share in shares {
        // The scene's own intent would be no valid one; only manifest, registration and offers are used.
        let (world, _) = market_of(share);
        let answer = world.post(&wish(&world), &[]).await;
        assert_eq!(answer.status, 422, "{answer:?}");
    }
    let (mut world, _) = market();
    let asset = asset(&world.spec);
    world.rebuild(|config| {
        let token = Asset {
            address: asset,
            name: "USDC".to_owned(),
            version: Some("2".to_owned()),
            decimals: 6,
            budgets: Amount::ZERO..=Amount::MAX,
        };
        let network: d402_objects::Caip2 = BASE_SEPOLIA_NETWORK.parse().unwrap();
        config.assets.insert(network.clone(), token);
        config.policy.gateway_fee_bps = d402_objects::Bps::new(1).unwrap();
        let payee = wallet_on(&network, "gateway", 0);
        config.policy.gateway_fee_payees = [(network, payee)].into();
    });
    let answer = world.post(&wish(&world), &[]).await;
    assert_eq!(answer.status, 422, "a gateway fee: {answer:?}");
}

#[tokio::test]
async fn a_direct_payment_is_kept_and_not_submitted_and_no_settlement_is_claimed() {
    let (mut world, rail) = market();
    world.drive();
    let entry = world.entry(&wish(&world)).await;
    let header = payment(&entry, 1);
    let answer = world
        .post(&wish(&world), &[("payment-signature", &header)])
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(
        answer.header("payment-response"),
        None,
        "nothing is settled"
    );
    let task = world.engine.task(task_id(&answer)).await.unwrap().unwrap();
    assert!(task.is_direct() && !task.has_payment());
    assert!(task.payment().body.contains(&hex::encode([1u8; 32])));
    let deadline = task.dossier().intent().deadline_ms.get();
    assert!(deadline - START_MS <= 30_000);
    assert_eq!(*rail.asked.lock().unwrap(), [deadline + 10_000]);
    let money = world.engine.ports().store.money(task_id(&answer)).await;
    assert!(money.unwrap().is_empty(), "no money row before acceptance");
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(rail.submitted.lock().unwrap().is_empty());
    let path = format!("/payments/{}", hex::encode([1u8; 32]));
    let state = world.get(&path, &[]).await.json();
    assert_eq!(
        (&state["state"], &state["untilMs"]),
        (&json!("pending"), &json!(START_MS + 120_000))
    );
    let again = world
        .post(&wish(&world), &[("payment-signature", &header)])
        .await;
    assert_eq!(
        (again.status.as_u16(), task_id(&again)),
        (202, task_id(&answer))
    );
}

#[tokio::test]
async fn a_client_of_version_one_buys_on_a_direct_rail_without_echoing_anything() {
    let (world, _) = market();
    let to = world.actors.workers[0].payout.to_string();
    let header = one(&world, 3, (&to, PRICE));
    let answer = world.post(&wish(&world), &[("x-payment", &header)]).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let task = world.engine.task(task_id(&answer)).await.unwrap().unwrap();
    assert_eq!(task.dossier().direct().unwrap().pay_to.as_str(), to);
    assert_eq!(
        answer.header("x-d402-access-token"),
        None,
        "it brought its own"
    );
    let again = world.post(&wish(&world), &[("x-payment", &header)]).await;
    assert_eq!(task_id(&again), task_id(&answer), "one payment, one task");
    assert_eq!(again.header("x-d402-idempotent-replay"), Some("true"));
    assert_eq!(world.store.tasks(), 1);
    let mut without = wish(&world);
    without.as_object_mut().unwrap().remove("accessHash");
    let second = one(&world, 4, (&to, PRICE));
    let answer = world.post(&without, &[("x-payment", &second)]).await;
    assert!(answer.header("x-d402-access-token").is_some(), "{answer:?}");
}

#[tokio::test]
async fn a_payment_of_version_one_that_is_not_the_offer_or_names_no_worker_buys_nothing() {
    let (world, _) = market();
    let to = world.actors.workers[0].payout.to_string();
    let less = one(&world, 5, (&to, PRICE - 1));
    let answer = world.post(&wish(&world), &[("x-payment", &less)]).await;
    assert_eq!(answer.status, 402, "{answer:?}");
    assert_eq!(answer.json()["error"], "invalid_payment_requirements");
    let mut nobody = wish(&world);
    nobody.as_object_mut().unwrap().remove("worker");
    let good = one(&world, 6, (&to, PRICE));
    assert_eq!(
        world.post(&nobody, &[("x-payment", &good)]).await.status,
        422
    );
    let junk = world.post(&wish(&world), &[("x-payment", "junk")]).await;
    assert_eq!(junk.status, 400);
    assert_eq!(world.store.tasks(), 0);
}

#[tokio::test]
async fn the_facilitator_verifies_direct_payments_and_names_both_versions() {
    let (world, _) = market();
    let kinds = world.get("/supported", &[]).await.json()["kinds"].clone();
    let direct: Vec<_> = kinds
        .as_array()
        .unwrap()
        .iter()
        .filter(|kind| kind["extra"].get("paymentFlow").is_none())
        .map(|kind| (kind["x402Version"].clone(), kind["network"].clone()))
        .collect();
    assert_eq!(
        direct,
        [
            (json!(2), json!(BASE_SEPOLIA_NETWORK)),
            (json!(1), json!("base-sepolia"))
        ]
    );
    let entry = world.entry(&wish(&world)).await;
    let header = payment_with(&entry, 1, &json!({}));
    let payload: Value = serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap();
    let ask = json!({"x402Version": 2, "paymentPayload": payload, "paymentRequirements": entry});
    let bytes = ask.to_string().into_bytes();
    let answer = world.post_bytes("/verify", bytes.clone(), &[]).await.json();
    assert_eq!(answer, json!({"isValid": true, "payer": "payer"}));
    let settled = world.post_bytes("/settle", bytes, &[]).await.json();
    assert_eq!(
        settled["errorReason"], "task_required",
        "it moves no money of its own"
    );
}
