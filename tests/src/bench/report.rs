//! The table: goal, what was measured, and where it falls short.

use serde::Serialize;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// What is measured.
    pub(super) name: &'static str,
    /// The number aimed at.
    pub(super) goal: String,
    /// The number that was reached.
    pub(super) measured: String,
    /// CPU time of the gateway per operation, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_us: Option<u64>,
    /// Median, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p50_us: Option<u64>,
    /// 99th percentile, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p99_us: Option<u64>,
    /// Whether the goal is reached.
    pub(super) pass: bool,
    /// What else must be known to read the number.
    pub(super) notes: Vec<String>,
}

impl Row {
    /// A row without distribution.
    pub(super) fn new(name: &'static str, goal: &str, measured: String, pass: bool) -> Self {
        Self {
            name,
            goal: goal.to_owned(),
            measured,
            cpu_us: None,
            p50_us: None,
            p99_us: None,
            pass,
            notes: Vec::new(),
        }
    }

    /// With a note.
    pub(super) fn note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    /// Runnable processes per core-minute before the start, hundredths: above 0.1 per core others were at work.
    load_before: String,
    optimised: bool,
}

impl Machine {
    /// This one.
    pub(super) fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cpu: model.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rows: Vec<Row>,
}

impl Report {
    /// For people.
    pub(super) fn text(&self) -> String {
        let Machine {
            cpu,
            cores,
            load_before,
            optimised,
        } = &self.machine;
        let mut text = format!("{cpu}, {cores} cores, load before the start {load_before}");
        if !optimised {
            text.push_str(", NOT OPTIMISED: numbers mean nothing");
        }
        text.push_str("\n\n");
        let header = ["scenario", "goal", "measured", "CPU/op", "p50", "p99", ""];
        let mut table = vec![header.map(str::to_owned)];
        table.extend(self.rows.iter().map(|row| {
            [
                row.name.to_owned(),
                row.goal.clone(),
                row.measured.clone(),
                micros(row.cpu_us),
                micros(row.p50_us),
                micros(row.p99_us),
                if row.pass { "pass" } else { "SHORT" }.to_owned(),
            ]
        }));
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                let cells = table.iter().map(|cells| cells[column].chars().count());
                cells.max().unwrap_or(0)
            })
            .collect();
        for cells in &table {
            let padded = cells.iter().zip(&widths);
            let line: Vec<String> = padded
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        for row in self.rows.iter().filter(|row| !row.notes.is_empty()) {
            text.push_str(&format!("\n{}:\n", row.name));
            for note in &row.notes {
                text.push_str(&format!("  - {note}\n"));
            }
        }
        text
    }
}

/// A duration in the unit a person would use.
pub(super) fn micros(micros: Option<u64>) -> String {
    match micros {
        None => "-".to_owned(),
        Some(us) if us < 10_000 => format!("{us} µs"),
        Some(us) if us < 10_000_000 => format!("{} ms", us / 1_000),
        Some(us) => format!("{} s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_falls_short_says_so_in_the_table() {
        let mut row = Row::new("things", "≥ 10/s", "9/s".to_owned(), false);
        row.p99_us = Some(12_345);
        let report = Report {
            machine: Machine::here(),
            rows: vec![row.note("somebody was slow".to_owned())],
        };
        let text = report.text();
        let line = text
            .lines()
            .find(|line| line.starts_with("things"))
            .unwrap();
        assert!(line.contains("12 ms") && line.ends_with("SHORT"), "{text}");
        assert!(text.contains("- somebody was slow"), "{text}");
    }
}
