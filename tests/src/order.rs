//! One purchase in steps a test can repeat, interrupt and send elsewhere. What is checked and signed is the
//! buyer library's; only the sending is done here, because a test wants to see every answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_node::buyer::{Challenge, Wallet, Wishes};
use d402_node::cli::{random_token, token_hash};
use d402_objects::{Amount, Cid, Hex32, Mode, OnSilence, cid_of};
use d402_rails::simulated::{BuyerAccount, PaymentOrder, asset};
use d402_wire::simchain::NETWORK;
use serde_json::{Value, json};

use crate::{eventually, now_ms};

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(40);
/// How long a gateway that is killed again and again may take to take an order.
const TAKEN: Duration = Duration::from_secs(50);
/// The header that marks a replay.
const REPLAY: &str = "x-d402-idempotent-replay";

/// An answer of a gateway.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Whether it is marked as a replay.
    pub replay: bool,
    /// JSON body.
    pub body: Value,
    payment_required: Option<String>,
}

/// A checked offer with a signed payment for it.
#[derive(Clone, Debug)]
pub struct Order {
    /// The task this buys, if it is taken.
    pub task_id: Cid,
    /// Its terms.
    pub terms_hash: Hex32,
    /// Its vault.
    pub pay_to: Hex32,
    /// Who pays.
    pub payer: Hex32,
    /// What is paid.
    pub units: u64,
    /// Access token of the result.
    pub token: String,
    origins: Vec<String>,
    http: reqwest::Client,
    body: Value,
    payment: Value,
    client_id: String,
}

/// A jq transform that every honest worker can do; `seed` makes inputs differ.
#[must_use]
pub fn jq(seed: u64) -> Value {
    json!({ "program": "{doubled: (.n * 2)}", "data": { "n": seed % 1_000_000 } })
}

/// A single-mode jq task of this buyer.
#[must_use]
pub fn wishes(account: &BuyerAccount, seed: u64, deadline_ms: u64) -> Wishes {
    let budget = Amount::from(12_000_u64);
    Wishes {
        capability_id: "json.transform@1".to_owned(),
        input: jq(seed),
        mode: Some(Mode::Single),
        fanout: Some(1),
        quorum: Some(1),
        max_budget: budget,
        budget: Some(budget),
        deadline_ms: Some(deadline_ms),
        refund_to: account.address().to_string(),
        network: NETWORK.to_owned(),
        validators: Vec::new(),
        min_set: (4, 3),
        max_gateway_fee_bps: 500,
        max_commission_bps: 2_000,
        on_silence: OnSilence::Refund,
        access_hash: Hex32::from_bytes([0; 32]),
    }
}

impl Order {
    /// Asks for an offer, checks it as the buyer library does, and signs a payment. Nothing is sent yet.
    /// With several origins every request goes to the next one when one does not answer.
    pub async fn prepare(origins: &[String], account: &BuyerAccount, wishes: Wishes) -> Self {
        let (mut order, _challenge) = Self::offered(origins, wishes).await;
        order.sign(account);
        order
    }

    /// The same with whatever wallet pays on the wishes' network.
    pub async fn prepare_with(origins: &[String], wallet: &Wallet, wishes: Wishes) -> Self {
        let (mut order, challenge) = Self::offered(origins, wishes).await;
        let payload = wallet.pay(&challenge, now_ms()).await.expect("a payment");
        order.fill(&payload);
        order
    }

    async fn offered(origins: &[String], mut wishes: Wishes) -> (Self, Challenge) {
        let token = random_token().expect("randomness");
        wishes.access_hash = token_hash(&token);
        let mut body = wishes.body();
        body["sync"] = Value::Bool(false);
        let client_id = random_token().expect("randomness");
        let http = reqwest::Client::builder()
            .timeout(ANSWER)
            .no_proxy()
            .build()
            .expect("an HTTP client");
        let offer = eventually("a gateway offers", TAKEN, || async {
            let answer = post(&http, origins, &body, None, &client_id).await?;
            match answer.status {
                402 => Some(answer),
                500..=599 => None,
                status => panic!("no offer but {status}: {}", answer.body),
            }
        })
        .await;
        let header = offer.payment_required.expect("a 402 has its header");
        let bytes = serde_json::to_vec(&offer.body).expect("JSON");
        let challenge =
            Challenge::read(&header, &bytes, &wishes.network).expect("the offer holds together");
        wishes
            .check(&challenge)
            .expect("the offer is what was asked for");
        let order = Self {
            task_id: cid_of(challenge.intent()).expect("an intent has a CID"),
            terms_hash: Hex32::from_bytes(challenge.quote().terms_hash.0),
            pay_to: Hex32::from_bytes(*challenge.quote().pay_to.as_bytes()),
            payer: Hex32::from_bytes([0; 32]),
            units: u64::try_from(challenge.payment().budget.get()).expect("a small budget"),
            token,
            origins: origins.to_vec(),
            http,
            body,
            payment: json!({ "accepted": challenge.accepted() }),
            client_id,
        };
        (order, challenge)
    }

    fn fill(&mut self, payload: &Value) {
        self.payment = json!({
            "x402Version": 2,
            "accepted": self.payment["accepted"],
            "payload": payload,
            "extensions": { "payment-identifier": { "paymentId": self.client_id } },
        });
    }

    /// What a buyer keeps of a purchase before paying.
    #[must_use]
    pub fn saved(&self) -> Value {
        json!({ "request": self.body, "payment": self.payment })
    }

    /// The bundle of the ended task.
    pub async fn bundle(&self) -> Vec<u8> {
        let url = format!("{}/tasks/{}/bundle", self.origins[0], self.task_id);
        let request = self.http.get(url).bearer_auth(&self.token);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "a bundle");
        answer.bytes().await.expect("bytes").to_vec()
    }

    /// The same offer paid by somebody else: another payment for the same address.
    #[must_use]
    pub fn paid_by(&self, account: &BuyerAccount) -> Self {
        let mut other = self.clone();
        other.client_id = random_token().expect("randomness");
        other.sign(account);
        other
    }

    /// The buyer's own name of the purchase.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    fn sign(&mut self, account: &BuyerAccount) {
        let mut nonce = [0u8; 32];
        getrandom::fill(&mut nonce).expect("randomness");
        let payment = account.pay(&PaymentOrder {
            pay_to: self.pay_to,
            asset: asset(),
            units: self.units,
            nonce: Hex32::from_bytes(nonce),
            valid_before: i64::try_from(now_ms() / 1_000 + 60).expect("this century"),
        });
        self.payer = account.address();
        self.fill(&json!({ "payment": payment }));
    }

    /// Sends the paid request once; `None` when nobody answers.
    pub async fn send(&self) -> Option<Answer> {
        let payment = STANDARD.encode(serde_json::to_vec(&self.payment).expect("JSON"));
        post(
            &self.http,
            &self.origins,
            &self.body,
            Some(&payment),
            &self.client_id,
        )
        .await
    }

    /// Sends the same bytes until a gateway has the task, as a buyer does whose answers get lost.
    pub async fn send_until_taken(&self) -> Answer {
        eventually("a gateway takes the order", TAKEN, || async {
            let answer = self.send().await?;
            match answer.status {
                200 | 202 => {
                    assert_eq!(answer.body["taskId"], json!(self.task_id), "another task");
                    Some(answer)
                }
                // Stopping, too busy, a payment whose fate is not known yet.
                500..=599 => None,
                status => panic!("a paid order is answered with {status}: {}", answer.body),
            }
        })
        .await
    }

    /// The gateway's view of the task now; `None` when nobody answers.
    pub async fn look(&self) -> Option<Value> {
        for origin in &self.origins {
            let seen = self.look_at(origin).await;
            if seen.is_some() {
                return seen;
            }
        }
        None
    }

    /// One gateway's view of the task.
    pub async fn look_at(&self, origin: &str) -> Option<Value> {
        let url = format!("{origin}/tasks/{}", self.task_id);
        let answer = self.http.get(url).send().await.ok()?;
        if answer.status() != 200 {
            return None;
        }
        answer.json().await.ok()
    }

    /// Waits until the task is in one of these phases.
    pub async fn reaches(&self, phases: &[&str], limit: Duration) -> Value {
        eventually(
            &format!("{} reaches {phases:?}", self.task_id),
            limit,
            || async {
                let task = self.look().await?;
                phases
                    .iter()
                    .any(|phase| task["phase"] == *phase)
                    .then_some(task)
            },
        )
        .await
    }

    /// Waits for the end of the task.
    pub async fn end(&self, limit: Duration) -> Value {
        self.reaches(&["final"], limit).await
    }
}

async fn post(
    http: &reqwest::Client,
    origins: &[String],
    body: &Value,
    payment: Option<&str>,
    client_id: &str,
) -> Option<Answer> {
    for origin in origins {
        let mut request = http
            .post(format!("{origin}/tasks"))
            .header("content-type", "application/json")
            .header("idempotency-key", client_id)
            .body(serde_json::to_vec(body).expect("JSON"));
        if let Some(payment) = payment {
            request = request.header("payment-signature", payment);
        }
        let Ok(response) = request.send().await else {
            continue;
        };
        let text = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let (status, replay) = (
            response.status().as_u16(),
            text(REPLAY).as_deref() == Some("true"),
        );
        let payment_required = text("payment-required");
        let Ok(body) = response.bytes().await else {
            continue;
        };
        return Some(Answer {
            status,
            replay,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            payment_required,
        });
    }
    None
}
