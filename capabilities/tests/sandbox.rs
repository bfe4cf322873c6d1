//! The child process and its parent, with the real executable: bounds, kills, refusals, judgements.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use d402_capabilities::canonical::canonical_bytes;
use d402_capabilities::exec::Produced;
use d402_capabilities::sandbox::{Execution, Job, Judging};
use d402_capabilities::{
    Blob, Claim, Limits, Reason, RefusalCode, Sandbox, SandboxConfig, SandboxError, Verdict, corpus,
};
use serde_json::{Value, json};

fn config() -> SandboxConfig {
    SandboxConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_d402-exec")),
        args: vec!["exec".into()],
        max_children: 2,
        max_waiting: 8,
        allow_hosts: Vec::new(),
    }
}

fn job(capability_id: &str, input: Value) -> Job {
    Job {
        capability_id: capability_id.to_owned(),
        input,
        ..Job::default()
    }
}

fn jq(program: &str) -> Job {
    job(
        "json.transform@1",
        json!({"program": program, "data": [3, 1, 2]}),
    )
}

fn limits(cpu_ms: u64, memory_bytes: u64, timeout_ms: u64) -> Option<Limits> {
    Some(Limits {
        cpu_ms,
        memory_bytes,
        timeout_ms,
        output_bytes: 1 << 20,
    })
}

async fn produce(sandbox: &Sandbox, job: Job) -> Produced {
    match sandbox.execute(job).await.unwrap() {
        Execution::Done(produced) => *produced,
        Execution::Refused(refusal) => panic!("{refusal}"),
    }
}

fn claim(produced: &Produced) -> Claim {
    Claim {
        output: canonical_bytes(&produced.output).unwrap(),
        blobs: produced.blobs.clone(),
        canonical_digest: produced.canonical_digest.clone(),
        units: produced.units.clone(),
    }
}

async fn verdict(sandbox: &Sandbox, job: Job, claim: Claim) -> (Verdict, Vec<Reason>) {
    match sandbox.check(job, claim).await.unwrap() {
        Judging::Judged(judgement) => (judgement.verdict, judgement.reasons),
        Judging::CannotJudge(refusal) => panic!("{refusal}"),
    }
}

/// Serves the corpus on loopback until the test process ends.
fn serve_corpus() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0; 1];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let page = corpus::pages().iter().find(|(at, _, _)| *at == path);
            let (html, status) =
                page.map_or(("no such page", 404), |(_, html, status)| (*html, *status));
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{html}",
                html.len()
            );
        }
    });
    address
}

#[tokio::test]
async fn a_worker_makes_and_a_validator_accepts_the_same_bytes() {
    let sandbox = Sandbox::new(config());
    let produced = produce(&sandbox, jq("sort")).await;
    assert_eq!(produced.output, json!({"results": [[1, 2, 3]]}));
    assert_eq!(produced.units, "1");
    assert_eq!(produced, produce(&sandbox, jq("sort")).await);
    assert_eq!(
        verdict(&sandbox, jq("sort"), claim(&produced)).await,
        (Verdict::Accept, vec![])
    );
    let mut lie = claim(&produced);
    lie.output = br#"{"results":[[1,2,4]]}"#.to_vec();
    assert_eq!(
        verdict(&sandbox, jq("sort"), lie).await,
        (Verdict::Reject, vec![Reason::OutputDiffers])
    );
}

#[tokio::test]
async fn the_corpus_is_bought_from_an_allowed_loopback_server() {
    let address = serve_corpus();
    let sandbox = Sandbox::new(SandboxConfig {
        allow_hosts: vec![address.to_string()],
        ..config()
    });
    for (path, _, _) in corpus::pages() {
        let page = || {
            job(
                "web.page_to_markdown@1",
                json!({"url": format!("http://{address}{path}")}),
            )
        };
        let outcome = sandbox.execute(page()).await.unwrap();
        match outcome {
            Execution::Done(produced) => {
                assert!(
                    !path.contains("blocked") && !path.contains("paywall"),
                    "{path} was sold"
                );
                assert_eq!(
                    verdict(&sandbox, page(), claim(&produced)).await,
                    (Verdict::Accept, vec![]),
                    "{path}"
                );
                let snapshot = job(
                    "web.fetch.snapshot@1",
                    json!({"url": format!("http://{address}{path}")}),
                );
                let snapshot = produce(&sandbox, snapshot).await;
                assert_eq!(
                    snapshot.output["snapshotCid"],
                    produced.output["snapshotCid"]
                );
                // The same Markdown comes out of the snapshot by extraction alone.
                let mut extract = job(
                    "web.extract.markdown@1",
                    json!({"snapshotCid": snapshot.output["snapshotCid"], "url": format!("http://{address}{path}")}),
                );
                extract.blobs = snapshot.blobs;
                assert_eq!(
                    produce(&sandbox, extract).await.canonical_digest,
                    produced.canonical_digest
                );
            }
            Execution::Refused(refusal) => {
                assert!(
                    path.contains("blocked") || path.contains("paywall"),
                    "{path}: {refusal}"
                );
                assert!(
                    matches!(
                        refusal.code,
                        RefusalCode::Blocked | RefusalCode::Captcha | RefusalCode::Paywall
                    ),
                    "{path}: {refusal}"
                );
            }
        }
    }
}

#[tokio::test]
async fn loopback_is_refused_without_the_operators_word() {
    let address = serve_corpus();
    let page = job(
        "web.page_to_markdown@1",
        json!({"url": format!("http://{address}/article.html")}),
    );
    match Sandbox::new(config()).execute(page).await.unwrap() {
        Execution::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::Ssrf),
        Execution::Done(_) => panic!("a page of the private network was fetched"),
    }
}

#[tokio::test]
async fn a_program_that_never_ends_is_stopped_by_its_processor_time() {
    let mut endless = jq("def f: f; f");
    endless.limits = limits(1_000, 256 << 20, 20_000);
    let error = Sandbox::new(config()).execute(endless).await.unwrap_err();
    assert!(matches!(error, SandboxError::CpuExhausted), "{error}");
    assert!(error.is_exhaustion());
}

#[tokio::test]
async fn a_program_that_never_ends_is_killed_by_the_clock() {
    let mut endless = jq("def f: f; f");
    endless.limits = limits(5_000, 256 << 20, 300);
    let error = Sandbox::new(config()).execute(endless).await.unwrap_err();
    assert!(matches!(error, SandboxError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_program_that_eats_memory_dies_of_it() {
    for hog in [
        "[range(1000000000)]",
        "[limit(40; recurse(. + .))] | length",
        "def f: 1 + f; f",
    ] {
        let mut hog = jq(hog);
        hog.limits = limits(5_000, 64 << 20, 15_000);
        let error = Sandbox::new(config()).execute(hog).await.unwrap_err();
        assert!(matches!(error, SandboxError::Died { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_claim_whose_work_cannot_be_run_again_gets_no_verdict() {
    let sandbox = Sandbox::new(config());
    let honest = claim(&produce(&sandbox, jq("sort")).await);
    let mut endless = jq("def f: f; f");
    endless.limits = limits(1_000, 256 << 20, 20_000);
    assert!(sandbox.check(endless, honest).await.is_err());
}

#[tokio::test]
async fn a_program_that_floods_its_output_is_killed() {
    let config = SandboxConfig {
        program: "/usr/bin/yes".into(),
        args: vec!["x".repeat(4096).into()],
        ..config()
    };
    let error = Sandbox::new(config).execute(jq(".")).await.unwrap_err();
    assert!(matches!(error, SandboxError::OutputFlood { .. }), "{error}");
}

fn script(body: &str) -> SandboxConfig {
    SandboxConfig {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), body.into()],
        ..config()
    }
}

#[tokio::test]
async fn a_child_without_a_usable_answer_is_an_error_of_its_own_kind() {
    let run = |config: SandboxConfig| async move {
        Sandbox::new(config).execute(jq(".")).await.unwrap_err()
    };
    assert!(matches!(
        run(script("exit 3")).await,
        SandboxError::Exited { code: Some(3) }
    ));
    assert!(matches!(
        run(script("echo hello")).await,
        SandboxError::Response(_)
    ));
    assert!(matches!(
        run(script("kill -SEGV $$")).await,
        SandboxError::Died { signal: 11 }
    ));
    let judged =
        r#"echo '{"judged":{"verdict":"accept","scoreBps":1,"reasons":[],"transcriptDigest":""}}'"#;
    assert!(matches!(
        run(script(judged)).await,
        SandboxError::WrongAnswer
    ));
    let missing = SandboxConfig {
        program: "/nonexistent".into(),
        ..config()
    };
    assert!(matches!(run(missing).await, SandboxError::Spawn(_)));
}

#[tokio::test]
async fn the_whole_process_group_dies_on_timeout_and_on_drop() {
    let directory = tempfile::tempdir().unwrap();
    for (name, dropped) in [("timeout", false), ("drop", true)] {
        let file = directory.path().join(name);
        // The grandchild would outlive a kill of its parent alone; it writes its number first.
        let body = format!(
            "sh -c 'echo $$ > {0}.tmp; mv {0}.tmp {0}; sleep 600' & wait",
            file.display()
        );
        let sandbox = Sandbox::new(script(&format!("PATH=/bin:/usr/bin; {body}")));
        let mut work = jq(".");
        work.limits = limits(1_000, 64 << 20, if dropped { 60_000 } else { 1_500 });
        let mut run = Box::pin(sandbox.execute(work));
        let grandchild = loop {
            tokio::select! {
                early = &mut run => panic!("{early:?}"),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
            if let Ok(number) = std::fs::read_to_string(&file) {
                break number.trim().to_owned();
            }
        };
        if dropped {
            drop(run);
        } else {
            assert!(matches!(run.await, Err(SandboxError::TimedOut { .. })));
        }
        let stat = PathBuf::from(format!("/proc/{grandchild}/stat"));
        let alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        tokio::time::timeout(Duration::from_secs(5), async {
            while alive() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("the grandchild outlived the {name}"));
    }
}

#[tokio::test]
async fn children_get_an_empty_environment() {
    // env(1) prints nothing, so the answer is empty and does not parse.
    let config = SandboxConfig {
        program: "/usr/bin/env".into(),
        args: Vec::new(),
        ..config()
    };
    match Sandbox::new(config).execute(jq(".")).await.unwrap_err() {
        SandboxError::Response(error) => assert!(error.is_eof(), "{error}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn more_requests_than_may_wait_are_refused_as_busy() {
    let config = SandboxConfig {
        max_children: 1,
        max_waiting: 1,
        ..script("sleep 5")
    };
    let sandbox = Sandbox::new(config);
    let mut work = jq(".");
    work.limits = limits(1_000, 64 << 20, 300);
    let runs: Vec<_> = (0..4).map(|_| sandbox.execute(work.clone())).collect();
    let outcomes = futures_join(runs).await;
    let busy = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(SandboxError::Busy)))
        .count();
    let timed_out = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(SandboxError::TimedOut { .. })))
        .count();
    assert_eq!((busy, timed_out), (2, 2));
}

/// Polls all futures in order until all are done.
async fn futures_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |cx| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(outputs.drain(..).flatten().collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn requests_that_are_too_long_or_unknown_never_start_a_child() {
    let sandbox = Sandbox::new(SandboxConfig {
        program: "/nonexistent".into(),
        ..config()
    });
    assert!(matches!(
        sandbox.execute(job("no.such@1", json!({}))).await,
        Err(SandboxError::UnknownCapability)
    ));
    let mut long = jq(".");
    long.blobs.push(Blob {
        name: "x".to_owned(),
        media_type: "x".to_owned(),
        bytes: vec![0; 25 << 20],
    });
    assert!(matches!(
        sandbox.execute(long).await,
        Err(SandboxError::RequestTooLong { .. })
    ));
}

#[tokio::test]
async fn an_allow_rule_that_does_not_parse_stops_the_run() {
    let sandbox = Sandbox::new(SandboxConfig {
        allow_hosts: vec!["10.0.0.0/99".to_owned()],
        ..config()
    });
    assert!(matches!(
        sandbox.execute(jq(".")).await,
        Err(SandboxError::Misuse(_))
    ));
}

/// The child alone, as any parent sees it.
fn raw(request: &str) -> Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_d402-exec"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_child_answers_requests_it_cannot_read_in_one_line_too() {
    assert_eq!(raw(""), json!({"misuse": "request"}));
    assert_eq!(raw("{}"), json!({"misuse": "request"}));
    let request = |op: &str, capability: &str| {
        format!(
            r#"{{"op":"{op}","capabilityId":"{capability}","input":{{"program":".a","data":{{"a":1}}}}}}"#
        )
    };
    assert_eq!(
        raw(&request("execute", "no.such@1")),
        json!({"misuse": "unknownCapability"})
    );
    assert_eq!(
        raw(&request("check", "json.transform@1")),
        json!({"misuse": "claim"})
    );
    let answer = raw(&request("execute", "json.transform@1"));
    assert_eq!(answer["ok"]["output"], json!({"results": [1]}));
    assert_eq!(answer["ok"]["units"], "1");
    assert!(
        answer["ok"]["canonicalDigest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
}

#[test]
fn limits_of_the_request_only_tighten_the_manifests() {
    // Memory far above the manifest is asked for; the manifest's 256 MiB still end the hog.
    let request = json!({
        "op": "execute", "capabilityId": "json.transform@1",
        "input": {"program": "[range(1000000000)]", "data": 1},
        "limits": {"cpuMs": 60_000, "memoryBytes": 64_u64 << 30, "timeoutMs": 60_000, "outputBytes": 8 << 20},
    });
    let mut child = Command::new(env!("CARGO_BIN_EXE_d402-exec"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.to_string().as_bytes())
        .unwrap();
    assert!(!child.wait_with_output().unwrap().status.success());
}
