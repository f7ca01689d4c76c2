#![no_main]
otf_fuzz::target!("iceberg_manifest_list");
