#![no_main]
otf_fuzz::target!("data_orc");
