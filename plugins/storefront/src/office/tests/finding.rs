//! How orders and records are found.

use super::*;
use crate::seams::Album;

#[test]
fn an_order_is_found_by_what_a_clerk_has_at_hand() {
    let shop = office();
    let none = "None";
    for (query, call) in [
        ("q=lee", format!("find-orders {none} {none} {none} Some(\"lee\") {none} {none} from 0 count 20")),
        ("q=Ann+Lee", format!("find-orders {none} {none} {none} Some(\"Ann Lee\") {none} {none} from 0 count 20")),
        (
            "q=ann%40example.test",
            format!("find-orders {none} {none} Some(\"C-1\") {none} {none} {none} from 0 count 20"),
        ),
        ("q=C-1", format!("find-orders {none} {none} Some(\"C-1\") {none} {none} {none} from 0 count 20")),
        ("q=100", format!("find-orders Some(\"100\") {none} {none} {none} {none} {none} from 0 count 20")),
        (
            "from=2026-03-01&to=2026-03-02",
            format!("find-orders {none} {none} {none} {none} Some(1772323200) Some(1772496000) from 0 count 20"),
        ),
        (
            "q=lee&state=shipped&to=2026-03-02&page=3",
            format!(
                "find-orders {none} Some(State::Shipped) {none} Some(\"lee\") {none} Some(1772496000) from 40 count 20"
            ),
        ),
        ("", "waiting 0 20".into()),
    ] {
        send(&shop, &get_as_ann(&format!("/office/orders?{query}")));
        assert!(shop.calls.borrow().contains(&call), "{query}: {:?}", shop.calls.borrow());
    }
    let to = |query: &str| {
        let response = send(&shop, &get_as_ann(&format!("/office/orders?{query}")));
        (response.status, header(&response, "location").map(String::from))
    };
    assert_eq!(to("q=1000123"), (303, Some("/office/orders/1000123".into())), "a number names one order");
    for (query, words) in [
        ("q=stranger%40example.test", "No customer has this e-mail address."),
        ("q=999", "No order is like this."),
        ("q=--", "That is neither a number nor a name nor an e-mail address."),
    ] {
        let response = send(&shop, &get_as_ann(&format!("/office/orders?{query}")));
        assert!(response.status == 200 && text(&response).contains(words), "{query}: {}", text(&response));
    }
}

#[test]
fn the_list_starts_with_what_needs_doing_and_keeps_what_was_asked() {
    let shop = office();
    let first = send(&shop, &get_as_ann("/office/orders"));
    let shown = text(&first);
    assert!(shown.contains("<h2>What needs doing</h2>"), "{shown}");
    assert!(shown.contains("<a href=\"/office/orders\" aria-current=\"page\">What needs doing</a>"), "{shown}");
    let found = send(&shop, &get_as_ann("/office/orders?q=lee&from=2026-03-01&state=placed"));
    let shown = text(&found);
    for part in [
        "value=\"lee\"",
        "value=\"2026-03-01\"",
        "<input type=\"hidden\" name=\"state\" value=\"placed\">",
        "/office/orders.csv?q=lee&#38;state=placed&#38;from=2026-03-01",
        "/office/orders?q=lee&#38;state=shipped&#38;from=2026-03-01",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn records_that_are_no_longer_sold_have_a_list() {
    let gone = |sku: &str| Album { discontinued: true, ..album(sku) };
    let albums: Vec<Album> = (10..60).map(|number| gone(&format!("G-{number}"))).collect();
    let shop = Shop { albums, ..office() };
    let page = |address: &str| text(&send(&shop, &get_as_ann(address))).to_owned();
    let first = page("/office/records?gone=1");
    assert!(first.contains("Title G-10") && first.contains("Title G-33") && !first.contains("Title G-34"), "{first}");
    assert!(first.contains("href=\"/office/records?gone=1&#38;after=G-33\""), "{first}");
    let last = page("/office/records?gone=1&after=G-57");
    assert!(last.contains("Title G-58") && !last.contains("rel=\"next\""), "{last}");
    let none = page("/office/records?gone=1&after=Z");
    assert!(none.contains("Every record is on sale."), "{none}");
}

#[test]
fn genres_are_suggested_and_a_new_one_is_confirmed() {
    let shop = office();
    let edit = text(&send(&shop, &get_as_ann("/office/records/A/edit"))).to_owned();
    assert!(edit.contains("list=\"genres\"") && edit.contains("<option value=\"Jazz\">"), "{edit}");
    assert!(edit.contains("value=\"Title A\"") && edit.contains("value=\"1959\""), "{edit}");
    let (address, fields, _) = FORMS[10];
    let with = |genre: &'static str, confirmed: Option<&'static str>| {
        let mut all: Vec<(&str, &str)> = fields.to_vec();
        all.retain(|(name, _)| *name != "genre");
        all.push(("genre", genre));
        all.extend(confirmed.map(|genre| ("new-genre", genre)));
        post_as_ann(address, &all)
    };
    let response = send(&shop, &with("Jaz", None));
    let shown = seen(&shop, &response);
    assert!(shown.contains("Did you mean Jazz?") && shown.contains("name=\"new-genre\""), "{shown}");
    assert!(changes(&shop).is_empty());
    send(&shop, &with("Skiffle", Some("Skifle")));
    assert!(changes(&shop).is_empty(), "another genre than the confirmed one");
    assert_eq!(send(&shop, &with("Skiffle", Some("Skiffle"))).status, 303);
    assert_eq!(changes(&shop), ["add-album NEW-1 by C-1"]);
}

#[test]
fn a_mistyped_search_for_records_shows_what_was_meant() {
    let page = |shop: &Shop, query: &str| {
        let response = send(shop, &get_as_ann(&format!("/office/records{query}")));
        assert_eq!(response.status, 200, "{query}");
        text(&response).to_owned()
    };
    let shop = Shop { unknown_words: "knid", meant: Some("kind <blue>"), total: Some(30), ..office() };
    let shown = page(&shop, "?q=knid");
    for part in [
        "Nothing is found under “knid”. Did you mean “kind &#60;blue&#62;”?",
        "Title A",
        "value=\"knid\"",
        "/office/records?q=kind%20%3Cblue%3E&#38;page=2",
        "/office/records.csv?q=kind%20%3Cblue%3E",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    // Next to nothing is found: the other words are only mentioned.
    let shop = Shop { meant: Some("kind"), total: Some(2), ..office() };
    let shown = page(&shop, "?q=kin");
    assert!(shown.contains("Did you mean <a href=\"/office/records?q=kind\">kind</a>?"), "{shown}");
    // The catalog does not say what was meant: the list is as it was.
    let shop = Shop { unknown_words: "knid", ..office() };
    assert!(page(&shop, "?q=knid").contains("Nothing is found."));
    // Enough is found, or nothing was asked: the catalog is not asked.
    let shop = Shop { meant: Some("kind"), ..office() };
    for query in ["?q=kin", "", "?gone=1"] {
        assert!(!page(&shop, query).contains("Did you mean"), "{query}");
        assert!(!shop.calls.borrow().iter().any(|call| call.starts_with("did-you-mean")), "{query}");
    }
}
