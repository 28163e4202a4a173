//! Where the contexts of the shop live in a test: the four placements in which its acceptance suite runs
//! (`just placements`), and what is not run in some of them.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Set to `finance`, `three` or `nats` to have every test of the shop run in that placement.
const VARIABLE: &str = "SEAM_TEST_PLACEMENT";

/// The host of everything that has no other one.
pub const SHOP: &str = "shop";
/// The host of finance, where it has one of its own.
pub const BOOKS: &str = "books";
/// That of the engines.
pub const ENGINES: &str = "engines";
/// Those of the copies of `COPIED`. Browsers go to the first one.
pub const WEB1: &str = "web1";
pub const WEB2: &str = "web2";

const COPIED: &[&str] = &["storefront", "recommendation"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placement {
    /// All contexts in one process.
    Together,
    /// Finance on a host of its own, over TLS.
    Finance,
    /// Finance and recommendation on hosts of their own: events cross hosts, too.
    Three,
    /// Two hosts with a copy each of the storefront and of recommendation, behind a NATS server; the others on a third
    /// host.
    Nats,
}

use Placement::{Finance, Nats, Three, Together};

pub const ALL: [Placement; 4] = [Together, Finance, Three, Nats];

/// Tests that are not run in these placements, each with its reason.
const LEFT_OUT: &[(&str, &[Placement], &str)] = &[
    (
        "without_the_order_desk_the_cart_is_kept_and_the_statement_is_there",
        &[Nats],
        "what stands in for orders publishes nothing, and a context that learns nothing from events has no copies",
    ),
    (
        "pages_are_the_same_over_slow_edges_and_wait_for_several_contexts_at_once",
        &[Finance, Three, Nats],
        "it pretends that calls cross hosts, and there they do",
    ),
];

impl Placement {
    /// That of this run.
    ///
    /// # Errors
    /// When the variable names none.
    pub fn of_environment() -> Result<Self> {
        Ok(match std::env::var(VARIABLE).ok().as_deref() {
            None | Some("together") => Together,
            Some("finance") => Finance,
            Some("three") => Three,
            Some("nats") => Nats,
            Some(other) => bail!("{VARIABLE} is `{other}`, and not `together`, `finance`, `three` or `nats`"),
        })
    }

    /// Its hosts, and which contexts live there or have a copy there; all others live on the first one. None: all
    /// contexts live in one process.
    pub fn hosts(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Together => &[],
            Finance => &[(SHOP, &[]), (BOOKS, &["finance"])],
            Three => &[(SHOP, &[]), (BOOKS, &["finance"]), (ENGINES, &["recommendation"])],
            Nats => &[(SHOP, &[]), (WEB1, COPIED), (WEB2, COPIED)],
        }
    }

    /// The host that browsers go to.
    pub fn front(self) -> &'static str {
        if self == Nats { WEB1 } else { SHOP }
    }

    /// The host on which this context, or the one of this variant, lives; of copies the first one.
    pub fn host_of(self, context: &str) -> &'static str {
        let main = context.split_once('@').map_or(context, |(main, _)| main);
        self.hosts().iter().find(|(_, contexts)| contexts.contains(&main)).map_or(SHOP, |(host, _)| *host)
    }

    /// Whether this host has the context, or a copy of it.
    pub fn lives_at(self, context: &str, host: &str) -> bool {
        let has = |(name, contexts): &(&str, &[&str])| *name == host && contexts.contains(&context);
        self.host_of(context) == host || self.hosts().iter().any(has)
    }

    /// The hosts that have copies of contexts.
    pub fn copies(self) -> impl Iterator<Item = &'static str> {
        self.hosts().iter().filter(move |_| self == Nats).map(|(host, _)| *host).filter(|host| *host != SHOP)
    }

    /// What the certificate of this host names: the shop's host may get each context.
    pub fn certified(self, host: &str) -> String {
        let own = self.hosts().iter().find(|(name, _)| *name == host).map(|(_, contexts)| contexts.join(","));
        match host {
            SHOP => "storefront,catalog,warehouse,customer,orders,recommendation,finance".to_owned(),
            _ => own.unwrap_or_default(),
        }
    }

    /// The manifest `text` with its hosts, on free ports; where `finance_at` says it, finance lives there. `broker` is
    /// the port of the NATS server.
    ///
    /// # Errors
    /// When the system has no free ports.
    pub fn write(self, text: &str, finance_at: Option<&str>, broker: u16) -> Result<String> {
        let mut text = text.to_owned();
        let mut tables = String::new();
        for (host, contexts) in self.hosts() {
            write!(tables, "\n[hosts.{host}]\naddress = \"127.0.0.1:{}\"\n", free_port()?)?;
            if *host != SHOP {
                write!(tables, "listen = [\"127.0.0.1:0\"]\ndata = \"{host}\"\n")?;
            }
            for context in *contexts {
                let at = match self {
                    Nats => format!("nats://127.0.0.1:{broker}"),
                    _ => finance_at.filter(|_| *context == "finance").unwrap_or(host).to_owned(),
                };
                let head = format!("[context.{context}]\n");
                if !text.contains(&format!("{head}at = ")) {
                    text = text.replace(&head, &format!("{head}at = \"{at}\"\n"));
                }
            }
            if self == Nats && !contexts.is_empty() {
                writeln!(tables, "copies = {contexts:?}")?;
            }
        }
        Ok(format!("{text}{tables}\n[placement]\ndefault = {SHOP:?}\n"))
    }
}

/// Whether this test is not run in the placement of this run. Its reason is printed.
///
/// # Errors
/// When the variable names no placement.
pub fn is_left_out(test: &str) -> Result<bool> {
    let now = Placement::of_environment()?;
    let found = LEFT_OUT.iter().find(|(name, placements, _)| *name == test && placements.contains(&now));
    if let Some((name, _, why)) = found {
        println!("left out in the placement {now:?}: {name}: {why}");
    }
    Ok(found.is_some())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The folder of this crate, as the broker's helper wants it.
pub fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The configuration that `seam cert broker` has written below the data folder `data`.
///
/// # Errors
/// When it has not.
pub fn broker_configuration(data: &std::path::Path) -> Result<PathBuf> {
    let file = data.join("certificates/broker/broker.conf");
    file.is_file().then_some(file).context("`seam cert broker` has written no configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_a_test_that_asks() {
        let files = std::fs::read_dir(tests().join("tests/shop")).unwrap();
        let text: String = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        for (name, placements, why) in LEFT_OUT {
            assert!(text.contains(&format!("fn {name}() -> Result<()> {{\n    if is_left_out(\"{name}\")?")), "{name}");
            assert!(!placements.contains(&Together) && !why.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_context_lives_on_the_host_that_names_it_and_all_others_on_the_first() {
        assert_eq!((Three.host_of("finance"), Three.host_of("recommendation@js")), (BOOKS, ENGINES));
        assert_eq!((Three.host_of("orders"), Nats.host_of("storefront"), Nats.front()), (SHOP, WEB1, WEB1));
        assert!(Nats.lives_at("recommendation", WEB2) && !Nats.lives_at("orders", WEB2));
        assert_eq!((Nats.copies().count(), Finance.copies().count()), (2, 0));
        let text = "[context.finance]\nstore = true\n";
        let written = Finance.write(text, None, 1).unwrap();
        assert!(written.contains("[context.finance]\nat = \"books\"\nstore = true\n"), "{written}");
        assert!(Finance.write(text, Some(SHOP), 1).unwrap().contains("at = \"shop\""));
    }
}
