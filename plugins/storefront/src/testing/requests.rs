//! Requests as browsers send them, and the parts of responses that tests check.

use super::Shop;
use super::samples::TOKEN;
use crate::csrf;
use crate::handle;
use crate::href::Encoded;
use crate::seams::{Request, Response};

pub fn get(address: &str) -> Request {
    let (path, query) = match address.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (address, None),
    };
    Request { method: "GET".into(), path: path.into(), query, headers: Vec::new(), body: Vec::new() }
}

pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

pub fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("pages are UTF-8")
}

/// All values of a header.
pub fn headers<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    response.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}

/// The same request with these cookies.
pub fn with_cookies(mut request: Request, cookies: &str) -> Request {
    request.headers.push(("cookie".into(), cookies.into()));
    request
}

/// A request by Ann, who is signed in.
pub fn get_as_ann(address: &str) -> Request {
    with_cookies(get(address), &format!("session={TOKEN}"))
}

/// A form sent from a page of the shop, without any cookie.
pub fn post(address: &str, fields: &[(&str, &str)]) -> Request {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", Encoded(name), Encoded(value));
    let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
    let mut request = get(address);
    request.method = "POST".into();
    request.body = body.into_bytes();
    for (name, value) in [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")] {
        request.headers.push((name.into(), value.into()));
    }
    request
}

/// A form of the shop, sent by Ann.
pub fn post_as_ann(address: &str, fields: &[(&str, &str)]) -> Request {
    post_with(address, fields, &format!("session={TOKEN}"), TOKEN)
}

/// The cookie of a visitor who is not signed in.
pub const VISITOR: &str = "00112233445566778899aabbccddeeff";

/// A form of the shop, sent by a visitor who is not signed in.
pub fn post_as_visitor(address: &str, fields: &[(&str, &str)]) -> Request {
    post_with(address, fields, &format!("visitor={VISITOR}"), VISITOR)
}

/// A form with the token that belongs to `secret`.
pub fn post_with(address: &str, fields: &[(&str, &str)], cookies: &str, secret: &str) -> Request {
    let token = csrf::token(secret);
    let mut all = vec![(csrf::FIELD, token.as_str())];
    all.extend(fields);
    with_cookies(post(address, &all), cookies)
}

/// The page that a form which could not be done leads to, asked for with the draft that the answer sets. None if the
/// form was done, or if its answer is a page.
pub fn led_back(shop: &Shop, response: &Response, cookies: &str) -> Option<Response> {
    let draft = headers(response, "set-cookie").into_iter().find(|cookie| cookie.starts_with("draft="))?;
    let draft = draft.split(';').next().filter(|draft| *draft != "draft=")?;
    assert_eq!(response.status, 303);
    let to = header(response, "location").expect("a page");
    Some(handle(&with_cookies(get(to), &format!("{cookies}; {draft}")), shop))
}
