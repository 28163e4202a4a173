//! One moment of several files while they are written.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;

#[test]
fn no_file_of_a_moment_is_ahead_of_the_one_that_was_written_before_it() {
    let (first, second) = (shop(), shop());
    let (stop, folder) = (AtomicBool::new(false), TempDir::new().unwrap());
    let count =
        |database: &Arc<Database>| number_in(&database.query("SELECT count(*) FROM item", &[], soon()).unwrap());
    std::thread::scope(|scope| {
        // Each number is committed in the first file, then in the second.
        scope.spawn(|| {
            for i in 0.. {
                first.add(&i.to_string()).unwrap();
                second.add(&i.to_string()).unwrap();
                if stop.load(SeqCst) {
                    return;
                }
            }
        });
        for round in 0..20 {
            let before = second.items();
            let moment = moment(&[second.database.clone(), first.database.clone()]).unwrap();
            // What is written from here on is not in it.
            while second.items() < before + 3 {
                std::thread::yield_now();
            }
            let copies: Vec<_> = moment
                .iter()
                .enumerate()
                .map(|(at, snapshot)| {
                    let path = folder.path().join(format!("{round}-{at}.db"));
                    snapshot.write(&path).unwrap();
                    Database::open(Config::plain(path, 64)).unwrap()
                })
                .collect();
            copies.iter().for_each(|copy| copy.quick_check().unwrap());
            let (second_then, first_then) = (count(&copies[0]), count(&copies[1]));
            assert!(first_then == second_then || first_then == second_then + 1, "{first_then} and {second_then}");
            assert!(second_then >= before);
        }
        stop.store(true, SeqCst);
    });
}

#[test]
fn a_moment_that_waits_too_long_lets_every_commit_go_on() {
    let (first, second) = (shop(), shop());
    let slow = second.begin(soon()).unwrap();
    let refused = moment(&[first.database.clone(), second.database.clone()]);
    assert!(matches!(refused, Err(CopyError::Store(Error::Busy(_)))));
    first.add("goes on").unwrap();
    slow.commit().unwrap();
    assert_eq!(moment(&[first.database.clone(), second.database.clone()]).unwrap().len(), 2);
}
