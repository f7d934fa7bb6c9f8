use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::sync::Barrier;

use contour_core::api::Timestamp;
use contour_core::shift::weights::{Place, Service};
use tempfile::TempDir;

use super::*;

const SHOP: &str = "\
# The shop.
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: shop, namespace: demo}
spec:
  routes:
  - match: /
    services:
    - name: blue
      port: 80
      weight: 90   # most
    - {name: green, port: 80}
";

fn name(name: &str) -> ObjectName {
    ObjectName::new("demo", name)
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn weights_of(blue: i64, green: Option<i64>) -> Weights {
    let service = |name: &str| Service { name: name.into(), port: 80 };
    let services = [(service("blue"), Some(blue)), (service("green"), green)];
    Weights::new(Place::Route("/".into()), services).unwrap()
}

/// A write of these weights onto what is there.
fn write_onto(live: &Live, weights: Weights) -> Write {
    Write {
        uid: live.uid.clone(),
        version: live.version.clone(),
        expected: live.weights.clone(),
        not_after: Timestamp::from_unix(i64::MAX),
        weights: vec![weights],
        annotation: "{}".to_owned(),
    }
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_route_is_read_and_written_and_read_again() {
    let directory = directory(&[("a/shop.yaml", SHOP), ("b.yaml", "")]);
    let files = Files::open(directory.path()).unwrap();
    let live = files.read(&name("shop")).unwrap().unwrap();
    assert_eq!(live.uid, Note::new("file:demo/shop"));
    assert_eq!(live.generation, 0);
    assert_eq!(live.weights, [weights_of(90, None)]);
    assert_eq!(live.annotation, None);

    let answer = files.write(&name("shop"), &write_onto(&live, weights_of(60, Some(40))));
    let after = files.read(&name("shop")).unwrap().unwrap();
    assert_eq!(answer, Answer::Done(after.version.clone(), 0));
    assert_ne!(after.version, live.version);
    assert_eq!(after.weights, [weights_of(60, Some(40))]);
    assert_eq!(after.annotation.as_deref(), Some("{}"));
    let want = SHOP
        .replace(
            "namespace: demo",
            "namespace: demo, annotations: {shift.contour.heptio.com/state: '{}'}",
        )
        .replace("90   #", "60   #")
        .replace("green, port: 80", "green, port: 80, weight: 40");
    assert_eq!(fs::read_to_string(directory.path().join("a/shop.yaml")).unwrap(), want);
    assert_eq!(files.read(&name("mall")).unwrap(), None);
}

#[test]
fn what_has_changed_meanwhile_is_not_overwritten() {
    let directory = directory(&[("shop.yaml", SHOP)]);
    let path = directory.path().join("shop.yaml");
    let files = Files::open(&path).unwrap();
    let live = files.read(&name("shop")).unwrap().unwrap();
    let write = write_onto(&live, weights_of(60, Some(40)));
    let other = Write { expected: vec![weights_of(1, None)], ..write.clone() };
    assert_eq!(files.write(&name("shop"), &other), Answer::Conflict);
    let other = Write { uid: Note::new("file:demo/mall"), ..write.clone() };
    assert_eq!(files.write(&name("shop"), &other), Answer::Conflict);
    assert_eq!(fs::read_to_string(&path).unwrap(), SHOP);
    fs::write(&path, format!("{SHOP}# more\n")).unwrap();
    assert_eq!(files.write(&name("shop"), &write), Answer::Conflict);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{SHOP}# more\n"));
    fs::remove_file(&path).unwrap();
    assert_eq!(files.write(&name("shop"), &write), Answer::Conflict);
}

#[test]
fn of_two_who_write_at_once_one_has_a_conflict() {
    for round in 0..50 {
        let directory = directory(&[("shop.yaml", SHOP)]);
        let barrier = Barrier::new(2);
        let answers = std::thread::scope(|scope| {
            let writer = |weight| {
                let files = Files::open(directory.path()).unwrap();
                let live = files.read(&name("shop")).unwrap().unwrap();
                barrier.wait();
                files.write(&name("shop"), &write_onto(&live, weights_of(90, Some(weight))))
            };
            let (one, two) = (scope.spawn(move || writer(1)), scope.spawn(move || writer(2)));
            [one.join().unwrap(), two.join().unwrap()]
        });
        let done = answers.iter().filter(|a| matches!(a, Answer::Done(..))).count();
        let conflicts = answers.iter().filter(|a| **a == Answer::Conflict).count();
        assert_eq!((done, conflicts), (1, 1), "{round}: {answers:?}");
        assert_eq!(names(&directory), ["shop.yaml"]);
    }
}

#[test]
fn two_routes_of_one_file_can_be_shifted_at_once() {
    let both = format!("{SHOP}---\n{}", SHOP.replace("name: shop", "name: mall"));
    let directory = directory(&[("all.yaml", &both)]);
    std::thread::scope(|scope| {
        for route in ["shop", "mall"] {
            let path = directory.path();
            scope.spawn(move || {
                let files = Files::open(path).unwrap();
                for weight in 1..=20 {
                    loop {
                        let live = files.read(&name(route)).unwrap().unwrap();
                        let write = write_onto(&live, weights_of(90, Some(weight)));
                        let answer = files.write(&name(route), &write);
                        if answer != Answer::Conflict {
                            assert!(matches!(answer, Answer::Done(..)), "{answer:?}");
                            break;
                        }
                    }
                }
            });
        }
    });
    let files = Files::open(directory.path()).unwrap();
    for route in ["shop", "mall"] {
        let live = files.read(&name(route)).unwrap().unwrap();
        assert_eq!(live.weights, [weights_of(90, Some(20))], "{route}");
    }
}

#[test]
fn what_a_killed_writer_leaves_is_not_read() {
    let directory = directory(&[
        ("shop.yaml", SHOP),
        (".contour-shift.x1.tmp", "apiVersion: contour.heptio.com/v1beta1\nkind: Ing"),
        (".git/shop.yaml", SHOP),
        ("shop.yaml~", SHOP),
    ]);
    symlink(directory.path(), directory.path().join("loop")).unwrap();
    let files = Files::open(directory.path()).unwrap();
    let routes = files.routes().unwrap();
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].file, directory.path().join("shop.yaml"));
    assert_eq!(routes[0].route.metadata.object_name(), name("shop"));
    let live = files.read(&name("shop")).unwrap().unwrap();
    let answer = files.write(&name("shop"), &write_onto(&live, weights_of(1, Some(1))));
    assert!(matches!(answer, Answer::Done(..)), "{answer:?}");
}

#[test]
fn the_first_file_by_path_counts() {
    let other = SHOP.replace("weight: 90", "weight: 7");
    let directory = directory(&[("b.yaml", SHOP), ("a/z.json", &other), ("c.yaml", SHOP)]);
    let files = Files::open(directory.path()).unwrap();
    assert_eq!(files.routes().unwrap().len(), 1);
    let live = files.read(&name("shop")).unwrap().unwrap();
    assert_eq!(live.weights, [weights_of(7, None)]);
}

#[test]
fn a_link_stays_and_what_it_leads_to_keeps_its_permissions() {
    let directory = directory(&[("real/shop.yaml", SHOP)]);
    let (real, link) =
        (directory.path().join("real/shop.yaml"), directory.path().join("link.yaml"));
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real/shop.yaml", &link).unwrap();
    let files = Files::open(&link).unwrap();
    let live = files.read(&name("shop")).unwrap().unwrap();
    let answer = files.write(&name("shop"), &write_onto(&live, weights_of(1, Some(1))));
    assert!(matches!(answer, Answer::Done(..)), "{answer:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("weight: 1}"));
}

#[test]
fn a_file_that_cannot_be_read_is_not_one_without_the_route() {
    let directory = directory(&[("shop.yaml", SHOP), ("team.yaml", "kind: [")]);
    let files = Files::open(directory.path()).unwrap();
    assert!(files.read(&name("shop")).unwrap().is_some(), "it is elsewhere");
    let failure = files.read(&name("mall")).unwrap_err();
    let team = directory.path().join("team.yaml").display().to_string();
    assert!(
        failure.message.starts_with(&format!("IngressRoute demo/mall is not found; {team}:1:")),
        "{failure:?}"
    );

    let path = directory.path().join("shop.yaml");
    fs::write(&path, SHOP.replace("weight: 90", "weight: many")).unwrap();
    let failure = files.read(&name("shop")).unwrap_err();
    let place = format!("{}:11:15: `weight` must be", path.display());
    assert!(failure.message.starts_with(&place), "{failure:?}");
    assert!(files.routes().unwrap().is_empty());

    fs::write(&path, b"\xff").unwrap();
    let failure = files.read(&name("shop")).unwrap_err();
    assert!(failure.message.contains("cannot be read"), "{failure:?}");
}

#[test]
fn a_file_that_is_gone_for_a_moment_was_never_gone() {
    let directory = directory(&[]);
    let files = Files::open(directory.path()).unwrap();
    let path = directory.path().join("shop.yaml");
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(REPLACED / 4);
            fs::write(&path, SHOP).unwrap();
        });
        files.read(&name("shop")).unwrap()
    });
    assert!(found.is_some());
}

#[test]
fn what_is_not_there_is_named() {
    let directory = directory(&[]);
    let path = directory.path().join("none");
    let failure = Files::open(&path).unwrap_err();
    assert_eq!(failure.kind, Kind::Usage);
    assert!(failure.message.starts_with(&format!("{} cannot be read: ", path.display())));
    let failure = Files::open(Path::new("/dev/null")).unwrap_err();
    assert_eq!(failure.message, "/dev/null cannot be read: it is not a regular file");
}

#[test]
fn a_text_that_cannot_be_edited_is_refused_with_file_and_place() {
    let text = SHOP.replace("weight: 90", "weight: &w 90");
    let directory = directory(&[("shop.yaml", &text)]);
    let files = Files::open(directory.path()).unwrap();
    let live = files.read(&name("shop")).unwrap().unwrap();
    let answer = files.write(&name("shop"), &write_onto(&live, weights_of(1, None)));
    let Answer::Refused(why) = answer else { panic!("{answer:?}") };
    assert!(why.as_str().contains("line 11, column"), "{why}");
    assert_eq!(fs::read_to_string(directory.path().join("shop.yaml")).unwrap(), text);
}

#[test]
fn a_directory_that_cannot_be_written_is_said() {
    // Files of this kind are read as any others, and nobody may put others beside them.
    let path = Path::new("/proc/version");
    let outcome = replace::replace(path, |text| Ok(Some(format!("{text}x"))));
    let Err(replace::Error::Refused(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("the directory cannot be written: "), "{why}");
    let error = Lock::take(path, &name("shop"), &Note::new("me")).unwrap_err();
    let LockError::Failed(failure) = error else { panic!("{error:?}") };
    assert!(failure.message.starts_with("/proc/version cannot be locked beside it: "));
}

#[test]
fn a_lock_is_had_by_one_and_leaves_nothing() {
    let directory = directory(&[("shop.yaml", SHOP)]);
    let lock = |who: &str| {
        let files = Files::open(directory.path()).unwrap();
        files.lock(&name("shop"), &Note::new(who))
    };
    let held = lock("ann@host").unwrap();
    assert_eq!(names(&directory), [".contour-shift.demo.shop.lock", "shop.yaml"]);
    let error = lock("bob@host").unwrap_err();
    assert!(matches!(&error, LockError::Held(who) if who.as_str() == "ann@host"), "{error:?}");
    drop(held);
    assert_eq!(names(&directory), ["shop.yaml"]);

    // What is left of one that was killed locks nothing.
    fs::write(directory.path().join(".contour-shift.demo.shop.lock"), "a longer name").unwrap();
    let held = lock("bob").unwrap();
    let error = lock("ann").unwrap_err();
    assert!(matches!(&error, LockError::Held(who) if who.as_str() == "bob"), "{error:?}");
    drop(held);
    let missing = Files::open(directory.path()).unwrap().lock(&name("mall"), &Note::new("x"));
    assert!(matches!(missing, Err(LockError::Failed(_))));
}

#[test]
fn however_many_try_a_lock_is_never_had_by_two() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let directory = directory(&[("shop.yaml", SHOP)]);
    let path = directory.path().join("shop.yaml");
    let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for who in ["a", "b", "c", "d"] {
            let (path, inside, taken) = (&path, &inside, &taken);
            scope.spawn(move || {
                for _ in 0..200 {
                    if let Ok(lock) = Lock::take(path, &name("shop"), &Note::new(who)) {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                }
            });
        }
    });
    assert!(taken.into_inner() > 0);
    assert_eq!(names(&directory), ["shop.yaml"]);
}

#[test]
fn long_names_have_labels_that_fit() {
    let long = |end: &str| ObjectName::new("n".repeat(63), "r".repeat(252) + end);
    assert_ne!(uid(&long("a")), uid(&long("b")));
    let directory = directory(&[("shop.yaml", SHOP)]);
    let path = directory.path().join("shop.yaml");
    let one = Lock::take(&path, &long("a"), &Note::new("x")).unwrap();
    let two = Lock::take(&path, &long("b"), &Note::new("x")).unwrap();
    assert_eq!(names(&directory).len(), 3, "{one:?} {two:?}");
}
