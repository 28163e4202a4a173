//! Files of a folder: what is served, as what, and what is not.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::limits;

fn folder() -> (tempfile::TempDir, Assets) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("assets");
    fs::create_dir_all(root.join("css")).unwrap();
    fs::write(root.join("css/shop.css"), "body { color: red }\n".repeat(200)).unwrap();
    fs::write(root.join(".secret"), "x").unwrap();
    fs::write(temp.path().join("outside.txt"), "x").unwrap();
    std::os::unix::fs::symlink(temp.path().join("outside.txt"), root.join("link.txt")).unwrap();
    std::os::unix::fs::symlink("css/shop.css", root.join("inside.css")).unwrap();
    let assets = Assets::open(&root, &ContextName::new("shop").unwrap()).unwrap();
    (temp, assets)
}

fn get(assets: &Assets, name: &str, fields: &[(&str, &str)]) -> Result<Response<Body>, RequestError> {
    let mut request = http::Request::builder().uri("/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    assets.respond(&request.body(()).unwrap().into_parts().0, name)
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let (_temp, assets) = folder();
    for good in ["css/shop.css", "css%2fshop.css", "inside.css"] {
        assert_eq!(get(&assets, good, &[]).unwrap().status(), 200, "{good}");
    }
    for bad in [
        "../outside.txt",
        "css/../../outside.txt",
        "%2e%2e/outside.txt",
        "..%2foutside.txt",
        "/etc/passwd",
        "%2fetc/passwd",
        "css//shop.css",
        "css/./shop.css",
        "css",
        "",
        ".secret",
        "link.txt",
        "css/shop.css%00",
        "..\\outside.txt",
        "%",
        "%f",
        "%ff",
    ] {
        assert!(matches!(get(&assets, bad, &[]), Err(RequestError::NotFound)), "{bad}");
    }
}

#[test]
fn a_changed_file_is_read_again() {
    let (temp, assets) = folder();
    let tag = |assets| get(assets, "css/shop.css", &[]).unwrap().headers()[header::ETAG].clone();
    let (first, again) = (tag(&assets), tag(&assets));
    assert_eq!(first, again);
    fs::write(temp.path().join("assets/css/shop.css"), "body {}").unwrap();
    assert_ne!(tag(&assets), first);
}

/// Deploy tools that fix all times, and `cp -p`, make such files.
#[test]
fn a_changed_file_with_the_old_size_and_time_is_read_again() {
    let (temp, assets) = folder();
    let path = temp.path().join("assets/x.css");
    let put = |path: &Path, text: &str| {
        fs::write(path, text).unwrap();
        fs::File::options().append(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let check = |expect: &str, known: Option<&HeaderValue>| {
        let known = known.map(|tag| ("if-none-match", tag.to_str().unwrap()));
        let response = get(&assets, "x.css", known.as_slice()).unwrap();
        assert_eq!(response.status(), 200, "{expect}");
        let Body::Whole(bytes) = response.body() else { unreachable!("a static file is sent whole") };
        assert_eq!(bytes, expect);
        response.headers()[header::ETAG].clone()
    };
    put(&path, "a{color:red}");
    let red = check("a{color:red}", None);
    let other = temp.path().join("other");
    put(&other, "a{color:tan}");
    fs::rename(&other, &path).unwrap();
    let tan = check("a{color:tan}", Some(&red));
    put(&path, "a{color:sky}");
    check("a{color:sky}", Some(&tan));
}

#[test]
fn each_encoding_has_its_own_etag_and_any_of_them_yields_304() {
    let (_temp, assets) = folder();
    let plain = get(&assets, "css/shop.css", &[]).unwrap();
    let brotli = get(&assets, "css/shop.css", &[("accept-encoding", "gzip, br")]).unwrap();
    assert_eq!(brotli.headers()[header::CONTENT_ENCODING], "br");
    assert_eq!(brotli.headers()[header::VARY], "accept-encoding");
    assert_eq!(brotli.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
    assert_ne!(plain.headers()[header::ETAG], brotli.headers()[header::ETAG]);
    let tag = brotli.headers()[header::ETAG].to_str().unwrap();
    assert_eq!(get(&assets, "css/shop.css", &[("if-none-match", tag)]).unwrap().status(), 304);
}

#[test]
fn one_range_is_served_and_one_outside_the_file_is_refused() {
    let (_temp, assets) = folder();
    let check = |range: &str, status: u16, length: Option<&str>| {
        let response = get(&assets, "css/shop.css", &[("range", range), ("accept-encoding", "br")]).unwrap();
        assert_eq!(response.status().as_u16(), status, "{range}");
        let sent = response.headers().get(header::CONTENT_RANGE).map(|value| value.to_str().unwrap());
        assert_eq!(sent, length, "{range}");
    };
    check("bytes=0-3", 206, Some("bytes 0-3/4000"));
    check("bytes=3990-", 206, Some("bytes 3990-3999/4000"));
    check("bytes=-10", 206, Some("bytes 3990-3999/4000"));
    check("bytes=3990-9999", 206, Some("bytes 3990-3999/4000"));
    check("bytes=5-1", 200, None);
    check("bytes=0-1,3-4", 200, None);
    check("lines=1-2", 200, None);
    check("bytes=-9999", 206, Some("bytes 0-3999/4000"));
    assert!(matches!(
        get(&assets, "css/shop.css", &[("range", "bytes=4000-")]),
        Err(RequestError::RangeNotSatisfiable(4000))
    ));
}

#[test]
fn the_cache_stays_within_its_limit() {
    let (temp, assets) = folder();
    for number in 0..6 {
        let noise: Vec<u8> = (0..14 * 1024 * 1024).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        fs::write(temp.path().join(format!("assets/{number}.bin")), noise).unwrap();
        get(&assets, &format!("{number}.bin"), &[]).unwrap();
        assert!(assets.cache.lock().bytes <= limits::ASSET_CACHE_BYTES);
    }
    assert!(get(&assets, "0.bin", &[]).is_ok());
}

#[test]
fn a_range_is_served_only_if_the_client_has_the_same_file() {
    let (_temp, assets) = folder();
    let etag = get(&assets, "css/shop.css", &[]).unwrap().headers()[header::ETAG].to_str().unwrap().to_owned();
    for (condition, status) in [(etag.as_str(), 206), ("\"other\"", 200), (&format!("W/{etag}"), 200), ("rubbish", 200)]
    {
        let fields = [("range", "bytes=0-3"), ("if-range", condition)];
        assert_eq!(get(&assets, "css/shop.css", &fields).unwrap().status(), status, "{condition}");
    }
}
