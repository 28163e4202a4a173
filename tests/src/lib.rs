//! What the whole-host tests share.
