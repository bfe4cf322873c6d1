//! Payments by x402 `exact`, as `@x402/svm` makes them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_rails::svm::SolanaKey;
use d402_rails::svm::devnet::USDC;
use d402_rails::svm::exact::requirements::MEMO_PROGRAM;
use d402_settlement::market::SOLANA_DEVNET_NETWORK;
use d402_svm::address::{TOKEN, token_account};
use d402_svm::instructions::{unit_limit, unit_price};
use d402_svm::message::v0;
use d402_svm::transaction::{encode, signed};
use d402_svm::{AccountMeta, Address, Hash, Instruction, Signature, VersionedMessage};
use serde_json::{Value, json};

use crate::bench_base::measure::Meter;
use crate::{SolanaMarket, jq};

/// What a payment is for, base units.
const BUDGET: u64 = 100_000;
/// One answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Has one offer with an open vault, and signs payments into it.
pub(super) struct Buyer<'a> {
    market: &'a SolanaMarket,
    http: reqwest::Client,
    body: Vec<u8>,
    entry: Value,
}

impl<'a> Buyer<'a> {
    /// Asks for the offer.
    pub(super) async fn of(market: &'a SolanaMarket) -> Self {
        let http = reqwest::Client::builder()
            .timeout(ANSWER)
            .no_proxy()
            .build()
            .expect("an HTTP client");
        let task = json!({
            "capabilityId": "json.transform@1",
            "input": jq(1),
            "mode": "single",
            "budget": BUDGET.to_string(),
            "refundTo": { SOLANA_DEVNET_NETWORK: market.buyer.account() },
            "openVault": true,
        });
        let body = serde_json::to_vec(&task).expect("JSON");
        let mut buyer = Self {
            market,
            http,
            body,
            entry: Value::Null,
        };
        let url = format!("{}/tasks", market.origins()[0]);
        let offer = buyer.post(&url, &buyer.body, None).await;
        buyer.entry = offer["x402"]["accepts"][0].clone();
        assert!(buyer.entry["extra"]["feePayer"].is_string(), "{offer}");
        buyer
    }

    /// The entry all payments are for.
    pub(super) const fn entry(&self) -> &Value {
        &self.entry
    }

    /// Payloads with one fresh blockhash.
    pub(super) async fn payments(&self, count: usize) -> Vec<Value> {
        let blockhash = self.market.devnet.chain().latest_blockhash().await;
        let blockhash = blockhash.expect("a blockhash").hash;
        let payment = |_| json!({ "transaction": STANDARD.encode(self.transaction(blockhash)) });
        let payload =
            |payment| json!({"x402Version": 2, "accepted": self.entry, "payload": payment});
        (0..count).map(payment).map(payload).collect()
    }

    fn address(&self, of: &str) -> Address {
        let text = self.entry.pointer(of).and_then(Value::as_str);
        text.and_then(|text| text.parse().ok()).expect("an address")
    }

    /// Signed by the buyer, without the fee payer.
    fn transaction(&self, blockhash: Hash) -> Vec<u8> {
        let key = SolanaKey::from_secret(&self.market.secret());
        let tokens = |owner: &Address| token_account(owner, &USDC, &TOKEN).expect("an address").0;
        let mut transfer = vec![12];
        transfer.extend(BUDGET.to_le_bytes());
        transfer.push(6);
        let accounts = vec![
            AccountMeta::new(tokens(&key.address()), false),
            AccountMeta::new_readonly(USDC, false),
            AccountMeta::new(tokens(&self.address("/payTo")), false),
            AccountMeta::new_readonly(key.address(), true),
        ];
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("randomness");
        let instructions = [
            unit_limit(20_000),
            unit_price(1),
            Instruction::new_with_bytes(TOKEN, &transfer, accounts),
            Instruction::new_with_bytes(MEMO_PROGRAM, hex::encode(nonce).as_bytes(), vec![]),
        ];
        let fee_payer = self.address("/extra/feePayer");
        let message = v0::Message::try_compile(&fee_payer, &instructions, &[], blockhash);
        let message = VersionedMessage::V0(message.expect("a message"));
        let signature = key.sign(&message.serialize());
        encode(&signed(message, vec![Signature::default(), signature]))
    }

    /// Every payment is valid, says whoever is behind the URL.
    pub(super) async fn verify_all(&self, url: &str, payments: &[Value], meter: &mut Meter) {
        meter.restart();
        for payload in payments {
            let ask = json!({
                "x402Version": 2,
                "paymentPayload": payload,
                "paymentRequirements": self.entry,
            });
            let ask = serde_json::to_vec(&ask).expect("JSON");
            let answer = meter.time(self.post(url, &ask, None)).await;
            assert_eq!(answer["isValid"], true, "{url}: {answer}");
        }
        meter.stop();
    }

    /// Pays the offer; the id of the task.
    pub(super) async fn buy(&self) -> String {
        let payload = self.payments(1).await.remove(0);
        let header = STANDARD.encode(payload.to_string());
        let url = format!("{}/tasks", self.market.origins()[0]);
        let answer = self.post(&url, &self.body, Some(&header)).await;
        let task = answer["taskId"].as_str();
        task.unwrap_or_else(|| panic!("not taken: {answer}"))
            .to_owned()
    }

    async fn post(&self, url: &str, body: &[u8], payment: Option<&str>) -> Value {
        let mut request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_vec());
        if let Some(payment) = payment {
            request = request.header("payment-signature", payment);
        }
        let answer = request.send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }
}
