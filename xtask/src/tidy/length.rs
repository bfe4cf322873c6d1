//! Files stay short enough to be read in one go. Unit tests at the end of a file do not count, and
//! neither do files that hold nothing but tests.

use super::Finding;

const LIMIT_LINES: usize = 500;

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    if is_all_tests(path) {
        return Vec::new();
    }
    let lines = lines_before_tests(text);
    if lines <= LIMIT_LINES {
        return Vec::new();
    }
    let message = format!("{lines} lines without tests; the limit is {LIMIT_LINES}");
    vec![Finding::new(path, 0, message)]
}

/// Cargo's own `tests` folders inside a package, `tests.rs` modules and TypeScript tests. The
/// harness of the top-level `tests` package is code like any other.
fn is_all_tests(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with(".test.ts")
}

fn lines_before_tests(text: &str) -> usize {
    let lines = text.lines().collect::<Vec<_>>();
    lines
        .iter()
        .enumerate()
        .position(|(number, line)| line.trim() == "#[cfg(test)]" && opens_module(&lines, number))
        .unwrap_or(lines.len())
}

/// The attribute may stand on a module with a body; on anything else the file goes on.
fn opens_module(lines: &[&str], attribute: usize) -> bool {
    lines
        .iter()
        .skip(attribute)
        .map(|line| line.trim())
        .find(|line| !line.starts_with("#[") && !line.starts_with("//"))
        .is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_five_hundred_lines() {
        assert!(check("core/src/a.rs", &"x\n".repeat(500)).is_empty());
        let found = check("core/src/a.rs", &"x\n".repeat(501));
        assert_eq!(
            found[0].message,
            "501 lines without tests; the limit is 500"
        );
    }

    #[test]
    fn unit_tests_at_the_end_do_not_count() {
        let text = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "x\n".repeat(400),
            "y\n".repeat(400)
        );
        assert!(check("core/src/a.rs", &text).is_empty());
    }

    #[test]
    fn an_import_for_tests_does_not_hide_the_rest_of_the_file() {
        let text = format!("#[cfg(test)]\nuse a::b;\n{}", "x\n".repeat(500));
        assert_eq!(check("core/src/a.rs", &text).len(), 1);
    }

    #[test]
    fn files_of_tests_are_free_but_the_harness_is_not() {
        let text = "x\n".repeat(501);
        assert!(check("router/store/tests/durable.rs", &text).is_empty());
        assert_eq!(check("tests/src/actors.rs", &text).len(), 1);
    }
}
