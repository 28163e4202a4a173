//! Shoppers: what people do in the shop, request by request, with cookies and forms as their browsers would.
//!
//! Invariants: two connections never act for the same customer; every order has a key of its own; a turn that did not
//! end as it should (an order that was not placed, a page that is not there) ends the bench. Covers and style sheets
//! are not asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use http::header::{LOCATION, SET_COOKIE};

use crate::client::{Answer, Client};

/// Customers for each connection: it acts for them in turn.
const SHOPPERS_PER_CONNECTION: usize = 2;
/// What an order is made of when it is not put together in a session: two albums, one copy each.
const BASKETS: usize = 256;
/// Where it goes, and all of a card but its number.
const ADDRESS_AND_HOLDER: &str = "name=Ada+Lind&street=Long+Lane+7&extra=&city=York&postcode=YO1+7HH&country=GB\
                                  &holder=Ada+Lind&expiry=12%2F49&code=123";

/// An album that can be bought, and what one looks for to find it.
pub struct Pick {
    pub sku: String,
    pub artist: String,
    pub title: String,
    pub genre: String,
    pub year: u16,
}

/// A customer who has signed in.
struct Shopper {
    session: String,
    /// What forms for them carry; it is the same on every page.
    csrf: String,
}

/// A cart, and the total that its customer agrees to.
struct Basket {
    lines: String,
    total: String,
}

/// A test card.
#[derive(Clone, Copy)]
pub enum Pays {
    Approved,
    /// The bank refuses.
    Declined,
    /// The bank does not answer in time.
    Unanswered,
}

impl Pays {
    fn number(self) -> &'static str {
        match self {
            Self::Approved => "4242+4242+4242+4242",
            Self::Declined => "4000+0000+0000+0002",
            Self::Unanswered => "4000+0000+0000+0119",
        }
    }
}

/// What a customer learns of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Placed,
    /// It is there, and will be confirmed or not.
    Taken,
    /// There is no order: the card, the stock, or too much trouble.
    Refused,
    /// It is not known: the same form is to be sent again.
    Again,
}

/// Everybody who shops, and what there is to buy.
pub struct Market {
    picks: Vec<Pick>,
    shoppers: Vec<Shopper>,
    baskets: Vec<Basket>,
    keys: AtomicU64,
}

impl Market {
    /// Signs customers in at a running shop, and looks at what baskets cost there. `email` names the customers, who
    /// share a password.
    pub async fn open(
        client: &mut Client,
        picks: Vec<Pick>,
        connections: usize,
        email: impl Fn(usize) -> String,
        password: &str,
    ) -> Result<Self> {
        let mut market = Self { picks, shoppers: Vec::new(), baskets: Vec::new(), keys: AtomicU64::new(1) };
        ensure!(!market.picks.is_empty(), "there is nothing to buy");
        for number in 0..connections * SHOPPERS_PER_CONNECTION {
            let session = sign_in(client, &email(number), password).await?;
            let (form, _) = checkout(client, &session, &market.lines(number)).await?;
            market.shoppers.push(Shopper { session, csrf: hidden(&form, "csrf")?.to_owned() });
        }
        let session = market.shopper(0)?.session.clone();
        for number in 0..BASKETS {
            let (form, lines) = checkout(client, &session, &market.lines(number)).await?;
            ensure!(hidden(&form, "lines")? == lines, "the shop changes a basket of {lines}");
            let total = hidden(&form, "total")?.to_owned();
            market.baskets.push(Basket { lines, total });
        }
        Ok(market)
    }

    /// One order: the form of a checkout page that was looked at before.
    pub async fn order(&self, client: &mut Client, turn: usize) -> Result<()> {
        let shopper = self.shopper(turn)?;
        let basket = self.baskets.get(turn % self.baskets.len().max(1)).context("there are no baskets")?;
        // The key is the version of the cart that the form was made from.
        let key = self.key();
        let mut cookies = Cookies { session: &shopper.session, cart: format!("{key}~{}", basket.lines) };
        let form = Form { csrf: &shopper.csrf, key: &key, lines: &basket.lines, total: &basket.total };
        place(client, &mut cookies, &form).await?;
        Ok(())
    }

    /// The same under this key, whatever becomes of it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_order(&self, client: &mut Client, turn: usize, key: &str, pays: Pays) -> Result<Seen> {
        let shopper = self.shopper(turn)?;
        let basket = self.baskets.get(turn % self.baskets.len().max(1)).context("there are no baskets")?;
        let cookies = Cookies { session: &shopper.session, cart: format!("{key}~{}", basket.lines) };
        let form = Form { csrf: &shopper.csrf, key, lines: &basket.lines, total: &basket.total };
        let answer = client.post("/checkout", &cookies.header(), form.body(pays)).await?;
        Ok(match (answer.status, location(&answer)) {
            (303, to) if to.starts_with("/orders/") && to.ends_with("?note=placed") => Seen::Placed,
            // The first try has placed it, and its answer did not arrive.
            (303, to) if to.starts_with("/orders/") && to.ends_with("?note=ordered-before") => Seen::Placed,
            (303, to) if to.starts_with("/orders/") => Seen::Taken,
            (303, _) => Seen::Refused,
            (429 | 500.., _) => Seen::Again,
            (status, to) => bail!("an order is answered {status} {to}:\n{}", said(&answer)),
        })
    }

    /// A visit of twenty pages, of which some are looked at because something goes into the cart, and one order.
    pub async fn session(&self, client: &mut Client, turn: usize) -> Result<()> {
        let shopper = self.shopper(turn)?;
        let mut cookies = Cookies { session: &shopper.session, cart: String::new() };
        let liked = [self.pick(turn * 11 + 4)?, self.pick(turn * 11 + 7)?];
        for page in self.pages(turn)? {
            client.page(&page, Some(&cookies.header())).await?;
            if let Some(pick) = liked.iter().find(|pick| page == album(pick)) {
                let answer = client.post("/cart/add", &cookies.header(), format!("sku={}", pick.sku)).await?;
                ensure!(answer.status == 303, "an album does not go into the cart: {}", answer.status);
                cookies.take(&answer);
            }
        }
        client.page("/cart", Some(&cookies.header())).await?;
        let form = text(client.page("/checkout", Some(&cookies.header())).await?)?;
        let [csrf, key, lines, total] =
            [hidden(&form, "csrf"), hidden(&form, "key"), hidden(&form, "lines"), hidden(&form, "total")];
        let order = place(client, &mut cookies, &Form { csrf: csrf?, key: key?, lines: lines?, total: total? }).await?;
        ensure!(cookies.cart.is_empty(), "what was ordered stays in the cart: {}", cookies.cart);
        let page = text(client.page(&order, Some(&cookies.header())).await?)?;
        for pick in liked {
            ensure!(page.contains(&album(pick)), "{order} does not show {}", pick.sku);
        }
        Ok(())
    }

    /// Pages that every variant must answer alike, with their cookies, before the first order.
    pub fn compared(&self) -> Result<Vec<(String, String)>> {
        let mut pages = Vec::new();
        for turn in 0..8 {
            let cart = self.lines(turn);
            let cookies = Cookies { session: &self.shopper(turn)?.session, cart }.header();
            let asked = self.pages(turn)?.into_iter().chain(["/cart".to_owned(), "/checkout".to_owned()]);
            pages.extend(asked.map(|page| (page, cookies.clone())));
        }
        Ok(pages)
    }

    /// The seventeen pages of a visit before its cart: home, searches, ways through the crates, albums.
    fn pages(&self, turn: usize) -> Result<Vec<String>> {
        let pick = |number: usize| self.pick(turn * 11 + number);
        let search = |number: usize| anyhow::Ok(format!("/search?q={}", encoded(&pick(number)?.title)));
        let seen = |number: usize| anyhow::Ok(album(pick(number)?));
        Ok(vec![
            "/".to_owned(),
            search(0)?,
            seen(0)?,
            seen(1)?,
            format!("/browse?genre={}", encoded(&pick(2)?.genre)),
            seen(2)?,
            format!("/browse?decade={}", pick(3)?.year / 10 * 10),
            seen(3)?,
            format!("/search?q={}", encoded(&pick(4)?.artist)),
            seen(4)?,
            seen(5)?,
            "/browse?page=2".to_owned(),
            seen(6)?,
            seen(7)?,
            "/".to_owned(),
            search(8)?,
            seen(8)?,
        ])
    }

    fn pick(&self, number: usize) -> Result<&Pick> {
        self.picks.get(number % self.picks.len().max(1)).context("there is nothing to buy")
    }

    fn shopper(&self, turn: usize) -> Result<&Shopper> {
        self.shoppers.get(turn % self.shoppers.len().max(1)).context("no customer has signed in")
    }

    /// The cart of basket `number`.
    fn lines(&self, number: usize) -> String {
        let sku = |at: usize| self.picks.get(at % self.picks.len().max(1)).map_or("", |pick| &pick.sku);
        format!("{}.1~{}.1", sku(number * 2), sku(number * 2 + 1))
    }

    /// As random as those of forms: how they are spread over an index is part of what an order costs.
    pub fn key(&self) -> String {
        let number = self.keys.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{:016x}", mixed(number), mixed(!number))
    }
}

/// SplitMix64's output function: each number becomes another one, without order.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn album(pick: &Pick) -> String {
    format!("/albums/{}", pick.sku)
}

/// What a browser keeps.
struct Cookies<'a> {
    session: &'a str,
    cart: String,
}

impl Cookies<'_> {
    fn header(&self) -> String {
        match self.cart.as_str() {
            "" => format!("session={}", self.session),
            cart => format!("session={}; cart={cart}", self.session),
        }
    }

    fn take(&mut self, answer: &Answer) {
        if let Some(cart) = cookie(answer, "cart") {
            self.cart = cart.to_owned();
        }
    }
}

/// What the form of a checkout page carries beside what is typed into it.
struct Form<'a> {
    csrf: &'a str,
    key: &'a str,
    lines: &'a str,
    total: &'a str,
}

impl Form<'_> {
    /// All of it, filled in.
    fn body(&self, pays: Pays) -> String {
        let Form { csrf, key, lines, total } = self;
        let (lines, number) = (encoded(lines), pays.number());
        format!("csrf={csrf}&key={key}&lines={lines}&total={total}&{ADDRESS_AND_HOLDER}&number={number}")
    }
}

/// The address of the order's page.
async fn place(client: &mut Client, cookies: &mut Cookies<'_>, form: &Form<'_>) -> Result<String> {
    let answer = client.post("/checkout", &cookies.header(), form.body(Pays::Approved)).await?;
    cookies.take(&answer);
    let to = location(&answer);
    if answer.status != 303 || !to.starts_with("/orders/") || !to.ends_with("?note=placed") {
        bail!("an order is not placed but answered {} {to}:\n{}", answer.status, said(&answer));
    }
    Ok(to.to_owned())
}

/// The token of a new session.
async fn sign_in(client: &mut Client, email: &str, password: &str) -> Result<String> {
    let form = client.get("/sign-in", None).await?;
    let visitor = cookie(&form, "visitor").context("the form of signing in sets no cookie")?.to_owned();
    let page = text(form.body)?;
    let body = format!("csrf={}&email={}&password={}", hidden(&page, "csrf")?, encoded(email), encoded(password));
    let answer = client.post("/sign-in", &format!("visitor={visitor}"), body).await?;
    match cookie(&answer, "session") {
        Some(token) if answer.status == 303 => Ok(token.to_owned()),
        _ => bail!("{email} cannot sign in: {}\n{}", answer.status, said(&answer)),
    }
}

/// The checkout page of a cart, and the cart.
async fn checkout(client: &mut Client, session: &str, cart: &str) -> Result<(String, String)> {
    let cookies = Cookies { session, cart: cart.to_owned() };
    Ok((text(client.page("/checkout", Some(&cookies.header())).await?)?, cookies.cart))
}

fn cookie<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get_all(SET_COOKIE).iter().find_map(|header| {
        let value = header.to_str().ok()?.strip_prefix(name)?.strip_prefix('=')?;
        value.split(';').next()
    })
}

fn location(answer: &Answer) -> &str {
    answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default()
}

fn text(body: bytes::Bytes) -> Result<String> {
    String::from_utf8(body.into()).context("a page is not UTF-8")
}

/// What an error page says, without its markup.
fn said(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let main = body.split_once("<main").map_or(&*body, |(_, main)| main);
    let words = main.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text.trim());
    words.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ").chars().take(1_000).collect()
}

/// The value of a hidden field.
pub fn hidden<'a>(page: &'a str, name: &str) -> Result<&'a str> {
    let (start, end) = hidden_at(page, name).with_context(|| format!("the page has no field `{name}`"))?;
    page.get(start..end).context("a field ends before it begins")
}

/// A page without the key that each copy of its form has for itself.
pub fn without_key(page: &[u8]) -> Vec<u8> {
    let page = String::from_utf8_lossy(page);
    match hidden_at(&page, "key") {
        Some((start, end)) => {
            [page.get(..start), page.get(end..)].into_iter().flatten().collect::<String>().into_bytes()
        }
        None => page.into_owned().into_bytes(),
    }
}

fn hidden_at(page: &str, name: &str) -> Option<(usize, usize)> {
    let before = format!("name=\"{name}\" value=\"");
    let start = page.find(&before)? + before.len();
    let length = page.get(start..)?.find('"')?;
    Some((start, start + length))
}

/// As a form sends it.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market() -> Market {
        let pick = |number: u16| Pick {
            sku: format!("A-{number}"),
            artist: "The Blue Rooms".into(),
            title: "Night & Day".into(),
            genre: "R&B".into(),
            year: 1970 + number,
        };
        let shopper = |number: usize| Shopper { session: format!("token{number}"), csrf: "c".into() };
        let (picks, shoppers) = ((0..40).map(pick).collect(), (0..4).map(shopper).collect());
        Market { picks, shoppers, baskets: Vec::new(), keys: AtomicU64::new(1) }
    }

    #[test]
    fn a_visit_has_twenty_pages_with_its_cart_its_form_and_its_order() {
        let pages = market().pages(3).unwrap_or_default();
        assert_eq!(pages.len() + 3, 20);
        assert_eq!(pages[1], "/search?q=Night+%26+Day");
        assert_eq!(pages[4], "/browse?genre=R%26B");
        let market = market();
        for liked in [4, 7] {
            let sku = market.pick(3 * 11 + liked).map(album).unwrap_or_default();
            assert!(pages.contains(&sku), "{sku} is bought and never seen");
        }
    }

    #[test]
    fn connections_act_for_customers_of_their_own() {
        let market = market();
        let of = |connection: usize| -> Vec<String> {
            (0..4).filter_map(|turn| market.shopper(connection + turn * 2).ok()).map(|s| s.session.clone()).collect()
        };
        assert_eq!(of(0), ["token0", "token2", "token0", "token2"]);
        assert_eq!(of(1), ["token1", "token3", "token1", "token3"]);
    }

    #[test]
    fn keys_are_what_forms_have_and_differ() {
        let market = market();
        let keys: std::collections::BTreeSet<String> = (0..1000).map(|_| market.key()).collect();
        assert_eq!(keys.len(), 1000);
        assert!(keys.iter().all(|key| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }

    #[test]
    fn hidden_fields_are_read_and_keys_taken_out() {
        let page = r#"<input name="csrf" value="ab"><input type="hidden" name="key" value="0f"><b>"#;
        assert_eq!(hidden(page, "csrf").ok(), Some("ab"));
        assert!(hidden(page, "total").is_err());
        let without = r#"<input name="csrf" value="ab"><input type="hidden" name="key" value=""><b>"#;
        assert_eq!(without_key(page.as_bytes()), without.as_bytes());
        assert_eq!(without_key(b"plain"), b"plain");
    }
}
