//! One SQLite file per context: its writer, its readers, its schema.
//!
//! A statement runs inline on the thread that asks for it. Reads see a snapshot of the last commit, on connections that
//! only read. Writes take turns on one connection and share commits. However a caller ends, its transaction is rolled
//! back when it is dropped, and the connection is clean for the next one.
//!
//! Floors, each importing only those after it: `acceptances, accounts, migrate, promises, register -> examine -> moment
//! -> compare, copy, feed, follow, inbox, inspect, invariant, saga, schedules, timers, two_phase -> outbox, schema ->
//! database -> transaction -> writer, readers -> sealing, votes -> look -> open, host, health -> connection, full_text
//! -> tails -> log_file, mark, bounded -> confine, functions, program, redo, row_seals, sql, statistics, vfs -> bond ->
//! copies -> bell, callable, host_table, lane, rows, config, page_seals -> seal -> key, blocking, fault, oneshot,
//! damage -> error, clock, ids, ltx, private, term, text, visible -> limits`.
//! The crates above use, besides the store: names (`ids`), time (`clock`), waiting on a worker (`blocking`), text
//! that comes in by files (`text`), files for this user alone (`private`), text for a terminal (`visible`), pages
//! in the format of backups (`ltx`), faults for tests (`fault`).
//! Not here: which context owns which file, how statements arrive from a guest; nothing here knows WebAssembly.

pub mod blocking;
pub mod clock;
pub mod error;
pub mod fault;
pub mod ids;
pub mod limits;
pub mod ltx;
pub mod private;
pub mod text;
pub mod visible;

mod acceptances;
mod accounts;
mod bell;
mod bond;
mod bounded;
mod callable;
mod compare;
mod config;
mod confine;
mod connection;
mod copies;
mod copy;
mod damage;
mod database;
mod encrypting;
mod event_tables;
mod examine;
mod feed;
mod follow;
mod full_text;
mod functions;
mod handover;
mod health;
mod host;
mod host_table;
mod inbox;
mod inspect;
mod invariant;
mod key;
mod lane;
mod log_file;
mod look;
mod mark;
mod migrate;
mod moment;
mod oneshot;
mod open;
mod outbox;
mod owner;
mod page_seals;
mod program;
mod promises;
mod readers;
mod redo;
mod register;
mod row_seals;
mod rows;
mod saga;
mod schedules;
mod schema;
mod seal;
mod sealing;
mod sql;
mod statistics;
mod tables;
mod tails;
mod term;
mod timers;
mod transaction;
mod two_phase;
mod vfs;
mod votes;
mod writer;

#[cfg(test)]
mod tests;

pub use acceptances::Acceptance;
pub use accounts::{Account, Bounds, EventAside, Published, account, account_apart};
pub use bell::Listener;
pub use bond::Bond;
pub use compare::Difference;
pub use config::{Config, Settings, file_name};
pub use copies::Copies;
pub use copy::CopyError;
pub use database::Database;
pub use encrypting::encrypt_if_clear;
pub use error::{Error, chain};
pub use event_tables::{EventTables, SetAside};
pub use examine::{Author, Disagreement, Found, Range, Side, Terms, agree, disagreements, each_disagreement};
pub use feed::{Feed, FeedEntry, FeedPage, FeedRequest};
pub use follow::{Changes, FollowError, Follower};
pub use handover::{Held, NotHandedOver, commits_of, owner_of, take_over, take_over_copy};
pub use health::{Doubt, Trouble};
pub use host::{HostFile, HostFileError};
pub use inbox::{Source, WaitState, Waiting, WaitingCount};
pub use inspect::Misfit;
pub use invariant::{Invariant, InvariantError, InvariantKind};
pub use key::{KeyError, KeySource, VARIABLE_PREFIX as KEY_VARIABLE_PREFIX};
pub use log_file::path_of as log_of;
pub use mark::Mark;
pub use migrate::{
    MigrateError, MigrateOptions, Migrated, Migration, check_full_text, migrate, migrate_with, would_migrate,
};
pub use moment::{Snapshot, moment};
pub use open::OpenError;
pub use outbox::{Event, Kept, Kind, NewEvent, Span};
pub use owner::Owner;
pub use register::{Accepted, Adopted, Register, RegisterError};
pub use row_seals::{SealError, Verified};
pub use rows::{Rows, Value};
pub use saga::{
    Saga, SagaAction, SagaAttempt, SagaChange, SagaCount, SagaDefinition, SagaFilter, SagaOutcome, SagaState, SagaStep,
    SagaTask, SagaUndo,
};
pub use schedules::Progress;
pub use schema::schema_at;
pub use seal::{Seal, Sealed};
pub use sealing::seal_if_plain;
pub use statistics::Statistics;
pub use tables::Table;
pub use term::Term;
pub use transaction::Transaction;
pub use two_phase::{Decided, Decision, Voted, new_transaction_id};
pub use votes::{Forced, Vote, path_of as promise_of};
