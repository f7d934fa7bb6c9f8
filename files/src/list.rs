//! Which files below a directory are manifests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::read::{Signature, signature};

/// Whether a name is that of a manifest: `*.yaml`, `*.yml` or `*.json`, and not hidden.
pub fn is_manifest(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let known = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    known && !hidden
}

/// What stands in a directory and its subdirectories.
#[derive(Debug, Default)]
pub struct Listing {
    /// The manifests in the order of their paths, each with its signature if it could be had.
    pub files: Vec<(PathBuf, Option<Signature>)>,
    /// Directories that could not be listed, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Symbolic links to directories, which are not followed: they may lead in circles.
    pub links: Vec<PathBuf>,
}

/// Lists the manifests below `root`, which may itself be a symbolic link. Hidden names are left
/// out.
pub fn list(root: &Path) -> Listing {
    let mut listing = Listing::default();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        if let Err(error) = list_one(&directory, &mut directories, &mut listing) {
            // What vanishes while we look at it was not there.
            if error.kind() != io::ErrorKind::NotFound || directory == root {
                listing.unreadable.push((directory, error));
            }
        }
    }
    listing.files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    listing.links.sort_unstable();
    listing
}

fn list_one(
    directory: &Path,
    directories: &mut Vec<PathBuf>,
    listing: &mut Listing,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            directories.push(path);
        } else if kind.is_symlink() && path.is_dir() {
            listing.links.push(path);
        } else if is_manifest(&path) {
            let signature = signature(&path);
            listing.files.push((path, signature));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_visible_manifests_are_read() {
        for (name, expected) in [
            ("a.yaml", true),
            ("d/a.yml", true),
            ("a.json", true),
            ("a.yaml~", false),
            (".a.yaml", false),
            (".a.yaml.swp", false),
            ("a.txt", false),
            ("yaml", false),
        ] {
            assert_eq!(is_manifest(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_listing_leaves_out_hidden_names_follows_no_directory_and_is_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for name in ["b.yaml", "a/z.json", ".git/x.yaml", "a/.x.yaml", "c.txt"] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        symlink(&root, root.join("loop")).unwrap();
        symlink(".", root.join("a/turns.yaml")).unwrap();
        symlink("nothing", root.join("dangles.yaml")).unwrap();
        symlink("itself.yaml", root.join("itself.yaml")).unwrap();
        symlink("b.yaml", root.join("link.yaml")).unwrap();
        symlink(&root, dir.path().join("link")).unwrap();
        for root in [root, dir.path().join("link")] {
            let found = list(&root);
            let inside = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
            let files: Vec<_> = found.files.iter().map(|(path, _)| inside(path)).collect();
            let expected = ["a/z.json", "b.yaml", "dangles.yaml", "itself.yaml", "link.yaml"];
            assert_eq!(files, expected);
            let known: Vec<_> = found.files.iter().map(|(_, s)| s.is_some()).collect();
            assert_eq!(known, [true, true, false, false, true]);
            let links: Vec<_> = found.links.iter().map(inside).collect();
            assert_eq!(links, ["a/turns.yaml", "loop"]);
            assert!(found.unreadable.is_empty());
        }
    }

    #[test]
    fn what_is_no_directory_is_said_to_be_none() {
        let dir = tempfile::tempdir().unwrap();
        for (path, kind) in [
            (dir.path().join("missing"), io::ErrorKind::NotFound),
            (dir.path().join("file"), io::ErrorKind::NotADirectory),
        ] {
            if kind == io::ErrorKind::NotADirectory {
                fs::write(&path, "").unwrap();
            }
            let found = list(&path);
            let kinds: Vec<_> = found.unreadable.iter().map(|(_, error)| error.kind()).collect();
            assert_eq!(kinds, [kind]);
        }
    }
}
