//! The 402: stateless, authenticated, written without storing or signing anything (threat #55).
//!
//! A challenge is per payment entry: the MAC covers the entry (intent and terms inside), the request it answers
//! and its times. All texts here are canonical JSON (RFC 8785), so that client and gateway hash the same bytes
//! however the client re-serialises the entry.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use d402_core::admission::Admission;
use d402_objects::{Cid, Hex32, Signed, TaskIntent, Value, canonical};
use serde::Deserialize;

use super::error::HttpError;
use super::secrets::Secrets;

/// Header of the 402.
pub(crate) const PAYMENT_REQUIRED: &str = "payment-required";
/// Longest life of a challenge, ms.
pub(crate) const MAX_LIFE_MS: u64 = 120_000;
/// Most bytes of the header: stock clients read 16 KiB of headers in all.
const MAX_HEADER_BYTES: usize = 12 * 1024;

/// The request a challenge belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) cluster_id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Sorted `name=value` pairs, joined by `&`.
    pub(crate) query: &'a str,
    pub(crate) body_sha256: Hex32,
}

/// Times and authenticator of a challenge.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Stamp {
    pub(crate) kid: String,
    pub(crate) issued_at_ms: u64,
    pub(crate) expires_at_ms: u64,
    pub(crate) mac: Hex32,
}

/// How a payment entry is presented.
#[derive(Clone, Debug)]
pub(crate) struct Face<'a> {
    /// Name of the asset, for people and for EIP-712.
    pub(crate) asset_name: &'a str,
    /// EIP-712 version of the asset; without both, stock clients cannot sign.
    pub(crate) asset_version: Option<&'a str>,
    /// What a client may take to pay, s (spec §3.1).
    pub(crate) max_timeout_s: u64,
    /// Who pays the fee of a payment on Solana; without it stock clients cannot pay there.
    pub(crate) fee_payer: Option<&'a str>,
}

/// A payment entry of an admission, as canonical JSON without its challenge.
fn entry_text(admission: &Admission, index: usize, face: &Face<'_>) -> Option<(String, String)> {
    let rail = admission.rails.get(index)?;
    let payment = admission.intent.payment.get(index)?;
    let terms = URL_SAFE_NO_PAD.encode(&*rail.quote.terms_bytes);
    let pay_to = rail.quote.pay_to_address()?;
    let intent_text = &admission.intent_text;
    let head = format!(
        r#"{{"amount":"{}","asset":{},"extra":{{"d402":{{"#,
        payment.budget,
        quoted(payment.asset.as_str()),
    );
    let version = face.asset_version.map_or_else(String::new, |version| {
        format!(r#","version":{}"#, quoted(version))
    });
    let fee_payer = face.fee_payer.map_or_else(String::new, |fee_payer| {
        format!(r#","feePayer":{}"#, quoted(fee_payer))
    });
    // A flow that is not named is `authorization`: only a direct payment waits for the work.
    let flow = match payment.direct {
        Some(_) => "",
        None => r#","paymentFlow":"upfront""#,
    };
    let tail = format!(
        r#""intent":{intent_text},"paymentIndex":{index},"terms":"{terms}"}}{fee_payer},"name":{}{flow}{version}}},"maxTimeoutSeconds":{},"network":{},"payTo":{},"scheme":"exact"}}"#,
        quoted(face.asset_name),
        face.max_timeout_s,
        quoted(payment.network.as_str()),
        quoted(pay_to.as_str()),
    );
    Some((head, tail))
}

/// A JSON string in canonical form.
fn quoted(text: &str) -> String {
    String::from_utf8(canonical::to_bytes(&Value::from(text))).unwrap_or_default()
}

/// What the MAC is over: canonical JSON of the bound request, the entry and its times.
fn mac_text(
    bound: &Bound<'_>,
    task_id: &Cid,
    entry: &str,
    (issued_at_ms, expires_at_ms): (u64, u64),
) -> String {
    format!(
        r#"{{"accepts":[{entry}],"bodySha256":"{}","clusterId":{},"expiresAtMs":{expires_at_ms},"intentCid":"{task_id}","issuedAtMs":{issued_at_ms},"method":{},"path":{},"query":{}}}"#,
        bound.body_sha256,
        quoted(bound.cluster_id),
        quoted(bound.method),
        quoted(bound.path),
        quoted(bound.query),
    )
}

/// What the 402 says besides its entries.
pub(crate) struct Frame<'a> {
    /// URL of the resource.
    pub(crate) resource: &'a str,
    /// Why an attempt to pay was not taken, x402 spelling.
    pub(crate) error: Option<&'static str>,
    /// Opens the result, when the request brought no `accessHash`.
    pub(crate) access_token: Option<&'a str>,
    pub(crate) now_ms: u64,
}

/// Writes the 402 of an admission.
pub(crate) fn write(
    secrets: &Secrets,
    admission: &Admission,
    bound: &Bound<'_>,
    faces: &[Face<'_>],
    frame: &Frame<'_>,
) -> Result<Response, HttpError> {
    let mut entries = Vec::with_capacity(admission.rails.len());
    for (index, (rail, face)) in admission.rails.iter().zip(faces).enumerate() {
        let (head, tail) =
            entry_text(admission, index, face).ok_or(HttpError::Internal { what: "entry" })?;
        let expires = frame
            .now_ms
            .saturating_add(MAX_LIFE_MS)
            .min(rail.quote.times.fund_by_ms.get());
        let times = (frame.now_ms, expires);
        let text = mac_text(bound, &admission.task_id, &format!("{head}{tail}"), times);
        let mac = secrets
            .mac(text.as_bytes())
            .ok_or(HttpError::Internal { what: "kid" })?;
        let (issued, kid) = (frame.now_ms, quoted(secrets.kid()));
        entries.push(format!(
            r#"{head}"challenge":{{"expiresAtMs":{expires},"issuedAtMs":{issued},"kid":{kid},"mac":"{mac}"}},{tail}"#
        ));
    }
    let required = payment_required(&entries, frame);
    let header = STANDARD.encode(&required);
    if header.len() > MAX_HEADER_BYTES {
        return Err(HttpError::ChallengeTooLarge);
    }
    let one = super::version_one::offer(admission, faces, frame);
    let body = body_text(admission, (&required, &one), frame);
    let header =
        HeaderValue::from_str(&header).map_err(|_| HttpError::Internal { what: "header" })?;
    let mut response = (StatusCode::PAYMENT_REQUIRED, body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PAYMENT_REQUIRED, header);
    Ok(response)
}

/// x402 v2 `PaymentRequired`.
fn payment_required(entries: &[String], frame: &Frame<'_>) -> String {
    let error = frame
        .error
        .unwrap_or("PAYMENT-SIGNATURE header is required");
    format!(
        r#"{{"accepts":[{}],"error":{},"extensions":{{"payment-identifier":{{"info":{{"required":false}},"schema":{{}}}}}},"resource":{{"description":"Bounded work, paid on delivery.","mimeType":"application/json","url":{}}},"x402Version":2}}"#,
        entries.join(","),
        quoted(error),
        quoted(frame.resource),
    )
}

fn body_text(admission: &Admission, (required, one): (&str, &str), frame: &Frame<'_>) -> String {
    let intent_text = &admission.intent_text;
    let (manifest, registration) = (
        text(&admission.listing.manifest),
        text(&admission.listing.registration),
    );
    let offers: Vec<&str> = admission.offers.iter().map(text).collect();
    let token = frame
        .access_token
        .map_or_else(String::new, |token| format!(r#""accessToken":"{token}","#));
    let worker = admission
        .worker
        .as_ref()
        .map_or_else(String::new, |offer| format!(r#","worker":{}"#, text(offer)));
    format!(
        r#"{{{token}{one}"intent":{intent_text},"manifest":{manifest},"offers":[{}],"registration":{registration}{worker},"x402":{required}}}"#,
        offers.join(","),
    )
}

/// An envelope's canonical JSON.
fn text<T>(object: &Signed<T>) -> &str {
    std::str::from_utf8(object.as_bytes()).unwrap_or_default()
}

/// What a challenge of ours says, once its MAC verified.
#[derive(Clone, Debug)]
pub(crate) struct Redeemed {
    pub(crate) intent: TaskIntent,
    pub(crate) payment_index: u8,
    pub(crate) terms: Vec<u8>,
    pub(crate) pay_to: String,
    pub(crate) expires_at_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct D402Extra {
    terms: String,
    intent: TaskIntent,
    payment_index: u8,
}

/// Why an echoed entry is not one of our challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forged {
    /// Not the shape of an entry.
    #[error("malformed")]
    Malformed,
    /// The MAC does not verify for this request.
    #[error("not a challenge of this gateway for this request")]
    Mac,
}

/// Checks an echoed payment entry against the request. Does not look at the clock: [`Redeemed::expires_at_ms`].
pub(crate) fn redeem(
    secrets: &Secrets,
    accepted: &Value,
    bound: &Bound<'_>,
) -> Result<Redeemed, Forged> {
    let mut entry = accepted.clone();
    let d402 = entry
        .get_mut("extra")
        .and_then(|e| e.get_mut("d402"))
        .and_then(Value::as_object_mut)
        .ok_or(Forged::Malformed)?;
    let stamp = d402.remove("challenge").ok_or(Forged::Malformed)?;
    let stamp: Stamp = serde_json::from_value(stamp).map_err(|_| Forged::Malformed)?;
    let intent_value = d402.get("intent").ok_or(Forged::Malformed)?;
    let task_id = Cid::of(&canonical::to_bytes(intent_value));
    let extra: D402Extra =
        serde_json::from_value(Value::Object(d402.clone())).map_err(|_| Forged::Malformed)?;
    let entry_text =
        String::from_utf8(canonical::to_bytes(&entry)).map_err(|_| Forged::Malformed)?;
    let text = mac_text(
        bound,
        &task_id,
        &entry_text,
        (stamp.issued_at_ms, stamp.expires_at_ms),
    );
    if !secrets.verifies(&stamp.kid, text.as_bytes(), &stamp.mac) {
        return Err(Forged::Mac);
    }
    Ok(Redeemed {
        intent: extra.intent,
        payment_index: extra.payment_index,
        terms: URL_SAFE_NO_PAD
            .decode(extra.terms)
            .map_err(|_| Forged::Malformed)?,
        pay_to: entry
            .get("payTo")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        expires_at_ms: stamp.expires_at_ms,
    })
}

/// The query of a request in an order of its own.
pub(crate) fn sorted_query(raw: Option<&str>) -> String {
    let mut pairs: Vec<&str> = raw
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}
