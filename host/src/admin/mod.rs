//! The admin socket of a running host, over which `seam contexts`, `call`, `deploy`, `rollback`, `history`, `route`,
//! `record`, `compare`, `pretend`, `seed`, `backup`, `verify`, `events`, `sagas`, `transactions`, `reconcile` and
//! `audit` talk to it in HTTP and JSON.
//!
//! `GET /contexts`, `POST /call`, `POST /deploy`, `POST /rollback`, `GET /history`, `GET /routes`, `POST /route`,
//! `POST /record`, `POST /compare`, `GET /pretend`, `POST /pretend`, `POST /forecast`, `POST /seed`, `POST /backup`,
//! `POST /verify`, `GET /events`, `POST /events`, `POST /sagas`, `GET /transactions`, `POST /transactions`,
//! `POST /reconcile`, `POST /audit`.
//! Invariant: only users who may write to the data folder can connect. Every request and every response is bounded.
//! Not here: HTTP for everybody else (`http`).
//!
//! `client` and `server` share `protocol` and `status`. `server` owns the socket, `requests` responds.

pub mod client;
mod events;
mod pretend;
mod protocol;
mod reconcile;
mod record;
mod relocate;
mod requests;
mod sagas;
mod server;
mod status;

pub use protocol::{
    AuditRequest, BackupRequest, ByTime, CallRequest, CallResult, CompareRequest, DeployEvent, ErrorMessage,
    EventsRequest, ForecastRequest, PretendRequest, ReconcileRequest, RecordRequest, RecordedScenario,
    RecordingStarted, RelocateRequest, RouteRequest, SagasRequest, ScenarioHead, SeedEvent, TransactionsRequest,
    VerifyEvent,
};
pub use requests::State;
pub use server::{Error, Server};
pub use status::{CalleeStatus, ContextStatus, statuses};
