//! What each check looks for.

pub(super) mod ahead;
pub(super) mod api;
pub(super) mod certificates;
pub(super) mod controller;
pub(super) mod definitions;
pub(super) mod envoy;
pub(super) mod installation;
pub(super) mod traffic;

/// The first five of a list, and how many more there are.
fn listed(all: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
    match all.len().checked_sub(SHOWN) {
        None | Some(0) => shown.join("\n"),
        Some(more) => format!("{}\nand {more} more", shown.join("\n")),
    }
}

#[cfg(test)]
pub(super) mod tests;
