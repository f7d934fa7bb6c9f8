//! The table.

use std::time::Duration;

/// One line: a name, and a value for each size.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

impl Row {
    pub(crate) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }
}

/// A column: a world and what was measured of it.
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// Prints the columns side by side.
pub(crate) fn print(columns: &[Column]) {
    let mut names: Vec<&str> = Vec::new();
    for row in columns.iter().flat_map(|column| &column.rows) {
        if !names.contains(&row.name) {
            names.push(row.name);
        }
    }
    let titles: Vec<&str> = columns.iter().map(|column| column.title.as_str()).collect();
    println!("| | {} |", titles.join(" | "));
    println!("|---|{}", "--:|".repeat(columns.len()));
    for name in names {
        let values: Vec<&str> = columns
            .iter()
            .map(|column| {
                column.rows.iter().find(|row| row.name == name).map_or("-", |row| &row.value)
            })
            .collect();
        println!("| {name} | {} |", values.join(" | "));
    }
}

/// The median and the 99th percentile, in milliseconds.
pub(crate) fn percentiles(samples: &mut [Duration]) -> String {
    samples.sort();
    let at = |share: f64| {
        let last = samples.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        samples.get(index).map_or(f64::NAN, |d| d.as_secs_f64() * 1e3)
    };
    format!("{:.2} / {:.2}", at(0.5), at(0.99))
}
