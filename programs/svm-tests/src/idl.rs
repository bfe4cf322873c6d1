//! The committed interface description: error codes by name.

use std::sync::LazyLock;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Idl {
    pub address: String,
    pub errors: Vec<Code>,
    pub instructions: Vec<Named>,
    pub events: Vec<Named>,
}

#[derive(Deserialize)]
pub struct Code {
    pub code: u32,
    pub name: String,
}

#[derive(Deserialize)]
pub struct Named {
    pub name: String,
    pub discriminator: Vec<u8>,
}

pub static IDL: LazyLock<Idl> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../task-vault/idl.json")).expect("the IDL is JSON")
});

pub fn code(name: &str) -> u32 {
    let found = IDL.errors.iter().find(|error| error.name == name);
    found
        .unwrap_or_else(|| panic!("the IDL has no error {name}"))
        .code
}

/// The event's name.
pub fn event(data: &[u8]) -> &'static str {
    let found = IDL
        .events
        .iter()
        .find(|event| data.starts_with(&event.discriminator));
    &found.expect("an event of the IDL").name
}
