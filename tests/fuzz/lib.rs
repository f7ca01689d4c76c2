//! The fuzz targets for cargo-fuzz: `target!` makes one of a function in `targets.rs`.

#[path = "targets.rs"]
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::Path;
use std::process::abort;
use std::sync::OnceLock;

/// The most that may be asked for at once: what an input claims is no reason to set memory aside. A page of Parquet may claim as much as this,
/// and the library asks for it, untouched, before it unpacks the page.
const MOST_AT_ONCE: usize = 2 << 30;

/// The system's allocator, which ends the process where one piece is too large.
struct Bounded;

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        bounded(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        bounded(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        bounded(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

fn bounded(size: usize) {
    thread_local! {
        static TOLD: Cell<bool> = const { Cell::new(false) };
    }
    if size > MOST_AT_ONCE && !TOLD.replace(true) {
        eprintln!("{size} bytes were asked for at once\n{}", Backtrace::force_capture());
        abort();
    }
}

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

/// Prepares a run of target `name`; `any` is the one that `OTF_FUZZ_TARGET` names. With `OTF_FUZZ_START` a folder, writes the target's seeds below
/// `corpus` and a dictionary there, and ends.
pub fn start(name: &str) {
    let name = if name == "any" { std::env::var("OTF_FUZZ_TARGET").expect("OTF_FUZZ_TARGET") } else { name.to_string() };
    let target = targets::all().find(|target| target.0 == name).expect("a target of this name");
    if let Some(folder) = std::env::var_os("OTF_FUZZ_START") {
        plant(target, Path::new(&folder));
        std::process::exit(0);
    }
    TARGET.set(target.1).expect("one target a process");
    // Some decoders panic on damaged files and are caught by those who call them: only what reaches us is a failure, and only its frames are worth
    // the time and the memory that naming them takes.
    set_hook(Box::new(|panic| LAST.set(Some((panic.to_string(), Backtrace::capture())))));
}

fn plant(target: &targets::Target, folder: &Path) {
    for (number, seed) in targets::seeds(target).into_iter().enumerate() {
        std::fs::write(folder.join(format!("corpus/seed-{number}")), seed).expect("a seed");
    }
    let hexadecimal = |word: &str| word.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let words: String = targets::words::WORDS.iter().map(|word| format!("\"{}\"\n", hexadecimal(word))).collect();
    std::fs::write(folder.join("words.dict"), words).expect("a dictionary");
}

thread_local! {
    static LAST: Cell<Option<(String, Backtrace)>> = const { Cell::new(None) };
}

/// Runs the target once; a panic ends the process.
pub fn run(data: &[u8]) {
    let target = TARGET.get().expect("a target");
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        if let Some((panic, frames)) = LAST.take() {
            eprintln!("{panic}\n{frames}");
        }
        abort();
    }
}

/// The entry that libFuzzer calls, for the target of this name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(init: $crate::start($name), |data: &[u8]| $crate::run(data));
    };
}
