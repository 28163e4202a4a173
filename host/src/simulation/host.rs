//! One host that runs: its files, its part in transactions, and what it answers to the others. All of it is the
//! product's own code, on real files.
//!
//! Not here: leases and backups (`keeper`), who asks (`load`, `events`).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use seam_runtime::call::Failure;
use seam_runtime::guest::branches::Branches;
use seam_runtime::guest::transactions::Transactions;
use seam_runtime::remote::{Ask, Asking, Carrier, Carrying, Head, Page, Question, Reply};
use seam_runtime::serve::{decision, resolve_doubts, waits_for_decision};
use seam_runtime::two_phase::{self, Part, Replying, Request, Step};
use seam_store::ids::ContextName;
use seam_store::{
    Bond, Config, Copies, Database, Error, Event, Migration, NewEvent, Term, Transaction, Value, migrate,
};

use super::baton::{MS, S};
use super::network::{Links, Reply as Back};
use super::world::{Vault, Without, World, desk, shelf};
use crate::backup::continuous::Board;
use crate::homes::{Home, Homes};
use crate::limits;
use crate::remote::client::home_table::HomeTable;

/// The interface of the events that desks and vaults publish.
pub const INTERFACE: &str = "acme:desk/events";

/// What one host says to another one.
#[derive(Debug, Clone)]
pub enum Message {
    /// Notes a key in a vault.
    Save {
        context: String,
        key: String,
    },
    /// Notes a key in a desk, as a part of a transaction over several files.
    Part {
        part: Part,
        context: String,
        key: String,
    },
    Settle(Request),
    Ask(Ask),
    /// The context lives at the sender.
    Home {
        context: String,
        token: u64,
    },
}

#[derive(Debug, Clone)]
pub enum Answer {
    Done,
    Settled(two_phase::Reply),
    Asked(Reply),
}

pub type Replied = Result<Answer, Failure>;

impl Message {
    /// Whether the other host may get it again: a step that changes nothing when it comes twice. A call is never sent
    /// again that may have been performed.
    pub fn may_come_twice(&self) -> bool {
        !matches!(self, Self::Save { .. } | Self::Part { .. })
    }

    pub fn context(&self) -> String {
        match self {
            Self::Save { context, .. } | Self::Part { context, .. } | Self::Home { context, .. } => context.clone(),
            Self::Settle(request) => request.asked().to_string(),
            Self::Ask(ask) => ask.publisher.to_string(),
        }
    }
}

/// What a host has in memory while it runs.
pub struct Running {
    pub host: usize,
    pub files: Mutex<BTreeMap<String, Arc<Database>>>,
    /// What binds the file of each vault that may live here.
    pub bonds: BTreeMap<String, Bond>,
    pub transactions: Arc<Transactions>,
    pub branches: Branches,
    pub homes: Mutex<HomeTable<usize>>,
    pub links: Mutex<Links>,
    pub board: Arc<Board>,
    pub carrier: Arc<dyn Carrier>,
}

pub fn name(context: &str) -> ContextName {
    ContextName::new(context).unwrap()
}

pub fn host_name(host: usize) -> String {
    format!("host-{host}")
}

pub fn host_number(name: &str) -> usize {
    name.strip_prefix("host-").and_then(|number| number.parse().ok()).unwrap()
}

pub fn absent(context: &str, reason: impl ToString) -> Failure {
    Failure::Absent { context: context.to_owned(), reason: reason.to_string() }
}

/// Whether a file has this key already.
pub fn has(transaction: &mut Transaction, key: &str, database: &Database) -> Result<bool, Error> {
    let soon = database.clock().now() + Duration::from_secs(5);
    let key = [Value::Text(key.into())];
    let packed = transaction.query("SELECT id FROM entry WHERE key = ?1", &key, soon)?;
    let (mut rows, mut row) = (seam_store::Rows::new(&packed)?, Vec::new());
    rows.next_into(&mut row)
}

/// Notes a key, and publishes it, with the token of the file's owner: another owner may publish the same key again,
/// if what the one before it has published was lost.
pub fn note(transaction: &mut Transaction, key: &str, database: &Database) -> Result<(), Error> {
    let soon = database.clock().now() + Duration::from_secs(5);
    transaction.execute("INSERT INTO entry (key) VALUES (?1)", &[Value::Text(key.into())], soon)?;
    let time_ms = database.clock().wall_ms();
    let token = database.owner()?.map_or(0, |owner| owner.token);
    let data = &format!("{key}@{token}");
    let interface = "acme:desk/events@0.1.0";
    transaction.publish(&NewEvent { interface, function: "noted", subject: None, time_ms, trace: "", data })
}

impl Running {
    /// The file of a context that lives here.
    pub fn file(&self, context: &str) -> Result<Arc<Database>, Failure> {
        self.files.lock().get(context).cloned().ok_or_else(|| absent(context, "its file is not open here"))
    }

    pub fn lives_here(&self, context: &str) -> bool {
        self.homes.lock().get(&name(context)).is_some_and(|(host, _)| host == self.host)
    }

    /// Desks and vaults, as a doubt about them is resolved.
    pub fn opened(&self) -> Vec<(ContextName, Arc<Database>)> {
        self.files.lock().iter().map(|(context, file)| (name(context), file.clone())).collect()
    }

    fn moved(&self, context: &str) -> Failure {
        match self.homes.lock().get(&name(context)) {
            Some((host, token)) if host != self.host => {
                Failure::Moved { context: context.to_owned(), host: host_name(host), token }
            }
            _ => absent(context, "its file is not open here"),
        }
    }
}

impl World {
    pub fn config(&self, host: usize, context: &str) -> Config {
        let path = self.data(host).join("stores").join(format!("{context}.db"));
        Config { clock: self.baton.clock(host).clock(), ..Config::plain(path, 64) }
    }

    pub fn open(&self, host: usize, context: &str) -> Arc<Database> {
        let database = Database::open(self.config(host, context)).unwrap();
        let sql = if context.starts_with("shelf") {
            "CREATE TABLE seen (id INTEGER PRIMARY KEY, publisher TEXT NOT NULL, data TEXT NOT NULL) STRICT"
        } else {
            "CREATE TABLE entry (id INTEGER PRIMARY KEY, key TEXT NOT NULL) STRICT; CREATE INDEX by_key ON entry (key)"
        };
        migrate(&database, &[Migration { number: 1, name: "tables".into(), sql: sql.into() }]).unwrap();
        database
    }

    /// What binds the file of a vault on one host.
    fn bond(self: &Arc<Self>, host: usize, vault: &Vault) -> Bond {
        let (world, context) = (Arc::downgrade(self), vault.name.clone());
        let committed = move || {
            let Some(world) = world.upgrade() else { return };
            world.noted_commit(host, &context);
        };
        let (world, waits) = (Arc::downgrade(self), vault.replicated && !self.is_without(Without::Copies));
        let copies = Copies::new(committed).waiting_by(move |copies, count| {
            let Some(world) = world.upgrade().filter(|_| waits) else { return true };
            let until = world.now() + seam_store::limits::STORE_COPY_MS_MAX * MS;
            while !copies.has(count) && world.now() < until {
                world.baton.sleep(5 * MS);
            }
            copies.has(count)
        });
        let term = Term::by(self.baton.clock(host).clock());
        Bond { term: Some(Arc::new(term)), copies: Some(Arc::new(copies)) }
    }

    /// Two hosts must not commit to one file: the one that commits has the highest token of all that ever have.
    fn noted_commit(&self, host: usize, context: &str) {
        let Some(running) = self.running(host) else { return };
        let Ok(file) = running.file(context) else { return };
        let token = file.owner().ok().flatten().map_or(0, |owner| owner.token);
        self.judge.lock().committed(context, host, token).unwrap_or_else(|why| self.baton.fail(why));
    }

    /// Starts a host, with what its disk holds.
    pub fn boot(self: &Arc<Self>, host: usize) {
        let mut homes = HomeTable::default();
        for context in self.files().into_keys().chain((0..self.plan.hosts).map(shelf)) {
            homes.set(&name(&context), self.placed(&context), 0);
        }
        seam_store::private::folder(&self.data(host)).unwrap();
        for (context, home) in Homes::load(&self.data(host)).unwrap().homes {
            homes.set(&name(&context), host_number(&home.host), home.token);
        }
        let carrier: Arc<dyn Carrier> = Arc::new(Lines { world: Arc::downgrade(self), host });
        let transactions = Arc::<Transactions>::default();
        let own = self.vaults.iter().filter(|vault| vault.pair.contains(&host));
        let running = Arc::new(Running {
            host,
            files: Mutex::default(),
            bonds: own.clone().map(|vault| (vault.name.clone(), self.bond(host, vault))).collect(),
            branches: Branches::new(transactions.clone(), self.baton.clock(host).clock()),
            transactions,
            homes: Mutex::new(homes),
            links: Mutex::default(),
            board: Arc::new(Board::new(&prometheus::Registry::new()).unwrap()),
            carrier,
        });
        for context in [desk(host), shelf(host)] {
            running.files.lock().insert(context.clone(), self.open(host, &context));
        }
        self.set_running(host, Some(running.clone()));
        for vault in own {
            if running.lives_here(&vault.name) {
                self.serve(&running, &vault.name);
            }
            self.keep(host, vault);
        }
        let world = self.clone();
        self.baton.spawn(Some(host), move || world.tend(host));
        self.subscribe(host);
    }

    /// Opens the file of a vault that lives here.
    pub fn serve(&self, running: &Running, context: &str) {
        let database = self.open(running.host, context);
        database.bind(&running.bonds[context]);
        running.files.lock().insert(context.to_owned(), database);
    }

    /// The host loses what it has in memory.
    pub fn crash(self: &Arc<Self>, host: usize) {
        self.baton.stop(host);
        self.set_running(host, None);
    }

    /// As `Registry::tend`: once a second.
    fn tend(self: &Arc<Self>, host: usize) {
        loop {
            self.baton.sleep(S);
            let Some(running) = self.running(host) else { return };
            running.branches.expire();
            let files = running.opened();
            if self.is_without(Without::Decision) {
                for (_, file) in files.iter().filter(|(_, file)| file.doubt().is_some()) {
                    file.resolve(false).ok();
                }
            }
            resolve_doubts(&files, &running.transactions, Some(&running.carrier));
        }
    }

    /// Does what another host, or this one, asks; `None` if the host ends.
    pub fn receive(self: &Arc<Self>, from: usize, to: usize, message: Message) -> Option<Replied> {
        let running = self.running(to)?;
        let failed = |context: &str, error: &Error| match error {
            Error::Busy(_) => Failure::Overloaded { context: context.to_owned() },
            other => absent(context, other),
        };
        Some(match message {
            Message::Save { context, key } => {
                self.save(&running, &context, &key).map(|()| Answer::Done).map_err(|error| match error {
                    Some(error) => failed(&context, &error),
                    None => running.moved(&context),
                })
            }
            Message::Part { part, context, key } => {
                self.part(&running, &part, &context, &key).map(|()| Answer::Done).map_err(|why| absent(&context, why))
            }
            Message::Settle(request) => self.settle(&running, &request).map(Answer::Settled),
            Message::Ask(ask) => Self::asked(&running, &ask).map(Answer::Asked),
            Message::Home { context, token } => {
                if !running.lives_here(&context) {
                    let home = Home { host: host_name(from), token };
                    Homes::change(&self.data(to), |homes| homes.set(&name(&context), home)).unwrap();
                    running.homes.lock().set(&name(&context), from, token);
                }
                Ok(Answer::Done)
            }
        })
    }

    /// # Errors
    /// `None`: the vault does not live here.
    fn save(&self, running: &Running, context: &str, key: &str) -> Result<(), Option<Error>> {
        if !running.lives_here(context) {
            return Err(None);
        }
        let file = running.file(context).map_err(|_| None)?;
        let mut transaction = file.begin(file.clock().now())?;
        if self.is_without(Without::Key) || !has(&mut transaction, key, &file)? {
            note(&mut transaction, key, &file)?;
        }
        transaction.commit()?;
        let token = file.owner()?.map_or(0, |owner| owner.token);
        self.judge.lock().saved(key, token, self.now());
        Ok(())
    }

    fn part(&self, running: &Running, part: &Part, context: &str, key: &str) -> Result<(), String> {
        let file = running.file(context).map_err(|failure| failure.to_string())?;
        let own = name(context);
        let entered = running.branches.enter(part, &own, std::slice::from_ref(&own), String::new())?;
        let joint = entered.joint();
        let mut transaction = match joint.take(&own) {
            Some(transaction) => transaction,
            None => joint.begin(&own, &file, file.clock().now()).map_err(|error| error.to_string())?,
        };
        let noted = note(&mut transaction, key, &file);
        joint.put_back(&own, transaction);
        noted.map_err(|error| {
            joint.fail(&own, &error.to_string());
            error.to_string()
        })
    }

    fn settle(&self, running: &Running, request: &Request) -> Result<two_phase::Reply, Failure> {
        if request.step == Step::AskDecision {
            let coordinator = request.coordinator.as_str();
            let file = running.file(coordinator)?;
            let decided = decision(&running.transactions, &file, &request.transaction);
            return decided.map_err(|error| absent(coordinator, error));
        }
        let files = running.opened();
        let waits =
            |context: &ContextName| waits_for_decision(&files, context.as_str(), &request.transaction).unwrap_or(true);
        running.branches.settle(request, waits).map_err(|why| absent(request.participant.as_str(), why))
    }

    /// What the outbox of a context of this host has.
    fn asked(running: &Running, ask: &Ask) -> Result<Reply, Failure> {
        let publisher = ask.publisher.as_str();
        if !running.lives_here(publisher) {
            return Err(running.moved(publisher));
        }
        let file = running.file(publisher)?;
        let unread = |error: Error| absent(publisher, error);
        let events = |after, most| file.published(Some(&ask.interface), after, most);
        Ok(match ask.question {
            Question::Page { after, most, .. } => {
                let kept = file.kept().map_err(unread)?;
                let events: Vec<Event> = events(after, most).map_err(unread)?;
                Reply::Page(Page { events, kept })
            }
            Question::Span { after, up_to, most } => {
                Reply::Span(file.span(&ask.interface, after, up_to, most).map_err(unread)?)
            }
            Question::Kinds { after } => Reply::Kinds(file.kinds(&ask.interface, after).map_err(unread)?),
            Question::Bounds { at } => Reply::Bounds(file.bounds(&ask.interface, at).map_err(unread)?),
        })
    }

    /// Asks the host of a context, and those to which it refers.
    pub fn to_home(self: &Arc<Self>, from: usize, message: &Message, within: Duration) -> Replied {
        let context = message.context();
        for _ in 0..=limits::REMOTE_RESENDS {
            let Some(running) = self.running(from) else { break };
            let Some((home, _)) = running.homes.lock().get(&name(&context)) else { break };
            let replied = self.call((from, home), message, within);
            let Err(Failure::Moved { host, token, .. }) = &replied else { return replied };
            running.homes.lock().set(&name(&context), host_number(host), *token);
        }
        Err(absent(&context, "no host says that it lives there"))
    }
}

/// A host's way to the others, for the product's code.
struct Lines {
    world: Weak<World>,
    host: usize,
}

impl Carrier for Lines {
    fn carry(&self, _: Head, _: Bytes) -> Carrying {
        unreachable!("no component is called")
    }

    fn is_down(&self, _: &ContextName) -> bool {
        false
    }

    fn ask(&self, ask: Ask) -> Asking {
        let (world, host) = (self.world.upgrade(), self.host);
        Box::pin(async move {
            let (publisher, remaining) = (ask.publisher.to_string(), ask.remaining);
            let world = world.ok_or_else(|| absent(&publisher, "the world ends"))?;
            match world.to_home(host, &Message::Ask(ask), remaining)? {
                Answer::Asked(reply) => Ok(reply),
                other => unreachable!("{other:?}"),
            }
        })
    }

    fn settle(&self, request: Request) -> Replying {
        settle_from(self.world.upgrade(), self.host, request)
    }
}

/// Has another host do a step of a transaction.
pub fn settle_from(world: Option<Arc<World>>, host: usize, request: Request) -> Replying {
    let asked = request.asked().to_string();
    if let (Some(world), Step::RollBack) = (&world, &request.step) {
        // It is not waited for.
        let to = world.placed(&asked);
        let ignored: Back = Arc::new(|_| {});
        world.send((host, to), Message::Settle(request), ignored);
        return Box::pin(std::future::ready(Ok(two_phase::Reply::Done)));
    }
    Box::pin(async move {
        let world = world.ok_or_else(|| absent(&asked, "the world ends"))?;
        let remaining = request.remaining;
        match world.to_home(host, &Message::Settle(request), remaining)? {
            Answer::Settled(reply) => Ok(reply),
            other => unreachable!("{other:?}"),
        }
    })
}
