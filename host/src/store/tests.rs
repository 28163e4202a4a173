//! Claims about the store, each on a real file.
