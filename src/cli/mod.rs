//! The `hypostyle` program.
