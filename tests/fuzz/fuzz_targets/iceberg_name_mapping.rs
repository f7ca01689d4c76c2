#![no_main]
otf_fuzz::target!("iceberg_name_mapping");
