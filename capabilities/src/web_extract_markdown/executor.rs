//! Extraction from bytes that are at hand.

use serde_json::{Value, json};
use url::Url;

use crate::canonical::sha256_cid;
use crate::capability::{Context, Execution, Refusal, RefusalCode};
use crate::page::{CONVERTER, Extracted, decode, extract};

/// The members that every output with Markdown has; `evidence` is completed by the caller.
pub(crate) fn output(
    extracted: &Extracted,
    snapshot_cid: &str,
    snapshotter: Option<&str>,
) -> Value {
    let metadata = &extracted.metadata;
    json!({
        "markdown": extracted.markdown,
        "snapshotCid": snapshot_cid,
        "contentHash": sha256_cid(extracted.markdown.as_bytes()),
        "title": metadata.title,
        "metadata": {
            "author": metadata.author,
            "description": metadata.description,
            "site": metadata.site,
            "published": metadata.published,
            "wordCount": extracted.word_count,
        },
        "evidence": {
            "converter": CONVERTER,
            "snapshotterVersion": snapshotter,
            "quality": {"blocked": false, "reason": null},
        },
    })
}

pub(super) fn execute(context: &Context<'_>, input: &Value) -> Result<Execution, Refusal> {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let address = text("url")
        .map(Url::parse)
        .transpose()
        .map_err(|error| Refusal::new(RefusalCode::BadInput, error.to_string()))?;
    if address
        .as_ref()
        .is_some_and(|address| !matches!(address.scheme(), "http" | "https"))
    {
        return Err(Refusal::new(
            RefusalCode::BadInput,
            "the address of a page starts with http or https",
        ));
    }
    let (html, snapshot_cid) = match (text("html"), text("snapshotCid")) {
        (Some(html), None) => (html.to_owned(), sha256_cid(html.as_bytes())),
        (None, Some(cid)) => (
            decode(context.blob(cid)?, text("charset")).into_owned(),
            cid.to_owned(),
        ),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refusal::new(
                RefusalCode::BadInput,
                "either html or snapshotCid",
            ));
        }
    };
    let extracted = extract(&html, address.as_ref())?;
    Ok(Execution {
        canonical_digest: sha256_cid(extracted.markdown.as_bytes()),
        output: output(&extracted, &snapshot_cid, None),
        blobs: Vec::new(),
    })
}
