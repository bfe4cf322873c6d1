//! A bounded run of every fuzz target: a corpus of valid inputs, cut, spliced and mutated.

use d402_objects::{AnySigned, fuzz};

use crate::samples;

/// Small, seeded and reproducible; a failing input is printed by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let mut corpus: Vec<Vec<u8>> = samples::all()
        .iter()
        .map(|object| object.as_bytes().to_vec())
        .collect();
    corpus.extend(samples::all().iter().map(payload_of));
    corpus.push(samples::signed_receipt().to_bytes());
    corpus.push(br#"{"a":[1.5,-2,"\u20ac\ud83d\ude00",{"":null}],"b":true}"#.to_vec());
    corpus.push("[".repeat(40).into_bytes());
    corpus
}

fn payload_of(object: &AnySigned) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_slice(object.as_bytes()).unwrap();
    d402_objects::canonical::to_bytes(&value["payload"])
}

const TOKENS: &[&[u8]] = &[
    b"\"objectVersion\":1,",
    b"-0",
    b"1e999",
    b"9007199254740992",
    b"\\ud800",
    b"null",
    b"{}",
    b"[[[[[[[[",
    b"\xff",
    b"\xef\xbb\xbf",
    b",",
    b"\"",
    b"ed25519:",
    b"sha256:",
    b"0.1",
    b"  ",
];

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
            1 => bytes.truncate(at),
            2 => {
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
            3 => {
                let other = &corpus[random.below(corpus.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len())..]);
            }
            _ => {
                let end = (at + random.below(12)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

#[test]
fn every_target_accepts_something_of_the_corpus() {
    let corpus = corpus();
    for target in fuzz::TARGETS {
        assert!(
            corpus.iter().any(|input| (target.run)(input)),
            "{} never got past its first check",
            target.name,
        );
    }
}

#[test]
fn each_payload_decoder_accepts_its_own_kind() {
    for object in samples::all() {
        assert!(fuzz::target_of(object.kind())(&payload_of(&object)));
    }
}

#[test]
fn no_mutated_input_makes_a_decoder_panic() {
    let corpus = corpus();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0usize;
    for _ in 0..2_000 {
        let input = mutate(&mut random, &corpus);
        for target in fuzz::TARGETS {
            accepted += usize::from((target.run)(&input));
        }
    }
    assert!(accepted > 0, "mutations this harsh test only the tokenizer");
}
