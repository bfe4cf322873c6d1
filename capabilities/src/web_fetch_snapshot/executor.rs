//! Taking a snapshot.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::canonical::sha256_cid;
use crate::capability::{Blob, Context, Execution, Refusal, RefusalCode};
use crate::fetch::FetchRequest;
use crate::page::text::canonical_text;
use crate::page::{decode, extract};

/// The name of the evidence blob that holds the page's bytes.
pub(crate) const SNAPSHOT_BLOB: &str = "snapshot";
/// The true name of what fetched: plain HTTP, no browser.
pub(crate) const SNAPSHOTTER: &str = concat!("d402-http/", env!("CARGO_PKG_VERSION"));

const DEFAULT_TIMEOUT_MS: u64 = 10_000;
const DEFAULT_MAX_BYTES: u64 = 2 << 20;

/// A page as it was served, and what was served with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) bytes: Vec<u8>,
    pub(crate) final_url: Url,
    pub(crate) status: u16,
    pub(crate) media_type: String,
    pub(crate) charset: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Snapshot {
    /// The page as text.
    pub(crate) fn html(&self) -> String {
        decode(&self.bytes, self.charset.as_deref()).into_owned()
    }

    /// What the output of a capability says about how the page was served.
    pub(crate) fn served(&self) -> Value {
        json!({
            "finalUrl": self.final_url.as_str(),
            "status": self.status,
            "mediaType": self.media_type,
            "charset": self.charset,
            "headers": self.headers,
        })
    }

    pub(crate) fn into_blob(self) -> Blob {
        Blob {
            name: SNAPSHOT_BLOB.to_owned(),
            media_type: self.media_type,
            bytes: self.bytes,
        }
    }
}

/// Fetches the page an input names (`url`, `timeoutMs`, `maxBytes`).
pub(crate) fn take(context: &Context<'_>, input: &Value) -> Result<Snapshot, Refusal> {
    let url = input.get("url").and_then(Value::as_str).unwrap_or_default();
    let url =
        Url::parse(url).map_err(|error| Refusal::new(RefusalCode::BadInput, error.to_string()))?;
    let number =
        |name: &str, default: u64| input.get(name).and_then(Value::as_u64).unwrap_or(default);
    let request = FetchRequest {
        url,
        timeout: Duration::from_millis(number("timeoutMs", DEFAULT_TIMEOUT_MS)),
        max_bytes: usize::try_from(number("maxBytes", DEFAULT_MAX_BYTES)).unwrap_or(usize::MAX),
    };
    let fetched = context.fetcher().fetch(&request)?;
    Ok(Snapshot {
        bytes: fetched.body,
        final_url: fetched.final_url,
        status: fetched.status,
        media_type: fetched.media_type,
        charset: fetched.charset,
        headers: fetched.headers,
    })
}

/// The output document of a snapshot.
pub(super) fn output(snapshot: &Snapshot, text_digest: &str) -> Value {
    json!({
        "snapshotCid": sha256_cid(&snapshot.bytes),
        "bytes": snapshot.bytes.len(),
        "textDigest": text_digest,
        "served": snapshot.served(),
        "evidence": {"snapshotterVersion": SNAPSHOTTER, "quality": {"blocked": false, "reason": null}},
    })
}

pub(super) fn execute(context: &Context<'_>, input: &Value) -> Result<Execution, Refusal> {
    let snapshot = take(context, input)?;
    let html = snapshot.html();
    // Extraction is where stand-in and empty pages are recognised.
    extract(&html, Some(&snapshot.final_url))?;
    let text_digest = sha256_cid(canonical_text(&html).as_bytes());
    Ok(Execution {
        output: output(&snapshot, &text_digest),
        canonical_digest: text_digest,
        blobs: vec![snapshot.into_blob()],
    })
}
