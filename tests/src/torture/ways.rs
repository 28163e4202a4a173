//! The ways of a network that fails: one for each host and each peer that it connects to, so that either direction
//! between two of them can be cut alone.
//!
//! A way is a port on loopback that carries bytes to the peer's own; `machine.c` leads the connections of one host
//! there. What a cut holds back arrives when it ends, if its connection still exists, as with TCP over a network that
//! loses packets: nothing is refused, both sides wait. A way that resets ends its connections at once.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use parking_lot::{Condvar, Mutex};

/// Bytes that one direction carries at once.
const CHUNK_BYTES: usize = 64 << 10;

/// All ways, by the host that connects and its peer.
pub struct Ways(BTreeMap<(String, String), Way>);

struct Way {
    port: u16,
    /// Where the peer listens.
    peer: u16,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes to the peer, and from it, are held back.
    held: [bool; 2],
    is_over: bool,
    /// Both ends of what is connected, to end it.
    streams: Vec<TcpStream>,
}

impl Gate {
    /// Waits until bytes may pass in this direction. Whether they may; not once all is over.
    fn open(&self, direction: usize) -> bool {
        let mut state = self.state.lock();
        while state.held.get(direction) == Some(&true) && !state.is_over {
            self.changed.wait(&mut state);
        }
        !state.is_over
    }
}

impl Ways {
    /// Between all of `hosts`, and from each of them to all of `peers`. Each has a name and the port where it listens.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn new(hosts: &[(String, u16)], peers: &[(String, u16)]) -> Result<Self> {
        let mut ways = BTreeMap::new();
        for (host, _) in hosts {
            for (peer, port) in hosts.iter().chain(peers).filter(|(peer, _)| peer != host) {
                ways.insert((host.clone(), peer.clone()), Way::to(*port)?);
            }
        }
        Ok(Self(ways))
    }

    /// The variable by which `machine.c` leads the connections of a host over its ways.
    pub fn variable(&self, host: &str) -> (&'static str, String) {
        let own = self.0.iter().filter(|((from, _), _)| from == host);
        let pairs: Vec<String> = own.map(|(_, way)| format!("{}=127.0.0.1:{}", way.peer, way.port)).collect();
        ("SEAM_TEST_WAYS", pairs.join(","))
    }

    /// Holds back what goes from one to the other, in connections of either, or lets it go on.
    pub fn cut(&self, from: &str, to: &str, is_cut: bool) {
        for (one, other, direction) in [(from, to, 0), (to, from, 1)] {
            if let Some(way) = self.0.get(&(one.to_owned(), other.to_owned())) {
                if let Some(held) = way.gate.state.lock().held.get_mut(direction) {
                    *held = is_cut;
                }
                way.gate.changed.notify_all();
            }
        }
    }

    /// The same in both directions.
    pub fn cut_both(&self, one: &str, other: &str, is_cut: bool) {
        self.cut(one, other, is_cut);
        self.cut(other, one, is_cut);
    }

    /// Ends the connections between two of them.
    pub fn reset(&self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            if let Some(way) = self.0.get(&(from.to_owned(), to.to_owned())) {
                way.gate.state.lock().streams.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
            }
        }
    }

    /// Nothing is held back any more.
    pub fn heal(&self) {
        for way in self.0.values() {
            way.gate.state.lock().held = [false; 2];
            way.gate.changed.notify_all();
        }
    }
}

impl Way {
    fn to(peer: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr().context("the port of a way")?.port();
        let gate = Arc::<Gate>::default();
        let shared = gate.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if shared.state.lock().is_over {
                    return;
                }
                let gate = shared.clone();
                thread::spawn(move || carry(&near, peer, &gate));
            }
        });
        Ok(Self { port, peer, gate })
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.is_over = true;
        state.streams.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        drop(state);
        self.gate.changed.notify_all();
        // It wakes the thread that accepts.
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).ok();
    }
}

/// Connects to the peer once that is possible, and carries bytes until one side ends.
fn carry(near: &TcpStream, peer: u16, gate: &Arc<Gate>) {
    // Its greeting has to get there, and the answer back.
    if !(gate.open(0) && gate.open(1)) {
        return;
    }
    let Ok(far) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], peer))) else { return };
    let nodelay = [near, &far].iter().all(|stream| stream.set_nodelay(true).is_ok());
    let (Ok(near_2), Ok(far_2)) = (near.try_clone(), far.try_clone()) else { return };
    let (Ok(near_3), Ok(far_3)) = (near.try_clone(), far.try_clone()) else { return };
    if !nodelay {
        return;
    }
    {
        let mut state = gate.state.lock();
        // Those that have ended are of no use any more.
        state.streams.retain(|stream| stream.peer_addr().is_ok());
        state.streams.extend([near_3, far_3]);
    }
    let back = gate.clone();
    thread::spawn(move || forward(far_2, near_2, &back, 1));
    if let Ok(near) = near.try_clone() {
        forward(near, far, gate, 0);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, gate: &Gate, direction: usize) {
    let mut bytes = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let chunk = bytes.get(..length).unwrap_or_default();
        if !gate.open(direction) || to.write_all(chunk).is_err() {
            break;
        }
    }
    // The end of a connection is held back as its bytes are.
    gate.open(direction);
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Sends a word each way over a connection; which of them arrived.
    fn arrives(near: &mut TcpStream, far: &mut TcpStream, word: u8) -> [bool; 2] {
        near.write_all(&[word]).unwrap();
        far.write_all(&[word]).unwrap();
        [far, near].map(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut got = [0];
            stream.read_exact(&mut got).is_ok_and(|()| got == [word])
        })
    }

    #[test]
    fn a_cut_holds_one_direction_back_and_what_it_held_arrives_after_it() {
        let peer = TcpListener::bind("127.0.0.1:0").unwrap();
        let hosts = [("a".to_owned(), 1), ("b".to_owned(), peer.local_addr().unwrap().port())];
        let ways = Ways::new(&hosts, &[]).unwrap();
        let port = ways.0[&("a".to_owned(), "b".to_owned())].port;
        let mut near = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut far = peer.accept().unwrap().0;
        assert_eq!(arrives(&mut near, &mut far, 1), [true, true]);
        ways.cut("a", "b", true);
        assert_eq!(arrives(&mut near, &mut far, 2), [false, true]);
        ways.heal();
        let mut held = [0];
        far.read_exact(&mut held).unwrap();
        assert_eq!(held, [2]);
        // What goes from `b` to `a` in a connection of `a`.
        ways.cut("b", "a", true);
        assert_eq!(arrives(&mut near, &mut far, 3), [true, false]);
        ways.reset("a", "b");
        assert!(near.read(&mut held).is_ok_and(|length| length == 0) || near.read(&mut held).is_err());
    }
}
