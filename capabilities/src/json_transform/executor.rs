//! Running a jq program with jaq.
//!
//! Responsible for: programs that see their document and nothing else. What reads the machine (clock,
//! time zone, environment, further input, modules, exit) does not exist for them.
//! Not: bounding steps. A program that does not end is ended by the child's processor limit.
//! Invariants: names are in canonical order when the program starts, so `keys_unsorted` and `to_entries`
//! give the same everywhere; a result that is no I-JSON document is refused.

use std::io;

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader, import};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::write::{Pp, write};
use jaq_json::{Val, read};
use serde_json::{Value, json};

use crate::canonical::{canonical_bytes, sha256_cid};
use crate::capability::{Context, Execution, Refusal, RefusalCode};

/// Functions of jq's library that depend on more than their input. `strptime` reads the system's time
/// zone files.
const WITHHELD: [&str; 10] = [
    "env",
    "now",
    "halt",
    "halt_error",
    "localtime",
    "strflocaltime",
    "strptime",
    "input",
    "inputs",
    "stderr",
];

pub(super) fn execute(context: &Context<'_>, input: &Value) -> Result<Execution, Refusal> {
    let program = input
        .get("program")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let data = input.get("data").unwrap_or(&Value::Null);
    let results = run(program, data, context.manifest().limits().output_bytes)?;
    let output = json!({ "results": results });
    let bytes = canonical_bytes(&output)
        .map_err(|error| Refusal::new(RefusalCode::UnsafeNumber, error.to_string()))?;
    Ok(Execution {
        output,
        canonical_digest: sha256_cid(&bytes),
        blobs: Vec::new(),
    })
}

fn run(program: &str, data: &Value, max_bytes: u64) -> Result<Vec<Value>, Refusal> {
    let wrong = |detail: &str| Refusal::new(RefusalCode::ProgramError, detail);
    let data = canonical_bytes(data)
        .map_err(|error| Refusal::new(RefusalCode::UnsafeNumber, error.to_string()))?;
    let data = read::parse_single(&data)
        .map_err(|error| Refusal::new(RefusalCode::BadInput, error.to_string()))?;

    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let defs = defs.filter(|def| !WITHHELD.contains(&def.name));
    let funs = jaq_core::funs::<JustLut<Val>>()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let funs = funs.filter(|(name, _, _)| !WITHHELD.contains(name));
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(
            &arena,
            File {
                code: program,
                path: (),
            },
        )
        .map_err(|_| wrong("the program does not parse, or imports a module"))?;
    import(&modules, |_| Err("there are no files".to_owned()))
        .map_err(|_| wrong("the program imports a file"))?;
    let filter = Compiler::default()
        .with_funs(funs)
        .compile(modules)
        .map_err(|errors| {
            let name = errors
                .iter()
                .flat_map(|(_, errors)| errors)
                .map(|(name, _)| *name)
                .next();
            wrong(&format!("there is no `{}`", name.unwrap_or_default()))
        })?;

    let ctx = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut results = Vec::new();
    let mut budget = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    for result in filter.id.run((ctx, data)).map(unwrap_valr) {
        let result = result.map_err(|error| wrong(&error.to_string()))?;
        let mut text = Bounded {
            bytes: Vec::new(),
            budget,
        };
        write(&mut text, &Pp::default(), 0, &result).map_err(|_| {
            Refusal::new(
                RefusalCode::TooLarge,
                format!("the results exceed {max_bytes} bytes"),
            )
        })?;
        // One byte at least per result, so that endless empty ones end too.
        budget = text.budget.saturating_sub(1);
        // jaq prints NaN, byte strings and names that are no strings as something that is no JSON.
        results.push(
            serde_json::from_slice(&text.bytes)
                .map_err(|_| wrong("a result is no JSON document"))?,
        );
    }
    Ok(results)
}

/// Collects bytes up to a budget.
struct Bounded {
    bytes: Vec<u8>,
    budget: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.budget = self
            .budget
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
