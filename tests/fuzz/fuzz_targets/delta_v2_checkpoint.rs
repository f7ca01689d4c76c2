#![no_main]
otf_fuzz::target!("delta_v2_checkpoint");
