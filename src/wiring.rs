//! The one place that names concrete parts: storage, engine, formats, catalogs, the clock, the process.
//!
//! Everything the rest of the code takes as an argument is made here.

pub mod neighbours;
pub mod open;
pub mod parts;
pub mod processes;
pub mod reference;
pub mod system;

pub use open::{Opened, open};
pub use system::System;
