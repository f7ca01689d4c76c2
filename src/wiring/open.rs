//! From a table reference to a table: which format lies there, and which catalog knows it.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;

use super::reference::{self, Reference};
use crate::config::{Catalog, CatalogType};
use crate::error::{Error, Kind, Result};
use crate::formats::Table;
use crate::location::Location;
use crate::store::Store;

/// Formats a place may be asked to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Layout {
    /// Delta Lake
    Delta,
    /// Apache Iceberg
    Iceberg,
    /// Apache Hudi (not in this version)
    Hudi,
    /// Hive-style directories (not in this version)
    Hive,
}

impl Layout {
    /// The format's name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Iceberg => "iceberg",
            Self::Hudi => "hudi",
            Self::Hive => "hive",
        }
    }
}

/// A table, and whether it may be changed through this reference.
pub struct Opened {
    /// The table.
    pub table: Box<dyn Table>,
    /// Whether the reference names one exact state, which has no future.
    pub read_only: bool,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("location", self.table.location()).field("read_only", &self.read_only).finish()
    }
}

/// Follows the reference `text` to a table; relative paths lie below `here`.
///
/// # Errors
///
/// `NotFound` if there is no table; `Refused` if there are several formats and `layout` chooses none; `Unsupported` for formats and catalogs
/// this version does not know, and for a branch of a format that has none; `Usage` for a reference that cannot be read.
pub async fn open(
    text: &str,
    layout: Option<Layout>,
    here: &Location,
    catalogs: &BTreeMap<String, Catalog>,
    store: &Store,
) -> Result<Opened> {
    let names: BTreeSet<String> = catalogs.keys().cloned().collect();
    let opened = follow(Reference::read(text, here, &names)?, layout, None, catalogs, store).await;
    let opened = match (opened, reference::branch(text)) {
        // A `#` may be part of a folder's name: only where nothing lies there does it mean a branch.
        (Err(error), Some((table, branch))) if error.kind() == Kind::NotFound => {
            follow(Reference::read(table, here, &names)?, layout, Some(branch), catalogs, store).await
        }
        (opened, _) => opened,
    };
    opened.map_err(|error| match reference::unknown_catalog(text, &names) {
        Some(catalog) if error.kind() == Kind::NotFound => error.hint(no_catalog(catalog, &names)),
        _ => error,
    })
}

/// What to do about a name that was taken for a path, as no catalog is called like its first part.
fn no_catalog(catalog: &str, names: &BTreeSet<String>) -> String {
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let known = if known.is_empty() { "it has none".to_string() } else { format!("it has {}", known.join(", ")) };
    format!("the configuration has no catalog called {catalog} ({known}), so this is a path: check the spelling of either")
}

async fn follow(
    reference: Reference,
    layout: Option<Layout>,
    branch: Option<&str>,
    catalogs: &BTreeMap<String, Catalog>,
    store: &Store,
) -> Result<Opened> {
    match reference {
        Reference::Place(root) => at(root, layout, branch, store).await,
        Reference::Metadata(file) => {
            if layout.is_some_and(|layout| layout != Layout::Iceberg) {
                return Err(Error::usage("a metadata file is an Iceberg table").about("file", file));
            }
            super::parts::exact(store, file, branch).await
        }
        Reference::Name { catalog, namespace, table } => {
            if store.moves().is_some() {
                return Err(Error::refused(
                    "a catalog's table is not opened through --map-location: the catalog would go on naming the old place",
                )
                .about("catalog", &catalog)
                .hint("name the folder that the table was moved to"));
            }
            let settings = catalogs.get(&catalog).ok_or_else(|| Error::not_found("no such catalog").about("catalog", &catalog))?;
            match settings.kind {
                CatalogType::Sql => super::parts::in_sql_catalog(store, &catalog, settings, (&namespace, &table), branch).await,
                CatalogType::Path => {
                    let warehouse = Location::parse(settings.warehouse.as_deref().unwrap_or_default())
                        .map_err(|error| error.about("catalog", &catalog).hint("write the warehouse as an absolute place"))?;
                    let below = warehouse.join(&namespace.join("/"))?;
                    at(below.child(&table), layout, branch, store).await
                }
            }
        }
    }
}

async fn at(root: Location, layout: Option<Layout>, branch: Option<&str>, store: &Store) -> Result<Opened> {
    let found = detect(&root, store).await?;
    let chosen = match (layout, found.as_slice()) {
        (Some(layout), found) if found.contains(&layout) || layout == Layout::Hive => layout,
        (Some(layout), _) => {
            return Err(Error::not_found("there is no table of this format").about("format", layout.as_str()).about("location", &root));
        }
        (None, []) => {
            return Err(Error::not_found("there is no table here").about("location", &root).hint(
                "a Delta table has a folder _delta_log, an Iceberg table has metadata/*.metadata.json; check the spelling and the credentials",
            ));
        }
        (None, [only]) => *only,
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|layout| layout.as_str()).collect();
            return Err(Error::refused("several table formats lie over these files")
                .about("formats", names.join(","))
                .about("location", &root)
                .hint("choose one with --table-format; the other formats' metadata will not follow a change"));
        }
    };
    match (chosen, branch) {
        (Layout::Delta, Some(branch)) => {
            Err(Error::unsupported("Delta tables have no branches").about("branch", branch).about("location", &root))
        }
        (Layout::Delta, None) => Ok(super::parts::delta(store, root)),
        (Layout::Iceberg, branch) => {
            // A moved table is called what its metadata calls it.
            let root = store.moves().map_or_else(|| root.clone(), |moves| moves.name_of(&root));
            Ok(super::parts::iceberg(store, root, branch))
        }
        (Layout::Hudi | Layout::Hive, _) => {
            Err(Error::unsupported(format!("{} tables are not in this version", chosen.as_str())).about("location", &root))
        }
    }
}

/// The formats whose metadata lies at `root`.
pub(super) async fn detect(root: &Location, store: &Store) -> Result<Vec<Layout>> {
    let mut found = Vec::new();
    for (layout, folder) in [(Layout::Delta, "_delta_log"), (Layout::Iceberg, "metadata"), (Layout::Hudi, ".hoodie")] {
        let mut files = store.list(&root.child(folder));
        while let Some(file) = files.next().await {
            let file = file?;
            // Metadata of a table below this folder is not this one's: a namespace may be called `metadata`.
            let is_direct = file.location.parent().is_some_and(|parent| parent == root.child(folder));
            if layout != Layout::Iceberg || (is_direct && reference::is_metadata_file(file.location.name())) {
                found.push(layout);
                break;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStore;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;
    use crate::store::Resolve;

    struct Memory(Arc<InMemory>);

    impl Resolve for Memory {
        fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
            let store: Arc<dyn ObjectStore> = self.0.clone();
            Ok((store, Path::parse(location.path()).unwrap()))
        }
    }

    async fn holding(files: &[&str]) -> Store {
        let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
        for file in files {
            store.put(&Location::parse(file).unwrap(), "{}".into()).await.unwrap();
        }
        store
    }

    async fn refusal(files: &[&str], text: &str, layout: Option<Layout>) -> Error {
        let store = holding(files).await;
        open(text, layout, &Location::parse("/w").unwrap(), &BTreeMap::new(), &store).await.unwrap_err()
    }

    #[tokio::test]
    async fn formats_are_told_by_their_metadata() {
        let files = [
            "/d/_delta_log/00000000000000000000.json",
            "/i/metadata/v1.metadata.json",
            "/i/metadata/x.avro",
            "/h/.hoodie/hoodie.properties",
            "/none/metadata/t/metadata/v1.metadata.json",
        ];
        let store = holding(&files).await;
        for (root, expected) in [("/d", vec![Layout::Delta]), ("/i", vec![Layout::Iceberg]), ("/h", vec![Layout::Hudi]), ("/none", vec![])]
        {
            assert_eq!(detect(&Location::parse(root).unwrap(), &store).await.unwrap(), expected, "{root}");
        }
        let opened = open("../d", None, &Location::parse("/w").unwrap(), &BTreeMap::new(), &store).await.unwrap();
        assert_eq!(opened.table.location().path(), "d");
    }

    #[tokio::test]
    async fn a_place_without_a_table_is_not_found() {
        assert_eq!(refusal(&["/t/metadata/x.avro"], "/t", None).await.kind(), Kind::NotFound);
        assert_eq!(refusal(&["/t/_delta_log/0.json"], "/t", Some(Layout::Iceberg)).await.kind(), Kind::NotFound);
        assert_eq!(refusal(&[], "/t/metadata/v1.metadata.json", None).await.kind(), Kind::NotFound);
    }

    #[tokio::test]
    async fn a_misspelled_catalog_is_told_with_those_that_are_there() {
        let here = Location::parse("/w").unwrap();
        let prod = Catalog { kind: CatalogType::Path, uri: None, warehouse: None, name: None };
        let catalogs = BTreeMap::from([("prod".to_string(), prod)]);
        let error = open("prd.db.t", None, &here, &catalogs, &holding(&[]).await).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.next_step().contains("no catalog called prd (it has prod)"), "{}", error.next_step());
        assert!(refusal(&[], "prd.db.t#audit", None).await.next_step().contains("no catalog called prd (it has none)"));
        assert!(!refusal(&[], "./prd.db.t", None).await.next_step().contains("catalog"));
    }

    #[tokio::test]
    async fn two_formats_over_the_same_files_are_refused_with_the_way_out() {
        let error = refusal(&["/t/_delta_log/0.json", "/t/metadata/v1.metadata.json"], "/t", None).await;
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(error.context()[0], ("formats", "delta,iceberg".to_string()));
        assert!(error.next_step().contains("--table-format"));
    }

    #[tokio::test]
    async fn hudi_and_branches_of_delta_are_named_as_unsupported() {
        let hudi = refusal(&["/t/.hoodie/hoodie.properties"], "/t", None).await;
        assert_eq!((hudi.kind(), hudi.message()), (Kind::Unsupported, "hudi tables are not in this version"));
        let branch = refusal(&["/t/_delta_log/0.json"], "/t#dev", None).await;
        assert_eq!((branch.kind(), branch.context()[0].clone()), (Kind::Unsupported, ("branch", "dev".to_string())));
    }
}
