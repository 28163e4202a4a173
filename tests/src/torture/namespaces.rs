//! A network of the kernel's own, where it lets a test have one: a namespace for each host, and this process between
//! them as their router. What is cut is dropped, packet by packet: a connection that is being made gets no answer, and
//! one that exists goes on after the cut, if both sides have waited.
//!
//! The process must be in a namespace of its own already (`enter`), so nothing of the machine's network is touched, and
//! all of it is gone with its processes.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::wait;

/// Says that the process is in a network of its own.
const INSIDE: &str = "SEAM_TEST_NETWORK";
/// The process that keeps a namespace ends by itself, if this one cannot end it.
const KEPT_S: &str = "3600";
/// Cuts come before the main table, and after that of the router's own addresses.
const PREFERENCE: &str = "50";

/// The namespaces of hosts, by their names.
pub struct Namespaces(BTreeMap<String, Namespace>);

struct Namespace {
    keeper: Child,
    /// Its address is `10.213.N.2`, and the router's to it `10.213.N.1`.
    number: u8,
}

/// Where this test runs.
pub enum Where {
    /// In a network of its own.
    Inside,
    /// It ran there, as a process of its own.
    Done,
    /// The kernel gives this user none.
    NotPermitted,
}

/// Runs the test `name` once more in a network of its own, if that is possible and it is not in one.
///
/// # Errors
/// When the test fails there.
pub fn enter(name: &str) -> Result<Where> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Where::Inside);
    }
    let unshare = |more: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net"]).args(more).stdin(Stdio::null());
        command
    };
    // All that it takes, in small.
    let trial = "ip link set lo up && ip link add link0 type veth peer name link1 \
                 && echo 1 > /proc/sys/net/ipv4/ip_forward \
                 && ip rule add pref 50 from 10.213.0.1 to 10.213.0.2 blackhole && unshare --net nsenter --version";
    let tried = unshare(&["sh", "-c", trial]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        return Ok(Where::NotPermitted);
    }
    let test = std::env::current_exe()?;
    let test = test.to_str().context("a path that is text")?;
    let status = unshare(&[test, name, "--exact", "--nocapture"]).env(INSIDE, "1").status()?;
    ensure!(status.success(), "in a network of its own: {status}");
    Ok(Where::Done)
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("ip")?;
    ensure!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Namespaces {
    /// One for each of these hosts, and this process between them.
    ///
    /// # Errors
    /// When the kernel does not allow it.
    pub fn new(hosts: &[&str]) -> Result<Self> {
        ip("link set lo up")?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        let mut all = Self(BTreeMap::new());
        let own = fs::read_link("/proc/self/ns/net")?;
        for (number, host) in (1..).zip(hosts) {
            let mut command = Command::new("unshare");
            command.args(["--net", "sleep", KEPT_S]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let keeper = command.spawn()?;
            let pid = keeper.id();
            all.0.insert((*host).to_owned(), Namespace { keeper, number });
            wait::until(Duration::from_secs(10), || {
                let its = fs::read_link(format!("/proc/{pid}/ns/net"))?;
                Ok(if its == own { Err("it has no namespace".to_owned()) } else { Ok(()) })
            })?;
            ip(&format!("link add h{number} type veth peer name eth0 netns {pid}"))?;
            ip(&format!("address add 10.213.{number}.1/24 dev h{number}"))?;
            ip(&format!("link set h{number} up"))?;
            for inside in [
                "link set lo up".to_owned(),
                format!("address add 10.213.{number}.2/24 dev eth0"),
                "link set eth0 up".to_owned(),
                format!("route add default via 10.213.{number}.1"),
            ] {
                let pid = pid.to_string();
                let mut command = Command::new("nsenter");
                command.args(["-t", &pid, "-n", "ip"]).args(inside.split(' '));
                let output = command.output().context("nsenter")?;
                ensure!(output.status.success(), "ip {inside}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        Ok(all)
    }

    fn get(&self, host: &str) -> Result<&Namespace> {
        self.0.get(host).with_context(|| format!("no namespace for `{host}`"))
    }

    /// The address of a host.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn address(&self, host: &str) -> Result<String> {
        Ok(format!("10.213.{}.2", self.get(host)?.number))
    }

    /// What a command in the namespace of this host starts with.
    ///
    /// # Errors
    /// As `address`.
    pub fn prefix(&self, host: &str) -> Result<Vec<String>> {
        let pid = self.get(host)?.keeper.id().to_string();
        Ok(["nsenter", "-t", &pid, "-n"].map(str::to_owned).to_vec())
    }

    /// Drops what goes from one to the other, or lets it pass again.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn cut(&self, from: &str, to: &str, is_cut: bool) -> Result<()> {
        let (from, to) = (self.address(from)?, self.address(to)?);
        let verb = if is_cut { "add" } else { "del" };
        ip(&format!("rule {verb} pref {PREFERENCE} from {from} to {to} blackhole"))
    }

    /// Lets everything pass again.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn heal(&self) -> Result<()> {
        // One for each direction between two hosts.
        for _ in 0..=self.0.len() * self.0.len() {
            if ip(&format!("rule del pref {PREFERENCE}")).is_err() {
                return Ok(());
            }
        }
        bail!("what was cut is not healed")
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in self.0.values_mut() {
            namespace.keeper.kill().ok();
            namespace.keeper.wait().ok();
        }
    }
}
