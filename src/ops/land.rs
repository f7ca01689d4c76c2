//! land
