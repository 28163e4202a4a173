//! The words of a name: `BillingAddressId` and `billing_addresses_id` are `billing`, `address`, `id`.

/// The words in lower case, the way to a plural taken back.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let starts = letter.is_uppercase() && (before.is_lowercase() || before.is_numeric());
        if (starts || !letter.is_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.into_iter().filter(|word| !word.is_empty()).map(|word| singular(&word)).collect()
}

/// By the rules of English that names of tables follow: `categories`, `addresses`, `boxes`, `tracks`; `status`, `news`
/// and `address` stay.
fn singular(word: &str) -> String {
    const NOT_PLURAL: [&str; 4] = ["ss", "us", "is", "news"];
    if word.len() <= 3 || NOT_PLURAL.iter().any(|end| word.ends_with(end)) {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    for end in ["sses", "shes", "ches", "xes", "uses"] {
        if word.ends_with(end) {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    word.strip_suffix('s').unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_style_have_the_same_words() {
        for name in ["BillingAddressId", "billing_address_id", "billing_addresses_id", "billing-address id"] {
            assert_eq!(words(name), ["billing", "address", "id"], "{name}");
        }
        assert_eq!(words("HTTPServerID2"), ["httpserver", "id2"]);
    }

    #[test]
    fn plurals_are_taken_back_and_other_words_kept() {
        let plain = |word: &str| words(word).join(" ");
        for (name, expected) in [
            ("categories", "category"),
            ("boxes", "box"),
            ("statuses", "status"),
            ("status", "status"),
            ("tracks", "track"),
            ("news", "news"),
            ("gas", "gas"),
            ("analysis", "analysis"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }
}
