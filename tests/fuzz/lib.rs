//! The fuzz targets for cargo-fuzz: `target!` makes one of a function in `targets.rs`.

#[path = "targets.rs"]
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::Path;
use std::process::abort;

/// The most that may be asked for at once: what an input claims is no reason to set memory aside.
const MOST_AT_ONCE: usize = 512 << 20;

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
        eprintln!("{size} bytes were asked for at once\n{}", std::backtrace::Backtrace::force_capture());
        abort();
    }
}

/// Prepares a run. With `OTF_FUZZ_SEEDS` a folder, writes the seeds of target `name` and the dictionary there, and ends.
pub fn start(name: &str) {
    if let Some(folder) = std::env::var_os("OTF_FUZZ_SEEDS") {
        let (folder, target) = (Path::new(&folder), targets::all().find(|target| target.0 == name).unwrap());
        for (number, seed) in targets::seeds(target).into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
        std::process::exit(0);
    }
    // Some decoders panic on damaged files and are caught by those who call them: only what reaches us is a failure.
    set_hook(Box::new(|panic| {
        LAST.set(Some(format!("{panic}\n{}", std::backtrace::Backtrace::capture())));
    }));
}

thread_local! {
    static LAST: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs target `name` once; a panic ends the process.
pub fn run(name: &str, data: &[u8]) {
    thread_local! {
        static TARGET: Cell<Option<fn(&[u8])>> = const { Cell::new(None) };
    }
    let target = TARGET.get().unwrap_or_else(|| targets::all().find(|target| target.0 == name).unwrap().1);
    TARGET.set(Some(target));
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        eprintln!("{}", LAST.take().unwrap_or_default());
        abort();
    }
}

/// The entry that libFuzzer calls, for the target of this name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(init: $crate::start($name), |data: &[u8]| $crate::run($name, data));
    };
}
