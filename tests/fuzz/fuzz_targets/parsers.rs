//! One libFuzzer binary for all targets: `OTF_FUZZ_TARGET` names the one to run.

#![no_main]

#[path = "../src/targets.rs"]
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fn target() -> fn(&[u8]) {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("OTF_FUZZ_TARGET").expect("OTF_FUZZ_TARGET names a target");
        targets::TARGETS.iter().find(|(known, ..)| *known == name).expect("there is such a target").1
    })
}

fuzz_target!(|data: &[u8]| target()(data));
