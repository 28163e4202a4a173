//! What the model knows of each event, and what it counts.

/// What happened, over all seeds.
#[derive(Debug, Default)]
pub struct Counts {
    pub effects: u64,
    pub dead: u64,
    pub crashes: u64,
    pub replays: u64,
    pub discarded: u64,
    pub retried: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.effects += other.effects;
        self.dead += other.dead;
        self.crashes += other.crashes;
        self.replays += other.replays;
        self.discarded += other.discarded;
        self.retried += other.retried;
    }
}

/// How far an event is, as the model knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has its effect some time.
    Owed,
    Done,
    Dead,
    Discarded,
}

/// A published event.
#[derive(Debug, Clone)]
pub struct Known {
    pub publisher: usize,
    pub position: u64,
    pub subject: Option<String>,
    pub stage: Stage,
    /// It was a dead letter: later ones of its subject have passed it.
    pub was_dead: bool,
}
