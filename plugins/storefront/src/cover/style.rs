//! Which drawings and typefaces suit a family of genres.

use super::art::Art;
use super::family::Family::{self, *};
use super::typeset::Face;

pub fn arts(family: Family) -> &'static [Art] {
    match family {
        Jazz => &[Art::Bauhaus, Art::Bars, Art::Halftone, Art::Weave, Art::Arcs, Art::Blobs, Art::Letter],
        Rock => &[Art::Sun, Art::Rings, Art::Rays, Art::Letter, Art::Squares, Art::Weave, Art::Arcs, Art::Ridges],
        Soul => &[Art::Rings, Art::Sun, Art::Blobs, Art::Arcs, Art::Rays, Art::Letter],
        Electronic => &[Art::Ridges, Art::Halftone, Art::Squares, Art::Rings, Art::Weave, Art::Bars, Art::Arcs],
        HipHop => &[Art::Letter, Art::Bars, Art::Weave, Art::Squares, Art::Bauhaus, Art::Halftone],
        Folk => &[Art::Sun, Art::Blobs, Art::Arcs, Art::Ridges, Art::Rays],
        Classical => &[Art::Bars, Art::Ridges, Art::Squares, Art::Rings, Art::Bauhaus],
        Metal => &[Art::Rays, Art::Letter, Art::Weave, Art::Ridges, Art::Halftone, Art::Squares],
        Reggae => &[Art::Rays, Art::Sun, Art::Weave, Art::Rings, Art::Arcs],
        Pop => &[Art::Bauhaus, Art::Blobs, Art::Arcs, Art::Halftone, Art::Letter, Art::Rings],
        Blues => &[Art::Bars, Art::Sun, Art::Weave, Art::Rings, Art::Letter],
        World => &[Art::Arcs, Art::Sun, Art::Blobs, Art::Rays, Art::Bauhaus, Art::Squares],
        Punk => &[Art::Rays, Art::Letter, Art::Weave, Art::Halftone, Art::Bauhaus],
        Country => &[Art::Sun, Art::Rays, Art::Weave, Art::Blobs, Art::Rings],
        Latin => &[Art::Arcs, Art::Sun, Art::Blobs, Art::Bauhaus, Art::Rays, Art::Rings],
        Funk => &[Art::Rings, Art::Rays, Art::Blobs, Art::Arcs, Art::Letter],
        Ambient => &[Art::Ridges, Art::Rings, Art::Blobs, Art::Sun, Art::Halftone],
    }
}

pub fn faces(family: Family) -> &'static [Face] {
    match family {
        Jazz | Pop | World | Latin => &[Face::Grotesque, Face::Wide, Face::Serif, Face::Grotesque],
        Rock | Soul | Funk | Reggae => &[Face::Grotesque, Face::Serif, Face::Wide, Face::Grotesque],
        Electronic => &[Face::Typewriter, Face::Grotesque, Face::Wide],
        HipHop | Metal | Punk => &[Face::Grotesque, Face::Grotesque, Face::Typewriter],
        Folk | Country | Blues => &[Face::Serif, Face::Italic, Face::Grotesque],
        Classical => &[Face::Serif, Face::Italic, Face::Wide],
        Ambient => &[Face::Wide, Face::Italic, Face::Typewriter],
    }
}
