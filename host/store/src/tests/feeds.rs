//! What readers of an outbox get, and that they notice what they do not get.

use super::*;

const NEWS: &str = "acme:shop/news";
/// Milliseconds since 1970: every event is older.
const LATER: u64 = 10_000_000_000_000;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn publish(database: &Database, interface: &str, data: &str) {
    let event = NewEvent { interface, function: "sold", time_ms: 1_000, data, ..NewEvent::default() };
    database.publish(&event, soon()).unwrap();
}

fn ask(database: &Database, after: Option<u64>, most: u32) -> Feed {
    let request = FeedRequest { interfaces: &[NEWS.to_owned()], after, most, bytes: 1 << 20, looks: 1_000 };
    database.feed(&request).unwrap()
}

fn page(feed: Feed) -> FeedPage {
    match feed {
        Feed::Page(page) => page,
        other => panic!("{other:?}"),
    }
}

fn data(page: &FeedPage) -> Vec<String> {
    let text = |entry: &FeedEntry| match entry {
        FeedEntry::Event(event) => event.data.clone(),
        FeedEntry::Restored { last, .. } => format!("restored after {last}"),
    };
    page.entries.iter().map(text).collect()
}

#[test]
fn pages_follow_each_other_without_a_gap_and_events_of_other_interfaces_move_the_reader_on() {
    let shop = shop_of(64);
    assert_eq!(page(ask(&shop, None, 2)), FeedPage::default(), "nothing was ever published");
    assert_eq!(ask(&shop, Some(7), 2), Feed::Ahead { head: 0 });
    for number in 1..=5 {
        publish(&shop, "acme:shop/news@0.1.0", &number.to_string());
        publish(&shop, "acme:shop/newsletter@0.1.0", "0");
    }
    let (mut after, mut read) = (None, Vec::new());
    for full in [true, true, false] {
        let page = page(ask(&shop, after, 2));
        assert_eq!(page.is_full, full);
        read.extend(data(&page));
        after = Some(page.next);
    }
    assert_eq!(read, ["1", "2", "3", "4", "5"]);
    let head = shop.kept().unwrap().last;
    assert_eq!(after, Some(head), "behind the last event, of whichever interface");
    assert_eq!(ask(&shop, Some(head + 1), 2), Feed::Ahead { head });
    let few = FeedRequest { interfaces: &["acme:shop/none".to_owned()], after: None, most: 9, bytes: 9, looks: 4 };
    let few = page(shop.feed(&few).unwrap());
    assert!(few.is_full && few.entries.is_empty() && few.next < head, "a long way is taken in pieces: {few:?}");
    let long = FeedRequest { interfaces: &[NEWS.to_owned()], after: None, most: 9, bytes: 2, looks: 99 };
    assert_eq!(data(&page(shop.feed(&long).unwrap())), ["1", "2"]);
}

#[test]
fn a_reader_behind_what_is_kept_is_refused_and_one_at_its_edge_is_not() {
    let shop = shop_of(64);
    for number in 1..=4 {
        publish(&shop, NEWS, &number.to_string());
    }
    let all = page(ask(&shop, None, 9));
    let at = |number: usize| all.entries[number - 1].position();
    shop.forget_published(at(2), LATER).unwrap();
    let head = at(4);
    for behind in [0, at(1)] {
        assert_eq!(ask(&shop, Some(behind), 9), Feed::Behind { kept_after: at(2), head }, "{behind}");
    }
    assert_eq!(data(&page(ask(&shop, Some(at(2)), 9))), ["3", "4"]);
    assert_eq!(data(&page(ask(&shop, None, 9))), ["3", "4"], "a reader without a position starts with the oldest");
    // One that has read all of it stays where it is, although everything before is gone.
    shop.forget_published(head, LATER).unwrap();
    assert!(page(ask(&shop, Some(head), 9)).entries.is_empty());
}

#[test]
fn a_reader_learns_which_events_a_file_that_was_put_back_does_not_have() {
    let shop = shop_of(64);
    let path = shop.folder.path().join("contexts/shop.db");
    let copy = shop.folder.path().join("older.db");
    publish(&shop, NEWS, "1");
    shop.database.close().unwrap();
    std::fs::copy(&path, &copy).unwrap();
    let open = |path: &std::path::Path| Database::open(Config::plain(path.to_owned(), 64)).unwrap();
    let newer = open(&path);
    publish(&newer, NEWS, "2");
    let read = page(ask(&newer, None, 9));
    let [first, second] = [read.entries[0].position(), read.entries[1].position()];
    // Positions are made of milliseconds.
    let before = Instant::now();
    while before.elapsed() < Duration::from_millis(2) {}
    Register::adopt(&ids::ContextName::new("older").unwrap(), &Config::plain(copy.clone(), 64)).unwrap();
    let older = open(&copy);
    publish(&older, NEWS, "3");
    let restored = format!("restored after {first}");
    for after in [None, Some(first), Some(second)] {
        let mut expect = vec!["1", &restored, "3"];
        if after.is_some() {
            expect.remove(0);
        }
        assert_eq!(data(&page(ask(&older, after, 9))), expect, "{after:?}");
    }
    // The mark says it also when it is the oldest row that is kept.
    older.forget_published(first, LATER).unwrap();
    assert_eq!(data(&page(ask(&older, Some(second), 9))), [&restored, "3"]);
    assert!(matches!(ask(&older, Some(1), 9), Feed::Behind { .. }));
    assert!(older.kept().unwrap().is_cut);
    // And a file that was made again has none of what was read.
    let fresh = open(&shop.folder.path().join("fresh.db"));
    publish(&fresh, NEWS, "4");
    assert_eq!(data(&page(ask(&fresh, Some(second), 9))), ["restored after 0", "4"]);
    assert_eq!(data(&page(ask(&fresh, None, 9))), ["4"]);
}
