//! mod

pub mod filter;
