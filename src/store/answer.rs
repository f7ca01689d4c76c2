//! What the errors of object stores mean for the reader.

use std::io::ErrorKind;

use object_store::Error as Answer;

use crate::error::{Error, Kind};
use crate::location::Location;

/// What an object store's error means for the reader.
pub fn storage_error(error: Answer, location: &Location) -> Error {
    let base = match &error {
        Answer::NotFound { source, .. } => not_found(&source.to_string()),
        Answer::PermissionDenied { .. } | Answer::Unauthenticated { .. } => denied(),
        Answer::InvalidPath { .. } => Error::unsupported("storage cannot hold such a name"),
        Answer::NotSupported { .. } | Answer::NotImplemented { .. } => Error::unsupported("storage cannot do this"),
        Answer::Generic { source, .. } => unexpected(source.as_ref()),
        _ => Error::unavailable(UNEXPECTED),
    };
    base.about("place", location).because(error)
}

/// As [`storage_error`], for a write: a refusal after an answer was lost does not say that nothing was written.
pub(super) fn write_error(error: Answer, location: &Location) -> Error {
    let retried = error.to_string().contains(RETRIED);
    let meaning = storage_error(error, location);
    if retried && meaning.kind() != Kind::Unavailable {
        return Error::unavailable("storage turned the write down when it was sent again; the first time may have succeeded")
            .about("place", location)
            .because(meaning);
    }
    meaning
}

const UNEXPECTED: &str = "storage did not answer as expected";
/// How `object_store` says that it sent a request more than once. It hides the error that knows the number (`RetryError`).
const RETRIED: &str = " retries, max_retries: ";
/// How it spells the status of an HTTP answer where it gives no variant of its own, which is so for listings.
const STATUS: &str = "status code: ";
const MACHINE_CREDENTIALS: &str = "//169.254.";

fn denied() -> Error {
    Error::refused("storage denied access").hint("check the credentials and the permissions of this place; nothing was changed")
}

fn not_found(text: &str) -> Error {
    if text.contains("NoSuchBucket") {
        return Error::not_found("no such bucket").hint("check the bucket's name, the region and the endpoint");
    }
    Error::not_found("no such file")
}

fn unexpected(source: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    match source.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            return Error::unavailable("no space left on storage")
                .hint("make room (or raise the quota) and run the command again; what was half written has been removed");
        }
        Some(ErrorKind::UnexpectedEof) => return Error::corrupt("file is shorter than its metadata says"),
        _ => {}
    }
    let text = source.to_string();
    // Where no credentials are given, those of the machine are asked for at this address (RFC 3927 link-local).
    if text.contains(MACHINE_CREDENTIALS) {
        return Error::refused("no credentials for this place")
            .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the storage options of the same meaning; nothing was changed");
    }
    if text.contains("incorrectly configured region") {
        return Error::usage("the bucket is in another region").hint("name its region: --storage-option region=REGION");
    }
    match text.split_once(STATUS).and_then(|(_, rest)| rest.get(..3)) {
        Some("401" | "403") => denied(),
        Some("404") => not_found(&text),
        _ => Error::unavailable(UNEXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::store::resolve::{Settings, Stores};
    use crate::store::{Put, Store};

    const DENIED: &str = "403 Forbidden";
    const BUSY: &str = "503 Slow Down";

    /// An S3 server that says what it was told to, in order, and keeps what it was asked.
    struct Server {
        address: String,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        fn answering(answers: &[(&'static str, &'static str)]) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let (asked, answers) = (Arc::new(Mutex::new(Vec::new())), answers.to_vec());
            let heard = Arc::clone(&asked);
            std::thread::spawn(move || {
                for (status, body) in answers {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the request is cut short");
                    }
                    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    reader.read_exact(&mut vec![0; length.unwrap_or(0)]).unwrap();
                    heard.lock().unwrap().push(head.to_lowercase());
                    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n", body.len());
                    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
                }
            });
            Self { address, asked }
        }

        fn store(&self) -> Store {
            store_at(&self.address)
        }
    }

    fn store_at(address: &str) -> Store {
        let options = [
            ("endpoint", address),
            ("access_key_id", "key"),
            ("secret_access_key", "secret"),
            ("max_retries", "1"),
            ("retry_timeout", "5s"),
        ];
        let options: Settings = options.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
        Store::new(Arc::new(Stores::new(&options, &Settings::new()).unwrap()))
    }

    #[test]
    fn texts_of_answers_without_a_variant_are_understood() {
        let meaning = |text: &'static str| storage_error(Answer::Generic { store: "S3", source: text.into() }, &place());
        let machine = meaning("Error performing PUT http://169.254.169.254/latest/api/token - status code: 403 Forbidden");
        assert_eq!((machine.kind(), machine.message()), (Kind::Refused, "no credentials for this place"));
        let redirect = meaning("Received redirect without LOCATION, this normally indicates an incorrectly configured region");
        assert_eq!((redirect.kind(), redirect.message()), (Kind::Usage, "the bucket is in another region"));
        assert_eq!(meaning("status code: 5").kind(), Kind::Unavailable);
    }

    fn place() -> Location {
        Location::parse("s3://bucket/t/a b%20c").unwrap()
    }

    #[tokio::test]
    async fn a_claim_is_a_conditional_put_to_the_bucket_below_the_endpoint() {
        let server = Server::answering(&[("200 OK", ""), ("412 Precondition Failed", "")]);
        let store = server.store();
        assert_eq!(store.put_if_absent(&place(), "x".into()).await.unwrap(), Put::Created);
        assert_eq!(store.put_if_absent(&place(), "x".into()).await.unwrap(), Put::Exists);
        let asked = server.asked.lock().unwrap().clone();
        assert!(asked[0].starts_with("put /bucket/t/a%20b%2520c http/1.1\r\n"), "{}", asked[0]);
        assert!(asked[0].contains("\r\nif-none-match: *\r\n"), "{}", asked[0]);
    }

    #[tokio::test]
    async fn denied_access_is_refused_whatever_was_asked() {
        let server = Server::answering(&[(DENIED, "<Code>InvalidAccessKeyId</Code>"); 4]);
        let store = server.store();
        assert_eq!(store.get(&place()).await.unwrap_err().kind(), Kind::Refused);
        assert_eq!(store.put_if_absent(&place(), "x".into()).await.unwrap_err().kind(), Kind::Refused);
        assert_eq!(store.list_all(&place()).await.unwrap_err().kind(), Kind::Refused);
        assert_eq!(store.children(&place()).await.unwrap_err().message(), "storage denied access");
    }

    #[tokio::test]
    async fn a_write_denied_after_a_lost_answer_may_have_been_made() {
        let server = Server::answering(&[(BUSY, ""), (DENIED, ""), (BUSY, ""), (DENIED, "")]);
        let store = server.store();
        assert_eq!(store.put_if_absent(&place(), "x".into()).await.unwrap_err().kind(), Kind::Unavailable);
        assert_eq!(store.get(&place()).await.unwrap_err().kind(), Kind::Refused);
    }

    #[tokio::test]
    async fn a_bucket_that_does_not_exist_is_named_as_what_is_missing() {
        let server = Server::answering(&[("404 Not Found", "<Code>NoSuchBucket</Code>"); 2]);
        let store = server.store();
        for error in [store.get(&place()).await.unwrap_err(), store.list_all(&place()).await.unwrap_err()] {
            assert_eq!((error.kind(), error.message()), (Kind::NotFound, "no such bucket"));
        }
        let server = Server::answering(&[("404 Not Found", "<Code>NoSuchKey</Code>")]);
        assert_eq!(server.store().get(&place()).await.unwrap_err().message(), "no such file");
    }

    #[tokio::test]
    async fn a_range_beyond_the_end_is_a_corrupt_file() {
        let server = Server::answering(&[("416 Range Not Satisfiable", ""), ("200 OK", "")]);
        assert_eq!(server.store().get_range(&place(), 5..9).await.unwrap_err().kind(), Kind::Corrupt);
    }

    #[tokio::test]
    async fn a_server_that_is_busy_or_not_there_is_unavailable() {
        let server = Server::answering(&[(BUSY, ""); 2]);
        assert_eq!(server.store().put(&place(), "x".into()).await.unwrap_err().kind(), Kind::Unavailable);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = store_at(&format!("http://{nobody}")).get(&place()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Unavailable, UNEXPECTED));
    }
}
