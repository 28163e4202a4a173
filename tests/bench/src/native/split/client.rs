//! Asks a service and waits: JSON by POST over a connection that stays open.
//!
//! Written by hand and leaner than a client library would be, so that the split is measured at its best. It knows what
//! the services here answer with and nothing else: a status line, headers, a body of a known length.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a service may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

pub struct Client {
    address: SocketAddr,
    open: Option<BufReader<TcpStream>>,
    /// Kept between requests.
    buffer: Vec<u8>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, open: None, buffer: Vec::new() }
    }

    pub fn ask<T: DeserializeOwned>(&mut self, function: &str, arguments: &impl Serialize) -> Result<T> {
        let answer = self.exchange(function, arguments);
        if answer.is_err() {
            // Whatever is left on it would be taken for the next answer.
            self.open = None;
        }
        let at = self.address;
        answer.with_context(|| format!("http://{at}/{function}"))?;
        Ok(serde_json::from_slice(&self.buffer)?)
    }

    /// Leaves the answer's body in the buffer.
    fn exchange(&mut self, function: &str, arguments: &impl Serialize) -> Result<()> {
        let body = serde_json::to_vec(arguments)?;
        self.buffer.clear();
        write!(
            self.buffer,
            "POST /{function} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )?;
        self.buffer.extend_from_slice(&body);
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_MAX))?;
                self.open.insert(BufReader::new(stream))
            }
        };
        open.get_mut().write_all(&self.buffer)?;

        let mut line = String::new();
        let (mut status, mut length) = (None, None);
        loop {
            line.clear();
            if open.read_line(&mut line)? == 0 {
                bail!("the connection is closed");
            }
            match (status, line.trim_end()) {
                (None, first) => {
                    status = Some(first.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok()).unwrap_or(0))
                }
                (Some(_), "") => break,
                (Some(_), header) => {
                    if let Some((name, value)) = header.split_once(':')
                        && name.eq_ignore_ascii_case("content-length")
                    {
                        length = Some(value.trim().parse::<usize>()?);
                    }
                }
            }
        }
        self.buffer.resize(length.context("an answer without a length")?, 0);
        open.read_exact(&mut self.buffer)?;
        match status {
            Some(200) => Ok(()),
            status => bail!("answers {}: {}", status.unwrap_or(0), String::from_utf8_lossy(&self.buffer)),
        }
    }
}
