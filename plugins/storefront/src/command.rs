//! What a form asks for, by the address that it is sent to. The table is the only way to a POST request: what is not in
//! it is refused.
//!
//! Not here: whether the form came from us (`csrf`), and what it does (`pages`, `office`).

use crate::cart::is_sku;
use crate::pages::order::is_number;

/// What a form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    AddToCart,
    ChangeCart,
    SignIn,
    SignUp,
    SignOut,
    Checkout,
    CancelOrder,
    ReturnOrder,
    ChangeAddress,
    ChangePassword,
    DeleteAccount,
    ChangeOrder(Action),
    AddRecord,
    DescribeRecord,
    ChangeRecord(Change),
}

/// What an operator does with an order. None of it can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Ship,
    Cancel,
    Receive,
    Refund,
}

impl Action {
    pub fn named(name: &str) -> Option<Action> {
        [Action::Ship, Action::Cancel, Action::Receive, Action::Refund].into_iter().find(|one| one.name() == name)
    }

    /// Its name in an address.
    pub fn name(self) -> &'static str {
        match self {
            Action::Ship => "ship",
            Action::Cancel => "cancel",
            Action::Receive => "receive",
            Action::Refund => "refund",
        }
    }
}

/// What an operator changes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Restock,
    Count,
    Price,
    Discontinue,
    Relist,
}

/// Each form's address. `{order}` and `{sku}` stand for the number of an order and the SKU of a record.
const ADDRESSES: [(&str, Command); 22] = [
    ("/cart/add", Command::AddToCart),
    ("/cart/change", Command::ChangeCart),
    ("/sign-in", Command::SignIn),
    ("/sign-up", Command::SignUp),
    ("/sign-out", Command::SignOut),
    ("/checkout", Command::Checkout),
    ("/orders/{order}/cancel", Command::CancelOrder),
    ("/orders/{order}/return", Command::ReturnOrder),
    ("/account/address", Command::ChangeAddress),
    ("/account/password", Command::ChangePassword),
    ("/account/delete", Command::DeleteAccount),
    ("/office/orders/{order}/ship", Command::ChangeOrder(Action::Ship)),
    ("/office/orders/{order}/cancel", Command::ChangeOrder(Action::Cancel)),
    ("/office/orders/{order}/receive", Command::ChangeOrder(Action::Receive)),
    ("/office/orders/{order}/refund", Command::ChangeOrder(Action::Refund)),
    ("/office/records", Command::AddRecord),
    ("/office/records/{sku}/edit", Command::DescribeRecord),
    ("/office/records/{sku}/restock", Command::ChangeRecord(Change::Restock)),
    ("/office/records/{sku}/count", Command::ChangeRecord(Change::Count)),
    ("/office/records/{sku}/price", Command::ChangeRecord(Change::Price)),
    ("/office/records/{sku}/discontinue", Command::ChangeRecord(Change::Discontinue)),
    ("/office/records/{sku}/relist", Command::ChangeRecord(Change::Relist)),
];

/// The addresses of all forms. `{order}` and `{sku}` stand for the number of an order and the SKU of a record.
pub fn forms() -> impl Iterator<Item = &'static str> {
    ADDRESSES.iter().map(|(pattern, _)| *pattern)
}

/// What a form that is sent to this path asks for, and of which order or record; an empty text for none.
pub fn command(path: &str) -> Option<(Command, &str)> {
    ADDRESSES.iter().find_map(|(pattern, command)| Some((*command, matched(pattern, path)?)))
}

/// The order's number or the SKU in a path that has the shape of the pattern; an empty text if the pattern has none.
pub fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let mut id = "";
    let mut segments = path.split('/');
    for part in pattern.split('/') {
        let segment = segments.next()?;
        let fits = match part {
            "{order}" => is_number(segment),
            "{sku}" => is_sku(segment),
            part => part == segment,
        };
        if !fits {
            return None;
        }
        if part.starts_with('{') {
            id = segment;
        }
    }
    segments.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_an_address_of_its_own() {
        for (pattern, expected) in ADDRESSES {
            let path = pattern.replace("{order}", "1000123").replace("{sku}", "MC-0001");
            let id = if pattern.contains("{order}") { "1000123" } else { "MC-0001" };
            let id = if pattern.contains('{') { id } else { "" };
            assert_eq!(command(&path), Some((expected, id)), "{path}");
            assert_eq!(command(&format!("{path}/")), None, "{path}/");
        }
        for path in [
            "",
            "/",
            "/cart",
            "/cart/x",
            "/orders/1000123",
            "/orders/10%30/cancel",
            "/orders//cancel",
            "/orders/1000123/cancel/x",
            "/office",
            "/office/records/a/price",
            "/office/orders/1000123/burn",
            "office/records",
        ] {
            assert_eq!(command(path), None, "{path}");
        }
    }
}
