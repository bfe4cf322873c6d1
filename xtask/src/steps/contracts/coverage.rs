//! Reads an lcov report and holds lines and branches of `contracts/src` against the goal.

use std::{fs, path::Path};

use crate::failure::Failure;

const SOURCES: &str = "contracts/src/";
/// Per cent of lines, and of branches.
const GOAL: u64 = 98;

#[derive(Debug, Default, PartialEq)]
struct Count {
    found: u64,
    hit: u64,
}

impl Count {
    fn reaches(&self, goal: u64) -> bool {
        self.found > 0 && self.hit.saturating_mul(100) >= self.found.saturating_mul(goal)
    }
}

pub(super) fn expect(report: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(report).map_err(Failure::file("reading", report))?;
    let (lines, branches) = read(&text);
    println!(
        "contracts/src: {} of {} lines, {} of {} branches",
        lines.hit, lines.found, branches.hit, branches.found
    );
    if lines.reaches(GOAL) && branches.reaches(GOAL) {
        return Ok(());
    }
    Err(Failure::Unproven {
        what: "the unit tests cover less than 98 % of the lines or branches of contracts/src",
    })
}

fn read(text: &str) -> (Count, Count) {
    let (mut lines, mut branches) = (Count::default(), Count::default());
    let mut ours = false;
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let number = value.trim().parse().unwrap_or(0);
        match name {
            "SF" => ours = value.contains(SOURCES),
            "LF" if ours => lines.found = lines.found.saturating_add(number),
            "LH" if ours => lines.hit = lines.hit.saturating_add(number),
            "BRF" if ours => branches.found = branches.found.saturating_add(number),
            "BRH" if ours => branches.hit = branches.hit.saturating_add(number),
            _ => {}
        }
    }
    (lines, branches)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "SF:contracts/src/A.sol\nBRF:4\nBRH:3\nLF:100\nLH:98\nend_of_record\n\
                          SF:contracts/test/B.sol\nLF:9\nLH:0\nBRF:9\nBRH:0\nend_of_record\n";

    #[test]
    fn only_the_sources_count() {
        let (lines, branches) = read(REPORT);
        assert_eq!(
            lines,
            Count {
                found: 100,
                hit: 98
            }
        );
        assert_eq!(branches, Count { found: 4, hit: 3 });
    }

    #[test]
    fn the_goal_is_for_lines_and_branches_and_an_empty_report_misses_it() {
        let (lines, branches) = read(REPORT);
        assert!(lines.reaches(98) && !branches.reaches(98));
        assert!(!Count::default().reaches(98));
    }
}
