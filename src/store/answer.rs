//! What the errors of object stores mean for the reader.

use std::io::ErrorKind;

use crate::error::{Error, Kind};
use crate::location::Location;

/// What an object store's error means for the reader.
pub fn storage_error(error: object_store::Error, location: &Location) -> Error {
    use object_store::Error as E;
    let base = match &error {
        E::NotFound { source, .. } if source.to_string().contains("NoSuchBucket") => {
            Error::not_found("no such bucket").hint("check the bucket's name, the region and the endpoint")
        }
        E::NotFound { .. } => Error::not_found("no such file"),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            Error::refused("storage denied access").hint("check the credentials and the permissions of this place; nothing was changed")
        }
        E::InvalidPath { .. } => Error::usage("storage cannot hold such a name"),
        E::NotSupported { .. } | E::NotImplemented { .. } => Error::unsupported("storage cannot do this"),
        E::UnknownConfigurationKey { key, .. } => Error::usage("unknown storage option").about("option", key),
        E::Generic { source, .. } => unexpected(source.as_ref()),
        _ => Error::unavailable(UNEXPECTED),
    };
    base.about("place", location).because(error)
}

const UNEXPECTED: &str = "storage did not answer as expected";

fn unexpected(source: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    match source.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Error::unavailable("no space left on storage")
            .hint("make room (or raise the quota) and run the command again; what was half written has been removed"),
        Some(ErrorKind::UnexpectedEof) => Error::corrupt("file is shorter than its metadata says"),
        _ => Error::new(Kind::Unavailable, UNEXPECTED),
    }
}
