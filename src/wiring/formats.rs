//! The formats, engine and storage of this build, by name.
