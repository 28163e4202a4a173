//! Full disks, killed processes, files that are not databases.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::limits;

/// Set for the processes that these tests start: the folder that the child works in.
const CHILD: &str = "SEAM_STORE_TEST_CHILD";

/// Starts this test binary again, to run `test` alone. `wrap` may put a shell's limit before it.
fn child(test: &str, folder: &TempDir, limit: Option<&str>) -> Child {
    let me = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    let script = format!("{} exec \"$0\" --exact \"$1\" --nocapture", limit.map_or(String::new(), |l| format!("{l};")));
    command.arg("-c").arg(script).arg(me).arg(format!("tests::faults::{test}"));
    command.env(CHILD, folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// In a child: the database of its folder.
fn inherited() -> Option<Arc<Database>> {
    let folder = std::env::var_os(CHILD)?;
    let path = std::path::Path::new(&folder).join("contexts").join("shop.db");
    let database = Database::open(Config::plain(path, 64)).unwrap();
    migrate(&database, &[migration(1, SCHEMA)]).unwrap();
    Some(database)
}

/// Commits numbers, one transaction each, prints each after its commit, and leaves one transaction open all along.
#[test]
fn child_that_is_killed() {
    let Some(database) = inherited() else { return };
    for i in 0.. {
        let mut tx = database.begin(soon()).unwrap();
        tx.execute("INSERT INTO item (name) VALUES (?1)", &[format!("open {i}").as_str().into()], soon()).unwrap();
        tx.rollback().unwrap();
        let mut tx = database.begin(soon()).unwrap();
        let (name, twin) = (format!("{i}"), format!("{i} twin"));
        for name in [&name, &twin] {
            tx.execute("INSERT INTO item (name) VALUES (?1)", &[name.as_str().into()], soon()).unwrap();
        }
        tx.commit().unwrap();
        println!("acknowledged {i}");
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged_and_leaves_nothing_half_done() {
    let folder = TempDir::new().unwrap();
    for round in 0..5_usize {
        let mut process = child("child_that_is_killed", &folder, None);
        let mut last = None;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            let Some((_, number)) = line.rsplit_once("acknowledged ") else { continue };
            last = number.parse::<i64>().ok();
            if last >= Some(20 + round as i64 * 7) {
                break;
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let read = lines.map_while(Result::ok);
        let last =
            read.filter_map(|l| l.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse().ok())).last().or(last);
        let there = committed(&folder);
        let acknowledged = last.unwrap() + 1;
        assert!(there >= acknowledged && there <= acknowledged + 1, "{there} there, {acknowledged} acknowledged");
        // Names are unique: each round has a file of its own.
        std::fs::remove_dir_all(folder.path().join("contexts")).unwrap();
    }
}

/// Transactions in the file; each must be whole.
fn committed(folder: &TempDir) -> i64 {
    let Ok(database) = Database::open(config(folder, 64)) else { return 0 };
    let number = |sql: &str| database.query(sql, &[], soon()).map_or(0, |rows| number_in(&rows));
    let (singles, twins) = (
        number("SELECT count(*) FROM item WHERE name NOT LIKE '%twin'"),
        number("SELECT count(*) FROM item WHERE name LIKE '%twin'"),
    );
    assert_eq!(singles, twins, "half a transaction is there");
    assert_eq!(number("SELECT count(*) FROM item WHERE name LIKE 'open%'"), 0);
    singles
}

#[test]
fn a_full_quota_refuses_writes_serves_reads_and_heals() {
    let shop = shop_of(1);
    let cover = vec![7_u8; 100_000];
    let insert = "INSERT INTO item (name, cover) VALUES (?1, ?2)";
    let mut kept = 0;
    let error = loop {
        match shop.execute(insert, &[format!("n{kept}").as_str().into(), Value::Blob(&cover)], soon()) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(shop.statistics().file_bytes <= 1 << 20, "{kept} rows of 100 kB: {:?}", shop.statistics());
        assert!(kept <= 10, "{kept} rows of 100 kB are in a file of 1 MB");
    };
    assert!(matches!(error, Error::Full(_)), "{error:?}");
    assert_eq!((shop.items(), shop.trouble()), (kept, None), "the quota is the context's own");
    let mut tx = shop.begin(soon()).unwrap();
    assert_eq!(case(&tx.execute(insert, &["big".into(), Value::Blob(&cover)], soon())), "full");
    drop(tx);
    shop.execute("DELETE FROM item WHERE id <= 3", &[], soon()).unwrap();
    shop.execute(insert, &["fits".into(), Value::Blob(&cover)], soon()).unwrap();
    assert_eq!(shop.items(), kept - 2);
}

/// Runs under a limit on file sizes that its write-ahead log reaches.
#[test]
fn child_with_small_files() {
    let Some(database) = inherited() else { return };
    // What ignores the signal here is what the host does at its start: a write then fails instead.
    let cover = vec![7_u8; 50_000];
    let insert = "INSERT INTO item (name, cover) VALUES (?1, ?2)";
    let mut kept = 0;
    let mut full = 0;
    for i in 0..40 {
        match database.execute(insert, &[format!("n{i}").as_str().into(), Value::Blob(&cover)], soon()) {
            Ok(_) => kept += 1,
            Err(Error::Full(_)) => full += 1,
            Err(error) => panic!("{error:?}"),
        }
        let rows = database.query("SELECT count(*) FROM item", &[], soon()).unwrap();
        assert_eq!(number_in(&rows), kept, "reads go on and are right");
    }
    assert!(matches!(database.trouble(), Some(Trouble::NoRoom { .. })), "{:?}", database.trouble());
    println!("kept {kept} full {full}");
}

#[test]
fn a_disk_that_takes_no_more_is_full_not_broken() {
    let folder = TempDir::new().unwrap();
    // SIGXFSZ is ignored across exec; 1024 blocks are 512 KiB.
    let process = child("child_with_small_files", &folder, Some("trap '' XFSZ; ulimit -f 1024"));
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|l| l.split_once("kept ")).map(|(_, l)| l.to_owned());
    let line = line.unwrap_or_else(|| panic!("{text}"));
    let (kept, full) = line.split_once(" full ").unwrap();
    let (kept, full): (i64, i64) = (kept.parse().unwrap(), full.trim().parse().unwrap());
    assert!(output.status.success() && kept > 0 && full > 0, "{text}");
    let database = Database::open(config(&folder, 64)).unwrap();
    let count = || number_in(&database.query("SELECT count(*) FROM item", &[], soon()).unwrap());
    assert_eq!(count(), kept, "exactly what was answered is there");
    database.execute("INSERT INTO item (name) VALUES ('healed')", &[], soon()).unwrap();
    assert_eq!(count(), kept + 1);
}

/// Runs on a file system of 1 MiB of its own.
#[test]
fn child_on_a_small_disk() {
    let Some(database) = inherited() else { return };
    let folder = std::path::PathBuf::from(std::env::var_os(CHILD).unwrap());
    let [ballast, more, filler] = ["ballast", "more", "filler"].map(|name| folder.join(name));
    std::fs::write(&ballast, vec![0_u8; 300_000]).unwrap();
    std::fs::write(&more, vec![0_u8; 100_000]).unwrap();
    database.claim("books", soon()).unwrap();
    let cover = vec![7_u8; 50_000];
    let insert = "INSERT INTO item (name, cover) VALUES (?1, ?2)";
    let (mut kept, mut full) = (0, 0);
    for i in 0..40 {
        match database.execute(insert, &[format!("n{i}").as_str().into(), Value::Blob(&cover)], soon()) {
            Ok(_) => kept += 1,
            Err(Error::Full(_)) => full += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert_eq!(number_in(&database.query("SELECT count(*) FROM item", &[], soon()).unwrap()), kept);
    }
    assert!(kept > 0 && full > 0, "{kept} kept, {full} times full");
    assert!(matches!(database.trouble(), Some(Trouble::NoRoom { .. })), "{:?}", database.trouble());
    database.tend();
    assert!(database.is_troubled(), "it has no room yet");
    std::fs::remove_file(ballast).unwrap();
    database.tend();
    assert_eq!(database.trouble(), None);
    database.execute(insert, &["healed".into(), Value::Blob(&cover)], soon()).unwrap();
    drop(database);
    let again = inherited().unwrap();
    assert_eq!(number_in(&again.query("SELECT count(*) FROM item", &[], soon()).unwrap()), kept + 1);
    // As much as still fits. The log is short now, and a last commit that finds no room for it is certainly not one.
    std::fs::write(&filler, vec![0_u8; 2_000_000]).unwrap_err();
    let handed = again.hold(soon()).unwrap().hand_over(&Owner { host: "records".to_owned(), token: 2 });
    assert!(matches!(handed, Err(NotHandedOver::No(_))), "{handed:?}");
    [filler, more].iter().for_each(|file| std::fs::remove_file(file).unwrap());
    again.execute(insert, &["stays".into(), Value::Blob(&[])], soon()).unwrap();
    assert_eq!(again.owner().unwrap().map(|owner| owner.token), Some(1));
    println!("healed");
}

/// Needs a system that allows mounts in a namespace of one's own. On others, only the limit on file sizes is tested.
#[test]
fn a_full_file_system_refuses_writes_serves_reads_and_heals() {
    let own = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command
    };
    let folder = TempDir::new().unwrap();
    let mount = format!("mount -t tmpfs -o size=1m none '{}'", folder.path().display());
    if !own(&mount).output().is_ok_and(|output| output.status.success()) {
        eprintln!("mounts are not allowed here: skipped");
        return;
    }
    let mut command = own(&format!("{mount} && exec \"$0\" --exact tests::faults::child_on_a_small_disk --nocapture"));
    let output = command.arg(std::env::current_exe().unwrap()).env(CHILD, folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("healed"), "{text}");
}

/// Changes some 120 pages; SQLite writes no page that is as it was.
fn change_cover(shop: &Fixture, with: u8) {
    let cover = vec![with; 500_000];
    shop.execute("UPDATE item SET cover = ?1", &[Value::Blob(&cover)], soon()).unwrap();
}

#[test]
fn the_write_ahead_log_stays_bounded_while_readers_come_and_go() {
    let shop = shop();
    shop.execute("INSERT INTO item (id, name) VALUES (1, 'a')", &[], soon()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(shop.items(), 1);
                }
            });
        }
        (0..=255).for_each(|with| change_cover(&shop, with));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let most = u64::from(limits::STORE_WAL_PAGES_RESET) * limits::STORE_PAGE_BYTES + 4 * 1024 * 1024;
    assert!(shop.statistics().wal_bytes < most, "{:?}", shop.statistics());
    assert!(shop.statistics().checkpoints > 3, "{:?}", shop.statistics());
}

/// Copying back costs two syncs more. The log's file stays long after the first time: by its size, each commit would
/// pay for it.
#[test]
fn a_log_is_copied_back_when_it_has_grown_and_not_at_every_commit_from_then_on() {
    let shop = shop();
    shop.execute("INSERT INTO item (id, name) VALUES (1, 'a')", &[], soon()).unwrap();
    let until_copied_back = |copies: u64| {
        (0..100).take_while(|_| shop.statistics().checkpoints < copies).for_each(|with| change_cover(&shop, with));
    };
    until_copied_back(1);
    let long = shop.statistics().wal_bytes;
    for i in 0..100 {
        shop.execute("UPDATE item SET stock = ?1", &[Value::Integer(i)], soon()).unwrap();
    }
    let statistics = shop.statistics();
    assert!(statistics.checkpoints == 1 && statistics.wal_bytes == long && long > 1_000 * 4096, "{statistics:?}");
    until_copied_back(2);
    assert_eq!(shop.statistics().checkpoints, 2, "and when it has grown again, it is");
}

/// In a child: opens its parent's file as any program would, and prints the outcome.
#[test]
fn child_that_opens_what_is_not_its_own() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let path = std::path::Path::new(&folder).join("contexts").join("shop.db");
    let theirs = rusqlite::Connection::open(path).unwrap();
    theirs.busy_timeout(Duration::ZERO).unwrap();
    let read = theirs.query_row("SELECT count(*) FROM item", [], |row| row.get::<_, i64>(0));
    println!("{}", read.map_or_else(|error| format!("refused: {error}"), |items| format!("{items} read")));
}

#[test]
fn no_other_process_opens_a_file_that_the_host_has_and_the_host_reports_one_that_is_taken() {
    let shop = shop();
    let look = || {
        let output = child("child_that_opens_what_is_not_its_own", &shop.folder, None).wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(look().contains("refused: database is locked"), "{}", look());
    // The control: a close of the file anywhere in this process ends its locks. So nothing in the host may open one.
    drop(std::fs::File::open(shop.path()).unwrap());
    assert!(look().contains("0 read"), "{}", look());
    let Fixture { database, folder } = shop;
    drop(database);
    let read = child("child_that_opens_what_is_not_its_own", &folder, None).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&read.stdout).contains("0 read"), "closed, it is a file like any other");

    let mut other = child("child_that_is_killed", &folder, None);
    // Kept to the end: a child whose output is closed would die of it.
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("acknowledged")));
    let error = Database::open(config(&folder, 64)).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }) && error.remedy().contains("shop.db"), "{error:?}");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(Database::open(config(&folder, 64)).is_ok(), "its end frees the file");
}

#[test]
fn a_file_that_is_not_a_database_is_named_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder, 64);
    std::fs::create_dir_all(config.path.parent().unwrap()).unwrap();
    std::fs::write(&config.path, "this is a letter, not a database. ".repeat(200)).unwrap();
    let error = Database::open(config.clone()).unwrap_err();
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    assert!(error.to_string().contains("shop.db") && !error.remedy().is_empty());
    std::fs::remove_file(&config.path).unwrap();
    std::fs::create_dir(&config.path).unwrap();
    assert!(matches!(Database::open(config).unwrap_err(), OpenError::Sqlite { .. }));
}

/// In `cargo test -p seam-store` alone: in the workspace the host sets the feature.
#[cfg(not(feature = "encryption"))]
#[test]
fn a_store_with_a_key_is_refused_by_a_build_that_cannot_encrypt() {
    use crate::key::KeyError;
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("shop.key");
    for source in [KeySource::File(key.clone()), KeySource::Own(key.clone())] {
        let config = Config { key: Some(source), ..config(&folder, 64) };
        let error = Database::open(config.clone()).unwrap_err();
        assert!(matches!(error, OpenError::Key(KeyError::NoEncryption)), "{error:?}");
        assert!(error.remedy().contains("`encryption`"));
        assert!(!config.path.exists() && !key.exists(), "neither the file nor a key is made");
        // Of a file in the clear as well, which the key would have encrypted.
        drop(Database::open(Config { key: None, ..config.clone() }).unwrap());
        let clear = std::fs::read(&config.path).unwrap();
        assert!(matches!(Database::open(config.clone()), Err(OpenError::Key(KeyError::NoEncryption))));
        assert!(std::fs::read(&config.path).unwrap() == clear && !key.exists());
        std::fs::remove_file(&config.path).unwrap();
    }
}

#[cfg(feature = "encryption")]
#[test]
fn an_encrypted_store_opens_with_its_key_alone() {
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("shop.key");
    crate::private::write(&key, b"a long secret\n").unwrap();
    let config = Config { key: Some(KeySource::File(key.clone())), ..config(&folder, 64) };
    let database = Database::open(config.clone()).unwrap();
    migrate(&database, &[migration(1, "CREATE TABLE a (x); INSERT INTO a VALUES ('plain words')")]).unwrap();
    drop(database);
    let bytes = std::fs::read(&config.path).unwrap();
    assert!(!bytes.windows(11).any(|w| w == b"plain words") && !bytes.starts_with(b"SQLite format 3"));
    std::fs::write(&key, "another").unwrap();
    assert!(matches!(Database::open(config.clone()), Err(OpenError::NotADatabase { .. })));
    std::fs::write(&key, "a long secret").unwrap();
    assert!(Database::open(config).is_ok());
}
