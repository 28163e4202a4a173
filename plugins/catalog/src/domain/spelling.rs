//! Other spellings of a name: how a shopper types it whose keyboard lacks its letters or who leaves out its signs.
//!
//! Text and question are spelled by the same function, so that `Guðnadóttir` and `gudnadottir` meet. What FTS5 does by
//! itself is not repeated here: it ignores the marks on composed Latin letters.

/// The first code point that stands for a sign. FTS5 takes private code points for letters.
const SIGNS: u32 = 0xE000;
/// How many private code points there are.
const SIGNS_COUNT: u32 = 0x1900;

/// A run of characters between blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Its words as punctuation divides them: `ac`, `dc`.
    Words(Vec<String>),
    /// It has no letter and no digit: its signs as one word.
    Signs(String),
}

/// The chunks of a text, in their order. A word of Chinese or Japanese is divided into its characters by blanks,
/// because no blank says where a name begins there.
pub fn chunks(text: &str) -> impl Iterator<Item = Chunk> {
    text.split(char::is_whitespace).filter_map(chunk)
}

/// All spellings of these texts that FTS5 should index; none if FTS5 finds the same words by itself.
pub fn forms(texts: &[&str]) -> Option<String> {
    let mut forms: Vec<String> = Vec::new();
    let written = texts.iter().flat_map(|text| text.split_whitespace());
    for chunk in written.flat_map(|written| chunk(written).into_iter().chain(in_two_letters(written))) {
        match chunk {
            Chunk::Words(words) => {
                let joined = (words.len() > 1).then(|| words.concat());
                forms.extend(words);
                forms.extend(joined);
            }
            Chunk::Signs(word) => forms.push(word),
        }
    }
    let plain = texts.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let same = plain.filter(|word| !word.is_empty()).map(str::to_lowercase).eq(forms.iter().map(String::as_str));
    (!same).then(|| forms.join(" "))
}

/// A run of characters with `oe` for `ö`, as it is typed where the keyboard has no such letter; `None` if it has none.
pub fn in_two_letters(text: &str) -> Option<Chunk> {
    let mut letters = text.chars().peekable();
    let mut spelled = String::with_capacity(text.len() + 2);
    let mut changed = false;
    while let Some(letter) = letters.next() {
        let small = letter.to_lowercase().next().unwrap_or(letter);
        let two = match (small, letters.peek()) {
            ('ä', _) => "ae",
            ('ö' | 'ø', _) => "oe",
            ('ü', _) => "ue",
            ('å', _) => "aa",
            // Decomposed: the mark is a character of its own.
            ('a', Some('\u{308}')) => "ae",
            ('o', Some('\u{308}')) => "oe",
            ('u', Some('\u{308}')) => "ue",
            ('a', Some('\u{30a}')) => "aa",
            _ => {
                spelled.push(letter);
                continue;
            }
        };
        changed = true;
        spelled.push_str(two);
    }
    if changed { chunk(&spelled) } else { None }
}

fn chunk(text: &str) -> Option<Chunk> {
    let mut words = vec![String::new()];
    let mut signs = String::new();
    for letter in text.chars().flat_map(wide).flat_map(char::to_lowercase).filter(|c| !is_mark(*c)) {
        let Some(word) = words.last_mut() else { break };
        if letter.is_alphanumeric() {
            spell(letter, word);
        } else if !letter.is_control() {
            signs.extend(char::from_u32(SIGNS + letter as u32 % SIGNS_COUNT));
            if !word.is_empty() {
                words.push(String::new());
            }
        }
    }
    let words: Vec<_> = words.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
    match (words.is_empty(), signs.is_empty()) {
        (false, _) => Some(Chunk::Words(words)),
        (true, false) => Some(Chunk::Signs(signs)),
        (true, true) => None,
    }
}

/// The usual width of characters that East Asian keyboards also type wide.
fn wide(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        _ => Some(c),
    }
}

/// A mark over or under the letter before it, or a character without a width.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{3099}' | '\u{309a}'
        | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Appends a small letter in its plainest spelling.
fn spell(letter: char, word: &mut String) {
    let plain = match letter {
        'ø' | 'ǿ' => "o",
        'ð' | 'đ' | 'ɖ' => "d",
        'ł' => "l",
        'æ' | 'ǽ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'þ' => "th",
        'ı' => "i",
        'ħ' => "h",
        'ŋ' => "ng",
        'ŧ' => "t",
        'ſ' => "s",
        'ĸ' => "k",
        'ƒ' => "f",
        'ə' => "e",
        'ё' | 'ѐ' => "е",
        'й' | 'ѝ' => "и",
        'ї' => "і",
        'ў' => "у",
        'ѓ' | 'ґ' => "г",
        'ќ' => "к",
        'ά' => "α",
        'έ' => "ε",
        'ή' => "η",
        'ί' | 'ϊ' | 'ΐ' => "ι",
        'ό' => "ο",
        'ύ' | 'ϋ' | 'ΰ' => "υ",
        'ώ' => "ω",
        'ς' => "σ",
        _ => return spell_asian(letter, word),
    };
    word.push_str(plain);
}

/// Chinese and Japanese characters one by one, kana without its marks and as hiragana, Korean syllables by their
/// letters; all else as it is.
fn spell_asian(letter: char, word: &mut String) {
    const VOICED: &str = "がぎぐげござじずぜぞだぢづでどばびぶべぼぱぴぷぺぽゔ";
    const PLAIN: &str = "かきくけこさしすせそたちつてとはひふへほはひふへほう";
    let code = letter as u32;
    match letter {
        '\u{30a1}'..='\u{30f6}' | '\u{3041}'..='\u{3096}' => {
            let kana = if code > 0x30a0 { char::from_u32(code - 0x60).unwrap_or(letter) } else { letter };
            let plain = VOICED.chars().zip(PLAIN.chars()).find(|(voiced, _)| *voiced == kana);
            word.push(' ');
            word.push(plain.map_or(kana, |(_, plain)| plain));
            word.push(' ');
        }
        '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => {
            word.push(' ');
            word.push(letter);
            word.push(' ');
        }
        // The syllables stand in the order of their letters (The Unicode Standard, 3.12).
        '\u{ac00}'..='\u{d7a3}' => {
            let syllable = code - 0xac00;
            let last = (!syllable.is_multiple_of(28)).then_some(0x11a7 + syllable % 28);
            let letters = [Some(0x1100 + syllable / 588), Some(0x1161 + syllable % 588 / 28), last];
            word.extend(letters.into_iter().flatten().filter_map(char::from_u32));
        }
        _ => word.push(letter),
    }
}

/// A small Latin letter without the mark that is part of it: FTS5 ignores these marks, but is not asked here.
pub fn unmarked(letter: char) -> char {
    const MARKED: [(&str, char); 21] = [
        ("àáâãäåāăąǎ", 'a'),
        ("çćĉċč", 'c'),
        ("ď", 'd'),
        ("èéêëēĕėęěẽ", 'e'),
        ("ĝğġģǧ", 'g'),
        ("ĥ", 'h'),
        ("ìíîïĩīĭįǐ", 'i'),
        ("ĵ", 'j'),
        ("ķ", 'k'),
        ("ĺļľ", 'l'),
        ("ñńņňǹ", 'n'),
        ("òóôõöōŏőǒơ", 'o'),
        ("ŕŗř", 'r'),
        ("śŝşšș", 's'),
        ("ţťț", 't'),
        ("ùúûüũūŭůűųǔư", 'u'),
        ("ŵẁẃẅ", 'w'),
        ("ýÿŷỳ", 'y'),
        ("źżž", 'z'),
        ("ἀἁ", 'α'),
        ("ї", 'і'),
    ];
    if letter.is_ascii() {
        return letter;
    }
    MARKED.iter().find(|(marked, _)| marked.contains(letter)).map_or(letter, |(_, plain)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let word = |chunk| match chunk {
            Chunk::Words(words) => words.join("|").split_whitespace().collect::<Vec<_>>().join(" "),
            Chunk::Signs(signs) => format!("{} signs", signs.chars().count()),
        };
        chunks(text).map(word).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn letters_are_spelled_as_any_keyboard_types_them() {
        for (text, expect) in [
            ("Tromsø Guðna Miłosz", "tromso, gudna, milosz"),
            ("ÆØÐŁŒẞÞĐ ıİ", "aeodloessthd, ii"),
            ("ro\u{301}s", "ros"),
            ("Мумии\u{306} Мумий Ёж", "мумии, мумии, еж"),
            ("Οδυσσέας", "οδυσσεασ"),
            ("ＡＣ／ＤＣ", "ac|dc"),
            ("がガか\u{3099}", "か か か"),
            ("椎名林檎", "椎 名 林 檎"),
            ("한 \u{1112}\u{1161}\u{11ab}", "\u{1112}\u{1161}\u{11ab}, \u{1112}\u{1161}\u{11ab}"),
            ("AC/DC N.W.A. (Don't)", "ac|dc, n|w|a, don|t"),
            ("!!! +/- () \u{2665}", "3 signs, 3 signs, 2 signs, 1 signs"),
            (" \u{301} \0 \u{200b}", ""),
        ] {
            assert_eq!(words(text), expect, "{text}");
        }
    }

    #[test]
    fn letters_with_two_dots_or_a_ring_are_also_two_letters() {
        for (text, expect) in [
            ("Björk", Some("bjoerk")),
            ("Hüsker", Some("huesker")),
            ("MÖTÖRHEAD", Some("moetoerhead")),
            ("Mo\u{308}tley", Some("moetley")),
            ("Åse A\u{30a}se Bø", Some("aase aase boe")),
            ("Sigur Rós", None),
        ] {
            let words = in_two_letters(text).map(|chunk| match chunk {
                Chunk::Words(words) => words.concat(),
                Chunk::Signs(signs) => signs,
            });
            assert_eq!(words.as_deref(), expect.map(|text| text.replace(' ', "")).as_deref(), "{text}");
        }
        assert_eq!(forms(&["Björk Post"]).as_deref(), Some("björk bjoerk post"));
    }

    #[test]
    fn only_a_text_that_has_another_spelling_is_spelled() {
        for plain in ["", "Kind of Blue", "1999", "Back in Black: Live!"] {
            assert_eq!(forms(&[plain]), None, "{plain}");
        }
        assert_eq!(forms(&["AC/DC", "Back in Black"]).as_deref(), Some("ac dc acdc back in black"));
        assert_eq!(forms(&["Hildur Guðnadóttir"]).as_deref(), Some("hildur gudnadóttir"));
        assert!(forms(&["!!!"]).is_some_and(|form| form.chars().all(|c| ('\u{e000}'..='\u{f8ff}').contains(&c))));
    }
}
