//! Running and judging capabilities in tests: no process, pages from memory.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use crate::capability::{
    Claim, Context, Fetcher, Judgement, NoNetwork, Reason, Refusal, RefusalCode,
};
use crate::execute::{Executed, execute};
use crate::fetch::{FetchRequest, Fetched};
use crate::judge::judge;
use crate::registry::capability;

/// Serves one page for every URL, or one refusal.
pub(crate) struct OnePage(pub(crate) Result<Fetched, RefusalCode>);

impl OnePage {
    pub(crate) fn html(html: &str) -> Self {
        Self(Ok(Fetched {
            final_url: Url::parse("https://site.example/page.html").unwrap(),
            status: 200,
            media_type: "text/html".to_owned(),
            charset: Some("utf-8".to_owned()),
            headers: BTreeMap::from([(
                "content-type".to_owned(),
                "text/html; charset=utf-8".to_owned(),
            )]),
            body: html.as_bytes().to_vec(),
        }))
    }
}

impl Fetcher for OnePage {
    fn fetch(&self, _request: &FetchRequest) -> Result<Fetched, Refusal> {
        self.0
            .clone()
            .map_err(|code| Refusal::new(code, "from memory"))
    }
}

/// Runs a capability without network.
pub(crate) fn run(id: &str, input: &Value) -> Result<Executed, RefusalCode> {
    run_on(id, &NoNetwork, input)
}

/// Runs a capability on a fetcher.
pub(crate) fn run_on(
    id: &str,
    fetcher: &dyn Fetcher,
    input: &Value,
) -> Result<Executed, RefusalCode> {
    let listed = capability(id).unwrap();
    let context = Context::new(listed.manifest(), fetcher, Vec::new());
    execute(listed.capability(), &context, input).map_err(|refusal| refusal.code)
}

/// The honest claim for an execution.
pub(crate) fn claim_of(executed: &Executed) -> Claim {
    Claim {
        output: executed.output_bytes.clone(),
        blobs: executed.execution.blobs.clone(),
        canonical_digest: executed.execution.canonical_digest.clone(),
        units: "1".to_owned(),
    }
}

/// Judges a claim on a validator's own fetcher.
pub(crate) fn judge_on(
    id: &str,
    fetcher: &dyn Fetcher,
    input: &Value,
    claim: &Claim,
) -> Result<Judgement, RefusalCode> {
    let listed = capability(id).unwrap();
    let context = Context::new(listed.manifest(), fetcher, Vec::new());
    judge(listed.capability(), &context, input, claim).map_err(|refusal| refusal.code)
}

/// The reasons a claim is rejected for.
pub(crate) fn reasons(
    id: &str,
    fetcher: &dyn Fetcher,
    input: &Value,
    claim: &Claim,
) -> Vec<Reason> {
    judge_on(id, fetcher, input, claim).unwrap().reasons
}

/// A claim whose output document was changed and is canonical again.
pub(crate) fn with_output(claim: &Claim, change: impl FnOnce(&mut Value)) -> Claim {
    let mut output: Value = serde_json::from_slice(&claim.output).unwrap();
    change(&mut output);
    Claim {
        output: crate::canonical::canonical_bytes(&output).unwrap(),
        ..claim.clone()
    }
}
