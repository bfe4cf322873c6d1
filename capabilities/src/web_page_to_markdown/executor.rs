//! Fetch, then extract.

use serde_json::Value;

use crate::canonical::sha256_cid;
use crate::capability::{Context, Execution, Refusal};
use crate::page::{Extracted, extract};
use crate::web_extract_markdown;
use crate::web_fetch_snapshot::{SNAPSHOTTER, Snapshot, take};

/// The output document: what extraction makes of the snapshot, and how it was served.
pub(super) fn output(snapshot: &Snapshot, extracted: &Extracted) -> Value {
    let mut output =
        web_extract_markdown::output(extracted, &sha256_cid(&snapshot.bytes), Some(SNAPSHOTTER));
    if let Value::Object(members) = &mut output {
        members.insert("served".to_owned(), snapshot.served());
    }
    output
}

pub(super) fn execute(context: &Context<'_>, input: &Value) -> Result<Execution, Refusal> {
    let snapshot = take(context, input)?;
    let extracted = extract(&snapshot.html(), Some(&snapshot.final_url))?;
    Ok(Execution {
        output: output(&snapshot, &extracted),
        canonical_digest: sha256_cid(extracted.markdown.as_bytes()),
        blobs: vec![snapshot.into_blob()],
    })
}
