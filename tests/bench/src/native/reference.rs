//! What the host gives to contexts beside each other: settings, the time, random bytes.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use orders::wit::Shipping;

/// The shop's shared data, as the manifest hands it out.
const REFERENCE: &str = include_str!("../../../../data/reference.toml");

pub struct Reference(HashMap<String, String>);

impl Reference {
    pub fn read() -> Result<Self> {
        let table: toml::Table = REFERENCE.parse().context("the shared data")?;
        let text = |(key, value): (String, toml::Value)| Some((format!("reference.{key}"), value.as_str()?.to_owned()));
        Ok(Self(table.into_iter().filter_map(text).collect()))
    }

    pub fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    pub fn countries(&self) -> Option<&str> {
        self.0.get("reference.countries").map(String::as_str)
    }

    /// What the post costs, as the bench's manifest says.
    pub fn post(&self) -> Shipping {
        Shipping { fee: 395, free_from: 7_500 }
    }
}

/// Seconds since 1970, UTC.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Random bytes, safe for secrets.
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // The kernel's generator neither fails nor waits once the machine is up.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok();
    bytes
}
