//! A system under torture: swapped again and again under load, killed at any moment. What its clients see, how fast a
//! bad version goes, what is there afterwards.

pub mod customers;
pub mod kills;
pub mod load;
pub mod machine;
pub mod versions;
pub mod witness;
