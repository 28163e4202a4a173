//! The connections of this host with the other hosts of its system: who they are, and who may call whom.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use seam_runtime::codec;
use seam_runtime::interface_name::InterfaceName;
use seam_runtime::remote::{Ask, Asking, Carrier, Carrying, Head};
use seam_runtime::serve::{Inbound, Registry};
use seam_store::ids::{ContextName, interface_path};

use crate::homes::{Home, Homes};
use crate::manifest::{self, ContextSettings, Manifest, PlacedHost};
use crate::remote::{
    self, Broker, BrokerConfig, Client, ClientConfig, Credentials, Identity, Learned, Moves, Peer, Ready, Server,
    ServerConfig, System, TotalAsk, Totals,
};
use crate::verify;

/// The calls to other hosts, and what is needed to answer theirs.
pub(super) struct Peers {
    client: Arc<Client>,
    /// Of a system in which contexts have copies.
    broker: Option<Arc<Broker>>,
    /// The contexts of which this host has a copy.
    copies: Vec<ContextName>,
    credentials: Credentials,
    server: ServerConfig,
    metrics: remote::Metrics,
    grants: Grants,
}

impl Peers {
    /// Connects to the other hosts as their contexts are called. `None` when all contexts live in this process.
    ///
    /// # Errors
    /// When this host's certificate or key cannot be used.
    pub fn start(manifest: &Manifest, metrics: &prometheus::Registry) -> Result<Option<Self>, remote::Error> {
        let placement = &manifest.placement;
        let Some(this) = placement.this_host() else { return Ok(None) };
        let credentials = Credentials::load(&Identity::in_folder(this.name.as_str(), &this.certificates))?;
        let metrics = remote::Metrics::new(metrics)?;
        let system = System { codec: codec::VERSION, placement: placement.digest() };
        let others: Vec<&PlacedHost> = placement.hosts.iter().filter(|host| host.name != this.name).collect();
        let peers = others.iter().map(|host| peer(manifest, host)).collect();
        let learned = learned(manifest.host.data.clone());
        let client = Client::start(ClientConfig { system, peers, learned }, &credentials, &metrics)?;
        let names = others.iter().map(|host| host.name.to_string()).collect();
        let server = ServerConfig::new(this.bind, system, names);
        let broker = placement.broker.as_ref().map(|broker| {
            let config = BrokerConfig {
                address: broker.address.clone(),
                name: manifest::Broker::NAME.to_owned(),
                system,
                this: this.name.to_string(),
                hosts: placement.names().map(ToOwned::to_owned).collect(),
                contexts: placement.copied().cloned().collect(),
            };
            Arc::new(Broker::start(config, &credentials, &metrics))
        });
        let (copies, grants) = (this.copies.clone(), Grants::of(manifest));
        Ok(Some(Self { client: Arc::new(client), broker, copies, credentials, server, metrics, grants }))
    }

    pub fn carrier(&self) -> Arc<dyn Carrier> {
        match &self.broker {
            Some(broker) => Arc::new(Ways { client: self.client.clone(), broker: broker.clone() }),
            None => self.client.clone(),
        }
    }

    /// Answers calls for the copies of this host from now on, of each as soon as it can, until `stopped` is ready.
    /// `None`: this host has no copies.
    pub fn join(
        &self,
        registry: &Registry,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let copies = self.broker.as_ref().filter(|_| !self.copies.is_empty())?.copies();
        let answers = Arc::new(Inbound::new(registry.clone()));
        let registry = registry.clone();
        let ready: Arc<Ready> = Arc::new(move |context| registry.has_caught_up(context));
        let (contexts, grants) = (self.copies.clone(), Arc::new(self.grants.clone()));
        Some(Box::pin(copies.run(contexts, (answers, grants), ready, stopped)))
    }

    /// The amounts of contexts on other hosts.
    pub fn totals(&self) -> Arc<dyn Totals> {
        self.client.clone()
    }

    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Listens for the calls of other hosts, which are answered once the server runs.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn bind(&self, registry: &Registry, moves: Arc<dyn Moves>) -> Result<Server, remote::Error> {
        let answers = Arc::new(Inbound::new(registry.clone()));
        let grants = Grants { registry: Some(registry.clone()), ..self.grants.clone() };
        let totals = Arc::new(verify::Lender::new(registry.clone()));
        let (credentials, grants) = (self.credentials.clone(), Arc::new(grants));
        Server::bind(self.server.clone(), credentials, answers, grants, moves, totals, self.metrics.clone())
    }
}

/// Calls go to the host on which their context lives, or through the broker to one of its copies.
struct Ways {
    client: Arc<Client>,
    broker: Arc<Broker>,
}

impl Ways {
    fn to(&self, context: &ContextName) -> &dyn Carrier {
        if self.broker.carries(context) { &*self.broker } else { &*self.client }
    }
}

impl Carrier for Ways {
    fn carry(&self, head: Head, arguments: Bytes) -> Carrying {
        self.to(&head.context).carry(head, arguments)
    }

    fn is_down(&self, context: &ContextName) -> bool {
        self.to(context).is_down(context)
    }

    fn ask(&self, ask: Ask) -> Asking {
        self.to(&ask.publisher).ask(ask)
    }
}

fn peer(manifest: &Manifest, host: &PlacedHost) -> Peer {
    let home = |settings: &ContextSettings| manifest.placement.host_of(&settings.name).map(|home| &home.name);
    let lives_there = |settings: &&ContextSettings| home(settings) == Some(&host.name);
    let settings = manifest.entries().map(|context| &context.settings);
    let contexts = settings.filter(lives_there).map(|settings| (settings.name.clone(), settings.token)).collect();
    Peer { name: host.name.to_string(), address: host.address.clone(), contexts }
}

/// Notes where a context lives that has moved between two other hosts, so that the next start knows.
fn learned(data: PathBuf) -> Arc<Learned> {
    Arc::new(move |context, host, token| {
        let home = Home { host: host.to_owned(), token };
        let (data, context) = (data.clone(), context.clone());
        // It waits for the disk.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = Homes::change(&data, |homes| homes.set(&context, home)) {
                tracing::warn!(target: "move", %context, "the next start asks again: {}", seam_store::chain(&error));
            }
        });
    })
}

/// What the manifest lets each context and variant import, and whose events go to whom.
#[derive(Clone)]
struct Grants {
    contexts: BTreeMap<ContextName, Granted>,
    /// Totals that are reconciled, and who mends them.
    mends: Vec<(String, ContextName)>,
    /// Knows what components declare. `None`: no totals go to other hosts.
    registry: Option<Registry>,
}

/// Interfaces; those of events without their versions.
#[derive(Clone)]
struct Granted {
    imports: Vec<String>,
    publishes: Vec<String>,
    subscribes: Vec<String>,
    /// Who may take part in its transactions over several files.
    two_phase: Vec<ContextName>,
}

impl Grants {
    fn of(manifest: &Manifest) -> Self {
        let path = |interface: &str| interface_path(interface).to_owned();
        let granted = |context: &ContextSettings| Granted {
            imports: context.imports.clone(),
            publishes: context.publishes.iter().map(|each| path(&each.interface)).collect(),
            subscribes: context.subscribes.iter().map(|each| path(&each.interface)).collect(),
            two_phase: context.two_phase.clone(),
        };
        let contexts = manifest.contexts.iter().map(|context| &context.settings);
        let contexts = contexts.map(|context| (context.name.clone(), granted(context))).collect();
        let mends = manifest.reconciles.iter().filter_map(|one| Some((one.total.clone(), one.mend.clone()?)));
        Self { contexts, mends: mends.collect(), registry: None }
    }

    /// A main variant has two names.
    fn of_context(&self, context: &ContextName) -> Option<&Granted> {
        let main = || self.contexts.get(context.variant()?.0);
        self.contexts.get(context).or_else(main)
    }
}

impl remote::Allow for Grants {
    /// What an operator of another host asks for is refused: a context answers its callers alone.
    fn allows(&self, caller: Option<&ContextName>, _: &ContextName, interface: &InterfaceName) -> bool {
        let granted = caller.and_then(|caller| self.contexts.get(caller));
        granted.is_some_and(|granted| granted.imports.iter().any(|grant| interface.granted_by(grant)))
    }

    fn delivers(&self, subscriber: &ContextName, publisher: &ContextName, interface: &str) -> bool {
        let has = |interfaces: &[String]| interfaces.iter().any(|one| one == interface);
        let subscribes = self.of_context(subscriber).is_some_and(|granted| has(&granted.subscribes));
        subscribes && self.of_context(publisher).is_some_and(|granted| has(&granted.publishes))
    }

    fn takes_part(&self, participant: &ContextName, coordinator: &ContextName) -> bool {
        let name = participant.variant().map_or(participant.as_str(), |(main, _)| main);
        let granted = self.of_context(coordinator);
        granted.is_some_and(|granted| granted.two_phase.iter().any(|one| one.as_str() == name))
    }

    fn compares(&self, TotalAsk { side, total, .. }: &TotalAsk) -> bool {
        let mends = self.mends.iter().any(|(of, mends)| of == total && mends == side);
        let declares = |registry| verify::is_declared_by(registry, total, side);
        mends || self.registry.as_ref().is_some_and(declares)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::remote::Allow as _;

    #[test]
    fn a_context_answers_those_whose_imports_name_the_interface_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seam.toml");
        let text = "[context.orders]\ncomponent = \"a.wasm\"\nimports = [\"t:finance/payments@0.1.0\", \"t:stock/stock\"]\n\
                    [context.orders.variant.quick]\ncomponent = \"b.wasm\"\n\
                    [context.engine]\ncomponent = \"c.wasm\"\nimports = [\"t:stock/stock\"]\n\
                    [context.finance]\ncomponent = \"d.wasm\"\n";
        std::fs::write(&file, text).unwrap();
        let grants = Grants::of(&Manifest::load(&file).unwrap());
        let name = |text: &str| match text.split_once('@') {
            Some((context, variant)) => ContextName::new(context).unwrap().with_variant(variant).unwrap(),
            None => ContextName::new(text).unwrap(),
        };
        let check = |caller: Option<&str>, interface: &str, expect: bool| {
            let interface = InterfaceName::parse(interface).unwrap();
            let caller = caller.map(name);
            let allowed = grants.allows(caller.as_ref(), &name("finance"), &interface);
            assert_eq!(allowed, expect, "{caller:?} asks for {interface}");
        };
        check(Some("orders"), "t:finance/payments@0.1.0", true);
        check(Some("orders@quick"), "t:finance/payments@0.1.0", true);
        check(Some("orders"), "t:finance/payments@0.2.0", false);
        check(Some("orders"), "t:finance/books@0.1.0", false);
        check(Some("engine"), "t:finance/payments@0.1.0", false);
        check(Some("engine"), "t:stock/stock@0.3.0", true);
        check(Some("stranger"), "t:finance/payments@0.1.0", false);
        check(None, "t:finance/payments@0.1.0", false);
    }

    #[test]
    fn amounts_of_a_total_go_to_the_context_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seam.toml");
        let text = "[context.orders]\ncomponent = \"a.wasm\"\nstore = true\n[context.mail]\ncomponent = \"b.wasm\"\n\
                    [[reconcile]]\ntotal = \"held\"\nmend = \"orders\"\n[[reconcile]]\ntotal = \"taken\"";
        std::fs::write(&file, text).unwrap();
        let grants = Grants::of(&Manifest::load(&file).unwrap());
        for (side, total, expect) in [("orders", "held", true), ("mail", "held", false), ("orders", "taken", false)] {
            let (context, side) = (ContextName::new("finance").unwrap(), ContextName::new(side).unwrap());
            let ask = TotalAsk { context, total: total.to_owned(), side, remaining: std::time::Duration::ZERO };
            assert_eq!(grants.compares(&ask), expect, "{ask:?}");
        }
    }

    #[test]
    fn events_go_to_those_that_subscribe_to_them_and_come_from_those_that_publish_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seam.toml");
        let text = "[context.orders]\ncomponent = \"a.wasm\"\nstore = true\npublishes.\"t:orders/events@0.1.0\" = {}\n\
                    [context.mail]\ncomponent = \"b.wasm\"\nstore = true\nsubscribes.\"t:orders/events\" = {}\n\
                    [context.mail.variant.js]\ncomponent = \"c.wasm\"\n\
                    [context.desk]\ncomponent = \"d.wasm\"\nimports = [\"t:orders/events\"]\n";
        std::fs::write(&file, text).unwrap();
        let grants = Grants::of(&Manifest::load(&file).unwrap());
        let name = |text: &str| match text.split_once('@') {
            Some((context, variant)) => ContextName::new(context).unwrap().with_variant(variant).unwrap(),
            None => ContextName::new(text).unwrap(),
        };
        for (subscriber, publisher, interface, expect) in [
            ("mail", "orders", "t:orders/events", true),
            ("mail@js", "orders", "t:orders/events", true),
            ("mail", "orders", "t:orders/other", false),
            ("mail", "desk", "t:orders/events", false),
            ("desk", "orders", "t:orders/events", false),
            ("stranger", "orders", "t:orders/events", false),
        ] {
            let allowed = grants.delivers(&name(subscriber), &name(publisher), interface);
            assert_eq!(allowed, expect, "{subscriber} asks {publisher} for {interface}");
        }
    }
}
