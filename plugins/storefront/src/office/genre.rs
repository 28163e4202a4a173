//! The genre of a record: one that records have already, or one that the operator confirms. A typing mistake must not
//! make a new one.

use crate::form::Form;
use crate::seams::Seams;

use super::fields::Field;

/// The name of the box that confirms a new genre. Its value is the genre: another one has to be confirmed again.
pub const CONFIRM: &str = "new-genre";

/// The genres that records have, the most frequent first. Empty while the catalog does not answer.
pub fn known(seams: &impl Seams) -> Vec<String> {
    seams.facets().map(|facets| facets.genres.into_iter().map(|genre| genre.name).collect()).unwrap_or_default()
}

/// Puts a known genre into its known spelling, and marks one that is neither known nor confirmed. `own` is the genre
/// that the record has now.
pub fn check(genre: &mut Field, known: &[String], own: Option<&str>, form: &Form<'_>) {
    if genre.wrong() {
        return;
    }
    let folded = |text: &str| text.to_lowercase();
    let typed = folded(&genre.value);
    let same = |name: &&str| folded(name) == typed;
    if let Some(name) = known.iter().map(String::as_str).chain(own).find(same) {
        genre.value = name.to_owned();
        return;
    }
    if form.line(CONFIRM) == genre.value {
        return;
    }
    let near = known.iter().find(|name| one_mistake(&folded(name), &typed));
    let hint = near.map_or(String::new(), |name| format!(" Did you mean {name}?"));
    genre.problem =
        Some(format!("No record has this genre yet.{hint} Choose one of the list, or make it a new one below."));
}

/// Whether one letter that is missing, too many, another or exchanged with its neighbour makes the one text the other.
fn one_mistake(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let same = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    let (short, long) = (short.get(same..).unwrap_or_default(), long.get(same..).unwrap_or_default());
    match (short, long) {
        ([a, b, rest @ ..], [c, d, others @ ..]) if short.len() == long.len() => {
            short.get(1..) == long.get(1..) || ((a, b) == (d, c) && rest == others)
        }
        _ if short.len() == long.len() => true,
        _ => long.get(1..) == Some(short),
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::testing::post;

    fn checked(typed: &str, confirmed: &str) -> Field {
        let request = post("/x", &[("genre", typed), (CONFIRM, confirmed)]);
        let form = Form::of(&request).expect("a form");
        let mut genre = Field::line(&form, "genre", 1, 200);
        check(&mut genre, &["Jazz".into(), "Hip hop".into()], Some("Free folk"), &form);
        genre
    }

    #[test]
    fn a_known_genre_is_taken_in_its_known_spelling() {
        for (typed, taken) in
            [("Jazz", "Jazz"), ("jazz", "Jazz"), (" HIP  hop ", "Hip hop"), ("free Folk", "Free folk")]
        {
            assert_eq!(checked(typed, ""), Field::of(taken), "{typed}");
        }
    }

    #[test]
    fn a_new_genre_has_to_be_confirmed() {
        for (typed, confirmed, hint) in
            [("Jaz", "", "Did you mean Jazz?"), ("Jzaz", "Jaz", "Did you mean Jazz?"), ("Skiffle", "yes", "Choose one")]
        {
            let genre = checked(typed, confirmed);
            assert!(genre.problem.as_deref().is_some_and(|problem| problem.contains(hint)), "{genre:?}");
        }
        assert_eq!(checked("Skiffle", "Skiffle"), Field::of("Skiffle"));
        assert!(checked("", "").wrong());
    }

    #[test]
    fn one_mistake_is_one() {
        for (one, other, near) in [
            ("jazz", "jaz", true),
            ("jazz", "jazzz", true),
            ("jazz", "fazz", true),
            ("jazz", "jzaz", true),
            ("jazz", "jazz", true),
            ("jazz", "ja", false),
            ("jazz", "zajz", false),
            ("rock", "folk", false),
            ("", "a", true),
        ] {
            assert_eq!((one_mistake(one, other), one_mistake(other, one)), (near, near), "{one} {other}");
        }
    }
}
