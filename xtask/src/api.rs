//! The property-based API tester: reads a gateway's own OpenAPI document and sends it requests the
//! document allows and forbids. Always against an address of this machine, and without chance, so
//! that two runs send the same requests.

use std::time::Duration;

use crate::{failure::Failure, process::Call, steps::Context, tools};

const LIMIT: Duration = Duration::from_secs(15 * 60);
const EXAMPLES_PER_OPERATION: &str = "50";

/// What the tester expects beyond the document, and why.
const SETTINGS: &str = "tools/py/schemathesis.toml";
/// How it makes texts whose format the document only names.
const FORMATS: &str = "tools/py/api_formats.py";
/// Names of things that exist in the market under test, for `FORMATS`.
const KNOWN_VARIABLE: &str = "D402_API_KNOWN";

/// Tests the gateway that listens at `base_url`. `known` is JSON with lists of names of things that exist
/// there, so that requests reach more than "not found".
pub(crate) fn run(context: &Context, base_url: &str, known: Option<&str>) -> Result<(), Failure> {
    if !is_local(base_url) {
        return Err(Failure::NotLocal {
            url: base_url.to_owned(),
        });
    }
    let program = tools::api_tester(&context.workspace, &context.cache)?;
    Call::new(program, LIMIT)
        .arg("--config-file")
        .arg(context.workspace.join(SETTINGS))
        .arg("run")
        .arg(format!("{}/openapi.json", base_url.trim_end_matches('/')))
        .args(["--checks", "all"])
        .args(["--max-examples", EXAMPLES_PER_OPERATION])
        .arg("--generation-deterministic")
        .args(["--wait-for-schema", "30", "--request-timeout", "10"])
        .env("SCHEMATHESIS_HOOKS", context.workspace.join(FORMATS))
        .env(KNOWN_VARIABLE, known.unwrap_or("{}"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // The tester would otherwise send the settings of a proxy along.
        .env("NO_PROXY", "127.0.0.1,localhost,::1")
        .dir(context.cache.folder())
        .run()
}

fn is_local(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap_or_default();
    ["127.0.0.1:", "localhost:", "[::1]:"]
        .iter()
        .any(|local| host.starts_with(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_tested() {
        assert!(is_local("http://127.0.0.1:4020"));
        assert!(is_local("http://[::1]:4020/"));
        assert!(!is_local("http://gateway.example:80"));
        assert!(!is_local("http://127.0.0.1.example:80"));
    }
}
