//! otf keeps open tables small, fast, portable and lawful.
//!
//! An hourglass: [`formats`] turn bytes into the [`model`] and changes into commits; [`ops`] plan on the model (pure), run (I/O) and
//! report; [`commit`] is the state machine every change goes through; [`engine`] turns files into files; [`store`] is all storage;
//! [`wiring`] alone names concrete parts; [`cli`] says it. `docs/architecture.md` has the rules and the promises P1–P9.

pub mod catalog;
pub mod cli;
pub mod commit;
pub mod config;
mod decode;
pub mod engine;
pub mod error;
pub mod formats;
pub mod location;
pub mod model;
pub mod ops;
pub mod store;
pub mod units;
pub mod wiring;
