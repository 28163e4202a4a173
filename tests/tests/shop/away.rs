//! The shop without one context after the other: what still works, and that nothing is lost.

use std::time::Duration;

use anyhow::Result;
use seam_tests::books::{Books, balance, decided};
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::placement::is_left_out;
use seam_tests::shop::{Shop, first_sku};
use seam_tests::shopping::{card, operator};

/// How a page comes: whole or without what the broken context would add, or with a note that it will be back.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// It comes, with these words.
    Comes(&'static str),
    /// Status 503, with a page in these words, and when to try again.
    Waits(&'static str),
}
use Expect::{Comes, Waits};

/// A shop that has had its customers, and two who are still signed in.
struct Fixture {
    shop: Shop,
    sku: String,
    /// Shipped.
    order: String,
    /// Not shipped yet.
    waiting: String,
    person: Person,
    desk: Person,
}

impl Fixture {
    fn set() -> Result<Self> {
        let shop = Shop::new()?;
        let host = shop.up()?;
        let sku = shop.album("kind of blue", 9)?;
        let mut person = Person::new(&host);
        person.sign_up("Ada Listener", "ada@shop.example", "a long enough secret")?.must_be(200)?;
        let mut desk = operator(&host)?;
        let order = person.buy(&sku, 2)?;
        desk.desk(&order, "ship", &[])?.must_be(200)?;
        let waiting = person.buy(&sku, 1)?;
        person.put_into_cart(&sku, 1)?;
        balance(&shop)?;
        assert!(host.stop(Duration::from_secs(10))?.success());
        Ok(Self { shop, sku, order, waiting, person, desk })
    }

    /// The shop without `context`; all people stay signed in.
    fn without(&mut self, context: &str) -> Result<(Host, String)> {
        let manifest = self.shop.break_context(context)?;
        let host = self.shop.up()?;
        self.person = self.person.at(&host);
        self.desk = self.desk.at(&host);
        Ok((host, manifest))
    }

    /// Opens pages as the customer (`/office...`: as the operator); `SKU` and `ORDER` stand for those of the fixture.
    fn look(&mut self, pages: &[(&str, Expect)]) -> Result<()> {
        for (path, expect) in pages {
            let path = path.replace("SKU", &self.sku).replace("ORDER", &self.order);
            let person = if path.starts_with("/office") { &mut self.desk } else { &mut self.person };
            let page = person.get(&path)?;
            assert_eq!(page.path, path, "{}", page.words());
            assert!(!page.text.contains("musiccorp:") && !page.says("unreachable"), "{path}: {}", page.words());
            match expect {
                Comes(words) => page.must_be(200)?.must_say(words)?,
                Waits(words) => {
                    assert!(page.header("retry-after").is_some(), "{path}: {:?}", page.headers);
                    page.must_be(503)?.must_say(words)?;
                }
            }
        }
        Ok(())
    }

    /// Restores the context. The books balance once interrupted orders have come to their end.
    fn restore(mut self, host: Host, manifest: &str) -> Result<(Self, Host)> {
        assert!(host.stop(Duration::from_secs(10))?.success());
        self.shop.write_manifest(manifest)?;
        let host = self.shop.up()?;
        self.person = self.person.at(&host);
        self.desk = self.desk.at(&host);
        self.desk.get("/office")?.must_be(200)?;
        let books = decided(&self.shop)?;
        assert_eq!(books.orders[&self.order].state, "shipped");
        self.look(&[("/orders/ORDER", Comes("On its way")), ("/office/books", Comes("The books balance"))])?;
        Ok((self, host))
    }
}

#[test]
fn without_accounts_all_records_can_be_found_and_the_cart_is_kept() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let (host, manifest) = fixture.without("customer")?;
    fixture.look(&[
        ("/", Comes("records")),
        ("/search?q=kind%20of%20blue", Comes("Kind of Blue")),
        ("/browse?genre=Jazz", Comes("Jazz")),
        ("/albums/SKU", Comes("Kind of Blue")),
        ("/cart", Comes("Kind of Blue")),
        ("/sign-in", Comes("Sign in")),
        ("/account", Waits("Your account cannot be reached")),
        ("/checkout", Waits("Your cart is kept")),
        ("/orders/ORDER", Waits("Back in a moment")),
        ("/account/statement", Waits("Back in a moment")),
        ("/account/address", Waits("Back in a moment")),
        ("/office", Waits("Back in a moment")),
        ("/office/orders/ORDER", Waits("Back in a moment")),
    ])?;
    let mut other = Person::new(&host);
    let page = other.sign_in("ada@shop.example", "a long enough secret")?.must_be(503)?;
    assert_eq!(page.form("/sign-in")?.value("email")?, "ada@shop.example", "what was typed is still there");
    other.sign_up("Bob Listener", "new@shop.example", "a long enough secret")?.must_be(503)?;
    // A stranger's cart works as ever.
    other.put_into_cart(&fixture.sku, 2)?.must_say("Your cart is changed")?;
    host.log_line(&["\"customer\"", "unreachable"])?;
    fixture.restore(host, &manifest)?;
    Ok(())
}

#[test]
fn without_the_books_orders_can_be_followed_and_none_is_charged() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let form = {
        // The page of the checkout is opened while all is well.
        let host = fixture.shop.up()?;
        fixture.person = fixture.person.at(&host);
        let form = fixture.person.till(card::APPROVED)?;
        host.stop(Duration::from_secs(10))?;
        form
    };
    let (host, manifest) = fixture.without("finance")?;
    fixture.look(&[
        ("/", Comes("records")),
        ("/albums/SKU", Comes("Kind of Blue")),
        ("/cart", Comes("Check out")),
        ("/account", Comes("On its way")),
        ("/orders/ORDER", Comes("On its way")),
        ("/checkout", Comes("Place the order")),
        ("/account/statement", Waits("Our bookkeeping cannot be reached")),
        ("/orders/ORDER/invoice", Waits("Our bookkeeping cannot be reached")),
        ("/office", Comes("The bookkeeping does not answer")),
        ("/office/orders/ORDER", Comes("The bookkeeping does not answer")),
        ("/office/pick", Comes("Pick list")),
        ("/office/books", Waits("Back in a moment")),
    ])?;
    // No card can be checked, so no order is opened; the same form is the same order.
    let page = fixture.person.submit(&form)?.must_be(503)?;
    page.must_say("Our bookkeeping cannot be reached. Nothing was changed")?;
    assert_eq!(page.form("/checkout")?.value("key")?, form.value("key")?);
    let waiting = fixture.waiting.clone();
    fixture.desk.desk(&waiting, "ship", &[])?.must_be(503)?.must_say("did not answer")?;
    let (mut fixture, _host) = fixture.restore(host, &manifest)?;

    // The very form that had no answer, sent once more: an order, and one only.
    let before = balance(&fixture.shop)?;
    let again = fixture.person.get("/checkout")?.form("/checkout")?;
    let again = form.clone().forced("csrf", again.value("csrf")?);
    fixture.person.submit(&again)?.must_be(200)?.must_say("Your order is placed")?;
    fixture.person.submit(&again)?.must_be(200)?.must_say("Your order is placed")?;
    let books = balance(&fixture.shop)?;
    // The one that was to be shipped leaves by itself, at any moment.
    let placed = |books: &Books| books.in_state("placed").filter(|(number, _)| **number != waiting).count();
    assert_eq!(placed(&books), placed(&before) + 1);
    assert!(matches!(books.orders[&waiting].state.as_str(), "placed" | "shipped"));
    Ok(())
}

#[test]
fn without_the_order_desk_the_cart_is_kept_and_the_statement_is_there() -> Result<()> {
    if is_left_out("without_the_order_desk_the_cart_is_kept_and_the_statement_is_there")? {
        return Ok(());
    }
    let mut fixture = Fixture::set()?;
    let (host, manifest) = fixture.without("orders")?;
    fixture.look(&[
        ("/", Comes("records")),
        ("/albums/SKU", Comes("Add to cart")),
        ("/cart", Comes("The total cannot be worked out just now")),
        ("/cart", Comes("Kind of Blue")),
        ("/checkout", Waits("The order desk cannot be reached")),
        ("/account", Comes("Your orders cannot be reached just now")),
        ("/account/statement", Comes("Paid by card ending 4242")),
        ("/orders/ORDER/invoice", Comes("Kind of Blue")),
        ("/orders/ORDER", Waits("The order desk cannot be reached")),
        ("/office", Comes("The order desk does not answer")),
        ("/office/orders", Waits("Back in a moment")),
        ("/office/pick", Comes("Pick list")),
        ("/office/books", Comes("The books balance")),
        ("/office/records/SKU", Comes("They add up")),
    ])?;
    fixture.restore(host, &manifest)?;
    Ok(())
}

#[test]
fn without_the_warehouse_records_are_shown_and_none_is_sold() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let (host, manifest) = fixture.without("warehouse")?;
    fixture.look(&[
        ("/", Comes("records")),
        ("/search?q=kind%20of%20blue", Comes("Kind of Blue")),
        ("/albums/SKU", Comes("Kind of Blue")),
        ("/cart", Comes("Kind of Blue")),
        ("/account", Comes("On its way")),
        ("/orders/ORDER", Comes("On its way")),
        ("/account/statement", Comes("Paid by card ending 4242")),
        ("/office", Comes("The warehouse does not answer")),
        ("/office/pick", Waits("The warehouse cannot be reached")),
        ("/office/records/SKU", Comes("The warehouse does not answer")),
        ("/office/orders/ORDER", Comes("Taken from the card")),
    ])?;
    let form = fixture.person.till(card::APPROVED)?;
    fixture.person.submit(&form)?.must_be(503)?.must_say("You are not charged twice")?;
    let record = format!("/office/records/{}", fixture.sku);
    let restock = [("copies", "3"), ("note", "from the cellar")];
    fixture.desk.press(&record, &format!("{record}/restock"), &restock)?.must_be(503)?;
    let waiting = fixture.waiting.clone();
    fixture.desk.desk(&waiting, "ship", &[])?.must_be(503)?;
    fixture.restore(host, &manifest)?;
    Ok(())
}

#[test]
fn without_the_catalogue_the_shop_says_so_and_orders_stay_readable() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let (host, manifest) = fixture.without("catalog")?;
    fixture.look(&[
        ("/", Waits("The catalogue cannot be reached")),
        ("/search?q=blue", Waits("The catalogue cannot be reached")),
        ("/albums/SKU", Waits("The catalogue cannot be reached")),
        ("/cart", Comes("The total cannot be worked out just now")),
        ("/account", Comes("On its way")),
        ("/orders/ORDER", Comes("On its way")),
        ("/orders/ORDER/invoice", Comes("the title cannot be looked up just now")),
        ("/account/statement", Comes("Paid by card ending 4242")),
        ("/office", Comes("The books sum to zero")),
        ("/office/orders/ORDER", Comes("Taken from the card")),
        ("/office/books", Comes("The books balance")),
    ])?;
    fixture.restore(host, &manifest)?;
    Ok(())
}

#[test]
fn without_recommendations_the_other_parts_of_the_page_come() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let (host, manifest) = fixture.without("recommendation")?;
    fixture.look(&[("/", Comes("records")), ("/albums/SKU", Comes("Kind of Blue"))])?;
    assert!(!fixture.person.get("/")?.says("unavailable"));
    let sku = first_sku(&host.get("/search?q=miles%20davis")?.text())?;
    let album = host.get(&format!("/albums/{sku}"))?;
    assert!(album.text().contains("Miles Davis") && !album.text().contains("unavailable"), "{}", album.text());
    host.log_line(&["\"recommendation\"", "unreachable"])?;
    // An order does not wait for a context that only learns from it.
    let form = fixture.person.till(card::APPROVED)?;
    fixture.person.submit(&form)?.must_be(200)?.must_say("Your order is placed")?;
    balance(&fixture.shop)?;
    fixture.restore(host, &manifest)?;
    Ok(())
}
