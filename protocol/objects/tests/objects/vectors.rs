//! Reads the golden vector files back: they are what the generator prints, and every case holds.

use std::{fs, path::PathBuf};

use d402_objects::{
    AnySigned, Cid, SealedClaim, canonical, claim_commit, evidence_root, lease_set_root,
    signature::verify_strict, strict,
};

use crate::golden::{
    self,
    envelopes::EnvelopeCase,
    hashes::{CidCase, CommitCase, LeaseSetCase},
    json::{JcsCase, StrictCase},
    signatures::SignatureCase,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

fn read<T: serde::de::DeserializeOwned>(file: &str) -> Vec<T> {
    let text = fs::read(folder().join(file)).unwrap();
    let cases: Vec<T> = serde_json::from_slice(&text).unwrap();
    assert!(!cases.is_empty(), "{file} is empty");
    cases
}

#[test]
fn the_files_are_what_the_generator_prints() {
    for (file, text) in golden::files() {
        let on_disk = fs::read_to_string(folder().join(file)).unwrap();
        assert!(
            on_disk == text,
            "{file} is stale: cargo run -p d402-objects --example vectors"
        );
    }
}

#[test]
fn canonical_forms_match_the_vectors() {
    for case in read::<JcsCase>("jcs.json") {
        let printed = match (&case.input, &case.bits) {
            (Some(input), None) => {
                let value = strict::parse_value(input.as_bytes(), 1 << 16).unwrap();
                String::from_utf8(canonical::to_bytes(&value)).unwrap()
            }
            (None, Some(bits)) => {
                let bits = u64::from_str_radix(bits, 16).unwrap();
                canonical::ecmascript_number(f64::from_bits(bits))
            }
            (Some(_), Some(_)) | (None, None) => panic!("{}: input or bits", case.name),
        };
        assert_eq!(printed, case.canonical, "{}", case.name);
        let digest = Cid::of(printed.as_bytes()).to_hex32().to_string();
        assert_eq!(digest, case.sha256, "{}", case.name);
    }
}

#[test]
fn the_strict_decoder_matches_the_vectors() {
    let cases = read::<StrictCase>("strict-json.json");
    for verdict in [true, false] {
        assert!(cases.iter().any(|case| case.accept == verdict));
    }
    for case in cases {
        let bytes = match (&case.input, &case.input_hex) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(digits)) => hex::decode(digits).unwrap(),
            (Some(_), Some(_)) | (None, None) => panic!("{}: input or inputHex", case.name),
        };
        let limits = if case.floats {
            strict::Limits::value(case.max_bytes)
        } else {
            strict::Limits::object(case.max_bytes)
        };
        let verdict = strict::parse(&bytes, &limits);
        assert_eq!(verdict.is_ok(), case.accept, "{}: {verdict:?}", case.name);
    }
}

#[test]
fn cids_match_the_vectors() {
    for case in read::<CidCase>("cid.json") {
        let value = strict::parse_value(case.input.as_bytes(), 1 << 20).unwrap();
        assert_eq!(
            Cid::from_digest(canonical::digest(&value)),
            case.cid,
            "{}",
            case.name
        );
    }
}

#[test]
fn commits_match_the_vectors() {
    for case in read::<CommitCase>("commit.json") {
        assert_eq!(
            evidence_root(&case.evidence),
            case.evidence_root,
            "{}",
            case.name
        );
        let sealed = SealedClaim {
            task_id: case.task_id,
            lease_cid: case.lease_cid,
            worker: case.worker,
            output_cid: case.output_cid,
            evidence_root: case.evidence_root,
            salt: case.salt,
        };
        assert_eq!(claim_commit(&sealed), case.commit, "{}", case.name);
    }
}

#[test]
fn lease_sets_match_the_vectors() {
    for case in read::<LeaseSetCase>("lease-set.json") {
        let leases: Vec<_> = case.leases.iter().map(|l| (l.worker, l.price)).collect();
        assert_eq!(lease_set_root(&leases), case.root, "{}", case.name);
    }
}

#[test]
fn signatures_match_the_vectors() {
    let cases = read::<SignatureCase>("signatures.json");
    for case in &cases {
        let bytes = |text: &str| hex::decode(text).unwrap();
        let key: [u8; 32] = bytes(&case.public_key).try_into().unwrap();
        let signature: [u8; 64] = bytes(&case.signature).try_into().unwrap();
        let verdict = verify_strict(&key, &bytes(&case.message), &signature);
        assert_eq!(verdict.is_ok(), case.accept, "{}: {verdict:?}", case.name);
        assert!(
            case.lax || !case.accept,
            "{}: strict takes no more than lax",
            case.name
        );
    }
    // Each class of threat #26 is there, and where lax and strict differ it says so.
    let has = |class: &str, accept: bool, lax: bool| {
        assert!(
            cases
                .iter()
                .any(|c| c.class == class && c.accept == accept && c.lax == lax),
            "{class} accept {accept} lax {lax}",
        );
    };
    has("honest", true, true);
    has("forged", false, false);
    has("small-order A", false, true);
    has("small-order R", false, true);
    has("non-canonical A", false, true);
    has("non-canonical R", false, false);
    has("S >= L", false, false);
    has("mixed torsion", true, true);
    has("mixed torsion", false, true);
    has("mixed torsion", false, false);
}

#[test]
fn envelopes_match_the_vectors() {
    let cases = read::<EnvelopeCase>("envelope.json");
    for case in &cases {
        let object = AnySigned::parse(case.input.as_bytes());
        assert_eq!(object.is_ok(), case.accept, "{}: {object:?}", case.name);
        let Ok(object) = object else { continue };
        assert_eq!(
            Some(object.kind().name()),
            case.kind.as_deref(),
            "{}",
            case.name
        );
        assert_eq!(Some(object.cid()), case.cid, "{}", case.name);
        assert_eq!(Some(object.signer()), case.signer, "{}", case.name);
    }
    let accepted = cases.iter().filter(|case| case.accept).count();
    assert!(accepted >= 22 && accepted < cases.len());
}
