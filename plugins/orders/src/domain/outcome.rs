//! Why an order was rejected, as it is kept: the same key gets the same answer again.
//!
//! The first line is the kind, each further one a row with tabs between its cells. `unavailable` is no decision and is
//! not kept.

use crate::wit::{Error, FieldProblem, Shortage};

/// None of errors that are not a decision about the order.
pub fn write(error: &Error) -> Option<String> {
    let rows = |kind: &str, rows: Vec<String>| Some(format!("{kind}\n{}", rows.join("\n")));
    match error {
        Error::Short(short) => {
            rows("short", short.iter().map(|s| format!("{}\t{}\t{}", plain(&s.sku), s.wanted, s.on_hand)).collect())
        }
        Error::Fields(fields) => {
            rows("fields", fields.iter().map(|f| format!("{}\t{}", plain(&f.field), plain(&f.problem))).collect())
        }
        Error::Declined(why) => rows("declined", vec![plain(why)]),
        Error::Refused(why) => rows("refused", vec![plain(why)]),
        _ => None,
    }
}

/// None when it is not something that `write` wrote.
pub fn read(text: &str) -> Option<Error> {
    let (kind, rest) = text.split_once('\n')?;
    let rows = rest.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    match kind {
        "short" => rows
            .map(|row| match row[..] {
                [sku, wanted, on_hand] => {
                    Some(Shortage { sku: sku.into(), wanted: wanted.parse().ok()?, on_hand: on_hand.parse().ok()? })
                }
                _ => None,
            })
            .collect::<Option<_>>()
            .map(Error::Short),
        "fields" => rows
            .map(|row| match row[..] {
                [field, problem] => Some(FieldProblem { field: field.into(), problem: problem.into() }),
                _ => None,
            })
            .collect::<Option<_>>()
            .map(Error::Fields),
        "declined" => Some(Error::Declined(rest.into())),
        "refused" => Some(Error::Refused(rest.into())),
        _ => None,
    }
}

fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_is_read_as_it_was_written() {
        for error in [
            Error::Short(vec![
                Shortage { sku: "A-1".into(), wanted: 3, on_hand: 0 },
                Shortage { sku: "B".into(), wanted: 1, on_hand: 0 },
            ]),
            Error::Fields(vec![FieldProblem { field: "number".into(), problem: "Please check the number.".into() }]),
            Error::Declined("The bank refuses the card.".into()),
            Error::Refused("No.".into()),
        ] {
            assert_eq!(read(&write(&error).unwrap_or_default()), Some(error));
        }
        assert_eq!(write(&Error::Unavailable("away".into())), None);
        let odd = write(&Error::Declined("two\nlines\tand a tab".into())).unwrap_or_default();
        assert_eq!(read(&odd), Some(Error::Declined("two lines and a tab".into())));
        for broken in ["", "short", "short\nA", "fields\nx", "other\nx"] {
            assert_eq!(read(broken), None, "{broken:?}");
        }
    }
}
