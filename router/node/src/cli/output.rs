//! How commands talk.

use owo_colors::OwoColorize as _;
use serde::Serialize;

/// Text for people or JSON for programs.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// One JSON document on stdout.
    pub json: bool,
}

impl Output {
    /// One line for people; nothing in JSON mode.
    pub fn line(self, text: impl std::fmt::Display) {
        if !self.json {
            anstream::println!("{text}");
        }
    }

    /// A heading for people.
    pub fn heading(self, text: impl std::fmt::Display) {
        if !self.json {
            anstream::println!("\n{}", text.bold());
        }
    }

    /// A label and a value for people.
    pub fn field(self, label: &str, value: impl std::fmt::Display) {
        if !self.json {
            anstream::println!("  {:<14} {value}", label.dimmed());
        }
    }

    /// The document, in JSON mode.
    pub fn document<T: Serialize>(self, value: &T) {
        if self.json {
            println!("{}", serde_json::to_string(value).unwrap_or_default());
        }
    }

    /// The error and its causes, one line each, on stderr.
    pub fn failure(self, error: &(dyn std::error::Error + 'static)) {
        if self.json {
            let mut causes = Vec::new();
            let mut cause = error.source();
            while let Some(inner) = cause {
                causes.push(inner.to_string());
                cause = inner.source();
            }
            eprintln!(
                "{}",
                serde_json::json!({ "error": error.to_string(), "causes": causes })
            );
            return;
        }
        anstream::eprintln!("{} {error}", "error:".red().bold());
        let mut cause = error.source();
        while let Some(inner) = cause {
            anstream::eprintln!("  {} {inner}", "because:".dimmed());
            cause = inner.source();
        }
    }
}
