//! What a host's shelf gets: the product's subscriber, on the outboxes of other hosts.
//!
//! Not here: how events are published (`host`).

use std::sync::Arc;
use std::time::Duration;

use seam_runtime::call::Failure;
use seam_runtime::remote::OutboxElsewhere;
use seam_runtime::run::{Handled, Undelivered};
use seam_runtime::settings::Subscription;
use seam_store::{Database, Event, Source, Value};

use super::baton::{MS, S};
use super::host::{INTERFACE, Running, name};
use super::world::{Without, World, shelf};
use crate::delivery::{Handler, Next, Note, Subscriber};

/// Writes each event into the table `seen`.
struct Hands {
    world: Arc<World>,
    running: Arc<Running>,
    publisher: String,
}

impl Handler for Hands {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        self.running.file(&shelf(self.running.host))
    }

    fn handle(&self, events: &[&Event], note: Note<'_>) -> Result<usize, Undelivered> {
        let file = self.database().map_err(Undelivered::Context)?;
        let soon = file.clock().now() + Duration::from_secs(5);
        let mut transaction = file.begin(file.clock().now()).map_err(Undelivered::Store)?;
        for event in events {
            let row = [Value::Text(self.publisher.as_str().into()), Value::Text(event.data.as_str().into())];
            let sql = "INSERT INTO seen (publisher, data) VALUES (?1, ?2)";
            transaction.execute(sql, &row, soon).map_err(Undelivered::Store)?;
        }
        let handled = vec![Handled::Done; events.len()];
        note(&mut transaction, &handled).map_err(Undelivered::Store)?;
        transaction.commit().map_err(Undelivered::Store)?;
        // The host may crash here: it is durable, and nothing was heard of it.
        self.world.baton.sleep(MS);
        Ok(handled.len())
    }
}

impl World {
    /// Starts the subscriptions of a host.
    pub fn subscribe(self: &Arc<Self>, host: usize) {
        for publisher in self.publishers(host) {
            let world = self.clone();
            self.baton.spawn(Some(host), move || world.deliver(host, &publisher));
        }
    }

    fn deliver(self: &Arc<Self>, host: usize, publisher: &str) {
        let running = self.running(host).unwrap();
        let carrier = running.carrier.clone();
        let clock = self.baton.clock(host).clock();
        let outbox = Arc::new(OutboxElsewhere::new(name(&shelf(host)), name(publisher), carrier, clock));
        let (interface, pause_max) = (INTERFACE.to_owned(), Duration::from_secs(60));
        let subscription = Subscription { interface: interface.clone(), batch: 20, tries: 3, pause_max };
        let handler = Hands { world: self.clone(), running, publisher: publisher.to_owned() };
        loop {
            let subscriber = Subscriber {
                handler: &handler,
                subscription: &subscription,
                source: Source { publisher: publisher.to_owned(), interface: interface.clone() },
                outbox: outbox.clone(),
                tally: Arc::default(),
            };
            match subscriber.step() {
                Next::Now => self.baton.sleep(5 * MS),
                Next::Later(_) => self.baton.sleep(S),
                Next::Away(_) if self.is_without(Without::Again) => return,
                Next::Away(_) => self.baton.sleep(500 * MS),
            }
        }
    }
}
