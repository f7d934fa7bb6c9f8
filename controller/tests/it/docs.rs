//! Documents that are written from tables in the code say what the code says.

use std::path::Path;

fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("CONTOUR_UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).expect("docs can be written");
    }
    let actual = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "docs/{name} is out of date; CONTOUR_UPDATE_DOCS=1 cargo test -p contour docs writes it again"
    );
}

#[test]
fn the_document_of_metrics_is_up_to_date() {
    check("metrics.md", &contour::metrics::markdown());
}

#[test]
fn the_document_of_exit_codes_is_up_to_date() {
    check("exit-codes.md", &contour::exit::markdown());
}

#[test]
fn the_document_of_the_configuration_file_is_up_to_date() {
    check("configuration.md", &contour::configuration::markdown());
}
