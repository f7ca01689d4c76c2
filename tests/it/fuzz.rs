//! A short run of the fuzz targets with mutations that are the same each time; `OTF_FUZZ_RUNS` makes it longer, `OTF_FUZZ_SEED` another.
//! The targets are plain functions of bytes, so that a fuzzer that looks for new code can call them too.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use targets::words::WORDS;
use targets::{all, seeds};

/// No input may take longer: what takes so long here takes hours on a larger file.
const LONGEST: Duration = Duration::from_secs(10);
/// Memory that no input may make the process hold, in a long run.
const MOST_MEMORY: u64 = 2 << 30;
/// Inputs are cut to this length.
const LARGEST: usize = 64 << 10;

/// A generator of numbers that is the same everywhere (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + 1 + random.below(16)).min(input.len());
        match random.below(10) {
            0 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
            1 => input
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = *random.pick(&[0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b'0', b'9', b'"'])),
            2 => drop(input.drain(at.min(end)..end)),
            3 => drop(input.splice(at..at, random.pick(WORDS).bytes())),
            4 => drop(input.splice(at.min(end)..end, random.pick(WORDS).bytes())),
            5 => {
                // A number grows: the digits from here on become others.
                let digits = input.iter().skip(at).position(u8::is_ascii_digit).map(|skip| at + skip);
                let Some(start) = digits else { continue };
                let end = input[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |length| start + length);
                let number = random.pick(&["0", "-1", "2147483648", "4294967295", "9223372036854775807", "99999999999999999999"]);
                drop(input.splice(start..end, number.bytes()));
            }
            6 => {
                let piece: Vec<u8> = input[at.min(end)..end].to_vec();
                drop(input.splice(at..at, piece.repeat(1 + random.below(40))));
            }
            7 => {
                let other = random.pick(seeds);
                let from = random.below(other.len());
                let piece = other[from..(from + random.below(64)).min(other.len())].to_vec();
                drop(input.splice(at.min(end)..end, piece));
            }
            8 => {
                let value = *random.pick(&[i64::MAX, i64::MIN, -1, 1 << 31, 1 << 20, 0xffff]);
                let bytes = if random.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
                input.iter_mut().skip(at).zip(bytes).for_each(|(byte, new)| *byte = new);
            }
            _ => input.truncate(at),
        }
    }
    input.truncate(LARGEST);
}

#[expect(clippy::disallowed_methods, reason = "long runs are asked for by the environment")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "a hang is found by the clock")]
fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (run(), start.elapsed())
}

fn run(name: &str) {
    let target = all().find(|(known, ..)| *known == name).unwrap();
    let seeds = seeds(target);
    let runs = asked("OTF_FUZZ_RUNS");
    let mut random = Random(asked("OTF_FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15));
    for number in 0..runs.unwrap_or(300) {
        let mut input = random.pick(&seeds).clone();
        if number > 0 {
            mutate(&mut input, &seeds, &mut random);
        }
        let (ended, taken) = timed(|| catch_unwind(|| target.1(&input)));
        let reason = match ended {
            Err(_) => "panics",
            // In a short run nothing is held to a time: the machine may be busy.
            Ok(()) if runs.is_some() && taken > LONGEST => "takes long",
            Ok(()) if runs.is_some() && number % 64 == 0 && otf::wiring::system::peak_memory_bytes() > MOST_MEMORY => "takes much memory",
            Ok(()) => continue,
        };
        let kept = std::env::temp_dir().join(format!("otf-fuzz-{name}-{number}"));
        std::fs::write(&kept, &input).unwrap();
        panic!("{name} {reason} at run {number}; the input is kept in {}", kept.display());
    }
}

/// The crate for cargo-fuzz has a binary for each of `known`, and one for any of them.
fn built_by_cargo_fuzz(known: &[&str]) {
    let known = [["any"].as_slice(), known].concat();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let names = manifest.split("[[bin]]\nname = \"").skip(1).map(|bin| bin.split('"').next().unwrap());
    assert_eq!(names.collect::<Vec<&str>>(), known);
    for name in &known {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")));
        let text = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert_eq!(text, format!("#![no_main]\notf_fuzz::target!(\"{name}\");\n"));
    }
    assert_eq!(std::fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), known.len());
}

macro_rules! runs {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            let run: Vec<&str> = vec![$(stringify!($name)),*];
            let known: Vec<&str> = all().map(|(name, ..)| *name).collect();
            assert_eq!(run, known);
            built_by_cargo_fuzz(&known);
        }
    };
}

runs! {
    delta_log delta_lines delta_schema delta_stats delta_path delta_partition_value delta_inline_vector delta_vector delta_hints
    delta_names delta_checkpoint delta_v2_checkpoint
    iceberg_metadata iceberg_metadata_gz iceberg_hint iceberg_properties iceberg_manifest_list iceberg_manifest iceberg_vector
    iceberg_name_mapping iceberg_positions_parquet iceberg_positions_orc iceberg_positions_avro
    iceberg_values_parquet iceberg_values_orc iceberg_values_avro
    data_parquet data_parquet_rewritten data_orc data_avro
    journal note inventory inventory_manifest inventory_parquet inventory_orc
    location reference filter query config options quantities times
}
