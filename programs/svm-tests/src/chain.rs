//! The chain: time, accounts, transactions.

use std::path::Path;
use std::sync::{LazyLock, Mutex};

use litesvm::LiteSVM;
use solana_account::Account;
use solana_address::Address;
use solana_clock::Clock;
use solana_instruction::Instruction;
use solana_instruction_error::InstructionError;
use solana_keypair::Keypair;
use solana_message::Message;
use solana_signer::Signer;
use solana_transaction::Transaction;
use solana_transaction_error::TransactionError;

use crate::program;

/// What happened to a transaction that was executed.
pub struct Done {
    /// Compute units of all its instructions.
    pub units: u64,
    /// Events of the program, as the data of its calls to itself.
    pub events: Vec<Vec<u8>>,
    /// Calls to other programs, as (program, instruction data).
    pub calls: Vec<(Address, Vec<u8>)>,
    pub fee: u64,
}

/// Why a transaction failed.
#[derive(Debug)]
pub struct Failed {
    pub error: TransactionError,
    pub logs: Vec<String>,
}

impl Failed {
    /// The program's own code.
    pub fn code(&self) -> Option<u32> {
        match &self.error {
            TransactionError::InstructionError(_, InstructionError::Custom(code)) => Some(*code),
            _ => None,
        }
    }
}

#[derive(Clone)]
pub struct Chain {
    pub svm: LiteSVM,
}

/// Names the built program; `cargo xtask test --only program` sets it.
pub const PROGRAM_VARIABLE: &str = "D402_TASK_VAULT_SO";

fn program_path() -> String {
    std::env::var(PROGRAM_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{PROGRAM_VARIABLE} must name the built program: run `cargo xtask test --only program`"
        )
    })
}

impl Chain {
    pub fn new() -> Self {
        // Loading the programs takes most of a test's time, so every test copies one chain.
        static FRESH: LazyLock<Mutex<Chain>> = LazyLock::new(|| Mutex::new(Chain::load()));
        FRESH.lock().unwrap().clone()
    }

    fn load() -> Self {
        let path = program_path();
        let mut svm = LiteSVM::new().with_transaction_history(0);
        svm.add_program_from_file(program::ID, &path)
            .unwrap_or_else(|error| panic!("loading {path}: {error}"));
        Self { svm }
    }

    /// Adds the program that calls others (`relay.so` beside the built program).
    pub fn load_relay(&mut self) {
        let path = Path::new(&program_path()).with_file_name("relay.so");
        self.svm
            .add_program_from_file(program::RELAY, &path)
            .unwrap_or_else(|error| panic!("loading {}: {error}", path.display()));
    }

    pub fn at(&mut self, seconds: i64) {
        let mut clock = self.svm.get_sysvar::<Clock>();
        clock.unix_timestamp = seconds;
        self.svm.set_sysvar(&clock);
    }

    pub fn rich(&mut self, who: &Keypair) {
        self.svm.airdrop(&who.pubkey(), 100_000_000_000).unwrap();
    }

    pub fn send(
        &mut self,
        instructions: &[Instruction],
        signers: &[&Keypair],
    ) -> Result<Done, Failed> {
        self.svm.expire_blockhash();
        let transaction = transaction(instructions, signers, self.svm.latest_blockhash());
        let keys = transaction.message.account_keys.clone();
        match self.svm.send_transaction(transaction) {
            Ok(meta) => {
                let inner = meta.inner_instructions.iter().flatten();
                let calls: Vec<_> = inner
                    .map(|inner| {
                        let index = usize::from(inner.instruction.program_id_index);
                        (keys[index], inner.instruction.data.clone())
                    })
                    .collect();
                let events = calls
                    .iter()
                    .filter(|(to, _)| *to == program::ID)
                    .map(|(_, data)| data[8..].to_vec())
                    .collect();
                Ok(Done {
                    units: meta.compute_units_consumed,
                    events,
                    calls,
                    fee: meta.fee,
                })
            }
            Err(failed) => Err(Failed {
                error: failed.err,
                logs: failed.meta.logs,
            }),
        }
    }

    pub fn account(&self, address: &Address) -> Option<Account> {
        self.svm
            .get_account(address)
            .filter(|account| account.lamports > 0)
    }

    pub fn lamports(&self, address: &Address) -> u64 {
        self.svm.get_balance(address).unwrap_or(0)
    }

    pub fn data(&self, address: &Address) -> Vec<u8> {
        self.account(address)
            .map(|account| account.data)
            .unwrap_or_default()
    }

    pub fn set(&mut self, address: Address, owner: Address, lamports: u64, data: Vec<u8>) {
        let account = Account {
            lamports,
            data,
            owner,
            executable: false,
            rent_epoch: u64::MAX,
        };
        self.svm.set_account(address, account).unwrap();
    }

    /// Changes the bytes of an account that exists.
    pub fn patch(&mut self, address: &Address, change: impl FnOnce(&mut Account)) {
        let mut account = self.account(address).unwrap();
        change(&mut account);
        self.svm.set_account(*address, account).unwrap();
    }

    /// No account at all.
    pub fn erase(&mut self, address: Address) {
        self.set(address, Address::default(), 0, Vec::new());
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

pub fn transaction(
    instructions: &[Instruction],
    signers: &[&Keypair],
    blockhash: impl Into<solana_message::Hash>,
) -> Transaction {
    let message = Message::new(instructions, Some(&signers[0].pubkey()));
    Transaction::new(signers, message, blockhash.into())
}
