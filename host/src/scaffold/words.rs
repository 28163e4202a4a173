//! Names of WIT as names of a language.

/// `order-placed` as `order_placed`.
pub fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// `order-placed` as `OrderPlaced`.
pub fn upper_camel(name: &str) -> String {
    let upper = |word: &str| -> String {
        word.chars().next().into_iter().flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect()
    };
    name.split('-').map(upper).collect()
}

/// `order-placed` as `orderPlaced`.
pub fn camel(name: &str) -> String {
    let all = upper_camel(name);
    all.chars().next().into_iter().flat_map(char::to_lowercase).chain(all.chars().skip(1)).collect()
}
