//! Covers are well-formed, escaped and reproducible.

use super::art::ALL as ARTS;
use super::family::ALL as FAMILIES;
use super::typeset::{Face, fit};
use super::*;
use crate::testing::album;

fn named(sku: &str, artist: &str, title: &str, genre: &str) -> Album {
    Album { artist: artist.into(), title: title.into(), genre: genre.into(), ..album(sku) }
}

/// Checks XML as far as we write it: tags close in order, none is left open, and text has no raw `<` or bare `&`.
fn check_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{svg}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().expect("a tag has a name"));
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        for entity in text.split('&').skip(1) {
            assert!(["lt;", "gt;", "amp;", "quot;"].iter().any(|known| entity.starts_with(known)), "{text}");
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_cover_is_always_the_same() {
    let album = named("MC-7", "Nina Simone", "Pastel Blues", "Soul");
    assert_eq!(draw(&album), draw(&album.clone()));
    assert_eq!(version(&album), version(&album.clone()));
    let other = named("MC-7", "Nina Simone", "Pastel Blues!", "Soul");
    assert_ne!(version(&album), version(&other));
    let moved = named("MC-7", "Nina SimoneP", "astel Blues", "Soul");
    assert_ne!(version(&album), version(&moved));
}

#[test]
fn a_thousand_covers_are_well_formed_small_and_hardly_ever_alike() {
    let mut seen = std::collections::HashSet::new();
    for number in 0..1000 {
        let family = FAMILIES[number % FAMILIES.len()];
        let svg = draw(&named(&format!("MC-{number:04}"), "Artist", "Title", family.class()));
        check_well_formed(&svg);
        assert!(svg.len() < 16 * 1024, "{number}: {} bytes", svg.len());
        seen.insert(svg);
    }
    assert_eq!(seen.len(), 1000);
}

#[test]
fn names_of_any_kind_are_typeset() {
    let long = "Supercalifragilisticexpialidocious".repeat(60);
    for name in [
        "",
        " ",
        "<script>alert(\"1\")</script> & 'more'",
        "]]><!--",
        "\u{0}\u{8}\u{1f}\u{fffe}",
        "日本語のとても長いアルバムの題名がここにあります",
        "مرحبا بالعالم",
        "🎷🎺👩‍👩‍👧‍👦 🎶",
        "e\u{301}\u{301}\u{301}\u{301}",
        long.as_str(),
    ] {
        for number in 0..60 {
            let svg = draw(&named(&format!("X{number}"), name, name, "Jazz"));
            check_well_formed(&svg);
            assert!(!svg.contains("<script"), "{svg}");
        }
    }
}

#[test]
fn every_drawing_is_well_formed_in_every_frame() {
    for art in ARTS {
        for seed in 0..50 {
            for (width, height) in [(600, 414), (600, 386), (460, 384), (600, 60), (600, 1)] {
                let mut svg = Svg::open(SIDE, 0);
                let frame = [0, SIDE - height, width, height];
                window(&mut svg, &mut Random::new(seed), &PLAIN.into(), art, frame);
                check_well_formed(&svg.close());
            }
        }
    }
}

#[test]
fn lines_never_exceed_their_width() {
    for face in [Face::Grotesque, Face::Wide, Face::Serif, Face::Italic, Face::Typewriter, Face::Plain, Face::Spaced] {
        for text in
            ["A", "Kind of Blue", &"W".repeat(500), &"long words and words ".repeat(40), "Mmmmmmmmmmmmmmmmmmmmmmmmm"]
        {
            for most in [1, 2, 4] {
                let lines = fit(text, face, 520, &[(60, most), (40, most), (20, most)]);
                assert!(!lines.is_empty() && lines.lines.len() <= most, "{face:?} {text}");
                for line in &lines.lines {
                    assert!(line.squeeze.is_none_or(|width| width <= 520), "{face:?} {line:?}");
                }
            }
        }
    }
}

#[test]
fn short_titles_are_set_large_and_long_ones_end_in_an_ellipsis() {
    assert_eq!(fit("Blue", Face::Grotesque, 520, BLOCK).size, 64);
    let long = fit(&"words ".repeat(80), Face::Grotesque, 520, BLOCK);
    assert_eq!(long.size, 25);
    assert!(long.lines.last().is_some_and(|line| line.text.ends_with('…')), "{long:?}");
}

#[test]
fn text_leaves_room_for_the_picture() {
    for text in ["Blue", "The Rise and Fall of Ziggy Stardust and the Spiders from Mars", &"W".repeat(160)] {
        for (steps, height) in [(BLOCK, 112), (POSTER, 330)] {
            let lines = fit(text, Face::Wide, 520, steps);
            assert!(lines.height() <= height, "{text}: {}", lines.height());
        }
    }
}

#[test]
fn genres_find_their_family() {
    for (genre, family) in [
        ("Jazz", Family::Jazz),
        ("Hip-Hop", Family::HipHop),
        ("Post-Punk", Family::Punk),
        ("Electropop", Family::Electronic),
        ("Funk", Family::Funk),
        ("African", Family::World),
        ("Latin", Family::Latin),
        ("Country", Family::Country),
    ] {
        assert_eq!(Family::of(genre), family, "{genre}");
    }
    for genre in ["", "Yodel", "\u{1F3B5}"] {
        assert_eq!(Family::of(genre), Family::of(genre));
    }
}

#[test]
fn ink_is_readable_on_every_ground() {
    for family in FAMILIES {
        for &colours in palettes::of(family) {
            let palette = Palette::from(colours);
            let contrast = contrast(&palette);
            assert!(contrast >= 4.5, "{family:?} {} on {}: {contrast:.1}", palette.ink, palette.ground);
        }
    }
}

/// WCAG 2.2, contrast ratio.
fn contrast(palette: &Palette) -> f64 {
    let luminance = |colour: &str| {
        let channel = |at: usize| {
            let value =
                f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour is hexadecimal")) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let (ink, ground) = (luminance(palette.ink), luminance(palette.ground));
    (ink.max(ground) + 0.05) / (ink.min(ground) + 0.05)
}
