//! Tests of the office.
