//! What each form does: it takes effect once and redirects, or comes back with the typed values and what is wrong.

use super::*;
use crate::cart::is_sku;
use crate::seams::{Album, CatalogError, StockError};

fn field<'a>(shown: &'a str, name: &str) -> Option<&'a str> {
    let rest = shown.split(&format!(" name=\"{name}\"")).nth(1)?;
    rest.split("value=\"").nth(1)?.split('"').next()
}

#[test]
fn a_form_takes_effect_once_and_another_page_says_so() {
    for (address, fields, call) in FORMS {
        let shop = ready(address);
        let response = send(&shop, &post_as_ann(address, fields));
        assert_eq!(response.status, 303, "{address}: {}", text(&response));
        assert_eq!(changes(&shop), [call], "{address}");
        let to = header(&response, "location").expect("a page that says so").to_owned();
        assert!(to.starts_with("/office") && to.contains("?done="), "{to}");
        // The fake catalogue does not have the new record.
        if !to.contains("NEW-1") {
            let shown = send(&shop, &get_as_ann(&to));
            assert!(shown.status == 200 && text(&shown).contains("role=\"status\""), "{to}");
            assert!(changes(&shop).is_empty(), "{to}");
        }
    }
}

#[test]
fn a_form_with_an_unknown_result_keeps_its_key() {
    let away = || ordering::Error::Unavailable("away".into());
    for action in ["ship", "cancel", "receive"] {
        let address = format!("/office/orders/1000123/{action}");
        let shop = ready(&address);
        *shop.changing.borrow_mut() = Some(away());
        let response = send(&shop, &post_as_ann(&address, &[("key", KEY), ("reason", "Damaged")]));
        let shown = text(&response);
        assert_eq!((response.status, field(shown, "key")), (503, Some(KEY)), "{action}");
        assert!(shown.contains("role=\"alert\"") && shown.contains("once more"), "{shown}");
        if action == "cancel" {
            assert_eq!(field(shown, "reason"), Some("Damaged"));
        }

        *shop.changing.borrow_mut() = Some(ordering::Error::Refused("It has left already.".into()));
        let response = send(&shop, &post_as_ann(&address, &[("key", KEY), ("reason", "Damaged")]));
        let shown = &*seen(&shop, &response);
        assert_eq!((response.status, field(shown, "key")), (303, None), "{action}: a refusal is final");
        assert!(shown.contains("It has left already.") && shown.contains("<title>Error: "), "{shown}");
    }
    let shop = office_with(ordering::State::Shipped);
    *shop.stock.borrow_mut() = Some(StockError::Unavailable("away".into()));
    let response =
        send(&shop, &post_as_ann("/office/records/A/restock", &[("key", KEY), ("copies", "3"), ("note", "Box 7")]));
    let shown = text(&response);
    assert_eq!((response.status, field(shown, "key")), (503, Some(KEY)));
    assert_eq!((field(shown, "copies"), field(shown, "note")), (Some("3"), Some("Box 7")));
}

#[test]
fn a_refund_is_read_in_the_currency_of_its_order() {
    let shop = office_with(ordering::State::Shipped);
    let address = "/office/orders/1000123/refund";
    for (amount, reason, problem) in [
        ("", "Scratched", "An amount such as 12.99."),
        ("0", "Scratched", "More than nothing."),
        ("73.48", "Scratched", "At most £73.47: no more is left."),
        ("-5", "Scratched", "An amount such as 12.99."),
        ("1,50", "Scratched", "An amount such as 12.99."),
        ("1.505", "Scratched", "An amount such as 12.99."),
        ("99999999999", "Scratched", "At most £73.47"),
        ("9999999999999999999999999", "Scratched", "An amount such as 12.99."),
        ("5.00", "   ", "Something has to stand here."),
        ("5.00", &"x".repeat(201), "At most 200 characters."),
    ] {
        let response = send(
            &shop,
            &post_as_ann(address, &[("key", KEY), ("was", "7347"), ("amount", amount), ("reason", reason)]),
        );
        let shown = seen(&shop, &response);
        assert_eq!(response.status, 303, "{amount} {reason}");
        assert!(shown.contains("<p class=\"complaint\" id=") && shown.contains(problem), "{amount}: {shown}");
        assert!(shown.contains("aria-invalid=\"true\""), "{amount}");
        assert!(changes(&shop).is_empty(), "{amount}");
    }
    let yen = ordering::Order { currency: "JPY".into(), ..order_in(ordering::State::Shipped) };
    let shop = Shop { known_orders: vec![yen], ..office_with(ordering::State::Shipped) };
    send(&shop, &post_as_ann(address, &[("key", KEY), ("was", "7347"), ("amount", "500"), ("reason", "x")]));
    assert_eq!(changes(&shop), [format!("refund {KEY}-refund 1000123 500 x by C-1")]);
}

fn order_in(state: ordering::State) -> ordering::Order {
    ordering::Order { state, ..order() }
}

#[test]
fn a_records_fields_are_checked_before_any_call() {
    let shop = office();
    for (change, fields, problem) in [
        ("restock", &[("key", KEY), ("copies", "0")][..], "A whole number from 1 to 100000."),
        ("restock", &[("key", KEY), ("copies", "1.5")], "A whole number from 1 to 100000."),
        ("restock", &[("key", KEY), ("copies", "99999999999999999999")], "A whole number from 1 to 100000."),
        ("count", &[("was", "10")], "A whole number from 0 to 10000000."),
        ("count", &[("was", "10"), ("counted", "-1")], "A whole number from 0 to 10000000."),
        ("price", &[("was", "2499"), ("price", "free")], "An amount such as 12.99."),
        ("price", &[("was", "2499"), ("price", "100000.01")], "At most 100000.00."),
    ] {
        let response = send(&shop, &post_as_ann(&format!("/office/records/A/{change}"), fields));
        assert_eq!(response.status, 303, "{change} {fields:?}");
        assert!(changes(&shop).is_empty(), "{change} {fields:?}");
        let shown = seen(&shop, &response);
        assert!(shown.contains(problem), "{change} {fields:?}: {shown}");
    }
}

#[test]
fn a_form_whose_value_has_changed_meanwhile_changes_nothing() {
    for (address, fields) in [
        ("/office/orders/1000123/refund", &[("key", KEY), ("amount", "5.00"), ("reason", "Scratched")][..]),
        ("/office/records/A/count", &[("counted", "7")]),
        ("/office/records/A/price", &[("price", "19.99")]),
        (
            "/office/records/A/edit",
            &[("artist", "Someone"), ("title", "Else"), ("year", "1971"), ("genre", "Jazz"), ("label", "Own")],
        ),
    ] {
        let shop = office_with(ordering::State::Shipped);
        let page = match address.strip_suffix("/refund") {
            Some(_) => format!("{address}?amount=5.00"),
            None if address.ends_with("/edit") => address.to_owned(),
            None => address.rsplit_once('/').expect("a page").0.to_owned(),
        };
        let form =
            text(&send(&shop, &get_as_ann(&page))).split(&format!("action=\"{address}\"")).nth(1).map(str::to_owned);
        let was =
            form.as_deref().and_then(|form| field(form, "was")).expect("the value that the page shows").to_owned();
        let with = |was: &str| {
            let mut all = vec![("was", was)];
            all.extend(fields);
            post_as_ann(address, &all)
        };
        let response = send(&shop, &with("1"));
        assert_eq!(response.status, 303, "{address}");
        assert!(changes(&shop).is_empty(), "{address}");
        let shown = seen(&shop, &response);
        assert!(shown.contains("has changed since"), "{address}: {shown}");
        assert_eq!(send(&shop, &post_as_ann(address, fields)).status, 403, "{address} without the value");
        assert_eq!(send(&shop, &with(&was)).status, 303, "{address}");
        assert_eq!(changes(&shop).len(), 1, "{address}");
    }
}

#[test]
fn a_new_record_comes_back_with_every_field_that_is_wrong() {
    let shop = office();
    let address = "/office/records";
    let response = send(&shop, &post_as_ann(address, &[("sku", "not a sku"), ("title", EVIL), ("currency", "XXX")]));
    let shown = seen(&shop, &response);
    assert_eq!(response.status, 303);
    for id in ["sku", "artist", "year", "genre", "label", "price", "currency"] {
        assert!(shown.contains(&format!("id=\"{id}-problem\"")), "{id}: {shown}");
    }
    assert!(!shown.contains("id=\"title-problem\"") && !shown.contains("<script>"), "{shown}");
    assert!(changes(&shop).is_empty());

    let fields = FORMS[10].1;
    let taken = |sku: &str| CatalogError::Invalid(format!("`{sku}` is known"));
    *shop.editing.borrow_mut() = Some(taken("A"));
    let with = |sku: &'static str| -> Vec<(&str, &str)> {
        fields.iter().map(|(name, value)| (*name, if *name == "sku" { sku } else { value })).collect()
    };
    let response = send(&shop, &post_as_ann(address, &with("A")));
    assert_eq!(response.status, 303);
    let shown = seen(&shop, &response);
    assert!(shown.contains("There is another record with this SKU."), "{shown}");

    // The answer to the first form got lost. The same form again finds its own record.
    let mut shop = office();
    *shop.editing.borrow_mut() = Some(taken("B"));
    shop.albums.push(Album {
        artist: "Someone".into(),
        title: "Something".into(),
        year: 1971,
        label: "Own".into(),
        price: crate::seams::Money { minor_units: 2100, currency: "GBP".into() },
        notes: "One.\nTwo.".into(),
        ..album("NEW-1")
    });
    let response = send(&shop, &post_as_ann(address, fields));
    assert_eq!((response.status, header(&response, "location")), (303, Some("/office/records/NEW-1?done=added")));
}

const EVIL: &str = "\"'><script>alert(1)</script>";

#[test]
fn hostile_forms_change_nothing_and_break_nothing() {
    let huge = "9".repeat(20_000);
    let odd =
        ["", " ", "-1", "0x10", "1e9", "NaN", "\u{202e}\u{0}", "\u{fffd}", EVIL, "'; DROP TABLE orders;--", &huge];
    for (address, fields, _) in FORMS {
        // This form has no fields.
        let Some(((last, _), rest)) = fields.split_last() else { continue };
        for value in odd {
            for (name, _) in fields {
                let shop = ready(address);
                let sent: Vec<(&str, &str)> =
                    fields.iter().map(|(known, right)| (*known, if known == name { value } else { right })).collect();
                let response = send(&shop, &post_as_ann(address, &sent));
                // Odd texts are allowed, odd amounts and counts are not.
                let free = ["reason", "note", "notes", "artist", "title", "label"].contains(name)
                    || (*name == "sku" && is_sku(&value.to_ascii_uppercase()));
                assert!(response.status < 500, "{address} {name}={value:.20}: {}", response.status);
                assert!(free || changes(&shop).is_empty(), "{address} {name}={value:.20}: {:?}", changes(&shop));
                assert!(!seen(&shop, &response).contains("<script>"), "{address} {name}");
            }
        }
        let shop = ready(address);
        let response = send(&shop, &post_as_ann(address, rest));
        assert!(response.status < 500, "{address} without {last}");
        let optional = ["note", "notes"].contains(last);
        assert!(optional || changes(&shop).is_empty(), "{address} without {last}: {:?}", changes(&shop));
    }
    for address in [
        "/office/orders/1000123/burn",
        "/office/orders/a b/ship",
        "/office/records/a/price",
        "/office/records/A/eat",
        "/office",
    ] {
        let shop = office();
        let response = send(&shop, &post_as_ann(address, &[("key", KEY)]));
        assert_eq!(response.status, 404, "{address}");
        assert!(changes(&shop).is_empty(), "{address}");
    }
}

#[test]
fn a_key_of_another_shape_is_refused() {
    for (address, fields, _) in FORMS.iter().filter(|(_, fields, _)| fields.iter().any(|(name, _)| *name == "key")) {
        for key in ["", "short", &KEY[1..], &format!("{KEY}0"), "g0112233445566778899aabbccddeeff"] {
            let shop = office();
            let sent: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (*name, if *name == "key" { key } else { value })).collect();
            assert_eq!(send(&shop, &post_as_ann(address, &sent)).status, 403, "{address} {key}");
            assert!(changes(&shop).is_empty(), "{address} {key}");
        }
    }
}
