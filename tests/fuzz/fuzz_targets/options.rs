#![no_main]
otf_fuzz::target!("options");
