//! Text that fits: line breaks and font sizes from estimated widths, because the visitor's fonts are unknown.
//!
//! The estimate starts from Helvetica. A line that comes near the edge gets a fixed length, so a wider font is squeezed
//! and never leaves the picture.

/// A typeface, made of fonts of the visitor's system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Heavy and tight.
    Grotesque,
    /// Capitals, medium and wide.
    Wide,
    Serif,
    Italic,
    Typewriter,
    /// For small lines.
    Plain,
    /// For small lines: capitals, spaced.
    Spaced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Middle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    AsIs,
    Upper,
}

/// Lines at one size.
#[derive(Debug)]
pub struct Lines {
    pub size: i32,
    pub lines: Vec<Line>,
}

#[derive(Debug)]
pub struct Line {
    pub text: String,
    /// The width that the line is squeezed to, if it may be too wide.
    pub squeeze: Option<i32>,
}

impl Lines {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn leading(&self) -> i32 {
        self.size * 102 / 100
    }

    pub fn height(&self) -> i32 {
        self.leading() * self.lines.len() as i32
    }
}

/// Widths of the characters from space to tilde in hundredths of the font size, from Adobe's metrics.
#[rustfmt::skip]
const HELVETICA_BOLD: [u8; 95] = [
    28, 33, 47, 56, 56, 89, 72, 24, 33, 33, 39, 58, 28, 33, 28, 28, 56, 56, 56, 56, 56, 56, 56, 56,
    56, 56, 33, 33, 58, 58, 58, 61, 98, 72, 72, 72, 72, 67, 61, 78, 72, 28, 56, 72, 61, 83, 72, 78,
    67, 78, 72, 67, 61, 72, 67, 94, 67, 67, 61, 33, 28, 33, 58, 56, 33, 56, 61, 56, 61, 56, 33, 61,
    61, 28, 28, 56, 28, 89, 61, 61, 61, 61, 39, 56, 33, 61, 56, 78, 56, 56, 50, 39, 28, 39, 58,
];
/// A line whose estimate exceeds this percentage of the width gets a fixed length.
const NEAR: i32 = 91;
/// Characters of a text that are used: more would not fit at any size.
const CHARS_MAX: usize = 160;

impl Face {
    /// The face of the artist's name beside a title in this face.
    pub fn small(self) -> Face {
        match self {
            Face::Grotesque | Face::Wide => Face::Plain,
            Face::Serif | Face::Italic => Face::Spaced,
            Face::Typewriter | Face::Plain | Face::Spaced => Face::Typewriter,
        }
    }

    fn case(self) -> Case {
        match self {
            Face::Wide | Face::Spaced => Case::Upper,
            _ => Case::AsIs,
        }
    }

    /// Attributes of the SVG element that holds the text.
    pub fn attributes(self) -> &'static str {
        match self {
            Face::Grotesque => {
                " font-family=\"Helvetica Neue,Helvetica,Arial,Liberation Sans,sans-serif\" \
                 font-weight=\"800\" letter-spacing=\"-.035em\""
            }
            Face::Wide => {
                " font-family=\"Avenir Next,Futura,Century Gothic,URW Gothic,Helvetica Neue,Arial,sans-serif\" \
                 font-weight=\"600\" letter-spacing=\".06em\""
            }
            Face::Serif => {
                " font-family=\"Bodoni 72,Didot,Bodoni MT,Baskerville,Georgia,P052,Liberation Serif,serif\" \
                 font-weight=\"700\" letter-spacing=\"-.01em\""
            }
            Face::Italic => {
                " font-family=\"Iowan Old Style,Palatino Linotype,Palatino,P052,Georgia,serif\" font-style=\"italic\""
            }
            Face::Typewriter => {
                " font-family=\"ui-monospace,SF Mono,Menlo,Consolas,Liberation Mono,monospace\" font-weight=\"500\""
            }
            Face::Plain => {
                " font-family=\"Helvetica Neue,Helvetica,Arial,Liberation Sans,sans-serif\" font-weight=\"500\""
            }
            Face::Spaced => {
                " font-family=\"Avenir Next,Futura,Century Gothic,URW Gothic,Helvetica Neue,Arial,sans-serif\" \
                 font-weight=\"500\" letter-spacing=\".14em\""
            }
        }
    }

    /// Width of a character in thousandths of the font size.
    fn advance(self, letter: char) -> i32 {
        let wide = letter >= '\u{2e80}';
        let bold = match HELVETICA_BOLD.get((letter as usize).wrapping_sub(0x20)) {
            Some(&width) => i32::from(width) * 10,
            None if wide => 1050,
            None if letter.is_uppercase() => 730,
            None => 610,
        };
        match self {
            Face::Grotesque => bold - 30,
            Face::Wide => bold + 75,
            Face::Serif => bold * 97 / 100,
            Face::Italic => bold * 86 / 100,
            Face::Typewriter => {
                if wide {
                    1050
                } else {
                    605
                }
            }
            Face::Plain => bold * 96 / 100,
            Face::Spaced => bold + 110,
        }
    }

    fn width(self, text: &str, size: i32) -> i32 {
        text.chars().map(|letter| self.advance(letter)).sum::<i32>() * size / 1000
    }
}

/// Sets a text in lines of `width`. `steps` are font sizes with their maximum of lines, in order of preference: the
/// first that fits the text without breaking a word is used. If none fits, the last one is used: long words are broken,
/// and the text is cut with an ellipsis.
pub fn fit(text: &str, face: Face, width: i32, steps: &[(i32, usize)]) -> Lines {
    let text: String = text.chars().take(CHARS_MAX).collect();
    let text = if face.case() == Case::Upper { text.to_uppercase() } else { text };
    let words: Vec<&str> = text.split_whitespace().collect();
    let whole = steps.iter().find_map(|&(size, most)| {
        let lines = wrap(&words, face, size, width)?;
        (lines.len() <= most).then_some((size, lines))
    });
    let (size, lines) = whole.unwrap_or_else(|| {
        let (size, most) = steps.last().copied().unwrap_or((20, 1));
        (size, force(&words, face, size, width, most))
    });
    let lines = lines
        .into_iter()
        .map(|text| {
            let estimate = face.width(&text, size);
            Line { text, squeeze: (estimate * 100 > width * NEAR).then_some(estimate.min(width)) }
        })
        .collect();
    Lines { size, lines }
}

/// Breaks text between words; `None` if a word is wider than a line.
fn wrap(words: &[&str], face: Face, size: i32, width: i32) -> Option<Vec<String>> {
    let mut lines: Vec<String> = Vec::with_capacity(4);
    let mut taken = 0;
    let blank = face.width(" ", size);
    for word in words {
        let wide = face.width(word, size);
        if wide > width {
            return None;
        }
        let fits = taken + blank + wide <= width;
        if let Some(line) = lines.last_mut().filter(|_| fits) {
            line.push(' ');
            line.push_str(word);
            taken += blank + wide;
        } else {
            lines.push((*word).into());
            taken = wide;
        }
    }
    Some(lines)
}

fn force(words: &[&str], face: Face, size: i32, width: i32, most: usize) -> Vec<String> {
    let pieces: Vec<&str> = words.iter().flat_map(|word| pieces(word, face, size, width)).collect();
    let mut lines = wrap(&pieces, face, size, width).unwrap_or_default();
    if lines.len() > most {
        lines.truncate(most);
        if let Some(line) = lines.last_mut() {
            while !line.is_empty() && face.width(line, size) + face.width("…", size) > width {
                line.pop();
            }
            line.push('…');
        }
    }
    lines
}

/// Splits a word into pieces that are no wider than a line.
fn pieces(word: &str, face: Face, size: i32, width: i32) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut taken) = (0, 0);
    for (at, letter) in word.char_indices() {
        let wide = face.advance(letter) * size / 1000 + 1;
        if taken + wide > width && at > from {
            pieces.push(word.get(from..at).unwrap_or_default());
            (from, taken) = (at, 0);
        }
        taken += wide;
    }
    pieces.push(word.get(from..).unwrap_or_default());
    pieces
}
