//! The test command: one table of steps, run in order, each named with its time.
//!
//! Adding a step is one entry in [`STEPS`]. A step that cannot run fails; the first failure ends
//! the run, and the summary says which steps never ran.

mod checks;
mod contracts;
mod program;
mod suites;

pub(crate) use checks::advisories;
pub(crate) use program::write_idl;
pub(crate) use suites::PROGRAMS_VARIABLE;

use std::cell::OnceCell;

use crate::{
    cache::Cache,
    clock::{self, Stopwatch},
    failure::Failure,
    metadata::Metadata,
    postgres::Cluster,
    workspace::Workspace,
};

/// What the steps of one run share.
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
    pub(crate) cache: Cache,
    pub(crate) metadata: Metadata,
    cluster: OnceCell<Cluster>,
}

impl Context {
    pub(crate) fn new(workspace: Workspace) -> Result<Self, Failure> {
        Ok(Self {
            cache: Cache::open(&workspace)?,
            metadata: Metadata::read(&workspace)?,
            cluster: OnceCell::new(),
            workspace,
        })
    }

    /// The private database of this run, started on first use.
    fn database(&self) -> Result<&str, Failure> {
        if self.cluster.get().is_none() {
            // Nobody else can have set it: the cell is not shared between threads.
            let _ = self.cluster.set(Cluster::start()?);
        }
        Ok(self.cluster.get().map_or("", Cluster::url))
    }
}

/// One step of the test command.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    run: fn(&Context) -> Result<(), Failure>,
}

/// Cheap checks first; the suites that build and run the most come last.
#[rustfmt::skip]
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", about: "formatting", run: checks::fmt },
    Step { name: "clippy", about: "lints, with warnings as errors", run: checks::clippy },
    Step { name: "tidy", about: "house rules: sizes, words, links, arrows", run: checks::tidy },
    Step { name: "deny", about: "licences, sources and bans of dependencies", run: checks::deny },
    Step { name: "build", about: "programs, tests and examples", run: suites::build },
    Step { name: "test", about: "unit, property and database tests", run: suites::test },
    Step { name: "doctest", about: "examples in the documentation", run: suites::doctest },
    Step { name: "doc", about: "documentation, with warnings as errors", run: checks::doc },
    Step { name: "vectors", about: "golden vectors are current and read twice", run: checks::vectors },
    Step { name: "typescript", about: "the second implementation agrees", run: suites::typescript },
    Step { name: "api", about: "property-based requests against a real gateway", run: suites::api },
    Step { name: "clients", about: "stock x402 clients and the buyer's guard", run: suites::clients },
    Step { name: "contracts", about: "Base contracts: tests, differential, gas, deployment", run: contracts::contracts },
    Step { name: "contract-proofs", about: "Base contracts: analysis, proofs, coverage", run: contracts::proofs },
    Step { name: "program", about: "the Solana program, built and tested in a simulated chain", run: program::program },
    Step { name: "e2e", about: "journeys and attacks on real nodes", run: suites::e2e },
];

/// Runs the chosen steps: all, or those of `only`, less those of `skip`.
pub(crate) fn run(workspace: Workspace, only: &[String], skip: &[String]) -> Result<(), Failure> {
    let steps = choose(only, skip)?;
    let context = Context::new(workspace)?;
    let whole = Stopwatch::start();
    let mut summary = Vec::new();
    let mut outcome = Ok(());
    for (step, number) in steps.iter().zip(1_usize..) {
        println!(
            "\n== {number}/{} {}: {}",
            steps.len(),
            step.name,
            step.about
        );
        let watch = Stopwatch::start();
        let result = (step.run)(&context);
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        let line = format!("{:<12}{word:<8}{}", step.name, clock::show(watch.elapsed()));
        println!("-- {line}");
        summary.push(line);
        if let Err(source) = result {
            outcome = Err(Failure::Step {
                step: step.name,
                source: Box::new(source),
            });
            break;
        }
    }
    println!("\n== summary");
    summary.iter().for_each(|line| println!("{line}"));
    for step in steps.iter().skip(summary.len()) {
        println!("{:<12}not run", step.name);
    }
    println!("{:<20}{}", "total", clock::show(whole.elapsed()));
    outcome
}

fn choose(only: &[String], skip: &[String]) -> Result<Vec<&'static Step>, Failure> {
    let known = |name: &String| STEPS.iter().any(|step| step.name == name);
    if let Some(name) = only.iter().chain(skip).find(|name| !known(name)) {
        return Err(Failure::UnknownStep {
            name: name.clone(),
            known: STEPS
                .iter()
                .map(|step| step.name)
                .collect::<Vec<_>>()
                .join(", "),
        });
    }
    let named = |list: &[String], step: &Step| list.iter().any(|name| name == step.name);
    let steps = STEPS
        .iter()
        .filter(|step| only.is_empty() || named(only, step))
        .filter(|step| !named(skip, step))
        .collect::<Vec<_>>();
    if steps.is_empty() {
        return Err(Failure::NoSteps);
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], skip: &[&str]) -> Result<Vec<&'static str>, Failure> {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        choose(&owned(only), &owned(skip))
            .map(|steps| steps.into_iter().map(|step| step.name).collect())
    }

    #[test]
    fn without_a_choice_every_step_runs() {
        assert_eq!(names(&[], &[]).unwrap().len(), STEPS.len());
    }

    #[test]
    fn chosen_steps_keep_the_order_of_the_table() {
        assert_eq!(names(&["tidy", "fmt"], &[]).unwrap(), ["fmt", "tidy"]);
        assert!(!names(&[], &["tidy"]).unwrap().contains(&"tidy"));
    }

    #[test]
    fn an_unknown_step_is_refused_not_ignored() {
        let failure = names(&[], &["tidie"]).unwrap_err();
        assert!(matches!(failure, Failure::UnknownStep { .. }));
    }

    #[test]
    fn an_empty_choice_is_refused() {
        let failure = names(&["fmt"], &["fmt"]).unwrap_err();
        assert!(matches!(failure, Failure::NoSteps));
    }
}
