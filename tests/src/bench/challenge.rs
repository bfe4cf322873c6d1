//! Unpaid requests: how many 402s a gateway writes per second of one core.
//!
//! The gateway is a process of its own with its real router on a real socket, one worker thread, a directory on
//! SQLite and no rate limits. Clients are threads of this process with one connection each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use d402_gateway::http::{HttpConfig, HttpState, Limits, Policy, router};
use d402_node::clock::SystemClock;
use d402_settlement::market::testkit::wallet;
use serde_json::json;

use super::Plan;
use super::cast::{CAPABILITY, Cast, input};
use super::child::{Actor, parent_gone, say};
use super::house::{House, publish};
use super::measure::{Latencies, cpu_of, instant, micros_each, per_second};
use super::rail::Purse;
use super::report::{Row, micros};
use super::stage::{Stage, Wings};

/// Role of the child.
pub(super) const ROLE: &str = "challenges";
/// Connections.
const CLIENTS: u32 = 16;
/// Requests per second and core aimed at.
const GOAL: u64 = 20_000;
/// p99 at half load aimed at.
const GOAL_P99_US: u64 = 2_000;
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// In the child: a gateway until the parent is gone.
pub(super) async fn serve(home: &Path) {
    let cast = Cast::new(30_000);
    let stage = Stage::live(&Arc::new(Cast::new(30_000)));
    let clock = Arc::new(SystemClock);
    let outside = (
        Purse::new(clock.clone()) as _,
        Arc::new(Wings(stage)) as _,
        clock as _,
    );
    let house = House::open(home, &cast, outside).await;
    publish(house.store.directory().as_ref(), &cast).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut config = HttpConfig::new(Policy::default(), [7; 32], format!("http://{address}"));
    config.limits = Limits {
        per_address_per_second: 0,
        per_second: 0,
        ..Limits::default()
    };
    let app = router(HttpState::new(house.engine.clone(), config));
    say(&json!({ "address": address.to_string() }));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(parent_gone())
        .await
        .expect("a server");
    house.close().await;
}

/// What one phase of load showed.
struct Load {
    latencies: Latencies,
    time: Duration,
    cpu: Duration,
}

/// Measures.
pub(super) fn run(plan: &Plan) -> Vec<Row> {
    let home = tempfile::tempdir().expect("a folder");
    let mut gateway = Actor::start(ROLE, home.path());
    let told = gateway.says();
    let address: SocketAddr = told["address"].as_str().unwrap().parse().unwrap();
    // Warm caches and connections are what a gateway has all day.
    load(&gateway, address, plan.load / 4, None);
    let full = load(&gateway, address, plan.load, None);
    let rate = per_second(full.latencies.len(), full.time);
    let half = load(&gateway, address, plan.load, Some(rate / 2));
    let per_core = per_second(full.latencies.len(), full.cpu);
    let mut rows = vec![
        Row::new(
            "unpaid 402, full load",
            "≥ 20000 req/s per core",
            format!("{per_core} req/s per core"),
            per_core >= GOAL,
        )
        .note(format!(
            "{} requests in {} ms, {rate} req/s while clients and gateway shared the machine; per core = requests / CPU seconds of the gateway process, kernel time included",
            full.latencies.len(),
            full.time.as_millis(),
        )),
        Row::new(
            "unpaid 402, half load",
            "p99 < 2 ms",
            format!("p99 {}", micros(Some(half.latencies.percentile_us(99)))),
            half.latencies.percentile_us(99) < GOAL_P99_US,
        )
        .note(format!(
            "{} req/s asked for and {} answered, sent at fixed times; latency counts from the time a request was due",
            rate / 2,
            per_second(half.latencies.len(), half.time),
        )),
    ];
    for (row, load) in rows.iter_mut().zip([&full, &half]) {
        row.cpu_us = Some(micros_each(load.cpu, load.latencies.len()));
        row.p50_us = Some(load.latencies.percentile_us(50));
        row.p99_us = Some(load.latencies.percentile_us(99));
    }
    rows
}

/// All clients for `time`: as fast as they are answered, or `rate` requests per second together.
fn load(gateway: &Actor, address: SocketAddr, time: Duration, rate: Option<u64>) -> Load {
    let cpu = cpu_of(gateway.pid());
    let start = instant();
    let every =
        rate.map(|rate| Duration::from_micros(1_000_000 * u64::from(CLIENTS) / rate.max(1)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let first = start + every.unwrap_or_default() * number / CLIENTS;
            std::thread::spawn(move || client(address, first, start + time, every))
        })
        .collect();
    let latencies = clients
        .into_iter()
        .flat_map(|client| client.join().expect("a client"));
    let latencies = Latencies::of(latencies);
    Load {
        latencies,
        time: start.elapsed(),
        cpu: cpu_of(gateway.pid()) - cpu,
    }
}

/// One connection; the latency of each request, from the moment it was due.
fn client(
    address: SocketAddr,
    first: Instant,
    until: Instant,
    every: Option<Duration>,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let request = request(address);
    let mut latencies = Vec::new();
    let mut buffer = Vec::new();
    let mut due = first;
    loop {
        if every.is_some() {
            std::thread::sleep(due.saturating_duration_since(instant()));
        } else {
            due = instant();
        }
        if due >= until {
            return latencies;
        }
        stream.write_all(&request).expect("a request");
        read_402(&mut stream, &mut buffer);
        latencies.push(instant().saturating_duration_since(due));
        due += every.unwrap_or_default();
    }
}

fn request(address: SocketAddr) -> Vec<u8> {
    let body = json!({
        "capabilityId": CAPABILITY,
        "input": input(7),
        "refundTo": { "d402:simulated": wallet("refund", 0) },
    })
    .to_string();
    format!(
        "POST /tasks HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

/// Reads one whole answer, which must be an offer.
fn read_402(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    let mut chunk = [0; 16 * 1024];
    let mut whole = None;
    while whole.is_none_or(|whole| buffer.len() < whole) {
        let read = stream.read(&mut chunk).expect("an answer");
        assert!(read > 0, "the gateway closed the connection");
        buffer.extend_from_slice(&chunk[..read]);
        if whole.is_none() {
            whole = whole_length(buffer);
        }
    }
    assert!(buffer.starts_with(b"HTTP/1.1 402 "), "no offer");
}

/// Bytes of head and body, once the head is there.
fn whole_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).expect("a head in ASCII");
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .expect("a length");
    Some(head + length.1.trim().parse::<usize>().expect("a number"))
}
