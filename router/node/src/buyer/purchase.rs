//! One purchase from question to verified bundle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_objects::Cid;
use d402_settlement::market::{Bundle, Proof};
use serde_json::{Value, json};

use super::{BuyError, Challenge, GatewayClient, Wallet, Wishes};

/// Pause between two looks at a pending task.
const POLL: Duration = Duration::from_millis(200);
/// How often the same paid request is sent again when its answer is lost.
const RESENDS: u32 = 5;

/// What a purchase works with.
pub struct Purchase<'a> {
    /// The gateway.
    pub gateway: &'a GatewayClient,
    /// Who pays.
    pub wallet: &'a Wallet,
    /// What is wanted.
    pub wishes: &'a Wishes,
    /// Access token whose hash is in the wishes.
    pub token: &'a str,
    /// Where payment and bundle are kept.
    pub keep: &'a Path,
    /// Now, unix ms.
    pub now_ms: u64,
    /// How long to wait for the end.
    pub patience: Duration,
}

/// What happens on the way, for people to watch.
#[derive(Clone, Debug)]
pub enum Stage<'a> {
    /// The 402 was checked and fits.
    Offered(&'a Challenge),
    /// The payment is saved and about to be sent.
    Paying {
        /// Where it is saved.
        saved: &'a Path,
    },
    /// The gateway has the task.
    Accepted {
        /// The task.
        task_id: Cid,
    },
    /// A look at the task.
    Looked(&'a Value),
}

/// How it ended.
#[derive(Debug)]
pub struct Receipt {
    /// The task.
    pub task_id: Cid,
    /// The gateway's last word on the task: status, payouts, refund.
    pub task: Value,
    /// Result document, when accepted.
    pub result: Option<Value>,
    /// The bundle's file, when there is a receipt.
    pub bundle: Option<PathBuf>,
    /// What the bundle proves; checked here, offline.
    pub proof: Option<Proof>,
}

/// Buys.
///
/// # Errors
/// [`BuyError`]; before [`Stage::Paying`] nothing was paid.
pub async fn buy(
    purchase: &Purchase<'_>,
    mut watch: impl FnMut(Stage<'_>),
) -> Result<Receipt, BuyError> {
    let client_id = random_id()?;
    let mut body = purchase.wishes.body();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("sync".to_owned(), Value::Bool(false));
    }
    let answer = purchase.gateway.post_task(&body, None, &client_id).await?;
    if answer.status != 402 {
        return Err(answer.problem());
    }
    let header = answer
        .payment_required
        .as_deref()
        .ok_or(BuyError::Malformed("PAYMENT-REQUIRED header"))?;
    let challenge = Challenge::read(header, &answer.body, &purchase.wishes.network)?;
    purchase.wishes.check(&challenge)?;
    watch(Stage::Offered(&challenge));
    let payment = sign(purchase, &challenge, &client_id).await?;
    let saved = purchase.keep.join(format!("payment-{client_id}.json"));
    save(
        &saved,
        &serde_json::to_vec(&json!({"request": body, "payment": payment})).unwrap_or_default(),
    )?;
    watch(Stage::Paying { saved: &saved });
    let header = STANDARD.encode(serde_json::to_vec(&payment).unwrap_or_default());
    let task_id = send_paid(purchase, &body, &header, &client_id).await?;
    watch(Stage::Accepted { task_id });
    let task = wait(purchase, task_id, &mut watch).await?;
    finish(purchase, task_id, task).await
}

async fn sign(
    purchase: &Purchase<'_>,
    challenge: &Challenge,
    client_id: &str,
) -> Result<Value, BuyError> {
    let payload = purchase.wallet.pay(challenge, purchase.now_ms).await?;
    Ok(json!({
        "x402Version": 2,
        "accepted": challenge.accepted(),
        "payload": payload,
        "extensions": { "payment-identifier": { "paymentId": client_id } },
    }))
}

/// Sends the same bytes until there is an answer: a lost answer is no reason for a second payment.
async fn send_paid(
    purchase: &Purchase<'_>,
    body: &Value,
    header: &str,
    client_id: &str,
) -> Result<Cid, BuyError> {
    let mut last = None;
    for _ in 0..RESENDS {
        match purchase
            .gateway
            .post_task(body, Some(header), client_id)
            .await
        {
            Ok(answer) if matches!(answer.status, 200 | 202) => {
                let task_id = answer
                    .json()?
                    .get("taskId")
                    .and_then(Value::as_str)
                    .and_then(|id| id.parse().ok());
                return task_id.ok_or(BuyError::Malformed("taskId"));
            }
            Ok(answer) if answer.status >= 500 => last = Some(answer.problem()),
            Ok(answer) => return Err(answer.problem()),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(POLL).await;
    }
    Err(last.unwrap_or(BuyError::Malformed("answer")))
}

async fn wait(
    purchase: &Purchase<'_>,
    task_id: Cid,
    watch: &mut impl FnMut(Stage<'_>),
) -> Result<Value, BuyError> {
    let looking = async {
        loop {
            let task = purchase
                .gateway
                .get_json(&format!("/tasks/{task_id}"), Some(purchase.token))
                .await?;
            watch(Stage::Looked(&task));
            if task.get("status").and_then(Value::as_str) != Some("pending") {
                return Ok(task);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(purchase.patience, looking).await {
        Ok(task) => task,
        Err(_over) => Err(BuyError::Pending { task_id }),
    }
}

async fn finish(purchase: &Purchase<'_>, task_id: Cid, task: Value) -> Result<Receipt, BuyError> {
    let status = task
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let result = if status == "accepted" {
        let answer = purchase
            .gateway
            .get_json(&format!("/tasks/{task_id}/result"), Some(purchase.token))
            .await?;
        answer.get("result").cloned()
    } else {
        None
    };
    let mut receipt = Receipt {
        task_id,
        task,
        result,
        bundle: None,
        proof: None,
    };
    if matches!(status.as_str(), "accepted" | "rejected") {
        let answer = purchase
            .gateway
            .get(&format!("/tasks/{task_id}/bundle"), Some(purchase.token))
            .await?;
        if answer.status != 200 {
            return Err(answer.problem());
        }
        let path = purchase
            .keep
            .join(format!("bundle-{}.json", task_id.to_hex32()));
        save(&path, &answer.body)?;
        let proof =
            Bundle::verify(&answer.body).map_err(|broken| BuyError::Bundle(Box::new(broken)))?;
        if proof.task_id != task_id {
            return Err(BuyError::Malformed("bundle of this task"));
        }
        (receipt.bundle, receipt.proof) = (Some(path), Some(proof));
    }
    Ok(receipt)
}

fn random_id() -> Result<String, BuyError> {
    let mut id = [0u8; 16];
    getrandom::fill(&mut id).map_err(|_| BuyError::Malformed("randomness"))?;
    Ok(hex::encode(id))
}

/// Written aside, synced and renamed, so that a file is whole or absent.
fn save(path: &Path, bytes: &[u8]) -> Result<(), BuyError> {
    let write = || -> std::io::Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let aside = path.with_extension("part");
        let mut file = std::fs::File::create(&aside)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(BuyError::NotSaved)
}
