//! A system that is swapped again and again under load: what its clients see, how fast a bad version goes, what memory
//! does.

pub mod load;
pub mod versions;
