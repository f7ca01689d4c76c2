#![no_main]
otf_fuzz::target!("inventory_parquet");
