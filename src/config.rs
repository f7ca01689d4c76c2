//! `otf.toml` as plain values. Unknown keys are errors: a misspelt setting must not be silently without effect.
//!
//! What counts, highest first: command-line options, `OTF_*` environment variables, the file, the defaults. A variable is the key in capitals
//! with `_` for `-` and `__` between levels: `OTF_MEMORY`, `OTF_COMPACT__TARGET_FILE_SIZE`, `OTF_CATALOG__PROD__URI`.

pub mod schema;
pub mod values;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use values::{Color, Compression, LogFormat, Output, RowPath, Size};

use crate::error::{Error, Result};
use crate::model::SpecChoice;

/// Everything `otf.toml` may hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What results are printed as. Default: text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// When output is coloured. Default: auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// What log lines look like. Default: text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFormat>,
    /// Where rows are rewritten. Default, and in this version the only choice: `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Memory budget of one run. Default: 2GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Threads of one run. Default: the cores available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroUsize>,
    /// Folder for temporary files. Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_dir: Option<PathBuf>,
    /// Storage options by object_store's own keys (`aws_region`, `aws_endpoint` …).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub storage: BTreeMap<String, String>,
    /// Catalogs by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub catalog: BTreeMap<String, Catalog>,
    /// What compactions do unless the command line says otherwise.
    #[serde(skip_serializing_if = "Compact::is_empty")]
    pub compact: Compact,
}

/// Kinds of catalogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogType {
    /// A SQL database with the tables of Iceberg's JDBC catalog.
    Sql,
    /// A folder: `catalog.namespace.table` lies at `warehouse/namespace/table`.
    Path,
}

/// A catalog: where names lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Catalog {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: CatalogType,
    /// `sql`: the database, e.g. `sqlite:///data/catalog.db`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Where tables lie. `path`: required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<String>,
    /// `sql`: the catalog's name inside the database. Default: the name in this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Settings of compactions; what is absent is left to the table's properties and the format's defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Compact {
    /// About how large new files should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_file_size: Option<Size>,
    /// Smaller files are rewritten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_file_size: Option<Size>,
    /// Larger files are rewritten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file_size: Option<Size>,
    /// How many files make a group worth rewriting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_input_files: Option<NonZeroUsize>,
    /// How many bytes a group's inputs may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_group_size: Option<Size>,
    /// How many groups are rewritten at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_groups: Option<NonZeroUsize>,
    /// Commit in at most this many parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_progress: Option<NonZeroUsize>,
    /// Files with this many deletes are rewritten whatever their size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_file_threshold: Option<NonZeroUsize>,
    /// Files with this share of deleted rows (0 to 1) are rewritten whatever their size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_ratio: Option<f64>,
    /// Whether every file is rewritten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite_all: Option<bool>,
    /// Whether delete files that apply to nothing are dropped too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_dangling_deletes: Option<bool>,
    /// Compression of new files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// How row groups reach new files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<RowPath>,
    /// At most this many files are planned in one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_files: Option<NonZeroUsize>,
    /// The partition spec of new files: a matter of one table, so that no file sets it.
    #[serde(skip)]
    pub output_spec: Option<SpecChoice>,
}

impl Compact {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// Reads the text of a file (`None`: there is none) and lays the `OTF_*` variables of `env` over it.
    ///
    /// # Errors
    ///
    /// `Usage` naming the line, or the variable, and what is wrong with it.
    pub fn read(text: Option<&str>, env: &BTreeMap<String, String>) -> Result<Self> {
        let text = text.unwrap_or_default();
        let mut config: Self = toml::from_str(text).map_err(|error| invalid(&error, text))?;
        let mut table: toml::Table = toml::from_str(text).map_err(|error| invalid(&error, text))?;
        for (variable, value) in env {
            let Some(path) = key_of(variable) else { continue };
            lay(&mut table, &path, value)
                .ok_or_else(|| Error::usage("an environment variable names no setting").about("variable", variable))?;
            config = Self::deserialize(toml::Value::Table(table.clone())).map_err(|error| {
                let what = error.message().to_string();
                Error::usage("an environment variable does not fit").about("variable", variable).about("why", what)
            })?;
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        for (name, catalog) in &self.catalog {
            let missing = match catalog.kind {
                CatalogType::Sql if catalog.uri.is_none() => "uri",
                CatalogType::Path if catalog.warehouse.is_none() => "warehouse",
                CatalogType::Sql | CatalogType::Path => continue,
            };
            return Err(Error::usage("a catalog lacks a setting").about("catalog", name).about("setting", missing));
        }
        if self.compact.delete_ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
            return Err(Error::usage("compact.delete-ratio is not between 0 and 1"));
        }
        Ok(())
    }

    /// The same settings with every secret blotted out.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        for (key, value) in &mut shown.storage {
            if is_secret(key) {
                *value = "***".to_string();
            }
        }
        for catalog in shown.catalog.values_mut() {
            catalog.uri = catalog.uri.take().map(|uri| without_password(&uri));
        }
        shown
    }

    /// The settings as they would be written in a file.
    pub fn as_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}

fn invalid(error: &toml::de::Error, text: &str) -> Error {
    let at = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let first = error.message().lines().next().unwrap_or_default().to_string();
    Error::usage(format!("the configuration is wrong: {first}")).about("line", line).hint("`otf config schema` describes every setting")
}

/// The setting a variable means; `None` for variables that are not ours.
fn key_of(variable: &str) -> Option<Vec<String>> {
    const SINGLE: [&str; 7] = ["OUTPUT", "COLOR", "LOG", "ENGINE", "MEMORY", "THREADS", "TEMP_DIR"];
    let name = variable.strip_prefix("OTF_")?;
    let dashed = |part: &str| part.to_ascii_lowercase().replace('_', "-");
    let Some((section, rest)) = name.split_once("__") else {
        return SINGLE.contains(&name).then(|| vec![dashed(name)]);
    };
    match (section, rest.split_once("__")) {
        ("COMPACT", None) => Some(vec!["compact".into(), dashed(rest)]),
        ("STORAGE", None) => Some(vec!["storage".into(), rest.to_ascii_lowercase()]),
        ("CATALOG", Some((name, key))) => Some(vec!["catalog".into(), name.to_ascii_lowercase(), dashed(key)]),
        _ => None,
    }
}

/// Sets `path` in `table`; `None` if something on the way is not a table.
fn lay(table: &mut toml::Table, path: &[String], text: &str) -> Option<()> {
    let (last, sections) = path.split_last()?;
    let typed = sections.first().is_none_or(|section| section == "compact") && last != "temp-dir" && last != "engine";
    let value = match (text.parse::<i64>(), text.parse::<f64>(), text.parse::<bool>()) {
        (Ok(number), _, _) if typed => toml::Value::Integer(number),
        (_, Ok(number), _) if typed => toml::Value::Float(number),
        (_, _, Ok(truth)) if typed => toml::Value::Boolean(truth),
        _ => toml::Value::String(text.to_string()),
    };
    let mut here = table;
    for section in sections {
        here = here.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new())).as_table_mut()?;
    }
    here.insert(last.clone(), value);
    Some(())
}

/// Whether the value of a storage option must not be shown.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "token", "password", "key", "credential", "sas"].iter().any(|word| key.contains(word))
}

/// `scheme://user:password@host` with the password blotted out.
fn without_password(uri: &str) -> String {
    match url::Url::parse(uri) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("***")) {
            Ok(()) => url.to_string(),
            Err(()) => "***".to_string(),
        },
        _ => uri.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
    }

    const FILE: &str = "memory = \"1GiB\"\n[storage]\naws_region = \"eu\"\naws_secret_access_key = \"hush\"\n\
        [catalog.prod]\ntype = \"sql\"\nuri = \"postgres://me:hush@db/otf\"\n[compact]\ntarget-file-size = \"128MB\"\n";

    #[test]
    fn a_file_is_read_and_variables_lie_over_it() {
        let read = Config::read(Some(FILE), &env(&[])).unwrap();
        assert_eq!((read.memory, read.compact.target_file_size), (Some(Size(Bytes(1 << 30))), Some(Size(Bytes(128_000_000)))));
        let over = env(&[
            ("OTF_MEMORY", "512MiB"),
            ("OTF_COMPACT__TARGET_FILE_SIZE", "1000"),
            ("OTF_COMPACT__DELETE_RATIO", "0.5"),
            ("OTF_STORAGE__AWS_REGION", "1"),
            ("OTF_CATALOG__PROD__WAREHOUSE", "/w"),
            ("OTF_GOLDEN", "not a setting"),
        ]);
        let read = Config::read(Some(FILE), &over).unwrap();
        assert_eq!((read.memory, read.compact.target_file_size), (Some(Size(Bytes(512 << 20))), Some(Size(Bytes(1000)))));
        assert_eq!((read.compact.delete_ratio, read.storage["aws_region"].as_str()), (Some(0.5), "1"));
        assert_eq!(read.catalog["prod"].warehouse.as_deref(), Some("/w"));
    }

    #[test]
    fn a_mistake_names_its_line_or_its_variable() {
        let unknown = Config::read(Some("memory = 1\n\n[compact]\ntarget = 5\n"), &env(&[])).unwrap_err();
        assert!(unknown.message().contains("target"), "{unknown}");
        assert_eq!(unknown.context(), [("line", "4".to_string())]);
        let variable = Config::read(None, &env(&[("OTF_THREADS", "many")])).unwrap_err();
        assert_eq!(variable.context()[0], ("variable", "OTF_THREADS".to_string()));
        assert!(Config::read(Some("[catalog.x]\ntype = \"path\"\n"), &env(&[])).is_err());
        assert!(Config::read(Some("[compact]\ndelete-ratio = 1.5\n"), &env(&[])).is_err());
    }

    #[test]
    fn secrets_are_blotted_out_and_the_rest_reads_back() {
        let shown = Config::read(Some(FILE), &env(&[])).unwrap().masked().as_toml();
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("aws_region = \"eu\"") && shown.contains("memory = \"1GiB\""), "{shown}");
        assert!(Config::read(Some(&shown), &env(&[])).is_ok());
    }
}
