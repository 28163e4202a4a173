//! What a form did, shown on the page that follows it. The address carries only a word for the sentence, so a link
//! cannot make the shop show other text.

/// The sentence for a word in `?note=`; `None` for an unknown word.
pub fn note(word: Option<&str>) -> Option<&'static str> {
    Some(match word? {
        "added" => "It is in your cart.",
        "changed" => "Your cart is changed.",
        "removed" => "It is out of your cart.",
        "most" => "Twenty copies of one record are the most that we send at once.",
        "short" => {
            "Nothing was ordered and nothing was charged: of some records there are fewer copies now than you would like."
        }
        "full" => "Your cart is full: fifty different records are the most that we send at once.",
        "placed" => "Thank you. Your order is placed.",
        "ordered-before" => {
            "Your order is placed. This cart was ordered before, perhaps in another window: this is that order, and \
             nothing more was charged."
        }
        "moved-on" => {
            "The page that you sent was made from a cart that is empty now. Nothing was ordered. If it was you who \
             ordered it, the order is in your account."
        }
        "in-process" => "Thank you. Your order is not confirmed yet; this page shows where it is.",
        "busy" => "Your order is being worked on at this moment. Look again in a few seconds.",
        "cancelled" => "Your order is cancelled. The money that was held on your card is let go.",
        "return-requested" => {
            "Your return is registered. Send the records back; when they arrive, the money goes to your card."
        }
        "welcome" => "Welcome. Your account is made, and you are signed in.",
        "address" => "Your address is changed.",
        "password" => "Your password is changed, and all other devices are signed out.",
        "signed-out" => "You are signed out on this device.",
        "deleted" => "Your account is deleted. Thank you for having been with us.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_have_a_sentence() {
        assert!(note(Some("added")).is_some());
        for word in [None, Some(""), Some("<b>"), Some("Added"), Some("It is in your cart.")] {
            assert_eq!(note(word), None);
        }
    }
}
