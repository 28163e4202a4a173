//! The near end of a call, natively: `/bench/ask/{times}` calls a teller so many times, one after the other, and
//! answers the sum of the prices, as the benches' own context does.

use std::cell::RefCell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result};
use clap::Subcommand;
use hyper::Request;
use hyper::body::Incoming;

use super::grpc;
use super::server::{self, Answer, answer};
use super::split::client::Client;
use super::split::{self, Item};

/// How the teller is reached.
#[derive(Subcommand, Debug)]
pub enum Way {
    /// It is a function of this program.
    Function,
    /// By HTTP/1.1 with JSON, in plain text.
    Http { teller: SocketAddr },
    /// By gRPC over mutual TLS.
    Grpc { teller: SocketAddr, certificates: PathBuf },
}

pub fn run(way: Way) -> Result<()> {
    match way {
        Way::Function => server::serve(|| {
            |request| std::future::ready(answered(times(&request).map(|times| (1..=times).map(price).sum())))
        }),
        // A connection to the teller for each client, as between the services of the split.
        Way::Http { teller } => server::serve_threads(move || {
            let client = Rc::new(RefCell::new(Client::new(teller)));
            move |request| std::future::ready(answered(times(&request).and_then(|times| by_http(&client, times))))
        }),
        Way::Grpc { teller, certificates } => {
            let client = grpc::Client::new(teller, &certificates)?;
            server::serve(move || {
                let client = client.clone();
                move |request| {
                    let client = client.clone();
                    async move {
                        answered(match times(&request) {
                            Ok(times) => client.sum(times).await,
                            Err(error) => Err(error),
                        })
                    }
                }
            })
        }
    }
}

fn by_http(client: &RefCell<Client>, times: u64) -> Result<u64> {
    let mut client = client.borrow_mut();
    (1..=times).map(|id| Ok(u64::from(client.ask::<Item>(&id.to_string(), &())?.price))).sum()
}

/// What the compiler may not look into.
fn price(id: u64) -> u64 {
    u64::from(black_box(split::item(black_box(id))).price)
}

fn times(request: &Request<Incoming>) -> Result<u64> {
    let path = request.uri().path();
    let times = path.strip_prefix("/bench/ask/").with_context(|| format!("there is no {path}"))?;
    times.parse().with_context(|| format!("`{times}` is no number of calls"))
}

fn answered(sum: Result<u64>) -> Answer {
    let text = "text/plain; charset=utf-8";
    match sum {
        Ok(sum) => answer(200, text, format!("{sum}\n")),
        Err(error) => answer(503, text, format!("{error:#}\n")),
    }
}
