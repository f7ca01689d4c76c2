#![no_main]
otf_fuzz::target!("delta_stats");
