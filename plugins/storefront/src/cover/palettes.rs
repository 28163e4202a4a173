//! The colours of covers: a few palettes for each family of genres.

use super::family::Family;

/// Five colours. `ink` is readable on `ground`: a test checks that every palette has a contrast of 4.5.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    pub ground: &'static str,
    pub ink: &'static str,
    pub shapes: [&'static str; 3],
}

type Colours = [&'static str; 5];

impl From<Colours> for Palette {
    fn from([ground, ink, a, b, c]: Colours) -> Palette {
        Palette { ground, ink, shapes: [a, b, c] }
    }
}

/// The palettes of a family, each as ground, ink and three colours for shapes.
pub fn of(family: Family) -> &'static [Colours] {
    match family {
        Family::Jazz => JAZZ,
        Family::Rock => ROCK,
        Family::Soul => SOUL,
        Family::Electronic => ELECTRONIC,
        Family::HipHop => HIPHOP,
        Family::Folk => FOLK,
        Family::Classical => CLASSICAL,
        Family::Metal => METAL,
        Family::Reggae => REGGAE,
        Family::Pop => POP,
        Family::Blues => BLUES,
        Family::World => WORLD,
        Family::Ambient => AMBIENT,
        Family::Punk => PUNK,
        Family::Country => COUNTRY,
        Family::Latin => LATIN,
        Family::Funk => FUNK,
    }
}

#[rustfmt::skip]
const JAZZ: &[Colours] = &[
    ["#0f2a43", "#f4ead5", "#e4572e", "#f3b61f", "#5fa8d3"],
    ["#f4ead5", "#13202e", "#1c6e8c", "#e4572e", "#f0b429"],
    ["#f2c14e", "#1d1a16", "#c8401f", "#1d1a16", "#fff6e0"],
    ["#123c3a", "#f6efe0", "#f2a541", "#d1495b", "#66a182"],
    ["#e8e9e4", "#101c3a", "#2148c0", "#101c3a", "#8fb1e8"],
];

#[rustfmt::skip]
const ROCK: &[Colours] = &[
    ["#161616", "#f5f0e6", "#d7263d", "#f46036", "#e8e1d3"],
    ["#e9e4d8", "#171717", "#c1121f", "#171717", "#8d99ae"],
    ["#6b0f1a", "#fbeee0", "#f29e4c", "#f1c453", "#b5344a"],
    ["#23395b", "#f5f1e3", "#f25f5c", "#ffe066", "#70c1b3"],
    ["#f0a202", "#1a1307", "#1a1307", "#d95d39", "#fff2d1"],
];

#[rustfmt::skip]
const SOUL: &[Colours] = &[
    ["#5b1a32", "#ffe9d0", "#ff9f1c", "#e4572e", "#ffd6a5"],
    ["#d9c7b8", "#2b1420", "#8c2f4b", "#c98a5e", "#2b1420"],
    ["#3d1e6d", "#fdf0d5", "#f72585", "#ffb703", "#8338ec"],
    ["#fbe8d3", "#40150e", "#d1495b", "#edae49", "#30638e"],
];

#[rustfmt::skip]
const ELECTRONIC: &[Colours] = &[
    ["#0b0f1a", "#e8f1ff", "#00d9c0", "#5b5bff", "#ff3d81"],
    ["#e7ecef", "#101820", "#274cff", "#ff4f5e", "#a3bffa"],
    ["#18122b", "#f4eeff", "#b5179e", "#4cc9f0", "#635bff"],
    ["#d9f24f", "#10140a", "#10140a", "#7fa30c", "#ffffff"],
    ["#ff5a36", "#1a0803", "#1a0803", "#ffd3c2", "#7a1a05"],
];

#[rustfmt::skip]
const HIPHOP: &[Colours] = &[
    ["#111111", "#ffd60a", "#ffd60a", "#e63946", "#f1faee"],
    ["#f6ae2d", "#14100b", "#14100b", "#d62828", "#fff3d6"],
    ["#1b3a4b", "#fefae0", "#e76f51", "#f4a261", "#2a9d8f"],
    ["#efe6dd", "#1b1b1b", "#2f5d50", "#bb3e03", "#e9c46a"],
];

#[rustfmt::skip]
const FOLK: &[Colours] = &[
    ["#efe4cc", "#2f2a1f", "#6a7b4f", "#c06e43", "#d9b26f"],
    ["#2f3e2f", "#f3ead3", "#d9a441", "#a3b18a", "#c8553d"],
    ["#dbe4d8", "#22302a", "#40798c", "#c97b63", "#86a873"],
    ["#f6e7d7", "#4a2c2a", "#a44a3f", "#d4a373", "#7f9172"],
];

#[rustfmt::skip]
const CLASSICAL: &[Colours] = &[
    ["#f5f2ea", "#1e1e24", "#8d1f2d", "#c9b79c", "#3f4a5a"],
    ["#10213a", "#f3ecdc", "#c9a227", "#6d8ab3", "#e8dcc0"],
    ["#e8e6e1", "#26231f", "#1f4e5f", "#b08d57", "#7a8b8b"],
];

#[rustfmt::skip]
const METAL: &[Colours] = &[
    ["#0d0d0f", "#e8e6e3", "#9d0208", "#5c5f66", "#dc2f02"],
    ["#d6d3cd", "#0f0f10", "#0f0f10", "#9d0208", "#6c6a66"],
    ["#1a1423", "#eee5f2", "#6a4c93", "#b56576", "#e0b1cb"],
    ["#7b8794", "#0c0f12", "#0c0f12", "#d9dde2", "#3e4852"],
];

#[rustfmt::skip]
const REGGAE: &[Colours] = &[
    ["#14342b", "#fdf3d0", "#f6c945", "#d62828", "#3f9b4f"],
    ["#f8cf46", "#1c2a17", "#1f7a3d", "#cf2e2e", "#1c2a17"],
    ["#f5ebd0", "#1d2e1f", "#d1372c", "#2f8f4e", "#f0b323"],
];

#[rustfmt::skip]
const POP: &[Colours] = &[
    ["#ffd9da", "#4a1030", "#ef476f", "#ffd166", "#26547c"],
    ["#fdf6ec", "#1f2041", "#ff6b6b", "#4ecdc4", "#ffe66d"],
    ["#4361ee", "#ffffff", "#ffbe0b", "#ff006e", "#b8c6ff"],
    ["#cdeac0", "#1f3a33", "#ff6f59", "#254441", "#ffcb47"],
];

#[rustfmt::skip]
const BLUES: &[Colours] = &[
    ["#0e2240", "#e9f0fa", "#3d7dca", "#c9a66b", "#86b3e0"],
    ["#d9e4ee", "#12263f", "#1f4e8c", "#b5562b", "#7fa3c7"],
    ["#1c2b33", "#f2e9dc", "#5a8fa8", "#d98e4a", "#c5d5db"],
];

#[rustfmt::skip]
const WORLD: &[Colours] = &[
    ["#0b6e4f", "#fff8e7", "#ffd23f", "#ee4266", "#3bceac"],
    ["#f4d9a0", "#26180a", "#a63d1f", "#26180a", "#3f7d5c"],
    ["#7b1e3b", "#fff1dc", "#f3a712", "#2ec4b6", "#e4572e"],
];

#[rustfmt::skip]
const AMBIENT: &[Colours] = &[
    ["#dfe7ea", "#27323a", "#93aab5", "#b8a9c9", "#f1dfc9"],
    ["#22313f", "#eaf1f4", "#5d8aa8", "#9fc3c7", "#d8c99b"],
    ["#ece6f0", "#37304a", "#a393bf", "#e0aeb8", "#7ea8be"],
];

#[rustfmt::skip]
const PUNK: &[Colours] = &[
    ["#f2ef3a", "#111111", "#111111", "#e4002b", "#ffffff"],
    ["#ff3f8e", "#14060c", "#14060c", "#fff15c", "#ffffff"],
    ["#f4f1ea", "#101010", "#101010", "#e4002b", "#9a958b"],
    ["#101010", "#f4f1ea", "#f4f1ea", "#e4002b", "#f2ef3a"],
];

#[rustfmt::skip]
const COUNTRY: &[Colours] = &[
    ["#e3c591", "#3a2010", "#8f3b1b", "#3d5a5b", "#b8743a"],
    ["#2d4a5e", "#f6ead2", "#d98a4b", "#e8c07d", "#8fb0b8"],
    ["#f2e7d3", "#452217", "#b5482a", "#5c7a5c", "#dba54a"],
    ["#7a3322", "#f9ead2", "#e0a458", "#c96f4a", "#f3d9a8"],
];

#[rustfmt::skip]
const LATIN: &[Colours] = &[
    ["#ffe8c7", "#3a1512", "#d9480f", "#0b7a75", "#f2b705"],
    ["#0a4a5c", "#fff4dc", "#ff7b54", "#ffd56f", "#39b2a5"],
    ["#f7c59f", "#2a1a3e", "#ef5b5b", "#1d7874", "#fff0d9"],
    ["#b3222e", "#fff3df", "#f6b935", "#ff8a5c", "#5a0f1c"],
];

#[rustfmt::skip]
const FUNK: &[Colours] = &[
    ["#f7d08a", "#3b1c0c", "#c8553d", "#588b8b", "#8f2d14"],
    ["#4a1c5c", "#ffeccc", "#ff8c1a", "#e83e8c", "#ffd24a"],
    ["#a8431a", "#fff3dc", "#ffc145", "#5b2a12", "#ff8f4a"],
    ["#fff0d4", "#43210f", "#e36414", "#9a031e", "#fb9a3c"],
];
