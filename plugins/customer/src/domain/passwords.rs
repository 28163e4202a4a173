//! What may be a password: 10 to 200 characters, none of the well-known ones, and not the e-mail address.

/// Characters of a password.
pub const CHARS_MIN: usize = 10;
/// More than a person types or a password manager makes.
pub const CHARS_MAX: usize = 200;

/// What is wrong with it, in a sentence for the person who chose it.
pub fn problem(password: &str, email_key: &str) -> Option<String> {
    let lower = password.to_lowercase();
    match password.chars().count() {
        0 => Some("Please choose a password.".into()),
        1..CHARS_MIN => Some(format!(
            "That is a little short: please use at least {CHARS_MIN} characters. Three or four words make a good password."
        )),
        CHARS_MIN..=CHARS_MAX if lower == email_key => {
            Some("Your e-mail address would be the first guess. Please choose another password.".into())
        }
        CHARS_MIN..=CHARS_MAX if WELL_KNOWN.contains(&lower.as_str()) => Some(
            "This is one of the passwords that are guessed first. Please choose one that only you would think of."
                .into(),
        ),
        CHARS_MIN..=CHARS_MAX => None,
        _ => Some(format!("Please use at most {CHARS_MAX} characters.")),
    }
}

/// The passwords of at least 10 characters that head the published lists, in lower case.
#[rustfmt::skip]
const WELL_KNOWN: &[&str] = &[
    "0000000000", "00000000000", "000000000000", "0102030405", "0123456789", "0987654321", "1010101010", "1029384756", "1111111111",
    "11111111111", "111111111111", "1122334455", "1212121212", "1231231231", "123123123123", "1234512345", "1234554321",
    "123456654321", "1234567890", "12345678900", "12345678901", "123456789012", "1234567890123", "1234567890a", "1234567890q",
    "1234567891", "12345678910", "12345678911", "12345678912", "12345678987654321", "123456789a", "123456789abc", "123456789m",
    "123456789q", "123456789s", "123456789z", "123456qwerty", "12345qwert", "12345qwerty", "1234qwerasdf", "1234qwerty",
    "123qweasdzxc", "1q2w3e4r5t", "1q2w3e4r5t6y", "1q2w3e4r5t6y7u", "1qaz2wsx3edc", "1qazxsw23edc", "2222222222", "3333333333",
    "3rjs1la7qe", "4444444444", "5555555555", "6666666666", "7777777777", "8888888888", "9876543210", "9999999999", "a123456789",
    "a1b2c3d4e5", "aa12345678", "aa123456789", "aaaaaaaaaa", "abc123456789", "abcd123456", "abcd12345678", "abcdefghij",
    "administrator", "alexander1", "asdfasdfasdf", "asdfghjkl1", "asdfghjkl123", "asdfghjkl;", "assassin123", "azertyuiop",
    "barcelona1", "basketball", "basketball1", "birmingham", "butterfly1", "california", "california1", "changeme123", "charlie123",
    "cheesecake", "chocolate1", "christopher", "cinderella", "computer123", "elizabeth1", "football123", "iloveyou12",
    "iloveyou123", "iloveyou1234", "jennifer123", "letmein123", "letmein1234", "liverpool1", "liverpool123", "manchester",
    "manchester1", "maryjane123", "metallica1", "michael123", "microsoft1", "mypassword", "mypassword1", "newcastle1",
    "p@ssw0rd123", "p@ssword123", "pass123456", "passw0rd123", "password00", "password01", "password10", "password11", "password12",
    "password123", "password123!", "password1234", "password12345", "password123456", "password21", "password22", "password69",
    "password99", "passwordpassword", "princess123", "q1w2e3r4t5", "q1w2e3r4t5y6", "qazwsx1234", "qazwsxedc1", "qazwsxedc123",
    "qazwsxedcrfv", "qwe123qwe123", "qweasdzxc1", "qweasdzxc123", "qweqweqweqwe", "qwer123456", "qwerasdfzxcv", "qwertasdfg",
    "qwerty1234", "qwerty12345", "qwerty123456", "qwerty123456789", "qwertyqwerty", "qwertyuiop", "qwertyuiop1", "qwertyuiop123",
    "qwertyuiop[]", "secret1234", "sunshine123", "superman123", "test123456", "testtest123", "trustno1234", "unbelievable",
    "university", "volleyball", "welcome123", "welcome1234", "zaq12wsxcde3", "zxcvbnm123", "zxcvbnm1234", "zxcvbnmasdfghjkl",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_could_refuse_each_of_its_passwords() {
        for known in WELL_KNOWN {
            assert!(known.chars().count() >= CHARS_MIN && *known == known.to_lowercase(), "{known}");
        }
        assert!(WELL_KNOWN.is_sorted_by(|a, b| a < b), "sorted, none twice");
        assert!(WELL_KNOWN.len() >= 100);
    }

    #[test]
    fn a_password_is_long_enough_and_not_the_first_guess() {
        let check = |password: &str, expect: Option<&str>| {
            let problem = problem(password, "anna@example.org");
            match expect {
                Some(part) => assert!(problem.as_ref().is_some_and(|p| p.contains(part)), "{password:?}: {problem:?}"),
                None => assert_eq!(problem, None, "{password:?}"),
            }
        };
        check("correct horse battery", None);
        check("ten chars!", None);
        check("äöüäöüäöüä", None);
        check(&"x y".repeat(66), None);
        check("\0\0\0\0\0\0\0\0\0\0", None);
        check("", Some("choose a password"));
        check("nine char", Some("at least 10"));
        check("äöüäöüäöü", Some("at least 10"));
        check("Password123", Some("guessed first"));
        check("QWERTYUIOP", Some("guessed first"));
        check("Anna@Example.ORG", Some("e-mail address"));
        check(&"x".repeat(200), None);
        check(&"x".repeat(201), Some("at most 200"));
        check(&"x".repeat(1_000_000), Some("at most 200"));
    }
}
