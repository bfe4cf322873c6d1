//! Reading the request, doing it, writing the response.

use std::io::{self, Read, Write};

use super::confine::confine;
use super::wire::{ExecRequest, ExecResponse, MAX_REQUEST_BYTES, Misuse, Operation, Produced};
use crate::capability::{Context, Fetcher, NoNetwork};
use crate::execute::execute;
use crate::fetch::{AllowRule, Guard, HttpFetcher, SystemResolver};
use crate::judge::{UNITS_PER_TASK, judge};
use crate::manifest::Limits;
use crate::registry::{Listed, capability};

/// Serves one request as the child process: limits on, request in, response out.
///
/// Call it first thing in `main`, before any thread or event loop is started. The process's limits are
/// lowered for good, so it should exit afterwards.
///
/// # Errors
/// When stdin cannot be read or stdout cannot be written.
pub fn run_exec(mut stdin: impl Read, mut stdout: impl Write) -> io::Result<()> {
    let response = match confine(Limits::CEILING) {
        Ok(()) => respond(&mut stdin)?,
        Err(_) => ExecResponse::Misuse(Misuse::Confine),
    };
    serde_json::to_writer(&mut stdout, &response)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

fn respond(stdin: &mut impl Read) -> io::Result<ExecResponse> {
    let mut bytes = Vec::new();
    stdin
        .take(MAX_REQUEST_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_REQUEST_BYTES {
        return Ok(ExecResponse::Misuse(Misuse::TooLong));
    }
    let Ok(request) = serde_json::from_slice::<ExecRequest>(&bytes) else {
        return Ok(ExecResponse::Misuse(Misuse::Request));
    };
    drop(bytes);
    Ok(serve(request).unwrap_or_else(ExecResponse::Misuse))
}

fn serve(request: ExecRequest) -> Result<ExecResponse, Misuse> {
    let listed = capability(&request.capability_id).ok_or(Misuse::UnknownCapability)?;
    let limits = request.limits.map_or(listed.manifest().limits(), |limits| {
        limits.min(listed.manifest().limits())
    });
    let fetcher = fetcher(listed, &request)?;
    confine(limits).map_err(|_| Misuse::Confine)?;
    let blobs = request.blobs.into_iter().map(|blob| blob.bytes).collect();
    let context = Context::new(listed.manifest(), fetcher.as_ref(), blobs);
    match (request.op, &request.claim) {
        (Operation::Execute, None) => Ok(
            match execute(listed.capability(), &context, &request.input) {
                Ok(executed) => ExecResponse::Ok(Produced {
                    output: executed.execution.output,
                    blobs: executed.execution.blobs,
                    canonical_digest: executed.execution.canonical_digest,
                    units: UNITS_PER_TASK.to_owned(),
                    runtime_digest: listed.runtime_digest().to_owned(),
                }),
                Err(refusal) => ExecResponse::Refused(refusal),
            },
        ),
        (Operation::Check, Some(claim)) => Ok(
            match judge(listed.capability(), &context, &request.input, claim) {
                Ok(judgement) => ExecResponse::Judged(judgement),
                Err(refusal) => ExecResponse::CannotJudge(refusal),
            },
        ),
        (Operation::Execute, Some(_)) | (Operation::Check, None) => Err(Misuse::Claim),
    }
}

/// The way out to the network: only for manifests that ask for it.
fn fetcher(listed: &Listed, request: &ExecRequest) -> Result<Box<dyn Fetcher>, Misuse> {
    let rules: Vec<AllowRule> = request
        .policy
        .allow_hosts
        .iter()
        .map(|rule| rule.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| Misuse::AllowRule)?;
    if !listed.manifest().uses_network() {
        return Ok(Box::new(NoNetwork));
    }
    HttpFetcher::new(Guard::new(rules), Box::new(SystemResolver))
        .map(|fetcher| Box::new(fetcher) as Box<dyn Fetcher>)
        .map_err(|_| Misuse::Fetcher)
}
