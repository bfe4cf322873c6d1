//! The golden vectors of this crate, as the files hold them. The generator prints them, the tests
//! compare them with the files and read the files back; the TypeScript implementation reads the
//! same files.

pub(crate) mod envelopes;
pub(crate) mod hashes;
pub(crate) mod json;
pub(crate) mod signatures;

/// Name and text of every file.
pub(crate) fn files() -> Vec<(&'static str, String)> {
    vec![
        ("cid.json", print(&hashes::cids())),
        ("commit.json", print(&hashes::commits())),
        ("envelope.json", print(&envelopes::cases())),
        ("jcs.json", print(&json::jcs())),
        ("lease-set.json", print(&hashes::lease_sets())),
        ("signatures.json", print(&signatures::cases())),
        ("strict-json.json", print(&json::strict())),
    ]
}

/// A list with one case a line, so that a changed case is a changed line.
fn print<T: serde::Serialize>(cases: &[T]) -> String {
    let lines: Vec<String> = cases
        .iter()
        .map(|case| serde_json::to_string(case).unwrap())
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}
