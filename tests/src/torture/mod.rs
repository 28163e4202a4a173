//! A system under torture: swapped again and again under load, killed at any moment. What its clients see, how fast a
//! bad version goes, what is there afterwards.

pub mod answers;
pub mod between;
pub mod buyers;
pub mod customers;
pub mod kills;
pub mod load;
pub mod machine;
pub mod namespaces;
pub mod network;
pub mod versions;
pub mod ways;
pub mod witness;
