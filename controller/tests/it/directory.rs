//! The directory source, with real files and the system's real notifications.

use std::fs;
use std::path::Path;
use std::process::Command;

use contour::source::directory::Directory;
use contour::source::{Batch, SourceError};
use contour_core::api::Object;
use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::name::{FieldPath, Kind, ObjectRef};
use contour_core::pipeline::Change;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{PATIENCE, service};

/// A directory being watched, and what was heard of it.
struct Watched {
    dir: TempDir,
    batches: mpsc::Receiver<Batch>,
    _directory: Directory,
}

/// What a test looks at of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// A Service with this port.
    Service(String, i64),
    Deleted(String),
    Undecodable(String),
    Problem(String, Vec<&'static str>),
}

fn seen(batch: &Batch) -> Vec<Seen> {
    let name = |object: &ObjectRef| object.name.name.to_string();
    let changes = batch.changes.iter().map(|change| match change {
        Change::Apply(object, _) => match object.as_ref() {
            Object::Service(s) => Seen::Service(s.metadata.name.to_string(), s.spec.ports[0].port),
            other => panic!("unexpected {other:?}"),
        },
        Change::Delete(object) => Seen::Deleted(name(object)),
        Change::Undecodable(object, _) => Seen::Undecodable(name(object)),
        Change::Clock(_) => panic!("a directory knows no clock"),
    });
    let problems = batch.problems.iter().map(|(file, diagnostics)| {
        let file = Path::new(&**file).file_name().unwrap().to_string_lossy();
        Seen::Problem(file.into_owned(), diagnostics.iter().map(|d| d.code.as_str()).collect())
    });
    let mut all: Vec<_> = changes.chain(problems).collect();
    all.sort();
    all
}

fn applied(name: &str, port: i64) -> Seen {
    Seen::Service(name.to_owned(), port)
}

fn problem(file: &str, codes: &[Code]) -> Seen {
    Seen::Problem(file.to_owned(), codes.iter().map(|c| c.as_str()).collect())
}

impl Watched {
    /// Watches a directory with these files, and returns what was there at first.
    async fn new(files: &[(&str, &str)]) -> (Self, Vec<Seen>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (sender, batches) = mpsc::channel(16);
        let directory = Directory::start(dir.path(), sender).unwrap();
        let mut watched = Self { dir, batches, _directory: directory };
        let first = watched.batch().await;
        assert!(first.synced, "the first batch completes the start");
        (watched, seen(&first))
    }

    /// The next that says more than what has not been read since the start.
    async fn batch(&mut self) -> Batch {
        loop {
            let mut batch = self.any().await;
            batch.unread = None;
            if !batch.is_empty() {
                return batch;
            }
        }
    }

    async fn any(&mut self) -> Batch {
        let next = tokio::time::timeout(PATIENCE, self.batches.recv()).await;
        next.expect("something is told").expect("the watcher lives")
    }

    /// The parts that have not been read since the start, once the start is over and this is what
    /// they are.
    async fn unread(&mut self, expected: &[&str]) {
        loop {
            let Some(unread) = self.any().await.unread else {
                continue;
            };
            let names = unread.parts.iter().map(|part| {
                let path = part.split(" (").next().unwrap_or_default();
                Path::new(path).file_name().unwrap().to_string_lossy().into_owned()
            });
            let is_over = unread.gaps.is_empty() == unread.parts.is_empty();
            if is_over && names.eq(expected.iter().copied()) {
                return;
            }
        }
    }

    /// The next that has to do with objects or problems; places may be told as well.
    async fn next(&mut self) -> Vec<Seen> {
        loop {
            let seen = seen(&self.batch().await);
            if !seen.is_empty() {
                return seen;
            }
        }
    }

    /// Writes a file aside and renames it into place.
    fn put(&self, name: &str, text: &str) {
        let aside = self.dir.path().join(".aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.path(name)).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// What is told up to and including the consequence of a mark that comes last.
    async fn until_mark(&mut self) -> Vec<Seen> {
        self.put("zz-mark.yaml", &service("mark", 1));
        let mut all = Vec::new();
        loop {
            let next = self.next().await;
            let done = next.contains(&applied("mark", 1));
            all.extend(next.into_iter().filter(|s| *s != applied("mark", 1)));
            if done {
                return all;
            }
        }
    }
}

fn place(diagnostics: &[Diagnostic]) -> String {
    let location = diagnostics[0].location.as_ref().expect("a place");
    let file = Path::new(&*location.file).file_name().unwrap().to_string_lossy();
    format!("{file}:{}:{}", location.line, location.column)
}

#[tokio::test]
async fn what_is_there_at_start_is_told_at_once_and_visible_manifests_alone() {
    let (_watched, first) = Watched::new(&[
        ("a.yaml", &service("a", 1)),
        ("sub/b.yml", &service("b", 2)),
        ("c.json", r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"c","namespace":"demo"},"spec":{"ports":[{"port":3}]}}"#),
        (".hidden.yaml", &service("h", 4)),
        ("notes.txt", "nothing"),
    ])
    .await;
    assert_eq!(first, [applied("a", 1), applied("b", 2), applied("c", 3)]);
}

#[tokio::test]
async fn a_file_is_read_when_it_is_closed_renamed_into_place_or_linked() {
    let (mut watched, first) = Watched::new(&[]).await;
    assert_eq!(first, []);
    fs::write(watched.path("a.yaml"), service("a", 1)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 1)]);
    watched.put("a.yaml", &service("a", 2));
    assert_eq!(watched.next().await, [applied("a", 2)]);
    fs::write(watched.path("original.txt"), service("l", 3)).unwrap();
    fs::hard_link(watched.path("original.txt"), watched.path("l.yaml")).unwrap();
    assert_eq!(watched.next().await, [applied("l", 3)]);
    std::os::unix::fs::symlink("original.txt", watched.path("k.yaml")).unwrap();
    assert_eq!(
        watched.next().await,
        [applied("l", 3), problem("l.yaml", &[Code::DuplicateObject])]
    );
}

#[tokio::test]
async fn a_file_is_not_read_while_it_is_being_written() {
    use std::io::Write as _;
    let (mut watched, _) = Watched::new(&[("a.yaml", &service("a", 1))]).await;
    let text = service("a", 2);
    let (begin, end) = text.split_at(40);
    let mut file = fs::File::create(watched.path("a.yaml")).unwrap();
    file.write_all(begin.as_bytes()).unwrap();
    file.sync_all().unwrap();
    assert_eq!(watched.until_mark().await, []);
    file.write_all(end.as_bytes()).unwrap();
    drop(file);
    assert_eq!(watched.next().await, [applied("a", 2)]);
}

#[tokio::test]
async fn only_objects_that_changed_are_told() {
    let two = |port| format!("{}---\n{}", service("a", 1), service("b", port));
    let (mut watched, first) = Watched::new(&[("a.yaml", &two(2))]).await;
    assert_eq!(first, [applied("a", 1), applied("b", 2)]);
    watched.put("a.yaml", &two(3));
    assert_eq!(watched.next().await, [applied("b", 3)]);
    watched.put("a.yaml", &service("b", 3));
    assert_eq!(watched.next().await, [Seen::Deleted("a".to_owned())]);
}

#[tokio::test]
async fn a_file_that_is_no_longer_yaml_keeps_its_objects_and_says_where() {
    let (mut watched, _) = Watched::new(&[("a.yaml", &service("a", 1))]).await;
    watched.put("a.yaml", &format!("{}---\nkind: [", service("a", 2)));
    let batch = watched.batch().await;
    assert_eq!(seen(&batch), [problem("a.yaml", &[Code::ManifestSyntax])]);
    assert!(place(&batch.problems[0].1).starts_with("a.yaml:6:"), "{batch:?}");
    watched.put("a.yaml", &service("a", 3));
    assert_eq!(watched.next().await, [applied("a", 3), problem("a.yaml", &[])]);
}

#[tokio::test]
async fn a_file_that_is_suddenly_empty_keeps_its_objects_and_one_of_comments_does_not() {
    let (mut watched, _) = Watched::new(&[("a.yaml", &service("a", 1))]).await;
    fs::write(watched.path("a.yaml"), "").unwrap();
    assert_eq!(watched.next().await, [problem("a.yaml", &[Code::ManifestSyntax])]);
    fs::write(watched.path("a.yaml"), "# kind: Service\n").unwrap();
    assert_eq!(watched.next().await, [Seen::Deleted("a".to_owned()), problem("a.yaml", &[])]);
}

#[tokio::test]
async fn an_object_with_a_wrong_field_is_told_as_such_and_its_neighbour_is_not_affected() {
    let (mut watched, _) = Watched::new(&[("a.yaml", &service("a", 1))]).await;
    let wrong = service("a", 1).replace("port: 1", "port: [1]");
    watched.put("a.yaml", &format!("{wrong}---\n{}", service("b", 2)));
    let batch = watched.batch().await;
    assert_eq!(seen(&batch), [applied("b", 2), Seen::Undecodable("a".to_owned())]);
    let Change::Undecodable(_, diagnostics) = &batch.changes[0] else {
        panic!("{batch:?}");
    };
    assert!(place(diagnostics).starts_with("a.yaml:4:"), "{diagnostics:?}");
}

#[tokio::test]
async fn a_file_that_is_deleted_takes_its_objects_with_it() {
    let (mut watched, _) =
        Watched::new(&[("a.yaml", &service("a", 1)), ("d/b.yaml", &service("b", 2))]).await;
    fs::remove_file(watched.path("a.yaml")).unwrap();
    assert_eq!(watched.next().await, [Seen::Deleted("a".to_owned())]);
    fs::remove_dir_all(watched.path("d")).unwrap();
    assert_eq!(watched.next().await, [Seen::Deleted("b".to_owned())]);
}

#[tokio::test]
async fn a_file_that_is_deleted_and_made_again_was_never_gone() {
    let (mut watched, _) = Watched::new(&[("a.yaml", &service("a", 1))]).await;
    fs::remove_file(watched.path("a.yaml")).unwrap();
    fs::write(watched.path("a.yaml"), service("a", 2)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 2)]);
    fs::rename(watched.path("a.yaml"), watched.path("b.yaml")).unwrap();
    fs::write(watched.path("b.yaml"), service("a", 3)).unwrap();
    let told = watched.until_mark().await;
    assert!(told.contains(&applied("a", 3)), "{told:?}");
    assert!(told.iter().all(|s| matches!(s, Seen::Service(..))), "{told:?}");
}

#[tokio::test]
async fn of_two_files_with_the_same_object_the_first_counts_and_the_other_takes_over() {
    let (mut watched, first) =
        Watched::new(&[("b.yaml", &service("x", 2)), ("c.yaml", &service("x", 3))]).await;
    assert_eq!(first, [applied("x", 2), problem("c.yaml", &[Code::DuplicateObject])]);
    watched.put("c.yaml", &service("x", 4));
    // Nothing to tell but that the file was read, which is nothing.
    watched.put("a.yaml", &service("x", 1));
    let duplicate = |file| problem(file, &[Code::DuplicateObject]);
    // The third is told anew, since another file now counts.
    assert_eq!(watched.next().await, [applied("x", 1), duplicate("b.yaml"), duplicate("c.yaml")]);
    fs::remove_file(watched.path("a.yaml")).unwrap();
    let told = watched.next().await;
    assert!(told.contains(&applied("x", 2)), "{told:?}");
    fs::remove_file(watched.path("b.yaml")).unwrap();
    let told = watched.until_mark().await;
    assert!(told.contains(&applied("x", 4)), "{told:?}");
    assert!(!told.contains(&Seen::Deleted("x".to_owned())), "{told:?}");
}

#[tokio::test]
async fn of_two_documents_of_a_file_with_the_same_object_the_first_counts() {
    let text = format!("{}---\n{}", service("x", 1), service("x", 2));
    let (_watched, first) = Watched::new(&[("a.yaml", &text)]).await;
    assert_eq!(first, [applied("x", 1), problem("a.yaml", &[Code::DuplicateObject])]);
}

#[tokio::test]
async fn files_that_cannot_be_read_are_told_and_their_objects_kept() {
    let (mut watched, _) = Watched::new(&[("a.yaml", &service("a", 1))]).await;
    watched.put("a.yaml", &"#".repeat((16 << 20) + 1));
    assert_eq!(watched.next().await, [problem("a.yaml", &[Code::ManifestTooLarge])]);
    fs::write(watched.path("a.yaml"), b"\xff").unwrap();
    assert_eq!(watched.next().await, [problem("a.yaml", &[Code::ManifestSyntax])]);
    let made = Command::new("mkfifo").arg(watched.path("p.yaml")).status().unwrap();
    assert!(made.success());
    assert_eq!(watched.next().await, [problem("p.yaml", &[Code::FileUnreadable])]);
    fs::remove_file(watched.path("p.yaml")).unwrap();
    assert_eq!(watched.next().await, [problem("p.yaml", &[])]);
    watched.put("a.yaml", &service("a", 2));
    assert_eq!(watched.next().await, [applied("a", 2), problem("a.yaml", &[])]);
}

/// A directory `real` with a file, and a link to it, which is watched.
async fn behind_a_link() -> (TempDir, Watched) {
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir(outer.path().join("real")).unwrap();
    fs::write(outer.path().join("real/a.yaml"), service("a", 1)).unwrap();
    let link = outer.path().join("link");
    std::os::unix::fs::symlink("real", &link).unwrap();
    let (sender, batches) = mpsc::channel(16);
    let directory = Directory::start(&link, sender).unwrap();
    let mut watched = Watched { dir: tempfile::tempdir().unwrap(), batches, _directory: directory };
    assert_eq!(seen(&watched.batch().await), [applied("a", 1)]);
    (outer, watched)
}

#[tokio::test]
async fn a_directory_that_is_a_symbolic_link_is_watched_like_any_other() {
    let (outer, mut watched) = behind_a_link().await;
    let path = |name: &str| outer.path().join(name);
    fs::write(path("real/a.yaml"), service("a", 2)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 2)]);
    fs::write(path("link/b.yaml"), service("b", 1)).unwrap();
    assert_eq!(watched.next().await, [applied("b", 1)]);
    fs::create_dir(path("real/sub")).unwrap();
    fs::write(path("real/sub/c.yaml"), service("c", 1)).unwrap();
    assert_eq!(watched.next().await, [applied("c", 1)]);
    // What happens beside the link is nothing to us.
    fs::write(path("beside.yaml"), service("beside", 1)).unwrap();
    fs::remove_file(path("real/b.yaml")).unwrap();
    assert_eq!(watched.next().await, [Seen::Deleted("b".to_owned())]);
}

#[tokio::test]
async fn a_link_that_is_turned_to_another_directory_is_followed() {
    use std::os::unix::fs::symlink;
    let (outer, mut watched) = behind_a_link().await;
    let path = |name: &str| outer.path().join(name);
    fs::create_dir(path("next")).unwrap();
    fs::write(path("next/a.yaml"), service("a", 2)).unwrap();
    symlink("next", path("aside")).unwrap();
    fs::rename(path("aside"), path("link")).unwrap();
    assert_eq!(watched.next().await, [applied("a", 2)]);
    fs::write(path("next/a.yaml"), service("a", 3)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 3)]);
    // The old one is watched no longer; a link to nothing is a directory that is gone.
    fs::write(path("real/a.yaml"), service("a", 9)).unwrap();
    fs::remove_file(path("link")).unwrap();
    assert_eq!(watched.next().await, [problem("link", &[Code::FileUnreadable])]);
    symlink("real", path("link")).unwrap();
    let mut told = watched.next().await;
    while told.len() < 2 {
        told.extend(watched.next().await);
    }
    assert_eq!(told, [applied("a", 9), problem("link", &[])]);
}

#[tokio::test]
async fn the_ends_of_links_to_files_are_looked_at_too() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("original.txt");
    fs::write(&target, service("a", 1)).unwrap();
    let (mut watched, _) = Watched::new(&[]).await;
    symlink(&target, watched.path("a.yaml")).unwrap();
    assert_eq!(watched.next().await, [applied("a", 1)]);
    fs::write(&target, service("a", 2)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 2)]);
    fs::remove_file(&target).unwrap();
    assert_eq!(watched.next().await, [problem("a.yaml", &[Code::FileUnreadable])]);
    fs::write(&target, service("a", 3)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 3), problem("a.yaml", &[])]);
    fs::remove_file(watched.path("a.yaml")).unwrap();
    assert_eq!(watched.next().await, [Seen::Deleted("a".to_owned())]);
}

#[tokio::test]
async fn links_to_directories_are_told_and_not_followed_not_even_in_circles() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("b.yaml"), service("b", 1)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), service("a", 1)).unwrap();
    symlink(".", dir.path().join("circle")).unwrap();
    symlink(dir.path(), dir.path().join("circle.yaml")).unwrap();
    let (sender, batches) = mpsc::channel(16);
    let directory = Directory::start(dir.path(), sender).unwrap();
    let mut watched = Watched { dir, batches, _directory: directory };
    let link = |name: &str| problem(name, &[Code::LinkNotFollowed]);
    let first = watched.any().await;
    assert_eq!(seen(&first), [applied("a", 1), link("circle"), link("circle.yaml")]);
    // Whoever holds what stands behind it does not hold it by this directory.
    assert_eq!(first.unread.unwrap().parts.len(), 0);
    symlink(outside.path(), watched.path("team")).unwrap();
    assert_eq!(watched.next().await, [link("team")]);
    fs::remove_file(watched.path("team")).unwrap();
    assert_eq!(watched.next().await, [problem("team", &[])]);
    fs::remove_file(watched.path("circle.yaml")).unwrap();
    assert_eq!(watched.next().await, [problem("circle.yaml", &[])]);
    fs::write(watched.path("circle.yaml"), service("c", 1)).unwrap();
    assert_eq!(watched.next().await, [applied("c", 1)]);
}

/// A Service cut off in its middle.
fn cut(name: &str) -> String {
    service(name, 1).replace("}]}", "")
}

#[tokio::test]
async fn what_cannot_be_read_at_the_start_is_unread_until_it_was_whole_once() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("a.yaml"), service("a", 1)).unwrap();
    fs::write(path("cut.yaml"), format!("{}---\n{}", service("whole", 1), cut("cut"))).unwrap();
    fs::write(path("empty.yaml"), "").unwrap();
    fs::write(path("latin1.yaml"), b"\xff").unwrap();
    fs::write(path("wrong.yaml"), service("w", 1).replace("port: 1", "port: [1]")).unwrap();
    fs::write(path("comments.yaml"), "# nothing\n").unwrap();
    symlink("nothing.txt", path("dangles.yaml")).unwrap();
    symlink("turns.yaml", path("turns.yaml")).unwrap();
    let (sender, batches) = mpsc::channel(16);
    let directory = Directory::start(dir.path(), sender).unwrap();
    let mut watched = Watched { dir, batches, _directory: directory };
    let first = watched.any().await;
    assert!(first.synced);
    assert_eq!(
        seen(&first),
        [
            applied("a", 1),
            applied("whole", 1),
            Seen::Undecodable("w".to_owned()),
            problem("cut.yaml", &[Code::ManifestSyntax]),
            problem("dangles.yaml", &[Code::FileUnreadable]),
            problem("latin1.yaml", &[Code::ManifestSyntax]),
            problem("turns.yaml", &[Code::FileUnreadable]),
        ]
    );
    let all = ["cut.yaml", "dangles.yaml", "empty.yaml", "latin1.yaml", "turns.yaml", "wrong.yaml"];
    let parts = first.unread.expect("it is told with the first batch").parts;
    assert_eq!(parts.len(), all.len(), "{parts:?}");
    watched.put("cut.yaml", &service("cut", 1));
    fs::write(watched.path("nothing.txt"), service("d", 1)).unwrap();
    fs::write(watched.path("empty.yaml"), service("e", 1)).unwrap();
    fs::remove_file(watched.path("latin1.yaml")).unwrap();
    watched.unread(&["turns.yaml", "wrong.yaml"]).await;
    watched.put("wrong.yaml", &service("w", 1));
    watched.put("turns.yaml", &service("t", 1));
    watched.unread(&[]).await;
}

#[tokio::test]
async fn a_file_that_is_being_written_at_the_start_is_waited_for() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{}---\n{}", service("a", 1), service("b", 2));
    // What stands so far is whole as YAML.
    let (begin, end) = text.split_at(text.find("---").unwrap());
    let mut file = fs::File::create(dir.path().join("a.yaml")).unwrap();
    file.write_all(begin.as_bytes()).unwrap();
    let (sender, batches) = mpsc::channel(16);
    let directory = Directory::start(dir.path(), sender).unwrap();
    file.write_all(end.as_bytes()).unwrap();
    drop(file);
    let mut watched = Watched { dir, batches, _directory: directory };
    let first = watched.any().await;
    assert_eq!(seen(&first), [applied("a", 1), applied("b", 2)]);
}

#[tokio::test]
async fn what_was_whole_once_is_never_unread_again_and_neither_is_what_is_new() {
    let (mut watched, _) = Watched::new(&[("a.yaml", &service("a", 1))]).await;
    watched.unread(&[]).await;
    watched.put("a.yaml", &cut("a"));
    watched.put("b.yaml", &cut("b"));
    watched.put("zz-mark.yaml", &service("mark", 1));
    let mut codes = Vec::new();
    loop {
        let batch = watched.any().await;
        assert_eq!(batch.unread, None);
        codes.extend(batch.problems.iter().map(|(_, problems)| problems[0].code));
        if seen(&batch).contains(&applied("mark", 1)) {
            break;
        }
    }
    assert_eq!(codes, [Code::ManifestSyntax; 2]);
}

#[tokio::test]
async fn a_new_directory_is_watched_too_and_so_is_one_that_is_moved_in() {
    let (mut watched, _) = Watched::new(&[]).await;
    fs::create_dir(watched.path("d")).unwrap();
    fs::write(watched.path("d/a.yaml"), service("a", 1)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 1)]);
    fs::write(watched.path("d/a.yaml"), service("a", 2)).unwrap();
    assert_eq!(watched.next().await, [applied("a", 2)]);
    let outside = tempfile::tempdir_in(watched.dir.path().parent().unwrap()).unwrap();
    fs::create_dir(outside.path().join("e")).unwrap();
    fs::write(outside.path().join("e/b.yaml"), service("b", 3)).unwrap();
    fs::rename(outside.path().join("e"), watched.path("e")).unwrap();
    assert_eq!(watched.next().await, [applied("b", 3)]);
    fs::write(watched.path("e/b.yaml"), service("b", 4)).unwrap();
    assert_eq!(watched.next().await, [applied("b", 4)]);
}

#[tokio::test]
async fn a_mounted_config_map_is_read_again_when_its_content_is_swapped() {
    use std::os::unix::fs::symlink;
    let (mut watched, _) = Watched::new(&[("..one/a.yaml", &service("a", 1))]).await;
    symlink("..one", watched.path("..data")).unwrap();
    symlink("..data/a.yaml", watched.path("a.yaml")).unwrap();
    assert_eq!(watched.next().await, [applied("a", 1)]);
    fs::create_dir(watched.path("..two")).unwrap();
    fs::write(watched.path("..two/a.yaml"), service("a", 2)).unwrap();
    symlink("..two", watched.path("..data_tmp")).unwrap();
    fs::rename(watched.path("..data_tmp"), watched.path("..data")).unwrap();
    fs::remove_dir_all(watched.path("..one")).unwrap();
    assert_eq!(watched.next().await, [applied("a", 2)]);
}

#[tokio::test]
async fn if_the_whole_directory_goes_everything_stays_until_it_is_back() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("routes");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), service("a", 1)).unwrap();
    fs::write(root.join("b.yaml"), service("b", 1)).unwrap();
    let (sender, mut batches) = mpsc::channel(16);
    let _directory = Directory::start(&root, sender).unwrap();
    let mut next = async || {
        loop {
            let batch = tokio::time::timeout(PATIENCE, batches.recv()).await.unwrap().unwrap();
            let seen = seen(&batch);
            if !seen.is_empty() {
                return seen;
            }
        }
    };
    assert_eq!(next().await.len(), 2);
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(next().await, [problem("routes", &[Code::FileUnreadable])]);
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), service("a", 2)).unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.extend(next().await);
    }
    told.sort();
    let deleted = Seen::Deleted("b".to_owned());
    assert_eq!(told, [applied("a", 2), deleted, problem("routes", &[])]);
    fs::write(root.join("a.yaml"), service("a", 3)).unwrap();
    assert_eq!(next().await, [applied("a", 3)]);
}

#[tokio::test]
async fn places_are_told_and_follow_the_text() {
    let (mut watched, _) = Watched::new(&[]).await;
    watched.put("a.yaml", &format!("# one\n{}", service("a", 1)));
    let first = watched.batch().await;
    watched.put("a.yaml", &format!("# one\n# two\n{}", service("a", 1)));
    let second = watched.batch().await;
    assert!(second.changes.is_empty(), "{second:?}");
    let line = |batch: &Batch| {
        let (object, spans) = &batch.places[0];
        assert_eq!(*object, ObjectRef::new(Kind::Service, "demo", "a"));
        let place = spans.as_ref().unwrap().locate(&FieldPath::of(".spec.ports[0].port"));
        place.unwrap().line
    };
    assert_eq!((line(&first), line(&second)), (5, 6));
}

#[tokio::test]
async fn a_burst_of_files_is_seen_whole() {
    let (mut watched, _) = Watched::new(&[]).await;
    for n in 0..2000 {
        fs::write(watched.path(&format!("{n}.yaml")), service(&format!("s{n}"), 1)).unwrap();
    }
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 2000 {
        told.extend(watched.next().await);
    }
    assert!(told.iter().all(|s| matches!(s, Seen::Service(..))));
}

#[test]
fn a_directory_that_is_missing_or_none_is_refused_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let start = |path: &Path| Directory::start(path, mpsc::channel(1).0);
    let missing = start(&dir.path().join("x")).unwrap_err();
    assert!(matches!(missing, SourceError::Directory { .. }), "{missing}");
    fs::write(dir.path().join("f"), "").unwrap();
    let file = start(&dir.path().join("f")).unwrap_err();
    assert!(matches!(file, SourceError::NotADirectory { .. }), "{file}");
}
