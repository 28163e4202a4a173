//! A record bought over HTTP, by every way that an order can go: page by page, form by form, without a script.

use anyhow::Result;
use seam_tests::books::balance;
use seam_tests::person::Person;
use seam_tests::shop::{Shop, first_sku};
use seam_tests::shopping::{card, operator, order_number};

/// A new customer with an account.
fn newcomer(host: &seam_tests::host::Host, name: &str) -> Result<Person> {
    let mut person = Person::new(host);
    let email = format!("{}@shop.example", name.to_lowercase().replace(' ', "."));
    let page = person.sign_up(name, &email, "a long enough secret")?.must_be(200)?;
    page.must_say("Your account is made")?;
    Ok(person)
}

#[test]
fn a_record_is_found_bought_shipped_and_returned() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 5)?;
    let mut person = Person::new(&host);

    // The cart first, then the account: as most people come.
    let found = person.get("/search?q=kind%20of%20blue")?;
    assert_eq!(first_sku(&found.text)?, sku);
    person.put_into_cart(&sku, 2)?.must_say("Your cart is changed")?;
    let door = person.get("/checkout")?;
    assert!(door.path.starts_with("/sign-in?next="), "{}", door.path);
    let up = door.attributes("main a[href^='/sign-up']", "href").pop().unwrap();
    let form = person.get(&up)?.form("/sign-up")?;
    let typed = [("name", "Ada Listener"), ("email", "ada@shop.example"), ("password", "a long enough secret")];
    let till = person.submit(&form.typed(&typed)?)?;
    assert_eq!(till.path, "/checkout", "signing up leads on to where one wanted to go");

    let placed = person.check_out(card::APPROVED)?.must_be(200)?;
    placed.must_say("Your order is placed")?;
    let order = order_number(&placed)?;
    assert!(person.get("/cart")?.says("Nothing in it yet"), "what is ordered is out of the cart");
    person.get("/account")?.must_say(&order)?;
    person.get("/account/statement")?.must_say("Nothing is booked yet")?;
    assert_eq!(person.get(&format!("/orders/{order}/invoice"))?.status, 404, "no invoice before the parcel");
    let books = balance(&shop)?;
    assert_eq!((books.orders[&order].state.as_str(), books.payments[&order].stage.as_str()), ("placed", "authorised"));

    let mut desk = operator(&host)?;
    desk.get("/office")?.must_be(200)?.must_say("The books sum to zero")?;
    desk.get("/office/pick")?.must_say(&order)?;
    desk.desk(&order, "ship", &[])?.must_be(200)?.must_say("Taken from the card")?;
    assert!(!desk.get("/office/pick")?.says(&order));
    balance(&shop)?;

    person.get(&format!("/orders/{order}"))?.must_say("On its way")?;
    person.get(&format!("/orders/{order}/invoice"))?.must_be(200)?.must_say("Paid by card ending 4242")?;
    person.get("/account/statement")?.must_say("Paid by card ending 4242")?;

    person.send_back(&order, &sku, 1)?.must_say("Return under way")?;
    balance(&shop)?;
    desk.get("/office/orders?state=return-requested")?.must_say(&order)?;
    desk.desk(&order, "receive", &[])?.must_be(200)?.must_say("Given back")?;
    person.get(&format!("/orders/{order}"))?.must_say("Returned")?;
    let statement = person.get("/account/statement")?;
    statement.must_say("Paid back to card ending 4242")?;
    person.get(&format!("/orders/{order}/invoice"))?.must_say("Given back")?;
    desk.get(&format!("/office/records/{sku}"))?.must_say("They add up")?;

    let books = balance(&shop)?;
    let payment = &books.payments[&order];
    assert_eq!(payment.refunded * 2, payment.amount - shipping(&books, &order), "one copy of two");
    let level = shop.call("warehouse", &format!("stock.levels([{sku:?}])"))?;
    assert_eq!(level[0]["on-hand"], 4, "five, two sent, one back");
    Ok(())
}

/// What of an order's sum was for the post.
fn shipping(books: &seam_tests::books::Books, order: &str) -> u64 {
    let order = &books.orders[order];
    order.total - order.returned_price * order.copies / order.returned_copies
}

#[test]
fn every_test_card_does_what_is_written_beside_it() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("blue train", 3)?;
    let mut person = newcomer(&host, "Grace Hopper")?;
    person.put_into_cart(&sku, 1)?;
    let before = balance(&shop)?.without_rejected();
    for (number, title, says) in [
        (card::REFUSED, "Your card was declined", "The bank refuses"),
        (card::NO_MONEY, "Your card was declined", "not enough money"),
        (card::EXPIRED, "Your card was declined", "has expired"),
        (card::SILENT, "The order could not be placed", "did not answer in time, so we do not know"),
    ] {
        let page = person.check_out(number)?.must_be(200)?;
        assert_eq!(page.path, "/checkout", "no page of the history would send the card again");
        page.must_say(title)?;
        page.must_say(says)?;
        assert_eq!(page.words().to_lowercase().matches("nothing was charged").count(), 1, "{}", page.words());
        let form = page.form("/checkout")?;
        assert_eq!(form.value("street")?, "1 Groove Lane", "what was typed is still there");
        assert_eq!((form.value("number")?, form.value("code")?), ("", ""), "but for what is secret");
        assert_eq!(balance(&shop)?.without_rejected(), before, "{number}");
    }
    let slips = [
        ("number", "5555 5555 5555 4444"),
        ("number", "4242 4242 4242 4243"),
        ("number", "4242"),
        ("expiry", "01/20"),
        ("code", "x"),
    ];
    for (field, typed) in slips {
        let form = person.till(card::APPROVED)?.with(field, typed)?;
        let page = person.submit(&form)?.must_be(200)?;
        assert_eq!(page.path, "/checkout");
        let problem = format!("#{field}-problem");
        assert_eq!(page.all(&problem).len(), 1, "`{field}` is marked: {}", page.words());
        assert_eq!(page.attributes(&format!("#{field}"), "aria-invalid"), ["true"]);
        assert_eq!(balance(&shop)?.without_rejected(), before, "{field}");
    }
    let listed = person.get("/account")?.words().matches("Not placed").count();
    assert_eq!(listed, 4, "what the bank refused is among the orders, what was mistyped is not");
    // As a browser fills it in.
    let form = person.till(card::APPROVED)?.with("expiry", "12 / 2040")?;
    let placed = person.submit(&form)?.must_be(200)?;
    placed.must_say("Your order is placed")?;
    placed.must_say("What happens next")?;
    assert_eq!(balance(&shop)?.orders[&order_number(&placed)?].state, "placed");
    Ok(())
}

#[test]
fn an_address_is_good_or_wrong_by_one_rule() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("blue train", 3)?;
    let mut person = newcomer(&host, "Mary Allen Wilkes")?;
    person.put_into_cart(&sku, 1)?;
    let before = balance(&shop)?;
    let kept = person.get("/account/address")?.form("/account/address")?;
    let ordered_to = person.till(card::APPROVED)?;
    for (field, wrong) in [("postcode", ""), ("street", " "), ("city", "\u{202e}sdeeL"), ("country", "FR2")] {
        let address = [
            ("name", "Ada Listener"),
            ("street", "1 Groove Lane"),
            ("city", "Bristol"),
            ("postcode", "BS1 4DJ"),
            ("country", "GB"),
        ];
        let page = person.submit(&kept.clone().typed(&address)?.forced(field, wrong))?.must_be(200)?;
        assert_eq!(page.path, "/account/address", "a mistake leads back to the form");
        let problem = page.all(&format!("#{field}-problem"));
        let page = person.submit(&ordered_to.clone().forced(field, wrong))?.must_be(200)?;
        assert_eq!((page.all(&format!("#{field}-problem")), problem.len()), (problem, 1), "{field}: {}", page.words());
    }
    assert_eq!(balance(&shop)?, before, "nothing was even tried");
    Ok(())
}

#[test]
fn what_was_typed_into_the_cart_is_ordered_and_a_second_click_changes_nothing() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("blue train", 3)?;
    let mut person = newcomer(&host, "Karen Jones")?;
    let add = person.get(&format!("/albums/{sku}"))?.form("/cart/add")?;
    person.submit(&add)?;
    person.submit(&add)?.must_be(200)?.must_say("It is in your cart")?;
    let cart = person.get("/cart")?.form("/cart/change")?;
    let field = format!("copies-{sku}");
    assert_eq!(cart.value(&field)?, "1", "a double click");
    // The button of the cart sends its form.
    let till = person.submit(&cart.with(&field, "3")?.forced("next", "/checkout"))?.must_be(200)?;
    assert_eq!(till.path, "/checkout");
    till.must_say("3 × Blue Train")?;

    // The last ones go meanwhile: the cart says so where it can be changed, and so does the next try.
    let form = person.till(card::APPROVED)?;
    shop.count(&sku, 2)?;
    let page = person.submit(&form)?.must_be(200)?;
    assert_eq!(page.path, "/cart?note=short");
    page.must_say("Only 2 left. Take 2 or fewer to check out.")?;
    assert_eq!(person.get("/checkout")?.path, "/cart");
    let cart = person.get("/cart")?.form("/cart/change")?.with(&field, "2")?;
    let order = order_number(&{
        person.submit(&cart)?;
        person.check_out(card::APPROVED)?.must_be(200)?
    })?;
    assert_eq!(balance(&shop)?.orders[&order].copies, 2);

    // A second tab of the same cart, and the first answer lost: the cart is as empty as after the answer.
    person.put_into_cart(&shop.album("giant steps", 3)?, 1)?;
    let form = person.till(card::APPROVED)?;
    let mut twin = person.clone();
    let first = order_number(&person.submit(&form)?.must_be(200)?)?;
    let second = order_number(&twin.submit(&form)?.must_be(200)?)?;
    assert_eq!((first, twin.get("/cart")?.says("Nothing in it yet")), (second, true));
    balance(&shop)?;
    Ok(())
}

#[test]
fn an_order_is_cancelled_by_either_side_until_it_is_shipped() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("giant steps", 4)?;
    let mut person = newcomer(&host, "Annie Easley")?;
    let mut desk = operator(&host)?;

    let first = person.buy(&sku, 1)?;
    let page = format!("/orders/{first}");
    person.press(&page, &format!("{page}/cancel"), &[])?.must_say("Your order is cancelled")?;
    assert_eq!(balance(&shop)?.payments[&first].stage, "voided");

    let second = person.buy(&sku, 1)?;
    desk.desk(&second, "cancel", &[("reason", "The last copy has a scratch.")])?.must_be(200)?;
    person.get(&format!("/orders/{second}"))?.must_say("The last copy has a scratch.")?;
    balance(&shop)?;

    // Both pages were open when the parcel left.
    let third = person.buy(&sku, 1)?;
    let page = format!("/orders/{third}");
    let late = person.get(&page)?.form(&format!("{page}/cancel"))?;
    let late_desk = desk.deed(&third, "cancel", &[])?;
    desk.desk(&third, "ship", &[])?.must_be(200)?;
    person.submit(&late)?.must_be(200)?.must_say("has been shipped")?;
    desk.submit(&late_desk.with("reason", "Too late")?)?.must_be(200)?.must_say("Nothing was done")?;
    let books = balance(&shop)?;
    assert_eq!(books.orders[&third].state, "shipped");
    let level = shop.call("warehouse", &format!("stock.levels([{sku:?}])"))?;
    assert_eq!(level[0]["on-hand"], 3);
    Ok(())
}

#[test]
fn the_operator_gives_money_back_and_no_more_than_there_is() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("a love supreme", 4)?;
    let mut person = newcomer(&host, "Mary Jackson")?;
    let mut desk = operator(&host)?;
    let order = person.buy(&sku, 1)?;
    desk.desk(&order, "ship", &[])?.must_be(200)?;
    let reason = "The sleeve came bent; sorry <for> that & thanks.";
    let form = desk.deed(&order, "refund", &[("amount", "1.50"), ("reason", reason)])?;
    let other_tab = desk.deed(&order, "refund", &[("amount", "1.50"), ("reason", "The sleeve came bent.")])?;
    desk.submit(&form)?.must_be(200)?.must_say("Given back: £1.50")?;
    // The same form again is done already. What another one was made from is no longer so.
    desk.submit(&form)?.must_be(200)?.must_say("The money goes back to the card")?;
    let answer = desk.submit(&other_tab)?.must_be(200)?;
    answer.must_say("The payment has changed")?;
    answer.must_say("Given back: £1.50")?;
    balance(&shop)?;
    person.get("/account/statement")?.must_say(reason)?;
    let path = format!("/office/orders/{order}/refund?amount=999.00");
    desk.get(&path)?.must_be(422)?.must_say("no more is left")?;
    let too_much = form.clone().forced("was", &left(&shop, &order)?.to_string()).forced("amount", "999.00");
    desk.submit(&too_much)?.must_be(422)?.must_say("no more is left")?;
    balance(&shop)?;
    Ok(())
}

/// What can still be given back for a shipped order, in minor units.
fn left(shop: &Shop, order: &str) -> Result<u64> {
    let payment = &balance(shop)?.payments[order];
    Ok(payment.amount - payment.refunded)
}

#[test]
fn what_happens_to_an_album_meanwhile_is_shown_before_anything_is_charged() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("mingus ah um", 4)?;
    let mut person = newcomer(&host, "Radia Perlman")?;
    let mut desk = operator(&host)?;
    let record = format!("/office/records/{sku}");

    // Its price, while the page of the checkout is open.
    person.put_into_cart(&sku, 1)?;
    let form = person.till(card::APPROVED)?;
    desk.press(&record, &format!("{record}/price"), &[("price", "33.33")])?.must_say("new price")?;
    let page = person.submit(&form)?.must_be(200)?;
    page.must_say("Something has changed")?;
    page.must_say("33.33")?;
    balance(&shop)?;

    // The new total is agreed to by sending the page that shows it.
    let again = page.form("/checkout")?.typed(&[("number", card::APPROVED), ("code", "123")])?;
    let first = order_number(&person.submit(&again)?.must_be(200)?)?;

    // Its last copies.
    person.put_into_cart(&sku, 2)?;
    let form = person.till(card::APPROVED)?;
    shop.count(&sku, 1)?;
    let page = person.submit(&form)?.must_be(200)?;
    page.must_say("Nothing was ordered and nothing was charged")?;
    page.must_say("Only 1 left")?;
    balance(&shop)?;

    // Its sale.
    let one = person.get("/cart")?.form("/cart/change")?.with(&format!("copies-{sku}"), "1")?;
    person.submit(&one)?;
    let form = person.till(card::APPROVED)?;
    let end = desk.get(&record)?.form(&format!("{record}/discontinue"))?.forced("sure", "yes");
    desk.submit(&end)?.must_say("no longer sold")?;
    let page = person.submit(&form)?;
    assert!(!page.says("Your order is placed"), "{}", page.words());
    person.get("/cart")?.must_say("No longer sold")?;
    person.get(&format!("/albums/{sku}"))?.must_be(200)?.must_say("No longer sold")?;
    desk.desk(&first, "ship", &[])?.must_be(200)?;
    person.get(&format!("/orders/{first}/invoice"))?.must_say("Mingus Ah Um")?;
    balance(&shop)?;
    Ok(())
}

#[test]
fn a_customer_who_deletes_the_account_leaves_the_books_as_they_are() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("head hunters", 4)?;
    let mut person = newcomer(&host, "Hedy Lamarr")?;
    let mut desk = operator(&host)?;
    let order = person.buy(&sku, 1)?;
    desk.desk(&order, "ship", &[])?.must_be(200)?;
    let before = balance(&shop)?;
    person.press("/account/delete", "/account/delete", &[("password", "a long enough secret")])?.must_say("deleted")?;
    assert!(person.get("/account")?.path.starts_with("/sign-in"));
    assert_eq!(balance(&shop)?, before);
    let page = desk.get(&format!("/office/orders/{order}"))?.must_be(200)?;
    assert!(page.says("deleted account"), "{}", page.words());
    let mut again = Person::new(&host);
    again.sign_in("hedy.lamarr@shop.example", "a long enough secret")?.must_say("That is not right")?;
    Ok(())
}

#[test]
fn no_person_sees_or_changes_what_is_anothers() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("maiden voyage", 4)?;
    let mut person = newcomer(&host, "Ida Rhodes")?;
    let mut other = newcomer(&host, "Eve Dropper")?;
    let mut stranger = Person::new(&host);
    let order = person.buy(&sku, 1)?;
    let cancel = person.get(&format!("/orders/{order}"))?.form(&format!("/orders/{order}/cancel"))?;
    let before = balance(&shop)?;

    for path in ["", "/invoice"] {
        assert_eq!(other.get(&format!("/orders/{order}{path}"))?.status, 404);
        assert!(stranger.get(&format!("/orders/{order}{path}"))?.path.starts_with("/sign-in?next="));
    }
    assert_eq!(other.send(&cancel)?.status, 403, "another's form");
    let own = other.get("/account")?.form("/sign-out")?;
    let token = own.value("csrf")?.to_owned();
    assert_eq!(other.send(&cancel.clone().forced("csrf", &token))?.status, 404, "one's own form, another's order");
    assert_eq!(stranger.send(&cancel)?.status, 403);
    for path in ["", "/orders", "/pick", "/records", "/books", &format!("/orders/{order}"), "/customers/C-00001"] {
        assert_eq!(other.get(&format!("/office{path}"))?.status, 404, "the office does not exist: {path}");
        assert!(stranger.get(&format!("/office{path}"))?.path.starts_with("/sign-in"), "{path}");
    }
    let ship = cancel.clone().forced("csrf", &token);
    let ship = seam_tests::page::Form { action: format!("/office/orders/{order}/ship"), ..ship };
    assert_eq!(other.send(&ship)?.status, 404);
    assert_eq!(balance(&shop)?, before);
    Ok(())
}
