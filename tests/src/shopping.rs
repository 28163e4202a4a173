//! What people do in the shop, page by page as they would: sign up, search, fill a cart, order, send back; and what the
//! operator does about it.

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::page::{Form, Page};
use crate::person::Person;

/// Who keeps the office in the demo, and with what they sign in.
pub const OPERATOR: (&str, &str) = ("operator@shop.example", "open-the-shop-door");
/// What all customers of the demo sign in with.
pub const DEMO_PASSWORD: &str = "records-for-everyone";

/// The test cards that finance documents.
pub mod card {
    pub const APPROVED: &str = "4242 4242 4242 4242";
    pub const REFUSED: &str = "4000 0000 0000 0002";
    pub const NO_MONEY: &str = "4000 0000 0000 9995";
    pub const EXPIRED: &str = "4000 0000 0000 0069";
    pub const SILENT: &str = "4000 0000 0000 0119";
}

/// The e-mail address of the demo's customer with this number, from 1.
pub fn demo_email(number: usize) -> String {
    format!("customer-{number:05}@shop.example")
}

pub fn operator(host: &Host) -> Result<Person> {
    Person::signed_in(host, OPERATOR.0, OPERATOR.1)
}

impl Person {
    pub fn signed_in(host: &Host, email: &str, password: &str) -> Result<Person> {
        let mut person = Person::new(host);
        person.sign_in(email, password)?.must_be(200)?;
        ensure!(person.cookie("session").is_some(), "no session for {email}");
        Ok(person)
    }

    pub fn sign_in(&mut self, email: &str, password: &str) -> Result<Page> {
        let form = self.get("/sign-in")?.form("/sign-in")?;
        self.submit(&form.typed(&[("email", email), ("password", password)])?)
    }

    pub fn sign_up(&mut self, name: &str, email: &str, password: &str) -> Result<Page> {
        let form = self.get("/sign-up")?.form("/sign-up")?;
        self.submit(&form.typed(&[("name", name), ("email", email), ("password", password)])?)
    }

    /// From the album's page into the cart, so many times.
    pub fn put_into_cart(&mut self, sku: &str, copies: u32) -> Result<Page> {
        let form = self.get(&format!("/albums/{sku}"))?.form("/cart/add")?;
        let mut cart = self.submit(&form)?;
        if copies > 1 {
            let form = cart.form("/cart/change")?.with(&format!("copies-{sku}"), &copies.to_string())?;
            cart = self.submit(&form)?;
        }
        cart.must_be(200)
    }

    /// The form of the checkout with this card, everything else filled in.
    pub fn till(&mut self, card: &str) -> Result<Form> {
        let form = self.get("/checkout")?.form("/checkout")?;
        form.typed(&[
            ("name", "Ada Listener"),
            ("street", "1 Groove Lane"),
            ("city", "Bristol"),
            ("postcode", "BS1 4DJ"),
            ("country", "GB"),
            ("number", card),
            ("holder", "Ada Listener"),
            ("expiry", "12/40"),
            ("code", "123"),
        ])
    }

    pub fn check_out(&mut self, card: &str) -> Result<Page> {
        let form = self.till(card)?;
        self.submit(&form)
    }

    /// Buys so many copies; the order's number.
    pub fn buy(&mut self, sku: &str, copies: u32) -> Result<String> {
        self.put_into_cart(sku, copies)?;
        let page = self.check_out(card::APPROVED)?.must_be(200)?;
        page.must_say("Your order is placed")?;
        order_number(&page)
    }

    /// Presses the button of a form on a page, with what is typed into it.
    pub fn press(&mut self, page: &str, action: &str, typed: &[(&str, &str)]) -> Result<Page> {
        let form = self.get(page)?.form(action)?.typed(typed)?;
        self.submit(&form)
    }

    /// As a customer: sends copies back.
    pub fn send_back(&mut self, order: &str, sku: &str, copies: u32) -> Result<Page> {
        let field = format!("copies-{sku}");
        let page = self.press(
            &format!("/orders/{order}"),
            &format!("/orders/{order}/return"),
            &[(&field, &copies.to_string())],
        )?;
        page.must_say("Your return is registered")?;
        Ok(page)
    }

    /// As the operator: the page of an action on the order, and its form. The amount of a refund is chosen before.
    pub fn desk(&mut self, order: &str, action: &str, typed: &[(&str, &str)]) -> Result<Page> {
        let form = self.deed(order, action, typed)?;
        self.submit(&form)
    }

    /// The filled form of `desk`, not sent yet.
    pub fn deed(&mut self, order: &str, action: &str, typed: &[(&str, &str)]) -> Result<Form> {
        let path = format!("/office/orders/{order}/{action}");
        let (amounts, typed): (Vec<_>, Vec<_>) = typed.iter().copied().partition(|(name, _)| *name == "amount");
        let query = amounts.first().map(|(_, amount)| format!("?amount={amount}")).unwrap_or_default();
        self.get(&format!("{path}{query}"))?.form(&path)?.typed(&typed)
    }
}

/// The number of the order whose page this is.
pub fn order_number(page: &Page) -> Result<String> {
    let rest = page.path.strip_prefix("/orders/").with_context(|| format!("`{}` is no order's page", page.path))?;
    Ok(rest.split(['?', '/']).next().unwrap_or_default().to_owned())
}
