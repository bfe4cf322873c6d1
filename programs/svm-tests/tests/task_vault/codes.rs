//! Every error code is met by a test, and the interface description is the program's.

use svm_tests::idl::IDL;
use svm_tests::program::{self, call};

/// Codes no input reaches, and why.
const UNREACHABLE: [(&str, &str); 7] = [
    (
        "WrongTerms",
        "the address of the terms is compared first: WrongVault",
    ),
    ("Broken", "an invariant of the ledger"),
    ("RateAboveOne", "rates above 20 % are refused at open"),
    ("AmountTooLarge", "amounts on this chain have 64 bits"),
    ("BadSignature", "the precompile fails the transaction first"),
    (
        "OwnMint",
        "a sweep of the vault's own mint is the plain sweep",
    ),
    ("NotOpen", "a vault without a state is NotAVault"),
];

const SOURCES: [&str; 11] = [
    include_str!("approve.rs"),
    include_str!("close.rs"),
    include_str!("credits.rs"),
    include_str!("lifecycle.rs"),
    include_str!("open.rs"),
    include_str!("payable.rs"),
    include_str!("precompile.rs"),
    include_str!("publish_set.rs"),
    include_str!("settle.rs"),
    include_str!("settle_accounts.rs"),
    include_str!("sweep.rs"),
];

#[test]
fn every_error_code_has_a_test_that_meets_it() {
    let untested: Vec<&str> = IDL
        .errors
        .iter()
        .map(|error| error.name.as_str())
        .filter(|name| !UNREACHABLE.iter().any(|(known, _)| known == name))
        .filter(|name| {
            let quoted = format!("\"{name}\"");
            !SOURCES.iter().any(|source| source.contains(&quoted))
        })
        .collect();
    assert!(untested.is_empty(), "no test meets {untested:?}");
}

#[test]
fn codes_stay_in_the_range_of_their_topic() {
    for error in &IDL.errors {
        assert!((6_000..6_600).contains(&error.code), "{}", error.name);
    }
    let mut codes: Vec<u32> = IDL.errors.iter().map(|error| error.code).collect();
    codes.dedup();
    assert_eq!(codes.len(), IDL.errors.len(), "a code is used twice");
}

#[test]
fn the_interface_description_names_what_the_tests_send() {
    assert_eq!(IDL.address, program::ID.to_string());
    for instruction in &IDL.instructions {
        let sent = call(&instruction.name, &[], Vec::new());
        assert_eq!(sent.data, instruction.discriminator, "{}", instruction.name);
    }
    assert_eq!(IDL.instructions.len(), 14);
}
