#![no_main]
otf_fuzz::target!("iceberg_values_avro");
