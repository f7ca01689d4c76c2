//! What all benches over storage need: a folder, a store and a runtime.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use otf::formats::Table;
use otf::location::Location;
use otf::store::Store;
use otf::store::resolve::Stores;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A folder on the local disk that goes when it is dropped, unless it is to be kept.
pub(crate) struct Place {
    folder: PathBuf,
    _temp: Option<TempDir>,
    pub(crate) store: Store,
    pub(crate) runtime: Runtime,
}

impl Place {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self::at(temp.path().to_path_buf(), Some(temp))
    }

    /// The folder `name` below `OTF_BENCH_KEEP`, if that is set; it stays, and `lay_out` fills it once.
    pub(crate) fn kept(name: &str, lay_out: impl FnOnce(&Self)) -> Self {
        let Some(home) = std::env::var_os("OTF_BENCH_KEEP").map(PathBuf::from) else {
            let place = Self::new();
            lay_out(&place);
            return place;
        };
        let (place, done) = (Self::at(home.join(name), None), home.join(format!("{name}.done")));
        if !done.exists() {
            lay_out(&place);
            std::fs::write(done, "").unwrap();
        }
        place
    }

    fn at(folder: PathBuf, temp: Option<TempDir>) -> Self {
        let stores = Stores::new(&<_>::default(), &<_>::default()).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { folder, _temp: temp, store: Store::new(Arc::new(stores)), runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn location(&self, name: &str) -> Location {
        Location::parse(self.path(name).to_str().unwrap()).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Reads the newest version of `table` and counts its files, which must be `wanted`.
    pub(crate) fn count_files(&self, table: &dyn Table, wanted: usize) -> usize {
        let found = self.runtime.block_on(async {
            let version = table.load().await.unwrap();
            version.files(false).try_fold(0, |count, _| async move { Ok(count + 1) }).await.unwrap()
        });
        assert_eq!(found, wanted);
        found
    }
}

/// How many files the largest table has.
fn files() -> usize {
    std::env::var("OTF_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

/// How many files a table has whose times the largest one's are held against.
const FEW: usize = 10_000;

/// Tells how long a step takes over few files and over many, and how that grows: above 1 is worse than linear.
pub(crate) fn tell_growth(what: &str, took: impl Fn(usize) -> Duration) {
    let (few, many) = (took(FEW), took(files()));
    let slope = many.as_secs_f64() / few.as_secs_f64() / (files() as f64 / FEW as f64);
    println!("\n{what}: {FEW} files {few:.1?}, {} files {many:.1?}, slope {slope:.2}", files());
}

/// The median time of three runs.
pub(crate) fn median(run: impl Fn()) -> Duration {
    let mut times = [(); 3].map(|()| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.sort();
    times[1]
}
