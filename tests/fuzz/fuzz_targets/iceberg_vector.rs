#![no_main]
otf_fuzz::target!("iceberg_vector");
