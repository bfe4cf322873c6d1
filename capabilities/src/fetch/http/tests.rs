#![allow(clippy::arithmetic_side_effects, reason = "test servers count bytes")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fetch::SystemResolver;

/// Serves raw responses by path on a loopback port until the process ends.
fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0; 1];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
                answer(&path, &mut stream);
            });
        }
    });
    address
}

fn respond(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = write!(
        stream,
        "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(body);
}

fn fetcher(rule: &str, resolver: impl Resolver + 'static) -> HttpFetcher {
    HttpFetcher::new(Guard::new(vec![rule.parse().unwrap()]), Box::new(resolver)).unwrap()
}

fn request(url: &str) -> FetchRequest {
    FetchRequest {
        url: Url::parse(url).unwrap(),
        timeout: Duration::from_secs(5),
        max_bytes: 100_000,
    }
}

fn fetch(address: SocketAddr, path: &str) -> Result<Fetched, RefusalCode> {
    fetcher(&address.to_string(), SystemResolver)
        .fetch(&request(&format!("http://{address}{path}")))
        .map_err(|refusal| refusal.code)
}

#[test]
fn a_page_comes_with_its_final_address_and_metadata() {
    let address = serve(|path, stream| match path {
        "/a" => respond(stream, "302 Found\r\nlocation: /dir/b#part", b""),
        "/dir/b" => respond(stream, "301 Moved\r\nlocation: c?x=1", b""),
        "/dir/c?x=1" => respond(
            stream,
            "200 OK\r\ncontent-type: Text/HTML; Charset=\"ISO-8859-1\"\r\netag: \"7\"\r\nset-cookie: a=b",
            b"<p>caf\xe9",
        ),
        _ => respond(stream, "404 Not Found", b""),
    });
    let page = fetch(address, "/a").unwrap();
    assert_eq!(
        page.final_url.as_str(),
        format!("http://{address}/dir/c?x=1")
    );
    assert_eq!(
        (
            page.status,
            page.media_type.as_str(),
            page.charset.as_deref()
        ),
        (200, "text/html", Some("iso-8859-1"))
    );
    assert_eq!(page.headers.keys().collect::<Vec<_>>(), ["content-type"]);
    assert_eq!(page.body, b"<p>caf\xe9");
}

#[test]
fn statuses_and_types_that_are_no_page_are_refused() {
    let address = serve(|path, stream| {
        let head = path
            .trim_start_matches('/')
            .replace('_', " ")
            .replace('|', "\r\n");
        respond(stream, &head, b"<p>x");
    });
    for (path, code) in [
        ("/200_OK", RefusalCode::ContentType),
        (
            "/200_OK|content-type:application/pdf",
            RefusalCode::ContentType,
        ),
        (
            "/200_OK|content-type:text/html|cf-mitigated:challenge",
            RefusalCode::Captcha,
        ),
        ("/206_Part|content-type:text/html", RefusalCode::HttpStatus),
        ("/302_Found", RefusalCode::HttpStatus),
        ("/304_Same|content-type:text/html", RefusalCode::HttpStatus),
        ("/401_Who", RefusalCode::Paywall),
        ("/402_Pay", RefusalCode::Paywall),
        ("/403_No|content-type:text/html", RefusalCode::Blocked),
        ("/404_Gone", RefusalCode::HttpStatus),
        ("/429_Slow", RefusalCode::Unavailable),
        ("/503_Later", RefusalCode::Unavailable),
        ("/503_Later|cf-mitigated:challenge", RefusalCode::Captcha),
    ] {
        assert_eq!(
            fetch(address, path).map(|page| page.status),
            Err(code),
            "{path}"
        );
    }
}

#[test]
fn a_redirect_to_a_private_address_is_refused_before_it_is_asked() {
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let inside = serve(move |_, stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        respond(stream, "200 OK\r\ncontent-type: text/html", b"secret");
    });
    let outside = serve(move |path, stream| {
        let to = match path {
            "/port" => format!("http://{inside}/"),
            "/name" => format!("http://localhost:{}/", inside.port()),
            "/meta" => "http://169.254.169.254/latest/meta-data/".to_owned(),
            _ => "file:///etc/passwd".to_owned(),
        };
        respond(stream, &format!("302 Found\r\nlocation: {to}"), b"");
    });
    for path in ["/port", "/name", "/meta", "/file"] {
        assert_eq!(
            fetch(outside, path).map(|page| page.status),
            Err(RefusalCode::Ssrf),
            "{path}"
        );
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[test]
fn redirects_stop_after_five() {
    let address = serve(|path, stream| {
        let hop: u32 = path.trim_start_matches('/').parse().unwrap();
        if hop == 0 {
            respond(stream, "200 OK\r\ncontent-type: text/html", b"<p>end");
        } else {
            respond(stream, &format!("307 On\r\nlocation: /{}", hop - 1), b"");
        }
    });
    assert!(fetch(address, "/5").is_ok());
    assert_eq!(
        fetch(address, "/6").map(|page| page.status),
        Err(RefusalCode::TooManyRedirects)
    );
}

/// Public at the first question, private from the second on.
struct Rebinding {
    first: IpAddr,
    asked: Arc<AtomicUsize>,
}

impl Resolver for Rebinding {
    fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(vec![if asked == 0 {
            self.first
        } else {
            "127.0.0.1".parse().unwrap()
        }])
    }
}

#[test]
fn a_name_is_resolved_once_and_the_connection_is_pinned_to_that_answer() {
    // 127.0.0.9 stands for the public address (the operator allows the block), 127.0.0.1 for the
    // private one. If the connection asked DNS again, it would reach the listener on 127.0.0.1.
    let listener = TcpListener::bind("127.0.0.9:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer);
            respond(
                &mut stream,
                "200 OK\r\ncontent-type: text/html",
                b"<p>pinned",
            );
        }
    });
    let asked = Arc::new(AtomicUsize::new(0));
    let resolver = Rebinding {
        first: "127.0.0.9".parse().unwrap(),
        asked: Arc::clone(&asked),
    };
    let fetcher = fetcher("127.0.0.9/32", resolver);
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(fetcher.fetch(&request(&url)).unwrap().body, b"<p>pinned");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The second fetch gets the private answer and is refused.
    assert_eq!(
        fetcher.fetch(&request(&url)).unwrap_err().code,
        RefusalCode::Ssrf
    );
}

#[test]
fn a_body_above_the_limit_is_refused_with_and_without_a_length() {
    let address = serve(|path, stream| {
        if path == "/chunked" {
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            while write!(stream, "1000\r\n{}\r\n", "x".repeat(0x1000)).is_ok() {}
        } else {
            let size: usize = path.trim_start_matches('/').parse().unwrap();
            respond(
                stream,
                "200 OK\r\ncontent-type: text/html",
                &vec![b'x'; size],
            );
        }
    });
    assert_eq!(fetch(address, "/100000").unwrap().body.len(), 100_000);
    assert_eq!(
        fetch(address, "/100001").map(|page| page.status),
        Err(RefusalCode::TooLarge)
    );
    assert_eq!(
        fetch(address, "/chunked").map(|page| page.status),
        Err(RefusalCode::TooLarge)
    );
}

#[test]
fn a_gzip_bomb_is_cut_at_the_limit() {
    // 64 MiB of zeros as a stored table of deflate blocks: tiny on the wire, huge when opened.
    let bomb = gzip_of_zeros();
    assert!(bomb.len() < 100_000);
    let address = serve(move |_, stream| {
        respond(
            stream,
            "200 OK\r\ncontent-type: text/html\r\ncontent-encoding: gzip",
            &bomb,
        );
    });
    assert_eq!(
        fetch(address, "/").map(|page| page.status),
        Err(RefusalCode::TooLarge)
    );
}

/// A gzip member whose deflate stream repeats one zero byte many times: one literal, then matches of
/// length 258 at distance 1, in fixed Huffman codes (RFC 1951 §3.2.6).
fn gzip_of_zeros() -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false]; // final block, fixed codes
    let code = |bits: &mut Vec<bool>, value: u32, length: u32| {
        bits.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
    };
    code(&mut bits, 0x30, 8); // literal 0
    for _ in 0..40_000 {
        code(&mut bits, 0b1100_0101, 8); // symbol 285: length 258
        code(&mut bits, 0, 5); // distance 1
    }
    code(&mut bits, 0, 7); // end of block
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(bits.chunks(8).map(|byte| {
        byte.iter()
            .rev()
            .fold(0, |sum, bit| sum << 1 | u8::from(*bit))
    }));
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn a_slow_body_runs_into_the_time_of_the_request() {
    let address = serve(|_, stream| {
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 1000\r\n\r\n"
        );
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let fetcher = fetcher(&address.to_string(), SystemResolver);
    let mut slow = request(&format!("http://{address}/"));
    slow.timeout = Duration::from_millis(300);
    assert_eq!(fetcher.fetch(&slow).unwrap_err().code, RefusalCode::Timeout);
}

#[test]
fn a_connection_that_fails_is_a_network_refusal() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(
        fetch(address, "/").map(|page| page.status),
        Err(RefusalCode::Network)
    );
}
