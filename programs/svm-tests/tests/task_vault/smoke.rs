use svm_tests::scene::*;
use solana_signer::Signer;

#[test]
fn whole_life() {
    let mut scene = Scene::new();
    scene.publish();
    let done = accepted(scene.open());
    println!("open {} CU events {}", done.units, done.events.len());
    scene.deposit(10_000).unwrap();
    let result = scene.settle(&usual());
    if let Err(failed) = &result { println!("{}", failed.logs.join("\n")); }
    let done = accepted(result);
    println!("settle {} CU", done.units);
    println!("{} {} {} {}", scene.balance_of(&worker(0).pubkey()), scene.balance_of(&worker(1).pubkey()), scene.balance_of(&creator().pubkey()), scene.balance_of(&gateway().pubkey()));
    scene.chain.at(REFUND_AFTER);
    let done = accepted(scene.close());
    println!("close {} CU", done.units);
    assert!(scene.chain.account(&scene.vault()).is_none());
}
