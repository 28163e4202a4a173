//! The drawings. Each fills a rectangle of any size with the palette's colours and leaves some ground visible.

use super::palettes::Palette;
use super::svg::{Random, Svg};

/// A kind of drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Art {
    /// Circles around one point.
    Rings,
    /// Tiles of quarter circles.
    Arcs,
    /// Wavy ridges, one behind the other.
    Ridges,
    /// Upright bars like those of an equaliser.
    Bars,
    /// A sliced sun over hills.
    Sun,
    /// A few large, simple shapes.
    Bauhaus,
    /// Dots that grow toward a point.
    Halftone,
    /// Rays from a point.
    Rays,
    /// Diagonal bands.
    Weave,
    /// Huge overlapping circles and blocks, like parts of a letter.
    Letter,
    /// Soft shapes.
    Blobs,
    /// Nested squares, slightly shifted.
    Squares,
}

#[cfg(test)]
pub const ALL: [Art; 12] = [
    Art::Rings,
    Art::Arcs,
    Art::Ridges,
    Art::Bars,
    Art::Sun,
    Art::Bauhaus,
    Art::Halftone,
    Art::Rays,
    Art::Weave,
    Art::Letter,
    Art::Blobs,
    Art::Squares,
];

/// Everything that a drawing needs: output, random numbers, colours, and size.
struct Pen<'a> {
    svg: &'a mut Svg,
    random: &'a mut Random,
    palette: &'a Palette,
    width: i32,
    height: i32,
}

impl Art {
    /// Draws into `width` by `height`. The caller clips what goes beyond.
    pub fn draw(self, svg: &mut Svg, random: &mut Random, palette: &Palette, width: i32, height: i32) {
        let pen = &mut Pen { svg, random, palette, width, height };
        match self {
            Art::Rings => rings(pen),
            Art::Arcs => arcs(pen),
            Art::Ridges => ridges(pen),
            Art::Bars => bars(pen),
            Art::Sun => sun(pen),
            Art::Bauhaus => bauhaus(pen),
            Art::Halftone => halftone(pen),
            Art::Rays => rays(pen),
            Art::Weave => weave(pen),
            Art::Letter => letter(pen),
            Art::Blobs => blobs(pen),
            Art::Squares => squares(pen),
        }
    }
}

impl<'a> Pen<'a> {
    fn shape(&mut self) -> &'a str {
        self.random.pick(&self.palette.shapes).copied().unwrap_or(self.palette.ink)
    }

    /// The palette's shape colours in a random rotation. The first one covers most of the picture.
    fn turned(&mut self) -> [&'a str; 3] {
        let [a, b, c] = self.palette.shapes;
        match self.random.range(0, 2) {
            0 => [a, b, c],
            1 => [b, c, a],
            _ => [c, a, b],
        }
    }

    fn fill(&mut self, colour: &str) {
        self.svg.rect(0, 0, self.width, self.height, colour);
    }
}

fn rings(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    pen.fill(a);
    let spots = [(50, 50), (0, 100), (100, 100), (30, 60), (70, 40), (50, 100), (100, 0)];
    let (across, down) = pen.random.pick(&spots).copied().unwrap_or((50, 50));
    let (x, y) = (pen.width * across / 100, pen.height * down / 100);
    let step = pen.random.range(26, 52);
    let colours = [b, pen.palette.ground, c, pen.palette.ground];
    let count = pen.random.range(6, 10);
    for ring in (0..count).rev() {
        let colour = colours.get(ring as usize % colours.len()).copied().unwrap_or(b);
        pen.svg.circle(x, y, step / 2 + ring * step, colour);
    }
}

fn arcs(pen: &mut Pen<'_>) {
    let across = pen.random.range(3, 5);
    let side = (pen.width + across - 1) / across;
    let rows = (pen.height + side - 1) / side;
    for row in 0..rows {
        for column in 0..across {
            let (x, y) = (column * side, row * side);
            let ground = if pen.random.chance(45) { pen.palette.ground } else { pen.shape() };
            pen.svg.rect(x, y, side, side, ground);
            let mut colour = pen.shape();
            if colour == ground {
                colour = pen.palette.ink;
            }
            match pen.random.range(0, 5) {
                0 => pen.svg.circle(x + side / 2, y + side / 2, side / 2 - 2, colour),
                1 => half(pen.svg, x, y, side, colour, true),
                2 => half(pen.svg, x, y, side, colour, false),
                corner => quarter(pen.svg, x, y, side, corner - 3 + i32::from((row + column) % 2 == 0), colour),
            }
        }
    }
}

/// A quarter disc whose centre is a corner of the tile.
fn quarter(svg: &mut Svg, x: i32, y: i32, side: i32, corner: i32, fill: &str) {
    let (cx, cy, from, to) = match corner {
        0 => (x, y, (x + side, y), (x, y + side)),
        1 => (x + side, y, (x + side, y + side), (x, y)),
        2 => (x + side, y + side, (x, y + side), (x + side, y)),
        _ => (x, y + side, (x, y), (x + side, y + side)),
    };
    svg.path(fill).at("M", cx, cy).at("L", from.0, from.1).raw("A").number(side).raw(" ").number(side);
    svg.at(" 0 0 1 ", to.0, to.1).raw("z").done();
}

/// Half a disc on the upper or lower edge of the tile.
fn half(svg: &mut Svg, x: i32, y: i32, side: i32, fill: &str, upper: bool) {
    let (y, sweep) = if upper { (y, " 0 0 0 ") } else { (y + side, " 0 0 1 ") };
    svg.path(fill)
        .at("M", x, y)
        .raw("A")
        .number(side / 2)
        .raw(" ")
        .number(side / 2)
        .at(sweep, x + side, y)
        .raw("z")
        .done();
}

/// An approximate sine in whole numbers: parabolas through its zeros. `turn` and the result are in 256ths.
fn wave(turn: i32) -> i32 {
    let turn = turn.rem_euclid(256);
    let half = turn % 128;
    let hump = half * (128 - half) / 16;
    if turn < 128 { hump } else { -hump }
}

fn ridges(pen: &mut Pen<'_>) {
    let [a, b, _] = pen.turned();
    let (ground, line) = if pen.random.chance(50) { (pen.palette.ground, a) } else { (a, pen.palette.ground) };
    pen.fill(ground);
    let count = (pen.height / 26).clamp(5, 15);
    let centre = pen.random.range(pen.width * 35 / 100, pen.width * 65 / 100);
    let special = pen.random.range(1, count - 1);
    let step = pen.width / 30;
    for ridge in 0..count {
        let base = pen.height * (ridge * 10 + 24) / (count * 10 + 14);
        let (p, q) = (pen.random.range(0, 255), pen.random.range(0, 255));
        let (f, g) = (pen.random.range(9, 17), pen.random.range(20, 34));
        let stroke = if ridge == special && line == a { b } else { line };
        pen.svg.outline(ground, stroke, 4).at("M", -9, pen.height + 9).at("L", -9, base);
        let mut x = 0;
        while x <= pen.width {
            // Ridges are flat at the sides and high in the middle.
            let near = (256 - (x - centre).abs() * 256 / (pen.width * 42 / 100)).max(0);
            let envelope = near * near / 256;
            let raw = 150 + wave(x * f / 10 + p) / 2 + wave(x * g / 10 + q) / 4;
            let lift = envelope * raw / 256 * (pen.height / count * 3).min(84) / 256;
            pen.svg.at(" ", x, base - lift);
            x += step;
        }
        pen.svg.at(" ", pen.width + 9, base).at(" ", pen.width + 9, pen.height + 9).done();
    }
}

fn bars(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    let count = pen.random.range(7, 16);
    let pitch = pen.width / count + 1;
    let gap = pen.random.range(2, 3) * pitch / 12;
    let centred = pen.random.chance(50);
    let phase = pen.random.range(0, 255);
    let special = pen.random.range(0, count - 1);
    for bar in 0..count {
        let swell = (wave(bar * 256 / count * 3 / 2 + phase) + 256) * pen.height * 55 / 51_200;
        let tall = (swell + pen.random.range(pen.height / 8, pen.height * 45 / 100)).min(pen.height * 96 / 100);
        let top = if centred { (pen.height - tall) / 2 } else { pen.height - tall };
        let fill = if bar == special {
            b
        } else if pen.random.chance(18) {
            c
        } else {
            a
        };
        pen.svg.rect(bar * pitch + gap / 2, top, pitch - gap, tall, fill);
    }
}

fn sun(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    let sky = pen.random.chance(50);
    if sky {
        pen.fill(c);
    }
    let x = pen.random.range(pen.width * 30 / 100, pen.width * 70 / 100);
    let radius = pen.height.min(pen.width) * pen.random.range(30, 40) / 100;
    let y = pen.height * 46 / 100;
    pen.svg.circle(x, y, radius, a);
    let slit = if sky { c } else { pen.palette.ground };
    for cut in 0..4 {
        let thick = 5 + cut * 4;
        pen.svg.rect(x - radius - 4, y + radius * (cut * 26) / 100, radius * 2 + 8, thick, slit);
    }
    let hills = [b, pen.palette.ground, pen.palette.ink];
    for (layer, fill) in (0..).zip(hills.iter().take(if sky { 3 } else { 2 })) {
        let base = pen.height * (70 + layer * 12) / 100;
        let (left, lift) = (pen.random.range(-30, 40), pen.random.range(30, 90) - layer * 16);
        let bend = pen.random.range(pen.width / 4, pen.width * 3 / 4);
        let fill = if !sky && layer == 1 { c } else { fill };
        pen.svg.path(fill).at("M", 0, base + left).raw("C").at("", bend / 2, base - lift);
        pen.svg.at(" ", bend, base + lift / 2).at(" ", pen.width, base - left);
        pen.svg.at("L", pen.width, pen.height).at("L", 0, pen.height).raw("z").done();
    }
}

fn bauhaus(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    let (w, h) = (pen.width, pen.height);
    let unit = w.min(h);
    if pen.random.chance(60) {
        let across = pen.random.range(35, 62);
        pen.svg.rect(0, 0, w * across / 100, h, a);
    } else {
        pen.svg.path(a).at("M", 0, h).at("L", w * pen.random.range(55, 100) / 100, h).at("L", 0, 0).raw("z").done();
    }
    let radius = unit * pen.random.range(28, 40) / 100;
    let x = pen.random.range(w * 34 / 100, w * 66 / 100);
    pen.svg.circle(x, h * pen.random.range(38, 60) / 100, radius, b);
    let side = unit * pen.random.range(44, 64) / 100;
    let (left, top) = (w - side - pen.random.range(0, w / 12), h - side);
    match pen.random.range(0, 2) {
        0 => quarter(pen.svg, left, top, side, 2, c),
        1 => half(pen.svg, left, top, side, c, false),
        _ => pen.svg.path(c).at("M", left, h).at("L", left + side, h).at("L", left + side / 2, top).raw("z").done(),
    }
    let stripe = pen.palette.ink;
    for line in 0..pen.random.range(3, 5) {
        pen.svg.rect(w * 7 / 100, h * 9 / 100 + line * 20, w * 20 / 100, 7, stripe);
    }
    let dot = unit / 18;
    pen.svg.circle(w - dot * 3, dot * 3, dot, stripe);
}

fn halftone(pen: &mut Pen<'_>) {
    let [a, b, _] = pen.turned();
    let pitch = pen.random.range(40, 56);
    let (x, y) = (pen.random.range(0, pen.width), pen.random.range(0, pen.height));
    let reach = (pen.width + pen.height) * 62 / 100;
    let special = pen.random.range(8, 40);
    let (columns, rows) = (pen.width / pitch + 1, pen.height / pitch + 1);
    let mut number = 0;
    for row in 0..rows {
        for column in 0..columns {
            let (cx, cy) = (column * pitch + pitch / 2, row * pitch + pitch / 2);
            let distance = (cx - x).abs().max((cy - y).abs()) / 2 + ((cx - x).abs() + (cy - y).abs()) / 3;
            let radius = pitch * (reach - distance) / (reach * 2);
            number += 1;
            if radius > 2 {
                pen.svg.circle(cx, cy, radius, if number == special { b } else { a });
            }
        }
    }
}

fn rays(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    pen.fill(a);
    let spots = [(50, 100), (0, 100), (50, 50), (100, 100), (28, 100), (50, 62)];
    let (across, down) = pen.random.pick(&spots).copied().unwrap_or((50, 100));
    let (x, y) = (pen.width * across / 100, pen.height * down / 100);
    let count = pen.random.range(9, 16);
    pen.svg.path(pen.palette.ground);
    for ray in 0..count {
        let (from, to) = (ray * 512 / count, (ray * 512 + 256) / count);
        pen.svg.at("M", x, y);
        for turn in [from, to] {
            pen.svg.at("L", x + wave2(turn + 128) * 4, y + wave2(turn) * 4);
        }
        pen.svg.raw("z");
    }
    pen.svg.done();
    let radius = pen.width.min(pen.height) * pen.random.range(17, 27) / 100;
    pen.svg.circle(x, y, radius, b);
    if pen.random.chance(60) {
        pen.svg.circle(x, y, radius * 58 / 100, c);
    }
}

/// `wave` with 512 steps to a turn.
fn wave2(turn: i32) -> i32 {
    wave(turn / 2)
}

fn weave(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    let lean = pen.random.range(-60, 60) * pen.height / 100;
    let count = pen.random.range(4, 8);
    let mut x = -lean.abs() - 20;
    let pitch = (pen.width + 2 * lean.abs()) / count;
    let mut band = 0;
    while x < pen.width + lean.abs() {
        let thick = pitch * pen.random.range(25, 82) / 100;
        let fill = [a, b, a, c].get(band % 4).copied().unwrap_or(a);
        pen.svg.path(fill).at("M", x, 0).at("L", x + thick, 0).at("L", x + thick + lean, pen.height);
        pen.svg.at("L", x + lean, pen.height).raw("z").done();
        x += pitch;
        band += 1;
    }
    if pen.random.chance(45) {
        let (y, thick) = (pen.random.range(pen.height / 4, pen.height / 2), pen.height / 7);
        pen.svg.rect(0, y, pen.width, thick, pen.palette.ink);
    }
}

fn letter(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    pen.fill(a);
    let (w, h) = (pen.width, pen.height);
    let stem = w * pen.random.range(17, 24) / 100;
    let left = w * pen.random.range(6, 16) / 100;
    pen.svg.rect(left, -9, stem, h + 18, b);
    let radius = h * pen.random.range(42, 58) / 100;
    let ring = stem;
    match pen.random.range(0, 2) {
        0 => pen.svg.ring(left + stem + radius, h / 2, radius - ring / 2, c, ring),
        1 => {
            pen.svg.ring(left + stem + radius / 2, h * 28 / 100, radius - ring, c, ring);
            pen.svg.ring(left + stem + radius / 2, h * 92 / 100, radius - ring / 2, b, ring);
        }
        _ => {
            pen.svg.path(c).at("M", left + stem, h / 2).at("L", w, -h / 4).at("L", w + stem * 2, -h / 4);
            pen.svg
                .at("L", left + stem * 2, h / 2)
                .at("L", w + stem * 2, h + h / 4)
                .at("L", w, h + h / 4)
                .raw("z")
                .done();
        }
    }
    let dot = stem / 2;
    pen.svg.circle(w - dot * 2, h - dot * 2, dot, pen.palette.ground);
}

fn blobs(pen: &mut Pen<'_>) {
    let colours = pen.turned();
    let unit = pen.width.min(pen.height);
    for (number, fill) in (0..).zip(colours) {
        let (x, y) =
            (pen.random.range(pen.width / 6, pen.width * 5 / 6), pen.random.range(pen.height / 5, pen.height * 4 / 5));
        let radius = unit * (62 - number * 16) / 100;
        let turn = pen.random.range(0, 255);
        let corners = 5 + number % 2;
        // Points around the middle. The curves meet at the midpoints between them, so the outline has no corners.
        let points: Vec<(i32, i32)> = (0..corners)
            .map(|corner| {
                let angle = turn + corner * 256 / corners;
                let far = radius * pen.random.range(62, 118) / 100;
                (x + wave(angle + 64) * far / 256, y + wave(angle) * far / 256)
            })
            .collect();
        let middle = |one: (i32, i32), two: (i32, i32)| ((one.0 + two.0) / 2, (one.1 + two.1) / 2);
        let following = points.iter().cycle().skip(1);
        pen.svg.path(fill);
        for (at, (&point, &next)) in points.iter().zip(following).enumerate() {
            if at == 0 {
                let before = points.last().copied().unwrap_or(point);
                let start = middle(before, point);
                pen.svg.at("M", start.0, start.1);
            }
            let end = middle(point, next);
            pen.svg.at("Q", point.0, point.1).at(" ", end.0, end.1);
        }
        pen.svg.raw("z").done();
    }
    let (x, y) =
        (pen.random.range(pen.width / 5, pen.width * 4 / 5), pen.random.range(pen.height / 4, pen.height * 3 / 4));
    pen.svg.circle(x, y, unit / 16, pen.palette.ink);
}

fn squares(pen: &mut Pen<'_>) {
    let [a, b, c] = pen.turned();
    let pitch = pen.random.range(84, 132);
    let (columns, rows) = ((pen.width + pitch / 2) / pitch, (pen.height + pitch / 2) / pitch);
    let (columns, rows) = (columns.max(1), rows.max(1));
    let (left, top) = ((pen.width - columns * pitch) / 2, (pen.height - rows * pitch) / 2);
    let unrest = pen.random.range(0, 9);
    for row in 0..rows {
        for column in 0..columns {
            let solid = pen.random.chance(22);
            let shift = unrest * row / rows.max(2) * 2;
            for inner in 0..3 {
                let side = (pitch - 12) * (100 - inner * 32) / 100;
                let x = left + column * pitch + (pitch - side) / 2 + pen.random.range(-shift, shift);
                let y = top + row * pitch + (pitch - side) / 2 + pen.random.range(-shift, shift);
                if solid {
                    let fill = [a, b, c].get(inner as usize).copied().unwrap_or(a);
                    pen.svg.rect(x, y, side, side, fill);
                } else {
                    let stroke = if pen.random.chance(15) { b } else { a };
                    pen.svg.outline("none", stroke, 6).at("M", x, y).raw("h").number(side).raw("v").number(side);
                    pen.svg.raw("h").number(-side).raw("z").done();
                }
            }
        }
    }
}
