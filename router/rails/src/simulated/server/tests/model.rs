//! The books against the pure ledger: any sequence of requests, the same answers, the same money.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::Hex32;
use d402_settlement::ledger::{
    Command, Effects, Unpayable, VaultAccount, VaultSite, VaultState, apply,
};
use d402_settlement::{
    Approvals, Domain, Key32, ReceiptCid, Rows, Settlement, StrictEd25519, Units, UnixSeconds,
    settlement_digest,
};
use d402_wire::simchain::{Event, EventBody, Rpc, RpcAnswer, VaultView};
use proptest::prelude::*;

use super::stage::{
    START, StillClock, Validators, account, mint, payment, terms, validator_row, worker_row,
};
use crate::simulated::server::{Delivery, Location, Options, SimChain, SimChainHandle};
use crate::simulated::{VaultTerms, asset};

const VAULTS: u64 = 3;
const BUDGET: u64 = 1_000;

/// One request of a random sequence; numbers pick accounts and vaults.
#[derive(Clone, Debug)]
enum Ask {
    Mint {
        to: u64,
        units: u64,
    },
    Open {
        vault: u64,
    },
    Pay {
        buyer: u64,
        vault: u64,
        units: u64,
        nonce: u64,
        with_terms: bool,
    },
    Settle {
        vault: u64,
        worker: u64,
        units: u64,
        fee: u64,
        receipt: u8,
    },
    Sweep {
        vault: u64,
    },
    Claim {
        vault: u64,
        payee: u64,
    },
    Lapse {
        vault: u64,
    },
    Close {
        vault: u64,
    },
    Unpayable {
        account: u64,
        unpayable: bool,
    },
    Advance {
        seconds: u64,
    },
}

fn ask() -> impl Strategy<Value = Ask> {
    let vault = 0..VAULTS;
    let party = 0..6u64;
    let jump = prop_oneof![4 => 1..40u64, 2 => 100..400u64, 1 => 900..1_200u64, 1 => Just(180 * 86_400u64)];
    prop_oneof![
        3 => (party.clone(), 0..2_000u64).prop_map(|(to, units)| Ask::Mint { to, units }),
        2 => vault.clone().prop_map(|vault| Ask::Open { vault }),
        6 => (0..3u64, vault.clone(), 1..1_200u64, 0..12u64, any::<bool>())
            .prop_map(|(buyer, vault, units, nonce, with_terms)| Ask::Pay { buyer, vault, units, nonce, with_terms }),
        5 => (vault.clone(), 3..6u64, 0..900u64, 0..600u64, 0..2u8)
            .prop_map(|(vault, worker, units, fee, receipt)| Ask::Settle { vault, worker, units, fee, receipt }),
        4 => vault.clone().prop_map(|vault| Ask::Sweep { vault }),
        2 => (vault.clone(), 3..6u64).prop_map(|(vault, payee)| Ask::Claim { vault, payee }),
        1 => vault.clone().prop_map(|vault| Ask::Lapse { vault }),
        2 => vault.prop_map(|vault| Ask::Close { vault }),
        2 => (party, any::<bool>()).prop_map(|(account, unpayable)| Ask::Unpayable { account, unpayable }),
        2 => jump.prop_map(|seconds| Ask::Advance { seconds }),
    ]
}

/// The chain as a page of arithmetic around the pure ledger.
struct Model {
    now: i64,
    balances: BTreeMap<Hex32, u64>,
    vaults: Vec<VaultState>,
    receipts: BTreeMap<u64, u8>,
    payments: BTreeMap<(u64, u64), (u64, u64)>,
    unpayable: BTreeSet<Hex32>,
    minted: u64,
    terms: Vec<VaultTerms>,
    validators: Validators,
}

impl Model {
    fn new() -> Self {
        let validators = Validators::new(1, 1);
        let terms: Vec<VaultTerms> = (0..VAULTS)
            .map(|salt| terms(&validators.set, BUDGET, START, salt))
            .collect();
        let vaults = terms
            .iter()
            .map(|t| VaultState::absent(VaultSite::of(&Domain::SIMULATED, t.terms()).unwrap()))
            .collect();
        Self {
            now: START,
            balances: BTreeMap::new(),
            vaults,
            receipts: BTreeMap::new(),
            payments: BTreeMap::new(),
            unpayable: BTreeSet::new(),
            minted: 0,
            terms,
            validators,
        }
    }

    fn rpc(&self, ask: &Ask) -> Rpc {
        let text = |vault: &u64| self.terms[*vault as usize].to_hex();
        let hash = |vault: &u64| self.terms[*vault as usize].hash();
        match ask {
            Ask::Mint { to, units } => mint(account(*to), *units),
            Ask::Open { vault } => Rpc::Open { terms: text(vault) },
            Ask::Pay {
                buyer,
                vault,
                units,
                nonce,
                with_terms,
            } => Rpc::Pay {
                payment: payment(
                    &self.terms[*vault as usize],
                    *buyer,
                    *units,
                    (*nonce, START + 2_000),
                ),
                terms: with_terms.then(|| text(vault)),
            },
            Ask::Settle {
                vault,
                worker,
                units,
                fee,
                receipt,
            } => {
                let rows = Self::rows(*worker, *units, *fee);
                self.validators
                    .settle(&self.terms[*vault as usize], [*receipt; 32], &rows)
            }
            Ask::Sweep { vault } => Rpc::Sweep { terms: text(vault) },
            Ask::Claim { vault, payee } => Rpc::ClaimCredit {
                terms_hash: hash(vault),
                payee: account(*payee),
            },
            Ask::Lapse { vault } => Rpc::LapseCredits {
                terms_hash: hash(vault),
            },
            Ask::Close { vault } => Rpc::Close { terms: text(vault) },
            Ask::Unpayable {
                account: number,
                unpayable,
            } => Rpc::SetUnpayable {
                account: account(*number),
                unpayable: *unpayable,
            },
            Ask::Advance { seconds } => Rpc::AdvanceClock { seconds: *seconds },
        }
    }

    fn rows(worker: u64, units: u64, fee: u64) -> Vec<d402_settlement::Row> {
        let mut rows = Vec::new();
        if units > 0 {
            rows.push(worker_row(account(worker), units));
        }
        if fee > 0 {
            rows.push(validator_row(account(10), fee));
        }
        rows.sort_by_key(|row| row.payee);
        rows
    }

    fn payable(&self, account: Hex32) -> bool {
        !self.unpayable.contains(&account)
    }

    /// Runs the ledger; `None` when it refuses.
    fn run(&mut self, vault: u64, command: &Command<'_>) -> Option<()> {
        let (next, effects) =
            apply(&self.vaults[vault as usize], command, UnixSeconds(self.now)).ok()?;
        self.pay_out(&effects);
        self.vaults[vault as usize] = next;
        Some(())
    }

    fn pay_out(&mut self, effects: &Effects) {
        for transfer in &effects.transfers {
            *self.balances.entry(transfer.to.0.into()).or_default() +=
                transfer.amount.to_u64().unwrap();
        }
    }

    /// What must come of a request: whether it succeeds.
    fn step(&mut self, ask: &Ask) -> bool {
        self.decide(ask).is_some()
    }

    fn decide(&mut self, ask: &Ask) -> Option<()> {
        match ask {
            Ask::Mint { to, units } => {
                if *units == 0 || !self.payable(account(*to)) {
                    return None;
                }
                *self.balances.entry(account(*to)).or_default() += units;
                self.minted += units;
                Some(())
            }
            Ask::Open { vault } => {
                let (terms, set) = (*self.terms[*vault as usize].terms(), self.validators.set);
                self.run(
                    *vault,
                    &Command::Open {
                        terms: &terms,
                        amount: Units::ZERO,
                        mint_allowed: true,
                        set: Some(&set),
                    },
                )
            }
            Ask::Pay {
                buyer,
                vault,
                units,
                nonce,
                with_terms,
            } => self.pay((*buyer, *nonce), (*vault, *units), *with_terms),
            Ask::Settle {
                vault,
                worker,
                units,
                fee,
                receipt,
            } => self.settle(*vault, &Self::rows(*worker, *units, *fee), *receipt),
            Ask::Sweep { vault } => {
                let terms = *self.terms[*vault as usize].terms();
                let payable = self.payable(terms.refund_to.0.into());
                self.run(
                    *vault,
                    &Command::Sweep {
                        terms: &terms,
                        payable,
                    },
                )
            }
            Ask::Claim { vault, payee } => {
                let payable = self.payable(account(*payee));
                self.run(
                    *vault,
                    &Command::ClaimCredit {
                        payee: Key32(account(*payee).as_bytes()),
                        payable,
                    },
                )
            }
            Ask::Lapse { vault } => self.run(*vault, &Command::LapseCredits),
            Ask::Close { vault } => {
                let terms = *self.terms[*vault as usize].terms();
                let open = matches!(self.vaults[*vault as usize].account, VaultAccount::Open(_));
                if open && UnixSeconds(self.now) < terms.refund_after {
                    self.run(*vault, &Command::CloseUnfunded { terms: &terms })
                } else {
                    self.run(*vault, &Command::Close)
                }
            }
            Ask::Unpayable {
                account: number,
                unpayable,
            } => {
                if *unpayable {
                    self.unpayable.insert(account(*number));
                } else {
                    self.unpayable.remove(&account(*number));
                }
                Some(())
            }
            Ask::Advance { seconds } => {
                self.now += *seconds as i64;
                Some(())
            }
        }
    }

    fn pay(&mut self, key: (u64, u64), what: (u64, u64), with_terms: bool) -> Option<()> {
        if let Some(before) = self.payments.get(&key) {
            return (*before == what).then_some(());
        }
        let ((buyer, _), (vault, units)) = (key, what);
        let funds = self.balances.get(&account(buyer)).copied().unwrap_or(0);
        if self.now >= START + 2_000 || funds < units {
            return None;
        }
        let amount = Units::from_u64(units);
        let (terms, set) = (*self.terms[vault as usize].terms(), self.validators.set);
        if with_terms {
            self.run(
                vault,
                &Command::Open {
                    terms: &terms,
                    amount,
                    mint_allowed: true,
                    set: Some(&set),
                },
            )?;
        } else {
            self.run(vault, &Command::Deposit { amount })?;
        }
        self.balances.insert(account(buyer), funds - units);
        self.payments.insert(key, what);
        Some(())
    }

    fn settle(&mut self, vault: u64, rows: &[d402_settlement::Row], receipt: u8) -> Option<()> {
        if let Some(executed) = self.receipts.get(&vault) {
            return (*executed == receipt).then_some(());
        }
        let paid = rows
            .iter()
            .any(|row| row.role == d402_settlement::Role::Worker);
        let settlement = Settlement {
            receipt_cid: ReceiptCid([receipt; 32]),
            outcome: if paid {
                d402_settlement::Outcome::Paid
            } else {
                d402_settlement::Outcome::Rejected
            },
            rows: Rows::new(rows).unwrap(),
        };
        let terms = self.terms[vault as usize];
        let digest = settlement_digest(&Domain::SIMULATED, &terms.terms_hash(), &settlement);
        let signatures = self.validators.sign(&terms, &settlement, 0);
        let approvals =
            Approvals::check(&self.validators.set, digest, &signatures, &StrictEd25519).unwrap();
        let blocked: Vec<Key32> = self.unpayable.iter().map(|a| Key32(a.as_bytes())).collect();
        let unpayable = Unpayable::among(blocked, |_| false).unwrap();
        self.run(
            vault,
            &Command::Settle {
                settlement: &settlement,
                approvals: &approvals,
                unpayable: &unpayable,
            },
        )?;
        self.receipts.insert(vault, receipt);
        Some(())
    }
}

async fn tell(chain: &SimChainHandle, rpc: Rpc) -> RpcAnswer {
    let bytes = d402_wire::encode(&rpc).unwrap();
    match chain.call(bytes, rpc).await.unwrap() {
        Delivery::Answer(answer) => answer,
        Delivery::Lost => panic!("no fault is armed"),
    }
}

async fn units(chain: &SimChainHandle, account: Hex32) -> u64 {
    let RpcAnswer::Balance { amount } = tell(
        chain,
        Rpc::Balance {
            account,
            asset: asset(),
        },
    )
    .await
    else {
        panic!("balance")
    };
    u64::try_from(amount.get()).unwrap()
}

async fn view(chain: &SimChainHandle, terms: &VaultTerms) -> VaultView {
    let question = Rpc::Vault {
        terms_hash: terms.hash(),
        pay_to: terms.address(),
        asset: asset(),
    };
    let RpcAnswer::Vault(view) = tell(chain, question).await else {
        panic!("vault")
    };
    view
}

async fn all_events(chain: &SimChainHandle) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let from = all.last().map_or(0, |event| event.seq + 1);
        let RpcAnswer::Events { events } = tell(chain, Rpc::Events { from }).await else {
            panic!("events")
        };
        if events.is_empty() {
            return all;
        }
        all.extend(events);
    }
}

/// Balances as somebody sees them who knows nothing but the events.
fn fold(events: &[Event]) -> BTreeMap<Hex32, u64> {
    let mut balances = BTreeMap::new();
    for event in events {
        match &event.body {
            EventBody::Minted { to, amount, .. } => {
                *balances.entry(*to).or_default() += amount.get() as u64
            }
            EventBody::Transferred {
                from, to, amount, ..
            } => {
                let left: &mut u64 = balances.get_mut(from).unwrap();
                *left = left.checked_sub(amount.get() as u64).unwrap();
                *balances.entry(*to).or_default() += amount.get() as u64;
            }
            EventBody::Opened { .. }
            | EventBody::Settled { .. }
            | EventBody::Credited { .. }
            | EventBody::CreditPaid { .. }
            | EventBody::CreditsLapsed { .. }
            | EventBody::SetPublished { .. }
            | EventBody::Swept { .. }
            | EventBody::Closed { .. } => {}
        }
    }
    balances
}

/// Requests of which nothing is left to do are answered with the old transaction, which the pure ledger
/// calls a refusal.
fn may_repeat(ask: &Ask) -> bool {
    match ask {
        Ask::Sweep { .. } | Ask::Claim { .. } | Ask::Lapse { .. } | Ask::Close { .. } => true,
        Ask::Mint { .. }
        | Ask::Open { .. }
        | Ask::Pay { .. }
        | Ask::Settle { .. }
        | Ask::Unpayable { .. }
        | Ask::Advance { .. } => false,
    }
}

async fn run(asks: Vec<Ask>) -> Result<(), TestCaseError> {
    let chain = SimChain::open(&Location::Memory, Options::TEST, StillClock::at(START))
        .await
        .unwrap();
    let handle = chain.handle();
    let mut model = Model::new();
    tell(&handle, model.validators.publish()).await;
    let mut height = 1;
    for ask in &asks {
        let answer = tell(&handle, model.rpc(ask)).await;
        let expected = model.step(ask);
        match answer {
            RpcAnswer::Done {
                height: at_height, ..
            } => {
                let repeated = at_height <= height;
                prop_assert!(
                    expected || (repeated && may_repeat(ask)),
                    "{ask:?} was done, the ledger refuses it"
                );
                height = height.max(at_height);
            }
            RpcAnswer::Clock { now, .. } => prop_assert_eq!(now, model.now),
            RpcAnswer::Refused { rule, .. } => {
                prop_assert!(!expected, "{:?} was refused by {}", ask, rule)
            }
            other => prop_assert!(false, "{ask:?}: {other:?}"),
        }
    }
    compare(&handle, &model).await?;
    drop(handle);
    chain.close().await.unwrap();
    Ok(())
}

async fn compare(handle: &SimChainHandle, model: &Model) -> Result<(), TestCaseError> {
    let folded = fold(&all_events(handle).await);
    let mut total = 0;
    for (account, want) in &model.balances {
        let got = units(handle, *account).await;
        prop_assert_eq!(got, *want, "balance of {}", account);
        prop_assert_eq!(
            folded.get(account).copied().unwrap_or(0),
            got,
            "events of {}",
            account
        );
        total += got;
    }
    for (terms, state) in model.terms.iter().zip(&model.vaults) {
        let view = view(handle, terms).await;
        let held = u64::try_from(view.balance.get()).unwrap();
        prop_assert_eq!(
            Units::from_u64(held),
            state.balance(),
            "vault {}",
            terms.hash()
        );
        prop_assert_eq!(
            folded.get(&terms.address()).copied().unwrap_or(0),
            held,
            "events of a vault"
        );
        prop_assert_eq!(view.open, matches!(state.account, VaultAccount::Open(_)));
        let credits: u128 = view.credits.iter().map(|(_, units)| units.get()).sum();
        prop_assert!(
            credits <= view.balance.get(),
            "credits {} above the balance {}",
            credits,
            held
        );
        let owed = match &state.account {
            VaultAccount::Settled(tombstone) => tombstone.credit_total().get(),
            VaultAccount::Absent | VaultAccount::Open(_) => 0,
        };
        prop_assert_eq!(credits, owed);
        total += held;
    }
    prop_assert_eq!(total, model.minted, "what was minted is all there is");
    prop_assert_eq!(
        folded.values().sum::<u64>(),
        model.minted,
        "and the events know it"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_requests_equals_the_pure_ledger_and_conserves_money(asks in prop::collection::vec(ask(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(asks))?;
    }
}
