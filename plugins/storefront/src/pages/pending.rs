//! A cart that was sent to be ordered, while the browser does not know what became of it.
//!
//! A double click without scripts sends the checkout twice and drops the first answer, which would have emptied the
//! cart. The second answer only knows that the order is in process; it ties the order to the cart's version
//! (`Visit::keep_ordered`). The next page that shows the cart or the order asks once more and then ends it.

use crate::cart::Cart;
use crate::key::new_key;
use crate::seams::Seams;
use crate::seams::ordering::{Order, State};
use crate::visit::{Header, Visit};

/// The visitor's cart without what has been ordered from it meanwhile, and the header that makes the browser keep it.
/// Calls other contexts only if an order of this cart was in process.
pub fn cart(visit: &Visit<'_>, seams: &impl Seams) -> (Cart, Option<Header>) {
    let cart = visit.cart();
    let Some(number) = cart.version().and_then(|version| visit.ordered(version)) else { return (cart, None) };
    let account = visit.session.and_then(|token| seams.who(token).ok().flatten());
    match account.and_then(|account| seams.order(&account.id, number).ok()) {
        Some(order) => without(cart, &order, visit, seams),
        None => (cart, None),
    }
}

/// As [`cart`], when the order is known.
pub fn without(mut cart: Cart, order: &Order, visit: &Visit<'_>, seams: &impl Seams) -> (Cart, Option<Header>) {
    let number = cart.version().and_then(|version| visit.ordered(version));
    if number != Some(&order.number) || order.state == State::Placing {
        return (cart, None);
    }
    if order.state != State::Rejected {
        for line in &order.lines {
            let _ = cart.set(&line.sku, cart.copies_of(&line.sku).saturating_sub(line.copies));
        }
    }
    // Also a rejected order has used up its version: the next try is another one.
    let header = visit.keep_cart(&cart, &new_key(seams));
    (cart, Some(header))
}
