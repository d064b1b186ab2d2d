//! The `hypostyle` program.

fn main() {}
