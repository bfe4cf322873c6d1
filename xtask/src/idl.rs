//! The interface description (IDL) of the Solana program: put together from the parts the framework
//! prints, committed, and held fresh.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Map, Value};

use crate::{failure::Failure, workspace::Workspace};

const FILE: &str = "programs/task-vault/idl.json";
const COMMAND: &str = "cargo test --features idl-build";

/// Fails when the committed description is not what the program says of itself.
pub(crate) fn check(workspace: &Workspace, printed: &str) -> Result<(), Failure> {
    let fresh = assemble(printed)?;
    let path = path(workspace);
    let committed = fs::read_to_string(&path).map_err(Failure::file("reading", &path))?;
    if fresh == committed {
        return Ok(());
    }
    println!("{FILE} is not what the program says: write it with `cargo xtask idl`");
    Err(Failure::Findings {
        rule: "idl",
        count: 1,
    })
}

/// Writes the description.
pub(crate) fn write(workspace: &Workspace, printed: &str) -> Result<(), Failure> {
    let path = path(workspace);
    fs::write(&path, assemble(printed)?).map_err(Failure::file("writing", &path))
}

fn path(workspace: &Workspace) -> PathBuf {
    workspace.join(FILE)
}

/// One document with sorted keys, types and events, so that it changes only when the program does.
fn assemble(printed: &str) -> Result<String, Failure> {
    let mut idl: Map<String, Value> = one(printed, "program")?;
    idl.insert("address".to_owned(), one(printed, "address")?);
    idl.insert("errors".to_owned(), one(printed, "errors")?);
    let mut types = BTreeMap::new();
    collect(&mut types, idl.remove("types"));
    let mut events = BTreeMap::new();
    for section in sections(printed, "event") {
        let mut part: Map<String, Value> = parse(section)?;
        collect(&mut types, part.remove("types"));
        if let Some(event) = part.remove("event") {
            events.insert(name(&event), event);
        }
    }
    idl.insert("events".to_owned(), events.into_values().collect());
    idl.insert("types".to_owned(), types.into_values().collect());
    let text = serde_json::to_string_pretty(&idl).map_err(broken)?;
    Ok(short_names(&text) + "\n")
}

fn collect(types: &mut BTreeMap<String, Value>, list: Option<Value>) {
    if let Some(Value::Array(list)) = list {
        types.extend(list.into_iter().map(|one| (name(&one), one)));
    }
}

fn name(value: &Value) -> String {
    let name = value
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    name.to_owned()
}

/// `task_vault::events::VaultOpened` says no more than `VaultOpened`.
fn short_names(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    for (index, piece) in text.split("\"task_vault::").enumerate() {
        if index == 0 {
            short.push_str(piece);
            continue;
        }
        let (path, rest) = piece.split_once('"').unwrap_or((piece, ""));
        let last = path.rsplit("::").next().unwrap_or(path);
        short.extend(["\"", last, "\"", rest]);
    }
    short
}

fn one<T: serde::de::DeserializeOwned>(printed: &str, part: &str) -> Result<T, Failure> {
    // An absent part parses as nothing, which is the same failure.
    parse(sections(printed, part).next().unwrap_or_default())
}

fn parse<T: serde::de::DeserializeOwned>(section: &str) -> Result<T, Failure> {
    serde_json::from_str(section).map_err(broken)
}

fn broken(source: serde_json::Error) -> Failure {
    Failure::Json {
        command: COMMAND.to_owned(),
        source,
    }
}

/// What stands between the marks of a part.
fn sections<'a>(printed: &'a str, part: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let begin = format!("--- IDL begin {part} ---");
    let end = format!("--- IDL end {part} ---");
    let mut rest = printed;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let (section, after) = after.split_once(&end)?;
        rest = after;
        Some(section)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"
noise
--- IDL begin address ---
"abc"
--- IDL end address ---
--- IDL begin program ---
{"instructions": [], "types": [{"name": "task_vault::a::Zeta"}, {"name": "Beta"}]}
--- IDL end program ---
--- IDL begin errors ---
[{"code": 6000, "name": "No"}]
--- IDL end errors ---
--- IDL begin event ---
{"event": {"name": "task_vault::events::Two"}, "types": [{"name": "task_vault::events::Two"}]}
--- IDL end event ---
--- IDL begin event ---
{"event": {"name": "task_vault::events::One"}, "types": []}
--- IDL end event ---
"#;

    #[test]
    fn the_parts_become_one_sorted_document() {
        let text = assemble(PRINTED).unwrap();
        let idl: Value = serde_json::from_str(&text).unwrap();
        let names = |list: &str| {
            let list = idl[list].as_array().unwrap();
            list.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(idl["address"], "abc");
        assert_eq!(names("events"), ["One", "Two"]);
        assert_eq!(names("types"), ["Beta", "Zeta", "Two"]);
        assert!(!text.contains("task_vault::"));
    }

    #[test]
    fn a_missing_part_is_a_failure() {
        let without = PRINTED.replace("begin errors", "begin nothing");
        assert!(matches!(assemble(&without), Err(Failure::Json { .. })));
    }
}
