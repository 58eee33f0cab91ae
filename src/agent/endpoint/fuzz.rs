//! The entry for `cargo fuzz`: any bytes, as a request to a fixed endpoint.

use super::route::{self, Answer, EndpointConfig, HealthSource};
use crate::agent::published::Published;
use crate::agent::report::{self, Identity};
use crate::health::{Config, Status};
use crate::http_head::{self as head, MAX_HEAD};
use crate::wire::Health;

const TOKEN: &str = "let-me-in-please";

struct Fixed {
    identity: Identity,
    published: Published,
}

impl HealthSource for Fixed {
    fn is_alive(&self) -> bool {
        true
    }

    fn status(&self) -> Status {
        Status::Ok
    }

    fn health(&self) -> Health {
        report::health(&self.identity, &self.published)
    }

    fn seq(&self) -> u64 {
        self.published.seq()
    }

    fn beats(&self) -> u64 {
        self.published.heart.beats()
    }

    fn looked(&self) -> u64 {
        0
    }

    fn await_proof(&self, _awaited: bool) {}
}

/// Parses and routes. Panics if an invariant is broken.
pub fn request(bytes: &[u8]) {
    let parsed = head::parse(bytes);
    let reply = match &parsed {
        Ok(None) => {
            return assert!(
                bytes.len() < MAX_HEAD,
                "waits for the rest of a head that is too long"
            );
        }
        Err(refusal) => route::refused(*refusal),
        Ok(Some(head)) => {
            let identity = Identity {
                app: "fuzz".to_owned(),
                pid: 1,
                instance: "abc".to_owned(),
            };
            let view = Fixed {
                identity,
                published: Published::new(Config::default()),
            };
            let site = EndpointConfig {
                token: TOKEN.to_owned(),
                port: 8999,
            };
            match route::route(head, &site, &view) {
                Answer::Now(reply) => reply,
                Answer::Wait { .. } => {
                    return assert!(knows_token(bytes), "a long poll without the token");
                }
            }
        }
    };
    let status = reply.status_code().0;
    assert!(
        [200, 400, 401, 403, 404, 405, 413, 431, 503].contains(&status),
        "status {status}"
    );
    let mut sent = Vec::new();
    assert!(
        reply
            .raw_print(&mut sent, tiny_http::HTTPVersion(1, 0), &[], false, None)
            .is_ok()
    );
    let told = sent.windows(16).any(|part| part == b"livegui/health/1");
    assert!(!told || knows_token(bytes), "health without the token");
}

fn knows_token(bytes: &[u8]) -> bool {
    bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes())
}
