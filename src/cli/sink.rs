//! Where results go: standard output, or a file that appears when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::OperationId;

/// A stream of bytes with an end.
#[derive(Debug)]
pub enum Sink {
    /// Standard output.
    Stdout(BufWriter<io::Stdout>),
    /// A file under another name until it is complete.
    File(Partial),
}

/// A file that goes away again unless it is finished.
#[derive(Debug)]
pub struct Partial {
    writer: BufWriter<File>,
    hidden: PathBuf,
    wanted: PathBuf,
    finished: bool,
}

impl Sink {
    /// Standard output.
    pub fn stdout() -> Self {
        Self::Stdout(BufWriter::new(io::stdout()))
    }

    /// The file `wanted`, which takes its name at the end.
    ///
    /// # Errors
    ///
    /// `Usage` if there can be no such file.
    pub fn file(wanted: &Path, id: &OperationId) -> Result<Self> {
        let wrong = |why: io::Error| Error::usage("the file cannot be written").about("file", wanted.display()).because(why);
        let name = wanted.file_name().filter(|_| !wanted.is_dir());
        let name = name.ok_or_else(|| wrong(io::Error::from(io::ErrorKind::IsADirectory)))?;
        let hidden = wanted.with_file_name(format!(".{}.{id}.part", name.to_string_lossy()));
        let file = File::create_new(&hidden).map_err(wrong)?;
        Ok(Self::File(Partial { writer: BufWriter::new(file), hidden, wanted: wanted.to_path_buf(), finished: false }))
    }

    /// Whether this is standard output.
    pub const fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout(_))
    }

    /// Ends: what was written is complete.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it cannot be.
    pub fn finish(mut self) -> Result<()> {
        self.flush().or_else(gone).map_err(unwritten)?;
        if let Self::File(partial) = &mut self {
            partial.writer.get_ref().sync_all().map_err(unwritten)?;
            fs::rename(&partial.hidden, &partial.wanted).map_err(unwritten)?;
            partial.finished = true;
        }
        Ok(())
    }

    /// Writes `bytes`; says whether anybody still reads.
    ///
    /// # Errors
    ///
    /// `Unavailable` if they cannot be written. A reader that went away (`| head`) is no error.
    pub fn put(&mut self, bytes: &[u8]) -> Result<bool> {
        match self.write_all(bytes) {
            Ok(()) => Ok(true),
            Err(error) => gone(error).map(|()| false).map_err(unwritten),
        }
    }
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// What is said where a result cannot be written.
pub fn unwritten(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the result could not be written").because(error)
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(writer) => writer.write(bytes),
            Self::File(partial) => partial.writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.flush(),
            Self::File(partial) => partial.writer.flush(),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // One that cannot be removed is left: its name says what it is.
            let removed = fs::remove_file(&self.hidden);
            drop(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete_and_leaves_nothing_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("rows.csv");
        let names = || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        let id = OperationId("x".into());
        let mut sink = Sink::file(&wanted, &id).unwrap();
        assert!(sink.put(b"1").unwrap());
        assert!(!wanted.exists());
        drop(sink);
        assert!(names().is_empty());
        let mut sink = Sink::file(&wanted, &id).unwrap();
        sink.put(b"2").unwrap();
        sink.finish().unwrap();
        assert_eq!((fs::read(&wanted).unwrap(), names().len()), (b"2".to_vec(), 1));
        assert!(Sink::file(folder.path(), &id).is_err());
        assert!(Sink::file(&folder.path().join("none/x"), &id).is_err());
    }
}
