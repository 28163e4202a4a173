//! What must hold, whatever fails.
//!
//! - One owner: a host that commits to a vault's file has the highest token of all that ever did.
//! - Nothing that was answered is lost: with `replicated`, at all; with `local`, nothing that was stored.
//! - Nothing is done twice: a key stands in a file once, and was delivered once.
//! - A transaction over several files has all of them, or none.
//! - After the last fault, within `HEALED`: each request has its answer, each event its effect, no file is in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use seam_store::{Database, Rows, Source, Value};

use super::baton::{S, Us};
use super::host::INTERFACE;
use super::load::Wish;
use super::world::{World, desk, shelf};

/// What happened: a simulation in which nothing happens finds nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub answered: u64,
    pub crashes: u64,
    pub freezes: u64,
    pub cuts: u64,
    pub takeovers: u64,
    pub delivered: u64,
    /// Keys that were answered and lost, where that may be.
    pub lost: u64,
    /// What the simulation took.
    pub turns: u64,
}

#[derive(Debug, Default)]
pub struct Judge {
    pub counts: Counts,
    /// By the vault: the highest token under which a host has committed, and which host.
    owners: BTreeMap<String, (u64, usize)>,
    wishes: BTreeMap<String, Wish>,
    /// By the key, when.
    answered: BTreeMap<String, Us>,
    /// By the key: under which token its vault has said that it has it, and when.
    saved: BTreeMap<String, (u64, Us)>,
    /// By the vault and its token: until when all that was said so is stored.
    stored: BTreeMap<(String, u64), Us>,
}

fn key(wish: &Wish) -> &String {
    match wish {
        Wish::Together { key, .. } | Wish::Save { key, .. } => key,
    }
}

impl Judge {
    /// # Errors
    /// When another host owns the file.
    pub fn committed(&mut self, vault: &str, host: usize, token: u64) -> Result<(), String> {
        let (highest, owner) = self.owners.get(vault).copied().unwrap_or((token, host));
        if token < highest || (token == highest && host != owner) {
            return Err(format!(
                "two owners: host {host} commits to `{vault}` under token {token}, after host {owner} under {highest}"
            ));
        }
        self.owners.insert(vault.to_owned(), (token, host));
        Ok(())
    }

    /// A vault says that it has this key.
    pub fn saved(&mut self, key: &str, token: u64, now: Us) {
        self.saved.insert(key.to_owned(), (token, now));
    }

    /// All that was committed to the vault under this token until now is in the store of backups.
    pub fn stored(&mut self, vault: &str, token: u64, now: Us) {
        self.stored.insert((vault.to_owned(), token), now);
    }

    pub fn wished(&mut self, wish: &Wish) {
        self.wishes.insert(key(wish).clone(), wish.clone());
    }

    pub fn answered(&mut self, wish: &Wish, now: Us) {
        self.counts.answered += 1;
        self.answered.insert(key(wish).clone(), now);
    }

    /// The keys of a vault that were answered, and when.
    fn answered_by<'j>(&'j self, vault: &'j str) -> impl Iterator<Item = (&'j String, Us)> {
        let is_of = move |key: &str| matches!(&self.wishes[key], Wish::Save { vault: of, .. } if of == vault);
        self.answered.iter().filter(move |(key, _)| is_of(key)).map(|(key, at)| (key, *at))
    }
}

/// The texts of one column, in the order of the rows.
fn column(file: &Database, sql: &str) -> Vec<String> {
    let packed = file.query(sql, &[], file.clock().now() + Duration::from_secs(10)).unwrap();
    let (mut rows, mut row, mut all) = (Rows::new(&packed).unwrap(), Vec::new(), Vec::new());
    while rows.next_into(&mut row).unwrap() {
        match row.first() {
            Some(Value::Text(text)) => all.push(text.to_string()),
            other => panic!("no text: {other:?}"),
        }
    }
    all
}

/// # Errors
/// When one comes twice.
fn once(all: Vec<String>, what: &str) -> Result<BTreeSet<String>, String> {
    let mut set = BTreeSet::new();
    for one in all {
        if !set.insert(one.clone()) {
            return Err(format!("done twice: `{one}` in {what}"));
        }
    }
    Ok(set)
}

impl World {
    /// The file of a context, on the host where it lives in the end.
    ///
    /// # Errors
    /// When there is none.
    fn last_file(&self, context: &str) -> Result<Arc<Database>, String> {
        let hosts = match self.vault(context) {
            Some(vault) => vault.pair.to_vec(),
            None => vec![self.placed(context)],
        };
        let mut files = hosts.into_iter().filter_map(|host| {
            let running = self.running(host)?;
            let file = running.files.lock().get(context).cloned()?;
            file.term().is_none_or(|term| !term.has_ended()).then_some(file)
        });
        match (files.next(), files.next()) {
            (Some(file), None) => Ok(file),
            (None, _) => Err(format!("no host serves `{context}`")),
            (Some(_), Some(_)) => Err(format!("two hosts serve `{context}`")),
        }
    }

    /// # Errors
    /// What does not hold in the end.
    pub fn verdict(&self) -> Result<(), String> {
        let judge = self.judge.lock();
        for (key, wish) in &judge.wishes {
            if !judge.answered.contains_key(key) {
                return Err(format!("a request has no answer {} s after the last fault: {wish:?}", 30));
            }
        }
        let mut kept = BTreeMap::new();
        for context in self.files().keys() {
            let file = self.last_file(context)?;
            if let Some(doubt) = file.doubt() {
                return Err(format!("`{context}` is still in doubt: {doubt:?}"));
            }
            let keys = once(column(&file, "SELECT key FROM entry ORDER BY id"), &format!("the file of `{context}`"))?;
            kept.insert(context.clone(), keys);
        }
        for (key, wish) in &judge.wishes {
            let Wish::Together { desks, .. } = wish else { continue };
            let with = desks.iter().filter(|host| kept[&desk(**host)].contains(key)).count();
            if with != desks.len() {
                return Err(format!("not all or nothing: {wish:?} stands in {with} of its files"));
            }
        }
        drop(judge);
        self.vaults_kept(&kept)?;
        self.delivered(&kept)
    }

    fn vaults_kept(&self, kept: &BTreeMap<String, BTreeSet<String>>) -> Result<(), String> {
        let mut judge = self.judge.lock();
        let mut lost = 0;
        for vault in &self.vaults {
            for (key, at) in judge.answered_by(&vault.name).filter(|(key, _)| !kept[&vault.name].contains(*key)) {
                let when = format!("`{key}` of `{}`, answered at {:.3} s", vault.name, at as f64 / S as f64);
                if vault.replicated {
                    return Err(format!("lost: {when}, with `acknowledge = \"replicated\"`"));
                }
                let (token, saved) = judge.saved[key];
                if judge.stored.get(&(vault.name.clone(), token)).is_some_and(|stored| saved <= *stored) {
                    return Err(format!("lost: {when}, though it was in the store of backups"));
                }
                lost += 1;
            }
        }
        judge.counts.lost = lost;
        Ok(())
    }

    fn delivered(&self, kept: &BTreeMap<String, BTreeSet<String>>) -> Result<(), String> {
        let mut all = 0;
        for host in 0..self.plan.hosts {
            let shelf_file = self.last_file(&shelf(host))?;
            for publisher in self.publishers(host) {
                let sql = format!("SELECT data FROM seen WHERE publisher = '{publisher}' ORDER BY id");
                let seen = once(column(&shelf_file, &sql), &format!("what `{}` got of `{publisher}`", shelf(host)))?;
                all += seen.len() as u64;
                let outbox = self.last_file(&publisher)?.published(None, 0, 1_000_000).map_err(|e| e.to_string())?;
                if outbox.len() != kept[&publisher].len() {
                    return Err(format!("`{publisher}` has published {} of {}", outbox.len(), kept[&publisher].len()));
                }
                let published = outbox.into_iter().map(|event| event.data).collect::<BTreeSet<_>>();
                if let Some(missing) = published.difference(&seen).next() {
                    let source = Source { publisher: publisher.clone(), interface: INTERFACE.to_owned() };
                    let at = shelf_file.seen(&source);
                    return Err(format!("not delivered: `{missing}` of `{publisher}`; the cursor is {at:?}"));
                }
                // What a vault published and lost may have been delivered before.
                if self.vault(&publisher).is_none()
                    && let Some(more) = seen.difference(&published).next()
                {
                    return Err(format!("delivered and not committed: `{more}` of `{publisher}`"));
                }
            }
        }
        self.judge.lock().counts.delivered = all;
        Ok(())
    }
}
