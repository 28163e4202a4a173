//! What `seam cert` makes.

use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use super::Pki;
use crate::remote::Described;
use crate::remote::authority::{self, Error, Host};

fn host(name: &str, contexts: &[&str], names: &[&str]) -> Host {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Host { name: name.to_owned(), contexts: owned(contexts), names: owned(names), days: 10 }
}

#[test]
fn keys_are_private_and_nothing_is_overwritten_unless_that_is_asked_for() {
    let pki = Pki::new();
    let folder = pki.file("books");
    let books = host("books", &["finance"], &["books.example", "10.0.0.5", "::1"]);
    let written = authority::make_host(pki.folder(), &folder, &books, false).unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["certificate.pem", "key.pem", "authority.pem"]);
    for path in written.iter().chain([&pki.file("authority-key.pem")]) {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let key = std::fs::read(folder.join("key.pem")).unwrap();
    for made in [
        authority::make_host(pki.folder(), &folder, &books, false).map(drop),
        authority::make_authority(pki.folder(), 10, false).map(drop),
    ] {
        let error = made.unwrap_err();
        assert!(matches!(error, Error::Exists(_)) && error.remedy().contains("--replace"), "{error}");
    }
    assert_eq!(std::fs::read(folder.join("key.pem")).unwrap(), key);
    authority::make_host(pki.folder(), &folder, &books, true).unwrap();
    assert_ne!(std::fs::read(folder.join("key.pem")).unwrap(), key);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");

    let described = Described::read(&folder.join("certificate.pem"), SystemTime::now()).unwrap();
    let [Described::Certificate { host, contexts, names, is_authority, state, key, .. }] = described.as_slice() else {
        panic!("{described:?}")
    };
    assert_eq!(
        (host.as_deref(), contexts.as_slice(), *is_authority),
        (Some("books"), &["finance".to_owned()][..], false)
    );
    assert_eq!(names.as_slice(), ["books.example", "10.0.0.5", "::1"]);
    assert_eq!((*state, key.as_str()), ("valid", "elliptic curve, 256 bits"));
}

#[test]
fn a_new_certificate_is_valid_at_a_host_whose_clock_is_ten_minutes_behind() {
    let pki = Pki::new();
    let made = pki.file("books");
    authority::make_host(pki.folder(), &made, &host("books", &["finance"], &[]), false).unwrap();
    let behind = SystemTime::now() - std::time::Duration::from_secs(600);
    for file in [made.join("certificate.pem"), made.join("authority.pem")] {
        let described = Described::read(&file, behind).unwrap();
        assert!(matches!(described.as_slice(), [Described::Certificate { state: "valid", .. }]), "{described:?}");
    }
}

#[test]
fn what_cannot_be_made_is_refused_with_what_to_do() {
    let pki = Pki::new();
    let empty = tempfile::tempdir().unwrap();
    let make = |folder: &std::path::Path, host: Host| {
        let error = authority::make_host(folder, &pki.file("new"), &host, false).unwrap_err();
        assert!(!error.remedy().is_empty(), "{error}");
        error.to_string()
    };
    for (found, expect) in [
        (make(empty.path(), host("books", &[], &[])), "there is no authority in"),
        (make(pki.folder(), host("Books", &[], &[])), "`Books` is not the name of a host"),
        (make(pki.folder(), host("books", &["a/b"], &[])), "`a/b` is not the name of a context"),
        (make(pki.folder(), host("books", &[], &["a b"])), "`a b` is not the name of a machine"),
        (make(pki.folder(), Host { days: 0, ..host("books", &[], &[]) }), "1 to 36500 days, not for 0"),
    ] {
        assert!(found.contains(expect), "{found}");
    }
    assert!(!pki.file("new").exists(), "nothing was made");
    let other = Pki::new();
    let foreign = other.shop();
    let error = authority::revoke(pki.folder(), &foreign.certificate).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    let error = authority::revoke(pki.folder(), &pki.file("authority.pem")).unwrap_err();
    assert!(error.to_string().contains("is an authority"), "{error}");
    std::fs::copy(other.file("authority-key.pem"), pki.file("authority-key.pem")).unwrap();
    let found = make(pki.folder(), host("books", &[], &[]));
    assert!(found.contains("is not the key of the newest authority"), "{found}");
}

#[test]
fn a_list_of_revoked_certificates_grows_and_keeps_those_of_other_authorities() {
    let pki = Pki::new();
    let (first, second) = (pki.shop(), pki.books());
    let revoked = |identity: &crate::remote::Identity| authority::revoke(pki.folder(), &identity.certificate).unwrap();
    let (one, two) = (revoked(&first), revoked(&second));
    assert!(!one.was_revoked && !two.was_revoked && revoked(&first).was_revoked);
    let lists = || Described::read(&pki.file("revoked.pem"), SystemTime::now()).unwrap();
    let serials = |list: &Described| match list {
        Described::Revoked { serials, .. } => serials.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(lists().iter().map(serials).collect::<Vec<_>>(), [[one.serial.clone(), two.serial.clone()]]);
    authority::make_authority(pki.folder(), 100, true).unwrap();
    let third = revoked(&pki.host("office", &["mail"]));
    let found: Vec<_> = lists().iter().map(serials).collect();
    assert_eq!(found, [vec![third.serial], vec![one.serial, two.serial]]);
}
