//! Covers: a picture for every album, drawn from its data.
//!
//! The genre decides which colours and designs are likely, the SKU picks among them, and artist and title are typeset
//! on the picture. Invariants: nothing is drawn behind the text; only whole numbers are written; everything from
//! outside is escaped; the same album always has the same cover.

mod art;
mod family;
mod palettes;
mod style;
mod svg;
mod typeset;
mod version;

pub use family::Family;
pub use version::{Version, version};

use xxhash_rust::xxh64::xxh64;

use crate::seams::Album;
use palettes::Palette;
use svg::{Random, Svg};
use typeset::{Align, Face, fit};
use version::REVISION;

/// Fallback for a family without colours. Every family has some.
const PLAIN: [&str; 5] = ["#e8e4da", "#1b1a18", "#1b1a18", "#8a8172", "#c8beaa"];
/// Width and height of the picture, in its own units.
const SIDE: i32 = 600;
const MARGIN: i32 = 40;
/// Font sizes of a title beside a picture, each with its maximum of lines: never more than 112 high.
const BLOCK: &[(i32, usize)] = &[(64, 1), (56, 1), (52, 2), (46, 2), (40, 2), (35, 3), (30, 3), (25, 3)];
/// Font sizes of a title above a strip of picture: never more than 330 high.
const POSTER: &[(i32, usize)] =
    &[(124, 1), (110, 2), (98, 3), (84, 3), (76, 4), (64, 4), (54, 5), (46, 5), (38, 6), (30, 6)];
/// The usual size of a cover. A few are twice as large.
const BYTES: usize = 4 * 1024;

/// How text and picture share the square.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// Text above; the picture below reaches three edges.
    Head,
    /// Picture above, text below.
    Foot,
    /// Artist above, title below, a framed picture between.
    Window,
    /// Big type above a narrow strip of picture.
    Poster,
}

/// The cover of an album, as SVG.
pub fn draw(album: &Album) -> String {
    let mut random = Random::new(xxh64(album.sku.as_bytes(), REVISION));
    let family = Family::of(&album.genre);
    let palette = &Palette::from(random.pick(palettes::of(family)).copied().unwrap_or(PLAIN));
    let art = random.pick(style::arts(family)).copied().unwrap_or(art::Art::Rings);
    let face = random.pick(style::faces(family)).copied().unwrap_or(Face::Grotesque);
    let layouts = [Layout::Head, Layout::Foot, Layout::Foot, Layout::Window, Layout::Poster];
    let layout = random.pick(&layouts).copied().unwrap_or(Layout::Foot);

    let mut svg = Svg::open(SIDE, BYTES);
    svg.rect(0, 0, SIDE, SIDE, palette.ground);
    let width = SIDE - 2 * MARGIN;
    let (artist, title) = (album.artist.as_str(), album.title.as_str());
    match layout {
        Layout::Head => {
            text(&mut svg, palette, face, Align::Left, artist, title, MARGIN, width);
            window(&mut svg, &mut random, palette, art, [0, 214, SIDE, SIDE - 214]);
        }
        Layout::Foot => {
            window(&mut svg, &mut random, palette, art, [0, 0, SIDE, 414]);
            text(&mut svg, palette, face, Align::Left, artist, title, 414 + 24, width);
        }
        Layout::Window => {
            let small = face.small();
            let line = fit(artist, small, width, &[(26, 1), (22, 1), (18, 1)]);
            svg.lines(&line, small, Align::Middle, SIDE / 2, 44, palette.ink);
            window(&mut svg, &mut random, palette, art, [MARGIN + 30, 96, SIDE - 2 * MARGIN - 60, 384]);
            let lines = fit(title, face, width, &[(44, 1), (38, 1), (38, 2), (32, 2), (26, 2), (22, 3)]);
            let top = 540 - lines.height() / 2;
            svg.lines(&lines, face, Align::Middle, SIDE / 2, top, palette.ink);
        }
        Layout::Poster => {
            let lines = fit(title, face, width, POSTER);
            svg.lines(&lines, face, Align::Left, MARGIN, MARGIN, palette.ink);
            let small = face.small();
            let line = fit(artist, small, width, &[(30, 1), (26, 1), (22, 1), (18, 1)]);
            let top = MARGIN + lines.height() + 14;
            svg.lines(&line, small, Align::Left, MARGIN, top, palette.ink);
            let from = top + line.height() + 34;
            window(&mut svg, &mut random, palette, art, [0, from, SIDE, SIDE - from]);
        }
    }
    svg.close()
}

/// The cover of an unknown album: a sleeve of brown paper.
pub fn plain_sleeve() -> String {
    let mut svg = Svg::open(SIDE, 512);
    svg.rect(0, 0, SIDE, SIDE, "#cdbfa6");
    svg.circle(SIDE / 2, SIDE / 2, 96, "#1b1a18");
    svg.circle(SIDE / 2, SIDE / 2, 60, "#e6dcc8");
    svg.circle(SIDE / 2, SIDE / 2, 8, "#1b1a18");
    svg.close()
}

/// Artist and title in a block at most 150 high.
#[allow(clippy::too_many_arguments, reason = "its two callers name each argument")]
fn text(svg: &mut Svg, palette: &Palette, face: Face, align: Align, artist: &str, title: &str, top: i32, width: i32) {
    let small = face.small();
    let lines = fit(title, face, width, BLOCK);
    let line = fit(artist, small, width, &[(27, 1), (24, 1), (20, 1), (17, 1)]);
    svg.lines(&line, small, align, MARGIN, top, palette.ink);
    svg.lines(&lines, face, align, MARGIN, top + line.height() + 8, palette.ink);
}

/// A picture in a rectangle `[x, y, width, height]`, clipped at its edges.
fn window(svg: &mut Svg, random: &mut Random, palette: &Palette, art: art::Art, [x, y, width, height]: [i32; 4]) {
    svg.clip(x, y, width, height);
    art.draw(svg, random, palette, width, height);
    svg.unclip();
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
