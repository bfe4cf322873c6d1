//! M6b: what the program calls payable can be paid. Random token accounts, both programs.

use d402_settlement::ledger::VaultAccount;
use proptest::prelude::*;
use solana_signer::Signer;
use svm_tests::program;
use svm_tests::scene::*;
use svm_tests::token::{
    RENT_ATA, TOKEN, TOKEN_2022, account_2022_bytes, account_bytes, mint_bytes,
};

#[derive(Clone, Debug)]
struct Shape {
    is_2022: bool,
    /// 0 uninitialised, 1 ordinary, 2 frozen.
    condition: u8,
    owner_is_payee: bool,
    mint_is_right: bool,
    extensions: Vec<(u16, Vec<u8>)>,
    cut: usize,
}

fn shapes() -> impl Strategy<Value = Shape> {
    // ImmutableOwner, MemoTransfer, CpiGuard, TransferFeeAmount, NonTransferable, unknown.
    let extension = prop_oneof![
        4 => Just((7u16, Vec::new())),
        1 => Just((8, vec![1])),
        1 => Just((11, vec![1])),
        1 => Just((2, vec![0; 8])),
        1 => Just((13, Vec::new())),
        1 => Just((777, vec![0; 3])),
    ];
    (
        any::<bool>(),
        prop_oneof![1 => Just(0u8), 5 => Just(1), 1 => Just(2)],
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.9),
        prop::collection::vec(extension, 0..3),
        // Never to the end of an extension: that would be a shorter account in good order.
        prop_oneof![6 => Just(0usize), 1 => 1usize..4, 1 => 30usize..60],
    )
        .prop_map(
            |(is_2022, condition, owner_is_payee, mint_is_right, extensions, cut)| Shape {
                is_2022,
                condition,
                owner_is_payee,
                mint_is_right,
                extensions,
                cut,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn threat_17_m6b_a_settlement_never_fails_because_of_a_payees_account(shape in shapes()) {
        let mut scene = Scene::new();
        if shape.is_2022 {
            scene.token_program = TOKEN_2022;
            scene.chain.set(scene.mint, TOKEN_2022, 9_000_000, mint_bytes(6));
            for who in [buyer(), creator(), gateway(), worker(1), judge(0)] {
                let address = scene.tokens_of(&who.pubkey());
                let data = account_2022_bytes(&scene.mint, &who.pubkey(), 1_000_000, &[(7, Vec::new())]);
                scene.chain.set(address, TOKEN_2022, 2_100_000, data);
            }
        }
        scene.publish();
        accepted(scene.open());
        accepted(scene.deposit(10_000));
        let payee = worker(0).pubkey();
        let owner = if shape.owner_is_payee { payee } else { stranger().pubkey() };
        let mint = if shape.mint_is_right { scene.mint } else { program::ID };
        let mut data = if shape.is_2022 && !shape.extensions.is_empty() {
            account_2022_bytes(&mint, &owner, 0, &shape.extensions)
        } else {
            account_bytes(&mint, &owner, 0)
        };
        data[108] = shape.condition;
        data.truncate(data.len() - shape.cut);
        let address = scene.tokens_of(&payee);
        let program = if shape.is_2022 { TOKEN_2022 } else { TOKEN };
        scene.chain.set(address, program, RENT_ATA + 1_000_000, data);

        accepted(scene.settle(&usual()));
        let VaultAccount::Settled(tombstone) = scene.state().account else {
            panic!("not settled");
        };
        let is_credit = !tombstone.credits.is_empty();
        let must_be_payable = shape.condition == 1
            && shape.owner_is_payee
            && shape.mint_is_right
            && shape.cut == 0
            && (!shape.is_2022 || shape.extensions.iter().all(|(kind, _)| *kind == 7));
        prop_assert_eq!(is_credit, !must_be_payable);
        if must_be_payable {
            prop_assert_eq!(scene.balance_of(&payee), 5_400);
        }
    }
}
