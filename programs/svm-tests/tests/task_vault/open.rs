//! `open` and `open_funded`.

use d402_settlement::ledger::{VaultAccount, VaultSite};
use d402_settlement::{Bps, Domain, Key32, OnSilence, SetHash, Terms, UnixSeconds};
use solana_address::{Address, address};
use solana_signer::Signer;
use svm_tests::idl;
use svm_tests::program::{self, SYSTEM, address_of, open as at, open_funded};
use svm_tests::scene::*;
use svm_tests::token::{
    NATIVE, RENT_ATA, TOKEN, TOKEN_2022, account_bytes, mint_2022_bytes, mint_bytes,
};

fn ready() -> Scene {
    let mut scene = Scene::new();
    scene.publish();
    scene
}

#[test]
fn open_stores_the_ledgers_bytes_and_m5b_publishes_all_terms() {
    let mut scene = ready();
    let done = accepted(scene.open());
    let data = scene.chain.data(&scene.vault());
    assert_eq!(data.len(), 272);
    assert_eq!(scene.state().encode_account().unwrap().as_slice(), data);
    let VaultAccount::Open(open) = scene.state().account else {
        panic!("not open");
    };
    assert_eq!(open.on_silence, OnSilence::Refund);
    assert_eq!(open.refund_to, scene.terms.refund_to);
    let [event] = done.events.as_slice() else {
        panic!("{} events", done.events.len());
    };
    assert_eq!(idl::event(event), "VaultOpened");
    assert_eq!(event[8..40], scene.vault().to_bytes());
    assert_eq!(event[72..], scene.terms.encode(), "the spec's 304 bytes");
}

#[test]
fn open_is_idempotent_so_a_front_run_open_blocks_nobody() {
    let mut scene = ready();
    let front_run = program::open(&scene.place(), stranger().pubkey());
    accepted(scene.chain.send(&[front_run], &[&stranger()]));
    let before = scene.chain.data(&scene.vault());
    let done = accepted(scene.open());
    assert!(done.events.is_empty(), "nothing changed, so no event");
    assert_eq!(scene.chain.data(&scene.vault()), before);

    let source = scene.tokens_of(&buyer().pubkey());
    let own = open_funded(
        &scene.place(),
        buyer().pubkey(),
        source,
        buyer().pubkey(),
        700,
    );
    let done = accepted(scene.chain.send(&[own], &[&buyer()]));
    assert_eq!(idl::event(&done.events[0]), "VaultFunded");
    assert_eq!(scene.vault_balance(), 700);
}

#[test]
fn threat_72_lamports_and_accounts_that_are_there_before_block_nothing() {
    let mut scene = ready();
    let place = scene.place();
    scene.chain.set(place.vault, SYSTEM, 1, Vec::new());
    scene.chain.set(place.tokens, SYSTEM, 1, Vec::new());
    accepted(scene.open());
    assert_eq!(scene.chain.lamports(&place.vault), 2_784_000);
    assert_eq!(scene.chain.lamports(&place.tokens), RENT_ATA);

    // More than the rent, and a token account somebody made, with money in it.
    let mut scene = ready();
    scene.chain.set(place.vault, SYSTEM, 9_000_000, Vec::new());
    let data = account_bytes(&scene.mint, &place.vault, 55);
    scene.chain.set(place.tokens, TOKEN, RENT_ATA, data);
    accepted(scene.open());
    assert_eq!(scene.vault_balance(), 55);
    assert_eq!(scene.chain.lamports(&place.vault), 9_000_000);
}

#[test]
fn terms_that_can_never_settle_are_refused_each_with_its_code() {
    type Change = fn(&mut Terms);
    let changes: [(&str, Change); 18] = [
        ("TermsVersion", |terms| terms.version = 2),
        ("TermsReserved", |terms| terms.reserved = 1),
        ("TermsOnSilence", |terms| terms.on_silence = 2),
        ("TermsCommissionBps", |terms| {
            terms.commission_bps = Bps(2_001)
        }),
        ("TermsGatewayFeeBps", |terms| {
            terms.gateway_fee_bps = Bps(2_001)
        }),
        ("TermsCommissionPayee", |terms| {
            terms.commission_payee = Key32::ZERO
        }),
        ("TermsGatewayFeePayee", |terms| {
            terms.gateway_fee_bps = Bps(0)
        }),
        ("TermsNoBudget", |terms| {
            (terms.budget, terms.validator_fee_cap) = (0, 0);
        }),
        ("TermsValidatorFeeCap", |terms| {
            terms.validator_fee_cap = 5_001
        }),
        ("TermsIssuedBeforeEpoch", |terms| {
            terms.issued_at = UnixSeconds(-1)
        }),
        ("TermsIssuedInTheFuture", |terms| {
            terms.issued_at = UnixSeconds(ISSUED + 601);
            terms.settle_by = UnixSeconds(ISSUED + 700);
            terms.refund_after = UnixSeconds(ISSUED + 1_600);
        }),
        ("TermsSettleBy", |terms| terms.settle_by = terms.issued_at),
        ("TermsGraceTooShort", |terms| {
            terms.refund_after = UnixSeconds(SETTLE_BY + 599);
        }),
        ("TermsLiveTooLong", |terms| {
            terms.refund_after = UnixSeconds(ISSUED + 30 * 86_400 + 1);
        }),
        ("TermsNoMint", |terms| terms.mint = Key32::ZERO),
        ("TermsNoRefundTo", |terms| terms.refund_to = Key32::ZERO),
        ("TermsNoValidatorSet", |terms| {
            terms.validator_set = SetHash::ZERO
        }),
        ("TermsRefundToForbidden", |terms| {
            terms.refund_to = terms.mint
        }),
    ];
    for (expected, change) in changes {
        let mut scene = Scene::with(3, 5, change);
        scene.publish();
        if expected == "TermsNoMint" {
            // Refused even before: no account is a mint at the zero address.
            let mut place = scene.place();
            place.mint = Address::default();
            let instruction = program::open(&place, payer().pubkey());
            refused(scene.send(instruction), "WrongTokenProgram");
        } else {
            refused(scene.open(), expected);
        }
    }
}

#[test]
fn threat_44_terms_of_another_cluster_or_program_have_another_vault() {
    let mainnet = address!("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d");
    let others = [
        Domain {
            genesis: mainnet.to_bytes(),
            ..DOMAIN
        },
        Domain {
            program: Key32([7; 32]),
            ..DOMAIN
        },
    ];
    for other in others {
        let mut scene = ready();
        let mut instruction = program::open(&scene.place(), payer().pubkey());
        let terms_hash = scene.terms.hash(&other);
        // At this program, but named by the hash of the other domain.
        let seeds: [&[u8]; 2] = [b"vault", terms_hash.as_bytes()];
        let (vault, _) = Address::find_program_address(&seeds, &program::ID);
        instruction.accounts[at::VAULT].pubkey = vault;
        instruction.accounts[at::TOKENS].pubkey = scene.tokens_of(&vault);
        refused(scene.send(instruction), "WrongVault");
        // At the address the other domain gives.
        let mut instruction = program::open(&scene.place(), payer().pubkey());
        let vault = address_of(&VaultSite::of(&other, &scene.terms).unwrap().vault);
        instruction.accounts[at::VAULT].pubkey = vault;
        refused(scene.send(instruction), "WrongVault");
    }
}

#[test]
fn threat_59_only_mints_that_cannot_take_tax_hold_or_block_money_are_opened() {
    // Extension types and value lengths of Token-2022.
    let allowed: [(u16, usize); 4] = [(18, 64), (19, 80), (20, 64), (22, 64)];
    let refused_types: [(u16, usize); 13] = [
        (1, 108),  // transfer fee
        (3, 32),   // close authority
        (4, 65),   // confidential transfer
        (6, 1),    // default account state
        (9, 0),    // non-transferable
        (10, 52),  // interest bearing
        (12, 32),  // permanent delegate
        (14, 64),  // transfer hook
        (16, 129), // confidential transfer fee
        (21, 80),  // token group
        (25, 56),  // scaled amount
        (26, 33),  // pausable
        (999, 0),  // not known yet
    ];
    let attempt = |owner: Address, data: Vec<u8>| {
        let mut scene = ready();
        scene.token_program = owner;
        scene.chain.set(scene.mint, owner, 9_000_000, data);
        scene.open()
    };
    let extended = |kind, len| mint_2022_bytes(&[(18, vec![0; 64]), (kind, vec![0; len])]);
    for (kind, len) in allowed {
        accepted(attempt(
            TOKEN_2022,
            mint_2022_bytes(&[(kind, vec![0; len])]),
        ));
    }
    for (kind, len) in refused_types {
        refused(attempt(TOKEN_2022, extended(kind, len)), "MintNotAllowed");
    }
    accepted(attempt(TOKEN_2022, mint_bytes(6)));
    // Not a well-formed list, a token account, an uninitialised mint, an odd length.
    let mut torn = mint_2022_bytes(&[(18, vec![0; 64])]);
    torn.truncate(200);
    refused(attempt(TOKEN_2022, torn), "NotAMint");
    let mut account = mint_2022_bytes(&[]);
    account[165] = 2;
    refused(attempt(TOKEN_2022, account), "NotAMint");
    let mut uninitialised = mint_bytes(6);
    uninitialised[45] = 0;
    refused(attempt(TOKEN, uninitialised), "NotAMint");
    refused(attempt(TOKEN, vec![1; 165]), "NotAMint");
    refused(attempt(SYSTEM, mint_bytes(6)), "WrongTokenProgram");
}

#[test]
fn threat_59_wrapped_sol_is_no_money_for_a_vault() {
    let mut scene = Scene::with(3, 5, |terms| terms.mint = program::key(&NATIVE));
    scene.mint = NATIVE;
    scene.chain.set(NATIVE, TOKEN, 1_461_600, mint_bytes(9));
    scene.publish();
    refused(scene.open(), "MintNotAllowed");
}

#[test]
fn a_set_that_is_not_published_or_not_the_terms_is_refused() {
    let mut scene = Scene::new();
    refused(scene.open(), "SetNotPublished");
    scene.publish();
    let (other, _) = validators(4, 5);
    let publish = program::publish_set(payer().pubkey(), &other);
    scene.send(publish).unwrap();
    let mut instruction = program::open(&scene.place(), payer().pubkey());
    instruction.accounts[at::SET].pubkey = program::set_address(&other);
    refused(scene.send(instruction), "SetNotPublished");

    // The right bytes, but of another program.
    let forged = Address::new_from_array([0x77; 32]);
    let data = scene.chain.data(&program::set_address(&scene.set));
    scene.chain.set(forged, SYSTEM, 9_000_000, data);
    let mut instruction = program::open(&scene.place(), payer().pubkey());
    instruction.accounts[at::SET].pubkey = forged;
    refused(scene.send(instruction), "SetNotPublished");
}

#[test]
fn open_is_refused_from_refund_after_and_with_money_from_settle_by() {
    let mut scene = ready();
    let source = scene.tokens_of(&buyer().pubkey());
    let funded = |scene: &mut Scene| {
        let place = scene.place();
        let who = buyer().pubkey();
        let instruction = open_funded(&place, who, source, who, 10);
        scene.chain.send(&[instruction], &[&buyer()])
    };
    scene.chain.at(SETTLE_BY);
    refused(funded(&mut scene), "TooLate");
    scene.chain.at(REFUND_AFTER);
    refused(scene.open(), "TooLate");
    scene.chain.at(REFUND_AFTER - 1);
    accepted(scene.open());
    scene.chain.at(SETTLE_BY - 1);
    accepted(funded(&mut scene));
}

#[test]
fn a_settled_vault_is_not_opened_again() {
    let mut scene = Scene::funded(10_000);
    accepted(scene.settle(&usual()));
    refused(scene.open(), "AlreadySettled");
}

#[test]
fn every_wrong_account_of_open_is_refused() {
    let scene = ready();
    let other = Scene::with(3, 5, |terms| terms.salt = [1; 32]).place();
    let mint = Address::new_from_array([0x44; 32]);
    for (index, account, expected) in [
        (at::VAULT, other.vault, Some("WrongVault")),
        (at::VAULT, buyer().pubkey(), Some("WrongVault")),
        (at::TOKENS, other.tokens, Some("NotCanonical")),
        (
            at::TOKENS,
            scene.tokens_of(&buyer().pubkey()),
            Some("NotCanonical"),
        ),
        (at::MINT, mint, Some("WrongMint")),
        (at::TOKEN_PROGRAM, TOKEN_2022, Some("WrongTokenProgram")),
        (at::TOKEN_PROGRAM, SYSTEM, Some("WrongTokenProgram")),
        (at::ASSOCIATED, TOKEN, None),
        (at::SYSTEM, TOKEN, None),
    ] {
        let mut scene = scene.clone();
        scene.chain.set(mint, TOKEN, 1_461_600, mint_bytes(6));
        let mut instruction = program::open(&scene.place(), payer().pubkey());
        instruction.accounts[index].pubkey = account;
        match expected {
            Some(code) => refused(scene.send(instruction), code),
            None => failed(scene.send(instruction)),
        }
    }
}

#[test]
fn money_comes_only_out_of_the_signers_own_account() {
    let mut scene = ready();
    let place = scene.place();
    let (who, source) = (buyer().pubkey(), scene.tokens_of(&buyer().pubkey()));
    // The stranger signs for the buyer's account, even as its delegate.
    scene.chain.patch(&source, |account| {
        account.data[72..76].copy_from_slice(&1u32.to_le_bytes());
        account.data[76..108].copy_from_slice(stranger().pubkey().as_ref());
        account.data[121..129].copy_from_slice(&u64::MAX.to_le_bytes());
    });
    let theft = open_funded(&place, stranger().pubkey(), source, stranger().pubkey(), 10);
    refused(scene.chain.send(&[theft], &[&stranger()]), "WrongSource");
    let zero = open_funded(&place, who, source, who, 0);
    refused(scene.chain.send(&[zero], &[&buyer()]), "ZeroAmount");
    let nowhere = open_funded(&place, who, who, who, 5);
    refused(
        scene.chain.send(&[nowhere], &[&buyer()]),
        "NotATokenAccount",
    );
    let too_much = open_funded(&place, who, source, who, 2_000_000_000);
    failed(scene.chain.send(&[too_much], &[&buyer()]));
    let full = open_funded(&place, who, source, who, u64::MAX);
    let mut rich = scene.clone();
    accepted(rich.open());
    accepted(rich.deposit(1));
    refused(rich.chain.send(&[full], &[&buyer()]), "TooMuchMoney");

    // A sponsor pays the rent, the buyer the money.
    let sponsored = open_funded(&place, payer().pubkey(), source, who, 10_000);
    let done = accepted(scene.chain.send(&[sponsored], &[&payer(), &buyer()]));
    let names: Vec<_> = done.events.iter().map(|event| idl::event(event)).collect();
    assert_eq!(names, ["VaultOpened", "VaultFunded"]);
    assert_eq!(scene.vault_balance(), 10_000);
}
