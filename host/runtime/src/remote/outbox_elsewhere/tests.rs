//! An outbox on another host that answers when the test says so, and with what the test says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;

use bytes::Bytes;
use seam_store::clock::ManualClock;
use tokio::sync::oneshot;

use super::*;
use crate::remote::{Carrying, Head};

const INTERFACE: &str = "acme:orders/events";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Answers questions at once with what the test has laid ready, and has those wait that wait for an event.
#[derive(Default)]
struct Host {
    answers: Mutex<VecDeque<Asked>>,
    asked: Mutex<Vec<Question>>,
    /// Those that wait, with the way to answer them.
    waiting: Mutex<Option<mpsc::Sender<oneshot::Sender<Asked>>>>,
    given_up: Arc<AtomicUsize>,
}

struct GivenUp(Arc<AtomicUsize>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Carrier for Host {
    fn carry(&self, _: Head, _: Bytes) -> Carrying {
        unreachable!("no call is made")
    }

    fn is_down(&self, _: &ContextName) -> bool {
        false
    }

    fn ask(&self, ask: Ask) -> Asking {
        let waits = matches!(&ask.question, Question::Page { wait, .. } if !wait.is_zero());
        self.asked.lock().push(ask.question);
        if !waits {
            let answer = self.answers.lock().pop_front().unwrap();
            return Box::pin(std::future::ready(answer));
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().as_ref().unwrap().send(answer).unwrap();
        let given_up = GivenUp(self.given_up.clone());
        Box::pin(async move {
            let answer = answered.await;
            drop(given_up);
            answer.unwrap_or_else(|_| Err(gone()))
        })
    }
}

fn gone() -> Failure {
    Failure::Absent { context: "orders".into(), reason: "its host `shop` cannot be reached".into() }
}

fn event(position: u64) -> Event {
    Event {
        position,
        interface: format!("{INTERFACE}@0.1.0"),
        function: "placed".into(),
        subject: None,
        time_ms: 1,
        trace: String::new(),
        data: "[]".into(),
    }
}

fn page(positions: &[u64]) -> Asked {
    let events = positions.iter().copied().map(event).collect();
    Ok(Reply::Page(Page { events, kept: Kept { first: 1, last: 9, is_cut: false } }))
}

struct World {
    host: Arc<Host>,
    outbox: OutboxElsewhere,
    time: ManualClock,
    /// The questions that come to wait at the other host.
    waiting: mpsc::Receiver<oneshot::Sender<Asked>>,
    /// A message for each time that the subscriber is woken.
    woken: mpsc::Receiver<()>,
    _listener: Arc<Listener>,
}

impl World {
    fn new() -> Self {
        let (host, time) = (Arc::new(Host::default()), Clock::manual());
        let (send, waiting) = mpsc::channel();
        *host.waiting.lock() = Some(send);
        let name = |name: &str| ContextName::new(name).unwrap();
        let outbox = OutboxElsewhere::new(name("mail"), name("orders"), host.clone(), time.clock());
        let (wake, woken) = mpsc::channel();
        let wake = Mutex::new(wake);
        let listener: Arc<Listener> = Arc::new(move || wake.lock().send(()).unwrap());
        outbox.listen(&listener);
        Self { host, outbox, time, waiting, woken, _listener: listener }
    }

    fn lay_ready(&self, answers: impl IntoIterator<Item = Asked>) {
        self.host.answers.lock().extend(answers);
    }

    /// The positions after `after`, as the subscriber gets them.
    fn read(&self, after: u64) -> Result<Vec<u64>, String> {
        let events = self.outbox.published(INTERFACE, after, 10).map_err(|unread| unread.to_string())?;
        Ok(events.iter().map(|event| event.position).collect())
    }

    fn asked(&self) -> usize {
        self.host.asked.lock().len()
    }
}

#[test]
fn while_nothing_is_published_one_question_waits_and_no_other_is_asked() {
    let world = World::new();
    world.lay_ready([page(&[3, 4]), page(&[])]);
    assert_eq!(world.read(0), Ok(vec![3, 4]));
    assert_eq!(world.read(4), Ok(vec![]));
    let answer = world.waiting.recv_timeout(TIMEOUT).unwrap();
    for _ in 0..100 {
        assert_eq!(world.read(4), Ok(vec![]));
    }
    assert_eq!(world.asked(), 3);
    assert_eq!(world.outbox.kept_then().unwrap().last, 9);
    assert_eq!(world.outbox.span(INTERFACE, 4, u64::MAX, 10).unwrap(), Span::default(), "this is known unasked");
    // Its answer is there at once for the subscriber, which is woken.
    answer.send(page(&[5])).unwrap();
    world.woken.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(world.read(4), Ok(vec![5]));
    assert_eq!(world.asked(), 3);
    let taken = |question: &Question| match question {
        Question::Page { taken, after, .. } => *taken == Some(*after),
        _ => false,
    };
    assert!(world.host.asked.lock().iter().all(taken), "each says how far the subscriber is");
}

#[test]
fn a_wait_without_an_event_is_followed_by_another_one() {
    let world = World::new();
    world.lay_ready([page(&[])]);
    assert_eq!(world.read(4), Ok(vec![]));
    world.waiting.recv_timeout(TIMEOUT).unwrap().send(page(&[])).unwrap();
    world.waiting.recv_timeout(TIMEOUT).unwrap().send(page(&[5])).unwrap();
    world.woken.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(world.read(4), Ok(vec![5]));
}

#[test]
fn after_a_failure_nothing_is_asked_for_a_pause_that_grows() {
    let world = World::new();
    let why = gone().to_string();
    world.lay_ready([Err(gone()), Err(gone()), page(&[5])]);
    assert_eq!(world.read(4), Err(why.clone()));
    assert_eq!(world.read(4), Err(why.clone()));
    assert_eq!(world.asked(), 1);
    world.time.advance(Duration::from_millis(limits::OUTBOX_PAUSE_MS));
    assert_eq!(world.read(4), Err(why.clone()));
    world.time.advance(Duration::from_millis(limits::OUTBOX_PAUSE_MS));
    assert_eq!(world.read(4), Err(why));
    assert_eq!(world.asked(), 2);
    world.time.advance(Duration::from_millis(limits::OUTBOX_PAUSE_MS));
    assert_eq!(world.read(4), Ok(vec![5]));
}

#[test]
fn an_operator_is_answered_during_the_pause_after_a_failure_which_ends_it() {
    let world = World::new();
    let bounds = Bounds { last: 4, ..Bounds::default() };
    world.lay_ready([Err(gone()), Ok(Reply::Bounds(bounds)), page(&[1])]);
    assert!(world.read(0).is_err());
    assert!(world.read(0).is_err(), "it is not asked again yet");
    assert_eq!(world.outbox.bounds(INTERFACE, 0).unwrap(), bounds);
    assert_eq!((world.read(0), world.asked()), (Ok(vec![1]), 3));
}

#[test]
fn a_host_that_is_lost_while_a_question_waits_is_asked_again() {
    let world = World::new();
    world.lay_ready([page(&[])]);
    assert_eq!(world.read(4), Ok(vec![]));
    world.waiting.recv_timeout(TIMEOUT).unwrap().send(Err(gone())).unwrap();
    world.lay_ready([page(&[5])]);
    let until = Instant::now() + TIMEOUT;
    while world.read(4) != Ok(vec![5]) {
        assert!(Instant::now() < until, "it is never asked again");
        std::thread::yield_now();
    }
    assert_eq!(world.asked(), 3);
}

#[test]
fn a_subscriber_that_is_set_back_gives_up_what_waits_and_what_was_read() {
    let world = World::new();
    world.lay_ready([page(&[]), page(&[2, 3]), page(&[])]);
    assert_eq!(world.read(4), Ok(vec![]));
    let _answer = world.waiting.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(world.read(1), Ok(vec![2, 3]));
    let until = Instant::now() + TIMEOUT;
    while world.host.given_up.load(SeqCst) == 0 {
        assert!(Instant::now() < until, "the question still waits");
        std::thread::yield_now();
    }
    assert_eq!(world.read(4), Ok(vec![]));
    world.waiting.recv_timeout(TIMEOUT).unwrap().send(page(&[5])).unwrap();
    world.woken.recv_timeout(TIMEOUT).unwrap();
    world.lay_ready([page(&[2, 3])]);
    assert_eq!(world.read(1), Ok(vec![2, 3]), "not what was read after another position");
}

#[test]
fn an_event_is_shown_without_saying_how_far_the_subscriber_is() {
    let world = World::new();
    world.lay_ready([page(&[7]), page(&[8]), page(&[])]);
    assert_eq!(world.outbox.published_at(INTERFACE, 7).unwrap(), Some(event(7)));
    assert_eq!(world.outbox.published_at(INTERFACE, 7).unwrap(), None, "the next one is another one");
    assert_eq!(world.outbox.kept(INTERFACE).unwrap().first, 1);
    assert!(world.host.asked.lock().iter().all(|question| matches!(question, Question::Page { taken: None, .. })));
    world.lay_ready([page(&[])]);
    world.outbox.hold(INTERFACE, 5).unwrap();
    let last = world.host.asked.lock().last().cloned();
    assert!(matches!(last, Some(Question::Page { taken: Some(5), .. })), "{last:?}");
}
