//! Finds and reads the files of manifests below a directory: one answer for the controller, the
//! sandbox and `shift -f` to which files count, and to what a file is that cannot be read.
//!
//! Knows nothing of what stands in them.

mod list;
mod read;

pub use list::{Listing, is_manifest, list};
pub use read::{
    Identity, Reading, Refusal, Signature, appears_whole, identity, is_link, read, signature,
};
