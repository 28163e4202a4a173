//! Bytes of the books that change on the disk, while the shop is closed and while it serves: no wrong amount is served,
//! the file is named, and the rest of the shop serves on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use seam_tests::books::Books;
use seam_tests::fuzz::Random;
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use seam_tests::wait;

const PAGE: u64 = 4096;

/// Flips a bit in place: the file stays the one that the host has open.
fn flip(path: &Path, at: u64, random: &mut Random) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 1 << random.below(8);
    Ok(file.write_all_at(&byte, at)?)
}

/// That finance is out of service for this reason, and the others serve.
fn is_named(shop: &Shop, host: &Host) -> Result<String> {
    let said = wait::until(wait::TIMEOUT, || {
        let output = shop.run(&["contexts"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(if said.contains("finance.db` is damaged") { Ok(said) } else { Err(said) })
    })?;
    ensure!(said.contains("seam restore") || said.contains("restore a backup"), "{said}");
    ensure!(!said.contains("`orders`") && !said.contains("`catalog`"), "the others serve: {said}");
    assert_eq!(host.get("/")?.status, 200);
    assert_eq!(shop.host_of(host, "finance").get("/readyz")?.status, 503);
    Ok(said)
}

/// What the books say, if they say anything.
fn same_or_nothing(shop: &Shop, expect: &Books) {
    if let Ok(read) = Books::read(shop) {
        assert_eq!(&read, expect, "a wrong amount was served");
    }
}

fn with_an_order(encrypted: bool) -> Result<(Shop, Host, Books)> {
    let shop = if encrypted { Shop::new() } else { Shop::in_the_clear() }?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 20)?;
    Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?.buy(&sku, 1)?;
    let books = Books::read(&shop)?;
    Ok((shop, host, books))
}

#[test]
fn a_bit_of_the_books_that_flips_while_the_shop_is_closed_is_found() -> Result<()> {
    let (shop, host, expect) = with_an_order(false)?;
    ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
    let file = shop.store("finance");
    let whole = std::fs::read(&file)?;
    let mut random = Random::new(5);
    for _ in 0..6 {
        let at = random.below(whole.len() as u64);
        flip(&file, at, &mut random)?;
        let host = shop.up()?;
        same_or_nothing(&shop, &expect);
        // A start looks at pages for a short time alone; a backup reads all that is in service.
        shop.run_as(shop.host_name("finance"), &["backup"])?;
        let said = is_named(&shop, &host)?;
        assert!(said.contains("does not fit its seal"), "byte {at}: {said}");
        ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
        std::fs::write(&file, &whole)?;
    }
    let _host = shop.up()?;
    assert_eq!(Books::read(&shop)?, expect, "the control");
    Ok(())
}

#[test]
fn flipped_bits_under_a_host_that_serves_are_not_served() -> Result<()> {
    bits_flip_under_a_host(false, "does not fit its seal")?;
    bits_flip_under_a_host(true, "does not fit its encryption")
}

fn bits_flip_under_a_host(encrypted: bool, named: &str) -> Result<()> {
    let (shop, host, expect) = with_an_order(encrypted)?;
    ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
    let file = shop.store("finance");
    let whole = std::fs::read(&file)?;
    let mut random = Random::new(9);
    for round in 0..4_u64 {
        let host = shop.up()?;
        let pages = whole.len() as u64 / PAGE;
        // One page in four each time, each in one bit.
        for page in (0..pages).filter(|page| page % 4 == round) {
            flip(&file, page * PAGE + random.below(PAGE), &mut random)?;
        }
        for _ in 0..3 {
            same_or_nothing(&shop, &expect);
        }
        // A backup reads every page.
        ensure!(!shop.run_as(shop.host_name("finance"), &["backup"])?.status.success(), "no backup of it is made");
        let said = is_named(&shop, &host)?;
        assert!(said.contains(named), "{said}");
        ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
        // The way out that the message names, without the host's own backup.
        std::fs::write(&file, &whole)?;
        std::fs::remove_file(file.with_extension("db-wal")).ok();
        let accepted = shop.run(&["accept", "finance"])?;
        ensure!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    }
    Ok(())
}

#[test]
fn flipped_bits_of_the_log_under_a_host_that_serves_are_not_served() -> Result<()> {
    let (shop, host, expect) = with_an_order(false)?;
    let log = shop.store("finance").with_extension("db-wal");
    let frames = std::fs::metadata(&log)?.len() / (PAGE + 24);
    assert!(frames > 3, "{frames}");
    let mut random = Random::new(21);
    for frame in 0..frames {
        flip(&log, 32 + frame * (PAGE + 24) + 24 + random.below(PAGE), &mut random)?;
    }
    same_or_nothing(&shop, &expect);
    ensure!(!shop.run_as(shop.host_name("finance"), &["backup"])?.status.success(), "no backup of it is made");
    let said = is_named(&shop, &host)?;
    assert!(said.contains("write-ahead log"), "{said}");
    same_or_nothing(&shop, &expect);
    Ok(())
}
