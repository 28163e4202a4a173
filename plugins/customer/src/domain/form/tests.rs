//! The forms against good, missing, huge and hostile fields.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

fn problems<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Vec<FieldProblem> {
    match outcome {
        Err(Error::Fields(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

fn fields<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Vec<String> {
    problems(outcome).iter().map(|problem| problem.field.clone()).collect()
}

fn home() -> Address {
    Address {
        name: "Anna Lind".into(),
        street: "Storgatan 4".into(),
        extra: String::new(),
        city: "Malmö".into(),
        postcode: "211 34".into(),
        country: "SE".into(),
    }
}

fn countries() -> Countries {
    Countries::new(Some("HK Hong Kong\nSE Sweden".into()))
}

#[test]
fn an_email_address_is_trimmed_and_compared_in_lower_case() {
    for (typed, shown, key) in [
        ("anna@example.org", "anna@example.org", "anna@example.org"),
        (" Anna.Lind+shop@Example.ORG\n", "Anna.Lind+shop@Example.ORG", "anna.lind+shop@example.org"),
        ("o'neil@mail.example.co.uk", "o'neil@mail.example.co.uk", "o'neil@mail.example.co.uk"),
        ("ÄNNE@bücher.example", "ÄNNE@bücher.example", "änne@bücher.example"),
    ] {
        assert_eq!(email(typed), Ok(Email { shown: shown.into(), key: key.into() }), "{typed:?}");
    }
}

#[test]
fn what_is_no_email_address_gets_a_sentence() {
    let long = format!("{}@example.org", "a".repeat(243));
    assert_eq!(long.len(), EMAIL_CHARS_MAX + 1);
    assert!(email(&long[1..]).is_ok());
    for (typed, part) in [
        ("", "enter your e-mail"),
        ("   ", "enter your e-mail"),
        ("anna", "whole e-mail"),
        ("@example.org", "whole e-mail"),
        ("anna@", "after the @"),
        ("anna@localhost", "after the @"),
        ("anna@.org", "after the @"),
        ("anna@example.", "after the @"),
        ("anna@example..org", "after the @"),
        ("anna@home@example.org", "one @ only"),
        ("anna lind@example.org", "without blanks"),
        ("anna@example.org\r\nBcc: all@example.org", "without blanks"),
        ("anna\0@example.org", "without blanks"),
        ("an\u{200b}na@example.org", "without blanks"),
        ("\u{202e}anna@example.org", "without blanks"),
        ("Anna<anna@example.org>", "plain e-mail"),
        ("a@b.org,c@d.org", "plain e-mail"),
        (&long, "at most 254"),
        (&"@".repeat(1_000_000), "at most 254"),
    ] {
        let found = problems(email(typed));
        assert!(found.len() == 1 && found[0].field == "email" && found[0].problem.contains(part), "{found:?}");
    }
}

#[test]
fn a_sign_up_is_checked_as_a_whole() {
    let (email, name) = sign_up("Anna@example.org", "correct horse", "  Anna Lind ").unwrap();
    assert_eq!((email.key.as_str(), name.as_str()), ("anna@example.org", "Anna Lind"));
    assert_eq!(fields(sign_up("", "", "")), ["email", "password", "name"]);
    assert_eq!(fields(sign_up("anna@example.org", "Anna@Example.org", "Anna")), ["password"]);
    assert_eq!(fields(sign_up("anna@example.org", "correct horse", &"x".repeat(101))), ["name"]);
    assert!(sign_up("anna@example.org", "correct horse", &"é".repeat(100)).is_ok());
    for bad in ["Anna\nLind", "Anna\0", "\u{202e}annA", "a\u{2028}b", "\u{1b}[31m"] {
        assert_eq!(fields(sign_up("anna@example.org", "correct horse", bad)), ["name"], "{bad:?}");
    }
    for good in ["李小龍", "<script>", "Robert'); DROP TABLE accounts;--", "نیلو\u{200c}فر", "👩\u{200d}🎤"]
    {
        assert_eq!(sign_up("anna@example.org", "correct horse", good).unwrap().1, good);
    }
}

#[test]
fn a_sign_in_asks_for_both_fields_and_no_more() {
    assert_eq!(fields(sign_in("", "")), ["email", "password"]);
    assert!(sign_in("anna@example.org", "x").is_ok(), "the rules of a new password do not bind an old one");
}

#[test]
fn an_address_is_trimmed_and_every_wrong_field_has_a_problem() {
    assert_eq!(address(&home(), &countries()), Ok(home()));
    let wide = Address { street: "\t Storgatan 4 ".into(), country: "SE ".into(), ..home() };
    assert_eq!(address(&wide, &countries()), Ok(home()));
    let empty = Address {
        name: " ".into(),
        street: String::new(),
        extra: String::new(),
        city: String::new(),
        postcode: String::new(),
        country: String::new(),
    };
    assert_eq!(fields(address(&empty, &countries())), ["name", "street", "city", "country"]);
    let huge = Address {
        name: "x".repeat(101),
        street: "x".repeat(101),
        extra: "x".repeat(101),
        city: "x".repeat(101),
        postcode: "1".repeat(17),
        country: "SE".repeat(10_000),
    };
    assert_eq!(fields(address(&huge, &countries())), ["name", "street", "extra", "city", "postcode", "country"]);
    let full = Address {
        name: "é".repeat(100),
        street: "é".repeat(100),
        extra: "é".repeat(100),
        city: "é".repeat(100),
        postcode: "1".repeat(16),
        country: "SE".into(),
    };
    assert_eq!(address(&full, &countries()), Ok(full));
}

#[test]
fn a_country_is_one_of_the_list_and_a_postcode_is_left_out_only_where_there_is_none() {
    let with = |postcode: &str, country: &str| Address { postcode: postcode.into(), country: country.into(), ..home() };
    assert_eq!(fields(address(&with("211 34", "XX"), &countries())), ["country"]);
    assert_eq!(fields(address(&with("211 34", "se"), &countries())), ["country"]);
    assert_eq!(fields(address(&with("211 34", "SE Sweden"), &countries())), ["country"]);
    assert_eq!(fields(address(&with("", "SE"), &countries())), ["postcode"]);
    assert!(address(&with("", "HK"), &countries()).is_ok());
    assert!(address(&with("75001", "FR"), &Countries::default()).is_ok());
}

#[test]
fn the_countries_without_postcodes_are_sorted_and_none_twice() {
    assert!(WITHOUT_POSTCODES.is_sorted_by(|a, b| a < b));
}
