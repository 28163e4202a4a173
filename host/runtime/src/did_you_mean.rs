//! Hints for an unknown word: the known word that the user probably meant, or all known words.

use strsim::osa_distance;

/// Only this many characters of a word are compared.
const COMPARED_CHARS: usize = 64;

/// The nearest of `known` to `word`, if at most a third of its characters differ. An insertion, a deletion, a
/// replacement and a swap of neighbours each count 1.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let compared = |word: &str| word.to_lowercase().chars().take(COMPARED_CHARS).collect::<String>();
    let word = compared(word);
    known
        .into_iter()
        .map(|candidate| (osa_distance(&word, &compared(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint for `word`, which is not among `known`.
pub fn hint<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["component", "imports", "store", "limits"];
        for (word, expect) in [
            ("componet", Some("component")),
            ("import", Some("imports")),
            ("Store", Some("store")),
            ("sotre", Some("store")),
            ("limit", Some("limits")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expect, "{word}");
        }
    }

    #[test]
    fn the_hint_names_the_near_word_or_all_words() {
        assert_eq!(hint("stroe", ["store", "limits"]), "did you mean `store`?");
        assert_eq!(hint("zebra", ["store", "limits"]), "there are: store, limits");
        assert_eq!(hint("zebra", []), "there are none");
    }
}
