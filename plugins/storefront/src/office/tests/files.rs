//! The lists as CSV: the same rows as the page's, whole, and without formulas.

use super::*;
use crate::seams::Album;

fn file(shop: &Shop, address: &str, name: &str) -> Vec<String> {
    let response = send(shop, &get_as_ann(address));
    assert_eq!(response.status, 200, "{address}: {}", text(&response));
    assert_eq!(header(&response, "content-type"), Some("text/csv; charset=utf-8; header=present"), "{address}");
    assert_eq!(header(&response, "cache-control"), Some("no-store"), "{address}");
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    assert_eq!(header(&response, "content-disposition"), Some(&*disposition), "{address}");
    let body = text(&response).strip_prefix('\u{feff}').expect("a mark").strip_suffix("\r\n").expect("a last line");
    body.split("\r\n").map(String::from).collect()
}

#[test]
fn every_list_is_a_file() {
    let mut shop = office();
    shop.held_up = vec![held_up(&order(), crate::seams::desk::Change::Shipment)];
    shop.albums[2].title = "=1+1".into();
    shop.albums[2].artist = "Ten, \"Years\"".into();
    for (address, name, head, row) in [
        (
            "/office/orders.csv",
            "orders-2026-03-02",
            "Order,Placed,State,Customer,Customer's name,Copies,Total,Currency,Held up since",
            "1000123,2026-03-02T13:05:09Z,To be shipped,C-1,Ann,3,78.47,GBP,2026-03-02T13:05:09Z",
        ),
        (
            "/office/pick.csv",
            "parcels-2026-03-02",
            "Order,Reserved,Name,Street,Extra,City,Postcode,Country,SKU,Artist,Title,Copies",
            "1000123,2026-03-02T13:05:09Z,Ann Lee,1 High Street,,Leeds,LS1 1AA,GB,B,Artist B,Title B,2",
        ),
        (
            "/office/records.csv",
            "records-2026-03-02",
            "SKU,Artist,Title,Year,Genre,Label,Price,Currency,Sold,On the shelf",
            "C,\"Ten, \"\"Years\"\"\",'=1+1,1959,Jazz,Columbia,24.99,GBP,yes,0",
        ),
        (
            "/office/records/A/movements.csv",
            "movements-A",
            "When,Why,Change,On the shelf,For,By",
            "2026-03-02T14:04:09Z,Reserved,-1,9,1000123,",
        ),
        (
            "/office/records/A/movements.csv",
            "movements-A",
            "When,Why,Change,On the shelf,For,By",
            "2026-03-02T14:04:09Z,Counted,10,10,,Ann",
        ),
        (
            "/office/records/A/changes.csv",
            "changes-A",
            "When,What,Before,After,By",
            "2026-03-02T14:04:09Z,Price,£19.99,£24.99,Ann",
        ),
        (
            "/office/books.csv",
            "trial-balance-2026-03-02",
            "Account,Currency,Debit,Credit,Balance",
            "sales,GBP,0.00,74.97,-74.97",
        ),
        (
            "/office/customers/C-1/statement.csv",
            "statement-C-1",
            "When,Order,What,Amount,Balance,Currency",
            "2026-03-02T14:04:09Z,1000123,Paid by card ending 4242,-78.47,0.00,GBP",
        ),
    ] {
        let lines = file(&shop, address, name);
        assert_eq!(lines[0], head, "{address}");
        assert!(lines.iter().any(|line| line == row), "{address}: {lines:#?}");
        assert!(changes(&shop).is_empty());
    }
}

#[test]
fn a_file_has_the_rows_that_its_page_would_list_on_all_its_pages() {
    let other = ordering::Order { number: "1000124".into(), state: ordering::State::Shipped, ..order() };
    let shop = Shop { known_orders: vec![order(), other], ..office() };
    let lines = file(&shop, "/office/orders.csv?state=shipped&from=2026-01-01&page=7", "orders-2026-03-02");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("1000124,"));
    let call = "find-orders None Some(State::Shipped) None None Some(1767225600) None from 0 count 1000";
    assert!(shop.calls.borrow().contains(&call.to_owned()), "{:?}", shop.calls.borrow());

    let gone = |number: u32| Album { discontinued: true, ..album(&format!("G-{number}")) };
    let shop = Shop { albums: (1000..1700).map(gone).collect(), ..office() };
    let lines = file(&shop, "/office/records.csv?gone=1", "records-2026-03-02");
    assert_eq!(lines.len(), 701, "two calls for the records and two for their copies");
    assert!(lines[700].contains("no,0"), "{}", lines[700]);
}

#[test]
fn a_list_that_is_too_long_is_no_file() {
    let shop = Shop { known_orders: vec![order(); 10_001], more_orders: true, ..office() };
    let response = send(&shop, &get_as_ann("/office/orders.csv?state=placed"));
    assert_eq!(response.status, 422);
    assert!(text(&response).contains("more than 10000 orders. Choose dates"), "{}", text(&response));
    assert!(header(&response, "content-disposition").is_none());
    let gone = |number: u32| Album { discontinued: true, ..album(&format!("G-{number:05}")) };
    let shop = Shop { albums: (0..10_500).map(gone).collect(), ..office() };
    let response = send(&shop, &get_as_ann("/office/records.csv?gone=1"));
    assert_eq!(response.status, 422);
    assert!(text(&response).contains("more than 10000 records"), "{}", text(&response));
}

#[test]
fn a_file_that_would_lack_something_is_not_made() {
    let shop = office();
    *shop.orders.borrow_mut() = Some(ordering::Error::Unavailable("away".into()));
    for address in ["/office/pick.csv", "/office/orders.csv"] {
        assert_eq!(send(&shop, &get_as_ann(address)).status, 503, "{address}");
    }
    let shop = Shop::open();
    for address in ["/office/pick.csv", "/office/orders.csv", "/office/records.csv", "/office/books.csv"] {
        assert_eq!(send(&shop, &get_as_ann(address)).status, 404, "{address}: for operators only");
    }
}
