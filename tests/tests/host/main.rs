//! The real binary on systems of small components: its command line, deploys, rollbacks, variants, and guests that
//! attack it.

mod admin;
mod ahead;
mod behind_nginx;
mod by_time;
mod checking;
mod cli;
mod damage;
mod deliveries;
mod deploying;
mod events;
mod feeds;
mod following;
mod hostile;
mod in_doubt;
mod languages;
mod long_calls;
mod mistakes;
mod mistakes_made;
mod one_moment;
mod operating_events;
mod operating_sagas;
mod origins;
mod partial;
mod private;
mod quarantine;
mod rollback;
mod sagas;
mod seeding;
mod stores;
mod turning_bad;
mod two_phase;
mod variant_deploys;
mod variants;
mod verifying;
