//! The plugin as its users meet it: the program itself, and the files that it writes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test, failing is how it reports"
)]

mod it {
    mod completion;
    mod create;
    mod documents;
    mod example;
    mod inspection;
    mod krew;
    mod live;
    mod program;
    mod refusals;
    mod sandbox;
    mod schema;
    mod screen;
    mod shift;
    mod tap;
    mod terminal;
    mod top;
}
