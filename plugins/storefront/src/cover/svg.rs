//! SVG output, and the random numbers for it.
//!
//! Only whole numbers are written: formatting fractions would double the size of the component.

use super::typeset::{Align, Face, Lines};

/// Deterministic numbers (SplitMix64, Steele and others 2014): the same seed gives the same numbers on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: i32, high: i32) -> i32 {
        let span = u64::from(high.abs_diff(low)) + 1;
        low.min(high) + (self.next() % span) as i32
    }

    pub fn chance(&mut self, percent: i32) -> bool {
        self.range(0, 99) < percent
    }

    /// One of the items; `None` only if there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get((self.next() % from.len().max(1) as u64) as usize)
    }
}

/// A picture that is being written.
pub struct Svg {
    out: String,
}

impl Svg {
    pub fn open(side: i32, capacity: usize) -> Svg {
        let mut svg = Svg { out: String::with_capacity(capacity) };
        svg.raw("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ")
            .number(side)
            .raw(" ")
            .number(side)
            .raw("\">");
        svg
    }

    pub fn close(mut self) -> String {
        self.raw("</svg>");
        self.out
    }

    pub fn raw(&mut self, text: &str) -> &mut Svg {
        self.out.push_str(text);
        self
    }

    pub fn number(&mut self, number: i32) -> &mut Svg {
        let mut digits = [0u8; 10];
        let mut rest = number.unsigned_abs();
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            used += 1;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.out.push('-');
        }
        self.out.extend(digits.iter().skip(digits.len() - used).map(|&digit| char::from(digit)));
        self
    }

    fn attribute(&mut self, name: &str, number: i32) -> &mut Svg {
        self.raw(" ").raw(name).raw("=\"").number(number).raw("\"")
    }

    pub fn rect(&mut self, x: i32, y: i32, width: i32, height: i32, fill: &str) {
        self.raw("<rect").attribute("x", x).attribute("y", y).attribute("width", width).attribute("height", height);
        self.raw(" fill=\"").raw(fill).raw("\"/>");
    }

    pub fn circle(&mut self, x: i32, y: i32, radius: i32, fill: &str) {
        self.raw("<circle").attribute("cx", x).attribute("cy", y).attribute("r", radius);
        self.raw(" fill=\"").raw(fill).raw("\"/>");
    }

    pub fn ring(&mut self, x: i32, y: i32, radius: i32, stroke: &str, width: i32) {
        self.raw("<circle")
            .attribute("cx", x)
            .attribute("cy", y)
            .attribute("r", radius)
            .attribute("stroke-width", width);
        self.raw(" fill=\"none\" stroke=\"").raw(stroke).raw("\"/>");
    }

    /// Opens a filled path. Its commands follow with `at`; `done` ends it.
    pub fn path(&mut self, fill: &str) -> &mut Svg {
        self.raw("<path fill=\"").raw(fill).raw("\" d=\"")
    }

    /// Opens a path with an outline and a fill.
    pub fn outline(&mut self, fill: &str, stroke: &str, width: i32) -> &mut Svg {
        self.raw("<path").attribute("stroke-width", width);
        self.raw(" fill=\"").raw(fill).raw("\" stroke=\"").raw(stroke).raw("\" d=\"")
    }

    /// One command of a path, with its point.
    pub fn at(&mut self, command: &str, x: i32, y: i32) -> &mut Svg {
        self.raw(command).number(x).raw(" ").number(y)
    }

    pub fn done(&mut self) {
        self.raw("\"/>");
    }

    /// Until `unclip`, drawing uses this rectangle's origin and is clipped at its edges.
    pub fn clip(&mut self, x: i32, y: i32, width: i32, height: i32) {
        self.raw("<svg").attribute("x", x).attribute("y", y).attribute("width", width).attribute("height", height);
        self.raw(">");
    }

    pub fn unclip(&mut self) {
        self.raw("</svg>");
    }

    /// Lines of text below `top`; `x` is their left edge or their middle.
    pub fn lines(&mut self, lines: &Lines, face: Face, align: Align, x: i32, top: i32, fill: &str) {
        if lines.is_empty() {
            return;
        }
        self.raw("<g fill=\"").raw(fill).raw("\"").raw(face.attributes()).attribute("font-size", lines.size);
        if align == Align::Middle {
            self.raw(" text-anchor=\"middle\"");
        }
        self.raw(">");
        for (number, line) in (0..).zip(&lines.lines) {
            // Capitals are about three quarters of the font size high.
            let base = top + number * lines.leading() + lines.size * 78 / 100;
            self.raw("<text").attribute("x", x).attribute("y", base);
            if let Some(width) = line.squeeze {
                self.attribute("textLength", width).raw(" lengthAdjust=\"spacingAndGlyphs\"");
            }
            self.raw(">").escaped(&line.text).raw("</text>");
        }
        self.raw("</g>");
    }

    fn escaped(&mut self, text: &str) -> &mut Svg {
        for letter in text.chars() {
            match letter {
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '&' => self.out.push_str("&amp;"),
                '"' => self.out.push_str("&quot;"),
                // XML cannot contain these characters.
                '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => self.out.push(' '),
                other => self.out.push(other),
            }
        }
        self
    }
}
