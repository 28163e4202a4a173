//! Pages, rendered from fake contexts.

use crate::handle;
use crate::seams::{Album, CallError, Level, Response, Suggestion};
use crate::testing::{Shop, TOKEN, album, get, header, post_with, text};

fn fetch(shop: &Shop, address: &str) -> Response {
    handle(&get(address), shop)
}

fn calls(shop: &Shop) -> Vec<String> {
    shop.calls.borrow().clone()
}

const UNAVAILABLE: Option<CallError> = Some(CallError::Unavailable);

#[test]
fn the_album_page_calls_three_contexts_once_each() {
    let mut shop = Shop::open();
    for sku in ["G", "H", "I", "J"] {
        shop.albums.push(album(sku));
        shop.levels.push(Level { sku: sku.into(), on_hand: 10 });
        shop.suggestions.push(Suggestion { sku: sku.into(), score: 0.5 });
    }
    let response = fetch(&shop, "/albums/A");
    assert_eq!(response.status, 200);
    // C is sold out; H is fetched in case that one of the others is discontinued.
    assert_eq!(calls(&shop), ["suggest A", "levels A B C D E F G H I J", "albums A B D E F G H I"]);
    let page = text(&response);
    assert!(
        page.contains("Title H")
            && !page.contains("Title C")
            && !page.contains("Title I")
            && !page.contains("More Jazz")
    );
    // Where two waits cost more than a few albums too many, the page asks for all, and is the same.
    let mut together = Shop { together_pays: true, ..shop };
    together.calls.borrow_mut().clear();
    assert_eq!(text(&fetch(&together, "/albums/A")), page);
    assert_eq!(calls(&together), ["suggest A", "levels A B C D E F G H I J", "albums A B C D E F G H I J"]);
    together.albums[1].discontinued = true;
    for together_pays in [true, false] {
        together.together_pays = together_pays;
        let response = fetch(&together, "/albums/A");
        assert!(text(&response).contains("Title I") && !text(&response).contains("Title B"), "the places stay filled");
    }
}

#[test]
fn what_can_be_sent_stands_beside_an_album_and_its_genre_fills_the_places() {
    let mut shop = Shop::open();
    let response = fetch(&shop, "/albums/A");
    assert_eq!(response.status, 200);
    let first = ["suggest A", "levels A B C D E F", "albums A B D E F"];
    assert_eq!(calls(&shop)[..3], first);
    assert!(calls(&shop)[3].starts_with("browse") && calls(&shop)[3].contains("Jazz"));
    assert_eq!(calls(&shop)[4..], ["levels C"], "all others are on the page already");
    let page = text(&response);
    for part in [
        "<title>Title A – Artist A – MusicCorp</title>",
        "£24.99",
        "In stock",
        "Columbia",
        "1959",
        "Bought together",
        "Title F",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("Only 2 left") && !page.contains("Sold out"));
    assert_eq!(header(&response, "cache-control"), Some("public, no-cache"));

    shop.suggestions.truncate(1);
    let response = fetch(&shop, "/albums/A");
    let (beside, genre) = text(&response).split_once("More Jazz").expect("the genre");
    assert!(beside.contains("Title B") && !beside.contains("Title D"));
    assert!(genre.contains("Title D") && !genre.contains("Title B") && !genre.contains("Title C"));
    assert!(genre.contains("/browse?genre=Jazz"));
    shop.suggestions.clear();
    assert!(!text(&fetch(&shop, "/albums/A")).contains("Bought together"), "nothing was");
}

#[test]
fn the_album_page_lacks_only_what_an_absent_context_provides() {
    let shop = Shop::open();
    shop.recommendation.set(UNAVAILABLE);
    let response = fetch(&shop, "/albums/A");
    assert_eq!(response.status, 200);
    assert!(!text(&response).contains("Bought together") && text(&response).contains("In stock"));
    assert_eq!(header(&response, "cache-control"), Some("no-store"));

    shop.warehouse.set(UNAVAILABLE);
    let response = fetch(&shop, "/albums/A");
    assert_eq!(response.status, 200);
    assert!(text(&response).contains("Availability unknown"));

    shop.catalog.set(UNAVAILABLE);
    let response = fetch(&shop, "/albums/A");
    assert_eq!(response.status, 503);
    assert!(header(&response, "retry-after").is_some() && text(&response).contains("Back in a moment"));
}

#[test]
fn an_unknown_album_is_not_found_even_with_suggestions() {
    let mut shop = Shop::open();
    assert_eq!(fetch(&shop, "/albums/Z").status, 404);
    assert_eq!(fetch(&shop, "/albums/%FF").status, 400);
    assert_eq!(fetch(&shop, "/albums/%0A").status, 400);
    shop.albums.clear();
    assert_eq!(fetch(&shop, "/albums/A").status, 404);
    shop.catalog.set(Some(CallError::Invalid));
    assert_eq!(fetch(&shop, "/albums/A").status, 404);
}

#[test]
fn an_album_no_longer_sold_keeps_its_page_without_price_or_stock() {
    let mut shop = Shop::open();
    shop.albums[0].discontinued = true;
    shop.albums[1].discontinued = true;
    let response = fetch(&shop, "/albums/A");
    let page = text(&response);
    assert_eq!(response.status, 200);
    assert!(page.contains("No longer sold") && page.contains("Title A"));
    assert!(!page.contains("sticker") && page.contains("noindex"));
    assert!(!page.contains("Title B"), "a suggestion that is gone is not shown");
}

#[test]
fn the_home_page_shows_popular_albums_or_else_new_ones() {
    let shop = Shop::open();
    let response = fetch(&shop, "/");
    assert_eq!(calls(&shop), ["suggest ", "facets", "albums B C D E F", "levels B C D E F"]);
    assert!(text(&response).contains("Most taken home") && text(&response).contains("/browse?genre=Jazz"));
    assert!(text(&response).contains("1950s") && text(&response).contains("6 albums in 1 crate,"));

    let shop = Shop::open();
    for error in [&shop.recommendation, &shop.facets_error, &shop.warehouse] {
        error.set(UNAVAILABLE);
    }
    let response = fetch(&shop, "/");
    assert_eq!(response.status, 200);
    assert!(text(&response).contains("New on the shelf") && text(&response).contains("Title A"));
    assert_eq!(header(&response, "cache-control"), Some("no-store"));

    shop.catalog.set(UNAVAILABLE);
    assert_eq!(fetch(&shop, "/").status, 503);
}

#[test]
fn search_repeats_the_words_and_counts_the_records() {
    let mut shop = Shop::open();
    shop.total = Some(60);
    let response = fetch(&shop, "/search?q=kind+of++blue&page=2");
    assert_eq!(calls(&shop)[0], "search kind of blue 2");
    let page = text(&response);
    for part in ["“kind of blue”", "value=\"kind of blue\"", "60 records", "page 2 of 3"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("href=\"/search?q=kind%20of%20blue&#38;page=3\""), "{page}");

    let shop = Shop::open();
    assert_eq!(fetch(&shop, "/search").status, 200);
    assert_eq!(fetch(&shop, "/search?q=+").status, 200);
    assert!(calls(&shop).is_empty(), "an empty search calls no context");
    assert!(text(&fetch(&shop, "/search?q=%21%21%21")).contains("“!!!”"));
    assert_eq!(calls(&shop)[0], "search !!! 1", "a band may have this name");
    shop.catalog.set(Some(CallError::Invalid));
    assert!(text(&fetch(&shop, "/search?q=%21")).contains("Nothing under “!”"), "the catalog refuses it");

    let shop = Shop { facets: vec![("Jazz", 6)], ..Shop::default() };
    let response = fetch(&shop, "/search?q=zzz");
    let page = text(&response);
    assert!(page.contains("Nothing under “zzz”") && page.contains("<a href=\"/browse?genre=Jazz\">Jazz</a>"), "{page}");
    assert_eq!(
        calls(&shop),
        ["search zzz 1", "did-you-mean zzz", "facets"],
        "without albums, the warehouse is not called"
    );
}

#[test]
fn a_mistyped_search_shows_what_was_meant() {
    let shop = Shop { unknown_words: "knid", meant: Some("kind"), ..Shop::open() };
    let response = fetch(&shop, "/search?q=knid&sort=artist");
    let page = text(&response);
    for part in ["Nothing under “knid”", "Did you mean “kind”?", "Title A", "value=\"knid\"", "?q=kind&#38;sort=newest"]
    {
        assert!(page.contains(part), "{part}\n{page}");
    }
    // Next to nothing is found: the other words are only mentioned.
    let shop = Shop { meant: Some("kind"), total: Some(2), ..Shop::open() };
    let page = text(&fetch(&shop, "/search?q=kin")).to_owned();
    assert!(
        page.contains("<h1>“kin”</h1>") && page.contains("Did you mean <a href=\"/search?q=kind\">kind</a>?"),
        "{page}"
    );
    // Enough is found: nothing is asked.
    let shop = Shop { meant: Some("kind"), ..Shop::open() };
    assert!(!text(&fetch(&shop, "/search?q=kin")).contains("Did you mean"));
    assert_eq!(calls(&shop), ["search kin 1", "levels A B C D E F"]);
}

#[test]
fn a_list_is_sorted_and_sifted_and_its_links_keep_that() {
    let shop = Shop::open();
    let response = fetch(&shop, "/browse?genre=Jazz&sort=cheapest&stock=in");
    let page = text(&response);
    assert_eq!(
        calls(&shop)[..3],
        ["list-skus  Some(\"Jazz\") Sorting::Cheapest", "levels A B C D E F", "albums A B D E F"]
    );
    for part in [
        "5 records",
        "href=\"/browse?genre=Jazz&#38;sort=cheapest&#38;stock=in\" aria-current=\"true\">Price, low to high",
        "href=\"/browse?genre=Jazz&#38;sort=artist&#38;stock=in\">Artist",
        "href=\"/browse?genre=Jazz&#38;sort=cheapest\">Show sold out ones too",
        "href=\"/browse?genre=Jazz&#38;decade=1950&#38;sort=cheapest&#38;stock=in\"",
        "<link rel=\"canonical\" href=\"/browse?genre=Jazz\">",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("Title C") && page.contains("Title D"), "C is sold out");
    assert_eq!(header(&response, "cache-control"), Some("public, max-age=30"));

    let shop = Shop::open();
    let page = text(&fetch(&shop, "/search?q=blue&sort=dearest")).to_owned();
    assert_eq!(calls(&shop)[..2], ["list-skus blue None Sorting::Dearest", "albums A B C D E F"]);
    assert!(
        page.contains("Title C")
            && page.contains("/search?q=blue&#38;sort=dearest&#38;stock=in\">Only what is in stock")
    );
    assert_eq!(fetch(&shop, "/search?q=blue&sort=dearest&page=2").status, 404);
    assert_eq!(fetch(&shop, "/browse?sort=bogus").status, 400);
}

#[test]
fn without_the_warehouse_nothing_is_sifted_and_the_page_says_so() {
    let shop = Shop::open();
    shop.warehouse.set(UNAVAILABLE);
    let response = fetch(&shop, "/browse?stock=in");
    assert!(text(&response).contains("Title C") && text(&response).contains("may be sold out"));
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
}

#[test]
fn a_list_with_nothing_in_stock_offers_a_way_on() {
    let shop = Shop { levels: Vec::new(), ..Shop::open() };
    let page = text(&fetch(&shop, "/browse?genre=Jazz&stock=in")).to_owned();
    assert!(
        page.contains("Nothing in this corner is in stock")
            && page.contains("href=\"/browse?genre=Jazz\">Show sold out")
    );
    let page = text(&fetch(&shop, "/search?q=blue&stock=in")).to_owned();
    assert!(page.contains("Nothing in stock under “blue”") && page.contains("href=\"/search?q=blue\">Show sold out"));
}

#[test]
fn browse_links_to_narrower_and_wider_lists() {
    let mut shop = Shop::open();
    shop.facets = vec![("Jazz", 6), ("R&B", 2)];
    let response = fetch(&shop, "/browse?genre=Jazz&decade=1950");
    let page = text(&response);
    for part in [
        "<title>Jazz, 1950s, All records – MusicCorp</title>",
        "<link rel=\"canonical\" href=\"/browse?genre=Jazz&#38;decade=1950\">",
        "href=\"/browse?genre=R%26B&#38;decade=1950\"",
        "href=\"/browse?genre=Jazz&#38;decade=1950\" aria-current=\"true\"",
        "href=\"/browse?decade=1950\"",
        "href=\"/browse?artist=Artist%20A\"",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    shop.facets_error.set(UNAVAILABLE);
    let response = fetch(&shop, "/browse");
    assert_eq!(response.status, 200);
    assert!(!text(&response).contains("class=\"facets\"") && text(&response).contains("Title A"));
}

#[test]
fn pages_that_do_not_exist_say_so_without_needless_calls() {
    let shop = Shop::open();
    for (address, status) in [
        ("/browse?page=2", 404),
        ("/browse?page=1000000000", 404),
        ("/browse?page=99999999999999999999", 404),
        ("/browse?page=0", 400),
        ("/browse?page=abc", 400),
        ("/browse?decade=1975", 400),
        ("/search?q=%", 400),
        ("/search?q=%00", 400),
        ("/search?q=x&page=-1", 400),
        ("/nowhere", 404),
        ("//elsewhere.example/", 404),
        ("/%2e%2e/", 404),
    ] {
        let response = fetch(&shop, address);
        assert_eq!(response.status, status, "{address}");
        assert!(text(&response).contains("<h1>") && text(&response).contains("To the front of the shop"), "{address}");
        assert_eq!(header(&response, "cache-control"), Some("no-store"), "{address}");
    }
    assert_eq!(calls(&shop).len(), 1, "only page 2 needs a call");
    assert_eq!(fetch(&shop, &format!("/search?q={}", "x".repeat(201))).status, 400);
}

#[test]
fn a_catalog_page_accepts_only_get_and_head() {
    let shop = Shop::open();
    for method in ["POST", "PATCH", "PUT", "DELETE", "OPTIONS", "get", ""] {
        let mut request = get("/albums/A");
        request.method = method.into();
        let response = handle(&request, &shop);
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(header(&response, "allow"), Some("GET, HEAD"));
    }
    assert!(calls(&shop).is_empty());
}

#[test]
fn no_text_of_an_album_becomes_markup() {
    let evil = "\"><script>alert(1)</script>&'";
    let nasty = Album {
        artist: evil.into(),
        title: evil.into(),
        genre: evil.into(),
        label: evil.into(),
        notes: evil.into(),
        ..album("A")
    };
    let shop = Shop { albums: vec![nasty], facets: vec![("\"><script>", 1)], ..Shop::open() };
    let encoded = "%22%3E%3Cscript%3E";
    for address in [
        "/".to_owned(),
        "/albums/A".to_owned(),
        "/browse".to_owned(),
        format!("/search?q={encoded}%21"),
        "/covers/A.svg".to_owned(),
        format!("/browse?genre={encoded}&artist={encoded}"),
        format!("/search?q={encoded}"),
        format!("/albums/{encoded}"),
    ] {
        let response = fetch(&shop, &address);
        let scripts = text(&response).matches("<script").count();
        let own = text(&response).matches("<script src=\"/assets/shop.js?v=").count();
        assert!(scripts == own && own < 2, "{address}");
    }
}

#[test]
fn only_a_cover_with_its_current_version_is_cached_for_ever() {
    let shop = Shop::open();
    let page = fetch(&shop, "/albums/A");
    let from = text(&page).find("/covers/A.svg?v=").expect("the page shows the cover");
    let address = &text(&page)[from..from + 24];
    shop.calls.borrow_mut().clear();
    let response = fetch(&shop, address);
    assert_eq!(calls(&shop), ["albums A"]);
    assert_eq!(header(&response, "content-type"), Some("image/svg+xml"));
    assert_eq!(header(&response, "cache-control"), Some("public, max-age=31536000, immutable"));
    assert!(header(&response, "etag").is_some() && text(&response).to_lowercase().contains("title a"));
    for address in ["/covers/A.svg", "/covers/A.svg?v=00000000"] {
        assert_eq!(header(&fetch(&shop, address), "cache-control"), Some("public, max-age=86400"));
    }
}

#[test]
fn a_missing_cover_is_a_plain_sleeve() {
    let shop = Shop::open();
    let response = fetch(&shop, "/covers/Z.svg");
    assert_eq!((response.status, header(&response, "content-type")), (404, Some("image/svg+xml")));
    shop.catalog.set(UNAVAILABLE);
    let response = fetch(&shop, "/covers/A.svg");
    assert_eq!((response.status, header(&response, "cache-control")), (503, Some("no-store")));
}

#[test]
fn an_unchanged_page_is_not_sent_again() {
    let shop = Shop::open();
    let mut request = get("/albums/A");
    let tag = header(&handle(&request, &shop), "etag").expect("a page has a tag").to_owned();
    request.headers.push(("if-none-match".into(), tag));
    let response = handle(&request, &shop);
    assert_eq!((response.status, response.body.len()), (304, 0));
}

#[test]
fn addresses_with_a_trailing_slash_redirect_within_the_shop() {
    let shop = Shop::open();
    for (address, location) in [("/browse/", "/browse"), ("/albums/A/", "/albums/A"), ("/albums", "/browse")] {
        let response = fetch(&shop, address);
        assert_eq!((response.status, header(&response, "location")), (308, Some(location)));
    }
}

#[test]
fn every_page_works_with_a_screen_reader() {
    let shop = Shop::open();
    for address in ["/", "/browse", "/search?q=x", "/search", "/albums/A", "/nowhere"] {
        let page = text(&fetch(&shop, address)).to_owned();
        for part in [
            "<html lang=\"en\">",
            "href=\"#main\"",
            "<main id=\"main\">",
            "role=\"search\"",
            "<label",
            "<title>",
            "<footer",
        ] {
            assert!(page.contains(part), "{address}: {part}");
        }
        assert_eq!(page.matches("<h1>").count(), 1, "{address}");
        let images = page.matches("<img ").count();
        assert_eq!(images, page.matches(" alt=\"").count(), "{address}");
        assert!(!page.contains(" style=") && !page.contains("<script>") && !page.contains("http://"), "{address}");
    }
}

/// Every form of a customer, filled in well, with the page that it leads to. A form that could not be done is answered
/// with an error, or leads back too; no page that says that something was done is the answer to a form itself.
#[test]
fn every_form_that_is_done_leads_to_another_page() {
    let shop = Shop::open();
    let key = "0123456789abcdef".repeat(2);
    let cookies = format!("session={TOKEN}; cart={key}~A.1");
    let address =
        [("name", "Bea"), ("street", "2 Low Lane"), ("city", "York"), ("postcode", "YO1 1AA"), ("country", "GB")];
    let card = [("number", "4242424242424242"), ("holder", "B"), ("expiry", "12/30"), ("code", "123")];
    let order = [("key", key.as_str()), ("lines", "A.1"), ("total", "2849")];
    let account = [("name", "Bea"), ("email", "bea@example.test"), ("password", "a long enough secret")];
    let till = [&order[..], &address[..], &card[..]].concat();
    /// Where it is sent, its fields, and where it leads.
    type Form<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let forms: [Form<'_>; 11] = [
        ("/cart/add", &[("sku", "D")], "/cart?note=added"),
        ("/cart/change", &[("copies-A", "2"), ("next", "/checkout")], "/checkout"),
        ("/sign-in", &account, "/account"),
        ("/sign-up", &account, "/account?note=welcome"),
        ("/checkout", &till, "/orders/1000123?note=placed"),
        ("/orders/1000123/cancel", &order, "/orders/1000123?note=cancelled"),
        ("/orders/1000123/return", &[("key", &key), ("copies-A", "1")], "/orders/1000123?note=return-requested"),
        ("/account/address", &address, "/account?note=address"),
        ("/account/password", &[("old", "x"), ("new", "y")], "/account?note=password"),
        ("/account/delete", &[("password", "x")], "/sign-in?note=deleted"),
        ("/sign-out", &[], "/sign-in?note=signed-out"),
    ];
    for (action, fields, to) in forms {
        let response = handle(&post_with(action, fields, &cookies, TOKEN), &shop);
        assert_eq!((response.status, header(&response, "location")), (303, Some(to)), "{action}");
        assert_eq!(header(&response, "cache-control"), Some("no-store"), "{action}");
        let empty = handle(&post_with(action, &[], &cookies, TOKEN), &shop);
        assert!(empty.status == 303 || empty.status >= 400, "{action}: {} for an empty form", empty.status);
    }
}
