//! Seam: a host for modular monoliths.
