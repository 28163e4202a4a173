//! The whole shop over HTTP and in real browsers: its pages, its forms, its orders, and what is left of it without one
//! of its contexts.

mod apart;
mod away;
mod browser;
mod browsing;
mod buying;
mod copies;
mod cut_off;
mod events;
mod floods;
mod forms;
mod in_process;
mod lost;
mod office;
mod pages;
mod placed;
mod placements;
mod reconciling;
mod reconciling_apart;
mod relocated;
mod scenarios;
mod standing_by;
mod strangers;
mod tampered;
mod together;
mod twice;
mod verifying;
