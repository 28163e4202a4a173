//! The other contexts, for tests of orders: a catalog, a warehouse and finance, all in memory. At any call they can be
//! absent or lose their answer, or the caller can die.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use orders::domain::sagas::definitions;
use orders::neighbours::{Album, Neighbours, Payment, PlacedOrder, Sale, albums, events, fulfilment, payments};
use orders::wit::{self, Address, Card, Line, Order, Request, State};
use orders::{steps, store};
use seam_sdk::native::{Saga, Store, forget_attempts, set_clock, settings};
use seam_sdk::sagas;
use seam_sdk::store::{params, query};
use seam_sdk::two_phase;

pub const NOW: u64 = 1_800_000_000;
pub const APPROVED: &str = "4242 4242 4242 4242";
pub const DECLINED: &str = "4000 0000 0000 0002";
pub const UNANSWERED: &str = "4000 0000 0000 0119";
pub const MISTYPED: &str = "1";
/// Copies of each album at the start.
pub const COPIES: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The callee is absent.
    Away,
    /// The callee has done its work, but its answer does not arrive.
    Lost,
    /// The host dies before the call.
    DeathBefore,
    /// The host dies during the call, which the callee does not notice.
    DeathAfter,
}

pub const FAULTS: [Fault; 4] = [Fault::Away, Fault::Lost, Fault::DeathBefore, Fault::DeathAfter];

#[derive(Debug, Clone, PartialEq)]
pub struct Paid {
    pub stage: payments::Stage,
    pub amount: u64,
    pub refunded: u64,
}

#[derive(Default, Clone)]
pub struct Others {
    pub on_hand: BTreeMap<String, u32>,
    pub prices: BTreeMap<String, u32>,
    pub reserved: BTreeMap<String, (fulfilment::Stage, Vec<(String, u32)>)>,
    pub returned: BTreeMap<String, Vec<(String, u32)>>,
    pub paid: BTreeMap<String, Paid>,
    /// Who gave money back, in the order in which it was given.
    pub givers: Vec<Option<String>>,
    keys: BTreeSet<String>,
    /// What was answered to an authorisation under its key.
    authorised: BTreeMap<String, Result<(), payments::Error>>,
    /// The events that were published, also in transactions that were rolled back.
    pub published: Vec<PlacedOrder>,
    /// The outbox does not work.
    pub outbox_full: bool,
}

pub struct World {
    pub others: RefCell<Others>,
    /// The calls since the last `plan`, in their order.
    pub asked: RefCell<Vec<&'static str>>,
    faults: RefCell<BTreeMap<usize, Fault>>,
    /// Functions that are absent whenever they are called.
    pub absent: RefCell<BTreeSet<&'static str>>,
    /// While the bank is asked, the request of the order stops waiting.
    pub request_goes: Cell<bool>,
    pub now: Cell<u64>,
    pub store: Store,
}

/// The functions of the warehouse.
pub const WAREHOUSE: [&str; 5] = ["reserve", "release", "clear", "ship", "take-back"];
/// How often a saga is tried while a request waits for it.
const ROUNDS: usize = 5;

/// The host died, so there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Died;

impl World {
    /// A world with albums `A` to `C` at 10.00, 20.00 and 50.00.
    pub fn new() -> Self {
        let store = Store::fresh(orders::MIGRATIONS).expect("a fresh store");
        settings(&[("reference.countries", "AT Austria\nGB United Kingdom\n")]);
        set_clock(Some(NOW));
        forget_attempts();
        let albums = [("A", 1000), ("B", 2000), ("C", 5000)];
        let others = Others {
            on_hand: albums.iter().map(|(sku, _)| ((*sku).into(), COPIES)).collect(),
            prices: albums.iter().map(|(sku, price)| ((*sku).into(), *price)).collect(),
            ..Others::default()
        };
        Self {
            others: others.into(),
            asked: RefCell::default(),
            faults: RefCell::default(),
            absent: RefCell::default(),
            request_goes: Cell::default(),
            now: NOW.into(),
            store,
        }
    }

    /// From here on, the `n`th call (the first is 1) has its fault.
    pub fn plan(&self, faults: &[(usize, Fault)]) {
        self.asked.borrow_mut().clear();
        self.faults.replace(faults.iter().copied().collect());
    }

    pub fn later(&self, seconds: u64) {
        self.now.set(self.now.get() + seconds);
        set_clock(Some(self.now.get()));
    }

    /// Runs `work`, which may die.
    pub fn try_to<T>(&self, work: impl FnOnce() -> T) -> Result<T, Died> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|cause| match cause.downcast::<Died>() {
            Ok(died) => *died,
            Err(other) => resume_unwind(other),
        })
    }

    /// What the host does with a saga: performs its steps, again after one that failed, until it waits or has ended.
    fn drive(&self, kind: &str, number: &str) -> sagas::Status {
        let definition = definitions().into_iter().find(|one| one.kind == kind).expect("a kind of saga");
        let saga = Saga::of(&self.store, &definition, number);
        let mut status = sagas::get_status(kind, number).expect("a saga");
        for _ in 0..ROUNDS {
            status = saga.go_on(|task| steps::perform(task, self), |task| steps::undo(task, self)).expect("a status");
            if !matches!(status.state, sagas::State::Running | sagas::State::Undoing) {
                break;
            }
        }
        status
    }

    /// What the host does by itself: it goes on with each saga that runs, that is undone, or whose time has come.
    /// Returns how many have not ended and do not wait.
    pub fn go_on(&self) -> usize {
        let sql = "SELECT kind, id FROM seam_sagas WHERE state IN ('running', 'undoing', 'waiting') ORDER BY rowid";
        let sagas: Vec<(String, String)> = query(sql, params![]).unwrap_or_default();
        let open = |status: &sagas::Status| {
            matches!(status.state, sagas::State::Running | sagas::State::Undoing | sagas::State::Stuck)
        };
        sagas.iter().map(|(kind, number)| self.drive(kind, number)).filter(open).count()
    }

    fn ask<T, E>(
        &self,
        what: &'static str,
        away: impl FnOnce(String) -> E,
        effect: impl FnOnce(&mut Others) -> Result<T, E>,
    ) -> Result<T, E> {
        self.asked.borrow_mut().push(what);
        if self.absent.borrow().contains(what) {
            return Err(away(format!("{what} is away")));
        }
        let fault = self.faults.borrow().get(&self.asked.borrow().len()).copied();
        match fault {
            None => effect(&mut self.others.borrow_mut()),
            Some(Fault::Away) => Err(away(format!("{what} is away"))),
            Some(Fault::Lost) => {
                let _ = effect(&mut self.others.borrow_mut());
                Err(away(format!("the answer of {what} is lost")))
            }
            Some(Fault::DeathBefore) => resume_unwind(Box::new(Died)),
            Some(Fault::DeathAfter) => {
                let _ = effect(&mut self.others.borrow_mut());
                resume_unwind(Box::new(Died))
            }
        }
    }

    /// Checks that copies and money match the orders exactly. No order may be in process.
    pub fn check(&self, case: &str) {
        let others = self.others.borrow();
        let mut there: BTreeMap<&str, u32> = others.on_hand.iter().map(|(sku, n)| (sku.as_str(), *n)).collect();
        let mut known = BTreeSet::new();
        for state in orders::domain::states::ALL {
            for summary in store::in_state(state, 1).expect("a page").orders {
                let number = summary.number.as_str();
                let stage = others.reserved.get(number).map(|(stage, _)| *stage);
                let money = others.paid.get(number);
                let held = money.map(|paid| (paid.stage, paid.amount, paid.refunded));
                let total = summary.total;
                let returned: u64 = store::order(number)
                    .expect("an order")
                    .expect("that is there")
                    .lines
                    .iter()
                    .map(|line| u64::from(line.returned) * u64::from(line.price))
                    .sum();
                use fulfilment::Stage as S;
                use payments::Stage as P;
                let fits = match state {
                    State::Placing => false,
                    State::Placed => stage == Some(S::Cleared) && held == Some((P::Authorised, total, 0)),
                    State::Shipped | State::ReturnRequested => {
                        stage == Some(S::Shipped) && held == Some((P::Captured, total, 0))
                    }
                    State::Returned => stage == Some(S::Shipped) && held == Some((P::Captured, total, returned)),
                    State::Cancelled | State::Rejected => {
                        matches!(stage, None | Some(S::Released))
                            && matches!(held, None | Some((P::Voided | P::Declined, ..)))
                    }
                };
                assert!(fits, "{case}: order {number} is {state:?}, its copies {stage:?}, its money {held:?}");
                known.insert(number.to_owned());
            }
        }
        assert!(others.reserved.keys().all(|order| known.contains(order)), "{case}: copies of an unknown order");
        assert!(others.paid.keys().all(|order| known.contains(order)), "{case}: money of an unknown order");
        for (order, (stage, lines)) in &others.reserved {
            if *stage != fulfilment::Stage::Released {
                lines.iter().for_each(|(sku, copies)| *there.entry(sku).or_default() += copies);
            }
            for (sku, copies) in others.returned.get(order).into_iter().flatten() {
                *there.entry(sku).or_default() -= copies;
            }
        }
        assert!(there.values().all(|copies| *copies == COPIES), "{case}: copies are lost or made: {there:?}");
    }

    pub fn on_hand(&self, sku: &str) -> u32 {
        self.others.borrow().on_hand[sku]
    }

    /// Places an order for these lines at today's prices.
    pub fn place(&self, key: &str, lines: &[(&str, u32)], card: &str) -> Result<Order, wit::Error> {
        orders::placing::place(key, &request(lines, card), self)
    }
}

pub fn lines(lines: &[(&str, u32)]) -> Vec<Line> {
    lines.iter().map(|(sku, copies)| Line { sku: (*sku).into(), copies: *copies }).collect()
}

pub fn address() -> Address {
    Address {
        name: "Ann Lee".into(),
        street: "1 High Street".into(),
        extra: String::new(),
        city: "Leeds".into(),
        postcode: "LS1 1AA".into(),
        country: "GB".into(),
    }
}

pub fn request(wanted: &[(&str, u32)], card: &str) -> Request {
    let price = |sku: &str| match sku {
        "A" => 1000,
        "B" => 2000,
        _ => 5000,
    };
    let sum: u64 = wanted.iter().map(|(sku, copies)| price(sku) * u64::from(*copies)).sum();
    Request {
        customer: "C-1".into(),
        lines: lines(wanted),
        address: address(),
        card: Card { number: card.into(), holder: "Ann Lee".into(), expiry: "12/99".into(), code: "123".into() },
        total: if sum < 7500 { sum + 395 } else { sum },
        from: "192.0.2.1".into(),
    }
}

fn album(sku: &str, price: u32) -> Album {
    Album {
        sku: sku.into(),
        artist: "Artist".into(),
        title: format!("Title {sku}"),
        year: 1999,
        genre: "Jazz".into(),
        label: "Label".into(),
        price: albums::Money { minor_units: price, currency: "GBP".into() },
        notes: String::new(),
        discontinued: false,
    }
}

impl Others {
    fn step(
        &mut self,
        order: &str,
        from: fulfilment::Stage,
        to: fulfilment::Stage,
        done: &[fulfilment::Stage],
    ) -> Result<(), fulfilment::Error> {
        match self.reserved.get_mut(order) {
            None => Err(fulfilment::Error::UnknownOrder(order.into())),
            Some((stage, _)) if *stage == from => {
                *stage = to;
                Ok(())
            }
            Some((stage, _)) if done.contains(stage) => Ok(()),
            Some((stage, _)) => Err(fulfilment::Error::Refused(format!("it is {stage:?}"))),
        }
    }

    fn payment(&self, order: &str) -> Payment {
        let paid = &self.paid[order];
        Payment {
            order: order.into(),
            stage: paid.stage,
            authorised: payments::Money { minor_units: paid.amount, currency: "GBP".into() },
            refunded: paid.refunded,
            card: "4242".into(),
        }
    }
}

impl Neighbours for World {
    fn albums(&self, skus: &[String]) -> Result<Vec<Album>, albums::Error> {
        self.ask("albums", albums::Error::Unavailable, |others| {
            Ok(skus.iter().filter_map(|sku| others.prices.get(sku).map(|price| album(sku, *price))).collect())
        })
    }

    fn reserve(&self, order: &str, lines: &[fulfilment::Line]) -> Result<(), fulfilment::Error> {
        self.ask("reserve", fulfilment::Error::Unavailable, |others| {
            match others.reserved.get(order) {
                Some((fulfilment::Stage::Released, _)) => return Err(fulfilment::Error::Refused("released".into())),
                Some(_) => return Ok(()),
                None => {}
            }
            let level = |sku: &str| others.on_hand.get(sku).copied().unwrap_or(0);
            let short: Vec<_> = lines
                .iter()
                .filter(|line| level(&line.sku) < line.copies)
                .map(|line| fulfilment::Shortage {
                    sku: line.sku.clone(),
                    wanted: line.copies,
                    on_hand: level(&line.sku),
                })
                .collect();
            if !short.is_empty() {
                return Err(fulfilment::Error::Short(short));
            }
            lines.iter().for_each(|line| *others.on_hand.get_mut(&line.sku).expect("a level") -= line.copies);
            let lines = lines.iter().map(|line| (line.sku.clone(), line.copies)).collect();
            others.reserved.insert(order.into(), (fulfilment::Stage::Reserved, lines));
            Ok(())
        })
    }

    fn release(&self, order: &str) -> Result<(), fulfilment::Error> {
        self.ask("release", fulfilment::Error::Unavailable, |others| {
            use fulfilment::Stage::{Cleared, Released, Reserved, Shipped};
            let (stage, lines) = others.reserved.entry(order.into()).or_insert((Released, vec![]));
            match stage {
                Shipped => return Err(fulfilment::Error::Refused("shipped".into())),
                Released => {}
                Reserved | Cleared => {
                    *stage = Released;
                    lines.iter().for_each(|(sku, copies)| *others.on_hand.get_mut(sku).expect("a level") += copies);
                }
            }
            Ok(())
        })
    }

    fn clear(&self, order: &str) -> Result<(), fulfilment::Error> {
        use fulfilment::Stage::{Cleared, Reserved, Shipped};
        self.ask("clear", fulfilment::Error::Unavailable, |others| {
            others.step(order, Reserved, Cleared, &[Cleared, Shipped])
        })
    }

    fn ship(&self, order: &str) -> Result<(), fulfilment::Error> {
        use fulfilment::Stage::{Cleared, Shipped};
        self.ask("ship", fulfilment::Error::Unavailable, |others| others.step(order, Cleared, Shipped, &[Shipped]))
    }

    fn take_back(&self, key: &str, order: &str, lines: &[fulfilment::Line]) -> Result<(), fulfilment::Error> {
        self.ask("take-back", fulfilment::Error::Unavailable, |others| {
            if others.keys.insert(key.into()) {
                let back: Vec<_> = lines.iter().map(|line| (line.sku.clone(), line.copies)).collect();
                back.iter().for_each(|(sku, copies)| *others.on_hand.get_mut(sku).expect("a level") += copies);
                others.returned.insert(order.into(), back);
            }
            Ok(())
        })
    }

    fn keep_card(&self, card: &payments::Card) -> Result<String, payments::Error> {
        self.ask("keep-card", payments::Error::Unavailable, |_| match card.number.as_str() {
            MISTYPED => {
                let problem = payments::FieldProblem { field: "number".into(), problem: "No such card.".into() };
                Err(payments::Error::Card(vec![problem]))
            }
            number => Ok(format!("token-{}", &number[number.len() - 4..])),
        })
    }

    fn authorise(&self, key: &str, sale: &Sale, token: &str) -> Result<Payment, payments::Error> {
        self.request_goes.get().then(|| store::placing::let_go(&sale.order, "192.0.2.1").expect("an order"));
        self.ask("authorise", payments::Error::Unavailable, |others| {
            let lines: u64 = sale.lines.iter().map(|line| u64::from(line.quantity) * u64::from(line.price)).sum();
            let amount = lines + u64::from(sale.shipping);
            if let Some(answer) = others.authorised.get(key) {
                return answer.clone().map(|()| others.payment(&sale.order));
            }
            if others.paid.contains_key(&sale.order) {
                return Err(payments::Error::Refused("it was voided".into()));
            }
            let (stage, answer) = match token {
                "token-4242" => (payments::Stage::Authorised, Ok(())),
                "token-0002" => (
                    payments::Stage::Declined,
                    Err(payments::Error::Declined("The bank refuses. Nothing was charged.".into())),
                ),
                "token-0119" => (payments::Stage::Unknown, Err(payments::Error::Unanswered)),
                other => return Err(payments::Error::Invalid(format!("token: {other}"))),
            };
            others.paid.insert(sale.order.clone(), Paid { stage, amount, refunded: 0 });
            others.authorised.insert(key.into(), answer.clone());
            answer.map(|()| others.payment(&sale.order))
        })
    }

    fn void(&self, _key: &str, order: &str) -> Result<(), payments::Error> {
        self.ask("void", payments::Error::Unavailable, |others| {
            let voided = Paid { stage: payments::Stage::Voided, amount: 0, refunded: 0 };
            let paid = others.paid.entry(order.into()).or_insert(voided);
            match paid.stage {
                payments::Stage::Captured => return Err(payments::Error::Refused("captured".into())),
                _ => paid.stage = payments::Stage::Voided,
            }
            Ok(())
        })
    }

    fn capture(&self, _key: &str, order: &str) -> Result<Payment, payments::Error> {
        self.ask("capture", payments::Error::Unavailable, |others| {
            let paid = others.paid.get_mut(order).ok_or(payments::Error::UnknownOrder(order.into()))?;
            match paid.stage {
                payments::Stage::Authorised | payments::Stage::Captured => paid.stage = payments::Stage::Captured,
                stage => return Err(payments::Error::Refused(format!("it is {stage:?}"))),
            }
            Ok(others.payment(order))
        })
    }

    fn refund(
        &self,
        key: &str,
        order: &str,
        amount: u64,
        _reason: &str,
        by: Option<&str>,
    ) -> Result<Payment, payments::Error> {
        self.ask("refund", payments::Error::Unavailable, |others| {
            let paid = others.paid.get_mut(order).ok_or(payments::Error::UnknownOrder(order.into()))?;
            if !others.keys.contains(key) {
                if paid.refunded + amount > paid.amount {
                    return Err(payments::Error::Refused("more than was captured".into()));
                }
                paid.refunded += amount;
                others.keys.insert(key.into());
                others.givers.push(by.map(String::from));
            }
            Ok(others.payment(order))
        })
    }

    fn payment(&self, order: &str) -> Result<Option<Payment>, payments::Error> {
        self.ask("payment", payments::Error::Unavailable, |others| {
            Ok(others.paid.contains_key(order).then(|| others.payment(order)))
        })
    }

    fn order_placed(&self, order: &PlacedOrder) -> Result<(), events::Error> {
        let mut others = self.others.borrow_mut();
        others.published.push(order.clone());
        if others.outbox_full { Err(events::Error::Unavailable("the outbox is full".into())) } else { Ok(()) }
    }

    fn in_two_phases<T>(&self, work: impl FnOnce() -> Result<T, wit::Error>) -> Result<T, wit::Error> {
        let before = self.others.borrow().clone();
        let done = two_phase::run(work);
        if done.is_err() {
            self.others.replace(before);
        }
        done
    }

    fn settle(&self, kind: &str, number: &str, _most: Duration) -> Result<sagas::Status, sagas::Error> {
        let status = sagas::get_status(kind, number)?;
        let runs = matches!(status.state, sagas::State::Running | sagas::State::Undoing);
        Ok(if runs { self.drive(kind, number) } else { status })
    }
}
