//! Where results go: standard output, or a file that appears when it is complete. What is no file but a device or a pipe is written to as it is: it
//! must not be replaced.

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
    /// A device or a pipe.
    Stream(BufWriter<File>),
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

    /// The file `wanted` of `folder`, which takes its name at the end. A link is followed, a file that is replaced hands its permissions on, a device
    /// or pipe is written to, and `-` is standard output.
    ///
    /// # Errors
    ///
    /// `Usage` if there can be no such file.
    pub fn file(folder: &Path, wanted: &Path, id: &OperationId) -> Result<Self> {
        if wanted == Path::new("-") {
            return Ok(Self::stdout());
        }
        let wanted = folder.join(wanted);
        let wrong = |why: io::Error| Error::usage("the file cannot be written").about("file", wanted.display()).because(why);
        let there = match fs::metadata(&wanted) {
            Ok(there) if there.is_dir() => return Err(wrong(io::Error::from(io::ErrorKind::IsADirectory))),
            Ok(there) if !there.is_file() => {
                let stream = File::options().write(true).open(&wanted).map_err(wrong)?;
                return Ok(Self::Stream(BufWriter::new(stream)));
            }
            Ok(there) => Some(there.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(wrong(error)),
        };
        // A link that leads nowhere yet is not followed: nobody knows what would be made.
        let wanted = if there.is_some() { fs::canonicalize(&wanted).map_err(wrong)? } else { wanted.clone() };
        let is_link = there.is_none() && fs::symlink_metadata(&wanted).is_ok();
        let name = wanted.file_name().filter(|_| !is_link);
        let name = name.ok_or_else(|| wrong(io::Error::from(io::ErrorKind::NotFound)))?;
        let hidden = wanted.with_file_name(format!(".{}.{id}.part", name.to_string_lossy()));
        let file = File::create_new(&hidden).map_err(wrong)?;
        let partial = Partial { writer: BufWriter::new(file), hidden, wanted: wanted.clone(), finished: false };
        if let Some(permissions) = there {
            partial.writer.get_ref().set_permissions(permissions).map_err(wrong)?;
        }
        Ok(Self::File(partial))
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
            Self::Stream(writer) => writer.write(bytes),
            Self::File(partial) => partial.writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.flush(),
            Self::Stream(writer) => writer.flush(),
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
        let mut sink = Sink::file(folder.path(), &wanted, &id).unwrap();
        assert!(sink.put(b"1").unwrap());
        assert!(!wanted.exists());
        drop(sink);
        assert!(names().is_empty());
        let mut sink = Sink::file(folder.path(), &wanted, &id).unwrap();
        sink.put(b"2").unwrap();
        sink.finish().unwrap();
        assert_eq!((fs::read(&wanted).unwrap(), names().len()), (b"2".to_vec(), 1));
        assert!(Sink::file(folder.path(), folder.path(), &id).is_err());
        assert!(Sink::file(folder.path(), Path::new("none/x"), &id).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn devices_pipes_links_and_permissions_stay_what_they_are() {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str| {
            let mut sink = Sink::file(folder.path(), Path::new(name), &OperationId("x".into())).unwrap();
            sink.put(b"rows").unwrap();
            sink.finish().unwrap();
        };
        // As a link: the test must not be able to harm the device itself.
        symlink("/dev/null", at("null")).unwrap();
        write("null");
        assert!(fs::symlink_metadata(at("null")).unwrap().is_symlink());
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        fs::write(at("secret"), "old").unwrap();
        fs::set_permissions(at("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("secret", at("link")).unwrap();
        write("link");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(fs::read(at("secret")).unwrap(), b"rows");
        assert_eq!(fs::metadata(at("secret")).unwrap().permissions().mode() & 0o777, 0o600);
        symlink("nowhere", at("broken")).unwrap();
        assert!(Sink::file(folder.path(), Path::new("broken"), &OperationId("x".into())).is_err());
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = at("pipe");
            move || fs::read(pipe).unwrap()
        });
        write("pipe");
        assert_eq!(reader.join().unwrap(), b"rows");
        assert!(Sink::file(folder.path(), Path::new("-"), &OperationId("x".into())).unwrap().is_stdout());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }
}
