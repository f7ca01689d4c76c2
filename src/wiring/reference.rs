//! What people write for a table: a place or a name.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::location::Location;

/// A table reference, read but not yet followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The table's root.
    Place(Location),
    /// One metadata file: that exact Iceberg state, read-only.
    Metadata(Location),
    /// A table in a catalog of the configuration.
    Name {
        /// The catalog.
        catalog: String,
        /// The namespace, one part a level; not empty.
        namespace: Vec<String>,
        /// The table.
        table: String,
    },
}

impl Reference {
    /// Reads `text`; relative paths lie below `here`. The first part of a dotted name must be one of `catalogs`: everything else is a path.
    ///
    /// # Errors
    ///
    /// `Usage` for an empty or impossible reference, `Unsupported` for kinds of references this version does not follow.
    pub fn read(text: &str, here: &Location, catalogs: &BTreeSet<String>) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(
                Error::usage("the table reference is empty").hint("name a path, an object-store location or catalog.namespace.table")
            );
        }
        if text.starts_with("hive://") || text.starts_with("thrift://") {
            return Err(Error::unsupported("Hive metastore tables are not in this version")
                .about("table", text)
                .hint("name the table's location instead, or a catalog of type sql or path"));
        }
        if let Some(name) = in_catalog(text, catalogs) {
            return name;
        }
        let place = Location::parse_below(text, here)?;
        Ok(if is_metadata_file(place.name()) { Self::Metadata(place) } else { Self::Place(place) })
    }
}

/// The name, where `text` starts with a known catalog. Paths (`./prod.db.t`) never do.
fn in_catalog(text: &str, catalogs: &BTreeSet<String>) -> Option<Result<Reference>> {
    let (catalog, rest) = text.split_once('.')?;
    if !catalogs.contains(catalog) || text.contains('/') {
        return None;
    }
    let parts: Vec<String> = rest.split('.').map(str::to_string).collect();
    let wrong = || Error::usage("a table's name is catalog.namespace.table").about("table", text);
    Some(match parts.split_last() {
        Some((table, namespace)) if !namespace.is_empty() && parts.iter().all(|part| !part.is_empty()) => {
            Ok(Reference::Name { catalog: catalog.to_string(), namespace: namespace.to_vec(), table: table.clone() })
        }
        _ => Err(wrong()),
    })
}

/// The catalog that `text` may have meant, where it is shaped as a name and none of `catalogs` is called so.
pub fn unknown_catalog<'a>(text: &'a str, catalogs: &BTreeSet<String>) -> Option<&'a str> {
    let parts: Vec<&str> = text.split('.').collect();
    let is_name = parts.len() > 2 && !text.contains('/') && parts.iter().all(|part| !part.is_empty());
    (is_name && !catalogs.contains(parts[0])).then_some(parts[0])
}

/// Whether a file of this name is Iceberg table metadata (`v3.metadata.json`, `00001-….metadata.json`, `….gz.metadata.json`, `….metadata.json.gz`).
pub fn is_metadata_file(name: &str) -> bool {
    name.ends_with(".metadata.json") || name.ends_with(".metadata.json.gz")
}

/// The branch in `TABLE#branch`, if `text` may name one: what follows the last `#`, unless it goes on as a path.
pub fn branch(text: &str) -> Option<(&str, &str)> {
    let (table, branch) = text.rsplit_once('#')?;
    (!table.is_empty() && !branch.is_empty() && !branch.contains('/')).then_some((table, branch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn read(text: &str) -> Result<Reference> {
        let here = Location::parse("/here").unwrap();
        Reference::read(text, &here, &["prod".to_string()].into())
    }

    fn place(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    #[test]
    fn paths_are_places_below_the_working_folder() {
        for (text, expected) in
            [("./t", "/here/t"), ("t", "/here/t"), ("/d/t/", "/d/t"), ("s3a://b/t", "s3://b/t"), ("a.b.c", "/here/a.b.c")]
        {
            assert_eq!(read(text).unwrap(), Reference::Place(place(expected)), "{text}");
        }
        assert_eq!(read("./prod.db.t").unwrap(), Reference::Place(place("/here/prod.db.t")));
    }

    #[test]
    fn names_start_with_a_catalog_of_the_configuration() {
        let name = |namespace: &[&str]| Reference::Name {
            catalog: "prod".into(),
            namespace: namespace.iter().map(ToString::to_string).collect(),
            table: "t".into(),
        };
        assert_eq!(read("prod.db.t").unwrap(), name(&["db"]));
        assert_eq!(read("prod.a.b.t").unwrap(), name(&["a", "b"]));
        for text in ["prod.t", "prod..t", "prod.db."] {
            assert_eq!(read(text).unwrap_err().kind(), Kind::Usage, "{text}");
        }
    }

    #[test]
    fn what_is_shaped_as_a_name_may_mean_a_catalog_that_is_not_there() {
        let known = ["prod".to_string()].into();
        assert_eq!(unknown_catalog("prd.db.t", &known), Some("prd"));
        for text in ["prod.db.t", "./prd.db.t", "prd.t", "..", "prd..t", "t"] {
            assert_eq!(unknown_catalog(text, &known), None, "{text}");
        }
    }

    #[test]
    fn a_metadata_file_is_one_exact_state() {
        for text in ["t/metadata/v3.metadata.json", "t/metadata/0-x.gz.metadata.json", "t/metadata/v1.metadata.json.gz"] {
            assert_eq!(read(text).unwrap(), Reference::Metadata(place(&format!("/here/{text}"))), "{text}");
        }
    }

    #[test]
    fn empty_references_and_metastores_are_told_apart_from_paths() {
        assert_eq!(read(" ").unwrap_err().kind(), Kind::Usage);
        assert_eq!(read("hive://h:9083/db.t").unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(branch("s3://b/t#dev"), Some(("s3://b/t", "dev")));
        assert_eq!(branch("/d/a#b/t"), None);
        assert_eq!(branch("/d/t#"), None);
    }
}
