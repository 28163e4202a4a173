//! Why a request is not answered by what it asked for, and the status that each reason has: the only place where
//! failures become statuses.
//!
//! Invariant: the client gets the status, a sentence for it and the trace id. Reasons go to the log only.

use http::StatusCode;
use http::request::Parts;
use seam_runtime::call::{Failure, RefusalReason};
use seam_store::ids::Trace;

#[derive(Debug)]
pub enum RequestError {
    /// Not HTTP as this host accepts it; the connection closes after the response.
    Malformed(&'static str),
    BadRequest(&'static str),
    /// The address is for those who have a token.
    Unauthorized,
    /// The address is not for clients that ask from there, or without TLS.
    Forbidden,
    /// Too many wrong tokens; with the seconds to wait.
    TooManyAttempts(u32),
    NotFound,
    /// No mount serves the host that the request is for.
    Misdirected,
    /// With the methods that are allowed.
    MethodNotAllowed(&'static str),
    BodyTooLarge,
    BodyTooSlow,
    /// The client left, or reset the stream, before the end of its body.
    BodyCut,
    /// The requested range lies outside the file, whose length this is.
    RangeNotSatisfiable(u64),
    /// The call into the context failed.
    Call(Failure),
    /// The context's answer is not a valid HTTP response.
    InvalidResponse {
        context: String,
        reason: String,
    },
    /// The host's own fault.
    Internal(String),
    /// The same, as a panic in its code.
    Panicked(String),
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl RequestError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::BadRequest(_) | Self::BodyCut => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::InvalidResponse { .. } | Self::Internal(_) | Self::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Call(failure) => match failure {
                Failure::Trapped { .. } => StatusCode::INTERNAL_SERVER_ERROR,
                Failure::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
                Failure::Overloaded { .. } | Failure::Absent { .. } | Failure::Moved { .. } => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                Failure::Refused { reason: RefusalReason::Reentry, .. } => StatusCode::LOOP_DETECTED,
                Failure::Refused {
                    reason:
                        RefusalReason::TooDeep
                        | RefusalReason::Shadow
                        | RefusalReason::TransactionOpen
                        | RefusalReason::NotAPart,
                    ..
                } => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// What the client reads: about its request, never about the host.
    pub fn sentence(&self) -> &'static str {
        match self.status().as_u16() {
            400 => "The request could not be understood.",
            401 => "This address needs a token.",
            403 => "This address is not open to you.",
            404 => "There is nothing at this address.",
            405 => "This address does not accept this kind of request.",
            408 => "The request took too long to arrive.",
            413 => "The request is too large.",
            416 => "The file is shorter than the requested part.",
            421 => "The site of this name is not here.",
            429 => "Too many attempts. Please try again later.",
            503 => "This is unavailable at the moment. Please try again shortly.",
            504 => "This took too long. Please try again shortly.",
            _ => "Something went wrong on our side.",
        }
    }

    pub fn log(&self, parts: &Parts, trace: &Trace) {
        let (method, path) = (&parts.method, parts.uri.path());
        let id = format_args!("{:032x}", trace.trace_id);
        match self {
            // The callee has logged the reason. This line connects it with the request.
            Self::Call(failure) => {
                tracing::warn!(target: "http", trace = %id, %method, path, "request failed: {}", failure.for_caller());
            }
            Self::InvalidResponse { context, reason } => {
                tracing::error!(
                    target: "http", trace = %id, %method, path, context, reason, "cannot send the context's answer"
                );
            }
            Self::Internal(reason) | Self::Panicked(reason) => {
                tracing::error!(target: "http", trace = %id, %method, path, reason, "request failed");
            }
            Self::Malformed(reason) | Self::BadRequest(reason) => {
                tracing::debug!(target: "http", trace = %id, %method, path, reason, "request refused");
            }
            _ => {
                tracing::debug!(target: "http", trace = %id, %method, path, status = %self.status(), "request refused")
            }
        }
    }
}
