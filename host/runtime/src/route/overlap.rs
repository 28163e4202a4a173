//! How much two answers of any type have in common: the share of equal elements in their lists.

use std::collections::BTreeSet;

use wasmtime::component::Val;

/// The Jaccard index of the first list in each answer: the elements in both lists as a share of the elements in either.
/// The first text in an element, such as an id, identifies it; without a text, its whole value does. `None` when an
/// answer has no list.
pub fn of(one: &[Val], other: &[Val]) -> Option<f64> {
    let key = |element: &Val| text(element).map_or_else(|| format!("{element:?}"), ToOwned::to_owned);
    let keys = |answer: &[Val]| Some(answer.iter().find_map(list)?.iter().map(key).collect::<BTreeSet<_>>());
    let (one, other) = (keys(one)?, keys(other)?);
    let either = one.union(&other).count();
    Some(if either == 0 { 1.0 } else { one.intersection(&other).count() as f64 / either as f64 })
}

fn list(value: &Val) -> Option<&[Val]> {
    match value {
        Val::List(elements) => Some(elements),
        other => inside(other).into_iter().find_map(list),
    }
}

fn text(value: &Val) -> Option<&str> {
    match value {
        Val::String(text) | Val::Enum(text) => Some(text),
        other => inside(other).into_iter().find_map(text),
    }
}

/// The values inside a value, except the elements of a list.
fn inside(value: &Val) -> Vec<&Val> {
    match value {
        Val::Record(fields) => fields.iter().map(|(_, value)| value).collect(),
        Val::Tuple(values) => values.iter().collect(),
        Val::Variant(_, Some(value)) | Val::Option(Some(value)) => vec![value],
        Val::Result(Ok(Some(value)) | Err(Some(value))) => vec![value],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(skus: &[&str]) -> Vec<Val> {
        let suggestion = |(at, sku): (usize, &&str)| {
            let fields = [("score", Val::Float64(at as f64)), ("sku", Val::String((*sku).to_owned()))];
            Val::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
        };
        let list = Val::List(skus.iter().enumerate().map(suggestion).collect());
        vec![Val::Result(Ok(Some(Box::new(list))))]
    }

    #[test]
    fn answers_overlap_by_the_ids_in_their_lists() {
        for (one, other, expect) in [
            (&["A", "B", "C", "D"][..], &["D", "C", "B", "A"][..], 1.0),
            (&["A", "B", "C"], &["B", "C", "D"], 0.5),
            (&["A"], &["B"], 0.0),
            (&["A", "A"], &["A"], 1.0),
            (&[], &[], 1.0),
            (&[], &["A"], 0.0),
        ] {
            assert_eq!(of(&answer(one), &answer(other)), Some(expect), "{one:?} {other:?}");
        }
        let numbers = |numbers: &[u32]| vec![Val::List(numbers.iter().map(|n| Val::U32(*n)).collect())];
        assert_eq!(of(&numbers(&[1, 2]), &numbers(&[2, 3])), Some(1.0 / 3.0));
        assert_eq!(of(&[Val::U32(1)], &numbers(&[1])), None);
        assert_eq!(of(&[Val::Result(Err(None))], &answer(&["A"])), None);
    }
}
