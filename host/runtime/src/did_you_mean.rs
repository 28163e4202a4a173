//! Hints for a word that is not among the known ones: the known word that it was probably meant to be, or all of them.

use strsim::osa_distance;

/// Characters of a word that are compared.
const COMPARED_CHARS: usize = 64;

/// The one of `known` that `word` was probably meant to be: at most a third of its characters differ. An insertion, a
/// deletion, a replacement and a swap of neighbours each count 1.
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

/// What to do about `word`, which is none of `known`.
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
