//! From places to the object stores that hold them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

use super::local::LocalDisk;
use super::{Resolve, storage_error};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::units::parse_duration;

/// Settings by name.
pub type Settings = BTreeMap<String, String>;

type Decorator = Box<dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync>;

/// How long a request is tried again, by default, before storage counts as unavailable.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a request is tried again by default.
const MAX_RETRIES: usize = 8;

/// The stores this build knows: the local disk (`file`), S3 and what speaks its protocol (`s3`), and memory (`memory`, for tests).
///
/// Each store is opened once per bucket and kept.
pub struct Stores {
    s3: Vec<(AmazonS3ConfigKey, String)>,
    retry: RetryConfig,
    decorators: Vec<Decorator>,
    opened: Mutex<HashMap<(String, String), Arc<dyn ObjectStore>>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The settings hold secrets.
        f.debug_struct("Stores").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl Stores {
    /// Stores with the settings in `options`, which are the keys of `object_store` (`aws_endpoint`, `region`, `allow_http` …) and
    /// `max_retries` and `retry_timeout`, and, where these say nothing, the `AWS_…` variables among `environment`.
    ///
    /// # Errors
    ///
    /// `Usage` for an option nobody knows, or a number or duration that is none. Values are not repeated: they may be secrets.
    pub fn new(options: &Settings, environment: &Settings) -> Result<Self> {
        let mut s3 = BTreeMap::new();
        for (name, value) in environment.iter().filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty()) {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                s3.insert(key.as_ref().to_string(), (key, value.clone()));
            }
        }
        let mut retry = RetryConfig { backoff: backoff(), max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT };
        for (name, value) in options {
            let unknown = || Error::usage("unknown storage option").about("option", name).hint(KEYS);
            match name.to_ascii_lowercase().as_str() {
                "max_retries" => retry.max_retries = value.parse().map_err(|_| Error::usage("max_retries is no number"))?,
                "retry_timeout" => retry.retry_timeout = parse_duration(value)?,
                lower => {
                    let key: AmazonS3ConfigKey = lower.parse().map_err(|_| unknown())?;
                    s3.insert(key.as_ref().to_string(), (key, value.clone()));
                }
            }
        }
        let s3 = s3.into_values().collect();
        Ok(Self { s3, retry, decorators: Vec::new(), opened: Mutex::new(HashMap::new()) })
    }

    /// Lays `decorate` over every store, above earlier decorators.
    #[must_use]
    pub fn decorated(mut self, decorate: impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync + 'static) -> Self {
        self.decorators.push(Box::new(decorate));
        self
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ObjectStore>> {
        let store: Arc<dyn ObjectStore> = match location.scheme() {
            "file" => Arc::new(LocalDisk),
            "memory" => Arc::new(InMemory::new()),
            "s3" => self.open_s3(location)?,
            other => {
                return Err(Error::usage(format!("this build knows no storage called '{other}'"))
                    .about("place", location)
                    .hint("use a local path, file:// or s3:// (also for servers that speak S3: --storage-option endpoint=URL)"));
            }
        };
        Ok(self.decorators.iter().fold(store, |store, decorate| decorate(store)))
    }

    fn open_s3(&self, location: &Location) -> Result<Arc<dyn ObjectStore>> {
        if location.authority().is_empty() {
            return Err(Error::usage("an s3 location needs a bucket").about("place", location).hint("write s3://bucket/path"));
        }
        // A server of one's own seldom has a name per bucket, and a plain http address was asked for by writing it.
        let endpoint = self.setting(&AmazonS3ConfigKey::S3Endpoint).or_else(|| self.setting(&AmazonS3ConfigKey::Endpoint));
        let is_http = endpoint.is_some_and(|url| url.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_retry(self.retry.clone())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_virtual_hosted_style_request(endpoint.is_none())
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp), is_http.to_string());
        for (key, value) in &self.s3 {
            builder = builder.with_config(*key, value);
        }
        // The place names the bucket, whatever the settings say.
        let store = builder.with_bucket_name(location.authority()).build();
        Ok(Arc::new(store.map_err(|e| Error::usage("the settings for S3 do not fit").about("place", location).because(e))?))
    }

    fn setting(&self, wanted: &AmazonS3ConfigKey) -> Option<&str> {
        self.s3.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
    }
}

const KEYS: &str = "options are object_store's own keys, such as region, endpoint, access_key_id, secret_access_key, session_token, \
                    allow_http, virtual_hosted_style_request, skip_signature, timeout; and max_retries, retry_timeout";

fn backoff() -> BackoffConfig {
    BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 }
}

impl Resolve for Stores {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let path = Path::parse(location.path()).map_err(|e| storage_error(e.into(), location))?;
        let id = (location.scheme().to_string(), location.authority().to_string());
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(&id) {
            return Ok((Arc::clone(store), path));
        }
        let store = self.open(location)?;
        opened.insert(id, Arc::clone(&store));
        Ok((store, path))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Kind;

    fn place(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
    }

    fn stores(options: &[(&str, &str)]) -> Stores {
        Stores::new(&settings(options), &settings(&[])).unwrap()
    }

    #[test]
    fn one_store_is_opened_per_bucket() {
        let stores = stores(&[]);
        let (first, key) = stores.resolve(&place("memory://a/x/y z%20#1")).unwrap();
        let (second, _) = stores.resolve(&place("memory://a/other")).unwrap();
        let (third, _) = stores.resolve(&place("memory://b/x")).unwrap();
        assert_eq!(key.as_ref(), "x/y z%20#1");
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &third));
    }

    #[test]
    fn a_scheme_nobody_knows_is_a_usage_error_that_names_it_and_what_is_known() {
        let error = stores(&[]).resolve(&place("hdfs://nn/t")).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.message(), "this build knows no storage called 'hdfs'");
        assert!(error.next_step().contains("s3://"));
    }

    #[test]
    fn an_option_nobody_knows_is_named_and_its_value_is_not() {
        let error = Stores::new(&settings(&[("aws_secret_acess_key", "hunter2")]), &settings(&[])).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.to_string(), "unknown storage option option=aws_secret_acess_key");
        let shown = format!("{:?} {error:?}", stores(&[("secret_access_key", "hunter2")]));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn options_go_before_the_environment_whatever_name_they_are_given_under() {
        let environment = settings(&[("AWS_REGION", "eu-1"), ("AWS_ENDPOINT_URL", "http://env"), ("HOME", "/"), ("AWS_PROFILE", "p")]);
        let stores = Stores::new(&settings(&[("endpoint", "http://option")]), &environment).unwrap();
        assert_eq!(stores.setting(&AmazonS3ConfigKey::Endpoint), Some("http://option"));
        assert_eq!(stores.setting(&AmazonS3ConfigKey::Region), Some("eu-1"));
        assert_eq!(stores.s3.len(), 2);
    }

    #[test]
    fn decorators_are_laid_over_every_store_once() {
        static LAID: AtomicUsize = AtomicUsize::new(0);
        let stores = stores(&[]).decorated(|store| {
            LAID.fetch_add(1, Ordering::Relaxed);
            store
        });
        for text in ["memory://a/x", "memory://a/y", "/x", "/y"] {
            stores.resolve(&place(text)).unwrap();
        }
        assert_eq!(LAID.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_s3_place_needs_a_bucket_and_settings_that_fit() {
        assert_eq!(stores(&[]).resolve(&place("s3:///x")).unwrap_err().kind(), Kind::Usage);
        let error = stores(&[("skip_signature", "perhaps")]).resolve(&place("s3://b/x")).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.message(), "the settings for S3 do not fit");
    }
}
