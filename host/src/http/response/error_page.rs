//! The page that a client gets when its request fails.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use seam_store::ids::Trace;

use super::uncached::uncached;
use crate::http::body::Body;
use crate::http::request_error::RequestError;

/// Logs the reason and renders the page: as HTML for clients that prefer it (browsers name `text/html`), as
/// `application/problem+json` (RFC 9457) for those that prefer JSON, and as plain text for all others (`*/*`, curl).
pub fn error_page(error: RequestError, parts: &Parts, trace: &Trace) -> Response<Body> {
    error.log(parts, trace);
    let status = error.status();
    let (kind, text) = match preferred(&parts.headers) {
        Form::Json => ("application/problem+json", json(status, error.sentence(), trace)),
        Form::Html => ("text/html; charset=utf-8", html(status, error.sentence(), trace)),
        Form::Plain => ("text/plain; charset=utf-8", plain(status, error.sentence(), trace)),
    };
    let mut response = uncached(status, kind, text);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    match error {
        RequestError::MethodNotAllowed(allowed) => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        RequestError::Unauthorized => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        RequestError::TooManyAttempts(seconds) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        RequestError::RangeNotSatisfiable(length) => {
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
                headers.insert(header::CONTENT_RANGE, value);
            }
        }
        // The rest of the body may still be arriving: what follows cannot be read as a request.
        RequestError::Malformed(_) | RequestError::BodyTooLarge | RequestError::BodyTooSlow
            if parts.version < http::Version::HTTP_2 =>
        {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ if status == StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Json,
    Plain,
}

/// The form that `Accept` names with the greatest weight; of equal ones, HTML first. Ranges with a `*` name none.
fn preferred(headers: &HeaderMap) -> Form {
    let fields = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut best, mut form) = (0.0, Form::Plain);
    for range in fields.flat_map(|field| field.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let named = match kind.as_str() {
            "text/html" | "application/xhtml+xml" => Form::Html,
            "application/json" => Form::Json,
            "text/plain" => Form::Plain,
            kind if kind.ends_with("+json") => Form::Json,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0));
        if weight > best || (weight == best && weight > 0.0 && named == Form::Html) {
            (best, form) = (weight, named);
        }
    }
    form
}

fn plain(status: StatusCode, sentence: &str, trace: &Trace) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    format!("{} {title}\n{sentence}\ntrace: {:032x}\n", status.as_u16(), trace.trace_id)
}

fn json(status: StatusCode, sentence: &str, trace: &Trace) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    format!(
        "{{\"status\":{},\"title\":\"{title}\",\"detail\":\"{sentence}\",\"trace\":\"{:032x}\"}}\n",
        status.as_u16(),
        trace.trace_id
    )
}

fn html(status: StatusCode, sentence: &str, trace: &Trace) -> String {
    let (code, title) = (status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    let id = trace.trace_id;
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{code} {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1.05rem/1.6 system-ui, sans-serif; }}
main {{ max-width: 32rem; padding: 2rem; }}
.code {{ margin: 0; font-size: 4.5rem; line-height: 1; font-weight: 200; letter-spacing: -.03em; }}
h1 {{ margin: .75rem 0 .25rem; font-size: 1.3rem; font-weight: 600; }}
p {{ margin: .25rem 0; }}
.trace {{ margin-top: 2rem; font-size: .8rem; opacity: .65; }}
code {{ user-select: all; }}
</style>
</head>
<body>
<main>
<p class="code">{code}</p>
<h1>{title}</h1>
<p>{sentence}</p>
<p class="trace">If this keeps happening, send us this number: <code>{id:032x}</code></p>
</main>
</body>
</html>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_goes_only_to_clients_that_prefer_it() {
        let check = |accept: &'static str, expect| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(preferred(&headers), expect, "{accept}");
        };
        assert_eq!(preferred(&HeaderMap::new()), Form::Plain);
        check("*/*", Form::Plain);
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Html);
        check("application/json", Form::Json);
        check("application/problem+json, */*", Form::Json);
        check("application/json, text/plain, */*", Form::Json);
        check("application/json;q=0.5, text/html", Form::Html);
        check("application/json, text/html;q=0.5", Form::Json);
        check("application/json, text/html", Form::Html);
        check("text/html;q=0, */*", Form::Plain);
        check("image/png", Form::Plain);
    }
}
